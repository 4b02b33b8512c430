package metrics

import (
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
)

// scheduleSamples say how fresh a schedule's backups are. Backups made by hand
// (name "") promise nothing: they are counted, and have no deadline and no last
// phase that anything could be expected of.
func scheduleSamples(out Samples, s state.Judged) {
	exist := out.when(s.Known.Existence)
	for i, n := range s.Phases {
		exist.add(ScheduleBackups, float64(n), s.Name, state.ExistingPhases[i])
	}
	exist.add(scheduleExpired, float64(s.Expired), s.Name)
	if s.LockKnown {
		out.when(s.Known.Locks).add(scheduleLocked, float64(s.Locked), s.Name)
	}
	if s.Watched {
		for i, n := range s.Blocked {
			out.when(s.Known.Cluster).add(scheduleGCBlocked, float64(n), s.Name, fact.GcReasons[i])
		}
	}
}

// recoverySamples say what can be restored.
func recoverySamples(out Samples, s state.Judged) {
	point := s.RecoveryPoint
	if point == nil {
		return
	}
	out = out.when(s.Known.Existence)
	out.addTime(ScheduleRecoveryPoint, point.Start, s.Name)
	out.addTime(ScheduleOldestRecoveryPoint, s.OldestRecoveryPoint, s.Name)
	out.add(scheduleLastSuccessDuration, fact.Took(*point).Seconds(), s.Name)
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
func runSamples(out Samples, s state.Judged) {
	if s.Name == "" {
		return
	}
	out = out.when(s.Known.Runs)
	out.addSet(ScheduleLastBackupPhase, state.LastPhases, s.LastPhase, s.Name)
	out.add(ScheduleConsecutiveFailures, float64(s.ConsecutiveFailures), s.Name)
	out.addTime(scheduleLastRun, s.LastRun, s.Name)
	out.addTime(scheduleLastFailure, s.LastFailure, s.Name)
	out.addTime(scheduleOldestActive, s.OldestActive, s.Name)
	last := s.LastEnded
	if last == nil {
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
func promiseSamples(out Samples, s state.Judged) {
	if s.Name == "" {
		return
	}
	out = out.when(s.Known.Cluster)
	out.add(ScheduleInfo, 1, s.Name, s.Expr, s.Zone, s.Location)
	out.addTime(scheduleCreated, s.Created, s.Name)
	if s.Interval > 0 {
		out.add(veleroScheduleInterval, s.Interval.Seconds(), s.Name)
		out.add(scheduleSuccessGrace, s.Grace.Seconds(), s.Name)
	}
	out.addTime(ScheduleSuccessDeadline, s.SuccessDeadline, s.Name)
	if s.RPOTarget > 0 {
		out.add(ScheduleRPOTarget, s.RPOTarget.Seconds(), s.Name)
		out.addTime(ScheduleRPODeadline, s.RPODeadline, s.Name)
	}
	if s.Kube == nil {
		return
	}
	out.add(SchedulePaused, fact.Boolean(s.Kube.Paused), s.Name)
	out.add(ScheduleValid, fact.Boolean(s.Kube.Invalid == ""), s.Name)
	out.addTime(ScheduleNextRun, s.NextRun, s.Name)
	out.add(scheduleTTL, s.TTL.Seconds(), s.Name)
	out.add(scheduleTTLDefaulted, fact.Boolean(s.Kube.TTL == 0), s.Name)
	if s.ExpectedKnown {
		out.add(scheduleExpectedMin, float64(s.ExpectedMin), s.Name)
		out.add(scheduleExpectedMax, float64(s.ExpectedMax), s.Name)
	}
}
