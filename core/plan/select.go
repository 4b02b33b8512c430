package plan

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/needs"
)

// selection is what a filter decides about one item.
type selection struct {
	leave string // why the item is left out, "" if it is selected
	// mayCome marks an item that is left out unless selected items need it.
	mayCome bool
	// labels has bit i set if the item has the labels of selector i, and nothing
	// else of the filter leaves it out.
	labels uint64
	// needs are the items that it needs according to its content, and accounts the
	// service accounts that need it, by their keys in the backup.
	needs, accounts []item.Key
}

// selectItem applies the filter of the restore, which has to be resolved. The rules
// are those of a backup (filter.Filter, core/needs).
func (o Options) selectItem(u *unstructured.Unstructured, it item.Item) selection {
	r := resourceOf(it)
	f := o.Filter
	namespace := namespaceOf(it.Key)
	elsewhere := namespace != "" && !f.HasNamespace(namespace)
	var s selection
	switch verdict := f.Resource(r); {
	case verdict == filter.Excluded, verdict == filter.NoClusterScoped:
		s.leave = leaveExcluded
	case verdict != filter.Selected, elsewhere:
		s.leave = leaveFiltered
	case !f.IgnoresLabels(r):
		set := labels.Set(u.GetLabels())
		for i, text := range f.Selectors() {
			if filter.MatchSelector(text, set) {
				s.labels |= 1 << min(i, 63)
			}
		}
		if s.labels == 0 {
			s.leave = leaveFiltered
		}
	}
	s.mayCome = s.leave == leaveFiltered && !elsewhere && f.MayComeAlong(r)
	if f.Narrowed() && (s.leave == "" || s.mayCome) {
		s.needs = o.mapped(needs.Of(u, it.Key))
		if it.Key.GroupResource() == needs.ClusterRoleBindings {
			s.accounts = needs.Accounts(u)
		}
	}
	return s
}

// mapped follows the mapping of storage classes: an object needs the class that it
// will name.
func (o Options) mapped(keys []item.Key) []item.Key {
	for i, k := range keys {
		if to := o.StorageClassMapping[k.Name]; to != "" && k.GroupResource() == storageClassResource {
			keys[i].Name = to
		}
	}
	return keys
}

// resourceOf is the resource of an item, as far as the item shows it.
func resourceOf(it item.Item) item.Resource {
	return item.Resource{Group: it.Key.Group, Version: it.Version, Name: it.Key.Resource, Kind: it.Kind, Namespaced: it.Key.Namespace != ""}
}

// ComeAlong takes back the word of the filter on what selected items need, on what
// these need, and so on. The result is what a backup with the same filter would
// hold. The entries are only read.
func ComeAlong(entries []Entry) []Entry {
	out := slices.Clone(entries)
	open := map[item.Key]int{}            // items that may come along
	bindings := map[item.Key][]item.Key{} // of those, what each service account needs
	var reached []int
	for i, e := range out {
		switch {
		case e.selection.mayCome && e.Leave == leaveFiltered:
			open[e.Source()] = i
			for _, account := range e.selection.accounts {
				bindings[account] = append(bindings[account], e.Source())
			}
		case e.Leave != leaveFiltered && e.Leave != leaveExcluded:
			reached = append(reached, i)
		}
	}
	for len(open) > 0 && len(reached) > 0 {
		e := out[reached[0]]
		by := e.Source()
		reached = reached[1:]
		for _, k := range slices.Concat(needs.OfKey(by), e.selection.needs, bindings[by]) {
			if i, found := open[k]; found {
				delete(open, k)
				out[i].Leave, out[i].neededBy = out[i].rule, by.String()
				reached = append(reached, i)
			}
		}
	}
	return out
}
