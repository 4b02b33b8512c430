package restore

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

func TestAnEmptyBackupSaysSo(t *testing.T) {
	for _, o := range []plan.Options{{}, {Filter: filter.Filter{IncludedNamespaces: []string{"shop"}}}, {NamespaceMapping: map[string]string{"a": "b"}}} {
		j := job(written(t, false), newTarget())
		j.Options = o
		r, err := j.Run(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"backup b is empty: it holds no items"}, r.Warnings)
	}
}

// A cluster that lost everything knows no custom resource; the backup does.
func TestANameThatTheTargetDoesNotKnowMeansWhatTheBackupHas(t *testing.T) {
	definition := item.Item{
		Key: item.Key{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: "trees.orchard.example.com"}, Version: "v1", Kind: "CustomResourceDefinition",
		Raw: []byte(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"trees.orchard.example.com"},"spec":{"group":"orchard.example.com",
			"scope":"Namespaced","names":{"plural":"trees","singular":"tree","kind":"FruitTree","shortNames":["tr"]}}}`),
	}
	tree := item.Item{
		Key: item.Key{Group: "orchard.example.com", Resource: "trees", Namespace: "shop", Name: "pear"}, Version: "v1", Kind: "FruitTree",
		Raw: []byte(`{"apiVersion":"orchard.example.com/v1","kind":"FruitTree","metadata":{"name":"pear","namespace":"shop"}}`),
	}
	namesake := item.Item{
		Key: item.Key{Group: "forest.example.com", Resource: "configmaps", Namespace: "shop", Name: "oak"}, Version: "v1", Kind: "ConfigMap",
		Raw: []byte(`{"apiVersion":"forest.example.com/v1","kind":"ConfigMap","metadata":{"name":"oak","namespace":"shop"}}`),
	}
	for name, selected := range map[string][]item.Key{
		"trees": {tree.Key, definition.Key}, "tr": {tree.Key, definition.Key}, "FruitTree": {tree.Key, definition.Key}, "tree.orchard": {tree.Key, definition.Key},
		"trees.v1.orchard.example.com": {tree.Key, definition.Key}, "*.orchard.example.com": {tree.Key, definition.Key},
		"configmaps": {configMap("a").Key}, "configmaps.forest.example.com": {namesake.Key}, "crd": nil, "apples": nil,
	} {
		j := job(written(t, true, definition, namespaceItem("shop", ""), configMap("a"), tree, namesake), newTarget())
		j.Options.Filter.IncludedResources = []string{name}
		p, err := j.Prepare(t.Context())
		if selected == nil {
			var noMatch *filter.NoMatchError
			require.ErrorAs(t, err, &noMatch, name)
			assert.ErrorContains(t, err, fmt.Sprintf("holds no resource named %q", name))
			continue
		}
		require.NoError(t, err, name)
		var got []item.Key
		for _, s := range p.Plan.Steps {
			if s.Reason != "left out by the filter of the restore" && s.GroupResource() != "namespaces" {
				got = append(got, s.Key)
			}
		}
		assert.ElementsMatch(t, selected, got, name)
	}
}
