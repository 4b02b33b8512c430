package exporter

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/ledger"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/kube"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/metrics"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// clusterState is what an exporter knows that reads a cluster. The cluster lists
// every backup of the list.
func clusterState(backups []fact.Backup, scan fact.KubeScan) state.State {
	listed := slices.Clone(backups)
	for i := range listed {
		listed[i].InCluster = true
	}
	return state.State{Kube: &state.KubeState{Source: readAt(noon), KubeScan: scan}, Schedules: bySchedule(listed)}
}

// bucketState is what an exporter knows that reads a location only.
func bucketState(backups []fact.Backup) state.State {
	return state.State{Schedules: bySchedule(backups)}
}

func bySchedule(backups []fact.Backup) []state.ScheduleState {
	byName := map[string][]fact.Backup{}
	for _, b := range backups {
		byName[b.Schedule] = append(byName[b.Schedule], b)
	}
	var out []state.ScheduleState
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, state.ScheduleState{Name: name, Backups: byName[name]})
	}
	return out
}

// kept is a state whose ledger has taken what the state tells.
func kept(t testing.TB, l LedgerKeeper, known state.State, cfg state.Config) state.State {
	t.Helper()
	totals, err := l.Keep(context.Background(), state.EndedRuns(known, cfg))
	require.NoError(t, err)
	known.Ledger = &state.LedgerState{Source: readAt(time.Now()), Totals: totals}
	return known
}

// countersOf are the counters and histograms of a state.
func countersOf(known state.State, cfg state.Config) map[string]float64 {
	cfg = cfg.WithDefaults()
	cfg.CompatNames, cfg.CompatAliases = true, true
	out := metrics.NewSamples(cfg)
	metrics.CounterSamples(out, known, cfg)
	got := map[string]float64{}
	for _, s := range out.List() {
		got[s.String()] = s.Value
	}
	return got
}

func series(metric metrics.ID, labels ...string) string {
	return metrics.Sample{Metric: metric, Labels: labels}.String()
}

type opener func(context.Context) (store.Store, error)

func aLedger(t testing.TB, open opener) *ledger.Ledger {
	t.Helper()
	l, err := ledger.New("default", open)
	require.NoError(t, err)
	return l
}

// always opens the same store.
func always(s store.Store) opener {
	return func(context.Context) (store.Store, error) { return s, nil }
}

// beganYesterday opens a store whose ledger began a day before noon.
func beganYesterday(t testing.TB) opener {
	t.Helper()
	s := mem.New()
	epoch := fmt.Sprintf(`{"schema":%q,"since":%q}`, ledger.Schema, noon.AddDate(0, 0, -1).Format(time.RFC3339))
	require.NoError(t, s.Put(t.Context(), store.RunsEpoch("default"), strings.NewReader(epoch)))
	return always(s)
}

func TestWhoeverLooksAtABackupMakesTheSameRunOfIt(t *testing.T) {
	start := noon.Add(-time.Hour)
	inBucket := completedBackup("db", "db-1", start)
	inBucket.Location = "default"
	here := inBucket
	here.Created, here.Expires, here.MetadataSHA256 = start.Add(-time.Second), start.AddDate(0, 1, 0), ""
	elsewhere := inBucket // another name for the location, a zone, and a new UID after a sync
	elsewhere.Location, elsewhere.UID, elsewhere.Start = "s3://b/p", "another", start.In(time.FixedZone("", 3600))

	want := state.EndedRuns(bucketState([]fact.Backup{inBucket}), state.Config{})
	require.Len(t, want, 1)
	assert.Equal(t, want, state.EndedRuns(clusterState([]fact.Backup{here}, fact.KubeScan{}), state.Config{}))
	assert.Equal(t, want, state.EndedRuns(bucketState([]fact.Backup{elsewhere}), state.Config{}))

	again := completedBackup("db", "db-1", start.Add(time.Minute))
	assert.NotEqual(t, want[0].ID, state.EndedRuns(bucketState([]fact.Backup{again}), state.Config{})[0].ID, "a later backup of the same name is another one")
}

func TestOnlyTheEndsOfThisClustersBackupsAreRuns(t *testing.T) {
	var backups []fact.Backup
	for _, p := range []velerov1.BackupPhase{"", "New", "InProgress", "WaitingForPluginOperations", "Finalizing", "FinalizingPartiallyFailed", "Deleting", "Completed", "PartiallyFailed", "Failed", "FailedValidation"} {
		backups = append(backups, endedAs(p, completedBackup("db", "db-"+strings.ToLower(string(p)), noon)))
	}
	foreign := completedBackup("db", "theirs", noon)
	foreign.Foreign = true
	outcomes := func(rs []fact.Run) (out []string) {
		for _, r := range rs {
			out = append(out, r.Outcome)
		}
		return out
	}
	terminal := []string{"Completed", "PartiallyFailed", "Failed", "FailedValidation"}
	assert.Equal(t, terminal, outcomes(state.EndedRuns(clusterState(append(backups, foreign), fact.KubeScan{}), state.Config{})))
	assert.Equal(t, terminal, outcomes(state.EndedRuns(bucketState(backups), state.Config{})))

	unsynced := clusterState(backups, fact.KubeScan{})
	unsynced.Schedules[0].Backups[7].InCluster = false
	assert.Equal(t, terminal[1:], outcomes(state.EndedRuns(unsynced, state.Config{})), "a backup that only the location has may be another cluster's")

	unread := clusterState(backups, fact.KubeScan{})
	unread.Kube.Source = state.SourceState{LastAttempt: noon}
	assert.Empty(t, state.EndedRuns(unread, state.Config{}), "and before the cluster was read any of them may be")
}

func TestADrillOfAnotherClustersBackupIsNoRunOfThisOne(t *testing.T) {
	mine, theirs := completedBackup("db", "mine", noon), completedBackup("db", "theirs", noon)
	theirs.Foreign = true
	known := clusterState([]fact.Backup{mine, theirs}, fact.KubeScan{})
	known.Locations = []state.LocationState{{DrillList: []fact.Drill{
		drillOfBackup(mine, report.LevelKind, report.Passed), drillOfBackup(theirs, report.LevelKind, report.Passed), {Backup: "gone", Finished: noon, Verdict: report.Passed},
	}}}
	var drilled []string
	for _, r := range state.EndedRuns(known, state.Config{}) {
		if r.Kind == fact.RunDrill {
			drilled = append(drilled, r.Name)
		}
	}
	assert.Equal(t, []string{"mine", "gone"}, drilled)
}

func TestABackupThatFailedValidationEndedWhenItWasAskedFor(t *testing.T) {
	b := fact.Backup{Name: "db-1", Schedule: "db", Phase: velerov1.BackupPhaseFailedValidation, Start: noon}
	r := state.EndedRuns(clusterState([]fact.Backup{b}, fact.KubeScan{}), state.Config{})
	require.Len(t, r, 1)
	assert.Equal(t, noon, r[0].Ended)
}

func TestEveryCounterAndHistogramIsFedByItsOwnRuns(t *testing.T) {
	start := noon.Add(-time.Hour)
	warned := completedBackup("db", "db-1", start)
	warned.Warnings, warned.Snapshots, warned.CSISnapshots = 2, fact.Snapshots{Attempted: 3, Completed: 2}, fact.Snapshots{Attempted: 5, Completed: 1}
	long := endedAs(velerov1.BackupPhasePartiallyFailed, completedBackup("db", "db-2", start))
	long.Completed = start.Add(20 * time.Minute)
	backups := []fact.Backup{
		warned, long,
		endedAs(velerov1.BackupPhaseFailed, completedBackup("db", "db-3", start)),
		endedAs(velerov1.BackupPhaseFailedValidation, completedBackup("db", "db-4", start)),
		completedBackup("", "by-hand", start),
	}
	restores := []fact.Restore{
		{Name: "r1", UID: "1", Schedule: "db", Phase: velerov1.RestorePhaseCompleted, Started: start, Completed: start},
		{Name: "r2", UID: "2", Schedule: "db", Phase: velerov1.RestorePhasePartiallyFailed, Started: start, Completed: start},
		{Name: "r3", UID: "3", Schedule: "db", Phase: velerov1.RestorePhaseFailed, Started: start, Completed: start},
		{Name: "r4", UID: "4", Schedule: "db", Phase: velerov1.RestorePhaseFailedValidation, Created: start},
		{Name: "r5", UID: "5", Schedule: "", Phase: velerov1.RestorePhaseFailed, Started: start, Completed: start},
		{Name: "r6", UID: "6", Schedule: "db", Phase: velerov1.RestorePhaseInProgress, Started: start},
	}
	deletions := []fact.Deletion{
		{Name: "d1", UID: "1", Backup: "db-20261121020000", Processed: true, Created: start},
		{Name: "d2", UID: "2", Backup: "db-1", Processed: true, Errors: 1, Created: start},
		{Name: "d3", UID: "3", Backup: "db-1", Created: start},
		{Name: "d4", UID: "4", Backup: "whose-is-it", Processed: true, Created: start},
	}
	repositories := []fact.Repository{{Name: "shop-default-kopia", Recent: []fact.Maintenance{
		{Succeeded: true, Started: start, Ended: start.Add(time.Minute)}, {Started: start.Add(time.Hour), Ended: start.Add(time.Hour)},
	}}}
	known := clusterState(backups, fact.KubeScan{Restores: restores, Deletions: deletions, Repositories: repositories})
	drill := func(id string, verdict report.Verdict, reason string) fact.Drill {
		return fact.Drill{ID: id, Backup: "db-1", Schedule: "db", Verdict: verdict, Reason: reason, Started: start, Finished: start.Add(7 * time.Minute)}
	}
	known.Locations = []state.LocationState{{DrillList: []fact.Drill{
		drill("1", report.Passed, ""), drill("2", report.Failed, "check"), drill("3", report.Error, "timeout"), drill("4", report.Failed, "check"),
	}}}
	cfg := state.Config{Repositories: true}.WithDefaults()
	got := countersOf(kept(t, aLedger(t, beganYesterday(t)), known, cfg), cfg)

	const db = "db"
	want := map[string]float64{
		series(metrics.VeleroBackupAttempts, db): 4, series(metrics.VeleroBackupSuccesses, db): 1, series(metrics.VeleroBackupPartialFailures, db): 1,
		series(metrics.VeleroBackupFailures, db): 1, series(metrics.VeleroBackupValidationFailures, db): 1, series(metrics.VeleroBackupWarnings, db): 1,
		series(metrics.VeleroVolumeSnapshotAttempts, db): 3, series(metrics.VeleroVolumeSnapshotSuccesses, db): 2, series(metrics.VeleroVolumeSnapshotFailures, db): 1,
		series(metrics.VeleroCSISnapshotAttempts, db): 5, series(metrics.VeleroCSISnapshotSuccesses, db): 1, series(metrics.VeleroCSISnapshotFailures, db): 4,
		series(metrics.VeleroBackupDuration, db): 2, series(metrics.VeleroBackupDuration, ""): 1,
		series(metrics.VeleroBackupAttempts, ""): 1, series(metrics.VeleroBackupSuccesses, ""): 1,
		series(metrics.VeleroRestoreAttempts, db): 4, series(metrics.VeleroRestoreSuccesses, db): 1, series(metrics.VeleroRestorePartialFailures, db): 1,
		series(metrics.VeleroRestoreFailed, db): 1, series(metrics.VeleroRestoreFailures, db): 1, series(metrics.VeleroRestoreValidationFailures, db): 1,
		series(metrics.VeleroRestoreAttempts, ""): 1, series(metrics.VeleroRestoreFailed, ""): 1, series(metrics.VeleroRestoreFailures, ""): 1,
		series(metrics.VeleroBackupDeletionAttempts, db): 2, series(metrics.VeleroBackupDeletionSuccesses, db): 1, series(metrics.VeleroBackupDeletionFailures, db): 1,
		series(metrics.VeleroBackupDeletionAttempts, ""): 1, series(metrics.VeleroBackupDeletionSuccesses, ""): 1,
		series(metrics.DrillRuns, db): 4, series(metrics.DrillFailures, db, "check"): 2, series(metrics.DrillFailures, db, "timeout"): 1, series(metrics.DrillDuration): 1,
		series(metrics.VeleroRepoMaintenanceSuccesses, "shop-default-kopia"): 1, series(metrics.VeleroRepoMaintenanceFailures, "shop-default-kopia"): 1,
		series(metrics.VeleroRepoMaintenanceDuration, "shop-default-kopia"): 2,
	}
	for s, v := range got {
		assert.Equal(t, want[s], v, s)
	}
	for s := range want {
		assert.Contains(t, got, s)
	}
}

func TestAHistogramCumulatesVelerosBuckets(t *testing.T) {
	start := noon.Add(-time.Hour)
	long := completedBackup("db", "db-2", start)
	long.Completed = start.Add(5 * time.Hour)
	cfg := state.Config{CompatNames: true}.WithDefaults()
	known := kept(t, aLedger(t, beganYesterday(t)), bucketState([]fact.Backup{completedBackup("db", "db-1", start), long}), cfg)
	out := metrics.NewSamples(state.Config{CompatNames: true, CompatAliases: true})
	metrics.CounterSamples(out, known, cfg)
	i := slices.IndexFunc(out.List(), func(s metrics.Sample) bool { return s.String() == series(metrics.VeleroBackupDuration, "db") })
	require.GreaterOrEqual(t, i, 0)
	s := out.List()[i]
	assert.Equal(t, noon.AddDate(0, 0, -1), s.Created, "a counter was created when the ledger began")
	assert.Equal(t, &metrics.Distribution{Count: 2, Sum: 600 + 5*3600, Buckets: map[float64]uint64{
		60: 0, 300: 0, 600: 1, 900: 1, 1800: 1, 3600: 1, 7200: 1, 10800: 1, 14400: 1,
	}}, s.Histogram)
}

// The names are those of the rules in docs/alerts.md that users bring along.
func TestTheUsersCountersAreZeroAtTheFirstScrape(t *testing.T) {
	names := []string{
		"velero_backup_partial_failure_total", "velero_backup_failure_total", "velero_volume_snapshot_failure_total",
		"velero_restore_partial_failure_total", "velero_restore_failure_total",
	}
	cfg := state.Config{Schedules: map[string]schedule.Cron{
		"backup-1h": cron(t, "@every 1h"), "backup-1d": cron(t, "@every 24h"), "backup-1m": cron(t, "@every 730h"), "backup-1y": cron(t, "@every 8760h"),
	}}
	_, location := locationOf(newBucket(t))
	inBubble(t, cfg, location, func(t *testing.T, e *Exporter) {
		out := exposition(t, e)
		for _, name := range names {
			for _, s := range append(slices.Collect(maps.Keys(cfg.Schedules)), "") {
				assert.Contains(t, out, fmt.Sprintf("%s{schedule=%q} 0\n", name, s))
			}
		}
	})
}

// failuresOf is how often backups of a schedule failed, as the user's rule asks.
func failuresOf(known state.State, name string) float64 {
	return countersOf(known, state.Config{})[series(metrics.VeleroBackupFailures, name)]
}

func TestAnExpiredFailureIsNoNewFailure(t *testing.T) { // P1e
	l := aLedger(t, beganYesterday(t))
	old := endedAs(velerov1.BackupPhaseFailed, completedBackup("db", "db-1", noon.Add(-3*time.Hour)))
	recent := endedAs(velerov1.BackupPhaseFailed, completedBackup("db", "db-2", noon.Add(-2*time.Hour)))
	assert.Equal(t, 2.0, failuresOf(kept(t, l, clusterState([]fact.Backup{old, recent}, fact.KubeScan{}), state.Config{}), "db"))
	assert.Equal(t, 2.0, failuresOf(kept(t, l, clusterState([]fact.Backup{recent}, fact.KubeScan{}), state.Config{}), "db"))
	both := clusterState(nil, fact.KubeScan{})
	both.Schedules = []state.ScheduleState{{Name: "db"}}
	assert.Equal(t, 2.0, failuresOf(kept(t, l, both, state.Config{}), "db"))
}

func TestABackupKilledWithTheServerIsAFailure(t *testing.T) { // P1d
	l := aLedger(t, beganYesterday(t))
	b := endedAs(velerov1.BackupPhaseInProgress, completedBackup("db", "db-1", noon.Add(-time.Hour)))
	b.Completed = time.Time{}
	before := kept(t, l, clusterState([]fact.Backup{b}, fact.KubeScan{}), state.Config{})
	assert.Equal(t, 0.0, failuresOf(before, "db"), "the series is there before it moves (P1b)")
	assert.Contains(t, countersOf(before, state.Config{}), series(metrics.VeleroBackupFailures, "db"))
	b.Phase, b.Completed = velerov1.BackupPhaseFailed, noon // by the server that was started next
	assert.Equal(t, 1.0, failuresOf(kept(t, l, clusterState([]fact.Backup{b}, fact.KubeScan{}), state.Config{}), "db"))
}

func TestBackupsMadeByHandAreCountedUnderNoSchedule(t *testing.T) { // P12
	b := endedAs(velerov1.BackupPhaseFailed, completedBackup("", "before-upgrade", noon.Add(-time.Hour)))
	assert.Equal(t, 1.0, failuresOf(kept(t, aLedger(t, beganYesterday(t)), clusterState([]fact.Backup{b}, fact.KubeScan{}), state.Config{}), ""))
}

func TestTheCountersOfAScheduleGoWithItAndComeBackWithIt(t *testing.T) {
	l := aLedger(t, beganYesterday(t))
	b := endedAs(velerov1.BackupPhaseFailed, completedBackup("db", "db-1", noon.Add(-time.Hour)))
	assert.Equal(t, 1.0, failuresOf(kept(t, l, clusterState([]fact.Backup{b}, fact.KubeScan{}), state.Config{}), "db"))
	gone := kept(t, l, clusterState(nil, fact.KubeScan{}), state.Config{})
	assert.NotContains(t, countersOf(gone, state.Config{}), series(metrics.VeleroBackupFailures, "db"))
	back := clusterState(nil, fact.KubeScan{})
	back.Schedules = []state.ScheduleState{{Name: "db"}}
	assert.Equal(t, 1.0, failuresOf(kept(t, l, back, state.Config{}), "db"))
}

func TestCompatibleNamesCanBeTurnedOff(t *testing.T) {
	known := oneLocation(state.Config{}, []fact.Backup{completedBackup("db", "db-1", noon)})
	known.Ledger = &state.LedgerState{Source: readAt(noon), Totals: fact.Totals{Since: noon}}
	served := func(cfg state.Config) string {
		var out []string
		for _, s := range metrics.Of(noon, known, cfg) {
			out = append(out, s.Name())
		}
		return strings.Join(out, "\n")
	}
	assert.NotContains(t, served(state.Config{CompatAliases: true}), "velero_")
	assert.Contains(t, served(state.Config{}), "lifeboat_drill_runs_total")
	assert.Contains(t, served(state.Config{CompatNames: true}), "velero_restore_failed_total")
	assert.NotContains(t, served(state.Config{CompatNames: true}), "velero_restore_failure_total")
	assert.Contains(t, served(state.Config{CompatNames: true, CompatAliases: true}), "velero_restore_failure_total")
}

func TestRepositoriesOverTheBoundHaveNoSeriesAndAreSaid(t *testing.T) {
	var all []fact.Repository
	for n := range metrics.MaxRepositories + 3 {
		all = append(all, fact.Repository{Name: fmt.Sprintf("repo-%04d", metrics.MaxRepositories+3-n)})
	}
	known := clusterState(nil, fact.KubeScan{Repositories: all})
	known.Ledger = &state.LedgerState{Source: readAt(noon), Totals: fact.Totals{Since: noon}}
	got := derived(t, noon, known, state.Config{Repositories: true})
	assert.Equal(t, 3.0, got[`lifeboat_exporter_dropped_series{reason="repositories"}`])
	got = countersOf(known, state.Config{Repositories: true})
	assert.Len(t, seriesOf(got, "velero_repo_maintenance_success_total"), metrics.MaxRepositories)
	assert.Contains(t, got, series(metrics.VeleroRepoMaintenanceSuccesses, "repo-0001"))
	assert.Empty(t, seriesOf(countersOf(known, state.Config{}), "velero_repo_"))
}

func TestADeletionThatVeleroForgetsAtOnceIsRemembered(t *testing.T) {
	var p kube.Processed
	request := func(phase string, errs int) item.Item {
		return item.Item{Raw: fmt.Appendf(nil, `{"metadata":{"name":"d","uid":"1","creationTimestamp":"2026-11-22T12:00:00Z"},"spec":{"backupName":"db-1"},"status":{"phase":%q,"errors":[%s]}}`, phase, strings.Repeat(`"e",`, errs)[:max(0, 4*errs-1)])}
	}
	for _, phase := range []string{"New", "InProgress"} {
		_, err := p.Read(request(phase, 0))
		require.NoError(t, err)
		assert.Empty(t, p.With(nil))
	}
	d, err := p.Read(request("Processed", 2))
	require.NoError(t, err)
	assert.Equal(t, []fact.Deletion{{Name: "d", UID: "1", Backup: "db-1", Processed: true, Errors: 2, Created: d.Created}}, p.With(nil))
	assert.Len(t, p.With([]fact.Deletion{d}), 1, "one that is still there is told once")

	now := time.Now()
	for n := range kube.MaxDeletions + 10 {
		p.Remember(fact.Deletion{UID: fmt.Sprint(n)}, now)
	}
	assert.Len(t, p.With(nil), kube.MaxDeletions)
	p.Remember(fact.Deletion{UID: "last"}, now.Add(2*kube.RememberDeletions))
	assert.Len(t, p.With(nil), 1)
}

// world is the truth that exporters look at.
type world struct {
	rand    *rand.Rand
	backups []*worldBackup
	seen    map[*worldBackup]velerov1.BackupPhase // in which it had ended when some exporter looked
	n       int
}

type worldBackup struct {
	fact.Backup
	theirs    bool // another cluster made it
	inCluster bool
	inBucket  bool
}

var worldSchedules = []string{"hourly", "daily", ""}

// happen does something to the world.
func (w *world) happen() {
	switch w.rand.IntN(8) {
	case 0, 1:
		w.n++
		name := fmt.Sprintf("b-%d", w.n)
		w.backups = append(w.backups, &worldBackup{
			Backup:    fact.Backup{Name: name, UID: "uid-" + name, Schedule: w.schedule(), Phase: velerov1.BackupPhaseInProgress, Start: time.Now().Truncate(time.Second)},
			inCluster: true,
		})
	case 2, 3:
		if b := w.any(func(b *worldBackup) bool { return b.Phase == velerov1.BackupPhaseInProgress }); b != nil {
			phases := []velerov1.BackupPhase{"Completed", "Completed", "PartiallyFailed", "Failed", "FailedValidation"}
			b.Phase, b.Completed = phases[w.rand.IntN(len(phases))], time.Now().Truncate(time.Second)
			b.inBucket = b.Phase != velerov1.BackupPhaseFailed && b.Phase != velerov1.BackupPhaseFailedValidation
			if b.Phase == velerov1.BackupPhaseFailedValidation {
				b.Completed = time.Time{}
			}
		}
	case 4: // it expires
		if b := w.any(func(b *worldBackup) bool { return b.Phase.Finished() }); b != nil {
			w.backups = slices.DeleteFunc(w.backups, func(o *worldBackup) bool { return o == b })
		}
	case 5: // it begins to be deleted; the location holds what it held
		if b := w.any(func(b *worldBackup) bool { return b.Phase.Finished() && b.inCluster && !b.inBucket }); b != nil {
			b.Phase = velerov1.BackupPhaseDeleting
		}
	case 6: // another cluster writes into the same location, and it is synced or not yet
		w.n++
		name := fmt.Sprintf("theirs-%d", w.n)
		b := completedBackup(w.schedule(), name, time.Now().Truncate(time.Second))
		b.Completed = b.Start
		b.Foreign = true
		w.backups = append(w.backups, &worldBackup{Backup: b, theirs: true, inBucket: true, inCluster: w.rand.IntN(2) == 0})
	case 7:
		if w.rand.IntN(10) == 0 { // the cluster is lost, and rebuilt from the location: everything is synced
			w.backups = slices.DeleteFunc(w.backups, func(b *worldBackup) bool { return !b.inBucket })
			for _, b := range w.backups {
				b.UID, b.inCluster, b.theirs = "synced-"+b.UID, true, true
			}
		}
	}
}

func (w *world) schedule() string { return worldSchedules[w.rand.IntN(len(worldSchedules))] }

func (w *world) any(fit func(*worldBackup) bool) *worldBackup {
	var fits []*worldBackup
	for _, b := range w.backups {
		if fit(b) {
			fits = append(fits, b)
		}
	}
	if len(fits) == 0 {
		return nil
	}
	return fits[w.rand.IntN(len(fits))]
}

// look is what an exporter knows now. One that is given the cluster reads both.
func (w *world) look(since time.Time, cluster bool) state.State {
	var backups []fact.Backup
	for _, b := range w.backups {
		if !cluster && !b.inBucket {
			continue
		}
		v := b.Backup
		v.InCluster, v.Foreign = cluster && b.inCluster, cluster && b.inCluster && b.theirs
		backups = append(backups, v)
		counts := b.inBucket
		if cluster {
			counts = b.inCluster && !b.theirs
		}
		end := fact.Later(b.Start, b.Completed)
		if counts && b.Phase.Finished() && !end.Before(since) {
			w.seen[b] = b.Phase
		}
	}
	known := state.State{Schedules: bySchedule(backups)}
	if cluster {
		known.Kube = &state.KubeState{Source: readAt(time.Now())}
	}
	for _, name := range worldSchedules {
		if !slices.ContainsFunc(known.Schedules, func(s state.ScheduleState) bool { return s.Name == name }) {
			known.Schedules = append(known.Schedules, state.ScheduleState{Name: name})
		}
	}
	return known
}

// truth is what the counters have to say of the backups that somebody looked at.
func (w *world) truth() map[string]float64 {
	out := map[string]float64{}
	for b, phase := range w.seen {
		out[series(metrics.VeleroBackupAttempts, b.Schedule)]++
		out[series(map[velerov1.BackupPhase]metrics.ID{
			"Completed": metrics.VeleroBackupSuccesses, "PartiallyFailed": metrics.VeleroBackupPartialFailures,
			"Failed": metrics.VeleroBackupFailures, "FailedValidation": metrics.VeleroBackupValidationFailures,
		}[phase], b.Schedule)]++
	}
	return out
}

// watcher is an exporter: whether it reads the cluster, and its ledger.
type watcher struct {
	cluster bool
	ledger  *ledger.Ledger
	since   time.Time
}

func (w *watcher) counts(t *testing.T, world *world) map[string]float64 {
	t.Helper()
	known := world.look(w.since, w.cluster)
	return countersOf(kept(t, w.ledger, known, state.Config{}), state.Config{})
}

func TestCountersNeverDecreaseWhateverHappens(t *testing.T) {
	openers := map[string]func(t *testing.T) opener{
		"mem": func(*testing.T) opener { return always(mem.New()) },
		"fs": func(t *testing.T) opener {
			dir := t.TempDir()
			return func(context.Context) (store.Store, error) { return fs.Open(dir, false) }
		},
	}
	for name, rounds := range map[string]int{"mem": 12, "fs": 1} {
		for seed := range rounds {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				open := openers[name](t)
				synctest.Test(t, func(t *testing.T) { aLongTime(t, open, rand.New(rand.NewPCG(uint64(seed), 1))) })
			})
		}
	}
}

// aLongTime lets things happen to a world that three exporters look at, one of
// them without the cluster, and checks after each look that no counter is below
// what any of them has ever said.
func aLongTime(t *testing.T, open opener, random *rand.Rand) {
	world := &world{rand: random, seen: map[*worldBackup]velerov1.BackupPhase{}}
	since := time.Now()
	restarted := func(w *watcher) *watcher {
		return &watcher{cluster: w.cluster, ledger: aLedger(t, open), since: since}
	}
	watchers := []*watcher{restarted(&watcher{cluster: true}), restarted(&watcher{cluster: true}), restarted(&watcher{})}
	highest := map[string]float64{}
	for range 250 {
		time.Sleep(time.Duration(random.IntN(90)) * time.Minute) // the bubble's time
		if random.IntN(40) == 0 {
			time.Sleep(60 * time.Hour)
		}
		for range random.IntN(4) {
			world.happen()
		}
		i := random.IntN(len(watchers))
		switch random.IntN(12) {
		case 0:
			watchers[i] = restarted(watchers[i])
		case 1: // another one takes over, elsewhere, without the cluster or with it
			watchers[i] = restarted(&watcher{cluster: !watchers[i].cluster})
		}
		got := watchers[i].counts(t, world)
		for s, before := range highest {
			require.GreaterOrEqual(t, got[s], before, s)
		}
		highest = got
		for _, name := range worldSchedules {
			outcomes := got[series(metrics.VeleroBackupSuccesses, name)] + got[series(metrics.VeleroBackupPartialFailures, name)] +
				got[series(metrics.VeleroBackupFailures, name)] + got[series(metrics.VeleroBackupValidationFailures, name)]
			require.GreaterOrEqual(t, got[series(metrics.VeleroBackupAttempts, name)], outcomes)
		}
	}
	for _, w := range watchers {
		w.counts(t, world) // whatever each has seen is in the ledger now
	}
	last := watchers[0].counts(t, world)
	for _, w := range append(watchers, restarted(watchers[0]), restarted(watchers[2])) {
		require.Equal(t, last, w.counts(t, world))
	}
	for s, n := range world.truth() {
		assert.Equal(t, n, last[s], s)
	}
	for s, n := range last {
		if strings.HasPrefix(s, "velero_backup_attempt_total") {
			assert.Equal(t, world.truth()[s], n, s)
		}
	}
	assert.Greater(t, len(world.seen), 20, "enough has happened")
}

// tell changes what the cluster says.
func (f *fakeKube) tell(change func(*fact.KubeScan)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scan.Backups = slices.Clone(f.scan.Backups)
	change(&f.scan)
	f.scan.Changes++
}

func TestTheCountersOfAnExporterOutliveItAndTheClusterAndTheBackups(t *testing.T) {
	kept, inBucket := mem.New(), newBucket(t)
	_, location := locationOf(inBucket)
	count := func(t *testing.T, e *Exporter, metric string, n int) {
		t.Helper()
		assert.Contains(t, exposition(t, e), fmt.Sprintf("%s{schedule=\"db\"} %d\n", metric, n))
	}
	pass := func() {
		time.Sleep(3 * time.Minute) // the bubble's time
		synctest.Wait()
	}
	cluster := &fakeKube{scan: fact.KubeScan{Schedules: []fact.Schedule{kubeSchedule(t, "db", "@every 1h", midnight)}}}
	sources := Sources{Locations: []Location{location}, Kube: cluster, Ledger: aLedger(t, always(kept))}
	inBubbleOf(t, state.Config{}, sources, func(t *testing.T, e *Exporter) {
		pass()
		count(t, e, "velero_backup_failure_total", 0)
		killed := fact.Backup{Name: "db-1", UID: "1", Schedule: "db", Phase: velerov1.BackupPhaseInProgress, Start: time.Now()}
		cluster.tell(func(s *fact.KubeScan) { s.Backups = inCluster("default", killed) })
		pass()
		count(t, e, "velero_backup_attempt_total", 0)

		killed.Phase, killed.Completed = velerov1.BackupPhaseFailed, time.Now() // by the server that was started next
		theirs := completedBackup("db", "db-2", time.Now().Add(-20*time.Minute))
		inBucket.backup(theirs)
		cluster.tell(func(s *fact.KubeScan) { s.Backups = inCluster("default", killed) })
		pass()
		count(t, e, "velero_backup_attempt_total", 1)
		theirs.Created = time.Now() // it is synced
		cluster.tell(func(s *fact.KubeScan) { s.Backups = inCluster("default", killed, theirs) })
		pass()
		count(t, e, "velero_backup_attempt_total", 1)
		count(t, e, "velero_backup_failure_total", 1)

		_, err := store.DeleteBackup(t.Context(), inBucket, theirs.Name)
		require.NoError(t, err)
		cluster.tell(func(s *fact.KubeScan) { s.Backups = nil }) // both expire
		pass()
		count(t, e, "velero_backup_failure_total", 1)
		cluster.fail(errGone)
		pass()
		count(t, e, "velero_backup_failure_total", 1)
	})
	elsewhere := Sources{Locations: []Location{location}, Ledger: aLedger(t, always(kept))}
	inBubbleOf(t, state.Config{Schedules: map[string]schedule.Cron{"db": cron(t, "@every 1h")}}, elsewhere, func(t *testing.T, e *Exporter) {
		count(t, e, "velero_backup_failure_total", 1)
		count(t, e, "velero_backup_attempt_total", 1)
	})
	alone := Sources{Ledger: aLedger(t, always(kept))}
	inBubbleOf(t, state.Config{}, alone, func(t *testing.T, e *Exporter) {
		pass()
		count(t, e, "velero_backup_failure_total", 1)
		says := exposition(t, e)
		assert.Contains(t, says, `lifeboat_schedule_last_failure_timestamp_seconds{schedule="db"}`)
		for _, unknown := range []string{"velero_backup_total", "lifeboat_schedule_backups", "lifeboat_schedule_last_backup_phase", "velero_backup_last_status"} {
			assert.NotContains(t, says, "\n"+unknown, "a ledger does not know what exists, nor whether it has every run")
		}
	})
}
