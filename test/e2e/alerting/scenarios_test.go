//go:build e2e

package alerting_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/store"
	drill "github.com/lifeboat-backup/lifeboat/verifier/report"
)

const (
	completed       = velerov1.BackupPhaseCompleted
	failed          = velerov1.BackupPhaseFailed
	partiallyFailed = velerov1.BackupPhasePartiallyFailed
)

// Labels of notifications.
var (
	shop   = map[string]string{"schedule": "shop"}
	inMain = map[string]string{"backup_location_name": "main"}
)

func scenarios() []scenario {
	var all []scenario
	for _, some := range [][]scenario{bucketScenarios(), veleroScenarios(), exporterScenarios()} {
		all = append(all, some...)
	}
	return all
}

// first is the backup that a healthy world has.
func first() backup {
	return backup{name: "shop-1", schedule: "shop", phase: completed, started: time.Now()}
}

// bucketAlone is a world of which nothing but the bucket is seen: with one backup
// of the schedule shop, proven by a drill.
func bucketAlone(t *testing.T, w *world) []string {
	t.Helper()
	b := first()
	w.store(t, b)
	w.drilled(t, b, drill.Passed)
	return []string{w.main(), "--schedule=shop=@every 24h"}
}

// velero is a world with Velero and a schedule that makes a backup a day; the
// first one was proven by a drill.
func velero(t *testing.T, w *world) []string {
	t.Helper()
	return veleroWith("@every 24h", nil)(t, w)
}

// veleroWith is the same with another schedule.
func veleroWith(cron string, targets annotations) func(*testing.T, *world) []string {
	return func(t *testing.T, w *world) []string {
		t.Helper()
		flags := w.installVelero(t, "main")
		w.schedule(t, "shop", cron, targets)
		b := first()
		w.run(t, b)
		w.drilled(t, b, drill.Passed)
		return flags
	}
}

// runs makes runs of the schedule shop end in a phase, one after the other.
func runs(n int, phase velerov1.BackupPhase) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		t.Helper()
		for range n {
			w.run(t, w.next(phase))
		}
	}
}

// stored is runs where there is only a bucket.
func stored(n int, phase velerov1.BackupPhase) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		t.Helper()
		for range n {
			w.store(t, w.next(phase))
		}
	}
}

// goesOn is the routine of a schedule whose runs complete.
func goesOn(t *testing.T, w *world, _ int) {
	t.Helper()
	w.run(t, w.next(completed))
}

// replaces is the same, where a backup makes the one before it superfluous: there
// are never more than two.
func replaces(t *testing.T, w *world, turn int) {
	t.Helper()
	goesOn(t, w, turn)
	w.expire(t, w.live[:len(w.live)-1]...)
}

// nothing is done: time passes.
func nothing(*testing.T, *world) {}

func bucketScenarios() []scenario {
	return []scenario{{
		alert: "LifeboatLastBackupFailed", what: "bucket alone: a run ends PartiallyFailed", labels: map[string]string{"schedule": "shop", "phase": "PartiallyFailed", "backup_location_name": "main"},
		healthy: bucketAlone, cause: stored(1, partiallyFailed), cure: stored(1, completed),
	}, {
		alert: "LifeboatBackupFailingRepeatedly", what: "bucket alone: three runs in a row fail", labels: shop, also: []string{"LifeboatLastBackupFailed"},
		healthy: bucketAlone, cause: stored(3, failed), cure: stored(1, completed),
	}, {
		alert: "LifeboatScheduleDisappeared", what: "bucket alone: its last backup is deleted", labels: shop,
		healthy: func(t *testing.T, w *world) []string {
			w.store(t, first())
			w.store(t, backup{name: "other-1", schedule: "other", phase: completed})
			return []string{w.main()}
		},
		cause: func(t *testing.T, w *world) { w.remove(t, "main", "shop-1") },
		cure:  stored(1, completed),
	}, {
		alert: "LifeboatDrillFailed", what: "a drill finds a backup bad; a newer one passes", labels: shop,
		healthy: bucketAlone,
		cause:   func(t *testing.T, w *world) { w.drilled(t, first(), drill.Failed) },
		cure: func(t *testing.T, w *world) {
			b := w.next(completed)
			w.store(t, b)
			w.drilled(t, b, drill.Passed)
		},
	}, {
		alert: "LifeboatDrillError", what: "a drill cannot run", labels: shop,
		healthy: bucketAlone,
		cause:   func(t *testing.T, w *world) { w.drilled(t, first(), drill.Error) },
		cure:    func(t *testing.T, w *world) { w.drilled(t, first(), drill.Passed) },
	}, {
		alert: "LifeboatNeverDrilled", what: "no drill runs", labels: shop,
		healthy: func(t *testing.T, w *world) []string {
			w.store(t, first())
			return []string{w.main(), "--schedule=shop=@every 24h"}
		},
		cause: nothing,
		cure:  func(t *testing.T, w *world) { w.drilled(t, first(), drill.Passed) },
	}, {
		alert: "LifeboatDrillOverdue", what: "the verifier does nothing", labels: shop,
		// The policy drills each minute, and a drill is given a quarter of an hour: of
		// which most has passed when the world begins.
		healthy: func(t *testing.T, w *world) []string {
			ago := time.Now().Add(-15*time.Minute - 10*time.Second)
			old := backup{name: "shop-1", schedule: "shop", phase: completed, started: ago.Add(-time.Minute)}
			w.store(t, old)
			w.store(t, backup{name: "shop-2", schedule: "shop", phase: completed, started: ago})
			w.evidence(t, old, func(r *drill.Report) {
				r.PolicySchedule, r.Started, r.Finished = "@every 1m", ago.Add(-time.Second), ago
			})
			return []string{w.main(), "--schedule=shop=@every 24h"}
		},
		cause: nothing,
		cure: func(t *testing.T, w *world) {
			w.drilled(t, backup{name: "shop-2", schedule: "shop", started: w.lastRun}, drill.Passed)
		},
	}, {
		alert: "LifeboatDrillLeftovers", what: "the verifier is killed",
		healthy: bucketAlone,
		cause:   func(t *testing.T, w *world) { w.claim(t, "shop-1", time.Now().Add(2*time.Second)) },
		cure:    func(t *testing.T, w *world) { w.drilled(t, first(), drill.Passed) },
	}, {
		alert: "LifeboatUnreadableObjects", what: "a velero-backup.json is malformed", labels: inMain,
		healthy: bucketAlone,
		cause: func(t *testing.T, w *world) {
			w.put(t, store.Metadata("torn"), `{"kind": "Backup", "metad`)
		},
		cure: func(t *testing.T, w *world) { w.remove(t, "main", "torn") },
	}, {
		alert: "LifeboatLocationUnavailable", what: "the bucket is gone", labels: inMain, also: []string{"LifeboatExporterSourceDown", "LifeboatCollectorFailed"},
		healthy: bucketAlone,
		cause:   func(t *testing.T, w *world) { w.takeAway(t) },
		cure:    func(t *testing.T, w *world) { w.bringBack(t) },
	}}
}

func exporterScenarios() []scenario {
	return []scenario{{
		alert: "LifeboatObjectLockMissing", what: "the bucket has no lock, and one is asked for", labels: inMain,
		healthy: func(t *testing.T, w *world) []string {
			return append(bucketAlone(t, w), "--object-lock=report", "--storage-scan-interval=1s")
		},
		cause: func(t *testing.T, w *world) {
			require.NoError(t, w.exporter.Stop())
			w.watch(t, "--object-lock=require")
		},
		cure: func(t *testing.T, w *world) { w.lock(t) },
	}, {
		alert: "LifeboatCollectorFailed", what: "the records of drills are more than it reads", labels: map[string]string{"collector": "claims"},
		healthy: bucketAlone,
		cause: func(t *testing.T, w *world) {
			for i := range 101 {
				w.put(t, fmt.Sprintf("%spolicy-%d/20260101T000000Z.json", store.LedgerPrefix, i), "{}")
			}
		},
		cure: func(t *testing.T, w *world) {
			for i := range 101 {
				require.NoError(t, w.open(t, "main").Delete(t.Context(), fmt.Sprintf("%spolicy-%d/20260101T000000Z.json", store.LedgerPrefix, i)))
			}
		},
	}, {
		alert: "LifeboatExporterAbsent", what: "it is stopped, or scaled to 0", labels: map[string]string{"job": "lifeboat-exporter"},
		healthy: bucketAlone,
		cause:   func(t *testing.T, w *world) { require.NoError(t, w.exporter.Stop()) },
		cure:    func(t *testing.T, w *world) { w.watch(t) },
	}, {
		alert: "LifeboatExporterAbsent", what: "it hangs, so scrapes fail", labels: map[string]string{"job": "lifeboat-exporter"},
		healthy: bucketAlone,
		cause:   func(t *testing.T, w *world) { require.NoError(t, w.exporter.Pause()) },
		cure:    func(t *testing.T, w *world) { require.NoError(t, w.exporter.Continue()) },
	}, {
		alert: "LifeboatExporterAbsent", what: "its Service is deleted", labels: map[string]string{"job": "lifeboat-exporter"},
		healthy: bucketAlone,
		cause:   func(_ *testing.T, w *world) { w.env.hide(w) },
		cure:    func(_ *testing.T, w *world) { w.env.show(w) },
	}, {
		// Alertmanager holds LifeboatExporterSourceDown of the location back.
		alert: "LifeboatLocationUnavailable", what: "the S3 server is stopped", labels: inMain,
		also: []string{"LifeboatExporterSourceDown", "LifeboatCollectorFailed"},
		healthy: func(t *testing.T, w *world) []string {
			w.s3 = w.s3.Another(w.env.t)
			return bucketAlone(t, w)
		},
		cause: func(_ *testing.T, w *world) { w.s3.Stop() },
		cure:  func(t *testing.T, w *world) { w.s3.Start(w.env.t) },
	}, {
		alert: "LifeboatStorageScanStale", what: "the S3 server hangs", labels: inMain,
		healthy: func(t *testing.T, w *world) []string {
			w.s3 = w.s3.Another(w.env.t)
			return append(bucketAlone(t, w), "--refresh-timeout=1m")
		},
		cause: func(t *testing.T, w *world) { w.s3.Pause(t) },
		cure:  func(t *testing.T, w *world) { w.s3.Continue(t) },
	}, {
		alert: "LifeboatSeriesDropped", what: "there are more schedules than --max-schedules", labels: map[string]string{"reason": "schedules"},
		healthy: func(t *testing.T, w *world) []string { return append(bucketAlone(t, w), "--max-schedules=1") },
		cause: func(t *testing.T, w *world) {
			w.store(t, backup{name: "other-1", schedule: "other", phase: completed})
		},
		cure: func(t *testing.T, w *world) { w.remove(t, "main", "other-1") },
	}, {
		alert: "LifeboatScheduleAmbiguous", what: "a schedule of the same name writes to another location",
		healthy: func(t *testing.T, w *world) []string {
			w.store(t, backup{name: "other-1", schedule: "other", phase: completed, in: "second"})
			return append(bucketAlone(t, w), w.location("second"), "--schedule=other=@every 24h")
		},
		cause: func(t *testing.T, w *world) {
			w.store(t, backup{name: "shop-b", schedule: "shop", phase: completed, in: "second"})
		},
		cure: func(t *testing.T, w *world) { w.remove(t, "second", "shop-b") },
	}}
}

// veleroScenarios are those that only the objects of the cluster can show.
func veleroScenarios() []scenario {
	relaxed := annotations{"lifeboat.dev/success-grace": "1h", "lifeboat.dev/rpo": "1h", "lifeboat.dev/proven-rpo": "1h"}
	strict := func(name, value string) annotations {
		a := annotations{}
		for k, v := range relaxed {
			a[k] = v
		}
		a["lifeboat.dev/"+name] = value
		return a
	}
	return []scenario{{
		alert: "LifeboatBackupOverdue", what: "runs go on, and none completes", labels: map[string]string{"schedule": "shop", "backup_location_name": "main"},
		also:    []string{"LifeboatLastBackupFailed"},
		healthy: veleroWith("@every 20s", strict("success-grace", "1s")), routine: goesOn,
		cause: func(t *testing.T, w *world) {
			w.run(t, w.next(partiallyFailed))
			require.True(t, await(t, patient, nil, func() bool { return time.Since(w.lastRun) > 15*time.Second }))
			w.run(t, w.next(partiallyFailed))
		},
		cure: runs(1, completed),
	}, {
		alert: "LifeboatRPOBreached", what: "backups become stale", labels: map[string]string{"schedule": "shop", "backup_location_name": "main"},
		healthy: veleroWith("@every 24h", strict("rpo", "15s")), routine: replaces,
		cause: nothing, cure: runs(1, completed),
	}, {
		alert: "LifeboatRPOBreached", what: "a schedule never succeeds", labels: shop, also: []string{"LifeboatLastBackupFailed"},
		healthy: func(t *testing.T, w *world) []string {
			flags := w.installVelero(t, "main")
			w.schedule(t, "shop", "@every 24h", strict("rpo", "45s"))
			return flags
		},
		cause: runs(1, failed), cure: runs(1, completed),
	}, {
		alert: "LifeboatRPOBreached", what: "every backup expires and the exporter restarts", labels: shop,
		healthy: veleroWith("@every 24h", strict("rpo", "20s")), routine: replaces,
		cause: func(t *testing.T, w *world) {
			w.expire(t, w.live...)
			require.NoError(t, w.exporter.Stop())
			w.watch(t)
		},
		cure: runs(1, completed),
	}, {
		alert: "LifeboatScheduleNotRunning", what: "the server starts no run", labels: shop,
		healthy: veleroWith("@every 15s", relaxed), routine: goesOn,
		cause: nothing, cure: runs(1, completed),
	}, {
		alert: "LifeboatLastBackupFailed", what: "a run ends Failed", labels: map[string]string{"schedule": "shop", "phase": "Failed", "backup_location_name": "main"},
		healthy: velero, cause: runs(1, failed), cure: runs(1, completed),
	}, {
		alert: "LifeboatLastBackupFailed", what: "a run fails validation", labels: map[string]string{"schedule": "shop", "phase": "FailedValidation"},
		healthy: velero, cause: runs(1, velerov1.BackupPhaseFailedValidation), cure: runs(1, completed),
	}, {
		alert: "LifeboatBackupStuck", what: "a run does not end", labels: map[string]string{"schedule": "shop", "backup_location_name": "main"},
		healthy: velero,
		cause:   func(t *testing.T, w *world) { w.begin(t, w.next(completed)) },
		cure: func(t *testing.T, w *world) {
			w.finish(t, backup{name: w.newest(), schedule: "shop", phase: completed})
		},
	}, {
		alert: "LifeboatVolumesSkippedOrFailed", what: "a Completed backup has skipped a volume", labels: map[string]string{"schedule": "shop", "result": "skipped"},
		healthy: velero,
		cause: func(t *testing.T, w *world) {
			b := w.next(completed)
			b.volumes = []volume{saved(1 << 20), skipped()}
			w.run(t, b)
		},
		cure: func(t *testing.T, w *world) {
			b := w.next(completed)
			b.volumes = []volume{saved(1 << 20)}
			w.run(t, b)
		},
	}, {
		alert: "LifeboatBackupShrunk", what: "a backup has a fourth of its size", labels: shop,
		healthy: velero,
		cause: func(t *testing.T, w *world) {
			b := w.next(completed)
			b.size = 1024
			w.run(t, b)
		},
		cure: runs(1, completed),
	}, {
		alert: "LifeboatSchedulePaused", what: "it is paused", labels: shop,
		healthy: velero,
		cause:   func(t *testing.T, w *world) { w.patch(t, "Schedule", "shop", fields{"spec": fields{"paused": true}}) },
		cure:    func(t *testing.T, w *world) { w.patch(t, "Schedule", "shop", fields{"spec": fields{"paused": false}}) },
	}, {
		alert: "LifeboatScheduleInvalid", what: "it asks for the 30th of February", labels: shop,
		healthy: velero,
		cause: func(t *testing.T, w *world) {
			w.patch(t, "Schedule", "shop", fields{"spec": fields{"schedule": "0 0 30 2 *"}})
		},
		cure: func(t *testing.T, w *world) {
			w.patch(t, "Schedule", "shop", fields{"spec": fields{"schedule": "@every 24h"}})
		},
	}, {
		alert: "LifeboatScheduleDisappeared", what: "the Schedule is deleted", labels: shop,
		healthy: func(t *testing.T, w *world) []string {
			flags := velero(t, w)
			w.schedule(t, "other", "@every 24h", nil)
			return flags
		},
		cause: func(t *testing.T, w *world) { w.delete(t, "Schedule", "shop") },
		cure:  func(t *testing.T, w *world) { w.schedule(t, "shop", "@every 24h", nil) },
	}, {
		alert: "LifeboatNoSchedules", what: "everything is deleted", also: []string{"LifeboatScheduleDisappeared"},
		healthy: func(t *testing.T, w *world) []string {
			flags := w.installVelero(t, "main")
			w.schedule(t, "shop", "@every 24h", nil)
			return flags
		},
		cause: func(t *testing.T, w *world) { w.delete(t, "Schedule", "shop") },
		cure:  func(t *testing.T, w *world) { w.schedule(t, "shop", "@every 24h", nil) },
	}, {
		alert: "LifeboatExpiredBackupsNotDeleted", what: "garbage collection does not delete", labels: shop,
		healthy: func(t *testing.T, w *world) []string {
			return append(velero(t, w), "--server.garbage-collection-frequency=1s")
		},
		cause: func(t *testing.T, w *world) {
			b := w.next(completed)
			b.ttl = time.Second
			w.run(t, b)
		},
		cure: func(t *testing.T, w *world) { w.expire(t, w.newest()) },
	}, {
		alert: "LifeboatBackupsTooFew", what: "backups are deleted before their time", labels: shop,
		healthy: veleroWith("* * * * *", relaxed), always: true,
		routine: func(t *testing.T, w *world, turn int) {
			goesOn(t, w, turn)
			if w.hasty {
				w.expire(t, w.live...)
			}
		},
		cause: func(_ *testing.T, w *world) { w.hasty = true },
		cure: func(t *testing.T, w *world) {
			w.patch(t, "Schedule", "shop", fields{"spec": fields{"schedule": "@every 24h"}})
		},
	}, {
		alert: "LifeboatBackupsTooMany", what: "a loop makes backups", labels: shop,
		healthy: velero, cause: runs(8, completed),
		cure: func(t *testing.T, w *world) { w.expire(t, w.live[1:]...) },
	}, {
		alert: "LifeboatTTLIsServerDefault", what: "a ttl of 0s", labels: shop,
		healthy: velero,
		cause: func(t *testing.T, w *world) {
			w.patch(t, "Schedule", "shop", fields{"spec": fields{"template": fields{"ttl": "0s"}}})
		},
		cure: func(t *testing.T, w *world) {
			w.patch(t, "Schedule", "shop", fields{"spec": fields{"template": fields{"ttl": "8760h"}}})
		},
	}, {
		alert: "LifeboatBackupDataMissing", what: "the bucket is emptied", labels: inMain,
		healthy: func(t *testing.T, w *world) []string {
			flags := velero(t, w)
			w.run(t, w.next(completed))
			return flags
		},
		cause: func(t *testing.T, w *world) { w.remove(t, "main", "shop-1") },
		cure:  func(t *testing.T, w *world) { w.delete(t, "Backup", "shop-1") },
	}, {
		alert: "LifeboatProvenBackupTooOld", what: "drills stop", labels: shop,
		healthy: veleroWith("@every 24h", strict("proven-rpo", "15s")),
		routine: func(t *testing.T, w *world, turn int) {
			replaces(t, w, turn)
			w.drilled(t, backup{name: w.newest(), schedule: "shop", started: w.lastRun}, drill.Passed)
		},
		cause: nothing,
		cure: func(t *testing.T, w *world) {
			b := w.next(completed)
			w.run(t, b)
			w.drilled(t, b, drill.Passed)
		},
	}, {
		alert: "LifeboatRTOExceeded", what: "a drill takes longer than agreed", labels: shop,
		healthy: veleroWith("@every 24h", annotations{"lifeboat.dev/rto": "1m"}),
		cause: func(t *testing.T, w *world) {
			w.evidence(t, first(), func(r *drill.Report) { r.Stages[0].Seconds = 90 })
		},
		cure: func(t *testing.T, w *world) { w.drilled(t, first(), drill.Passed) },
	}, {
		alert: "LifeboatLocationUnavailable", what: "Velero finds it unavailable", labels: inMain,
		healthy: velero,
		cause: func(t *testing.T, w *world) {
			w.patch(t, "BackupStorageLocation", "main", fields{"status": fields{"phase": "Unavailable", "message": "AccessDenied"}})
		},
		cure: func(t *testing.T, w *world) {
			w.patch(t, "BackupStorageLocation", "main", fields{"status": fields{"phase": "Available", "message": ""}})
		},
	}, {
		alert: "LifeboatLocationReadOnly", what: "it is not set back", labels: inMain,
		healthy: velero,
		cause: func(t *testing.T, w *world) {
			w.patch(t, "BackupStorageLocation", "main", fields{"spec": fields{"accessMode": "ReadOnly"}})
		},
		cure: func(t *testing.T, w *world) {
			w.patch(t, "BackupStorageLocation", "main", fields{"spec": fields{"accessMode": "ReadWrite"}})
		},
	}, {
		alert: "LifeboatForeignBackupsInPrefix", what: "another cluster writes there", labels: inMain,
		healthy: velero,
		cause: func(t *testing.T, w *world) {
			w.run(t, backup{name: "theirs-1", phase: completed, started: time.Now().Add(-time.Hour)})
		},
		cure: func(t *testing.T, w *world) { w.expire(t, "theirs-1") },
	}, {
		alert: "LifeboatControllerStalled", what: "the server hangs", labels: inMain,
		healthy: func(t *testing.T, w *world) []string {
			flags := velero(t, w)
			w.patch(t, "BackupStorageLocation", "main", fields{"spec": fields{"validationFrequency": "2s"}})
			return flags
		},
		routine: validates, cause: nothing,
		cure: func(t *testing.T, w *world) { validates(t, w, 0) },
	}, {
		alert: "LifeboatRepoMaintenanceStale", what: "maintenance does not run", labels: inMain,
		healthy: func(t *testing.T, w *world) []string {
			flags := velero(t, w)
			w.create(t, "BackupRepository", velerov1.BackupRepository{
				ObjectMeta: metav1.ObjectMeta{Name: "shop-main-kopia"},
				Spec: velerov1.BackupRepositorySpec{
					VolumeNamespace: "shop", BackupStorageLocation: "main", RepositoryType: "kopia", MaintenanceFrequency: metav1.Duration{Duration: time.Hour},
				},
				Status: velerov1.BackupRepositoryStatus{Phase: velerov1.BackupRepositoryPhaseReady, LastMaintenanceTime: moment(time.Now())},
			})
			return flags
		},
		cause: func(t *testing.T, w *world) { w.maintained(t, time.Now().Add(-8*24*time.Hour)) },
		cure:  func(t *testing.T, w *world) { w.maintained(t, time.Now()) },
	}, {
		alert: "LifeboatDrillFailed", what: "while the cluster is gone", labels: shop,
		also: []string{"LifeboatExporterSourceDown", "LifeboatCollectorFailed"},
		healthy: func(t *testing.T, w *world) []string {
			return append(velero(t, w), "--kubeconfig="+w.line(t))
		},
		cause: func(t *testing.T, w *world) {
			w.api.Cut()
			w.drilled(t, first(), drill.Failed)
		},
		cure: func(t *testing.T, w *world) { w.drilled(t, first(), drill.Passed) },
	}, {
		alert: "LifeboatExporterSourceDown", what: "the API server cannot be reached", labels: map[string]string{"source": "kube"},
		also: []string{"LifeboatCollectorFailed"},
		healthy: func(t *testing.T, w *world) []string {
			return append(velero(t, w), "--kubeconfig="+w.line(t))
		},
		cause: func(_ *testing.T, w *world) { w.api.Cut() },
		cure:  func(t *testing.T, w *world) { w.api.Mend(t) },
	}}
}

// inhibitions are alerts that keep others from being delivered.
func inhibitions() []scenario {
	return []scenario{{
		alert: "LifeboatBackupFailingRepeatedly", what: "pages, so a ticket for the last failure is not needed", holdsBack: "LifeboatLastBackupFailed",
		healthy: bucketAlone, cause: stored(3, failed), follows: nothing,
	}, {
		alert: "LifeboatLocationUnavailable", what: "says why backups fail", holdsBack: "LifeboatLastBackupFailed",
		healthy: velero,
		cause: func(t *testing.T, w *world) {
			w.patch(t, "BackupStorageLocation", "main", fields{"status": fields{"phase": "Unavailable"}})
		},
		follows: runs(1, failed),
	}, {
		alert: "LifeboatExporterSourceDown", what: "says why runs seem late", holdsBack: "LifeboatScheduleNotRunning",
		healthy: func(t *testing.T, w *world) []string {
			flags := veleroWith("@every 1m", annotations{"lifeboat.dev/success-grace": "1h", "lifeboat.dev/rpo": "1h"})(t, w)
			return append(flags, "--kubeconfig="+w.line(t))
		},
		cause: func(_ *testing.T, w *world) { w.api.Cut() }, follows: nothing,
	}}
}

// validates is what Velero's server does with each location, again and again.
func validates(t *testing.T, w *world, _ int) {
	t.Helper()
	w.patch(t, "BackupStorageLocation", "main", fields{"status": fields{"phase": "Available", "lastValidationTime": time.Now().UTC().Format(time.RFC3339)}})
}

func (w *world) maintained(t *testing.T, at time.Time) {
	t.Helper()
	w.patch(t, "BackupRepository", "shop-main-kopia", fields{"status": fields{"lastMaintenanceTime": at.UTC().Format(time.RFC3339)}})
}
