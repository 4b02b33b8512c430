package modifier

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/gobwas/glob"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	kubejson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// MaxSize is the most that a document may hold, in bytes: as much as a
// ConfigMap.
const MaxSize = 1 << 20

// version is the only version of the format.
const version = "v1"

// document is the format of the file.
type document struct {
	Version string `json:"version"`
	Rules   []Rule `json:"resourceModifierRules"`
}

// Parse reads rules from YAML or JSON of at most MaxSize bytes: the document
// itself, or the manifest of a ConfigMap that holds it under its only key. The
// error names every mistake, with the number of its rule from 1.
//
// It is stricter than Velero, which reports some mistakes for each object that it
// restores, or never: unknown or wrongly cased operations, paths that are not
// JSON pointers, malformed patterns and patches, and rules without a patch.
func Parse(data []byte) (Rules, error) {
	text, err := only(data)
	if err != nil {
		return Rules{}, err
	}
	var meta metav1.TypeMeta
	if err := json.Unmarshal(text, &meta); err == nil && meta.Kind == "ConfigMap" {
		if text, err = fromConfigMap(text); err != nil {
			return Rules{}, err
		}
	}
	return decode(text)
}

// only is the single document of a YAML file, as JSON.
func only(data []byte) ([]byte, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("resource modifiers: %d bytes exceed the %d that a ConfigMap can hold", len(data), MaxSize)
	}
	var found []byte
	for r := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
		part, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("resource modifiers: %w", err)
		}
		text, err := yaml.YAMLToJSONStrict(part)
		if err != nil {
			return nil, fmt.Errorf("resource modifiers: %w", err)
		}
		if string(text) == "null" { // nothing but comments
			continue
		}
		if found != nil {
			return nil, errors.New("resource modifiers: the file contains more than one YAML document")
		}
		found = text
	}
	if found == nil {
		return nil, errors.New("resource modifiers: the file is empty")
	}
	if found[0] != '{' {
		return nil, errors.New("resource modifiers: the file has no version and resourceModifierRules")
	}
	return found, nil
}

func fromConfigMap(text []byte) ([]byte, error) {
	var cm corev1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &cm); err != nil {
		return nil, fmt.Errorf("resource modifiers: ConfigMap: %w", err)
	}
	if len(cm.Data) != 1 || len(cm.BinaryData) > 0 {
		return nil, fmt.Errorf("resource modifiers: ConfigMap %s must contain the document under exactly one key of data, found %d (and %d of binaryData)", cm.Name, len(cm.Data), len(cm.BinaryData))
	}
	for _, v := range cm.Data {
		return only([]byte(v))
	}
	return nil, nil
}

// decode reads a document in JSON.
func decode(text []byte) (Rules, error) {
	var d struct {
		Version string            `json:"version"`
		Rules   []json.RawMessage `json:"resourceModifierRules"`
	}
	errs := strictly(text, &d)
	for i, err := range errs {
		errs[i] = fmt.Errorf("resource modifiers: %w", err)
	}
	if !strings.EqualFold(d.Version, version) {
		errs = append(errs, fmt.Errorf("resource modifiers: version is %q and must be %q", d.Version, version))
	}
	if len(d.Rules) == 0 {
		errs = append(errs, errors.New("resource modifiers: resourceModifierRules is empty"))
	}
	var out Rules
	for i, raw := range d.Rules {
		var r Rule
		mistakes := strictly(raw, &r)
		if len(mistakes) == 0 {
			var c compiled
			c, mistakes = compile(r)
			out.rules = append(out.rules, c)
		}
		for _, err := range mistakes {
			errs = append(errs, fmt.Errorf("resource modifier rule %d: %w", i+1, err))
		}
	}
	if len(errs) > 0 {
		return Rules{}, errors.Join(errs...)
	}
	return out, nil
}

// strictly decodes JSON and returns every unknown field, or the first value of
// a wrong type.
func strictly(text []byte, into any) []error {
	unknown, err := kubejson.UnmarshalStrict(text, into)
	if err != nil {
		return []error{err}
	}
	return unknown
}

// MarshalJSON writes the document, which UnmarshalJSON reads back.
func (r Rules) MarshalJSON() ([]byte, error) {
	if r.IsZero() {
		return []byte("null"), nil
	}
	d := document{Version: version}
	for _, c := range r.rules {
		d.Rules = append(d.Rules, c.Rule)
	}
	return json.Marshal(d)
}

// UnmarshalJSON reads a document in JSON as strictly as Parse does.
func (r *Rules) UnmarshalJSON(data []byte) (err error) {
	if string(data) == "null" {
		*r = Rules{}
		return nil
	}
	*r, err = decode(data)
	return err
}

// mistakes gathers what is wrong with one rule.
type mistakes []error

func (m *mistakes) add(format string, args ...any) { *m = append(*m, fmt.Errorf(format, args...)) }

func compile(r Rule) (compiled, []error) {
	var m mistakes
	c := compiled{Rule: r}
	c.conditions(&m)
	if kinds := c.patches(&m); kinds != 1 {
		m.add("exactly one of patches, mergePatches and strategicPatches is required, found %d", kinds)
	}
	return c, m
}

func (c *compiled) conditions(m *mistakes) {
	var err error
	in := c.Conditions
	if in.GroupResource == "" {
		m.add("conditions.groupResource is required")
	} else if c.resource, err = glob.Compile(in.GroupResource, '.'); err != nil {
		m.add("conditions.groupResource %q: %w", in.GroupResource, err)
	}
	for _, n := range in.Namespaces {
		g, err := glob.Compile(n)
		if err != nil || n == "" {
			m.add("conditions.namespaces: %q is not a name or pattern", n)
			continue
		}
		c.namespaces = append(c.namespaces, g)
	}
	if in.ResourceNameRegex != "" {
		if c.name, err = regexp.Compile(in.ResourceNameRegex); err != nil {
			m.add("conditions.resourceNameRegex: %w", err)
		}
	}
	if in.LabelSelector != nil {
		if c.labels, err = metav1.LabelSelectorAsSelector(in.LabelSelector); err != nil {
			m.add("conditions.labelSelector: %w", err)
		}
	}
	var tests []Operation
	for i, match := range in.Matches {
		checkPointer(m, fmt.Sprintf("conditions.matches[%d].path", i), match.Path)
		tests = append(tests, Operation{Operation: "test", Path: match.Path, Value: match.Value})
	}
	if len(tests) > 0 {
		if c.matches, err = newJSONPatch(tests); err != nil {
			m.add("conditions.matches%w", err)
		}
	}
}

// patches makes the rule's patcher and returns how many kinds of patches the
// rule has.
func (c *compiled) patches(m *mistakes) (kinds int) {
	if len(c.Patches) > 0 {
		kinds++
		c.jsonPatches(m)
	}
	if len(c.MergePatches) > 0 {
		kinds++
		var all mergePatches
		eachPatch(m, "mergePatches", c.MergePatches, func(text json.RawMessage) { all = append(all, text) })
		c.patch = all
	}
	if len(c.StrategicPatches) > 0 {
		kinds++
		var all strategicPatches
		eachPatch(m, "strategicPatches", c.StrategicPatches, func(text json.RawMessage) {
			var fields map[string]any
			if err := utiljson.Unmarshal(text, &fields); err != nil {
				m.add("strategicPatches: %w", err)
			}
			all = append(all, fields)
		})
		c.patch = all
	}
	return kinds
}

func eachPatch(m *mistakes, field string, patches []Patch, use func(json.RawMessage)) {
	for i, p := range patches {
		text, err := p.decode()
		if err != nil {
			m.add("%s[%d].patchData: %w", field, i, err)
			continue
		}
		use(text)
	}
}

func (c *compiled) jsonPatches(m *mistakes) {
	for i, o := range c.Patches {
		field := fmt.Sprintf("patches[%d]", i)
		if !slices.Contains([]string{"add", "remove", "replace", "move", "copy", "test"}, o.Operation) {
			m.add("%s.operation is %q and must be one of add, remove, replace, move, copy and test", field, o.Operation)
		}
		checkPointer(m, field+".path", o.Path)
		if o.Operation == "move" || o.Operation == "copy" {
			checkPointer(m, field+".from", o.From)
		}
	}
	p, err := newJSONPatch(c.Patches)
	if err != nil {
		m.add("patches%w", err)
	}
	c.patch = p
}

// checkPointer accepts JSON pointers (RFC 6901) except the empty one, which is
// the whole object: Velero rejects it too.
func checkPointer(m *mistakes, field, pointer string) {
	rest := strings.NewReplacer("~0", "", "~1", "").Replace(pointer)
	if !strings.HasPrefix(pointer, "/") || strings.Contains(rest, "~") {
		m.add(`%s is %q and must be a JSON pointer such as /spec/replicas, with ~1 for a "/" and ~0 for a "~" in a name`, field, pointer)
	}
}
