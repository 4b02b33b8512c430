package filter

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

func TestNamespacesAreSelectedByNameAndWildcard(t *testing.T) {
	for name, c := range map[string]struct {
		in, ex  []string
		yes, no []string
		all     bool
	}{
		"nothing said is everything":      {nil, nil, []string{"a", "kube-system"}, nil, true},
		"a star is everything":            {[]string{"*"}, nil, []string{"a"}, nil, true},
		"names":                           {[]string{"shop", "web"}, nil, []string{"shop", "web"}, []string{"shops", "sho", "default"}, false},
		"wildcards":                       {[]string{"team-*", "t?", "[ab]1"}, nil, []string{"team-", "team-x", "t1", "a1"}, []string{"team", "t", "c1"}, false},
		"an exclusion wins":               {[]string{"team-*"}, []string{"team-x"}, []string{"team-y"}, []string{"team-x"}, false},
		"an exclusion alone narrows":      {nil, []string{"tmp-*"}, []string{"a"}, []string{"tmp-1"}, false},
		"a star beside others is a star":  {[]string{"a", "*"}, nil, []string{"b"}, nil, true},
		"a star with an exclusion is not": {[]string{"*"}, []string{"a"}, []string{"b"}, []string{"a"}, false},
	} {
		f := Filter{IncludedNamespaces: c.in, ExcludedNamespaces: c.ex}
		require.NoError(t, f.Check(), name)
		for _, n := range c.yes {
			assert.True(t, f.HasNamespace(n), "%s: %s", name, n)
		}
		for _, n := range c.no {
			assert.False(t, f.HasNamespace(n), "%s: %s", name, n)
		}
		assert.Equal(t, c.all, f.AllNamespaces(), name)
	}
}

func TestEveryMistakeOfAFilterIsNamed(t *testing.T) {
	err := Filter{
		IncludedNamespaces: []string{"a", "Shop", "[", "x**", " b", "ns-abc]", "ns[abc]]", "-123foo", "foo321-", "ns[]"}, ExcludedNamespaces: []string{"a", "*", ""},
		IncludedResources: []string{"pods", "", "deploy["}, ExcludedResources: []string{"pods", "*"},
		LabelSelector: "a in (",
	}.Check()
	for _, want := range []string{
		`"Shop" is not valid`, `"[" is not valid`, `"x**" is not valid`, `" b" is not valid`, `"ns-abc]" is not valid`, `"ns[abc]]" is not valid`, `"-123foo" is not valid`, `"foo321-" is not valid`, `"ns[]" is not valid`,
		`the pattern "deploy[" for a resource is not valid`, `"" is not valid`,
		`namespace "a" is both`, `resource "pods" is both`, `excluding the namespace "*"`, `excluding the resource "*"`,
		"the name of a resource is empty", `label selector "a in (" is not valid`,
	} {
		assert.ErrorContains(t, err, want)
	}
	assert.NoError(t, Filter{}.Check())
	err = Filter{
		IncludedClusterScopedResources: []string{"pv", ""}, ExcludedClusterScopedResources: []string{"pv", "*"},
		IncludedNamespaceScopedResources: []string{"pods"}, ExcludedNamespaceScopedResources: []string{"pods", ""},
		LabelSelector: "a=b", OrLabelSelectors: []string{"", "a > 1"},
	}.Check()
	for _, want := range []string{
		`cluster-scoped resource "pv" is both`, `excluding the cluster-scoped resource "*" leaves nothing to include`, "the name of a cluster-scoped resource is empty",
		`namespace-scoped resource "pods" is both`, "the name of a namespace-scoped resource is empty",
		"--selector and --or-selector cannot be used together", "a label selector of --or-selector is empty", `"a > 1": operator`,
	} {
		assert.ErrorContains(t, err, want)
	}
	assert.NoError(t, Filter{ExcludedClusterScopedResources: []string{"*"}, IncludedNamespaceScopedResources: []string{"*"}}.Check(), "nothing cluster-scoped")
}

// Velero refuses the two together (oldAndNewFilterParametersUsedTogether in
// pkg/controller/backup_controller.go).
func TestTheTwoGenerationsOfFiltersAreNotMixed(t *testing.T) {
	yes := true
	byResource := []Filter{{IncludedResources: []string{"pods"}}, {ExcludedResources: []string{"pods"}}, {IncludeClusterResources: &yes}}
	for _, f := range byResource {
		require.NoError(t, f.Check())
		for _, scoped := range []func(*Filter){
			func(f *Filter) { f.IncludedClusterScopedResources = []string{"nodes"} },
			func(f *Filter) { f.ExcludedClusterScopedResources = []string{"nodes"} },
			func(f *Filter) { f.IncludedNamespaceScopedResources = []string{"secrets"} },
			func(f *Filter) { f.ExcludedNamespaceScopedResources = []string{"secrets"} },
		} {
			alone, mixed := Filter{}, f
			scoped(&alone)
			scoped(&mixed)
			assert.NoError(t, alone.Check())
			assert.EqualError(t, mixed.Check(), ErrMixed.Error(), "one error")
		}
	}
}

var deployments = item.Resource{Group: "apps", Version: "v1", Name: "deployments", Singular: "deployment", Kind: "Deployment", ShortNames: []string{"deploy"}}

func TestLabels(t *testing.T) {
	f := Filter{LabelSelector: "app=shop,tier!=cache"}
	assert.True(t, f.MatchLabels(labels.Set{"app": "shop"}))
	assert.False(t, f.MatchLabels(labels.Set{"app": "shop", "tier": "cache"}))
	assert.True(t, Filter{}.MatchLabels(nil))
	assert.False(t, Filter{LabelSelector: "a in ("}.MatchLabels(nil), "a selector nobody understands selects nothing")
	or := Filter{OrLabelSelectors: []string{"app=shop,tier=web", "team"}}
	assert.True(t, or.MatchLabels(labels.Set{"app": "shop", "tier": "web"}))
	assert.True(t, or.MatchLabels(labels.Set{"team": "a"}))
	assert.False(t, or.MatchLabels(labels.Set{"app": "shop"}), "one of them as a whole")
	assert.False(t, or.MatchLabels(nil))
}

func TestNarrowedMeansThatNeededObjectsMayBeLeftOut(t *testing.T) {
	for _, f := range []Filter{
		{IncludedNamespaces: []string{"a"}}, {ExcludedNamespaces: []string{"a"}}, {LabelSelector: "a"}, {IncludedResources: []string{"pods"}},
		{OrLabelSelectors: []string{"a"}}, {IncludedNamespaceScopedResources: []string{"pods"}}, {ExcludedClusterScopedResources: []string{"nodes"}},
	} {
		assert.True(t, f.Narrowed(), "%+v", f)
	}
	assert.False(t, Filter{}.Narrowed())
	assert.False(t, Filter{ExcludedResources: []string{"secrets"}}.Narrowed(), "an explicit exclusion is what the user wants")
}

func FuzzFilter(f *testing.F) {
	f.Add("shop", "*", "deploy.apps", "a=b")
	f.Add("[a", "a**", "*.x", "a in (b")
	f.Fuzz(func(t *testing.T, in, ex, resource, selector string) {
		x := Filter{IncludedNamespaces: []string{in}, ExcludedNamespaces: []string{ex}, IncludedResources: []string{resource}, LabelSelector: selector}
		if x.Check() != nil {
			return
		}
		// What passed the check means something, and the same again.
		x.MatchLabels(labels.Set{"a": "b"})
		assert.Equal(t, x.HasNamespace("shop"), x.HasNamespace("shop"))
		resolved, unknown := x.Resolved([]item.Resource{deployments})
		assert.Equal(t, len(unknown) == 0, len(Resolve(resource, []item.Resource{deployments})) > 0 || resource == "*")
		if len(unknown) == 0 {
			assert.True(t, NamesResource(resolved.IncludedResources, deployments))
		}
		assert.False(t, x.HasNamespace(ex) && in == ex)
	})
}
