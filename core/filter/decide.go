package filter

import (
	"slices"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Verdict is what a filter decides about a resource.
type Verdict int

// The verdicts. Of a resource that is not selected, objects are taken only if
// selected objects need them (see MayComeAlong).
const (
	Selected         Verdict = iota
	Excluded                 // by its name
	NoClusterScoped          // no cluster-scoped objects are selected
	NotIncluded              // others are included by name
	NotAllNamespaces         // cluster-scoped, and not all namespaces are selected
	NotAllKinds              // cluster-scoped, and not all namespaced resources are selected
)

// Resource decides whether the objects of a resource are selected, on a backup and
// on a restore by the same rules, as Velero 1.18 documents them for backups:
// without a filter everything is selected; cluster-scoped resources only if all
// namespaces are, unless the filter says it. Namespaces are selected as namespaces
// are, unless the included resources do not name them. The filter must be resolved.
//
// Velero has two generations of filters: one names resources whatever their scope,
// the other by scope.
func (f Filter) Resource(r item.Resource) Verdict {
	included, excluded := f.IncludedResources, f.ExcludedResources
	switch {
	case f.Scoped() && r.Namespaced:
		included, excluded = f.IncludedNamespaceScopedResources, f.ExcludedNamespaceScopedResources
	case f.Scoped():
		included, excluded = f.IncludedClusterScopedResources, f.ExcludedClusterScopedResources
	}
	named := NamesResource(included, r)
	namespaces := isNamespaces(r)
	switch {
	case NamesResource(excluded, r):
		return Excluded
	case !r.Namespaced && f.IncludeClusterResources != nil && !*f.IncludeClusterResources:
		return NoClusterScoped
	case len(included) > 0 && !named && !(namespaces && f.Scoped()):
		return NotIncluded
	case r.Namespaced || namespaces || f.IncludeClusterResources != nil || f.Scoped() && named:
		return Selected
	case !f.AllNamespaces():
		return NotAllNamespaces
	case len(f.IncludedNamespaceScopedResources) > 0 && !slices.Contains(f.IncludedNamespaceScopedResources, "*"):
		return NotAllKinds
	}
	return Selected
}

// MayComeAlong reports whether objects of a resource are taken if selected objects
// need them: of a cluster-scoped one unless it is excluded, of a namespaced one if
// it is selected (Velero, itemInclusionChecks in pkg/backup/item_backupper.go).
func (f Filter) MayComeAlong(r item.Resource) bool {
	switch f.Resource(r) {
	case Selected:
		return true
	case Excluded, NoClusterScoped:
		return false
	}
	return !r.Namespaced
}

// IgnoresLabels reports whether objects of a resource are selected whatever their
// labels. Namespaces that are named are (Velero, nsTracker in
// pkg/backup/item_collector.go).
func (f Filter) IgnoresLabels(r item.Resource) bool {
	return !f.Labelled() || isNamespaces(r) && !f.AllNamespaces()
}

func isNamespaces(r item.Resource) bool { return r.Group == "" && r.Name == "namespaces" }
