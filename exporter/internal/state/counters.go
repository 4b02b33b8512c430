package state

import (
	"regexp"
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

// Outcomes of runs that have no phase of their own.
const (
	OutcomeSucceeded = "succeeded"
	OutcomeFailed    = "failed"
)

// runs are the ends of runs that the sources tell of now. Each is made of what
// no longer changes and what every observer sees alike, so that whoever keeps
// the same ledger keeps the same runs.
//
// With a cluster as a source nothing is said before the cluster was read: only
// it can tell its own backups from those of others that share the location.
func EndedRuns(known State, cfg Config) []fact.Run {
	if known.Kube != nil && !known.Kube.Source.Read() {
		return nil
	}
	total := 0
	for _, s := range known.Schedules {
		total += len(s.Backups)
	}
	for _, l := range known.Locations {
		total += len(l.DrillList)
	}
	out := make([]fact.Run, 0, total)
	foreign := map[string]bool{}
	for _, s := range known.Schedules {
		for _, b := range s.Backups {
			if b.Foreign {
				foreign[b.Name] = true
			}
			if ours(b, known) && b.Phase.Finished() {
				out = append(out, runOfBackup(b))
			}
		}
	}
	for _, l := range known.Locations {
		for _, d := range l.DrillList {
			if !foreign[d.Backup] {
				out = append(out, runOfDrill(d))
			}
		}
	}
	if known.Kube == nil {
		return ended(out)
	}
	for _, r := range known.Kube.Restores {
		if r.Phase.Finished() {
			out = append(out, runOfRestore(r))
		}
	}
	for _, d := range known.Kube.Deletions {
		if d.Processed {
			out = append(out, runOfDeletion(d, scheduleOf(d.Backup, known)))
		}
	}
	if cfg.Repositories {
		for _, r := range known.Kube.Repositories {
			out = append(out, runsOfRepository(r)...)
		}
	}
	return ended(out)
}

// ended leaves out what has no time: it is unknown on which side of
// the ledger's beginning it lies.
func ended(runs []fact.Run) []fact.Run {
	return slices.DeleteFunc(runs, func(r fact.Run) bool { return r.Ended.IsZero() })
}

// ours reports whether a backup is this cluster's. One that is in the location
// only may be another cluster's that was not synced yet, so where there is a
// cluster it has to list it.
func ours(b fact.Backup, known State) bool {
	return !b.Foreign && (known.Kube == nil || b.InCluster)
}

// runOfBackup identifies a backup by name and start. Its UID would not do: when
// Velero syncs a backup from the location into a cluster, the object gets a new
// one there, while velero-backup.json keeps the first. Nor would its location,
// of which two observers may have different names.
func runOfBackup(b fact.Backup) fact.Run {
	return fact.Run{
		Kind: fact.RunBackup, ID: runID(b.Name, b.Start), Subject: b.Schedule, Outcome: string(b.Phase), Name: named(b.Name),
		Started: b.Start.UTC(), Ended: fact.FirstSet(b.Completed, b.Start), Warnings: max(b.Warnings, 0),
		Snapshots: snapshotsOf(b.Snapshots), CSISnapshots: snapshotsOf(b.CSISnapshots),
	}
}

func runOfRestore(r fact.Restore) fact.Run {
	return fact.Run{
		Kind: fact.RunRestore, ID: r.UID, Subject: r.Schedule, Outcome: string(r.Phase), Name: named(r.Name),
		Started: fact.FirstSet(r.Started, r.Created), Ended: fact.FirstSet(r.Completed, r.Started, r.Created),
	}
}

// runOfDeletion has no end but the time it was asked for: Velero notes no other.
func runOfDeletion(d fact.Deletion, schedule string) fact.Run {
	r := fact.Run{
		Kind: fact.RunDeletion, ID: d.UID, Subject: schedule, Outcome: OutcomeSucceeded, Name: named(d.Name),
		Started: d.Created.UTC(), Ended: d.Created.UTC(),
	}
	if d.Errors > 0 {
		r.Outcome = OutcomeFailed
	}
	return r
}

func runOfDrill(d fact.Drill) fact.Run {
	return fact.Run{
		Kind: fact.RunDrill, ID: d.Backup + "/" + d.ID, Subject: d.Schedule, Outcome: string(d.Verdict), Reason: d.Reason, Name: named(d.Backup),
		Started: fact.FirstSet(d.Started, d.Finished), Ended: d.Finished.UTC(),
	}
}

func runsOfRepository(r fact.Repository) []fact.Run {
	var out []fact.Run
	for _, m := range r.Recent {
		run := fact.Run{
			Kind: fact.RunMaintenance, ID: runID(r.Name, m.Started), Subject: r.Name, Outcome: OutcomeFailed, Name: named(r.Name),
			Started: m.Started.UTC(), Ended: fact.FirstSet(m.Ended, m.Started),
		}
		if m.Succeeded {
			run.Outcome = OutcomeSucceeded
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
func scheduleOf(backup string, known State) string {
	byName := ""
	m := scheduledName.FindStringSubmatch(backup)
	for _, s := range known.Schedules {
		if slices.ContainsFunc(s.Backups, func(b fact.Backup) bool { return b.Name == backup }) {
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

func snapshotsOf(s fact.Snapshots) *fact.Snapshots {
	if s.Attempted <= 0 && s.Completed <= 0 {
		return nil
	}
	bound := func(n int) int { return min(max(n, 0), maxSnapshots) }
	return &fact.Snapshots{Attempted: bound(s.Attempted), Completed: bound(s.Completed)}
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
