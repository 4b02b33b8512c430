package collect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Choice is what a backup does with one resource of the cluster.
type Choice struct {
	item.Resource
	// Excluded is why the resource is not listed, "" when it is.
	Excluded string
}

// The reasons for which a whole resource is left out. They stand in manifests
// and must stay as they are.
const (
	notListable   = "cannot be listed"
	notCreatable  = "cannot be created, so there is nothing to restore"
	notIncluded   = "not among the included resources"
	isExcluded    = "among the excluded resources"
	clusterScoped = "cluster-scoped, and not all namespaces are selected"
)

// Select decides for every resource of the cluster whether it is listed. What
// Velero 1.18 documents is followed: without a filter everything is taken;
// cluster-scoped resources only when all namespaces are; namespaces always,
// unless excluded.
func Select(f filter.Filter, resources []item.Resource) []Choice {
	choices := make([]Choice, 0, len(resources))
	for _, r := range resources {
		choices = append(choices, Choice{Resource: r, Excluded: exclusion(f, r, resources)})
	}
	return choices
}

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

func exclusion(f filter.Filter, r item.Resource, all []item.Resource) string {
	twin := cohabitant(r, all)
	switch {
	case !r.Can("list"):
		return notListable
	case !r.Can("create", "get", "delete"):
		return notCreatable
	case twin != "":
		return "the same objects as " + twin
	case filter.NamesResource(f.ExcludedResources, r):
		return isExcluded
	case r.Group == "" && r.Name == "namespaces":
		return ""
	case len(f.IncludedResources) > 0 && !filter.NamesResource(f.IncludedResources, r):
		return notIncluded
	case !r.Namespaced && !f.AllNamespaces():
		return clusterScoped
	}
	return ""
}

// cohabitants are resources served by two groups, the preferred one last
// (Velero, pkg/backup/item_collector.go). Events are kept in the core group.
var cohabitants = map[string][2]string{
	"events":          {"events.k8s.io", ""},
	"deployments":     {"extensions", "apps"},
	"daemonsets":      {"extensions", "apps"},
	"replicasets":     {"extensions", "apps"},
	"networkpolicies": {"extensions", "networking.k8s.io"},
	"ingresses":       {"extensions", "networking.k8s.io"},
}

// cohabitant names the resource that holds the same objects and is taken
// instead of r, "" if there is none.
func cohabitant(r item.Resource, all []item.Resource) string {
	groups, ok := cohabitants[r.Name]
	if !ok || r.Group != groups[0] {
		return ""
	}
	twin := item.Resource{Group: groups[1], Name: r.Name}
	if slices.ContainsFunc(all, func(o item.Resource) bool { return o.Group == twin.Group && o.Name == twin.Name }) {
		return twin.GroupResource()
	}
	return ""
}
