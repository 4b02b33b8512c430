package crds_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/api/crds"
)

// definition is what a file may hold; anything else in it is an error.
type definition struct {
	APIVersion, Kind string
	Metadata         struct {
		Name        string
		Annotations map[string]string
	}
	Spec struct {
		Group, Scope string
		Names        names
		Versions     []version
	}
}

type names struct {
	Kind, ListKind, Plural, Singular string
	ShortNames                       []string
}

type version struct {
	Name                     string
	Served, Storage          bool
	Subresources             map[string]any
	AdditionalPrinterColumns []column
	Schema                   struct{ OpenAPIV3Schema schema }
}

type column struct {
	Name, Type, Format, Description, JSONPath string
	Priority                                  int
}

type schema struct {
	Type, Format, Description string
	Nullable                  bool
	Enum, Required            []string
	Default                   *string
	MinItems                  int
	Properties                map[string]schema
	Items                     *schema
	AdditionalProperties      *schema
	Raw                       bool   `json:"x-kubernetes-preserve-unknown-fields"`
	MapType                   string `json:"x-kubernetes-map-type"`
	ListType                  string `json:"x-kubernetes-list-type"`
}

// load is all definitions by kind.
func load(t *testing.T) map[string]definition {
	t.Helper()
	files, err := crds.Files.ReadDir(".")
	require.NoError(t, err)
	all := map[string]definition{}
	for _, f := range files {
		content, err := crds.Files.ReadFile(f.Name())
		require.NoError(t, err)
		var d definition
		require.NoError(t, yaml.UnmarshalStrict(content, &d), f.Name())
		assert.Equal(t, d.Spec.Group+"_"+d.Spec.Names.Plural+".yaml", f.Name())
		all[d.Spec.Names.Kind] = d
	}
	return all
}

// describe calls yield for each field below a schema with its path, and what
// testdata/fields.txt says of such a field.
func (s schema) describe(prefix string, yield func(path, says string, field schema)) {
	for name, field := range s.Properties {
		path := prefix + name
		says := []string{field.name()}
		add := func(is bool, word string) {
			if is {
				says = append(says, word)
			}
		}
		add(slices.Contains(s.Required, name), "required")
		add(field.Nullable, "nullable")
		add(field.Enum != nil, "enum="+strings.Join(field.Enum, "|"))
		add(field.MinItems != 0, fmt.Sprintf("minItems=%d", field.MinItems))
		if field.Default != nil {
			says = append(says, "default="+*field.Default)
		}
		add(field.atomic() || field.Items != nil && field.Items.atomic(), "atomic")
		slices.Sort(says[1:])
		yield(path, strings.Join(says, " "), field)
		field.describe(path+".", yield)
		if field.Items != nil {
			field.Items.describe(path+"[].", yield)
		}
	}
}

func (s schema) atomic() bool { return s.MapType == "atomic" || s.ListType == "atomic" }

// name is the type's in testdata/fields.txt.
func (s schema) name() string {
	switch {
	case s.Items != nil:
		return "[]" + s.Items.name()
	case s.AdditionalProperties != nil:
		return "map[string]" + s.AdditionalProperties.name()
	case s.Raw:
		return "raw"
	}
	known := map[string]string{"string date-time": "time", "string byte": "bytes", "integer int64": "int64"}
	if name, ok := known[strings.TrimSpace(s.Type+" "+s.Format)]; ok {
		return name
	}
	return s.Type + s.Format
}

// specified are the fields of testdata/fields.txt: for each kind its paths, and
// what is said of them.
func specified(t *testing.T) map[string]map[string]string {
	t.Helper()
	content, err := os.ReadFile("testdata/fields.txt")
	require.NoError(t, err)
	lines := map[string][][]string{}
	for line := range strings.Lines(string(content)) {
		if f := strings.Fields(line); len(f) > 0 && f[0] != "#" {
			require.GreaterOrEqual(t, len(f), 3, line)
			lines[f[0]] = append(lines[f[0]], f[1:])
		}
	}
	var expand func(into map[string]string, group, prefix string)
	expand = func(into map[string]string, group, prefix string) {
		require.NotEmpty(t, lines[group], "%s is nowhere described", group)
		for _, f := range lines[group] {
			path, says := prefix+f[0], slices.Clone(f[1:])
			require.NotContains(t, into, path, "said twice")
			if list, fields, ok := strings.Cut(says[0], "@"); ok {
				says[0] = list + "object"
				expand(into, fields, path+list+".")
			}
			slices.Sort(says[1:])
			into[path] = strings.Join(says, " ")
		}
	}
	out := map[string]map[string]string{}
	for kind := range load(t) {
		out[kind] = map[string]string{}
		expand(out[kind], kind, "")
	}
	return out
}

func TestTheDefinitionsHaveTheFieldsOfVelerosAndNoOther(t *testing.T) {
	want := specified(t)
	for kind, d := range load(t) {
		got := map[string]string{}
		d.Spec.Versions[0].Schema.OpenAPIV3Schema.describe("", func(path, says string, _ schema) {
			if path != "apiVersion" && path != "kind" && path != "metadata" {
				got[path] = says
			}
		})
		for path := range want[kind] {
			assert.Equal(t, want[kind][path], got[path], "%s %s", kind, path)
		}
		for path := range got {
			assert.Contains(t, want[kind], path, "%s has a field too many", kind)
		}
	}
}

// An object with a value in every field is what tests of the types and of API
// servers stand on.
func TestTheObjectsOfTheFixtureHaveAValueInEveryField(t *testing.T) {
	for kind, fields := range specified(t) {
		content, err := os.ReadFile("../../../test/fixtures/velero-v1.18.1/objects/" + strings.ToLower(kind) + ".json")
		require.NoError(t, err)
		var object map[string]any
		require.NoError(t, json.Unmarshal(content, &object))
		delete(fields, "spec") // a ServerStatusRequest says nothing in it
		for path := range fields {
			assert.NotEmpty(t, at(object, strings.Split(path, ".")), "%s %s", kind, path)
		}
	}
}

// at is the value at a path, of which [] is the first of a list.
func at(in any, path []string) any {
	if len(path) == 0 {
		return in
	}
	name, list := strings.CutSuffix(path[0], "[]")
	object, _ := in.(map[string]any)
	in = object[name]
	if elements, ok := in.([]any); list && ok && len(elements) > 0 {
		in = elements[0]
	}
	return at(in, path[1:])
}

func TestEveryFieldIsExplained(t *testing.T) {
	for kind, d := range load(t) {
		s := d.Spec.Versions[0].Schema.OpenAPIV3Schema
		assert.NotEmpty(t, s.Description, kind)
		s.describe("", func(path, _ string, field schema) {
			if path != "metadata" && path != "spec" && path != "status" {
				assert.NotEmpty(t, field.Description, "%s %s", kind, path)
			}
		})
	}
}

func TestTheDefinitionsAreServedUnderVelerosNames(t *testing.T) {
	copied := []string{
		"Status .status.phase string", "Started .status.startTimestamp date",
		"Bytes Done .status.progress.bytesDone integer/int64", "Total Bytes .status.progress.totalBytes integer/int64",
	}
	more := "Incremental Bytes .status.incrementalBytes integer/int64 wide"
	where := []string{"Storage Location .spec.backupStorageLocation string", "Age .metadata.creationTimestamp date"}
	node := "Node .status.node string"
	want := map[string]struct {
		plural, version, short string
		columns                []string
	}{
		"Backup": {"backups", "v1", "", nil},
		"BackupRepository": {"backuprepositories", "v1", "", []string{
			"Age .metadata.creationTimestamp date", "Repository Type .spec.repositoryType string",
		}},
		"BackupStorageLocation": {"backupstoragelocations", "v1", "bsl", []string{
			"Phase .status.phase string", "Last Validated .status.lastValidationTime date",
			"Age .metadata.creationTimestamp date", "Default .spec.default boolean",
		}},
		"DataDownload": {"datadownloads", "v2alpha1", "", slices.Concat(copied, where, []string{node})},
		"DataUpload":   {"datauploads", "v2alpha1", "", slices.Concat(copied, []string{more}, where, []string{node})},
		"DeleteBackupRequest": {"deletebackuprequests", "v1", "", []string{
			"BackupName .spec.backupName string", "Status .status.phase string",
		}},
		"DownloadRequest": {"downloadrequests", "v1", "", nil},
		"PodVolumeBackup": {"podvolumebackups", "v1", "", slices.Concat(copied, []string{more}, where,
			[]string{"Node .spec.node string", "Uploader .spec.uploaderType string"})},
		"PodVolumeRestore": {"podvolumerestores", "v1", "", slices.Concat(copied, where,
			[]string{node, "Uploader Type .spec.uploaderType string"})},
		"Restore": {"restores", "v1", "", nil},
		"Schedule": {"schedules", "v1", "", []string{
			"Status .status.phase string", "Schedule .spec.schedule string", "LastBackup .status.lastBackup date",
			"Age .metadata.creationTimestamp date", "Paused .spec.paused boolean",
		}},
		"ServerStatusRequest":    {"serverstatusrequests", "v1", "ssr", nil},
		"VolumeSnapshotLocation": {"volumesnapshotlocations", "v1", "vsl", nil},
	}
	all := load(t)
	assert.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(all)))
	for kind, d := range all {
		w := want[kind]
		assert.Equal(t, "apiextensions.k8s.io/v1 CustomResourceDefinition", d.APIVersion+" "+d.Kind)
		assert.Equal(t, w.plural+".velero.io", d.Metadata.Name)
		assert.Equal(t, "velero.io Namespaced", d.Spec.Group+" "+d.Spec.Scope)
		assert.Equal(t, kind+" "+kind+"List "+w.plural+" "+strings.ToLower(kind), strings.Join([]string{d.Spec.Names.Kind, d.Spec.Names.ListKind, d.Spec.Names.Plural, d.Spec.Names.Singular}, " "))
		assert.Equal(t, w.short, strings.Join(d.Spec.Names.ShortNames, " "), kind)

		require.Len(t, d.Spec.Versions, 1, kind)
		v := d.Spec.Versions[0]
		assert.Equal(t, w.version, v.Name, kind)
		assert.True(t, v.Served && v.Storage, kind)
		assert.Empty(t, v.Subresources, "%s: a status is written like a spec", kind)
		var columns []string
		for _, c := range v.AdditionalPrinterColumns {
			says := c.Name + " " + c.JSONPath + " " + c.Type
			if c.Format != "" {
				says += "/" + c.Format
			}
			if c.Priority > 0 {
				says += " wide"
			}
			columns = append(columns, says)
		}
		assert.Equal(t, w.columns, columns, kind)
	}
}
