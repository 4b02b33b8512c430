package state

import (
	"time"

	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

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
	success, _ := fact.Newest(s.Backups, recoverable)
	since := fact.Later(success.Start, s.Ledger.Succeeded)
	switch {
	case s.Kube != nil:
		return fact.Later(fact.Later(fact.Later(since, s.Kube.Created), s.Kube.LastSkipped), s.Kube.Resumed)
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
	last, _ := fact.Newest(s.Backups, recoverable)
	switch {
	case s.Cron.IsZero():
		return schedule.InferredDeadline(since, s.Interval, fact.Took(last))
	case s.Kube != nil && s.Kube.Grace > 0:
		return s.Cron.Next(since).Add(fact.Took(last) + s.Kube.Grace)
	}
	return s.Cron.Deadline(since, fact.Took(last))
}

// rpoAnchor is the newest recovery point, or since when there should be one.
func rpoAnchor(s ScheduleState) time.Time {
	if point, ok := fact.Newest(s.Backups, recoverable); ok {
		return point.Start
	}
	return s.Created
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
func nextRun(k fact.Schedule) time.Time {
	if k.Paused || k.Invalid != "" {
		return time.Time{}
	}
	last := k.LastBackup
	if last.IsZero() {
		last = k.Created
	}
	return k.Cron.Next(fact.Later(last, k.LastSkipped))
}

// effectiveTTL is how long backups of the Schedule are kept: Velero takes a ttl of
// 0 for not set.
func effectiveTTL(k fact.Schedule, cfg Config) time.Duration {
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
	f := Firings{Expr: s.Kube.Expr, From: fact.Later(s.Created, now.Add(-effectiveTTL(*s.Kube, cfg))), To: now}
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

// pausedRuns is how many runs are missing in the longest gap between two backups, if
// there are at least two: the schedule was paused then, or nothing ran. That is over,
// and no one can make up for it. Velero does not record a pause, so the exporter knows
// only one that ended while it watched (Resumed). Backups that are missing elsewhere,
// or before the oldest one, were deleted early or failed.
func pausedRuns(s ScheduleState) int {
	most := 0
	for i := 1; i < len(s.Backups); i++ {
		newer, older := s.Backups[i-1].Start, fact.Later(s.Backups[i].Start, s.Firings.From)
		if newer.Sub(older) > 2*s.Interval {
			// The newer one is the last run that is counted.
			most = max(most, s.Cron.Count(older, newer, maxFirings)-1)
		}
	}
	if most < 2 {
		return 0
	}
	return most
}

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
	} else {
		n -= pausedRuns(s)
	}
	return max(n-1, 0), s.Firings.Count + 1 + waiting, true
}
