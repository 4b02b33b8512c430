package collect

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/filter"
)

// forTenant is the town as an identity sees it that has rights in shop alone, and
// none to list pods there.
func forTenant() *fake {
	f := town()
	f.listErr, f.getErr = map[string]error{}, map[string]error{}
	for _, r := range served {
		gr := r.GroupResource()
		f.listErr[gr+" "] = forbidden(gr) // in the whole cluster
		if r.Namespaced {
			f.listErr[gr+" web"] = forbidden(gr)
		}
	}
	f.listErr["widgets.example.com shop"] = forbidden("widgets.example.com")
	for _, it := range f.objects {
		if it.Key.Namespace == "" && it.Key.Name != "shop" {
			f.getErr[it.Key.String()] = forbidden(it.Key.Resource)
		}
	}
	return f
}

func messages(ps []Problem) []string {
	var out []string
	for _, p := range ps {
		out = append(out, p.Object+": "+p.Err.Error())
	}
	return out
}

func TestATenantBacksUpItsNamespace(t *testing.T) {
	keys, c, err := collected(t, forTenant(), filter.Filter{IncludedNamespaces: []string{"shop"}})
	require.NoError(t, err)
	assert.Empty(t, c.Problems())
	assert.Contains(t, keys, "namespaces shop")
	assert.Contains(t, keys, "serviceaccounts shop/sa")
	for _, k := range keys {
		assert.Contains(t, k, "shop", "nothing of others")
	}
	assert.Equal(t, []string{
		"cluster-scoped objects: left out, no permission to read: clusterrolebindings.rbac.authorization.k8s.io, clusterroles.rbac.authorization.k8s.io, customresourcedefinitions.apiextensions.k8s.io, persistentvolumes, priorityclasses.scheduling.k8s.io",
		"namespace shop: left out, no permission to list: widgets.example.com",
	}, messages(c.Warnings()))
}

func TestWhatATenantAsksForByNameIsAProblemIfItIsRefused(t *testing.T) {
	_, c, err := collected(t, forTenant(), filter.Filter{IncludedNamespaces: []string{"shop"}, IncludedResources: []string{"widgets", "configmaps"}})
	require.NoError(t, err)
	assert.Equal(t, []string{"widgets.example.com in shop"}, objects(c.Problems()))
}

func TestANamespaceInWhichATenantMayListNothingIsAProblem(t *testing.T) {
	_, c, err := collected(t, forTenant(), filter.Filter{IncludedNamespaces: []string{"shop", "web"}})
	require.NoError(t, err)
	assert.Equal(t, []string{"namespace web: no permission to list anything in it, if it exists"}, messages(c.Problems()))
}

func TestATenantNamesNamespacesInFull(t *testing.T) {
	_, _, err := collected(t, forTenant(), filter.Filter{IncludedNamespaces: []string{"sh*"}})
	assert.ErrorContains(t, err, "name namespaces in full: sh* is a pattern")
}

func TestATenantsNamespaceWithTheLabelThatExcludesItIsLeftOut(t *testing.T) {
	f := forTenant()
	for i, it := range f.objects {
		if it.Key.String() == "namespaces shop" {
			u, err := it.Object()
			require.NoError(t, err)
			u.SetLabels(map[string]string{api.LabelExcludeFromBackup: "true"})
			f.objects[i].Raw, err = u.MarshalJSON()
			require.NoError(t, err)
		}
	}
	keys, c, err := collected(t, f, filter.Filter{IncludedNamespaces: []string{"shop"}})
	require.NoError(t, err)
	assert.NotContains(t, keys, "serviceaccounts shop/sa")
	assert.Equal(t, []string{"shop"}, c.Marked())
}
