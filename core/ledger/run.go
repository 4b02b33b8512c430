package ledger

import "time"

// Kind is what ended.
type Kind string

// The kinds of runs.
const (
	Backup      Kind = "backup"
	Restore     Kind = "restore"
	Deletion    Kind = "deletion"
	Drill       Kind = "drill"
	Maintenance Kind = "maintenance"
)

// Run is the end of one run. It is made from what the cluster or a location
// records of an object that does not change any more, so whoever looks at the
// object makes the same Run.
type Run struct {
	Kind Kind `json:"kind"`
	// ID is the same for every observer and for no other run of the kind: a
	// UID, or what replaces it if it is missing.
	ID string `json:"id"`
	// Subject is the schedule, or for maintenance the repository.
	Subject string `json:"subject"`
	// Outcome is the phase, the verdict, or succeeded or failed.
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"` // of a drill that did not pass
	// Name is that of the object, for people; nothing is counted by it.
	Name    string    `json:"name"`
	Started time.Time `json:"started"`
	// Ended is never zero: what does not say when it ended has ended when it was
	// started, or asked for.
	Ended time.Time `json:"ended"`
	// Of backups.
	Warnings     int        `json:"warnings,omitempty"`
	Snapshots    *Snapshots `json:"snapshots,omitempty"`
	CSISnapshots *Snapshots `json:"csiSnapshots,omitempty"`
}

// Snapshots counts the snapshots of one backup, or of many.
type Snapshots struct {
	Attempted int `json:"attempted"`
	Completed int `json:"completed"`
}

// Totals are the runs a ledger holds, counted.
type Totals struct {
	// Since is when the ledger began: runs that ended before are in no count,
	// because it is unknown whether they are all there. It is zero, and nothing
	// is counted, until the ledger was read to its end once.
	Since time.Time
	// Persistent says that the ledger outlives the process.
	Persistent bool
	Counts     map[Key]Count
	// Unreadable are the objects of the ledger that make no sense, and whose runs
	// are in no count, in the order in which they were found: at most
	// maxUnreadable. Each error names its object.
	Unreadable []error
}

// Key is what runs are counted by.
type Key struct {
	Kind                     Kind
	Subject, Outcome, Reason string
}

// Count sums up the runs of one key. Took holds how many took at most each of
// DurationBuckets, not cumulated, the last one more than all of them.
type Count struct {
	Runs, Warned            uint64
	Snapshots, CSISnapshots Snapshots
	Took                    [len(DurationBuckets) + 1]uint64
	// TookMillis is how long they took together, in milliseconds. It is no float,
	// so the order in which runs are added makes no difference.
	TookMillis uint64
	// LastStarted is the start of the newest run.
	LastStarted time.Time
}

// DurationBuckets are the upper bounds of durations, in seconds (Velero v1.18.1,
// pkg/metrics/metrics.go).
var DurationBuckets = [...]float64{60, 300, 600, 900, 1800, 3600, 7200, 10800, 14400}
