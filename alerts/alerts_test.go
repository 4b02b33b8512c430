package alerts_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/exporter"
)

const (
	rulesFile = "lifeboat.rules.yml"
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
	Tests              []testCase `json:"tests"`
}

type testCase struct {
	Name        string      `json:"name"`
	Interval    string      `json:"interval"`
	InputSeries []series    `json:"input_series"`
	Alerts      []alertTest `json:"alert_rule_test"`
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

func rules(t testing.TB) []rule {
	t.Helper()
	var out []rule
	for _, g := range load[ruleFile](t, rulesFile).Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				out = append(out, r)
			}
		}
	}
	require.NotEmpty(t, out)
	return out
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
	for _, r := range rules(t) {
		t.Run(r.Alert, func(t *testing.T) {
			assert.Regexp(t, `^Lifeboat[A-Z][A-Za-z]+$`, r.Alert)
			assert.Contains(t, []string{"critical", "warning", "info"}, r.Labels["severity"])
			assert.NotEmpty(t, r.For, "one odd scrape must not alert")
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
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		assert.Contains(t, alerts, e.Name())
	}
}

var (
	metricRE  = regexp.MustCompile(`\b(?:lifeboat|velero)_[a-z0-9_]+`)
	groupRE   = regexp.MustCompile(`\b(?:by|on) \(([a-z_, ]*)\)`)
	matcherRE = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`)
)

func TestAlertsUseOnlyWhatTheExporterServes(t *testing.T) {
	metrics, labels := map[string]bool{}, []string{"cluster", "namespace", "job"}
	for _, m := range exporter.Catalog() {
		metrics[m.Name] = true
		labels = append(labels, m.Labels...)
	}
	for _, r := range rules(t) {
		for _, name := range metricRE.FindAllString(r.Expr, -1) {
			assert.True(t, metrics[name], "%s uses %s, which is not in the catalog", r.Alert, name)
		}
		var used []string
		for _, m := range groupRE.FindAllStringSubmatch(r.Expr, -1) {
			used = append(used, strings.Split(strings.ReplaceAll(m[1], " ", ""), ",")...)
		}
		for _, m := range matcherRE.FindAllStringSubmatch(r.Expr, -1) {
			used = append(used, m[1])
		}
		for _, l := range used {
			assert.Contains(t, labels, l, r.Alert)
		}
	}
}

// This reads promtool's tests; make check-alerts runs them.
func TestEveryAlertIsSeenSilentFiringAndResolving(t *testing.T) {
	for _, r := range rules(t) {
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
