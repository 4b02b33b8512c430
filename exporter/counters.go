package exporter

import (
	"cmp"
	"regexp"
	"slices"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/ledger"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Outcomes of runs that have no phase of their own.
const (
	outcomeSucceeded = "succeeded"
	outcomeFailed    = "failed"
)

// runs are the ends of runs that the sources tell of now. Each is made of what
// no longer changes and what every observer sees alike, so that whoever keeps
// the same ledger keeps the same runs.
//
// With a cluster as a source nothing is said before the cluster was read: only
// it can tell its own backups from those of others that share the location.
func runs(state State, cfg Config) []Run {
	if state.Kube != nil && !state.Kube.Source.read() {
		return nil
	}
	total := 0
	for _, s := range state.Schedules {
		total += len(s.Backups)
	}
	for _, l := range state.Locations {
		total += len(l.DrillList)
	}
	out := make([]Run, 0, total)
	foreign := map[string]bool{}
	for _, s := range state.Schedules {
		for _, b := range s.Backups {
			if b.Foreign {
				foreign[b.Name] = true
			}
			if ours(b, state) && b.Phase.Finished() {
				out = append(out, runOfBackup(b))
			}
		}
	}
	for _, l := range state.Locations {
		for _, d := range l.DrillList {
			if !foreign[d.Backup] {
				out = append(out, runOfDrill(d))
			}
		}
	}
	if state.Kube == nil {
		return ended(out)
	}
	for _, r := range state.Kube.Restores {
		if r.Phase.Finished() {
			out = append(out, runOfRestore(r))
		}
	}
	for _, d := range state.Kube.Deletions {
		if d.Processed {
			out = append(out, runOfDeletion(d, scheduleOf(d.Backup, state)))
		}
	}
	if cfg.Repositories {
		for _, r := range state.Kube.Repositories {
			out = append(out, runsOfRepository(r)...)
		}
	}
	return ended(out)
}

// ended leaves out what does not say when: nobody could tell on which side of
// the ledger's beginning it lies.
func ended(runs []Run) []Run {
	return slices.DeleteFunc(runs, func(r Run) bool { return r.Ended.IsZero() })
}

// ours reports whether a backup is this cluster's. One that is in the location
// only may be another cluster's that was not synced yet, so where there is a
// cluster it has to list it.
func ours(b Backup, state State) bool {
	return !b.Foreign && (state.Kube == nil || b.InCluster)
}

// runOfBackup identifies a backup by name and start. Its UID would not do: when
// Velero syncs a backup from the location into a cluster, the object gets a new
// one there, while velero-backup.json keeps the first. Nor would its location,
// of which two observers may have different names.
func runOfBackup(b Backup) Run {
	return Run{
		Kind: RunBackup, ID: runID(b.Name, b.Start), Subject: b.Schedule, Outcome: string(b.Phase), Name: named(b.Name),
		Started: b.Start.UTC(), Ended: firstSet(b.Completed, b.Start), Warnings: max(b.Warnings, 0),
		Snapshots: snapshotsOf(b.Snapshots), CSISnapshots: snapshotsOf(b.CSISnapshots),
	}
}

func runOfRestore(r Restore) Run {
	return Run{
		Kind: RunRestore, ID: r.UID, Subject: r.Schedule, Outcome: string(r.Phase), Name: named(r.Name),
		Started: firstSet(r.Started, r.Created), Ended: firstSet(r.Completed, r.Started, r.Created),
	}
}

// runOfDeletion has no end but the time it was asked for: Velero notes no other.
func runOfDeletion(d Deletion, schedule string) Run {
	r := Run{
		Kind: RunDeletion, ID: d.UID, Subject: schedule, Outcome: outcomeSucceeded, Name: named(d.Name),
		Started: d.Created.UTC(), Ended: d.Created.UTC(),
	}
	if d.Errors > 0 {
		r.Outcome = outcomeFailed
	}
	return r
}

func runOfDrill(d Drill) Run {
	return Run{
		Kind: RunDrill, ID: d.Backup + "/" + d.ID, Subject: d.Schedule, Outcome: string(d.Verdict), Reason: d.Reason, Name: named(d.Backup),
		Started: firstSet(d.Started, d.Finished), Ended: d.Finished.UTC(),
	}
}

func runsOfRepository(r Repository) []Run {
	var out []Run
	for _, m := range r.Recent {
		run := Run{
			Kind: RunMaintenance, ID: runID(r.Name, m.Started), Subject: r.Name, Outcome: outcomeFailed, Name: named(r.Name),
			Started: m.Started.UTC(), Ended: firstSet(m.Ended, m.Started),
		}
		if m.Succeeded {
			run.Outcome = outcomeSucceeded
		}
		out = append(out, run)
	}
	return out
}

// scheduledName is what a Schedule calls its backups: its own name and the time
// (Velero v1.18.1, pkg/apis/velero/v1: TimestampedName).
var scheduledName = regexp.MustCompile(`^(.+)-[0-9]{14}$`)

// scheduleOf is the schedule of a backup that may be gone by now. When it is, its
// name must do.
func scheduleOf(backup string, state State) string {
	byName := ""
	m := scheduledName.FindStringSubmatch(backup)
	for _, s := range state.Schedules {
		if slices.ContainsFunc(s.Backups, func(b Backup) bool { return b.Name == backup }) {
			return s.Name
		}
		if m != nil && s.Name == m[1] {
			byName = s.Name
		}
	}
	return byName
}

// maxSnapshots bounds what a backup, which is not trusted, can add to a counter.
const maxSnapshots = 1_000_000

func snapshotsOf(s Snapshots) *Snapshots {
	if s.Attempted <= 0 && s.Completed <= 0 {
		return nil
	}
	bound := func(n int) int { return min(max(n, 0), maxSnapshots) }
	return &Snapshots{Attempted: bound(s.Attempted), Completed: bound(s.Completed)}
}

// maxName is the length of an object's name in Kubernetes.
const maxName = 253

func named(name string) string { return name[:min(len(name), maxName)] }

// runID is a name and a time as precise as Kubernetes keeps it.
func runID(name string, t time.Time) string {
	buf := make([]byte, 0, 512)
	buf = append(append(buf, name...), '/')
	return string(t.UTC().Truncate(time.Second).AppendFormat(buf, time.RFC3339))
}

func firstSet(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t.UTC()
		}
	}
	return time.Time{}
}

// counterSamples are the counters and histograms, all of the ledger. There is
// one of each for every schedule that is known, from 0 on, so that the first
// failure is seen as a rise; backups made by hand are schedule "".
func counterSamples(out *samples, state State, cfg Config) {
	if state.Ledger == nil || state.Ledger.Since.IsZero() {
		return
	}
	c := counters{out: out, ledger: state.Ledger.Totals, all: map[RunKey]Count{}}
	for key, count := range state.Ledger.Counts {
		sum := RunKey{Kind: key.Kind, Subject: key.Subject}
		c.all[sum] = c.all[sum].Plus(count)
	}
	names := []string{""}
	for _, s := range within(state.Schedules, cfg) {
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
	if cfg.Repositories && state.Kube != nil {
		for _, r := range boundRepositories(state.Kube.Repositories) {
			c.maintenance(r.Name)
		}
	}
}

// maxRepositories bounds the repositories that get series.
const maxRepositories = 500

// boundRepositories are the first ones by name.
func boundRepositories(all []Repository) []Repository {
	if len(all) <= maxRepositories {
		return all
	}
	sorted := slices.SortedFunc(slices.Values(all), func(a, b Repository) int { return cmp.Compare(a.Name, b.Name) })
	return sorted[:maxRepositories]
}

// counters turns the counts of a ledger into samples.
type counters struct {
	out    *samples
	ledger Totals
	// all sums up the outcomes and reasons of a kind and a subject, those that
	// this version does not know included.
	all map[RunKey]Count
}

func (c counters) of(kind RunKind, subject, outcome string) Count {
	return c.ledger.Counts[RunKey{Kind: kind, Subject: subject, Outcome: outcome}]
}

func (c counters) total(kind RunKind, subject string) Count {
	return c.all[RunKey{Kind: kind, Subject: subject}]
}

func (c counters) add(id ID, n uint64, labels ...string) {
	c.out.addSample(Sample{Metric: id, Labels: labels, Value: float64(n), Created: c.ledger.Since})
}

func (c counters) backups(name string) {
	all := c.total(RunBackup, name)
	completed := c.of(RunBackup, name, string(velerov1.BackupPhaseCompleted))
	partial := c.of(RunBackup, name, string(velerov1.BackupPhasePartiallyFailed))
	c.add(veleroBackupAttempts, all.Runs, name)
	c.add(veleroBackupSuccesses, completed.Runs, name)
	c.add(veleroBackupPartialFailures, partial.Runs, name)
	c.add(veleroBackupFailures, c.of(RunBackup, name, string(velerov1.BackupPhaseFailed)).Runs, name)
	c.add(veleroBackupValidationFailures, c.of(RunBackup, name, string(velerov1.BackupPhaseFailedValidation)).Runs, name)
	c.add(veleroBackupWarnings, all.Warned, name)
	c.snapshots(all.Snapshots, name, veleroVolumeSnapshotAttempts, veleroVolumeSnapshotSuccesses, veleroVolumeSnapshotFailures)
	c.snapshots(all.CSISnapshots, name, veleroCSISnapshotAttempts, veleroCSISnapshotSuccesses, veleroCSISnapshotFailures)
	c.histogram(veleroBackupDuration, completed.Plus(partial), name)
}

func (c counters) snapshots(n Snapshots, name string, attempted, completed, failed ID) {
	c.add(attempted, uint64(n.Attempted), name)
	c.add(completed, uint64(n.Completed), name)
	c.add(failed, uint64(n.Attempted-n.Completed), name)
}

func (c counters) restores(name string) {
	failed := c.of(RunRestore, name, string(velerov1.RestorePhaseFailed)).Runs
	c.add(veleroRestoreAttempts, c.total(RunRestore, name).Runs, name)
	c.add(veleroRestoreSuccesses, c.of(RunRestore, name, string(velerov1.RestorePhaseCompleted)).Runs, name)
	c.add(veleroRestorePartialFailures, c.of(RunRestore, name, string(velerov1.RestorePhasePartiallyFailed)).Runs, name)
	c.add(veleroRestoreValidationFailures, c.of(RunRestore, name, string(velerov1.RestorePhaseFailedValidation)).Runs, name)
	c.add(veleroRestoreFailed, failed, name)
	c.add(veleroRestoreFailures, failed, name)
}

func (c counters) deletions(name string) {
	c.add(veleroBackupDeletionAttempts, c.total(RunDeletion, name).Runs, name)
	c.add(veleroBackupDeletionSuccesses, c.of(RunDeletion, name, outcomeSucceeded).Runs, name)
	c.add(veleroBackupDeletionFailures, c.of(RunDeletion, name, outcomeFailed).Runs, name)
}

func (c counters) drills(name string) {
	c.add(drillRuns, c.total(RunDrill, name).Runs, name)
	for _, reason := range DrillReasons() {
		var n uint64
		for _, verdict := range []report.Verdict{report.Failed, report.Error} {
			n += c.ledger.Counts[RunKey{Kind: RunDrill, Subject: name, Outcome: string(verdict), Reason: reason}].Runs
		}
		c.add(drillFailures, n, name, reason)
	}
}

// drillDurations has no label, so it counts the drills of schedules that are
// gone, too.
func (c counters) drillDurations() {
	var passed Count
	for key, count := range c.ledger.Counts {
		if key.Kind == RunDrill && key.Outcome == string(report.Passed) {
			passed = passed.Plus(count)
		}
	}
	c.histogram(drillDuration, passed)
}

func (c counters) maintenance(name string) {
	c.add(veleroRepoMaintenanceSuccesses, c.of(RunMaintenance, name, outcomeSucceeded).Runs, name)
	c.add(veleroRepoMaintenanceFailures, c.of(RunMaintenance, name, outcomeFailed).Runs, name)
	c.histogram(veleroRepoMaintenanceDuration, c.total(RunMaintenance, name), name)
}

func (c counters) histogram(id ID, count Count, labels ...string) {
	d := Distribution{Count: count.Runs, Sum: float64(count.TookMillis) / 1000, Buckets: map[float64]uint64{}}
	var sum uint64
	for i, bound := range ledger.DurationBuckets {
		sum += count.Took[i]
		d.Buckets[bound] = sum
	}
	c.out.addSample(Sample{Metric: id, Labels: labels, Value: float64(count.Runs), Created: c.ledger.Since, Histogram: &d})
}
