// Package filter is what a user may say of which objects a backup or a restore
// takes: namespaces, resources and labels, in Velero's terms. It is pure.
package filter

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Filter says what a backup or restore takes, in Velero's terms. The zero
// value is everything. Namespace names may hold the wildcards *, ? and [abc];
// resources may be named by plural, singular, kind, short name, any of these
// followed by "." and the group, or "*." and the group for all of a group.
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

// namespaceRE is what a pattern for the name of a namespace is made of.
var namespaceRE = regexp.MustCompile(`^[-a-z0-9*?\[\]]+$`)

// Check says what is wrong with the filter by itself, all of it, before any
// cluster has been asked.
func (f Filter) Check() error {
	var errs []error
	for _, p := range slices.Concat(f.IncludedNamespaces, f.ExcludedNamespaces) {
		if _, err := path.Match(p, ""); err != nil || !namespaceRE.MatchString(p) || strings.Contains(p, "**") {
			errs = append(errs, fmt.Errorf("namespace %q is not valid: lower case letters, digits, '-' and the wildcards *, ? and [abc]", p))
		}
	}
	if slices.Contains(f.ExcludedNamespaces, "*") {
		errs = append(errs, errors.New(`excluding the namespace "*" leaves nothing`))
	}
	if slices.Contains(f.ExcludedResources, "*") {
		errs = append(errs, errors.New(`excluding the resource "*" leaves nothing`))
	}
	for _, n := range slices.Concat(f.IncludedResources, f.ExcludedResources) {
		if n == "" {
			errs = append(errs, errors.New("the name of a resource is empty"))
		}
	}
	errs = append(errs, both("namespace", f.IncludedNamespaces, f.ExcludedNamespaces)...)
	errs = append(errs, both("resource", f.IncludedResources, f.ExcludedResources)...)
	if _, err := labels.Parse(f.LabelSelector); err != nil {
		errs = append(errs, fmt.Errorf("label selector %q is not valid: %w", f.LabelSelector, err))
	}
	return errors.Join(errs...)
}

func both(what string, in, ex []string) (errs []error) {
	for _, n := range in {
		if slices.Contains(ex, n) && n != "*" {
			errs = append(errs, fmt.Errorf("%s %q is both included and excluded", what, n))
		}
	}
	return errs
}

// MatchResource reports whether a name a user gave means the resource.
func MatchResource(name string, r item.Resource) bool {
	if name == "*" {
		return true
	}
	short, group, qualified := strings.Cut(strings.ToLower(name), ".")
	if qualified && group != r.Group {
		return false
	}
	return short == "*" && qualified ||
		short == r.Name || short == r.Singular && short != "" || short == strings.ToLower(r.Kind) || slices.Contains(r.ShortNames, short)
}

// NamesResource reports whether one of the names means the resource.
func NamesResource(names []string, r item.Resource) bool {
	return slices.ContainsFunc(names, func(n string) bool { return MatchResource(n, r) })
}

// Unknown are the names that mean none of the resources, quoted.
func Unknown(names []string, resources []item.Resource) []string {
	var out []string
	for _, n := range names {
		if n != "*" && !slices.ContainsFunc(resources, func(r item.Resource) bool { return MatchResource(n, r) }) {
			out = append(out, fmt.Sprintf("%q", n))
		}
	}
	return out
}

// Expanded is the filter with the full name of every resource that its names
// mean besides those names. A backup does not hold the short names of its
// resources; whoever has asked a cluster knows them.
func (f Filter) Expanded(resources []item.Resource) Filter {
	f.IncludedResources = expand(f.IncludedResources, resources)
	f.ExcludedResources = expand(f.ExcludedResources, resources)
	return f
}

func expand(names []string, resources []item.Resource) []string {
	out := slices.Clone(names)
	for _, r := range resources {
		full := r.GroupResource()
		if NamesResource(names, r) && !slices.Contains(out, full) && !slices.Contains(names, "*") {
			out = append(out, full)
		}
	}
	return out
}
