package modifier_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/modifier"
)

// FuzzParse: whatever a file holds, it is refused or it means the same after a
// way through JSON.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("testdata/example.yaml")
	require.NoError(f, err)
	f.Add(example)
	f.Add([]byte("apiVersion: v1\nkind: ConfigMap\ndata:\n  a: 'version: v1'\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := modifier.Parse(data)
		if err != nil {
			return
		}
		text, err := json.Marshal(r)
		require.NoError(t, err)
		var back modifier.Rules
		require.NoError(t, json.Unmarshal(text, &back))
		again, err := json.Marshal(back)
		require.NoError(t, err)
		require.JSONEq(t, string(text), string(again))
	})
}

// FuzzApply: whatever a rule does to an object, the object stays the one it
// is, a failure changes nothing, and the original is left alone.
func FuzzApply(f *testing.F) {
	f.Add("patches", "remove", "/spec/replicas", "1", []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"replicas":1}}`))
	f.Add("patches", "test", "/spec", `{"a":null}`, []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":null}`))
	f.Add("mergePatches", "", "", `{"metadata":null,"spec":{"a":[1,null]}}`, []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"a":{}}}`))
	f.Add("strategicPatches", "", "", `{"spec":{"containers":[{"name":"x","$patch":"delete"}],"$retainKeys":["a"]}}`, []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"x"},{"name":"y"}]}}`))
	f.Fuzz(func(t *testing.T, kind, operation, path, value string, object []byte) {
		rule := map[string]any{"conditions": map[string]any{"groupResource": "pods"}}
		if kind == "patches" {
			rule[kind] = []any{map[string]any{"operation": operation, "path": path, "from": "/metadata", "value": value}}
		} else {
			rule[kind] = []any{map[string]any{"patchData": value}}
		}
		doc, err := json.Marshal(map[string]any{"version": "v1", "resourceModifierRules": []any{rule}})
		require.NoError(t, err)
		r, err := modifier.Parse(doc)
		if err != nil {
			return
		}
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON(object) != nil {
			return
		}
		original := u.DeepCopy()
		before := u.DeepCopy()
		applied, err := r.Apply(original, u, "pods", cluster.NewBuiltIn)
		require.Equal(t, before, original)
		if err != nil || len(applied) == 0 {
			require.Equal(t, before, u)
			return
		}
		require.Equal(t, before.GetName(), u.GetName())
		require.Equal(t, before.GroupVersionKind(), u.GroupVersionKind())
		_, err = u.MarshalJSON()
		require.NoError(t, err)
	})
}
