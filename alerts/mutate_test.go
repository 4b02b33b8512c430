//go:build e2e

package alerts_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/test/rig"
)

func TestTheRulesPassTheirTests(t *testing.T) {
	promtool := rig.Promtool(t)
	out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", rulesFile).CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.CommandContext(t.Context(), promtool, append([]string{"test", "rules"}, slices.Sorted(maps.Keys(tests(t)))...)...).CombinedOutput()
	require.NoError(t, err, string(out))
}

// TestEveryMutantIsKilled weakens each rule in every way it knows, one at a
// time, and demands that the rule's tests notice.
func TestEveryMutantIsKilled(t *testing.T) {
	promtool := rig.Promtool(t)
	all := tests(t)
	type outcome struct {
		mutant mutant
		killed bool
	}
	var outcomes []outcome
	var group errgroup.Group
	group.SetLimit(2)
	for _, r := range rules(t) {
		dir := t.TempDir()
		files := testsOf(t, r.Alert, all)
		require.NoError(t, promtoolTest(promtool, writeRule(t, dir, "unchanged", r), files), "the rule itself passes")
		for i, m := range mutants(r) {
			path := writeRule(t, dir, strconv.Itoa(i), m.rule)
			outcomes = append(outcomes, outcome{mutant: m})
			o := len(outcomes) - 1
			mutantFiles := files
			group.Go(func() error {
				killed := promtoolTest(promtool, path, mutantFiles) != nil
				outcomes[o].killed = killed
				return nil
			})
		}
		require.NoError(t, group.Wait())
	}
	killed := 0
	for _, o := range outcomes {
		if assert.True(t, o.killed, "survived: %s\n%s", o.mutant.name, o.mutant.rule.Expr) {
			killed++
		}
	}
	t.Logf("%d mutants of %d rules, %d killed", len(outcomes), len(rules(t)), killed)
	assert.Greater(t, len(outcomes), 100, "the mutator has lost its teeth")
}

// mutant is a rule with one change.
type mutant struct {
	name string
	rule rule
}

var (
	numberRE   = regexp.MustCompile(`(?:[<>=!]=?|>=) (\d+)\b`)
	durationRE = regexp.MustCompile(`\b(\d+)([mhd])\b`)
	compareRE  = regexp.MustCompile(` (>=|<=|==|!=|>|<) `)
	setRE      = regexp.MustCompile(`\b(and|unless) on`)
	aggRE      = regexp.MustCompile(`\bmax\b`)
	matchRE    = regexp.MustCompile(`\{[^}]*\}`)
	equalRE    = regexp.MustCompile(`=~?"`)
	choiceRE   = regexp.MustCompile(`"([A-Za-z]+(?:\|[A-Za-z]+)+)"`)
)

// mutants are the rule with each possible single change.
func mutants(r rule) []mutant {
	var out []mutant
	add := func(what string, change func(*rule)) {
		m := rule{Alert: r.Alert, Expr: r.Expr, For: r.For, Labels: maps.Clone(r.Labels), Annotations: r.Annotations}
		change(&m)
		out = append(out, mutant{name: r.Alert + ": " + what, rule: m})
	}
	// at replaces what lies between two offsets of the expression.
	at := func(what string, span []int, with string) {
		was := r.Expr[span[0]:span[1]]
		add(fmt.Sprintf("%s at %d, %q becomes %q", what, span[0], was, with), func(m *rule) {
			m.Expr = r.Expr[:span[0]] + with + r.Expr[span[1]:]
		})
	}
	each := func(re *regexp.Regexp, group int, f func(text string, span []int)) {
		for _, m := range re.FindAllStringSubmatchIndex(r.Expr, -1) {
			span := m[2*group : 2*group+2]
			f(r.Expr[span[0]:span[1]], span)
		}
	}
	each(numberRE, 1, func(text string, span []int) {
		n, _ := strconv.Atoi(text) // digits, by the expression
		at("number", span, strconv.Itoa(n+60))
		at("number", span, strconv.Itoa(n-1))
	})
	each(durationRE, 0, func(text string, span []int) {
		n, _ := strconv.Atoi(text[:len(text)-1]) // digits, by the expression
		unit := map[byte]int{'m': 1, 'h': 60, 'd': 24 * 60}[text[len(text)-1]]
		at("duration", span, fmt.Sprintf("%dm", 2*n*unit))
		at("duration", span, fmt.Sprintf("%dm", n*unit/2))
	})
	opposites := map[string][]string{">": {">=", "<"}, ">=": {">", "<"}, "==": {"!="}, "<": {"<=", ">"}}
	each(compareRE, 1, func(text string, span []int) {
		for _, with := range opposites[text] {
			at("comparison", span, with)
		}
	})
	each(setRE, 1, func(text string, span []int) {
		for _, with := range []string{"and", "or", "unless"} {
			if with != text {
				at("set operator", span, with)
			}
		}
	})
	each(aggRE, 0, func(_ string, span []int) { at("aggregation", span, "min") })
	each(matchRE, 0, func(_ string, span []int) { at("matchers", span, "") })
	each(equalRE, 0, func(text string, span []int) {
		at("matcher", span, map[string]string{`="`: `!="`, `=~"`: `!~"`}[text])
	})
	each(choiceRE, 1, func(text string, span []int) {
		choices := strings.Split(text, "|")
		for i := range choices {
			at("choice", span, strings.Join(slices.Delete(slices.Clone(choices), i, i+1), "|"))
		}
	})
	each(groupRE, 1, func(text string, span []int) {
		labels := strings.Split(text, ", ")
		for i := range labels {
			at("grouping", span, strings.Join(slices.Delete(slices.Clone(labels), i, i+1), ", "))
		}
	})
	add("no for", func(m *rule) { m.For = "" })
	add("for is shorter", func(m *rule) { m.For = stretch(r.For, -1) })
	add("for is longer", func(m *rule) { m.For = stretch(r.For, 1) })
	add("another severity", func(m *rule) { m.Labels["severity"] = "none" })
	add("never fires", func(m *rule) { m.Expr = "vector(0) > 1" })
	return out
}

// stretch changes a duration by a half of itself, and at least by a minute.
func stretch(d string, sign int) string {
	m := durationRE.FindStringSubmatch(d)
	n, _ := strconv.Atoi(m[1]) // digits, by the expression
	n *= map[string]int{"m": 1, "h": 60, "d": 24 * 60}[m[2]]
	return fmt.Sprintf("%dm", n+sign*max(n/2, 1))
}

// testsOf are the tests that look at one alert, in files without the others.
func testsOf(t *testing.T, alert string, all map[string]testFile) []testFile {
	t.Helper()
	var out []testFile
	for _, path := range slices.Sorted(maps.Keys(all)) {
		f := all[path]
		f.Tests = slices.DeleteFunc(slices.Clone(f.Tests), func(c testCase) bool {
			return !slices.ContainsFunc(c.Alerts, func(a alertTest) bool { return a.Alert == alert })
		})
		if len(f.Tests) > 0 {
			out = append(out, f)
		}
	}
	require.NotEmpty(t, out, "%s has tests", alert)
	return out
}

func writeRule(t *testing.T, dir, name string, r rule) string {
	t.Helper()
	raw, err := yaml.Marshal(ruleFile{Groups: []group{{Name: "mutant", Rules: []rule{r}}}})
	require.NoError(t, err)
	path := filepath.Join(dir, name+".rules.yml")
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	return path
}

// promtoolTest runs tests against one rule file.
func promtoolTest(promtool, rulePath string, files []testFile) error {
	var paths []string
	for i, f := range files {
		f.RuleFiles = []string{filepath.Base(rulePath)}
		raw, err := yaml.Marshal(f)
		if err != nil {
			return err
		}
		path := strings.TrimSuffix(rulePath, ".rules.yml") + fmt.Sprintf("-%d_test.yml", i)
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			return err
		}
		paths = append(paths, path)
	}
	return exec.Command(promtool, append([]string{"test", "rules"}, paths...)...).Run()
}
