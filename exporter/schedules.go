package exporter

import (
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

// scheduleSamples say how fresh a schedule's backups are. Backups made by hand
// (name "") promise nothing: they are counted, and have no deadline and no last
// phase that anything could be expected of.
func scheduleSamples(out *samples, s ScheduleState, state State, cfg Config) {
	for i, n := range s.Phases {
		out.add(scheduleBackups, float64(n), s.Name, existingPhases[i])
	}
	success, succeeded := newest(s.Backups, completed)
	if succeeded {
		out.addTime(scheduleRecoveryPoint, success.Start, s.Name)
		out.addTime(scheduleOldestRecoveryPoint, oldestCompleted(s.Backups).Start, s.Name)
		out.add(scheduleLastSuccessDuration, took(success).Seconds(), s.Name)
		out.add(scheduleLastSuccessSize, float64(success.ArchiveSize), s.Name)
	}
	if s.Name == "" {
		return
	}
	out.add(scheduleInfo, 1, s.Name, s.Cron.String(), s.Cron.Zone(), homeOf(s, state))
	out.addSet(scheduleLastBackupPhase, lastPhases, lastPhase(s.Backups), s.Name)
	out.add(scheduleConsecutiveFailures, float64(consecutiveFailures(s.Backups)), s.Name)
	out.addTime(scheduleSuccessDeadline, successDeadline(s, anchor(s, state.Started)), s.Name)
	if target := rpoTarget(s, cfg); target > 0 {
		out.add(scheduleRPOTarget, target.Seconds(), s.Name)
		out.addTime(scheduleRPODeadline, anchor(s, state.Started).Add(target), s.Name)
	}
}

// countPhases counts backups in the order of existingPhases.
func countPhases(backups []Backup) [6]int {
	var n [6]int
	for _, b := range backups {
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

func lastPhase(backups []Backup) string {
	if last, ok := newest(backups, finished); ok {
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

// oldestCompleted is the last Completed one of a list that has one.
func oldestCompleted(backups []Backup) Backup {
	i := len(backups) - 1
	for i > 0 && !completed(backups[i]) {
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

// anchor is the time since when a new success is awaited: the start of the
// newest one; else, when every run failed, the start of the oldest run; else,
// when nothing ever ran, the moment the exporter began to watch.
func anchor(s ScheduleState, started time.Time) time.Time {
	if success, ok := newest(s.Backups, completed); ok {
		return success.Start
	}
	if len(s.Backups) > 0 {
		return s.Backups[len(s.Backups)-1].Start
	}
	return started
}

func successDeadline(s ScheduleState, anchor time.Time) time.Time {
	success, _ := newest(s.Backups, completed)
	if s.Cron.IsZero() {
		return schedule.InferredDeadline(anchor, s.Interval, took(success))
	}
	return s.Cron.Deadline(anchor, took(success))
}

// rpoTarget is zero when nothing was agreed and nothing can be inferred.
func rpoTarget(s ScheduleState, cfg Config) time.Duration {
	if agreed := cfg.RPO[s.Name]; agreed > 0 {
		return agreed
	}
	if s.Interval == 0 {
		return 0
	}
	return 2*s.Interval + schedule.Grace(s.Interval)
}

// homeOf is the location of the newest backup; "" when there is none and more
// than one it could be in.
func homeOf(s ScheduleState, state State) string {
	switch {
	case len(s.Backups) > 0:
		return s.Backups[0].Location
	case len(state.Locations) == 1:
		return state.Locations[0].Name
	}
	return ""
}
