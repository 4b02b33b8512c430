package filter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// LabelSelector is a label selector, written as for kubectl's -l, in the form
// in which a Backup holds it. That form cannot compare numbers: a > 1 is
// rejected.
func LabelSelector(text string) (*metav1.LabelSelector, error) {
	asked, err := labels.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("label selector %q is not valid: %w", text, err)
	}
	requirements, _ := asked.Requirements()
	s := &metav1.LabelSelector{}
	for _, r := range requirements {
		values := r.ValuesUnsorted()
		slices.Sort(values)
		_, twice := s.MatchLabels[r.Key()]
		switch op, known := operators[r.Operator()]; {
		case !known:
			return nil, fmt.Errorf("label selector %q: operator %q is not supported", text, r.Operator())
		case op == metav1.LabelSelectorOpIn && r.Operator() != selection.In && !twice:
			metav1.AddLabelToSelector(s, r.Key(), values[0])
		default:
			s.MatchExpressions = append(s.MatchExpressions, metav1.LabelSelectorRequirement{Key: r.Key(), Operator: op, Values: values})
		}
	}
	return s, nil
}

// operators are those of label selectors as a Backup names them.
var operators = map[selection.Operator]metav1.LabelSelectorOperator{
	selection.Equals:       metav1.LabelSelectorOpIn,
	selection.DoubleEquals: metav1.LabelSelectorOpIn,
	selection.In:           metav1.LabelSelectorOpIn,
	selection.NotEquals:    metav1.LabelSelectorOpNotIn,
	selection.NotIn:        metav1.LabelSelectorOpNotIn,
	selection.Exists:       metav1.LabelSelectorOpExists,
	selection.DoesNotExist: metav1.LabelSelectorOpDoesNotExist,
}

// ParseSelectors reads what Velero's --or-selector takes: label selectors
// separated by " or ". The error names the selector that is not valid.
func ParseSelectors(text string) ([]string, error) {
	var out []string
	for s := range strings.SplitSeq(text, " or ") {
		s = strings.TrimSpace(s)
		if s == "" {
			return nil, fmt.Errorf("a label selector in %q is empty", text)
		}
		if _, err := LabelSelector(s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// Order lists, by resource name, the objects that are backed up first and in this
// order: "namespace/name" or, if cluster-scoped, "name".
type Order map[string][]string

// ParseOrder reads what Velero's --ordered-resources takes, such as
// "pods=ns1/a,ns1/b;persistentvolumes=x".
func ParseOrder(text string) (Order, error) {
	out := Order{}
	for entry := range strings.SplitSeq(text, ";") {
		resource, list, found := strings.Cut(entry, "=")
		resource = strings.TrimSpace(resource)
		if !found {
			return nil, fmt.Errorf("%q is not of the form resource=name,name", entry)
		}
		if out[resource] != nil {
			return nil, fmt.Errorf("resource %q is listed twice", resource)
		}
		for name := range strings.SplitSeq(list, ",") {
			out[resource] = append(out[resource], strings.TrimSpace(name))
		}
	}
	return out, out.Check()
}

// Check reports all mistakes in the order that show without a cluster.
func (o Order) Check() error {
	var errs []error
	for _, resource := range slices.Sorted(maps.Keys(o)) {
		if resource == "" || resource == "*" {
			errs = append(errs, fmt.Errorf("%q is not a resource that can be ordered", resource))
		}
		seen := map[string]bool{}
		for _, name := range o[resource] {
			switch namespace, rest, namespaced := strings.Cut(name, "/"); {
			case name == "" || strings.ContainsAny(name, " ,;=") || namespaced && (namespace == "" || rest == "" || strings.Contains(rest, "/")):
				errs = append(errs, fmt.Errorf("%q of %s is not of the form name or namespace/name", name, resource))
			case seen[name]:
				errs = append(errs, fmt.Errorf("%q of %s is listed twice", name, resource))
			}
			seen[name] = true
		}
	}
	return errors.Join(errs...)
}

// Spec is the order as Velero's orderedResources has it.
func (o Order) Spec() map[string]string {
	if len(o) == 0 {
		return nil
	}
	out := make(map[string]string, len(o))
	for resource, names := range o {
		out[resource] = strings.Join(names, ",")
	}
	return out
}
