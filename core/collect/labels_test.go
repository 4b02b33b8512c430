package collect

import (
	"context"
	"iter"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// asked notes with which selectors lists were asked for.
type asked struct {
	*fake
	lists []string
}

func (a *asked) List(ctx context.Context, r item.Resource, o cluster.ListOptions, info *cluster.ListInfo) iter.Seq2[item.Item, error] {
	if r.Name == "configmaps" {
		a.lists = append(a.lists, o.LabelSelector)
	}
	return a.fake.List(ctx, r, o, info)
}

func labelled() *fake {
	return new(fake).
		has("namespaces", "shop", "").
		has("namespaces", "web", "").
		has("namespaces", "empty", "").
		has("configmaps", "shop/a", `"labels":{"app":"x","tier":"web"}|`).
		has("configmaps", "shop/b", `"labels":{"app":"y"}|`).
		has("configmaps", "shop/c", `"labels":{"tier":"web"}|`).
		has("configmaps", "web/none", "")
}

func TestSeveralSelectorsAreOneListInItsOrderWithoutDoubles(t *testing.T) {
	a := &asked{fake: labelled()}
	c, err := Begin(t.Context(), a, filter.Filter{OrLabelSelectors: []string{"tier=web", "app in (x,y),tier!=web", "app=x"}}, nil)
	require.NoError(t, err)
	var keys []string
	for it, err := range c.Items(t.Context()) {
		require.NoError(t, err)
		keys = append(keys, it.Key.String())
	}
	assert.Equal(t, []string{"configmaps shop/a", "configmaps shop/b", "configmaps shop/c", "namespaces shop"}, keys)
	assert.Equal(t, []string{""}, a.lists, "one list")
	report := c.Report()[c.choice("configmaps")]
	assert.Equal(t, 3, report.Listed, "what labels do not select is not counted, with one selector or with several")
	assert.Equal(t, 3, report.Written)
}

func TestOneSelectorIsLeftToTheServer(t *testing.T) {
	a := &asked{fake: labelled()}
	c, err := Begin(t.Context(), a, filter.Filter{LabelSelector: "app=x"}, nil)
	require.NoError(t, err)
	for _, err := range c.Items(t.Context()) {
		require.NoError(t, err)
	}
	assert.Equal(t, []string{"app=x"}, a.lists)
}

func TestNamespacesThatAreNamedAreTakenWhateverTheirLabels(t *testing.T) {
	for _, f := range []filter.Filter{
		{IncludedNamespaces: []string{"shop", "empty"}, LabelSelector: "app=x"},
		{ExcludedNamespaces: []string{"web"}, OrLabelSelectors: []string{"app=x", "no=thing"}},
	} {
		keys, _, err := collected(t, labelled(), f)
		require.NoError(t, err)
		assert.ElementsMatch(t, []string{"namespaces shop", "namespaces empty", "configmaps shop/a"}, keys)
	}
}

func TestAnObjectWhoseLabelsCannotBeReadIsMissedByItsResource(t *testing.T) {
	f := labelled()
	f.objects = append(f.objects, item.Item{Key: item.Key{Resource: "configmaps", Namespace: "web", Name: "odd"}, Raw: []byte(`{"kind":"ConfigMap","metadata":{"name":"odd","labels":{"a":1}}}`)})
	keys, c, err := collected(t, f, filter.Filter{OrLabelSelectors: []string{"app=x", "app=y"}})
	require.NoError(t, err)
	assert.Len(t, keys, 3)
	assert.Equal(t, []string{"configmaps"}, objects(c.Problems()))
}

func TestAListThatFailsSaysWhyWithSeveralSelectorsToo(t *testing.T) {
	f := labelled()
	f.listErr = map[string]error{"configmaps": forbidden("configmaps")}
	_, c, err := collected(t, f, filter.Filter{OrLabelSelectors: []string{"app=x", "app=y"}})
	require.NoError(t, err)
	require.Len(t, c.Problems(), 1)
	assert.ErrorContains(t, c.Problems()[0].Err, "user may not")
}

func mounts(claims string) string {
	return `"labels":{"app":"db"}|"spec":{"volumes":[{"name":"tmp","emptyDir":{}},{"name":"data","persistentVolumeClaim":{"claimName":"` + claims + `"}}]}`
}

func TestAPodBringsItsClaimsAndTheirVolumesWhenLabelsLeaveThemOut(t *testing.T) {
	f := new(fake).
		has("namespaces", "shop", "").has("namespaces", "other", "").
		has("persistentvolumeclaims", "shop/data", `"spec":{"volumeName":"vol"}`).
		has("persistentvolumeclaims", "shop/unused", `"spec":{"volumeName":"unused"}`).
		has("persistentvolumeclaims", "shop/own", `"labels":{"app":"db"}|"spec":{"volumeName":"own"}`).
		has("persistentvolumeclaims", "other/data", "").
		has("persistentvolumes", "vol", "").has("persistentvolumes", "unused", "").has("persistentvolumes", "own", "").
		has("pods", "shop/db-0", mounts("data")).
		has("pods", "shop/db-1", mounts("own")).
		has("pods", "shop/db-2", mounts("gone"))
	everything := []string{
		"namespaces shop", "pods shop/db-0", "pods shop/db-1", "pods shop/db-2",
		"persistentvolumeclaims shop/data", "persistentvolumeclaims shop/own", "persistentvolumes vol", "persistentvolumes own",
	}
	no := false
	for name, c := range map[string]struct {
		f    filter.Filter
		want []string
	}{
		"one selector":                         {filter.Filter{LabelSelector: "app=db"}, everything},
		"several":                              {filter.Filter{OrLabelSelectors: []string{"app=db", "x"}}, everything},
		"the claims' resource is not included": {filter.Filter{LabelSelector: "app=db", IncludedResources: []string{"pods"}}, everything[:4]},
		"it is excluded":                       {filter.Filter{LabelSelector: "app=db", ExcludedResources: []string{"persistentvolumeclaims"}}, everything[:4]},
		"volumes are left out":                 {filter.Filter{LabelSelector: "app=db", ExcludedResources: []string{"persistentvolumes"}}, everything[:6]},
		"nothing that is in no namespace":      {filter.Filter{LabelSelector: "app=db", IncludeClusterResources: &no}, everything[1:6]},
	} {
		t.Run(name, func(t *testing.T) {
			keys, col, err := collected(t, f, c.f)
			require.NoError(t, err)
			assert.ElementsMatch(t, c.want, keys)
			assert.Empty(t, col.Problems(), "a claim that does not exist is nothing that was selected")
			for _, r := range col.Report() {
				assert.Equal(t, r.Listed, r.Written, r.Name)
			}
		})
	}
	keys, _, err := collected(t, f, filter.Filter{IncludedNamespaces: []string{"shop"}})
	require.NoError(t, err)
	assert.ElementsMatch(t, append(everything, "persistentvolumeclaims shop/unused", "persistentvolumes unused"), keys, "without labels each is listed, and taken once")
	f.has("persistentvolumeclaims", "shop/gone", `"labels":{"velero.io/exclude-from-backup":"true"}|`)
	keys, c, err := collected(t, f, filter.Filter{LabelSelector: "app=db"})
	require.NoError(t, err)
	assert.ElementsMatch(t, everything, keys, "the label that excludes is obeyed")
	assert.Equal(t, map[string]int{leftByLabel: 1}, c.Report()[c.choice("persistentvolumeclaims")].LeftOut)
}
