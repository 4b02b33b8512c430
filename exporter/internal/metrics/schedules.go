package metrics

import (
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
)

// scheduleSamples say how fresh a schedule's backups are. Backups made by hand
// (name "") promise nothing: they are counted, and have no deadline and no last
// phase that anything could be expected of.
func scheduleSamples(out *Samples, s state.ScheduleState, known state.State, k state.Freshness, cfg state.Config) {
	out.stale = !k.Exists(s)
	for i, n := range s.Phases {
		out.add(ScheduleBackups, float64(n), s.Name, state.ExistingPhases[i])
	}
	out.add(scheduleExpired, float64(state.Expired(s, k.Now.Add(-cfg.GCPeriod))), s.Name)
	recoverySamples(out, s)
	out.stale = !k.Of(s, k.Backups)
	if s.LockKnown {
		out.add(scheduleLocked, float64(s.Locked), s.Name)
	}
	out.stale = !k.Cluster
	if known.Kube != nil {
		for i, n := range s.Blocked {
			out.add(scheduleGCBlocked, float64(n), s.Name, fact.GcReasons[i])
		}
	}
	if s.Name == "" {
		return
	}
	out.stale = !k.Runs(s)
	runSamples(out, s)
	out.stale = !k.Cluster
	promiseSamples(out, s, known, cfg)
}

// recoverySamples say what can be restored.
func recoverySamples(out *Samples, s state.ScheduleState) {
	point, ok := fact.Newest(s.Backups, state.Recoverable)
	if !ok {
		return
	}
	out.addTime(ScheduleRecoveryPoint, point.Start, s.Name)
	out.addTime(ScheduleOldestRecoveryPoint, fact.Oldest(s.Backups, state.Recoverable).Start, s.Name)
	out.add(scheduleLastSuccessDuration, fact.Took(point).Seconds(), s.Name)
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
func runSamples(out *Samples, s state.ScheduleState) {
	out.addSet(ScheduleLastBackupPhase, state.LastPhases, state.LastPhase(s), s.Name)
	out.add(ScheduleConsecutiveFailures, float64(state.ConsecutiveFailures(s.Backups)), s.Name)
	out.addTime(scheduleLastRun, state.LastRun(s), s.Name)
	out.addTime(scheduleLastFailure, state.LastFailure(s), s.Name)
	out.addTime(scheduleOldestActive, s.OldestActive, s.Name)
	last, ok := fact.Newest(s.Backups, fact.Finished)
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
func promiseSamples(out *Samples, s state.ScheduleState, known state.State, cfg state.Config) {
	expr, zone := s.Cron.String(), s.Cron.Zone()
	if s.Kube != nil {
		expr, zone = s.Kube.Expr, s.Kube.Cron.Zone()
	}
	out.add(ScheduleInfo, 1, s.Name, expr, zone, state.HomeOf(s, known))
	out.addTime(scheduleCreated, s.Created, s.Name)
	if s.Interval > 0 {
		out.add(veleroScheduleInterval, s.Interval.Seconds(), s.Name)
		out.add(scheduleSuccessGrace, state.Grace(s).Seconds(), s.Name)
	}
	if !state.Paused(s) {
		out.addTime(ScheduleSuccessDeadline, state.SuccessDeadline(s, known.Started), s.Name)
	}
	if target := state.RpoTarget(s, cfg); target > 0 {
		out.add(ScheduleRPOTarget, target.Seconds(), s.Name)
		out.addTime(ScheduleRPODeadline, state.RpoAnchor(s).Add(target), s.Name)
	}
	if s.Kube == nil {
		return
	}
	out.add(SchedulePaused, fact.Boolean(s.Kube.Paused), s.Name)
	out.add(ScheduleValid, fact.Boolean(s.Kube.Invalid == ""), s.Name)
	out.addTime(ScheduleNextRun, state.NextRun(*s.Kube), s.Name)
	out.add(scheduleTTL, state.EffectiveTTL(*s.Kube, cfg).Seconds(), s.Name)
	out.add(scheduleTTLDefaulted, fact.Boolean(s.Kube.TTL == 0), s.Name)
	if fewest, most, ok := state.Expected(s, cfg); ok {
		out.add(scheduleExpectedMin, float64(fewest), s.Name)
		out.add(scheduleExpectedMax, float64(most), s.Name)
	}
}
