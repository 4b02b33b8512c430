//go:build e2e

// Package prometheus_test shows the exporter, the alerts and the dashboards to a
// real Prometheus: what is written in them is what it serves and understands.
package prometheus_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/dashboards"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence/evidencetest"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

const (
	root    = "../../.."
	patient = 60 * time.Second
	often   = 200 * time.Millisecond
)

// location is a directory with backups and evidence.
type location struct {
	t   *testing.T
	dir string
}

func (l location) put(key string, content []byte) {
	l.t.Helper()
	s, err := fs.Open(l.dir, true)
	require.NoError(l.t, err)
	defer s.Close()
	require.NoError(l.t, s.Put(l.t.Context(), key, bytes.NewReader(content)))
}

func (l location) backup(name, schedule string, phase velerov1.BackupPhase, started time.Time) {
	l.t.Helper()
	b := velerov1.Backup{}
	b.APIVersion, b.Kind, b.Name = velerov1.APIVersion, "Backup", name
	b.Labels = map[string]string{api.LabelScheduleName: schedule}
	b.Status = velerov1.BackupStatus{
		Phase: phase, StartTimestamp: &metav1.Time{Time: started}, CompletionTimestamp: &metav1.Time{Time: started.Add(time.Minute)},
		Progress: &velerov1.BackupProgress{TotalItems: 120, ItemsBackedUp: 120},
	}
	raw, err := json.Marshal(b)
	require.NoError(l.t, err)
	l.put(store.Contents(name), make([]byte, 4096))
	l.put(store.Metadata(name), raw)
}

func (l location) drill(id, backup, schedule string, verdict report.Verdict, started, finished time.Time) {
	l.t.Helper()
	s, err := fs.Open(l.dir, true)
	require.NoError(l.t, err)
	defer s.Close()
	drilled, err := evidencetest.Drilled(l.t.Context(), s, report.Report{
		Schema: report.Schema, ID: id, Level: report.LevelControlPlane, Verdict: verdict,
		Backup:  report.Backup{Name: backup, Schedule: schedule, Started: started.Truncate(time.Second)},
		Started: finished.Add(-time.Minute), Finished: finished,
		Stages: []report.Stage{{Name: "restore", Seconds: 12}, {Name: "cleanup", Seconds: 1}},
		Items:  report.Items{Expected: 120, Restored: 120},
	})
	require.NoError(l.t, err)
	raw, err := drilled.Encode()
	require.NoError(l.t, err)
	l.put(store.Evidence(backup, id), raw)
}

// ask asks Prometheus and decodes the data of its answer.
func ask[T any](t *testing.T, base, path string, query url.Values) T {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/"+path+"?"+query.Encode(), nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	var answer struct {
		Status, Error string
		Data          T
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	require.Equal(t, "success", answer.Status, "%s %s: %s", path, query.Get("query"), answer.Error)
	return answer.Data
}

type result struct{ Result []any }

func series(t *testing.T, base, query string) int {
	t.Helper()
	return len(ask[result](t, base, "query", url.Values{"query": {query}}).Result)
}

// firing are the alerts that fire, the one that always does left out: name, and
// the schedule or location.
func firing(t *testing.T, base string) []string {
	t.Helper()
	type alert struct {
		State  string
		Labels map[string]string
	}
	var out []string
	for _, a := range ask[struct{ Alerts []alert }](t, base, "alerts", nil).Alerts {
		if a.State == "firing" && a.Labels["alertname"] != "LifeboatMonitoringWatchdog" {
			out = append(out, strings.TrimSpace(a.Labels["alertname"]+" "+a.Labels["schedule"]+a.Labels["source"]))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func awaitFiring(t *testing.T, base, when string, want ...string) {
	t.Helper()
	slices.Sort(want)
	var got []string
	ok := assert.Eventually(t, func() bool {
		got = firing(t, base)
		return slices.Equal(want, got)
	}, patient, often)
	require.True(t, ok, "%s\nwant %v\ngot  %v", when, want, got)
}

// hurried is the rule file with every "for" cut to a second.
func hurried(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "hurried.rules.yml")
	require.NoError(t, os.WriteFile(out, regexp.MustCompile(`(?m)^(\s+for:) .*$`).ReplaceAll(raw, []byte("$1 1s")), 0o600))
	return out
}

// notServed are metrics that the exporter of this test, which has a folder of
// backups and no cluster, has nothing to say of. Package alerting has it all.
var notServed = regexp.MustCompile(`\b(` + strings.Join([]string{
	"lifeboat_schedule_next_run_timestamp_seconds",
	"lifeboat_schedule_locked_backups",
	"lifeboat_schedule_recovery_point_lock_until_timestamp_seconds",
	"lifeboat_schedule_ttl_seconds",
	"lifeboat_schedule_ttl_defaulted",
	"lifeboat_schedule_oldest_active_run_timestamp_seconds",
	"lifeboat_schedule_last_failure_timestamp_seconds",
	"lifeboat_schedule_last_backup_volumes",
	"lifeboat_schedule_gc_blocked_backups",
	"lifeboat_schedule_expected_backups_min",
	"lifeboat_schedule_expected_backups_max",
	"lifeboat_drill_deadline_timestamp_seconds",
	"lifeboat_drill_rto_target_seconds",
	"lifeboat_drill_check_passed",
	"lifeboat_drill_restored_bytes",
	"lifeboat_location_orphaned_backups",
	"lifeboat_location_missing_backups",
	"lifeboat_location_foreign_backups",
	"lifeboat_location_last_validation_timestamp_seconds",
	"lifeboat_location_validation_interval_seconds",
	"lifeboat_location_access_mode",
	"lifeboat_location_object_lock_enabled",
	"lifeboat_location_object_lock_mode",
	"lifeboat_location_object_lock_default_retention_seconds",
	"lifeboat_location_versioning_enabled",
	"lifeboat_location_logical_bytes",
	"lifeboat_repository_last_maintenance_timestamp_seconds",
}, "|") + `)\b`)

// dashboardQueries are the queries of all dashboards, by where they are, asked
// of one schedule where only one can be chosen.
func dashboardQueries() map[string]string {
	out := map[string]string{}
	for _, d := range dashboards.All() {
		values := map[string]string{"job": "lifeboat-exporter"}
		if d.UID == "lifeboat-schedule" {
			values["schedule"] = "shop"
		}
		for _, q := range d.Queries(values) {
			out[d.UID+": "+q.Panel+" "+q.RefID] = q.Expr
		}
	}
	return out
}

func alertExpressions(t *testing.T, path string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var f struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	require.NoError(t, yaml.Unmarshal(raw, &f))
	out := map[string]string{}
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			out[r.Alert] = r.Expr
		}
	}
	require.NotEmpty(t, out)
	return out
}

func TestARealPrometheusUnderstandsItAll(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	l := location{t, filepath.Join(t.TempDir(), "backups")}
	for i := range 4 {
		l.backup(fmt.Sprintf("shop-%d", i), "shop", velerov1.BackupPhaseCompleted, now.Add(-time.Duration(i)*time.Hour))
	}
	l.drill("d1", "shop-1", "shop", report.Passed, now.Add(-time.Hour), now)
	l.backup("db-0", "db", velerov1.BackupPhaseCompleted, now.Add(-100*time.Hour))
	for i := range 3 {
		l.backup(fmt.Sprintf("db-%d", i+1), "db", velerov1.BackupPhaseFailed, now.Add(-time.Duration(72-24*i)*time.Hour))
	}
	l.drill("d1", "db-0", "db", report.Failed, now.Add(-100*time.Hour), now.Add(-90*time.Hour))

	exporter := rig.Exporter(t, rig.BuildExporter(t), "--location", "main=file://"+l.dir, "--schedule", "db=@every 24h",
		"--refresh-interval=1s", "--refresh-timeout=1s")
	rules := filepath.Join(root, "alerts", "lifeboat.rules.yml")
	base := rig.Prometheus(t, rig.PrometheusConfig{
		Job: "lifeboat-exporter", Target: exporter.Address, RuleFiles: []string{hurried(t, rules)}, Interval: time.Second,
	})

	awaitFiring(t, base, "one schedule is well, one is not",
		"LifeboatBackupFailingRepeatedly db", "LifeboatBackupOverdue db", "LifeboatDrillFailed db", "LifeboatLastBackupFailed db", "LifeboatRPOBreached db")

	t.Run("every query of the dashboards returns series", func(t *testing.T) {
		missing := dashboardQueries()
		maps.DeleteFunc(missing, func(_, query string) bool { return notServed.MatchString(query) })
		require.NotEmpty(t, missing)
		assert.Eventually(t, func() bool {
			maps.DeleteFunc(missing, func(_, query string) bool { return series(t, base, query) > 0 })
			return len(missing) == 0
		}, patient, often)
		for panel, query := range missing {
			t.Errorf("%s has no series: %s", panel, query)
		}
	})
	t.Run("every expression of the alerts can be evaluated", func(t *testing.T) {
		for _, expr := range alertExpressions(t, rules) {
			series(t, base, expr) // an error ends the test
		}
		type rule struct{ Name, Health, LastError string }
		groups := ask[struct{ Groups []struct{ Rules []rule } }](t, base, "rules", nil).Groups
		require.NotEmpty(t, groups)
		for _, g := range groups {
			for _, r := range g.Rules {
				assert.Equal(t, "ok", r.Health, "%s: %s", r.Name, r.LastError)
			}
		}
	})

	l.backup("db-9", "db", velerov1.BackupPhaseCompleted, now)
	l.drill("d1", "db-9", "db", report.Passed, now, now.Add(time.Second))
	awaitFiring(t, base, "a backup that completes and passes a drill resolves everything")

	away := l.dir + ".away"
	require.NoError(t, os.Rename(l.dir, away))
	awaitFiring(t, base, "a location that is gone is one alert for each thing that cannot be seen",
		"LifeboatCollectorFailed", "LifeboatExporterSourceDown bucket", "LifeboatExporterSourceDown drills", "LifeboatLocationUnavailable")
	require.Eventually(t, func() bool {
		return series(t, base, "lifeboat_schedule_last_backup_phase") == 0
	}, patient, often, "verdicts are withheld")
	require.NotZero(t, series(t, base, "lifeboat_schedule_recovery_point_timestamp_seconds"), "timestamps are served")
	require.NoError(t, os.Rename(away, l.dir))
	awaitFiring(t, base, "a location that comes back is well")

	require.NoError(t, exporter.Stop())
	awaitFiring(t, base, "an exporter that is gone is one alert", "LifeboatExporterAbsent")
}
