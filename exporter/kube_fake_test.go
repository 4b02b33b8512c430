package exporter

import (
	"context"
	"sync"
	"testing"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/bucket"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
)

// fakeKube is a cluster that says what it was told to say.
type fakeKube struct {
	mu   sync.Mutex
	scan fact.KubeScan
	err  error
}

func (f *fakeKube) ListKube(context.Context) (fact.KubeScan, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.scan, f.err
}

func (f *fakeKube) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// kubeSchedule is a Schedule that was made at created and has not run yet.
func kubeSchedule(t testing.TB, name, expr string, created time.Time) fact.Schedule {
	t.Helper()
	s := fact.Schedule{Name: name, Expr: expr, Created: created}
	parsed, err := schedule.Parse(expr)
	if err != nil {
		s.Invalid = err.Error()
		return s
	}
	s.Cron, s.Interval = parsed, parsed.Interval(created)
	return s
}

// inCluster are backups as the cluster that made them has them.
func inCluster(location string, backups ...fact.Backup) []fact.Backup {
	out := make([]fact.Backup, len(backups))
	for i, b := range backups {
		b.Location, b.InCluster = location, true
		if b.Created.IsZero() {
			b.Created = b.Start.Add(-time.Second)
		}
		out[i] = b
	}
	return out
}

// aClusterOf is the cluster of aDayInTheLife: beside what the bucket shows it has
// a run under way, one that failed validation, one whose deletion is blocked, and
// schedules that are paused and that can never run.
func aClusterOf(t testing.TB, b fakeBucket) *fakeKube {
	t.Helper()
	long := midnight.AddDate(0, -3, 0)
	hourly := kubeSchedule(t, "shop-hourly", "@every 1h", long)
	hourly.TTL, hourly.LastBackup = 25*time.Hour, midnight.Add(-time.Hour)
	daily := kubeSchedule(t, "db-daily", "0 2 * * *", long)
	daily.RPO, daily.RTO, daily.Grace = 30*time.Hour, time.Hour, 2*time.Hour
	paused := kubeSchedule(t, "paused", "CRON_TZ=Europe/Berlin 0 9 * * 1-5", long)
	paused.Paused = true
	scan, err := bucket.New(b.open, silent()).ListBackups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	running := endedAs(velerov1.BackupPhaseInProgress, completedBackup("shop-hourly", "shop-hourly-0", midnight.Add(-time.Minute)))
	refused := endedAs(velerov1.BackupPhaseFailedValidation, completedBackup("db-daily", "db-daily-0", midnight.Add(-22*time.Hour)))
	refused.Completed = time.Time{}
	blocked := endedAs(velerov1.BackupPhaseFailed, completedBackup("shop-hourly", "shop-hourly-9", midnight.Add(-30*time.Hour)))
	blocked.GCFailure, blocked.Expires = "BSLReadOnly", midnight.Add(-5*time.Hour)
	return &fakeKube{scan: fact.KubeScan{
		Schedules: []fact.Schedule{hourly, daily, paused, kubeSchedule(t, "february", "0 0 30 2 *", long)},
		Backups:   inCluster("default", append(scan.Backups, running, refused, blocked)...),
		Restores:  []fact.Restore{{Name: "r-1", UID: "uid-r-1", Backup: "shop-hourly-1", Schedule: "shop-hourly", Phase: velerov1.RestorePhaseCompleted}},
		Locations: []fact.StorageLocation{{
			Name: "default", Available: true, Default: true, Validated: midnight.Add(-20 * time.Second), ValidationInterval: time.Minute, SyncInterval: time.Minute,
		}},
		Repositories: []fact.Repository{{Name: "shop-default-kopia", Location: "default", LastMaintained: midnight.Add(-time.Hour)}},
	}}
}

// watched is oneLocation with a cluster that was read just before noon, too.
func watched(cfg state.Config, scan fact.KubeScan, backups []fact.Backup, drills ...fact.Drill) state.State {
	known := oneLocation(cfg, backups, drills...)
	known.Kube = &state.KubeState{Source: readAt(noon), KubeScan: scan}
	return state.Assemble(known, cfg.WithDefaults())
}
