package collect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// known is an error that lists every resource the filter names and the cluster
// does not have, or has at another scope.
func known(f filter.Filter, resources []item.Resource, failures []cluster.GroupFailure) error {
	all := slices.Clone(resources)
	var down []string
	for _, failure := range failures {
		all = append(all, item.Resource{Group: group(failure)}, item.Resource{Group: group(failure), Namespaced: true}) // for "*.group"
		down = append(down, failure.GroupVersion)
	}
	namespaced, clusterScoped := byScope(all)
	missing := filter.Unknown(slices.Concat(f.IncludedResources, f.ExcludedResources), all)
	missing = append(missing, filter.Unknown(slices.Concat(f.IncludedNamespaceScopedResources, f.ExcludedNamespaceScopedResources), namespaced)...)
	missing = append(missing, filter.Unknown(slices.Concat(f.IncludedClusterScopedResources, f.ExcludedClusterScopedResources), clusterScoped)...)
	what := "no resource"
	if f.Scoped() {
		what = "no resource of that scope"
	}
	switch {
	case len(missing) == 0:
		return nil
	case len(down) > 0:
		return fmt.Errorf("%s is named %s (see: kubectl api-resources); the API groups %s could not be discovered", what, strings.Join(missing, ", "), strings.Join(down, ", "))
	}
	return filter.NoMatch(fmt.Errorf("%s is named %s (see: kubectl api-resources)", what, strings.Join(missing, ", ")))
}

// unwanted refuses to be asked for what no backup holds.
func unwanted(f filter.Filter, resources []item.Resource) error {
	for _, n := range slices.Concat(f.IncludedResources, f.IncludedNamespaceScopedResources, f.IncludedClusterScopedResources) {
		meant := slices.DeleteFunc(slices.Clone(resources), func(r item.Resource) bool { return !filter.MatchResource(n, r) })
		if len(meant) > 0 && !slices.ContainsFunc(meant, func(r item.Resource) bool { return !isSnapshot(r) }) {
			return fmt.Errorf("%q cannot be included: %s", n, ofSnapshots)
		}
	}
	return nil
}

func byScope(resources []item.Resource) (namespaced, clusterScoped []item.Resource) {
	for _, r := range resources {
		if r.Namespaced {
			namespaced = append(namespaced, r)
		} else {
			clusterScoped = append(clusterScoped, r)
		}
	}
	return namespaced, clusterScoped
}

// undiscovered are the API groups of which something may have been selected.
func undiscovered(f filter.Filter, failures []cluster.GroupFailure) []Problem {
	var out []Problem
	for _, failure := range failures {
		unknown := item.Resource{Group: group(failure)}
		unknownNamespaced := unknown
		unknownNamespaced.Namespaced = true
		if filtered(f, unknown) != "" && filtered(f, unknownNamespaced) != "" {
			continue
		}
		out = append(out, Problem{
			Object: "API group " + failure.GroupVersion,
			Err:    fmt.Errorf("%w (to leave it out: %s)", failure.Err, exclude(f, "*."+group(failure))),
		})
	}
	return out
}

// exclude is what to add to a command so that a backup leaves a resource out.
func exclude(f filter.Filter, name string) string {
	if f.Scoped() {
		return fmt.Sprintf("--exclude-namespace-scoped-resources '%s' --exclude-cluster-scoped-resources '%s'", name, name)
	}
	return fmt.Sprintf("--exclude-resources '%s'", name)
}

func group(f cluster.GroupFailure) string {
	g, _, _ := strings.Cut(f.GroupVersion, "/")
	return g
}
