//go:build e2e

// Package crds installs the definitions of core/api/crds in a real API server
// and looks at what it serves.
package crds

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/api/crds"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	velerov2alpha1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v2alpha1"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

const namespace = "velero"

// server is a control plane with our definitions and a namespace for objects.
type server struct {
	*cluster.Client
	url       string
	http      *http.Client
	resources map[string]item.Resource // by kind
}

func start(t *testing.T) server {
	t.Helper()
	up := rig.ControlPlane(t, func(c *sandbox.ControlPlane) { c.Controllers = "none" })
	client, err := cluster.FromKubeconfig(up.Kubeconfig, "crds-test")
	require.NoError(t, err)
	_, err = client.Create(t.Context(), item.Resource{Version: "v1", Name: "namespaces"}, "", []byte(`{"metadata":{"name":"`+namespace+`"}}`))
	require.NoError(t, err)
	rig.InstallCRDs(t, client)

	config, err := clientcmd.RESTConfigFromKubeConfig(up.Kubeconfig)
	require.NoError(t, err)
	h, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	t.Cleanup(h.CloseIdleConnections)
	s := server{client, up.Server, h, map[string]item.Resource{}}
	resources, failures, err := client.AllVersions(t.Context())
	require.NoError(t, err)
	require.Empty(t, failures)
	for _, r := range resources {
		if r.Group == "velero.io" {
			s.resources[r.Kind] = r
		}
	}
	return s
}

// objects are those with a value in every field, by kind.
func objects(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob("../../fixtures/velero-v1.18.1/objects/*.json")
	require.NoError(t, err)
	all := map[string]*unstructured.Unstructured{}
	for _, f := range files {
		content, err := os.ReadFile(f)
		require.NoError(t, err)
		u := &unstructured.Unstructured{}
		require.NoError(t, u.UnmarshalJSON(content), f)
		u.SetNamespace(namespace)
		all[u.GetKind()] = u
	}
	require.Len(t, all, 13)
	return all
}

func encode(t *testing.T, o any) []byte {
	t.Helper()
	out, err := json.Marshal(o)
	require.NoError(t, err)
	return out
}

func TestARealAPIServerServesTheDefinitions(t *testing.T) {
	s := start(t)
	require.Equal(t, slices.Sorted(maps.Keys(objects(t))), slices.Sorted(maps.Keys(s.resources)))
	t.Run("an object comes back with every field", s.roundTrip)
	t.Run("a status is written like a spec", s.statusIsWritten)
	t.Run("values and types that Velero refuses are refused", s.refuses)
	t.Run("short names are served", s.shortNames)
	t.Run("kubectl gets the columns", s.columns)
}

func (s server) roundTrip(t *testing.T) {
	types := runtime.NewScheme()
	require.NoError(t, velerov1.AddToScheme(types))
	require.NoError(t, velerov2alpha1.AddToScheme(types))
	for kind, u := range objects(t) {
		_, err := s.Create(t.Context(), s.resources[kind], namespace, encode(t, u), cluster.StrictFields())
		require.NoError(t, err, kind)
		it, err := s.Get(t.Context(), s.resources[kind], namespace, u.GetName())
		require.NoError(t, err, kind)
		got, err := it.Object()
		require.NoError(t, err)
		for _, added := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"} {
			unstructured.RemoveNestedField(got.Object, "metadata", added)
		}
		assert.Equal(t, u.Object, got.Object, kind)

		typed, err := types.New(u.GroupVersionKind())
		require.NoError(t, err)
		unknown, err := kjson.UnmarshalStrict(it.Raw, typed)
		require.NoError(t, err, kind)
		assert.Empty(t, unknown, kind)
		assert.JSONEq(t, string(it.Raw), string(encode(t, typed)), "%s as its Go type", kind)
	}
}

func (s server) statusIsWritten(t *testing.T) {
	require.NoError(t, s.MergePatch(t.Context(), s.resources["Backup"], namespace, "one", []byte(`{"status":{"phase":"Deleting"}}`)))
	it, err := s.Get(t.Context(), s.resources["Backup"], namespace, "one")
	require.NoError(t, err)
	var b velerov1.Backup
	require.NoError(t, json.Unmarshal(it.Raw, &b))
	assert.Equal(t, velerov1.BackupPhaseDeleting, b.Status.Phase)
	assert.EqualValues(t, 2, b.Generation, "a write of a status counts too, as with Velero's definitions")

	err = s.MergePatch(t.Context(), s.resources["Backup"], namespace, "one/status", []byte(`{"status":{"phase":"New"}}`))
	assert.True(t, apierrors.IsNotFound(err), "%v", err)
}

// refuses changes one field after the other of good objects.
func (s server) refuses(t *testing.T) {
	good := objects(t)
	tried := map[string]int{}
	try := func(kind, path, change string, edit func(parent map[string]any, name string)) (name string, err error) {
		u := good[kind].DeepCopy()
		u.SetName("changed")
		parent, name := find(t, u.Object, path)
		edit(parent, name)
		tried[change]++
		_, err = s.Create(t.Context(), s.resources[kind], namespace, encode(t, u), cluster.StrictFields(), cluster.DryRun())
		return name, err
	}
	refused := func(kind, path, change string, edit func(parent map[string]any, name string)) {
		name, err := try(kind, path, change, edit)
		assert.True(t, apierrors.IsInvalid(err) && strings.Contains(err.Error(), name), "%s %s with %s: %v", kind, path, change, err)
	}
	set := func(value any) func(map[string]any, string) {
		return func(parent map[string]any, name string) { parent[name] = value }
	}
	remove := func(parent map[string]any, name string) { delete(parent, name) }
	for kind, fields := range schemas(t) {
		walk(fields, "", func(path string, field map[string]any, required bool) {
			if field["enum"] != nil {
				refused(kind, path, "another value", set("nonsense"))
			}
			if required {
				refused(kind, path, "no value", remove)
			}
			if field["nullable"] == true {
				_, err := try(kind, path, "null", set(nil))
				assert.NoError(t, err, "%s %s may be null", kind, path)
			}
		})
	}
	for kind, duration := range map[string]string{
		"Backup": "spec.ttl", "Restore": "spec.itemOperationTimeout", "BackupStorageLocation": "spec.backupSyncPeriod",
		"BackupRepository": "spec.maintenanceFrequency", "DataUpload": "spec.operationTimeout",
	} {
		refused(kind, duration, "a number", set(3600))
	}
	refused("Backup", "spec.hooks.resources[].pre[].exec.command", "an empty list", set([]any{}))
	t.Log("changes tried:", tried)
	for change, fields := range map[string]int{"another value": 27, "no value": 80, "null": 111} {
		assert.GreaterOrEqual(t, tried[change], fields, change)
	}

	u := good["Backup"].DeepCopy()
	u.SetName("changed")
	require.NoError(t, unstructured.SetNestedField(u.Object, "x", "spec", "unheardOf"))
	_, err := s.Create(t.Context(), s.resources["Backup"], namespace, encode(t, u), cluster.StrictFields(), cluster.DryRun())
	assert.ErrorContains(t, err, "unheardOf")
}

// schemas are those of our definitions, by kind.
func schemas(t *testing.T) map[string]map[string]any {
	t.Helper()
	files, err := crds.Files.ReadDir(".")
	require.NoError(t, err)
	all := map[string]map[string]any{}
	for _, f := range files {
		content, err := crds.Files.ReadFile(f.Name())
		require.NoError(t, err)
		u := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal(content, &u.Object))
		kind, _, err := unstructured.NestedString(u.Object, "spec", "names", "kind")
		require.NoError(t, err)
		versions, _, err := unstructured.NestedSlice(u.Object, "spec", "versions")
		require.NoError(t, err)
		require.Len(t, versions, 1)
		schema, _, err := unstructured.NestedMap(versions[0].(map[string]any), "schema", "openAPIV3Schema")
		require.NoError(t, err)
		all[kind] = schema
	}
	return all
}

// walk calls yield for each field below a schema.
func walk(schema map[string]any, prefix string, yield func(path string, field map[string]any, required bool)) {
	properties, _, _ := unstructured.NestedMap(schema, "properties")
	required, _, _ := unstructured.NestedStringSlice(schema, "required")
	for name := range properties {
		field := properties[name].(map[string]any)
		yield(prefix+name, field, slices.Contains(required, name))
		walk(field, prefix+name+".", yield)
		if items, ok := field["items"].(map[string]any); ok {
			walk(items, prefix+name+"[].", yield)
		}
	}
}

// find is the object that holds the field at a path, of which [] is the first
// of a list.
func find(t *testing.T, object map[string]any, path string) (parent map[string]any, name string) {
	t.Helper()
	names := strings.Split(path, ".")
	for _, n := range names[:len(names)-1] {
		n, list := strings.CutSuffix(n, "[]")
		next := object[n]
		if list {
			next = next.([]any)[0]
		}
		object = next.(map[string]any)
	}
	name = names[len(names)-1]
	require.Contains(t, object, name, path)
	return object, name
}

func (s server) shortNames(t *testing.T) {
	short := map[string][]string{}
	for kind, r := range s.resources {
		if len(r.ShortNames) > 0 {
			short[kind] = r.ShortNames
		}
	}
	assert.Equal(t, map[string][]string{"BackupStorageLocation": {"bsl"}, "VolumeSnapshotLocation": {"vsl"}, "ServerStatusRequest": {"ssr"}}, short)
}

func (s server) columns(t *testing.T) {
	want := map[string]string{
		"Backup":                 "Name, Age",
		"Restore":                "Name, Age",
		"Schedule":               "Name, Status, Schedule, LastBackup, Age, Paused",
		"BackupStorageLocation":  "Name, Phase, Last Validated, Age, Default",
		"VolumeSnapshotLocation": "Name, Age",
		"DeleteBackupRequest":    "Name, BackupName, Status",
		"DownloadRequest":        "Name, Age",
		"ServerStatusRequest":    "Name, Age",
		"PodVolumeBackup":        "Name, Status, Started, Bytes Done, Total Bytes, Incremental Bytes, Storage Location, Age, Node, Uploader",
		"PodVolumeRestore":       "Name, Status, Started, Bytes Done, Total Bytes, Storage Location, Age, Node, Uploader Type",
		"BackupRepository":       "Name, Age, Repository Type",
		"DataUpload":             "Name, Status, Started, Bytes Done, Total Bytes, Incremental Bytes, Storage Location, Age, Node",
		"DataDownload":           "Name, Status, Started, Bytes Done, Total Bytes, Storage Location, Age, Node",
	}
	for kind, r := range s.resources {
		table := s.table(t, r)
		var names []string
		for _, c := range table.ColumnDefinitions {
			names = append(names, c.Name)
		}
		assert.Equal(t, want[kind], strings.Join(names, ", "), kind)
		require.Len(t, table.Rows, 1, kind)
		for i, cell := range table.Rows[0].Cells {
			assert.NotEmpty(t, cell, "%s, column %s", kind, names[i])
		}
	}
}

// table is what kubectl get prints.
func (s server) table(t *testing.T, r item.Resource) metav1.Table {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/apis/"+r.APIVersion()+"/namespaces/"+namespace+"/"+r.Name, nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	resp, err := s.http.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", body)
	var table metav1.Table
	require.NoError(t, json.Unmarshal(body, &table))
	return table
}
