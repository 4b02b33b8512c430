package collect

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

func many() *fake {
	return new(fake).
		has("configmaps", "shop/a", "").has("configmaps", "shop/b", "").has("configmaps", "shop/c", "").has("configmaps", "web/d", `"labels":{"x":"y"}|`).
		has("namespaces", "shop", "").has("namespaces", "web", "").
		has("persistentvolumes", "one", "").has("persistentvolumes", "two", "")
}

func TestNamedObjectsComeFirstOfTheirResource(t *testing.T) {
	want := []string{
		"configmaps shop/c", "configmaps web/d", "configmaps shop/a", "configmaps shop/b",
		"namespaces shop", "namespaces web", "persistentvolumes two", "persistentvolumes one",
	}
	o := filter.Order{"ConfigMap": {"shop/c", "web/d"}, "persistentvolumes": {"two"}}
	for _, only := range []filter.Filter{{}, {IncludedNamespaces: []string{"shop", "web", "w*"}}} {
		yes := true
		if !only.AllNamespaces() {
			only.IncludeClusterResources = &yes
		}
		keys, c, err := inOrder(t, many(), only, o)
		require.NoError(t, err)
		assert.Equal(t, want, keys)
		assert.Empty(t, c.Warnings())
		for _, r := range c.Report() {
			assert.Equal(t, r.Listed, r.Written, "%s: each is counted once", r.Name)
		}
		assert.Equal(t, 4, c.Report()[c.choice("configmaps")].Listed)
	}
}

func TestWhatIsToComeFirstAndDoesNotIsAWarning(t *testing.T) {
	no := false
	for name, c := range map[string]struct {
		f       filter.Filter
		o       filter.Order
		warning string
		keys    []string
	}{
		"it does not exist":              {filter.Filter{}, filter.Order{"configmaps": {"shop/z", "shop/c"}}, "configmaps shop/z: is in the order and does not exist", nil},
		"its namespace is not selected":  {filter.Filter{IncludedNamespaces: []string{"web"}}, filter.Order{"configmaps": {"shop/a"}}, "configmaps shop/a: is in the order and is not selected", []string{"configmaps web/d", "namespaces web"}},
		"its labels are not selected":    {filter.Filter{LabelSelector: "x=y"}, filter.Order{"configmaps": {"shop/a"}}, "configmaps shop/a: is in the order and is not selected", []string{"configmaps web/d", "namespaces web"}},
		"its resource is not selected":   {filter.Filter{IncludeClusterResources: &no}, filter.Order{"persistentvolumes": {"one"}}, "persistentvolumes: has an order and is not in the backup: " + noClusterScoped, nil},
		"it may not be read by itself":   {filter.Filter{}, filter.Order{"configmaps": {"shop/b"}}, "configmaps shop/b: is in the order and could not be read by itself", nil},
		"it is selected by its label":    {filter.Filter{LabelSelector: "x=y"}, filter.Order{"configmaps": {"web/d"}}, "", []string{"configmaps web/d", "namespaces web"}},
		"by one of its labels, or other": {filter.Filter{OrLabelSelectors: []string{"x=y", "x"}}, filter.Order{"configmaps": {"web/d"}}, "", []string{"configmaps web/d", "namespaces web"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := many()
			f.getErr = map[string]error{"configmaps shop/b": forbidden("configmaps")}
			keys, col, err := inOrder(t, f, c.f, c.o)
			require.NoError(t, err)
			assert.Empty(t, col.Problems())
			if c.keys != nil {
				assert.ElementsMatch(t, c.keys, keys)
			}
			if c.warning == "" {
				assert.Empty(t, col.Warnings())
				return
			}
			require.Len(t, col.Warnings(), 1)
			assert.Contains(t, col.Warnings()[0].Object+": "+col.Warnings()[0].Err.Error(), c.warning)
		})
	}
	t.Run("one that is left out is counted once", func(t *testing.T) {
		f := many().has("configmaps", "shop/dying", `"deletionTimestamp":"2026-01-02T03:04:05Z"|`)
		keys, c, err := inOrder(t, f, filter.Filter{}, filter.Order{"configmaps": {"shop/dying"}})
		require.NoError(t, err)
		assert.NotContains(t, keys, "configmaps shop/dying")
		assert.Equal(t, map[string]int{leftDeleting: 1}, c.Report()[c.choice("configmaps")].LeftOut)
	})
}

func TestANameThatTwoResourcesHaveMeansTheOneThatIsSelected(t *testing.T) {
	views, pods := resource("metrics.k8s.io", "v1", "pods", "PodMetrics", true), resource("", "v1", "pods", "Pod", true)
	views.Verbs = []string{"list"}
	for _, all := range [][]item.Resource{{views, pods}, {pods, views}} {
		got, err := ordered(filter.Order{"pods": {"a/b"}}, Select(filter.Filter{}, all))
		require.NoError(t, err)
		for i := range got {
			assert.Equal(t, pods.Kind, all[i].Kind)
		}
		assert.Len(t, got, 1)
	}
}

func TestAnOrderThatTheClusterCannotHaveIsRefused(t *testing.T) {
	for want, o := range map[string]filter.Order{
		`no resource is named "gadgets"`:                                                {"gadgets": {"a"}},
		`"a" of configmaps: these are namespaced, so write namespace/name`:              {"configmaps": {"a"}},
		`"a/b" of persistentvolumes: these are cluster-scoped, so write the name alone`: {"persistentvolumes": {"a/b"}},
		"the order of configmaps is given twice":                                        {"configmaps": {"a/b"}, "ConfigMap": {"a/c"}},
		`"" of configmaps is not of the form`:                                           {"configmaps": {""}},
	} {
		_, _, err := inOrder(t, many(), filter.Filter{}, o)
		assert.ErrorContains(t, err, want)
	}
}

func TestALostServerEndsTheWalkAtWhatIsToComeFirst(t *testing.T) {
	f := many()
	lost := &cluster.UnreachableError{Err: assert.AnError}
	f.getErr = map[string]error{"configmaps shop/a": lost}
	keys, _, err := inOrder(t, f, filter.Filter{}, filter.Order{"configmaps": {"shop/a"}})
	assert.ErrorIs(t, err, lost)
	assert.Empty(t, keys)

	ctx, cancel := context.WithCancel(t.Context())
	c, err := Begin(ctx, many(), filter.Filter{}, filter.Order{"configmaps": {"shop/a"}})
	require.NoError(t, err)
	cancel()
	for _, err := range c.Items(ctx) {
		assert.ErrorIs(t, err, context.Canceled)
	}
}
