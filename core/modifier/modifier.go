// Package modifier changes objects during a restore by Velero's resource
// modifiers: rules that select objects and patch them (https://velero.io/docs/main/restore-resource-modifiers/,
// behaviour as of Velero v1.18).
//
// The package is pure: no client, no store, no clock.
package modifier

import (
	"fmt"
	"regexp"

	"github.com/gobwas/glob"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Rules are the rules of one document, in its order. They come from Parse or
// from their own JSON, so they are always valid; the zero value has no rules
// and changes nothing.
type Rules struct {
	rules []compiled
}

// Types makes an empty object of a built-in kind, as the Scheme of client-go
// does. Its Go type decides how a strategic merge patch merges lists.
type Types func(schema.GroupVersionKind) (runtime.Object, error)

// IsZero reports whether there are no rules (for omitzero).
func (r Rules) IsZero() bool { return len(r.rules) == 0 }

// Rule is one entry of a document: objects that satisfy the conditions are
// patched in exactly one of the three ways.
type Rule struct {
	Conditions       Conditions  `json:"conditions"`
	Patches          []Operation `json:"patches,omitempty"`
	MergePatches     []Patch     `json:"mergePatches,omitempty"`
	StrategicPatches []Patch     `json:"strategicPatches,omitempty"`
}

// Conditions must all hold.
type Conditions struct {
	// Namespaces may contain wildcards; none means all. They do not apply to
	// cluster-scoped objects.
	Namespaces []string `json:"namespaces,omitempty"`
	// GroupResource is "pods", "deployments.apps", or a pattern in which * matches
	// any text without a dot: "*" is the core group, "*.apps" one group, "**"
	// everything.
	GroupResource     string                `json:"groupResource"`
	ResourceNameRegex string                `json:"resourceNameRegex,omitempty"` // finds, does not have to match the whole name
	LabelSelector     *metav1.LabelSelector `json:"labelSelector,omitempty"`
	Matches           []Match               `json:"matches,omitempty"`
}

// Match holds when the value is found at the path, a JSON pointer.
type Match struct {
	Path  string `json:"path"`
	Value Value  `json:"value,omitempty"`
}

// Operation is one of a JSON patch (RFC 6902).
type Operation struct {
	Operation string `json:"operation"`
	From      string `json:"from,omitempty"`
	Path      string `json:"path"`
	Value     Value  `json:"value,omitempty"`
}

// Patch is a JSON merge patch (RFC 7386) or a strategic merge patch, in YAML
// or JSON.
type Patch struct {
	Data string `json:"patchData"`
}

// compiled is a rule with its patterns and patches parsed.
type compiled struct {
	Rule
	namespaces []*glob.Pattern
	resource   *glob.Pattern
	name       *regexp.Regexp  // nil: any
	labels     labels.Selector // nil: any
	matches    jsonPatch       // test operations; nil: any
	patch      patcher
}

// patcher makes the patched form of an object. It may use up what it is given.
type patcher interface {
	apply(object map[string]any, types Types) (map[string]any, error)
}

// Apply patches u, in place, by the rules whose conditions hold for original,
// another object than u:
// the object as the backup has it, before its namespace was mapped. It returns
// the numbers of the rules that were applied, from 1. A rule whose JSON patch
// has a test that fails is left out. Any other failure is an error that names
// rule and object; u then has the changes of the rules before that one.
//
// A rule that changes apiVersion, kind, name or namespace is an error. Velero
// accepts it, then creates the object under another name than its log and
// results show, resets the namespace, and has the API server reject another kind.
// A plan identifies objects by name, so the created object must have that name.
func (r Rules) Apply(original, u *unstructured.Unstructured, groupResource string, types Types) (applied []int, err error) {
	for i, rule := range r.rules {
		number := i + 1
		holds, err := rule.holds(original, groupResource)
		if err == nil && !holds {
			continue
		}
		var patched map[string]any
		if err == nil {
			patched, err = rule.patch.apply(runtime.DeepCopyJSON(u.Object), types)
		}
		if isTestFailed(err) {
			continue
		}
		if err == nil {
			err = sameIdentity(u, &unstructured.Unstructured{Object: patched})
		}
		if err != nil {
			return applied, fmt.Errorf("resource modifier rule %d cannot be applied to %s: %w", number, describe(original, groupResource), err)
		}
		u.Object = patched
		applied = append(applied, number)
	}
	return applied, nil
}

func describe(u *unstructured.Unstructured, groupResource string) string {
	if u.GetNamespace() == "" {
		return groupResource + " " + u.GetName()
	}
	return groupResource + " " + u.GetNamespace() + "/" + u.GetName()
}

func (c compiled) holds(u *unstructured.Unstructured, groupResource string) (bool, error) {
	if !c.resource.Match(groupResource) || !c.hasNamespace(u.GetNamespace()) {
		return false, nil
	}
	if c.name != nil && !c.name.MatchString(u.GetName()) {
		return false, nil
	}
	if c.labels != nil && !c.labels.Matches(labels.Set(u.GetLabels())) {
		return false, nil
	}
	if c.matches == nil {
		return true, nil
	}
	_, err := c.matches.apply(u.Object, nil)
	if isTestFailed(err) || isMissing(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("conditions.matches: %w", err)
	}
	return true, nil
}

func (c compiled) hasNamespace(name string) bool {
	if name == "" || len(c.namespaces) == 0 {
		return true
	}
	for _, g := range c.namespaces {
		if g.Match(name) {
			return true
		}
	}
	return false
}

func sameIdentity(before, after *unstructured.Unstructured) error {
	for _, f := range []struct{ field, was, is string }{
		{"apiVersion", before.GetAPIVersion(), after.GetAPIVersion()},
		{"kind", before.GetKind(), after.GetKind()},
		{"metadata.name", before.GetName(), after.GetName()},
		{"metadata.namespace", before.GetNamespace(), after.GetNamespace()},
	} {
		if f.was != f.is {
			return fmt.Errorf("it would change %s from %q to %q; a resource modifier cannot change the identity of an object", f.field, f.was, f.is)
		}
	}
	return nil
}
