package alerts_test

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const (
	rulesFile = "lifeboat.rules.yml"
	watchdog  = "LifeboatMonitoringWatchdog"
	runbooks  = "https://github.com/lifeboat-backup/lifeboat/blob/main/docs/runbooks/"
)

// ruleFile is the part of Prometheus' rule files that is in use here.
type ruleFile struct {
	Groups []group `json:"groups"`
}

type group struct {
	Name  string `json:"name"`
	Rules []rule `json:"rules"`
}

type rule struct {
	Alert       string            `json:"alert,omitempty"`
	Record      string            `json:"record,omitempty"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// testFile is the part of promtool's test files that is in use here.
type testFile struct {
	RuleFiles          []string   `json:"rule_files"`
	EvaluationInterval string     `json:"evaluation_interval"`
	GroupOrder         []string   `json:"group_eval_order,omitempty"`
	Tests              []testCase `json:"tests"`
}

type testCase struct {
	Name        string      `json:"name"`
	Interval    string      `json:"interval"`
	InputSeries []series    `json:"input_series"`
	Alerts      []alertTest `json:"alert_rule_test,omitempty"`
	Exprs       []exprTest  `json:"promql_expr_test,omitempty"`
}

type exprTest struct {
	Expr     string   `json:"expr"`
	EvalTime string   `json:"eval_time"`
	Samples  []sample `json:"exp_samples,omitempty"`
}

type sample struct {
	Labels string  `json:"labels"`
	Value  float64 `json:"value"`
}

type series struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

type alertTest struct {
	EvalTime string     `json:"eval_time"`
	Alert    string     `json:"alertname"`
	Expected []expected `json:"exp_alerts,omitempty"`
}

type expected struct {
	Labels      map[string]string `json:"exp_labels"`
	Annotations map[string]string `json:"exp_annotations"`
}

func load[T any](t testing.TB, path string) T {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var v T
	require.NoError(t, yaml.UnmarshalStrict(raw, &v), path)
	return v
}

// name is that of the alert or the recording.
func (r rule) name() string { return cmp.Or(r.Alert, r.Record) }

// everyRule returns alerts and recordings, as they are in the file.
func everyRule(t testing.TB) []rule {
	t.Helper()
	var out []rule
	for _, g := range load[ruleFile](t, rulesFile).Groups {
		out = append(out, g.Rules...)
	}
	require.NotEmpty(t, out)
	return out
}

// rules are the alerts.
func rules(t testing.TB) []rule {
	t.Helper()
	return slices.DeleteFunc(everyRule(t), func(r rule) bool { return r.Alert == "" })
}

// tests are the test files, by path.
func tests(t testing.TB) map[string]testFile {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("tests", "*_test.yml"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	out := map[string]testFile{}
	for _, p := range paths {
		out[p] = load[testFile](t, p)
	}
	return out
}

func TestEveryAlertSaysHowBadItIsWhatItMeansAndWhatToDo(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rules(t) {
		t.Run(r.Alert, func(t *testing.T) {
			assert.Regexp(t, `^Lifeboat[A-Z][A-Za-z]+$`, r.Alert)
			assert.False(t, seen[r.Alert], "a name means one thing")
			seen[r.Alert] = true
			if r.Alert == watchdog {
				assert.Equal(t, "none", r.Labels["severity"])
				assert.Empty(t, r.For, "it fires always")
			} else {
				assert.Contains(t, []string{"critical", "warning", "info"}, r.Labels["severity"])
				assert.NotEmpty(t, r.For, "one odd scrape must not alert")
			}
			assert.Regexp(t, `^[A-Z][^{]*\.$`, r.Annotations["summary"], "the same sentence for every series")
			assert.Regexp(t, `\.$`, r.Annotations["description"])
			assert.Equal(t, runbooks+r.Alert+".md", r.Annotations["runbook_url"])
		})
	}
}

// sections are what a runbook must tell, in this order.
var sections = []string{"## Meaning", "## Impact", "## Diagnosis", "## Mitigation", "## Clears when", "## Known false alarms"}

func TestEveryAlertHasARunbookAndEveryRunbookAnAlert(t *testing.T) {
	dir := filepath.Join("..", "docs", "runbooks")
	var alerts []string
	for _, r := range rules(t) {
		alerts = append(alerts, r.Alert+".md")
		raw, err := os.ReadFile(filepath.Join(dir, r.Alert+".md"))
		if !assert.NoError(t, err) {
			continue
		}
		text, at := string(raw), 0
		assert.True(t, strings.HasPrefix(text, "# "+r.Alert+"\n"), r.Alert)
		for _, s := range sections {
			i := strings.Index(text[at:], s+"\n")
			if assert.GreaterOrEqual(t, i, 0, "%s: %s", r.Alert, s) {
				at += i
			}
		}
		// Longhorn and CloudNativePG have backups of their own.
		assert.NotRegexp(t, `kubectl [^`+"`"+`]*(get|describe) backups?[ `+"`"+`]`, text, r.Alert)
		if strings.Contains(r.Annotations["description"], "$labels.schedule") && r.Alert != "LifeboatScheduleDisappeared" {
			assert.Contains(t, text, "/api/v1/status", "%s: where to look first", r.Alert)
		}
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		assert.Contains(t, alerts, e.Name())
	}
}

// This reads promtool's tests; make check-alerts runs them.
func TestEveryAlertIsSeenSilentFiringAndResolving(t *testing.T) {
	for _, r := range rules(t) {
		if r.Alert == watchdog { // is never silent
			continue
		}
		silentFirst, resolves := false, false
		for _, f := range tests(t) {
			for _, c := range f.Tests {
				own := slices.DeleteFunc(slices.Clone(c.Alerts), func(a alertTest) bool { return a.Alert != r.Alert })
				first := slices.IndexFunc(own, func(a alertTest) bool { return len(a.Expected) > 0 })
				if first < 0 {
					continue
				}
				most := slices.MaxFunc(own, func(a, b alertTest) int { return len(a.Expected) - len(b.Expected) })
				silentFirst = silentFirst || first > 0
				resolves = resolves || len(own[len(own)-1].Expected) < len(most.Expected)
			}
		}
		assert.True(t, silentFirst, "%s is never seen silent before it fires", r.Alert)
		assert.True(t, resolves, "%s is never seen to resolve", r.Alert)
	}
}
