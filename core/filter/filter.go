// Package filter selects the objects of a backup or a restore by namespace,
// resource and label, in Velero's terms. It is pure.
package filter

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

// Filter selects the objects of a backup or restore. The zero value selects
// everything. Namespace names may contain the wildcards *, ? and [abc]. Resources
// are named as users name them (see Resolve) until Resolved has replaced the names;
// the methods that decide about resources and objects need a resolved filter.
//
// Resources are selected either by IncludedResources, ExcludedResources and
// IncludeClusterResources or, for a backup, by the four scoped lists. Check
// rejects both together, as Velero does.
type Filter struct {
	IncludedNamespaces []string `json:"includedNamespaces,omitempty"`
	ExcludedNamespaces []string `json:"excludedNamespaces,omitempty"`
	IncludedResources  []string `json:"includedResources,omitempty"`
	ExcludedResources  []string `json:"excludedResources,omitempty"`
	// IncludeClusterResources includes (true) or excludes (false) all
	// cluster-scoped objects, whatever namespaces are selected. With nil, the other
	// fields decide.
	IncludeClusterResources *bool `json:"includeClusterResources,omitempty"`

	// The scoped lists. Each may contain "*".
	IncludedClusterScopedResources   []string `json:"includedClusterScopedResources,omitempty"`
	ExcludedClusterScopedResources   []string `json:"excludedClusterScopedResources,omitempty"`
	IncludedNamespaceScopedResources []string `json:"includedNamespaceScopedResources,omitempty"`
	ExcludedNamespaceScopedResources []string `json:"excludedNamespaceScopedResources,omitempty"`

	LabelSelector    string   `json:"labelSelector,omitempty"`    // as kubectl's -l
	OrLabelSelectors []string `json:"orLabelSelectors,omitempty"` // an object is selected if it matches one of them
}

// Scoped reports whether one of the scoped lists is used.
func (f Filter) Scoped() bool {
	return len(f.IncludedClusterScopedResources)+len(f.ExcludedClusterScopedResources)+
		len(f.IncludedNamespaceScopedResources)+len(f.ExcludedNamespaceScopedResources) > 0
}

// ByResource reports whether one of the filters that do not distinguish scopes
// is used (Velero, UseOldResourceFilters).
func (f Filter) ByResource() bool {
	return f.IncludeClusterResources != nil || len(f.IncludedResources)+len(f.ExcludedResources) > 0
}

// Labelled reports whether objects are selected by label.
func (f Filter) Labelled() bool { return f.LabelSelector != "" || len(f.OrLabelSelectors) > 0 }

// AllNamespaces reports whether all namespaces are included.
func (f Filter) AllNamespaces() bool {
	return len(f.ExcludedNamespaces) == 0 && all(f.IncludedNamespaces)
}

// all reports whether a list of included names includes everything.
func all(included []string) bool { return len(included) == 0 || slices.Contains(included, "*") }

// Narrowed reports whether the filter leaves out objects that selected ones may
// depend on, so that related objects have to be looked up. Resources excluded by
// ExcludedResources are never related ones.
func (f Filter) Narrowed() bool {
	return !f.AllNamespaces() || f.Labelled() || f.Scoped() || len(f.IncludedResources) > 0
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

// MatchLabels reports whether labels satisfy the selector, or one of several.
// The selectors must have passed Check.
func (f Filter) MatchLabels(set labels.Set) bool {
	return !f.Labelled() || slices.ContainsFunc(f.Selectors(), func(s string) bool { return MatchSelector(s, set) })
}

// MatchSelector reports whether labels satisfy one label selector. One that is not
// valid selects nothing.
func MatchSelector(selector string, set labels.Set) bool {
	s, err := labels.Parse(selector)
	return err == nil && s.Matches(set)
}

// Selectors are the label selectors of which an object has to satisfy one.
func (f Filter) Selectors() []string {
	if f.LabelSelector != "" {
		return append([]string{f.LabelSelector}, f.OrLabelSelectors...)
	}
	return f.OrLabelSelectors
}

// namespaceRE is a pattern for the name of a namespace. As in the name itself, '-'
// is neither the first nor the last character.
var namespaceRE = regexp.MustCompile(`^([a-z0-9*?]|\[[-^a-z0-9]+\])(([-a-z0-9*?]|\[[-^a-z0-9]+\])*([a-z0-9*?]|\[[-^a-z0-9]+\]))?$`)

func validNamespace(pattern string) bool {
	_, err := path.Match(pattern, "")
	return err == nil && namespaceRE.MatchString(pattern) && !strings.Contains(pattern, "**")
}

// FieldError is one mistake in a filter. Field is the JSON name of the field that
// holds it; the message does not repeat it.
type FieldError struct {
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Err.Error() }
func (e *FieldError) Unwrap() error { return e.Err }

func wrong(field, format string, args ...any) *FieldError {
	return &FieldError{field, fmt.Errorf(format, args...)}
}

// NoMatchError is the error of a request that names what neither the backup nor
// the cluster has, or that selects nothing. Nothing has been changed: whoever
// asked made a mistake, such as a typing error.
type NoMatchError struct{ Err error }

func (e *NoMatchError) Error() string { return e.Err.Error() }
func (e *NoMatchError) Unwrap() error { return e.Err }

// NoMatch makes err a NoMatchError; nil stays nil.
func NoMatch(err error) error {
	if err == nil {
		return nil
	}
	return &NoMatchError{err}
}

// Check reports every mistake in the filter that shows without a cluster.
func (f Filter) Check() error {
	var errs []error
	for _, m := range f.Mistakes() {
		errs = append(errs, m)
	}
	return errors.Join(errs...)
}

// Mistakes are those that Check reports, with their fields.
func (f Filter) Mistakes() []*FieldError {
	return slices.Concat(f.checkNamespaces(), f.checkResources(), f.checkSelectors())
}

func (f Filter) checkNamespaces() (errs []*FieldError) {
	for _, l := range []struct {
		field    string
		patterns []string
	}{{"includedNamespaces", f.IncludedNamespaces}, {"excludedNamespaces", f.ExcludedNamespaces}} {
		for _, p := range l.patterns {
			if !validNamespace(p) {
				errs = append(errs, wrong(l.field, "namespace %q is not valid: lower case letters, digits, '-' and the wildcards *, ? and [abc]", p))
			}
		}
	}
	if slices.Contains(f.ExcludedNamespaces, "*") {
		errs = append(errs, wrong("excludedNamespaces", `excluding the namespace "*" leaves nothing`))
	}
	return append(errs, both("excludedNamespaces", "namespace", f.IncludedNamespaces, f.ExcludedNamespaces)...)
}

// ErrMixed is the error of a filter that names resources in both ways.
var ErrMixed = errors.New("--include-resources, --exclude-resources and --include-cluster-resources cannot be used together with " +
	"--include-cluster-scoped-resources, --exclude-cluster-scoped-resources, --include-namespace-scoped-resources and --exclude-namespace-scoped-resources")

func (f Filter) checkResources() (errs []*FieldError) {
	if f.ByResource() && f.Scoped() {
		errs = append(errs, &FieldError{"includedResources", ErrMixed})
	}
	if slices.Contains(f.ExcludedResources, "*") {
		errs = append(errs, wrong("excludedResources", `excluding the resource "*" leaves nothing`))
	}
	for _, l := range []struct {
		what, included, excluded string
		in, ex                   []string
	}{
		{"resource", "includedResources", "excludedResources", f.IncludedResources, f.ExcludedResources},
		{"cluster-scoped resource", "includedClusterScopedResources", "excludedClusterScopedResources", f.IncludedClusterScopedResources, f.ExcludedClusterScopedResources},
		{"namespace-scoped resource", "includedNamespaceScopedResources", "excludedNamespaceScopedResources", f.IncludedNamespaceScopedResources, f.ExcludedNamespaceScopedResources},
	} {
		errs = append(errs, badNames(l.included, l.what, l.in)...)
		errs = append(errs, badNames(l.excluded, l.what, l.ex)...)
		if len(l.in) > 0 && slices.Contains(l.ex, "*") && l.what != "resource" {
			errs = append(errs, wrong(l.excluded, `excluding the %s "*" leaves nothing to include`, l.what))
		}
		errs = append(errs, both(l.excluded, l.what, l.in, l.ex)...)
	}
	return errs
}

// badNames are the names that cannot be those of resources.
func badNames(field, what string, names []string) (errs []*FieldError) {
	for _, n := range names {
		_, err := path.Match(n, "")
		switch {
		case n == "":
			errs = append(errs, wrong(field, "the name of a %s is empty", what))
		case err != nil:
			errs = append(errs, wrong(field, "the pattern %q for a %s is not valid", n, what))
		}
	}
	return errs
}

func (f Filter) checkSelectors() (errs []*FieldError) {
	if f.LabelSelector != "" && len(f.OrLabelSelectors) > 0 {
		errs = append(errs, wrong("orLabelSelectors", "--selector and --or-selector cannot be used together"))
	}
	if slices.Contains(f.OrLabelSelectors, "") {
		errs = append(errs, wrong("orLabelSelectors", "a label selector of --or-selector is empty, and would select everything"))
	}
	if f.LabelSelector != "" {
		if _, err := LabelSelector(f.LabelSelector); err != nil {
			errs = append(errs, &FieldError{"labelSelector", err})
		}
	}
	for _, s := range f.OrLabelSelectors {
		if _, err := LabelSelector(s); err != nil {
			errs = append(errs, &FieldError{"orLabelSelectors", err})
		}
	}
	return errs
}

func both(field, what string, in, ex []string) (errs []*FieldError) {
	for _, n := range in {
		if slices.Contains(ex, n) && n != "*" {
			errs = append(errs, wrong(field, "%s %q is both included and excluded", what, n))
		}
	}
	return errs
}
