package collect

import (
	"slices"

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
