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

// muted reports whether an alert that fires mutes another one, as Alertmanager
// decides it: https://prometheus.io/docs/alerting/latest/configuration/#inhibit_rule
func muted(t *testing.T, source, target map[string]string) bool {
	t.Helper()
	match := func(matchers []string, alert map[string]string) bool {
		for _, text := range matchers {
			m := matcherRE.FindStringSubmatch(text)
			require.NotNil(t, m, text)
			matches := regexp.MustCompile("^(?:" + m[3] + ")$").MatchString(alert[m[1]])
			if m[2] == "=" || m[2] == "!=" {
				matches = alert[m[1]] == m[3]
			}
			if matches == strings.HasPrefix(m[2], "!") {
				return false
			}
		}
		return true
	}
	return slices.ContainsFunc(inhibitions(t), func(i inhibition) bool {
		return match(i.Source, source) && match(i.Target, target) &&
			!slices.ContainsFunc(i.Equal, func(label string) bool { return source[label] != target[label] })
	})
}

func TestAnAlertMutesOnlyWhatFollowsFromIt(t *testing.T) {
	severity := map[string]string{}
	for _, r := range rules(t) {
		severity[r.Alert] = r.Labels["severity"]
	}
	// alert is one of cluster a and namespace velero, but for its own labels.
	alert := func(name string, labels ...string) map[string]string {
		require.Contains(t, severity, "Lifeboat"+name)
		out := map[string]string{"alertname": "Lifeboat" + name, "severity": severity["Lifeboat"+name], "cluster": "a", "namespace": "velero"}
		for i := 0; i < len(labels); i += 2 {
			out[labels[i]] = labels[i+1]
		}
		return out
	}
	const location, schedule = "backup_location_name", "schedule"
	for _, tc := range []struct {
		source, target map[string]string
		want           bool
	}{
		{alert("ExporterAbsent"), alert("BackupOverdue", schedule, "db"), true},
		{alert("ExporterAbsent"), alert("BackupOverdue", schedule, "db", "namespace", "other"), false},
		{alert("ExporterAbsent"), alert("BackupOverdue", schedule, "db", "cluster", "b"), false},
		{alert("ExporterAbsent"), alert("ExporterAbsent", "namespace", "other"), false},
		{alert("ExporterAbsent"), alert("MonitoringWatchdog"), false},
		{alert("ExporterSourceDown", "source", "kube"), alert("ScheduleNotRunning", schedule, "db"), true},
		{alert("ExporterSourceDown", "source", "kube"), alert("ScheduleNotRunning", schedule, "db", "namespace", "other"), false},
		{alert("ExporterSourceDown", "source", "kube"), alert("CollectorFailed", "collector", "kube"), true},
		{alert("ExporterSourceDown", "source", "kube"), alert("CollectorFailed", "collector", "storage"), false},
		{alert("ExporterSourceDown", "source", "kube"), alert("BackupOverdue", schedule, "db", location, "main"), false}, // the location is read
		{alert("ExporterSourceDown", "source", "bucket", location, "main"), alert("CollectorFailed", "collector", "kube"), false},
		{alert("ExporterSourceDown", "source", "bucket", location, "main"), alert("CollectorFailed", "collector", "storage"), true},
		{alert("ExporterSourceDown", "source", "ledger"), alert("CollectorFailed", "collector", "ledger"), true},
		{alert("ExporterSourceDown", "source", "drills", location, "main"), alert("CollectorFailed", "collector", "claims"), true},
		{alert("ExporterSourceDown", "source", "bucket", location, "main"), alert("BackupOverdue", schedule, "db", location, "main"), true},
		{alert("ExporterSourceDown", "source", "bucket", location, "main"), alert("BackupOverdue", schedule, "db", location, "far"), false},
		{alert("ExporterSourceDown", "source", "drills", location, "main"), alert("BackupOverdue", schedule, "db", location, "main"), false},
		{alert("LocationUnavailable", location, "main"), alert("RPOBreached", schedule, "db", location, "main"), true},
		{alert("LocationUnavailable", location, "main"), alert("RPOBreached", schedule, "db", location, "far"), false},
		{alert("LocationUnavailable", location, "main"), alert("RPOBreached", schedule, "db", location, ""), false},
		{alert("LocationUnavailable", location, "main"), alert("RPOBreached", schedule, "db", location, "main", "namespace", "other"), false},
		{alert("LocationUnavailable", location, "main"), alert("ExporterSourceDown", "source", "kube"), false},
		{alert("ControllerStalled", location, "main"), alert("BackupOverdue", schedule, "db", location, "far"), true},
		{alert("ControllerStalled", location, "main"), alert("ScheduleNotRunning", schedule, "db", "namespace", "other"), false},
		{alert("ScheduleInvalid", schedule, "db"), alert("BackupOverdue", schedule, "db"), true},
		{alert("ScheduleInvalid", schedule, "db"), alert("BackupOverdue", schedule, "shop"), false},
		{alert("RPOBreached", schedule, "db"), alert("BackupOverdue", schedule, "db"), true},
		{alert("RPOBreached", schedule, "db"), alert("BackupOverdue", schedule, "db", "cluster", "b"), false},
		{alert("RPOBreached", schedule, "db"), alert("LastBackupFailed", schedule, "db"), false}, // it may be why
		{alert("ScheduleNotRunning", schedule, "db"), alert("BackupOverdue", schedule, "db"), true},
		{alert("BackupFailingRepeatedly", schedule, "db"), alert("LastBackupFailed", schedule, "db"), true},
		{alert("BackupFailingRepeatedly", schedule, "db"), alert("LastBackupFailed", schedule, "shop"), false},
		{alert("ProvenBackupTooOld", schedule, "db"), alert("DrillOverdue", schedule, "db"), true},
		{alert("ProvenBackupTooOld", schedule, "db"), alert("DrillError", schedule, "db"), false}, // it may be why
		{alert("DrillFailed", schedule, "db"), alert("LastBackupFailed", schedule, "db"), false},
		{alert("DrillFailed", schedule, "db"), alert("SchedulePaused", schedule, "db"), false},
		{alert("BackupFailingRepeatedly", schedule, "db"), alert("VolumesSkippedOrFailed", schedule, "db"), false},
		{alert("ObjectLockMissing", schedule, "db"), alert("BackupShrunk", schedule, "db"), false},
	} {
		assert.Equal(t, tc.want, muted(t, tc.source, tc.target), "%v\nmutes %v", tc.source, tc.target)
	}
}

func inhibitions(t *testing.T) []inhibition {
	t.Helper()
	out := load[alertmanagerFile](t, "alertmanager.yml").Inhibit
	require.NotEmpty(t, out)
	return out
}
