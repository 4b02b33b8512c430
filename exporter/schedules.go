package exporter

import (
	"slices"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
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
	if s.LockKnown {
		out.add(scheduleLocked, float64(s.Locked), s.Name)
	}
	recoverySamples(out, s)
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
		out.addTime(scheduleRPODeadline, rpoAnchor(s, state.Started).Add(target), s.Name)
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

// paused reports whether nothing is expected to run: the Schedule is paused, or
// can never run, which lifeboat_schedule_valid says.
func paused(s ScheduleState) bool {
	return s.Kube != nil && (s.Kube.Paused || s.Kube.Invalid != "")
}

// anchor is the time since when a new success is awaited: the start of the newest
// success, but not before the Schedule was made, skipped a run or was resumed.
// Without a Schedule and without a success it is the start of the oldest run, or,
// when nothing ever ran, the moment the exporter began to watch.
func anchor(s ScheduleState, started time.Time) time.Time {
	success, _ := newest(s.Backups, recoverable)
	since := later(success.Start, s.Ledger.Succeeded)
	switch {
	case s.Kube != nil:
		return later(later(later(since, s.Kube.Created), s.Kube.LastSkipped), s.Kube.Resumed)
	case since.IsZero() && len(s.Backups) > 0:
		return s.Backups[len(s.Backups)-1].Start
	case since.IsZero():
		return started
	}
	return since
}

// successDeadline is zero when nothing is expected.
func successDeadline(s ScheduleState, started time.Time) time.Time {
	since := anchor(s, started)
	last, _ := newest(s.Backups, recoverable)
	switch {
	case s.Cron.IsZero():
		return schedule.InferredDeadline(since, s.Interval, took(last))
	case s.Kube != nil && s.Kube.Grace > 0:
		return s.Cron.Next(since).Add(took(last) + s.Kube.Grace)
	}
	return s.Cron.Deadline(since, took(last))
}

// rpoAnchor is the newest recovery point, or since when there should be one.
func rpoAnchor(s ScheduleState, started time.Time) time.Time {
	if point, ok := newest(s.Backups, recoverable); ok {
		return point.Start
	}
	if s.Kube != nil || len(s.Backups) > 0 {
		return s.Created
	}
	return started
}

// grace is how long after its due time a run may still succeed.
func grace(s ScheduleState) time.Duration {
	if s.Kube != nil && s.Kube.Grace > 0 {
		return s.Kube.Grace
	}
	return schedule.Grace(s.Interval)
}

// rpoTarget is what was agreed with the Schedule, else by the flags, else two
// intervals and a grace; zero when nothing was agreed and nothing can be
// inferred.
func rpoTarget(s ScheduleState, cfg Config) time.Duration {
	if s.Kube != nil && s.Kube.RPO > 0 {
		return s.Kube.RPO
	}
	if agreed := cfg.RPO[s.Name]; agreed > 0 {
		return agreed
	}
	if s.Interval == 0 {
		return 0
	}
	return 2*s.Interval + grace(s)
}

// nextRun is when the controller starts the next run, by Velero's own rule
// (Velero v1.18.1, pkg/controller/schedule_controller.go): the first due time
// after the last run, or after the making of the Schedule, or after a run it was
// told to skip. Zero when it will not.
func nextRun(k Schedule) time.Time {
	if k.Paused || k.Invalid != "" {
		return time.Time{}
	}
	last := k.LastBackup
	if last.IsZero() {
		last = k.Created
	}
	return k.Cron.Next(later(last, k.LastSkipped))
}

// effectiveTTL is how long backups of the Schedule are kept: Velero takes a ttl of
// 0 for not set.
func effectiveTTL(k Schedule, cfg Config) time.Duration {
	if k.TTL <= 0 {
		return cfg.ServerTTL
	}
	return k.TTL
}

// maxFirings bounds how many due times are counted; what has more has no
// expected number of backups.
const maxFirings = 100_000

// Firings are the due times of a schedule after From and not after To.
type Firings struct {
	Expr     string
	From, To time.Time
	Count    int
}

// firings are those since when backups of the schedule are kept. Due times are
// many and little changes from one state to the next, so those of the state
// before are moved on.
func firings(s ScheduleState, before *ScheduleState, now time.Time, cfg Config) Firings {
	if s.Kube == nil || s.Cron.IsZero() {
		return Firings{}
	}
	f := Firings{Expr: s.Kube.Expr, From: later(s.Created, now.Add(-effectiveTTL(*s.Kube, cfg))), To: now}
	if before == nil || before.Firings.Expr != f.Expr || s.Cron.Every() ||
		f.From.Before(before.Firings.From) || f.To.Before(before.Firings.To) || f.From.After(before.Firings.To) {
		f.Count = s.Cron.Count(f.From, f.To, maxFirings+1)
		return f
	}
	last := before.Firings
	f.Count = last.Count - s.Cron.Count(last.From, f.From, maxFirings) + s.Cron.Count(last.To, f.To, maxFirings)
	return f
}

// checkPeriod is how often Velero looks whether a schedule is due, which makes
// each run of one that counts from the run before that much later.
const checkPeriod = time.Minute

// expected are the fewest Completed backups and the most backups that there may
// be: the newest may still run, and expired ones wait for garbage collection.
// While nothing runs there is no telling.
func expected(s ScheduleState, cfg Config) (fewest, most int, ok bool) {
	if paused(s) || s.Interval <= 0 || s.Firings.Count > maxFirings {
		return 0, 0, false
	}
	n := s.Firings.Count
	waiting := int((cfg.GCPeriod + s.Interval - 1) / s.Interval)
	if s.Cron.Every() {
		n = int(s.Firings.To.Sub(s.Firings.From) / (s.Interval + checkPeriod))
	}
	if resumed := s.Kube.Resumed; resumed.After(s.Firings.From) {
		n = s.Cron.Count(resumed, s.Firings.To, n)
	}
	return max(n-1, 0), s.Firings.Count + 1 + waiting, true
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
