package metrics

import (
	"cmp"
	"slices"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/ledger"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// CounterSamples are the counters and histograms, all of the ledger. There is
// one of each for every schedule that is known, from 0 on, so that the first
// failure is seen as a rise; backups made by hand are schedule "".
func CounterSamples(out Samples, known state.State, cfg state.Config) {
	if known.Ledger == nil || known.Ledger.Since.IsZero() {
		return
	}
	c := counters{out: out, ledger: known.Ledger.Totals, all: map[fact.RunKey]fact.Count{}}
	for key, count := range known.Ledger.Counts {
		sum := fact.RunKey{Kind: key.Kind, Subject: key.Subject}
		c.all[sum] = c.all[sum].Plus(count)
	}
	names := []string{""}
	for _, s := range state.Within(known.Schedules, cfg) {
		if s.Name != "" {
			names = append(names, s.Name)
		}
	}
	for _, name := range names {
		c.backups(name)
		c.restores(name)
		c.deletions(name)
		c.drills(name)
	}
	c.drillDurations()
	if cfg.Repositories && known.Kube != nil {
		for _, r := range boundRepositories(known.Kube.Repositories) {
			c.maintenance(r.Name)
		}
	}
}

// MaxRepositories bounds the repositories that get series.
const MaxRepositories = 500

// boundRepositories are the first ones by name.
func boundRepositories(all []fact.Repository) []fact.Repository {
	if len(all) <= MaxRepositories {
		return all
	}
	sorted := slices.SortedFunc(slices.Values(all), func(a, b fact.Repository) int { return cmp.Compare(a.Name, b.Name) })
	return sorted[:MaxRepositories]
}

// counters turns the counts of a ledger into samples.
type counters struct {
	out    Samples
	ledger fact.Totals
	// all sums up the outcomes and reasons of a kind and a subject, those that
	// this version does not know included.
	all map[fact.RunKey]fact.Count
}

func (c counters) of(kind fact.RunKind, subject, outcome string) fact.Count {
	return c.ledger.Counts[fact.RunKey{Kind: kind, Subject: subject, Outcome: outcome}]
}

func (c counters) total(kind fact.RunKind, subject string) fact.Count {
	return c.all[fact.RunKey{Kind: kind, Subject: subject}]
}

func (c counters) add(id ID, n uint64, labels ...string) {
	c.out.addSample(Sample{Metric: id, Labels: labels, Value: float64(n), Created: c.ledger.Since})
}

func (c counters) backups(name string) {
	all := c.total(fact.RunBackup, name)
	completed := c.of(fact.RunBackup, name, string(velerov1.BackupPhaseCompleted))
	partial := c.of(fact.RunBackup, name, string(velerov1.BackupPhasePartiallyFailed))
	c.add(VeleroBackupAttempts, all.Runs, name)
	c.add(VeleroBackupSuccesses, completed.Runs, name)
	c.add(VeleroBackupPartialFailures, partial.Runs, name)
	c.add(VeleroBackupFailures, c.of(fact.RunBackup, name, string(velerov1.BackupPhaseFailed)).Runs, name)
	c.add(VeleroBackupValidationFailures, c.of(fact.RunBackup, name, string(velerov1.BackupPhaseFailedValidation)).Runs, name)
	c.add(VeleroBackupWarnings, all.Warned, name)
	c.snapshots(all.Snapshots, name, VeleroVolumeSnapshotAttempts, VeleroVolumeSnapshotSuccesses, VeleroVolumeSnapshotFailures)
	c.snapshots(all.CSISnapshots, name, VeleroCSISnapshotAttempts, VeleroCSISnapshotSuccesses, VeleroCSISnapshotFailures)
	c.histogram(VeleroBackupDuration, completed.Plus(partial), name)
}

func (c counters) snapshots(n fact.Snapshots, name string, attempted, completed, failed ID) {
	c.add(attempted, uint64(n.Attempted), name)
	c.add(completed, uint64(n.Completed), name)
	c.add(failed, uint64(n.Attempted-n.Completed), name)
}

func (c counters) restores(name string) {
	failed := c.of(fact.RunRestore, name, string(velerov1.RestorePhaseFailed)).Runs
	c.add(VeleroRestoreAttempts, c.total(fact.RunRestore, name).Runs, name)
	c.add(VeleroRestoreSuccesses, c.of(fact.RunRestore, name, string(velerov1.RestorePhaseCompleted)).Runs, name)
	c.add(VeleroRestorePartialFailures, c.of(fact.RunRestore, name, string(velerov1.RestorePhasePartiallyFailed)).Runs, name)
	c.add(VeleroRestoreValidationFailures, c.of(fact.RunRestore, name, string(velerov1.RestorePhaseFailedValidation)).Runs, name)
	c.add(VeleroRestoreFailed, failed, name)
	c.add(VeleroRestoreFailures, failed, name)
}

func (c counters) deletions(name string) {
	c.add(VeleroBackupDeletionAttempts, c.total(fact.RunDeletion, name).Runs, name)
	c.add(VeleroBackupDeletionSuccesses, c.of(fact.RunDeletion, name, state.OutcomeSucceeded).Runs, name)
	c.add(VeleroBackupDeletionFailures, c.of(fact.RunDeletion, name, state.OutcomeFailed).Runs, name)
}

func (c counters) drills(name string) {
	c.add(DrillRuns, c.total(fact.RunDrill, name).Runs, name)
	for _, reason := range fact.DrillReasons() {
		var n uint64
		for _, verdict := range []report.Verdict{report.Failed, report.Error} {
			n += c.ledger.Counts[fact.RunKey{Kind: fact.RunDrill, Subject: name, Outcome: string(verdict), Reason: reason}].Runs
		}
		c.add(DrillFailures, n, name, reason)
	}
}

// drillDurations has no label, so it counts the drills of schedules that are
// gone, too.
func (c counters) drillDurations() {
	var passed fact.Count
	for key, count := range c.ledger.Counts {
		if key.Kind == fact.RunDrill && key.Outcome == string(report.Passed) {
			passed = passed.Plus(count)
		}
	}
	c.histogram(DrillDuration, passed)
}

func (c counters) maintenance(name string) {
	c.add(VeleroRepoMaintenanceSuccesses, c.of(fact.RunMaintenance, name, state.OutcomeSucceeded).Runs, name)
	c.add(VeleroRepoMaintenanceFailures, c.of(fact.RunMaintenance, name, state.OutcomeFailed).Runs, name)
	c.histogram(VeleroRepoMaintenanceDuration, c.total(fact.RunMaintenance, name), name)
}

func (c counters) histogram(id ID, count fact.Count, labels ...string) {
	d := Distribution{Count: count.Runs, Sum: float64(count.TookMillis) / 1000, Buckets: map[float64]uint64{}}
	var sum uint64
	for i, bound := range ledger.DurationBuckets {
		sum += count.Took[i]
		d.Buckets[bound] = sum
	}
	c.out.addSample(Sample{Metric: id, Labels: labels, Value: float64(count.Runs), Created: c.ledger.Since, Histogram: &d})
}
