//go:build e2e

package alerting_test

import (
	"encoding/json"
	"io/fs"
	"maps"
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

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/dashboards"
	"github.com/lifeboat-backup/lifeboat/exporter"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	drill "github.com/lifeboat-backup/lifeboat/verifier/report"
)

// A cluster in which Velero does all it can do, the bucket that real Velero
// wrote, and the schedules of a present setup, side by side. Nothing of
// Lifeboat's own but the exporter looks after any of them.
func TestVeleroIsWatchedWithoutAServerOfOurs(t *testing.T) {
	env := newEnvironment(t)
	full, fixture, users := env.world("full"), env.world("fixture"), env.world("users")
	theirs, err := filepath.Abs(filepath.Join(root, "alerts", "examples", "velero.rules.yml"))
	require.NoError(t, err)
	env.startPrometheus(theirs)
	for w, made := range map[*world]func(*testing.T, *world) []string{full: everything, fixture: written, users: usersSchedules} {
		w.watch(t, made(t, w)...)
		env.show(w)
	}
	later(t, full)

	t.Run("what real Velero wrote is shown as it is", func(t *testing.T) { shownAsItIs(t, env, fixture) })
	t.Run("rules that others have for Velero load unchanged and have their series", func(t *testing.T) { theirRules(t, env, theirs) })
	t.Run("every rule of ours is evaluated without an error", func(t *testing.T) { assertHealthy(t, env) })
	t.Run("every query of every dashboard returns series", func(t *testing.T) { everyQuery(t, env, full) })
	t.Run("every metric of the catalog is served", func(t *testing.T) { everyMetric(t, env) })
}

// everything fills a world so that each metric has something to say.
func everything(t *testing.T, w *world) []string {
	t.Helper()
	w.lock(t)
	flags := w.installVelero(t, "main")
	w.schedule(t, "shop", "@every 24h", annotations{api.AnnotationRTO: "1h", api.AnnotationRPO: "26h"})
	w.schedule(t, "asleep", "0 3 * * *", nil)
	w.patch(t, "Schedule", "asleep", fields{"spec": fields{"paused": true}})
	b := backup{name: "shop-1", schedule: "shop", phase: completed, started: time.Now(), volumes: []volume{saved(1 << 20), skipped()}}
	w.run(t, b)
	w.retain(t, b)
	w.put(t, "kopia/shop/p0123456789abcdef", strings.Repeat("x", 1<<10))
	w.evidence(t, b, nightly(drill.Passed))
	w.claim(t, "shop-1", time.Now().Add(time.Hour))
	w.create(t, "BackupRepository", velerov1.BackupRepository{
		ObjectMeta: metav1.ObjectMeta{Name: "shop-main-kopia"},
		Spec: velerov1.BackupRepositorySpec{
			VolumeNamespace: "shop", BackupStorageLocation: "main", RepositoryType: "kopia", MaintenanceFrequency: metav1.Duration{Duration: time.Hour},
		},
		Status: velerov1.BackupRepositoryStatus{Phase: velerov1.BackupRepositoryPhaseReady, LastMaintenanceTime: moment(time.Now())},
	})
	return append(flags, "--ledger="+w.s3.URL("main"), "--repositories", "--object-lock=report", "--probe-writes", "--storage-scan-interval=1s")
}

// nightly is the report of a drill of a policy.
func nightly(verdict drill.Verdict) func(*drill.Report) {
	return func(r *drill.Report) {
		r.Policy, r.PolicySchedule, r.Verdict = "nightly", "0 4 * * *", verdict
		r.Checks = []drill.Check{{Name: "items_restored", Verdict: drill.Passed}, {Name: "shop_answers", Verdict: verdict, Kind: "http"}}
		r.Items.RestoredBytes = 1 << 20
	}
}

// later is what happens while the exporter watches.
func later(t *testing.T, w *world) {
	t.Helper()
	w.run(t, w.next(failed))
	b := w.next(partiallyFailed)
	b.volumes = []volume{saved(1 << 20), skipped()}
	w.run(t, b)
	w.evidence(t, b, nightly(drill.Failed))
	w.begin(t, w.next(completed))
	w.create(t, "Restore", velerov1.Restore{
		ObjectMeta: metav1.ObjectMeta{Name: "back"},
		Spec:       velerov1.RestoreSpec{BackupName: "shop-1"},
		Status: velerov1.RestoreStatus{
			Phase: velerov1.RestorePhaseCompleted, StartTimestamp: moment(time.Now()), CompletionTimestamp: moment(time.Now()),
		},
	})
	w.patch(t, "Backup", "shop-1", fields{"metadata": fields{"labels": fields{"velero.io/gc-failure": "BSLReadOnly"}}})
}

// written is the bucket that real Velero wrote, with the objects it had in the
// cluster that are left or come back: a cluster that was set up again.
func written(t *testing.T, w *world) []string {
	t.Helper()
	folder := rig.SmallBucket(t)
	s := w.open(t, "default")
	require.NoError(t, filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return s.Put(t.Context(), filepath.ToSlash(strings.TrimPrefix(path, folder+string(filepath.Separator))), f)
	}))
	flags := w.installVelero(t, "default")
	raw, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(store.Metadata(rig.VelerosBackup))))
	require.NoError(t, err)
	var b velerov1.Backup
	require.NoError(t, json.Unmarshal(raw, &b))
	w.create(t, "Schedule", velerov1.Schedule{
		ObjectMeta: metav1.ObjectMeta{Name: "notes-1h"},
		Spec:       velerov1.ScheduleSpec{Schedule: "@every 1h", Template: velerov1.BackupSpec{IncludedNamespaces: []string{"notes"}, TTL: b.Spec.TTL}},
		Status:     velerov1.ScheduleStatus{Phase: velerov1.SchedulePhaseEnabled, LastBackup: b.Status.StartTimestamp},
	})
	// As Velero's backup sync makes it: the object as it is in the bucket, in its
	// own namespace, with an identity of its own.
	b.Namespace, b.UID, b.ResourceVersion, b.ManagedFields = w.name, "", "", nil
	w.create(t, "Backup", b)
	return flags
}

// shownAsItIs compares what is served with what is known of the fixture
// (test/fixtures/velero-v1.18.1/README.md).
func shownAsItIs(t *testing.T, env *environment, w *world) {
	started, ended := time.Date(2026, 11, 22, 8, 42, 42, 0, time.UTC), time.Date(2026, 11, 22, 8, 42, 49, 0, time.UTC)
	of := func(name string, labels ...string) string {
		return name + `{` + strings.Join(append(labels, `cluster="fixture"`), ",") + `}`
	}
	const notes = `schedule="notes-1h"`
	for query, want := range map[string]float64{
		of("lifeboat_schedule_backups", notes, `phase="Completed"`):                            1,
		of("lifeboat_schedule_last_backup_phase", notes, `phase="Completed"`):                  1,
		of("lifeboat_schedule_recovery_point_timestamp_seconds", notes):                        float64(started.Unix()),
		of("lifeboat_schedule_last_success_duration_seconds", notes):                           ended.Sub(started).Seconds(),
		of("lifeboat_schedule_last_backup_volumes", notes, `result="succeeded"`):               1,
		of("lifeboat_schedule_last_backup_volumes", notes, `result="skipped"`):                 0,
		of("lifeboat_schedule_ttl_seconds", notes):                                             25 * 3600,
		of("lifeboat_schedule_info", notes, `cron="@every 1h"`):                                1,
		of("velero_backup_last_successful_timestamp", notes):                                   float64(ended.Unix()),
		of("velero_backup_last_status", notes):                                                 1,
		of("velero_backup_items_total", notes):                                                 20,
		of("velero_backup_total"):                                                              1,
		of("lifeboat_location_missing_backups", `backup_location_name="default"`):              0,
		of("lifeboat_location_orphaned_backups", `backup_location_name="default"`):             0,
		of("lifeboat_location_foreign_backups", `backup_location_name="default"`):              0,
		of("lifeboat_location_incomplete_backups", `backup_location_name="default"`):           0,
		of("lifeboat_location_unreadable_objects", `backup_location_name="default"`):           0,
		of("lifeboat_location_access_mode", `access_mode="ReadWrite"`):                         1,
		of("lifeboat_exporter_source_up", `source="kube"`):                                     1,
		of("lifeboat_exporter_source_up", `source="bucket"`, `backup_location_name="default"`): 1,
	} {
		var got []sample
		ok := await(t, patient, nil, func() bool {
			got = env.ask(t, query)
			return len(got) == 1 && valueOf(t, got[0]) == want
		})
		assert.True(t, ok, "%s is %v, want %v", query, got, want)
	}
}

// usersSchedules are those of a present setup, each with a backup.
func usersSchedules(t *testing.T, w *world) []string {
	t.Helper()
	flags := w.installVelero(t, "main")
	for name, cron := range map[string]string{"backup-1h": "@every 1h", "backup-1d": "@every 24h", "backup-1m": "@every 730h", "backup-1y": "@every 8760h"} {
		w.schedule(t, name, cron, nil)
		w.run(t, backup{name: name + "-1", schedule: name, phase: completed})
	}
	return flags
}

var metrics = regexp.MustCompile(`(?:velero|lifeboat)_[a-z0-9_]+(?:\{[^}]*\})?`)

// theirRules requires a series for each metric they name, with their labels.
func theirRules(t *testing.T, env *environment, path string) {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, expr := range expressions(t, raw) {
		named := metrics.FindAllString(expr, -1)
		require.NotEmpty(t, named, name)
		for _, selector := range named {
			assert.True(t, await(t, patient, nil, func() bool { return len(env.ask(t, selector)) > 0 }), "%s: %s has no series", name, selector)
		}
	}
	assertHealthy(t, env)
}

// assertHealthy requires of every rule that it was evaluated without an error.
func assertHealthy(t *testing.T, env *environment) {
	t.Helper()
	type answer struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	var sick []string
	assert.True(t, await(t, patient, nil, func() bool {
		sick = nil
		for _, g := range get[answer](t, env.prometheus, "rules", nil).Groups {
			for _, r := range g.Rules {
				if r.Health != "ok" {
					sick = append(sick, r.Name+": "+r.Health+" "+r.LastError)
				}
			}
		}
		return len(sick) == 0
	}), strings.Join(sick, "\n"))
}

// everyQuery asks what Grafana would ask for the panels.
func everyQuery(t *testing.T, env *environment, w *world) {
	missing := map[string]string{}
	for _, d := range dashboards.All() {
		for _, q := range d.Queries(map[string]string{"cluster": w.name, "schedule": "shop"}) {
			missing[d.UID+": "+q.Panel+" "+q.RefID] = q.Expr
		}
	}
	require.NotEmpty(t, missing)
	await(t, patient, nil, func() bool {
		maps.DeleteFunc(missing, func(_, query string) bool { return len(env.ask(t, query)) > 0 })
		return len(missing) == 0
	})
	for panel, query := range missing {
		t.Errorf("%s has no series: %s", panel, query)
	}
}

// everyMetric looks for the names that Prometheus has seen.
func everyMetric(t *testing.T, env *environment) {
	var missing []string
	await(t, patient, nil, func() bool {
		missing = nil
		seen := get[[]string](t, env.prometheus, "label/__name__/values", url.Values{})
		for _, m := range exporter.Catalog() {
			name := m.Name
			if m.Type == exporter.Histogram {
				name += "_bucket"
			}
			if !slices.Contains(seen, name) {
				missing = append(missing, name)
			}
		}
		return len(missing) == 0
	})
	assert.Empty(t, missing, "metrics that nothing has made the exporter serve")
}
