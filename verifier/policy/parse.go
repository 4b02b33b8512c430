package policy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	kubejson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// MaxSize bounds the file of a policy, and that of a manifest it names, in
// bytes.
const MaxSize = 1 << 20

// Parse reads a policy in YAML or JSON of at most MaxSize bytes, fills in the
// defaults and judges it. An *InvalidError names every mistake. Files that the
// policy names are not read: that does Load.
func Parse(r io.Reader) (Policy, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return Policy{}, fmt.Errorf("read the policy: %w", err)
	}
	p, m := decode(data)
	if len(m) > 0 {
		return Policy{}, &InvalidError{m}
	}
	return p, nil
}

// Load reads the policy in a file, and the manifests it names: in what it
// returns, every manifestFile has become a manifest, and paths are no longer
// relative to the policy but can be opened.
func Load(path string) (Policy, error) {
	data, err := readFile(path)
	if err != nil {
		return Policy{}, fmt.Errorf("read the policy: %w", err)
	}
	p, m := decode(data)
	p.relativeTo(filepath.Dir(path), &m)
	if len(m) > 0 {
		return Policy{}, &InvalidError{m}
	}
	return p, nil
}

// readFile reads at most one byte more than MaxSize.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
}

// decode reads, completes and judges. What is wrong in its shape is left out of
// the policy, and what follows from that is not reported again.
func decode(data []byte) (Policy, mistakes) {
	var m mistakes
	document := only(data, &m)
	if document == nil {
		return Policy{}, m
	}
	tree := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return Policy{}, append(m, Mistake{Message: "the policy must have fields: " + strings.Join(fieldNames(reflect.TypeFor[Policy]()), ", ")})
	}
	shape(&m, nil, tree, reflect.TypeFor[Policy]())
	kept, err := json.Marshal(tree)
	if err != nil {
		return Policy{}, append(m, Mistake{Message: err.Error()})
	}
	var p Policy
	if err := kubejson.UnmarshalCaseSensitivePreserveInts(kept, &p); err != nil {
		return Policy{}, append(m, Mistake{Message: err.Error()})
	}
	p.Spec.complete()
	return p, append(m, without(p.Validate(), m)...)
}

// without drops mistakes that follow from known ones: at, below or above their
// fields.
func without(found []Mistake, known mistakes) []Mistake {
	return slices.DeleteFunc(found, func(f Mistake) bool {
		return slices.ContainsFunc(known, func(k Mistake) bool { return leads(f.Field, k.Field) || leads(k.Field, f.Field) })
	})
}

// leads reports whether a field is the other or contains it.
func leads(field, to string) bool {
	rest, ok := strings.CutPrefix(to, field)
	return ok && field != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// only is the single YAML document of a file, as JSON; nil when nothing can be
// read of it.
func only(data []byte, m *mistakes) []byte {
	if len(data) > MaxSize {
		m.add(nil, "the file is larger than %d bytes", MaxSize)
		return nil
	}
	var found []byte
	for r := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
		part, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			m.add(nil, "%s", err)
			return nil
		}
		text, err := yaml.YAMLToJSON(part)
		if err != nil {
			m.add(nil, "%s", oneLine(err))
			return nil
		}
		if string(text) == "null" { // nothing but comments
			continue
		}
		if found != nil {
			m.add(nil, "the file contains more than one YAML document: write each policy into a file of its own")
			return nil
		}
		found = text
		if _, err := yaml.YAMLToJSONStrict(part); err != nil {
			m.add(nil, "%s", oneLine(err))
		}
	}
	if found == nil {
		m.add(nil, "the file is empty")
	}
	return found
}

// oneLine is the message of an error of the YAML parser, which puts each
// mistake on a line of its own.
func oneLine(err error) string {
	lines := strings.Split(err.Error(), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Replace(strings.Join(lines, "; "), ":; ", ": ", 1)
}

// relativeTo opens the paths of a policy that lies in dir.
func (p *Policy) relativeTo(dir string, m *mistakes) {
	resolve := func(path *string) {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	resolve(&p.Spec.Images.Archive)
	for i := range p.Spec.Checks {
		c := &p.Spec.Checks[i]
		at := field.NewPath("spec", "checks").Index(i)
		switch {
		case c.HTTP != nil:
			for name, v := range c.HTTP.Headers {
				resolve(&v.File)
				c.HTTP.Headers[name] = v
			}
		case c.SQL != nil:
			resolve(&c.SQL.User.File)
			resolve(&c.SQL.Password.File)
		case c.Job != nil && c.Job.ManifestFile != "" && c.Job.Manifest == nil:
			resolve(&c.Job.ManifestFile)
			c.Job.load(m, at.Child("job", "manifestFile"))
		}
	}
}

// load reads the file of the manifest in its place.
func (j *Job) load(m *mistakes, at *field.Path) {
	data, err := readFile(j.ManifestFile)
	if err != nil {
		m.add(at, "%s", err)
		return
	}
	var inside mistakes
	document := only(data, &inside)
	if document != nil {
		if err := json.Unmarshal(document, &j.Manifest); err != nil {
			inside.add(nil, "it must hold a Job")
		} else {
			checkJob(&inside, nil, j.Manifest)
		}
	}
	for _, i := range inside {
		m.add(at, "%s: %s", j.ManifestFile, i)
	}
	j.ManifestFile = ""
}

// The defaults.
const (
	DefaultTimeout        = 30 * time.Minute
	DefaultWorkloadsReady = 5 * time.Minute
	DefaultCheckTimeout   = time.Minute
)

// Default returns the spec of a drill that no policy asks for.
func Default() Spec {
	var s Spec
	s.complete()
	return s
}

// complete fills in the defaults.
func (s *Spec) complete() {
	orElse(&s.Level, "controlplane")
	orElse(&s.KubernetesVersion, SourceVersion)
	orElse(&s.Limits.Timeout.Duration, DefaultTimeout)
	// The default never exceeds the time of the whole drill, which is the limit
	// that was asked for.
	orElse(&s.Limits.WorkloadsReady.Duration, defaultWorkloadsReady(s.Limits.Timeout.Duration))
	orElse(&s.Limits.Concurrency, 1)
	orElse(&s.Images.Mode, ImagesPull)
	orElse(&s.CronJobs, CronJobsSuspended)
	orElse(&s.Proven.Level, s.Level)
	for i := range s.Checks {
		c := &s.Checks[i]
		orElse(&c.Timeout.Duration, DefaultCheckTimeout)
		if c.HTTP != nil {
			orElse(&c.HTTP.Scheme, "http")
			orElse(&c.HTTP.Method, "GET")
			orElse(&c.HTTP.Path, "/")
		}
	}
}

func defaultWorkloadsReady(timeout time.Duration) time.Duration {
	if timeout <= 0 {
		return DefaultWorkloadsReady
	}
	return min(DefaultWorkloadsReady, timeout)
}

func orElse[T comparable](v *T, other T) {
	var zero T
	if *v == zero {
		*v = other
	}
}
