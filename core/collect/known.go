package collect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// resolved is the filter with the names that discovery knows. The error lists every
// resource the filter names and the cluster does not have, or has at another scope,
// and every one that no backup holds.
func resolved(f filter.Filter, resources []item.Resource, failures []cluster.GroupFailure) (filter.Filter, error) {
	all := slices.Clone(resources)
	var down []string
	for _, failure := range failures {
		all = append(all, item.Resource{Group: group(failure)}, item.Resource{Group: group(failure), Namespaced: true}) // for "*.group"
		down = append(down, failure.GroupVersion)
	}
	asked := f
	f, _ = f.Resolved(withoutTwins(all)) // a name without a group means the one that is taken
	f, missing := f.Resolved(all)
	what := "no resource"
	if f.Scoped() {
		what = "no resource of that scope"
	}
	switch {
	case len(missing) == 0:
		return f, filter.NoMatch(unwanted(asked, resources))
	case len(down) > 0:
		return f, fmt.Errorf("%s is named %s (see: kubectl api-resources); the API groups %s could not be discovered", what, filter.Quoted(missing), strings.Join(down, ", "))
	}
	return f, filter.NoMatch(fmt.Errorf("%s is named %s (see: kubectl api-resources)", what, filter.Quoted(missing)))
}

// withoutTwins are the resources without those whose objects are taken as objects
// of another group.
func withoutTwins(resources []item.Resource) []item.Resource {
	return slices.DeleteFunc(slices.Clone(resources), func(r item.Resource) bool { return cohabitant(r, resources) != "" })
}

// resolve is what one name means, nothing if it is unknown.
func resolve(name string, resources []item.Resource) []item.Resource {
	if found := filter.Resolve(name, withoutTwins(resources)); len(found) > 0 {
		return found
	}
	return filter.Resolve(name, resources)
}

// unwanted refuses to be asked for what no backup holds.
func unwanted(f filter.Filter, resources []item.Resource) error {
	for _, n := range slices.Concat(f.IncludedResources, f.IncludedNamespaceScopedResources, f.IncludedClusterScopedResources) {
		meant := resolve(n, resources)
		if len(meant) > 0 && !slices.ContainsFunc(meant, func(r item.Resource) bool { return never(r, resources) == "" }) {
			return fmt.Errorf("%q cannot be included: %s", n, never(meant[0], resources))
		}
	}
	return nil
}

// undiscovered are the API groups of which something may have been selected.
func undiscovered(f filter.Filter, failures []cluster.GroupFailure) []Problem {
	var out []Problem
	for _, failure := range failures {
		unknown := item.Resource{Group: group(failure)}
		unknownNamespaced := unknown
		unknownNamespaced.Namespaced = true
		if f.Resource(unknown) != filter.Selected && f.Resource(unknownNamespaced) != filter.Selected {
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
