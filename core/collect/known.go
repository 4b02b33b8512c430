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
// does not have.
func known(f filter.Filter, resources []item.Resource, failures []cluster.GroupFailure) error {
	all := slices.Clone(resources)
	var down []string
	for _, failure := range failures {
		all = append(all, item.Resource{Group: group(failure)}) // for "*.group"
		down = append(down, failure.GroupVersion)
	}
	missing := filter.Unknown(slices.Concat(f.IncludedResources, f.ExcludedResources), all)
	switch {
	case len(missing) == 0:
		return nil
	case len(down) > 0:
		return fmt.Errorf("no resource is named %s (see: kubectl api-resources); the API groups %s could not be discovered", strings.Join(missing, ", "), strings.Join(down, ", "))
	}
	return fmt.Errorf("no resource is named %s (see: kubectl api-resources)", strings.Join(missing, ", "))
}

// undiscovered are the API groups that would have been selected.
func undiscovered(f filter.Filter, failures []cluster.GroupFailure) []Problem {
	var out []Problem
	for _, failure := range failures {
		unknown := item.Resource{Group: group(failure)}
		if filter.NamesResource(f.ExcludedResources, unknown) ||
			len(f.IncludedResources) > 0 && !filter.NamesResource(f.IncludedResources, unknown) {
			continue
		}
		out = append(out, Problem{
			Object: "API group " + failure.GroupVersion,
			Err:    fmt.Errorf("%w (to leave it out: --exclude-resources '*.%s')", failure.Err, group(failure)),
		})
	}
	return out
}

func group(f cluster.GroupFailure) string {
	g, _, _ := strings.Cut(f.GroupVersion, "/")
	return g
}
