package alerts_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/exporter"
)

// targetLabels are those that Prometheus adds to all series of a target, as the
// deployment's ServiceMonitor has them.
var targetLabels = []string{"cluster", "namespace", "job", "instance", "pod"}

// linter knows which series there are.
type linter struct {
	metrics map[string]exporter.Metric
	// recorded are the labels of recording rules.
	recorded map[string]labelSets
	// values are those the exporter's own tests serve, by metric and label.
	values map[string]map[string][]string

	problems []string
}

// labelSets are the labels that series of an expression have: all of them, and
// those that only some have.
type labelSets struct{ all, some []string }

func newLinter(t testing.TB) *linter {
	l := &linter{metrics: map[string]exporter.Metric{}, recorded: map[string]labelSets{}, values: servedValues(t)}
	for _, m := range exporter.Catalog() {
		l.metrics[m.Name] = m
	}
	for _, r := range everyRule(t) {
		if r.Record != "" {
			l.recorded[r.Record] = grouped(t, r.Expr)
		}
	}
	return l
}

// grouped are the labels of an expression by its outermost aggregation: a recording
// may read itself.
func grouped(t testing.TB, expr string) (of labelSets) {
	e, err := parser.ParseExpr(expr)
	require.NoError(t, err, expr)
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok && of.all == nil {
			of.all = a.Grouping
		}
		return nil
	})
	return of
}

// stageRE finds the stages in the verifier's table of them.
var stageRE = regexp.MustCompile(`\{"([a-z]+)", report\.Level`)

// servedValues reads what the exporter serves in its own tests; closed sets are
// served whole there, but for the stages of a drill, which the verifier has.
func servedValues(t testing.TB) map[string]map[string][]string {
	t.Helper()
	out := map[string]map[string][]string{}
	paths, err := filepath.Glob(filepath.Join("..", "exporter", "testdata", "*.prom"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		file, err := os.Open(path)
		require.NoError(t, err)
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(file)
		require.NoError(t, err, path)
		require.NoError(t, file.Close())
		for name, family := range families {
			if out[name] == nil {
				out[name] = map[string][]string{}
			}
			for _, m := range family.Metric {
				for _, p := range m.Label {
					out[name][p.GetName()] = append(out[name][p.GetName()], p.GetValue())
				}
			}
		}
	}
	verifier, err := os.ReadFile(filepath.Join("..", "verifier", "drill.go"))
	require.NoError(t, err)
	stages := stageRE.FindAllStringSubmatch(string(verifier), -1)
	require.NotEmpty(t, stages)
	for _, m := range stages {
		byLabel := out["lifeboat_drill_last_stage_duration_seconds"]
		byLabel["stage"] = append(byLabel["stage"], m[1])
	}
	return out
}

func (l *linter) complain(format string, args ...any) {
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

// lint returns the labels of an expression's series, and what is wrong with it.
func (l *linter) lint(expr string) (labelSets, []string) {
	l.problems = nil
	e, err := parser.ParseExpr(expr)
	if err != nil {
		return labelSets{}, []string{err.Error()}
	}
	return l.walk(e), l.problems
}

func (l *linter) walk(e parser.Expr) labelSets {
	switch e := e.(type) {
	case *parser.ParenExpr:
		return l.walk(e.Expr)
	case *parser.MatrixSelector:
		return l.walk(e.VectorSelector)
	case *parser.VectorSelector:
		return l.selector(e)
	case *parser.AggregateExpr:
		return l.aggregate(e)
	case *parser.BinaryExpr:
		return l.binary(e)
	case *parser.Call:
		return l.call(e)
	case *parser.NumberLiteral, *parser.StringLiteral:
		return labelSets{}
	}
	l.complain("%T is more than the alerts need: %s", e, e)
	return labelSets{}
}

// selector demands that the metric is served, and each matcher able to match.
func (l *linter) selector(e *parser.VectorSelector) labelSets {
	var of labelSets
	switch m, ok := l.metrics[e.Name]; {
	case e.Name == "up":
		of = labelSets{all: targetLabels}
	case ok:
		of = labelSets{all: append(slices.Clone(targetLabels), m.Labels...)}
	default:
		if of, ok = l.recorded[e.Name]; !ok {
			l.complain("%s is neither in the catalog nor recorded", e.Name)
		}
	}
	for _, m := range e.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			continue
		}
		if !slices.Contains(of.all, m.Name) {
			l.complain("%s has no label %s", e.Name, m.Name)
		}
		l.matcher(e.Name, m)
	}
	return of
}

// openLabels are named by whoever runs the cluster; others have closed sets.
var openLabels = []string{"schedule", "backup_location_name", "repository_name"}

// matcher demands that a value a matcher names is one that is served.
func (l *linter) matcher(metric string, m *labels.Matcher) {
	served, known := l.values[metric][m.Name]
	if !known || slices.Contains(openLabels, m.Name) {
		return
	}
	named := []string{m.Value}
	if m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp {
		named = strings.Split(m.Value, "|")
	}
	for _, v := range named {
		if !slices.Contains(served, v) {
			l.complain("%s is never served with %s=%q", metric, m.Name, v)
		}
	}
}

// aggregate demands that it groups by labels the series have.
func (l *linter) aggregate(e *parser.AggregateExpr) labelSets {
	of := l.walk(e.Expr)
	if e.Without {
		l.complain("without keeps the labels of the pod: %s", e)
	}
	for _, g := range e.Grouping {
		if !slices.Contains(of.all, g) {
			l.complain("%s groups by %s, which an aggregation in it drops or no series has", e, g)
		}
	}
	return labelSets{all: e.Grouping}
}

// binary demands that both sides have the labels they are matched by, and that
// neither loses one.
func (l *linter) binary(e *parser.BinaryExpr) labelSets {
	left, right := l.walk(e.LHS), l.walk(e.RHS)
	if e.VectorMatching == nil { // one side is a number
		return labelSets{all: append(left.all, right.all...), some: append(left.some, right.some...)}
	}
	on := e.VectorMatching.MatchingLabels
	if e.Op == parser.LOR {
		return either(left, right)
	}
	if !e.VectorMatching.On {
		l.complain("name what is matched by on (…): %s", e)
		return left
	}
	for _, label := range on {
		if !slices.Contains(left.all, label) || !slices.Contains(right.all, label) {
			l.complain("not both sides of %s have the label %s", e.Op, label)
		}
	}
	if e.Op.IsSetOperator() {
		return left
	}
	for _, label := range append(slices.Clone(left.all), right.all...) {
		if !slices.Contains(on, label) {
			l.complain("%s drops the label %s: %s", e.Op, label, e)
		}
	}
	return labelSets{all: on}
}

// either is what one of two has.
func either(a, b labelSets) labelSets {
	var of labelSets
	for _, label := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(a.all, b.all, a.some, b.some)))) {
		if slices.Contains(a.all, label) && slices.Contains(b.all, label) {
			of.all = append(of.all, label)
		} else {
			of.some = append(of.some, label)
		}
	}
	return of
}

// call demands a counter where a rate is taken, and only there.
func (l *linter) call(e *parser.Call) labelSets {
	var of labelSets
	for _, arg := range e.Args {
		if args := l.walk(arg); len(args.all) > 0 {
			of = args
		}
	}
	switch e.Func.Name {
	case "rate", "irate", "increase", "resets":
		if s := selected(e.Args[0]); l.metrics[s].Type != exporter.Counter {
			l.complain("%s of %s, which is no counter", e.Func.Name, s)
		}
	case "delta", "idelta", "deriv":
		if s := selected(e.Args[0]); l.metrics[s].Type == exporter.Counter {
			l.complain("%s of %s, which is a counter", e.Func.Name, s)
		}
	case "absent", "absent_over_time":
		return labelSets{}
	}
	return of
}

// selected is the metric of a range.
func selected(e parser.Expr) string {
	if m, ok := e.(*parser.MatrixSelector); ok {
		if v, ok := m.VectorSelector.(*parser.VectorSelector); ok {
			return v.Name
		}
	}
	return ""
}

// templateRE finds the labels that a template takes for granted, and those it
// asks for first.
var (
	labelRE = regexp.MustCompile(`\$labels\.([a-z_]+)`)
	withRE  = regexp.MustCompile(`\{\{ with \$labels\.([a-z_]+) \}\}`)
)

// homeTemplate looks up the location of a schedule's newest backup.
const homeTemplate = `{{ with query (printf "max by (backup_location_name) (lifeboat_schedule_info{cluster=%q,namespace=%q,schedule=%q})" $labels.cluster $labels.namespace $labels.schedule) }}` +
	`{{ . | first | label "backup_location_name" }}{{ end }}`

// longestFor is how long an alert may be held back: Prometheus forgets what it
// has waited for when it is down for more than an hour.
const longestFor = 24 * time.Hour

func TestRulesUseOnlyWhatTheExporterServesAndLoseNoLabel(t *testing.T) {
	l := newLinter(t)
	for _, r := range everyRule(t) {
		of, problems := l.lint(r.Expr)
		assert.Empty(t, problems, r.name())
		if r.Record != "" {
			l.recorded[r.Record] = of
			continue
		}
		asked := withRE.FindAllStringSubmatch(r.Annotations["description"], -1)
		for _, m := range labelRE.FindAllStringSubmatch(r.Annotations["description"], -1) {
			guarded := slices.ContainsFunc(asked, func(a []string) bool { return a[1] == m[1] })
			assert.True(t, slices.Contains(of.all, m[1]) || guarded, "%s: no series has the label %s of its description", r.Alert, m[1])
			assert.True(t, slices.Contains(append(of.all, of.some...), m[1]), "%s: no series has the label %s of its description", r.Alert, m[1])
		}
		assert.NotContains(t, append(of.all, of.some...), "pod", r.Alert)
		assert.NotContains(t, append(of.all, of.some...), "instance", "%s: a restart must not make another alert of it", r.Alert)
	}
}

func TestTheLocationOfAScheduleIsLookedUpInOneWay(t *testing.T) {
	l := newLinter(t)
	query := regexp.MustCompile(`"(max by [^"]*)"`).FindStringSubmatch(homeTemplate)[1]
	_, problems := l.lint(strings.NewReplacer("%q", `""`).Replace(query))
	assert.Empty(t, slices.DeleteFunc(problems, func(p string) bool { return strings.HasSuffix(p, `=""`) }))
	n := 0
	for _, r := range rules(t) {
		for name, value := range r.Labels {
			switch {
			case strings.Contains(value, "{{"):
				n++
				assert.Equal(t, "backup_location_name", name, r.Alert)
				assert.Equal(t, homeTemplate, value, r.Alert)
			case name != "severity":
				assert.Equal(t, "job", name, r.Alert)
			}
		}
	}
	assert.Equal(t, 5, n)
}

func TestAnAlertWaitsForMoreThanOneScrapeAndNotForDays(t *testing.T) {
	for _, r := range rules(t) {
		if r.Alert == watchdog {
			continue
		}
		wait, err := model.ParseDuration(r.For)
		if !assert.NoError(t, err, r.Alert) {
			continue
		}
		assert.LessOrEqual(t, time.Duration(wait), longestFor, r.Alert)
		if strings.Contains(r.Expr, "absent(") {
			assert.GreaterOrEqual(t, time.Duration(wait), 2*time.Minute, "%s: one scrape that is late makes a series absent", r.Alert)
		}
	}
}

// bridged is how long nothing may be scraped before a long wait starts again.
const bridged = 15 * time.Minute

func TestWhatWaitsForAnHourOutlivesARestartOfTheExporter(t *testing.T) {
	n := 0
	for _, r := range rules(t) {
		if wait, err := model.ParseDuration(cmp.Or(r.For, "0s")); err != nil || time.Duration(wait) < time.Hour {
			continue
		}
		n++
		assert.Empty(t, unbridged(t, r.Expr), "%s: last_over_time(…[15m])", r.Alert)
	}
	assert.Positive(t, n)
	assert.Len(t, unbridged(t, `max by (cluster) (last_over_time(a[15m])) < on (cluster) max by (cluster) (b)`), 1)
	assert.Len(t, unbridged(t, `last_over_time(a[14m]) > 0`), 1)
}

// unbridged are the selectors of an expression that see nothing as soon as
// nothing is scraped.
func unbridged(t *testing.T, expr string) []string {
	t.Helper()
	e, err := parser.ParseExpr(expr)
	require.NoError(t, err)
	var out []string
	parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			if m, ok := path[len(path)-1].(*parser.MatrixSelector); !ok || m.Range < bridged {
				out = append(out, v.String())
			}
		}
		return nil
	})
	return out
}

// A rule that is recorded costs series; something must use it.
func TestEveryRecordingIsUsed(t *testing.T) {
	var users []string
	for _, r := range everyRule(t) {
		users = append(users, r.Expr)
	}
	dashboards, err := filepath.Glob(filepath.Join("..", "dashboards", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, dashboards)
	for _, path := range dashboards {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		users = append(users, string(raw))
	}
	for _, r := range everyRule(t) {
		if r.Record != "" {
			assert.True(t, slices.ContainsFunc(users, func(s string) bool { return strings.Contains(s, r.Record) }), r.Record)
		}
	}
}

// The linter must see each of the mistakes that published rules for backups
// were found to make.
func TestTheLinterSeesTheMistakesItIsFor(t *testing.T) {
	for expr, problem := range map[string]string{
		`up ==`: "parse error",
		`max by (schedule) (lifeboat_no_such_metric) == 1`:                                                                  "neither in the catalog",
		`max by (schedule) (lifeboat_schedule_paused{phase="x"}) == 1`:                                                      "has no label phase",
		`max by (schedule) (lifeboat_drill_last_result{result="broken"}) == 1`:                                              "never served",
		`max by (schedule) (lifeboat_drill_last_result{result=~"failed|broken"}) == 1`:                                      `"broken"`,
		`max by (stage) (lifeboat_schedule_paused) == 1`:                                                                    "groups by stage",
		`max without (pod) (lifeboat_schedule_paused) == 1`:                                                                 "keeps the labels of the pod",
		`sum by (cluster) (max by (schedule) (lifeboat_schedule_paused)) == 1`:                                              "groups by cluster",
		`max by (schedule) (lifeboat_schedule_paused) == on (namespace) max by (namespace) (lifeboat_schedule_valid)`:       "not both sides",
		`max by (schedule) (lifeboat_schedule_paused) > max by (schedule) (lifeboat_schedule_valid)`:                        "name what is matched",
		`max by (cluster, schedule) (lifeboat_schedule_paused) > on (schedule) max by (schedule) (lifeboat_schedule_valid)`: "drops the label cluster",
		`sum by (schedule) (increase(lifeboat_schedule_consecutive_failures[1h])) > 0`:                                      "no counter",
		`sum by (schedule) (delta(velero_backup_failure_total[1h])) > 0`:                                                    "is a counter",
		`max by (schedule) (max_over_time(lifeboat_schedule_paused[1h:5m])) > 0`:                                            "more than the alerts need",
	} {
		_, problems := newLinter(t).lint(expr)
		assert.Contains(t, strings.Join(problems, "\n"), problem, expr)
	}
	_, problems := newLinter(t).lint(`max by (cluster, schedule) (lifeboat_schedule_paused) == 1`)
	assert.Empty(t, problems)
}
