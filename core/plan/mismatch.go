package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Mismatches returns what the options name and the backup does not hold, as one
// error per option, each to follow "backup NAME". A name with a typing error would otherwise restore nothing,
// or restore to the original namespace, and succeed.
func (o Options) Mismatches(entries []Entry) []error {
	if len(entries) == 0 {
		return nil // an empty backup matches nothing; the restore reports that
	}
	held := holdingsOf(entries)
	var errs []error
	if missing := missingFrom(o.Filter.IncludedNamespaces, held.namespaces); len(missing) > 0 {
		errs = append(errs, fmt.Errorf("holds no namespace named %s, which the filter includes; it holds %s", quoted(missing), some(held.namespaces)))
	}
	if missing := missingFrom(slices.Sorted(maps.Keys(o.NamespaceMapping)), held.namespaces); len(missing) > 0 {
		errs = append(errs, fmt.Errorf("holds no namespace named %s, which is mapped; it holds %s", quoted(missing), some(held.namespaces)))
	}
	if missing := missingFrom(slices.Sorted(maps.Keys(o.StorageClassMapping)), held.classes); len(missing) > 0 {
		errs = append(errs, fmt.Errorf("holds nothing that uses storage class %s, which is mapped; it uses %s", quoted(missing), some(held.classes)))
	}
	for _, names := range [][]string{o.StatusResources, o.ExcludedStatusResources} {
		if missing := filter.Unknown(names, held.resources); len(missing) > 0 {
			errs = append(errs, fmt.Errorf("holds no resource named %s, whose status is to be restored or not", strings.Join(missing, ", ")))
		}
	}
	if err := o.selectsNothing(entries); err != nil && len(errs) == 0 {
		errs = append(errs, err)
	}
	return errs
}

// selectsNothing returns why the filter leaves nothing to restore, nil if it
// leaves something.
func (o Options) selectsNothing(entries []Entry) error {
	var never []string
	for _, e := range entries {
		switch e.Leave {
		case leaveFiltered, leaveExcluded:
		case leaveNotRestorable:
			never = append(never, e.Key.GroupResource())
		default:
			return nil
		}
	}
	slices.Sort(never)
	if never = slices.Compact(never); len(never) > 0 {
		return fmt.Errorf("holds nothing to restore that the filter selects: %s are never restored, since they belong to the cluster they came from", strings.Join(never, ", "))
	}
	return errors.New("holds nothing that the filter selects")
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
		if gr := e.Source().GroupResource(); resources[gr].Name == "" {
			resources[gr] = ResourceOf(e)
		}
	}
	return holdings{slices.Sorted(maps.Keys(namespaces)), slices.Sorted(maps.Keys(classes)), slices.Collect(maps.Values(resources))}
}

// missingFrom returns the patterns that match none of the names.
func missingFrom(patterns, names []string) []string {
	return slices.DeleteFunc(slices.Clone(patterns), func(p string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return filter.MatchAny(n, []string{p}) })
	})
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(out, ", ")
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
