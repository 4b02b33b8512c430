package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Mismatches returns what the options name and the backup does not hold, as one
// error per option, each to follow "backup NAME". A name with a typing error would
// otherwise restore nothing, or restore to the original namespace, and succeed. The
// options have the names that the user wrote; resources are those of the target and
// the backup, to which names may refer.
func (o Options) Mismatches(entries []Entry, resources []item.Resource) []error {
	if len(entries) == 0 {
		return nil // an empty backup matches nothing; the restore reports that
	}
	held := holdingsOf(entries)
	var errs []error
	if missing := missingFrom(o.Filter.IncludedNamespaces, held.namespaces); len(missing) > 0 {
		errs = append(errs, fmt.Errorf("holds no namespace named %s, which the filter includes; it holds %s", filter.Quoted(missing), some(held.namespaces)))
	}
	if missing := missingFrom(slices.Sorted(maps.Keys(o.NamespaceMapping)), held.namespaces); len(missing) > 0 {
		errs = append(errs, fmt.Errorf("holds no namespace named %s, which is mapped; it holds %s", filter.Quoted(missing), some(held.namespaces)))
	}
	if missing := missingFrom(slices.Sorted(maps.Keys(o.StorageClassMapping)), held.classes); len(missing) > 0 {
		errs = append(errs, fmt.Errorf("holds nothing that uses storage class %s, which is mapped; it uses %s", filter.Quoted(missing), some(held.classes)))
	}
	if missing := held.missing(o.Filter.IncludedResources, resources); len(missing) > 0 {
		errs = append(errs, fmt.Errorf("holds no resource named %s%s", filter.Quoted(missing), held.namesakes(missing)))
	}
	if _, missing := filter.ResolveAll(o.Filter.ExcludedResources, resources); len(missing) > 0 {
		errs = append(errs, fmt.Errorf("holds no resource named %s, and neither does the cluster", filter.Quoted(missing)))
	}
	if missing := held.missing(slices.Concat(o.StatusResources, o.ExcludedStatusResources), resources); len(missing) > 0 {
		errs = append(errs, fmt.Errorf("holds no resource named %s, whose status is to be restored or not", filter.Quoted(missing)))
	}
	if len(errs) == 0 {
		errs = o.selectsNothing(entries)
	}
	return errs
}

// MissingNamespaces returns the excluded namespaces that neither the backup nor the
// target has: more would be restored than was meant. Patterns may match nothing. If
// the namespaces of the target may not be listed, none is missing.
func (o Options) MissingNamespaces(entries []Entry, seen Observed) []string {
	if len(o.Filter.ExcludedNamespaces) == 0 || len(entries) == 0 {
		return nil
	}
	names := holdingsOf(entries).namespaces
	held := len(names)
	for k := range seen.Existing {
		if k.GroupResource() == "namespaces" {
			names = append(names, k.Name)
		}
	}
	if len(names) == held {
		return nil
	}
	return slices.DeleteFunc(missingFrom(o.Filter.ExcludedNamespaces, names), func(n string) bool { return strings.ContainsAny(n, "*?[") })
}

// selectsNothing returns why the filter, or one of its label selectors, leaves
// nothing to restore, nothing if it leaves something.
func (o Options) selectsNothing(entries []Entry) []error {
	var never []string
	var matched uint64
	selected := false
	for _, e := range entries {
		matched |= e.selection.labels
		switch {
		case e.selection.leave != "":
		case neverRestored(e.Source().GroupResource()):
			never = append(never, e.Source().GroupResource())
		default:
			selected = true
		}
	}
	var errs []error
	for i, text := range o.Filter.Selectors() {
		if matched&(1<<min(i, 63)) == 0 {
			errs = append(errs, fmt.Errorf("holds nothing with labels %q that the rest of the filter selects", text))
		}
	}
	slices.Sort(never)
	switch never = slices.Compact(never); {
	case len(errs) > 0 || selected:
		return errs
	case len(never) > 0:
		return []error{fmt.Errorf("holds nothing to restore that the filter selects: %s are never restored", strings.Join(never, ", "))}
	}
	return []error{errors.New("holds nothing that the filter selects")}
}

// holdings are the names in a backup that options may name.
type holdings struct {
	namespaces, classes []string // sorted
	resources           []item.Resource
}

func holdingsOf(entries []Entry) holdings {
	namespaces, classes, resources := map[string]bool{}, map[string]bool{}, map[string]item.Resource{}
	for _, e := range entries {
		if n := namespaceOf(e.Source()); n != "" {
			namespaces[n] = true
		}
		for _, c := range e.classes {
			classes[c] = true
		}
		resources[e.Source().GroupResource()] = item.Resource{Group: e.Key.Group, Name: e.Key.Resource, Kind: e.Kind}
	}
	h := holdings{slices.Sorted(maps.Keys(namespaces)), slices.Sorted(maps.Keys(classes)), slices.Collect(maps.Values(resources))}
	slices.SortFunc(h.resources, func(a, b item.Resource) int { return cmp.Compare(a.GroupResource(), b.GroupResource()) })
	return h
}

// missing are the names that mean no resource of the backup.
func (h holdings) missing(names []string, resources []item.Resource) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return name == "*" || slices.ContainsFunc(filter.Resolve(name, resources), func(r item.Resource) bool {
			return slices.ContainsFunc(h.resources, func(held item.Resource) bool { return held.GroupResource() == r.GroupResource() })
		})
	})
}

// namesakes are the resources of the backup that a name would mean if it had a
// group, for a message.
func (h holdings) namesakes(names []string) string {
	var out []string
	for _, n := range names {
		short, _, _ := strings.Cut(strings.ToLower(n), ".")
		for _, r := range h.resources {
			if short == r.Name || short == strings.ToLower(r.Kind) {
				out = append(out, r.GroupResource())
			}
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "; it holds " + strings.Join(slices.Compact(out), ", ") + ", which is named with its group"
}

// missingFrom returns the patterns that match none of the names.
func missingFrom(patterns, names []string) []string {
	return slices.DeleteFunc(slices.Clone(patterns), func(p string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return filter.MatchAny(n, []string{p}) })
	})
}

// some lists names, the first few of them.
func some(names []string) string {
	const most = 10
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
