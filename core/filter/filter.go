// Package filter is what a user may say of which objects a backup or a restore
// takes: namespaces, resources and labels, in Velero's terms. It is pure.
package filter

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Filter says what a backup or restore takes, in Velero's terms. The zero
// value is everything. Namespace names may hold the wildcards of path.Match;
// resources may be named by plural, singular, kind, short name, or any of
// these followed by "." and the group.
type Filter struct {
	IncludedNamespaces, ExcludedNamespaces []string
	IncludedResources, ExcludedResources   []string
	LabelSelector                          string // as kubectl's -l
}

// AllNamespaces reports whether no namespace is left out: only then are
// cluster-scoped objects taken for their own sake.
func (f Filter) AllNamespaces() bool {
	return len(f.ExcludedNamespaces) == 0 && (len(f.IncludedNamespaces) == 0 || slices.Contains(f.IncludedNamespaces, "*"))
}

// Narrowed reports whether objects are left out that others may depend on, so
// that related ones have to be looked up.
func (f Filter) Narrowed() bool {
	return !f.AllNamespaces() || f.LabelSelector != "" || len(f.IncludedResources) > 0
}

// HasNamespace reports whether a namespace is selected by its name.
func (f Filter) HasNamespace(name string) bool {
	return included(name, f.IncludedNamespaces) && !MatchAny(name, f.ExcludedNamespaces)
}

func included(name string, patterns []string) bool {
	return len(patterns) == 0 || MatchAny(name, patterns)
}

// MatchAny reports whether one of the patterns matches the name.
func MatchAny(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return err == nil && ok
	})
}

// MatchLabels reports whether labels satisfy the selector. The selector must
// have passed Check.
func (f Filter) MatchLabels(set labels.Set) bool {
	if f.LabelSelector == "" {
		return true
	}
	selector, err := labels.Parse(f.LabelSelector)
	return err == nil && selector.Matches(set)
}

// Check says what is wrong with the filter by itself, before any cluster has
// been asked.
func (f Filter) Check() error {
	var errs []error
	for _, p := range slices.Concat(f.IncludedNamespaces, f.ExcludedNamespaces) {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			errs = append(errs, fmt.Errorf("namespace pattern %q is not valid", p))
		}
	}
	for _, n := range f.IncludedNamespaces {
		if n != "*" && slices.Contains(f.ExcludedNamespaces, n) {
			errs = append(errs, fmt.Errorf("namespace %q is both included and excluded", n))
		}
	}
	for _, n := range f.IncludedResources {
		if n != "*" && slices.Contains(f.ExcludedResources, n) {
			errs = append(errs, fmt.Errorf("resource %q is both included and excluded", n))
		}
	}
	if _, err := labels.Parse(f.LabelSelector); err != nil {
		errs = append(errs, fmt.Errorf("label selector %q is not valid: %w", f.LabelSelector, err))
	}
	return errors.Join(errs...)
}

// MatchResource reports whether a name a user gave means the resource.
func MatchResource(name string, r item.Resource) bool {
	if name == "*" {
		return true
	}
	name = strings.ToLower(name)
	short, group, qualified := strings.Cut(name, ".")
	if qualified && group != r.Group {
		return false
	}
	return short == r.Name || short == r.Singular || short == strings.ToLower(r.Kind) || slices.Contains(r.ShortNames, short)
}

// NamesResource reports whether one of the names means the resource.
func NamesResource(names []string, r item.Resource) bool {
	return slices.ContainsFunc(names, func(n string) bool { return MatchResource(n, r) })
}

// Unknown is an error that lists every resource the filter names and none of
// the resources is, or nil.
func (f Filter) Unknown(resources []item.Resource) error {
	var missing []string
	for _, n := range slices.Concat(f.IncludedResources, f.ExcludedResources) {
		if n != "*" && !slices.ContainsFunc(resources, func(r item.Resource) bool { return MatchResource(n, r) }) {
			missing = append(missing, fmt.Sprintf("%q", n))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("no resource is named %s (see: kubectl api-resources)", strings.Join(missing, ", "))
}
