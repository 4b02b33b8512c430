//go:build e2e

package alerts_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// mutant is a rule with one change.
type mutant struct {
	name string
	rule rule
}

// mutants are the rule with each possible single change.
func mutants(r rule) ([]mutant, error) {
	var out []mutant
	add := func(what string, change func(*rule)) {
		m := r
		m.Labels = maps.Clone(r.Labels)
		change(&m)
		out = append(out, mutant{name: r.name() + ": " + what, rule: m})
	}
	expr, err := parser.ParseExpr(r.Expr)
	if err != nil {
		return nil, err
	}
	sites(expr, func(e parser.Expr) { expr = e }, func(what string, do, undo func()) {
		do()
		changed := expr.String()
		undo()
		add(what, func(m *rule) { m.Expr = changed })
	})
	if r.Alert == "" {
		return out, nil
	}
	add("never fires", func(m *rule) { m.Expr = "vector(0) > 1" })
	add("another severity", func(m *rule) { m.Labels["severity"] = "unheard" })
	for label := range r.Labels {
		if label != "severity" {
			add("without the label "+label, func(m *rule) { delete(m.Labels, label) })
		}
	}
	if r.For != "" {
		add("no for", func(m *rule) { m.For = "" })
		add("for is shorter", func(m *rule) { m.For = stretch(r.For, -1) })
		add("for is longer", func(m *rule) { m.For = stretch(r.For, 1) })
	}
	return out, nil
}

// stretch changes a duration by a half of itself, and at least by a minute.
func stretch(d string, sign time.Duration) string {
	wait, err := model.ParseDuration(d)
	if err != nil {
		return d // promtool says so
	}
	return model.Duration(time.Duration(wait) + sign*max(time.Duration(wait)/2, time.Minute)).String()
}

// addSite takes a change to a tree, and how to take it back.
type addSite func(what string, do, undo func())

// replace changes a variable and puts it back.
func replace[T any](add addSite, what string, at *T, with T) {
	was := *at
	add(what, func() { *at = with }, func() { *at = was })
}

// sites finds every place in an expression that can be changed. set puts another
// expression in its place.
func sites(e parser.Expr, set func(parser.Expr), add addSite) {
	instead := func(what string, with parser.Expr) {
		add(fmt.Sprintf("%s of %s", what, e), func() { set(with) }, func() { set(e) })
	}
	switch e := e.(type) {
	case *parser.ParenExpr:
		sites(e.Expr, func(with parser.Expr) { e.Expr = with }, add)
	case *parser.NumberLiteral:
		replace(add, fmt.Sprintf("%v becomes %v", e.Val, e.Val+60), &e.Val, e.Val+60)
		replace(add, fmt.Sprintf("%v becomes %v", e.Val, e.Val-1), &e.Val, e.Val-1)
	case *parser.Call:
		if e.Func.Name == "last_over_time" {
			instead("without the range", e.Args[0].(*parser.MatrixSelector).VectorSelector)
		}
		for i := range e.Args {
			sites(e.Args[i], func(with parser.Expr) { e.Args[i] = with }, add)
		}
	case *parser.MatrixSelector:
		what := fmt.Sprintf("the range of %s becomes", e)
		replace(add, what+" twice as long", &e.Range, 2*e.Range)
		replace(add, what+" half as long", &e.Range, e.Range/2)
		sites(e.VectorSelector, nil, add)
	case *parser.VectorSelector:
		selectorSites(e, add)
	case *parser.AggregateExpr:
		for _, op := range aggregations[e.Op] {
			replace(add, fmt.Sprintf("%s becomes %s", e, op), &e.Op, op)
		}
		for i, label := range e.Grouping {
			replace(add, fmt.Sprintf("without %s: %s", label, e), &e.Grouping, without(e.Grouping, i))
		}
		instead("without the aggregation", e.Expr)
		sites(e.Expr, func(with parser.Expr) { e.Expr = with }, add)
	case *parser.BinaryExpr:
		binarySites(e, instead, add)
	}
}

// aggregations and operators are what each is changed into. What has no
// opposite is left alone: nothing looks at the value of group.
var (
	aggregations = map[parser.ItemType][]parser.ItemType{
		parser.MAX: {parser.MIN}, parser.MIN: {parser.MAX}, parser.SUM: {parser.MAX, parser.COUNT}, parser.COUNT: {parser.MAX},
	}
	operators = map[parser.ItemType][]parser.ItemType{
		parser.GTR: {parser.GTE, parser.LSS}, parser.GTE: {parser.GTR, parser.LSS},
		parser.LSS: {parser.LTE, parser.GTR}, parser.LTE: {parser.LSS, parser.GTR},
		parser.EQLC: {parser.NEQ}, parser.NEQ: {parser.EQLC},
		parser.LAND: {parser.LOR, parser.LUNLESS}, parser.LOR: {parser.LAND, parser.LUNLESS}, parser.LUNLESS: {parser.LAND, parser.LOR},
		parser.SUB: {parser.ADD}, parser.ADD: {parser.SUB}, parser.MUL: {parser.DIV}, parser.DIV: {parser.MUL},
	}
)

func binarySites(e *parser.BinaryExpr, instead func(string, parser.Expr), add addSite) {
	short := fmt.Sprintf("%s between %s and %s", e.Op, e.LHS, e.RHS)
	for _, op := range operators[e.Op] {
		replace(add, fmt.Sprintf("%s becomes %s", short, op), &e.Op, op)
	}
	if e.Op.IsSetOperator() {
		instead("only the left arm", e.LHS)
	}
	if e.Op == parser.LOR {
		instead("only the right arm", e.RHS)
	}
	if e.ReturnBool {
		replace(add, short+" without bool", &e.ReturnBool, false)
	}
	if m := e.VectorMatching; m != nil && m.On {
		for i, label := range m.MatchingLabels {
			replace(add, fmt.Sprintf("%s not on %s", short, label), &m.MatchingLabels, without(m.MatchingLabels, i))
		}
	}
	sites(e.LHS, func(with parser.Expr) { e.LHS = with }, add)
	sites(e.RHS, func(with parser.Expr) { e.RHS = with }, add)
}

func selectorSites(e *parser.VectorSelector, add addSite) {
	what := e.String()
	if e.OriginalOffset > 0 {
		replace(add, "twice the offset of "+what, &e.OriginalOffset, 2*e.OriginalOffset)
		replace(add, "half the offset of "+what, &e.OriginalOffset, e.OriginalOffset/2)
	}
	for i, m := range e.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			continue
		}
		replace(add, fmt.Sprintf("without %s: %s", m, what), &e.LabelMatchers, without(e.LabelMatchers, i))
		inverse, err := m.Inverse()
		if err == nil {
			replace(add, fmt.Sprintf("%s becomes %s: %s", m, inverse, what), &e.LabelMatchers[i], inverse)
		}
		if m.Type != labels.MatchRegexp && m.Type != labels.MatchNotRegexp {
			continue
		}
		for choice := range strings.SplitSeq(m.Value, "|") {
			rest := slices.DeleteFunc(strings.Split(m.Value, "|"), func(s string) bool { return s == choice })
			if len(rest) == 0 {
				continue
			}
			fewer := labels.MustNewMatcher(m.Type, m.Name, strings.Join(rest, "|"))
			replace(add, fmt.Sprintf("%s becomes %s: %s", m, fewer, what), &e.LabelMatchers[i], fewer)
		}
	}
}

// without returns a copy that lacks one element.
func without[T any](s []T, i int) []T { return slices.Delete(slices.Clone(s), i, i+1) }
