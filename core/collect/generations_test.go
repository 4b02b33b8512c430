package collect

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// The rules of both generations of filters, each against a namespaced
// resource, a cluster-scoped one and namespaces. Where Velero 1.18 differs,
// docs/compatibility.md says so.
func TestBothGenerationsOfFiltersSelectByScope(t *testing.T) {
	var (
		pods         = resource("", "v1", "pods", "Pod", true)
		classes      = resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", false)
		namespaces   = resource("", "v1", "namespaces", "Namespace", false)
		yes, no      = true, false
		shop, others = []string{"shop"}, []string{"configmaps"}
		star         = []string{"*"}
	)
	for name, c := range map[string]struct {
		f                         filter.Filter
		pods, classes, namespaces string
	}{
		"nothing said is everything":                        {filter.Filter{}, "", "", ""},
		"stars are everything":                              {filter.Filter{IncludedNamespaces: star, IncludedResources: star}, "", "", ""},
		"some namespaces leave out what is in none":         {filter.Filter{IncludedNamespaces: shop}, "", clusterScoped, ""},
		"so does an excluded namespace":                     {filter.Filter{ExcludedNamespaces: shop}, "", clusterScoped, ""},
		"resources by name, and the namespaces they need":   {filter.Filter{IncludedResources: []string{"pods"}}, "", notIncluded, notIncluded},
		"naming it does not take it from some namespaces":   {filter.Filter{IncludedNamespaces: shop, IncludedResources: []string{"storageclasses"}}, notIncluded, clusterScoped, notIncluded},
		"unless what is in none is asked for":               {filter.Filter{IncludedNamespaces: shop, IncludeClusterResources: &yes}, "", "", ""},
		"which does not widen the resources":                {filter.Filter{IncludedResources: others, IncludeClusterResources: &yes}, notIncluded, notIncluded, notIncluded},
		"nothing that is in none":                           {filter.Filter{IncludeClusterResources: &no}, "", noClusterScoped, noClusterScoped},
		"nothing that is in none, although it is named":     {filter.Filter{IncludeClusterResources: &no, IncludedResources: []string{"storageclasses"}}, notIncluded, noClusterScoped, noClusterScoped},
		"excluded by name":                                  {filter.Filter{ExcludedResources: []string{"pods", "storageclasses", "namespaces"}}, isExcluded, isExcluded, isExcluded},
		"scoped: stars are everything":                      {filter.Filter{IncludedClusterScopedResources: star, IncludedNamespaceScopedResources: star}, "", "", ""},
		"scoped: all of what is in none, of one namespace":  {filter.Filter{IncludedNamespaces: shop, IncludedClusterScopedResources: star}, "", "", ""},
		"scoped: by name, of one namespace":                 {filter.Filter{IncludedNamespaces: shop, IncludedClusterScopedResources: []string{"sc", "storageclass"}}, "", "", ""},
		"scoped: something else that is in none":            {filter.Filter{IncludedClusterScopedResources: others}, "", notIncluded, ""},
		"scoped: some that are in one leave the others out": {filter.Filter{IncludedNamespaceScopedResources: []string{"pods"}}, "", clusterPart, ""},
		"scoped: a star leaves nothing out":                 {filter.Filter{IncludedNamespaceScopedResources: star}, "", "", ""},
		"scoped: unless those are asked for":                {filter.Filter{IncludedNamespaceScopedResources: others, IncludedClusterScopedResources: star}, notIncluded, "", ""},
		"scoped: an exclusion excludes what it names":       {filter.Filter{ExcludedNamespaceScopedResources: []string{"pods"}}, isExcluded, "", ""},
		"scoped: and so does one of what is in none":        {filter.Filter{ExcludedClusterScopedResources: others}, "", "", ""},
		"scoped: an exclusion does not include":             {filter.Filter{IncludedNamespaces: shop, ExcludedClusterScopedResources: others}, "", clusterScoped, ""},
		"scoped: none that are in none":                     {filter.Filter{ExcludedClusterScopedResources: star}, "", isExcluded, isExcluded},
		"scoped: none that are in one":                      {filter.Filter{ExcludedNamespaceScopedResources: star}, isExcluded, "", ""},
		"scoped: an exclusion wins over a star":             {filter.Filter{IncludedClusterScopedResources: star, ExcludedClusterScopedResources: []string{"storageclasses"}}, "", isExcluded, ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, c.f.Check())
			all := []item.Resource{pods, classes, namespaces}
			f, _ := c.f.Resolved(all)
			got := Select(f, all)
			assert.Equal(t, c.pods, got[0].Excluded, "pods")
			assert.Equal(t, c.classes, got[1].Excluded, "storage classes")
			assert.Equal(t, c.namespaces, got[2].Excluded, "namespaces")
		})
	}
}

func TestSnapshotsOfVolumesAreLeftOutAsVeleroDoes(t *testing.T) {
	f := town().
		has("volumesnapshotclasses.snapshot.storage.k8s.io", "fast", "").
		has("volumesnapshotcontents.snapshot.storage.k8s.io", "content", "").
		has("volumesnapshots.snapshot.storage.k8s.io", "shop/snapshot", "")
	yes := true
	for _, only := range []filter.Filter{{}, {IncludeClusterResources: &yes}, {IncludedResources: []string{"*"}}, {IncludedClusterScopedResources: []string{"*"}}, {IncludedResources: []string{"*.snapshot.storage.k8s.io"}}} {
		keys, c, err := collected(t, f, only)
		require.NoError(t, err)
		assert.Contains(t, keys, "volumesnapshotclasses.snapshot.storage.k8s.io fast")
		assert.NotContains(t, keys, "volumesnapshots.snapshot.storage.k8s.io shop/snapshot")
		assert.NotContains(t, keys, "volumesnapshotcontents.snapshot.storage.k8s.io content")
		assert.Equal(t, ofSnapshots, c.Report()[c.choice("volumesnapshots.snapshot.storage.k8s.io")].Excluded)
		assert.Empty(t, c.Problems(), "nothing that was asked for is missing")
	}
	other := resource("example.com", "v1", "volumesnapshots", "VolumeSnapshot", true)
	assert.Empty(t, Select(filter.Filter{}, []item.Resource{other})[0].Excluded, "of another group they are taken")
	for _, only := range []filter.Filter{{IncludedResources: []string{"pods", "VolumeSnapshot"}}, {IncludedClusterScopedResources: []string{"volumesnapshotcontents"}}, {IncludedNamespaceScopedResources: []string{"volumesnapshots"}}} {
		_, _, err := collected(t, f, only)
		assert.ErrorContains(t, err, "cannot be included: snapshots of volumes are left out of every backup")
	}
}

func TestAResourceNamedAtTheWrongScopeIsRefused(t *testing.T) {
	_, _, err := collected(t, town(), filter.Filter{
		IncludedClusterScopedResources: []string{"pods", "persistentvolumes"}, ExcludedNamespaceScopedResources: []string{"clusterroles", "widgets", "gizmos"},
	})
	assert.EqualError(t, err, `no resource of that scope is named "clusterroles", "gizmos", "pods" (see: kubectl api-resources)`)
}

func TestAGroupThatCannotBeDiscoveredIsLeftOutByScopeToo(t *testing.T) {
	f := town()
	f.failures = []cluster.GroupFailure{{GroupVersion: "metrics.example.com/v1", Err: assert.AnError}}
	group := []string{"*.metrics.example.com"}
	_, c, err := collected(t, f, filter.Filter{ExcludedNamespaceScopedResources: group})
	require.NoError(t, err)
	require.Len(t, c.Problems(), 1, "something of it may be cluster-scoped")
	assert.ErrorContains(t, c.Problems()[0].Err, "--exclude-namespace-scoped-resources '*.metrics.example.com' --exclude-cluster-scoped-resources '*.metrics.example.com'")
	_, c, err = collected(t, f, filter.Filter{ExcludedNamespaceScopedResources: group, ExcludedClusterScopedResources: group})
	require.NoError(t, err)
	assert.Empty(t, c.Problems())
	_, c, err = collected(t, f, filter.Filter{IncludedNamespaceScopedResources: []string{"pods"}})
	require.NoError(t, err)
	assert.Empty(t, c.Problems(), "neither scope of it is asked for")
}

func TestWhatIsNeededComesAlongUnlessItIsLeftOutByName(t *testing.T) {
	yes, no := true, false
	shop := []string{"shop"}
	inShop := slices.Concat(shopNeeds[:1], shopNeeds[2:9])
	without := func(gone string) []string {
		return slices.DeleteFunc(slices.Clone(shopNeeds), func(k string) bool { return k == gone })
	}
	for name, c := range map[string]struct {
		f    filter.Filter
		want []string
	}{
		"scoped lists, of something else": {filter.Filter{IncludedNamespaces: shop, IncludedClusterScopedResources: []string{"volumesnapshotclasses"}}, shopNeeds},
		"scoped lists, without volumes":   {filter.Filter{IncludedNamespaces: shop, ExcludedClusterScopedResources: []string{"persistentvolumes"}}, without("persistentvolumes vol")},
		"nothing that is in no namespace": {filter.Filter{IncludedNamespaces: shop, IncludeClusterResources: &no}, inShop},
		"scoped: nothing that is in none": {filter.Filter{IncludedNamespaces: shop, ExcludedClusterScopedResources: []string{"*"}}, inShop},
		"although the resources are narrowed": {
			filter.Filter{IncludedNamespaces: shop, IncludedResources: []string{"pods"}, IncludeClusterResources: &yes},
			[]string{"namespaces shop", "pods shop/app", "priorityclasses.scheduling.k8s.io high"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			keys, _, err := collected(t, town(), c.f)
			require.NoError(t, err)
			assert.ElementsMatch(t, c.want, keys)
		})
	}
}
