package alerts_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// alertmanagerFile is the part of Alertmanager's configuration that is checked
// here; amtool checks the whole.
type alertmanagerFile struct {
	Route     map[string]any `json:"route"`
	Inhibit   []inhibition   `json:"inhibit_rules"`
	Receivers []any          `json:"receivers"`
}

type inhibition struct {
	Source []string `json:"source_matchers"`
	Target []string `json:"target_matchers"`
	Equal  []string `json:"equal"`
}

var matcherRE = regexp.MustCompile(`^([a-z_]+)(=~|!~|!=|=)"([^"]*)"$`)

// may reports whether an alert can match: a label that its series bring along
// can have any value.
func may(t *testing.T, r rule, of labelSets, matchers []string) bool {
	t.Helper()
	for _, text := range matchers {
		m := matcherRE.FindStringSubmatch(text)
		require.NotNil(t, m, text)
		value, fixed := r.Labels[m[1]]
		if m[1] == "alertname" {
			value, fixed = r.Alert, true
		}
		if !fixed && slices.Contains(append(of.all, of.some...), m[1]) || strings.Contains(value, "{{") {
			continue
		}
		matches := regexp.MustCompile("^(?:" + m[3] + ")$").MatchString(value)
		if m[2] == "=" || m[2] == "!=" {
			matches = value == m[3]
		}
		if matches == strings.HasPrefix(m[2], "!") {
			return false
		}
	}
	return true
}

// Labels that both sides lack count as equal: an inhibition by a label that an
// alert never has would silence far too much, or nothing.
func TestInhibitionsCompareLabelsThatBothAlertsHave(t *testing.T) {
	l := newLinter(t)
	labels := map[string]labelSets{}
	for _, r := range everyRule(t) {
		of, _ := l.lint(r.Expr)
		if r.Record != "" {
			l.recorded[r.Record] = of
			continue
		}
		for name := range r.Labels {
			of.all = append(of.all, name)
		}
		labels[r.Alert] = of
	}
	has := func(alert, label string) bool {
		return slices.Contains(append(labels[alert].all, labels[alert].some...), label)
	}
	for _, i := range inhibitions(t) {
		var sources, targets int
		for _, r := range rules(t) {
			for side, matchers := range map[*int][]string{&sources: i.Source, &targets: i.Target} {
				if !may(t, r, labels[r.Alert], matchers) {
					continue
				}
				*side++
				for _, label := range i.Equal {
					if label == "cluster" || r.Alert == "LifeboatMonitoringWatchdog" {
						continue // Prometheus' own external label where it watches one cluster
					}
					assert.True(t, has(r.Alert, label), "%s has no label %s, by which %v inhibits", r.Alert, label, i.Source)
				}
			}
		}
		assert.Positive(t, sources, "%v is no alert", i.Source)
		assert.Positive(t, targets, "%v is no alert", i.Target)
	}
}

// Every name in a matcher must be that of an alert: Alertmanager would not say.
func TestAlertmanagerNamesAlertsThatExist(t *testing.T) {
	var names []string
	for _, r := range rules(t) {
		names = append(names, r.Alert)
	}
	for _, i := range inhibitions(t) {
		for _, text := range append(slices.Clone(i.Source), i.Target...) {
			m := matcherRE.FindStringSubmatch(text)
			require.NotNil(t, m, text)
			if m[1] != "alertname" || m[3] == "Lifeboat.+" {
				continue
			}
			for name := range strings.SplitSeq(m[3], "|") {
				assert.Contains(t, names, name)
			}
		}
	}
}

// No alert may silence another one and be silenced by it.
func TestInhibitionHasNoCircles(t *testing.T) {
	l := newLinter(t)
	silences := map[string][]string{}
	for _, i := range inhibitions(t) {
		for _, source := range rules(t) {
			of, _ := l.lint(source.Expr)
			if !may(t, source, of, i.Source) {
				continue
			}
			for _, target := range rules(t) {
				of, _ := l.lint(target.Expr)
				if target.Alert != source.Alert && may(t, target, of, i.Target) {
					silences[source.Alert] = append(silences[source.Alert], target.Alert)
				}
			}
		}
	}
	for source, targets := range silences {
		for _, target := range targets {
			assert.NotContains(t, silences[target], source, "%s and %s silence each other", source, target)
		}
	}
	assert.NotContains(t, silences["LifeboatExporterAbsent"], watchdog)
}

func inhibitions(t *testing.T) []inhibition {
	t.Helper()
	out := load[alertmanagerFile](t, "alertmanager.yml").Inhibit
	require.NotEmpty(t, out)
	return out
}
