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

// The reasons for which a whole resource is left out. They are part of the manifest format
// and must stay as they are.
const (
	notListable     = "cannot be listed"
	notCreatable    = "cannot be created, so there is nothing to restore"
	ofSnapshots     = "snapshots of volumes are left out of every backup"
	notIncluded     = "not among the included resources"
	isExcluded      = "among the excluded resources"
	noClusterScoped = "cluster-scoped, and cluster-scoped objects are left out"
	clusterScoped   = "cluster-scoped, and not all namespaces are selected"
	clusterPart     = "cluster-scoped, and not all namespaced resources are selected"
)

// Select decides for every resource of the cluster whether it is listed. The
// filter must be resolved.
func Select(f filter.Filter, resources []item.Resource) []Choice {
	choices := make([]Choice, 0, len(resources))
	for _, r := range resources {
		choices = append(choices, Choice{Resource: r, Excluded: exclusion(f, r, resources)})
	}
	return choices
}

func exclusion(f filter.Filter, r item.Resource, all []item.Resource) string {
	if why := never(r, all); why != "" {
		return why
	}
	return verdicts[f.Resource(r)]
}

// never is why a resource is in no backup, whatever the filter, "" if it may be.
func never(r item.Resource, all []item.Resource) string {
	twin := cohabitant(r, all)
	switch {
	case !r.Can("list"):
		return notListable
	case !r.Can("create", "get", "delete"):
		return notCreatable
	case twin != "":
		return "the same objects as " + twin
	case isSnapshot(r):
		return ofSnapshots
	}
	return ""
}

// verdicts are the reasons for what a filter does not select.
var verdicts = map[filter.Verdict]string{
	filter.Excluded:         isExcluded,
	filter.NoClusterScoped:  noClusterScoped,
	filter.NotIncluded:      notIncluded,
	filter.NotAllNamespaces: clusterScoped,
	filter.NotAllKinds:      clusterPart,
}

// isSnapshot reports whether Velero leaves the resource out of every backup
// (autoExcludeNamespaceScopedResources, autoExcludeClusterScopedResources in
// pkg/controller/backup_controller.go).
func isSnapshot(r item.Resource) bool {
	return r.Group == "snapshot.storage.k8s.io" && (r.Name == "volumesnapshots" || r.Name == "volumesnapshotcontents")
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
// instead of r, "" if no other is.
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
