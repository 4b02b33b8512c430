package state

import (
	"slices"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

// The states of a schedule's backups.
const (
	phaseActive = "Active" // every unfinished phase
	PhaseNone   = "None"   // no backup has finished
)

var (
	ExistingPhases = []string{
		string(velerov1.BackupPhaseCompleted), string(velerov1.BackupPhasePartiallyFailed), string(velerov1.BackupPhaseFailed),
		string(velerov1.BackupPhaseFailedValidation), string(velerov1.BackupPhaseDeleting), phaseActive,
	}
	LastPhases = []string{
		string(velerov1.BackupPhaseCompleted), string(velerov1.BackupPhasePartiallyFailed), string(velerov1.BackupPhaseFailed),
		string(velerov1.BackupPhaseFailedValidation), PhaseNone,
	}
)

// countPhases counts backups in the order of existingPhases.
func countPhases(backups []fact.Backup) [6]int {
	var n [6]int
	for _, b := range backups {
		if b.Gone {
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
	last, ok := fact.Newest(s.Backups, fact.Finished)
	if s.Ledger.Ended.After(last.Start) && slices.Contains(LastPhases, s.Ledger.Outcome) {
		return s.Ledger.Outcome
	}
	if ok {
		return string(last.Phase)
	}
	return PhaseNone
}

func consecutiveFailures(backups []fact.Backup) int {
	n := 0
	for _, b := range backups {
		if fact.Completed(b) {
			break
		}
		if fact.Finished(b) {
			n++
		}
	}
	return n
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
	const completed = string(velerov1.BackupPhaseCompleted)
	out := map[string]LastRuns{}
	if l == nil {
		return out
	}
	for key, count := range l.Counts {
		if key.Kind != fact.RunBackup {
			continue
		}
		r := out[key.Subject]
		// Of runs that began at the same time, the one that failed counts; the order
		// of the map must not decide.
		tie := count.LastStarted.Equal(r.Ended) && (r.Outcome == completed || key.Outcome != completed && key.Outcome < r.Outcome)
		if count.LastStarted.After(r.Ended) || tie {
			r.Ended, r.Outcome = count.LastStarted, key.Outcome
		}
		if key.Outcome == completed {
			r.Succeeded = fact.Later(r.Succeeded, count.LastStarted)
		} else {
			r.Failed = fact.Later(r.Failed, count.LastStarted)
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
		t = fact.Later(t, s.Backups[0].Start)
	}
	if s.Kube != nil {
		t = fact.Later(t, s.Kube.LastBackup)
	}
	return t
}

func lastFailure(s ScheduleState) time.Time {
	failed, _ := fact.Newest(s.Backups, func(b fact.Backup) bool { return fact.Finished(b) && !fact.Completed(b) })
	return fact.Later(failed.Start, s.Ledger.Failed)
}

// locationOf is the location of the newest backup; "" when there is none and more
// than one it could be in.
func locationOf(s ScheduleState, known State) string {
	switch {
	case len(s.Backups) > 0 && s.Backups[0].Location != "":
		return s.Backups[0].Location
	case s.Kube != nil && s.Kube.Location != "":
		return s.Kube.Location
	case s.Kube != nil:
		return defaultLocation(known)
	case len(known.Locations) == 1:
		return known.Locations[0].Name
	}
	return ""
}
