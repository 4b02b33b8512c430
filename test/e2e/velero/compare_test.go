//go:build e2e

package velero

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/backup"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
)

// difference is one that is allowed between a backup that Velero v1.18.1 made
// and ours of the same objects. The table in docs/compatibility.md has the same
// rows.
type difference struct {
	File  string // NAME stands for the backup's name
	Field string // a JSON path; [] is an element of a list
	Why   string
}

// allowed is everything in which the two may differ, and each must occur.
var allowed = []difference{
	{"NAME-lifeboat-manifest.json.gz", "the file", "Lifeboat's digests; Velero ignores the file"},
	{"velero-backup.json", "metadata.annotations.lifeboat.dev/manifest", "records that a manifest was written, so that a lost one is noticed"},
	{"velero-backup.json", "metadata.generation", "counts writes to an API server; Lifeboat writes the file once, and not there"},
	{"velero-backup.json", "metadata.resourceVersion", "same reason"},
	{"velero-backup.json", "metadata.managedFields", "same reason"},
	{"velero-backup.json", "spec.snapshotVolumes", "explicitly false: no volume data is saved"},
	{"velero-backup.json", "metadata.creationTimestamp", "a time"},
	{"velero-backup.json", "status.startTimestamp", "same reason"},
	{"velero-backup.json", "status.completionTimestamp", "same reason"},
	{"velero-backup.json", "status.expiration", "same reason"},
	{"velero-backup.json", "status.warnings", "one for each claim and volume: their data is not saved"},
	{"NAME-results.gz", "warnings.namespaces", "the claims"},
	{"NAME-results.gz", "warnings.cluster", "the volumes"},
	{"NAME-podvolumebackups.json.gz", "[]", "no volume data is saved"},
	{"NAME-volumeinfo.json.gz", "[].backupMethod", "same reason"},
	{"NAME-volumeinfo.json.gz", "[].startTimestamp", "same reason"},
	{"NAME-volumeinfo.json.gz", "[].completionTimestamp", "same reason"},
	{"NAME-volumeinfo.json.gz", "[].result", "same reason"},
	{"NAME-volumeinfo.json.gz", "[].pvbInfo", "same reason"},
	{"NAME-volumeinfo.json.gz", "[].skipped", "true, so that Velero does not consider the volume saved either"},
	{"NAME-volumeinfo.json.gz", "[].skippedReason", "states the reason"},
	{"NAME-volumesnapshots.json.gz", "the list", "`[]`, not `null`, if it is empty: every JSON reader accepts it as a list"},
	{"NAME-logs.gz", "logSource", "source file and line are omitted"},
	{"NAME-logs.gz", "lines", "problems and one line at the end, not each step"},
	{"NAME.tar.gz", "order of items", "by resource as discovery lists them, not by blocks of items; readers do not depend on it"},
	{"NAME.tar.gz", "modification time", "the start of the backup for all entries, so that equal objects make equal archives"},
}

// velerosCluster serves the objects that a backup of Velero holds, as the
// cluster did at that time: no API server would give them their identity and
// status again.
type velerosCluster struct {
	backup    velerov1.Backup
	items     []item.Item
	resources []item.Resource
}

func clusterOf(t *testing.T, s store.Store, name string) *velerosCluster {
	t.Helper()
	b, err := catalog.Read(t.Context(), s, name)
	require.NoError(t, err)
	r, err := s.Get(t.Context(), store.Contents(name))
	require.NoError(t, err)
	defer r.Close()
	c := &velerosCluster{backup: b}
	for it, err := range archive.NewReader(r, archive.Limits{}).Items() {
		require.NoError(t, err)
		c.items = append(c.items, it)
		known := func(r item.Resource) bool { return r.GroupResource() == it.Key.GroupResource() }
		if !slices.ContainsFunc(c.resources, known) {
			c.resources = append(c.resources, item.Resource{
				Group: it.Key.Group, Version: it.Version, Name: it.Key.Resource, Kind: it.Kind, Namespaced: it.Key.Namespace != "",
				Singular: strings.ToLower(it.Kind), Verbs: []string{"list", "create", "get", "delete"},
			})
		}
	}
	slices.SortFunc(c.items, func(a, b item.Item) int { return item.Compare(a.Key, b.Key) })
	slices.SortFunc(c.resources, func(a, b item.Resource) int {
		return item.Compare(item.Key{Group: a.Group, Resource: a.Name}, item.Key{Group: b.Group, Resource: b.Name})
	})
	return c
}

func (c *velerosCluster) Explain(err error) error { return err }

func (c *velerosCluster) Version(context.Context) (version.Info, error) {
	a := c.backup.Annotations
	return version.Info{GitVersion: a[api.AnnotationSourceGitVersion], Major: a[api.AnnotationSourceMajor], Minor: a[api.AnnotationSourceMinor]}, nil
}

func (c *velerosCluster) Resources(context.Context) ([]item.Resource, []cluster.GroupFailure, error) {
	return c.resources, nil, nil
}

func (c *velerosCluster) List(_ context.Context, r item.Resource, o cluster.ListOptions, _ *cluster.ListInfo) iter.Seq2[item.Item, error] {
	return func(yield func(item.Item, error) bool) {
		selector, err := labels.Parse(o.LabelSelector)
		if err != nil {
			yield(item.Item{}, err)
			return
		}
		for _, it := range c.items {
			u, err := it.Object()
			if err != nil {
				yield(item.Item{}, err)
				return
			}
			in := o.Namespace == "" || o.Namespace == it.Key.Namespace
			if it.Key.GroupResource() == r.GroupResource() && in && selector.Matches(labels.Set(u.GetLabels())) && !yield(it, nil) {
				return
			}
		}
	}
}

func (c *velerosCluster) Get(_ context.Context, r item.Resource, namespace, name string) (item.Item, error) {
	key := item.Key{Group: r.Group, Resource: r.Name, Namespace: namespace, Name: name}
	if i := slices.IndexFunc(c.items, func(it item.Item) bool { return it.Key == key }); i >= 0 {
		return c.items[i], nil
	}
	return item.Item{}, apierrors.NewNotFound(schema.GroupResource{Group: r.Group, Resource: r.Name}, name)
}

// again backs up the objects of a backup of Velero as that one was asked for.
func again(t *testing.T, c *velerosCluster) store.Store {
	t.Helper()
	s, b := mem.New(), c.backup
	asked := map[string]string{}
	for k, v := range b.Labels {
		if k != api.LabelStorageLocation {
			asked[k] = v
		}
	}
	object := velerov1.Backup{
		ObjectMeta: metav1.ObjectMeta{Name: b.Name, UID: b.UID, Labels: asked},
		Spec: velerov1.BackupSpec{
			IncludedNamespaces: b.Spec.IncludedNamespaces, ExcludedNamespaces: b.Spec.ExcludedNamespaces,
			TTL: b.Spec.TTL, SnapshotVolumes: new(bool),
		},
	}
	r, err := backup.Job{
		Object: object, Open: func(context.Context) (store.Store, error) { return s, nil }, Cluster: c,
		Now: func() time.Time { return b.Status.CompletionTimestamp.Add(time.Minute) },
	}.Run(t.Context())
	require.NoError(t, err)
	require.True(t, r.Complete(), "%v", r.Errors)
	return s
}

func TestOurBackupOfTheObjectsOfAVelerosIsThatBackupFileByFileAndFieldByField(t *testing.T) {
	seen := map[difference]bool{}
	for archive, names := range buckets() {
		for name := range names {
			t.Run(name, func(t *testing.T) {
				theirs := unpack(t, archive)
				ours := again(t, clusterOf(t, theirs, name))
				for _, d := range compare(t, name, files(t, theirs, name), files(t, ours, name)) {
					i := slices.IndexFunc(allowed, func(a difference) bool { return a.File == d.File && a.Field == d.Field })
					if assert.GreaterOrEqual(t, i, 0, "%s, %s: %s", d.File, d.Field, d.Why) {
						seen[allowed[i]] = true
					}
				}
			})
		}
	}
	for _, a := range allowed {
		assert.True(t, seen[a], "nothing differs in %s, %s: take it off the list", a.File, a.Field)
	}
}

func TestTheAllowedDifferencesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile(root + "/docs/compatibility.md")
	require.NoError(t, err)
	for _, a := range allowed {
		assert.Contains(t, string(doc), fmt.Sprintf("\n| `%s` | %s | %s |\n", a.File, field(a.Field), a.Why))
	}
}

// testName is one that docs/compatibility.md names.
var testName = regexp.MustCompile(`Test[A-Z]\w+`)

func TestEveryTestThatCompatibilityNamesIsThere(t *testing.T) {
	doc, err := os.ReadFile(root + "/docs/compatibility.md")
	require.NoError(t, err)
	there := map[string]bool{}
	require.NoError(t, filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(source, -1) {
			there[string(m[1])] = true
		}
		return err
	}))
	for _, name := range testName.FindAllString(string(doc), -1) {
		assert.True(t, there[name], "%s is gone", name)
	}
}

// field is a field as the table shows it; what has a space is no field.
func field(f string) string {
	if strings.Contains(f, " ") || f == "lines" {
		return f
	}
	return "`" + f + "`"
}

// files are those of a backup by name, the backup's name in it as NAME.
func files(t *testing.T, s store.Store, name string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for info, err := range s.List(t.Context(), store.BackupPrefix(name), true) {
		require.NoError(t, err)
		r, err := s.Get(t.Context(), info.Key)
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		if strings.HasSuffix(info.Key, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(content))
			require.NoError(t, err, info.Key)
			content, err = io.ReadAll(z)
			require.NoError(t, err, info.Key)
		}
		out[strings.ReplaceAll(path.Base(info.Key), name, "NAME")] = content
	}
	return out
}

// compare lists all differences, each field of each file once.
func compare(t *testing.T, name string, theirs, ours map[string][]byte) []difference {
	t.Helper()
	var out []difference
	for file := range ours {
		if _, there := theirs[file]; !there {
			out = append(out, difference{file, "the file", "Velero writes none"})
		}
	}
	for file, theirContent := range theirs {
		ourContent, there := ours[file]
		switch {
		case !there:
			out = append(out, difference{file, "the file", "we write none"})
		case file == "NAME.tar.gz":
			out = append(out, compareArchives(t, theirContent, ourContent)...)
		case file == "NAME-logs.gz":
			out = append(out, compareLogs(theirContent, ourContent)...)
		default:
			out = append(out, compareJSON(t, file, theirContent, ourContent)...)
		}
	}
	return out
}

func compareJSON(t *testing.T, file string, theirs, ours []byte) []difference {
	t.Helper()
	var a, b any
	require.NoError(t, json.Unmarshal(theirs, &a), file)
	require.NoError(t, json.Unmarshal(ours, &b), file)
	out := diff(file, "", a, b)
	// One line and a newline for those that are zipped, indented for the other.
	if bytes.Count(theirs, []byte("\n")) > 1 != (bytes.Count(ours, []byte("\n")) > 1) || bytes.HasSuffix(theirs, []byte("\n")) != bytes.HasSuffix(ours, []byte("\n")) {
		out = append(out, difference{file, "form", "lines"})
	}
	return out
}

// diff descends into what both have; a list of objects is one of equal
// elements when it has the same length, and else a difference as a whole.
func diff(file, at string, theirs, ours any) []difference {
	switch a := theirs.(type) {
	case map[string]any:
		b, ok := ours.(map[string]any)
		if !ok {
			break
		}
		var out []difference
		for k := range a {
			if _, both := b[k]; !both {
				out = append(out, difference{file, join(at, k), fmt.Sprintf("only Velero has it: %v", a[k])})
				continue
			}
			out = append(out, diff(file, join(at, k), a[k], b[k])...)
		}
		for k := range b {
			if _, both := a[k]; !both {
				out = append(out, difference{file, join(at, k), fmt.Sprintf("only we have it: %v", b[k])})
			}
		}
		return out
	case []any:
		b, ok := ours.([]any)
		if !ok {
			break
		}
		if len(a) != len(b) {
			return []difference{{file, at + "[]", fmt.Sprintf("%d and %d", len(a), len(b))}}
		}
		var out []difference
		for i := range a {
			out = append(out, diff(file, at+"[]", a[i], b[i])...)
		}
		return out
	}
	if !reflect.DeepEqual(theirs, ours) {
		if at == "" {
			at = "the list"
		}
		return []difference{{file, at, fmt.Sprintf("%v and %v", theirs, ours)}}
	}
	return nil
}

func join(at, field string) string { return strings.TrimPrefix(at+"."+field, ".") }

// logLine is a line of logrus with the fields that each has.
var logLine = regexp.MustCompile(`^time="([^"]+)" level=(info|warning|error|debug) msg=(".*"|\S+) .*\bbackup=(\S+)`)

func compareLogs(theirs, ours []byte) []difference {
	const file = "NAME-logs.gz"
	out := []difference{{file, "lines", ""}}
	if bytes.Contains(theirs, []byte(" logSource=")) && !bytes.Contains(ours, []byte(" logSource=")) {
		out = append(out, difference{file, "logSource", ""})
	}
	of := logLine.FindSubmatch(theirs)
	for line := range bytes.Lines(ours) {
		m := logLine.FindSubmatch(bytes.TrimSuffix(line, []byte("\n")))
		if m == nil || of == nil {
			out = append(out, difference{file, "form of a line", string(line)})
			continue
		}
		if _, err := time.Parse(time.RFC3339, string(m[1])); err != nil || !bytes.Equal(m[4], of[4]) {
			out = append(out, difference{file, "fields of a line", string(line)})
		}
	}
	return out
}

// entry is one file of an archive.
type entry struct {
	header  tar.Header
	content string
}

func read(t *testing.T, archive []byte) (names []string, entries map[string]entry) {
	t.Helper()
	entries = map[string]entry{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return names, entries
		}
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NotContains(t, entries, h.Name, "twice")
		names = append(names, h.Name)
		entries[h.Name] = entry{*h, string(content)}
	}
}

func compareArchives(t *testing.T, theirs, ours []byte) []difference {
	t.Helper()
	const file = "NAME.tar.gz"
	var out []difference
	ourNames, us := read(t, ours)
	theirNames, they := read(t, theirs)
	if !slices.Equal(ourNames, theirNames) {
		out = append(out, difference{file, "order of items", ""})
	}
	for _, names := range [][]string{theirNames, ourNames} {
		out = append(out, misplaced(file, names)...)
	}
	for name, a := range they {
		b, both := us[name]
		if !both {
			out = append(out, difference{file, "entries", "only Velero has " + name})
			continue
		}
		if a.content != b.content {
			out = append(out, difference{file, "content", name})
		}
		if !a.header.ModTime.Equal(b.header.ModTime) {
			out = append(out, difference{file, "modification time", name})
		}
		a.header.ModTime, b.header.ModTime = time.Time{}, time.Time{}
		if !assert.ObjectsAreEqual(a.header, b.header) {
			out = append(out, difference{file, "header", fmt.Sprintf("%+v and %+v", a.header, b.header)})
		}
	}
	for name := range us {
		if _, both := they[name]; !both {
			out = append(out, difference{file, "entries", "only we have " + name})
		}
	}
	return out
}

// preferred is the copy of an item for the preferred version.
var preferred = regexp.MustCompile(`/[^/]+-preferredversion/`)

// misplaced holds the order that both keep: the version first, and each item
// followed by its copy.
func misplaced(file string, names []string) []difference {
	if len(names)%2 == 0 || names[0] != "metadata/version" {
		return []difference{{file, "first entry", names[0]}}
	}
	for pair := range slices.Chunk(names[1:], 2) {
		if preferred.MatchString(pair[0]) || !preferred.MatchString(pair[1]) || pair[0] != preferred.ReplaceAllString(pair[1], "/") {
			return []difference{{file, "order of an item and its copy", pair[0]}}
		}
	}
	return nil
}

// The comparison itself sees what it is there for.
func TestTheComparisonSeesEveryKindOfDifference(t *testing.T) {
	small := root + "/test/fixtures/velero-v1.18.1/bucket-small.tar.gz"
	var name string
	for name = range buckets()[small] {
	}
	theirs := files(t, unpack(t, small), name)
	assert.Equal(t, []difference{{"NAME-logs.gz", "lines", ""}}, compare(t, name, theirs, theirs), "nothing but that logs are not compared line by line")
	for want, change := range map[string]func(m map[string][]byte){
		"NAME-results.gz the file":                  func(m map[string][]byte) { delete(m, "NAME-results.gz") },
		"other the file":                            func(m map[string][]byte) { m["other"] = nil },
		"velero-backup.json status.phase":           edit("velero-backup.json", "Completed", "Failed"),
		"velero-backup.json spec.ttl":               edit("velero-backup.json", `"ttl"`, `"tttl"`),
		"velero-backup.json form":                   func(m map[string][]byte) { m["velero-backup.json"] = append(m["velero-backup.json"], '\n') },
		"NAME-resource-list.json.gz v1/Pod":         edit("NAME-resource-list.json.gz", "v1/Pod", "v1/Pea"),
		"NAME-resource-list.json.gz v1/ConfigMap[]": edit("NAME-resource-list.json.gz", "settings", "sittings"),
		"NAME.tar.gz content":                       edit("NAME.tar.gz", `"name":"settings"`, `"name":"sittings"`),
		"NAME.tar.gz entries":                       edit("NAME.tar.gz", "namespaces/notes/token.json", "namespaces/notes/toekn.json"),
		"NAME-logs.gz form of a line":               edit("NAME-logs.gz", "level=info", "level=nice"),
		"NAME-logs.gz fields of a line":             edit("NAME-logs.gz", "backup=velero/", "backup=valero/"),
	} {
		changed := map[string][]byte{}
		for file, content := range theirs {
			changed[file] = slices.Clone(content)
		}
		change(changed)
		var got []string
		for _, d := range compare(t, name, theirs, changed) {
			got = append(got, d.File+" "+d.Field)
		}
		assert.Contains(t, got, want)
	}
}

// edit replaces a text by one of the same length; in the headers of an archive,
// by one of the same letters, since they hold a sum.
func edit(file, from, to string) func(m map[string][]byte) {
	return func(m map[string][]byte) { m[file] = bytes.ReplaceAll(m[file], []byte(from), []byte(to)) }
}
