package exporter

import (
	"slices"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
)

// The states of a schedule's backups.
const (
	phaseActive = "Active" // every unfinished phase
	phaseNone   = "None"   // no backup has finished
)

var (
	existingPhases = []string{
		string(velerov1.BackupPhaseCompleted), string(velerov1.BackupPhasePartiallyFailed), string(velerov1.BackupPhaseFailed),
		string(velerov1.BackupPhaseFailedValidation), string(velerov1.BackupPhaseDeleting), phaseActive,
	}
	lastPhases = []string{
		string(velerov1.BackupPhaseCompleted), string(velerov1.BackupPhasePartiallyFailed), string(velerov1.BackupPhaseFailed),
		string(velerov1.BackupPhaseFailedValidation), phaseNone,
	}
)

// gcReasons are why garbage collection did not delete a backup: the values of
// Velero's label velero.io/gc-failure (Velero v1.18.1,
// pkg/controller/gc_controller.go), and ours.
var gcReasons = [...]string{"BSLNotFound", "BSLCannotGet", "BSLReadOnly", "ObjectLock"}

// scheduleSamples say how fresh a schedule's backups are. Backups made by hand
// (name "") promise nothing: they are counted, and have no deadline and no last
// phase that anything could be expected of.
func scheduleSamples(out *samples, s ScheduleState, state State, k knowledge, cfg Config) {
	out.stale = !k.exists(s)
	for i, n := range s.Phases {
		out.add(scheduleBackups, float64(n), s.Name, existingPhases[i])
	}
	out.add(scheduleExpired, float64(expired(s, k.now.Add(-cfg.GCPeriod))), s.Name)
	recoverySamples(out, s)
	out.stale = !k.of(s, k.backups)
	if s.LockKnown {
		out.add(scheduleLocked, float64(s.Locked), s.Name)
	}
	out.stale = !k.cluster
	if state.Kube != nil {
		for i, n := range s.Blocked {
			out.add(scheduleGCBlocked, float64(n), s.Name, gcReasons[i])
		}
	}
	if s.Name == "" {
		return
	}
	out.stale = !k.runs(s)
	runSamples(out, s)
	out.stale = !k.cluster
	promiseSamples(out, s, state, cfg)
}

// recoverySamples say what can be restored.
func recoverySamples(out *samples, s ScheduleState) {
	point, ok := newest(s.Backups, recoverable)
	if !ok {
		return
	}
	out.addTime(scheduleRecoveryPoint, point.Start, s.Name)
	out.addTime(scheduleOldestRecoveryPoint, oldest(s.Backups, recoverable).Start, s.Name)
	out.add(scheduleLastSuccessDuration, took(point).Seconds(), s.Name)
	if point.InLocation {
		out.add(scheduleLastSuccessSize, float64(point.ArchiveSize), s.Name)
		added := point.ArchiveSize
		if point.Volumes != nil {
			added += point.Volumes.Added
		}
		out.add(scheduleLastSuccessAdded, float64(added), s.Name)
	}
	out.addTime(scheduleLockUntil, point.LockedUntil, s.Name)
}

// runSamples say how the runs went, the last one above all. The ledger knows of
// runs whose backups are gone.
func runSamples(out *samples, s ScheduleState) {
	out.addSet(scheduleLastBackupPhase, lastPhases, lastPhase(s), s.Name)
	out.add(scheduleConsecutiveFailures, float64(consecutiveFailures(s.Backups)), s.Name)
	out.addTime(scheduleLastRun, lastRun(s), s.Name)
	out.addTime(scheduleLastFailure, lastFailure(s), s.Name)
	out.addTime(scheduleOldestActive, s.OldestActive, s.Name)
	last, ok := newest(s.Backups, finished)
	if !ok {
		return
	}
	out.add(scheduleLastHooksFailed, float64(last.HooksFailed), s.Name)
	out.add(scheduleLastWarnings, float64(last.Warnings), s.Name)
	if last.Volumes != nil {
		out.add(scheduleLastVolumes, float64(last.Volumes.Succeeded), s.Name, "succeeded")
		out.add(scheduleLastVolumes, float64(last.Volumes.Failed), s.Name, "failed")
		out.add(scheduleLastVolumes, float64(last.Volumes.Skipped), s.Name, "skipped")
	}
}

// promiseSamples say what the schedule promises: when it runs, by when it must
// have succeeded, how much of it is kept.
func promiseSamples(out *samples, s ScheduleState, state State, cfg Config) {
	expr, zone := s.Cron.String(), s.Cron.Zone()
	if s.Kube != nil {
		expr, zone = s.Kube.Expr, s.Kube.Cron.Zone()
	}
	out.add(scheduleInfo, 1, s.Name, expr, zone, homeOf(s, state))
	out.addTime(scheduleCreated, s.Created, s.Name)
	if s.Interval > 0 {
		out.add(veleroScheduleInterval, s.Interval.Seconds(), s.Name)
		out.add(scheduleSuccessGrace, grace(s).Seconds(), s.Name)
	}
	if !paused(s) {
		out.addTime(scheduleSuccessDeadline, successDeadline(s, state.Started), s.Name)
	}
	if target := rpoTarget(s, cfg); target > 0 {
		out.add(scheduleRPOTarget, target.Seconds(), s.Name)
		out.addTime(scheduleRPODeadline, rpoAnchor(s).Add(target), s.Name)
	}
	if s.Kube == nil {
		return
	}
	out.add(schedulePaused, boolean(s.Kube.Paused), s.Name)
	out.add(scheduleValid, boolean(s.Kube.Invalid == ""), s.Name)
	out.addTime(scheduleNextRun, nextRun(*s.Kube), s.Name)
	out.add(scheduleTTL, effectiveTTL(*s.Kube, cfg).Seconds(), s.Name)
	out.add(scheduleTTLDefaulted, boolean(s.Kube.TTL == 0), s.Name)
	if fewest, most, ok := expected(s, cfg); ok {
		out.add(scheduleExpectedMin, float64(fewest), s.Name)
		out.add(scheduleExpectedMax, float64(most), s.Name)
	}
}

// countPhases counts backups in the order of existingPhases.
func countPhases(backups []Backup) [6]int {
	var n [6]int
	for _, b := range backups {
		if b.gone {
			continue
		}
		switch b.Phase {
		case velerov1.BackupPhaseCompleted:
			n[0]++
		case velerov1.BackupPhasePartiallyFailed:
			n[1]++
		case velerov1.BackupPhaseFailed:
			n[2]++
		case velerov1.BackupPhaseFailedValidation:
			n[3]++
		case velerov1.BackupPhaseDeleting:
			n[4]++
		default:
			n[5]++
		}
	}
	return n
}

// lastPhase is that of the newest run that has ended, by its backup or, if that
// is gone, by the ledger: deleting a failed backup makes nothing well.
func lastPhase(s ScheduleState) string {
	last, ok := newest(s.Backups, finished)
	if s.Ledger.Ended.After(last.Start) && slices.Contains(lastPhases, s.Ledger.Outcome) {
		return s.Ledger.Outcome
	}
	if ok {
		return string(last.Phase)
	}
	return phaseNone
}

func consecutiveFailures(backups []Backup) int {
	n := 0
	for _, b := range backups {
		if completed(b) {
			break
		}
		if finished(b) {
			n++
		}
	}
	return n
}

// oldest is the last wanted one of a sorted list that has one.
func oldest(backups []Backup, wanted func(Backup) bool) Backup {
	i := len(backups) - 1
	for i > 0 && !wanted(backups[i]) {
		i--
	}
	return backups[i]
}

// took is how long a backup ran; zero when that is not known or makes no sense.
func took(b Backup) time.Duration {
	if b.Completed.IsZero() {
		return 0
	}
	return max(b.Completed.Sub(b.Start), 0)
}

// expired counts backups that expired before t and exist.
func expired(s ScheduleState, t time.Time) int {
	n, _ := slices.BinarySearchFunc(s.Expiries, t, time.Time.Compare)
	return n
}

// LastRuns are when the newest runs that the ledger knows of were started. Zero
// times are those of runs that it does not know of.
type LastRuns struct {
	Ended, Succeeded, Failed time.Time
	Outcome                  string // of the newest one
}

// lastRuns are by the name of the schedule.
func lastRuns(l *LedgerState) map[string]LastRuns {
	out := map[string]LastRuns{}
	if l == nil {
		return out
	}
	for key, count := range l.Counts {
		if key.Kind != RunBackup {
			continue
		}
		r := out[key.Subject]
		if count.LastStarted.After(r.Ended) {
			r.Ended, r.Outcome = count.LastStarted, key.Outcome
		}
		if key.Outcome == string(velerov1.BackupPhaseCompleted) {
			r.Succeeded = later(r.Succeeded, count.LastStarted)
		} else {
			r.Failed = later(r.Failed, count.LastStarted)
		}
		out[key.Subject] = r
	}
	return out
}

// lastRun is the start of the newest run, by its backup, by Velero's own note, or
// by the ledger.
func lastRun(s ScheduleState) time.Time {
	t := s.Ledger.Ended
	if len(s.Backups) > 0 {
		t = later(t, s.Backups[0].Start)
	}
	if s.Kube != nil {
		t = later(t, s.Kube.LastBackup)
	}
	return t
}

func lastFailure(s ScheduleState) time.Time {
	failed, _ := newest(s.Backups, func(b Backup) bool { return finished(b) && !completed(b) })
	return later(failed.Start, s.Ledger.Failed)
}

// homeOf is the location of the newest backup; "" when there is none and more
// than one it could be in.
func homeOf(s ScheduleState, state State) string {
	switch {
	case len(s.Backups) > 0 && s.Backups[0].Location != "":
		return s.Backups[0].Location
	case s.Kube != nil && s.Kube.Location != "":
		return s.Kube.Location
	case s.Kube != nil:
		return defaultLocation(state)
	case len(state.Locations) == 1:
		return state.Locations[0].Name
	}
	return ""
}
