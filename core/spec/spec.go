// Package spec translates between the specs of Velero's Backup and Restore and
// the settings that a backup and a restore act on. It is pure.
//
// Every field of a spec is in one of three groups: settings hold it, it has no
// effect on what this version does and is only carried, or it asks for something
// that this version does not do. Fields of the last group are errors that name
// the field: a backup that silently lacks what was asked for is not a backup.
package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-backup/lifeboat/core/filter"
)

// ErrUnsupported is wrapped by problems of fields that are valid and ask for
// something that this version does not do.
var ErrUnsupported = errors.New("not supported yet")

// Problem is what is wrong with one field.
type Problem struct {
	Field string // its path: spec.hooks
	Err   error
}

func (p *Problem) Error() string { return p.Field + ": " + p.Err.Error() }
func (p *Problem) Unwrap() error { return p.Err }

// Problems is the error of a spec: all that is wrong with it.
type Problems []*Problem

func (p Problems) Error() string { return strings.Join(p.Strings(), "; ") }

// Strings are the problems as a status lists them.
func (p Problems) Strings() []string {
	out := make([]string, len(p))
	for i, one := range p {
		out[i] = one.Error()
	}
	return out
}

// Unwrap makes errors.Is and errors.As look at each problem.
func (p Problems) Unwrap() []error {
	out := make([]error, len(p))
	for i, one := range p {
		out[i] = one
	}
	return out
}

// err is nil if there is no problem.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// invalid adds a problem with a field of the spec.
func (p *Problems) invalid(field, format string, args ...any) {
	*p = append(*p, &Problem{"spec." + field, fmt.Errorf(format, args...)})
}

// unsupported adds a problem with a field of the spec if it is used.
func (p *Problems) unsupported(used bool, field, hint string) {
	if used {
		p.invalid(field, "%w"+hint, ErrUnsupported)
	}
}

// filter adds the mistakes of a filter, in the words of a spec.
func (p *Problems) filter(f filter.Filter) {
	for _, m := range f.Mistakes() {
		switch {
		case errors.Is(m.Err, filter.ErrMixed):
			p.invalid(m.Field, "includedResources, excludedResources and includeClusterResources cannot be used together with the lists of cluster-scoped and namespace-scoped resources")
		default:
			p.invalid(m.Field, "%w", m.Err)
		}
	}
}

// isTrue reports whether an optional field is set and true.
func isTrue(b *bool) bool { return b != nil && *b }

// selectors reads the label selectors of a spec. Two that cannot be used
// together, or cannot be read, are problems; what is read is the text that
// kubectl takes.
func (p *Problems) selectors(one *metav1.LabelSelector, or []*metav1.LabelSelector) (string, []string) {
	text, err := selectorText(one)
	if err != nil {
		p.invalid("labelSelector", "%w", err)
	}
	if text != "" && len(or) > 0 {
		p.invalid("orLabelSelectors", "cannot be used together with labelSelector")
		return text, nil
	}
	var all []string
	for i, s := range or {
		field := fmt.Sprintf("orLabelSelectors[%d]", i)
		switch alternative, err := selectorText(s); {
		case err != nil:
			p.invalid(field, "%w", err)
		case alternative == "":
			p.invalid(field, "an empty selector selects everything")
		default:
			all = append(all, alternative)
		}
	}
	return text, all
}

// selectorText is a label selector as kubectl's -l takes it, "" for none.
// Labels come first, then expressions in their order, with sorted values.
func selectorText(s *metav1.LabelSelector) (string, error) {
	if s == nil {
		return "", nil
	}
	if _, err := metav1.LabelSelectorAsSelector(s); err != nil {
		return "", err
	}
	var terms []string
	for k, v := range s.MatchLabels {
		terms = append(terms, k+"="+v)
	}
	slices.Sort(terms)
	for _, e := range s.MatchExpressions {
		values := slices.Compact(slices.Sorted(slices.Values(e.Values)))
		list := " (" + strings.Join(values, ",") + ")"
		switch e.Operator {
		case metav1.LabelSelectorOpIn:
			terms = append(terms, e.Key+" in"+list)
		case metav1.LabelSelectorOpNotIn:
			terms = append(terms, e.Key+" notin"+list)
		case metav1.LabelSelectorOpExists:
			terms = append(terms, e.Key)
		case metav1.LabelSelectorOpDoesNotExist:
			terms = append(terms, "!"+e.Key)
		}
	}
	return strings.Join(terms, ","), nil
}

// selector is the label selector of a text that filter.Check accepts, nil for
// none.
func selector(text string) *metav1.LabelSelector {
	if text == "" {
		return nil
	}
	s, _ := filter.LabelSelector(text)
	return s
}

func selectors(texts []string) []*metav1.LabelSelector {
	var out []*metav1.LabelSelector
	for _, text := range texts {
		out = append(out, selector(text))
	}
	return out
}
