package alerts_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// update writes what is made from the rules: go test ./alerts -update
var update = flag.Bool("update", false, "write the files that are made from the rules")

// fresh compares a file with what it is made from.
func fresh(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, want, string(got), "out of date: go test ./alerts -update")
}

// ruleHeader is what the Prometheus operator wants around the groups, which it
// spells as Prometheus does.
const ruleHeader = `# Made from lifeboat.rules.yml by go test ./alerts -update; edit that.
# For the Prometheus operator (monitoring.coreos.com/v1):
#
#   kubectl apply -f prometheusrule.yaml
#
# Change first:
# - the label release: kube-prometheus-stack selects rules whose label has the name of
#   its Helm release. Another Prometheus has its own selector; see ruleSelector of
#   kubectl get prometheuses.monitoring.coreos.com -A -o yaml
# - the namespace: that of the exporter. OpenShift's monitoring of user projects, and
#   each Prometheus with enforcedNamespaceLabel, evaluates a rule on the series of its
#   own namespace only
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: lifeboat
  namespace: velero
  labels:
    app.kubernetes.io/name: lifeboat-exporter
    app.kubernetes.io/part-of: lifeboat
    release: kube-prometheus-stack
spec:
`

func TestThePrometheusRuleIsTheRuleFile(t *testing.T) {
	raw, err := os.ReadFile(rulesFile)
	require.NoError(t, err)
	_, groups, ok := strings.Cut(string(raw), "\ngroups:\n")
	require.True(t, ok)
	var b strings.Builder
	b.WriteString(ruleHeader + "  groups:\n")
	for line := range strings.Lines(groups) {
		if strings.TrimSpace(line) != "" {
			b.WriteString("  ")
		}
		b.WriteString(line)
	}
	fresh(t, "prometheusrule.yaml", b.String())

	manifest := load[struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name      string            `json:"name"`
			Namespace string            `json:"namespace"`
			Labels    map[string]string `json:"labels"`
		} `json:"metadata"`
		Spec ruleFile `json:"spec"`
	}](t, "prometheusrule.yaml")
	assert.Equal(t, load[ruleFile](t, rulesFile), manifest.Spec)
	assert.Equal(t, "velero", manifest.Metadata.Namespace, "that of the exporter, where Prometheus enforces it")
	assert.Equal(t, "kube-prometheus-stack", manifest.Metadata.Labels["release"], "by which kube-prometheus-stack selects rules")
}

// The list in docs/alerts.md lies between these two lines.
const (
	listBegins = "<!-- made from alerts/lifeboat.rules.yml: go test ./alerts -update -->\n"
	listEnds   = "<!-- end of the list -->\n"
)

func TestTheDocumentListsEveryAlert(t *testing.T) {
	path := filepath.Join("..", "docs", "alerts.md")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(raw), listBegins)
	require.True(t, ok, listBegins)
	_, after, ok := strings.Cut(rest, listEnds)
	require.True(t, ok, listEnds)

	var b strings.Builder
	b.WriteString("\n| alert | severity | after | says |\n|---|---|---|---|\n")
	for _, r := range rules(t) {
		wait := r.For
		if wait == "" {
			wait = "0m"
		}
		fmt.Fprintf(&b, "| [%s](runbooks/%[1]s.md) | %s | %s | %s |\n", r.Alert, r.Labels["severity"], wait, r.Annotations["summary"])
	}
	b.WriteString("\n")
	fresh(t, path, before+listBegins+b.String()+listEnds+after)
}

// theirs are the rules many have for Velero.
const theirs = "examples/velero.rules.yml"

func TestTheUsualRulesForVeleroFindTheirMetrics(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "docs", "alerts.md"))
	require.NoError(t, err)
	asked := map[string]bool{}
	for _, f := range tests(t) {
		for _, c := range f.Tests {
			for _, a := range c.Alerts {
				asked[a.Alert] = true
			}
		}
	}
	l, n := newLinter(t), 0
	for _, g := range load[ruleFile](t, theirs).Groups {
		for _, r := range g.Rules {
			n++
			_, problems := l.lint(r.Expr)
			assert.Empty(t, problems, r.Alert)
			assert.Contains(t, string(raw), "| `"+r.Alert+"` |", "docs/alerts.md says what it misses")
			assert.True(t, asked[r.Alert], "a test shows what %s misses", r.Alert)
		}
	}
	assert.Equal(t, 10, n)
}
