package fact

import (
	"fmt"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/ledger"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// KubeScan is what a cluster holds of velero.io.
type KubeScan struct {
	Schedules []Schedule
	// Backups have the name of their BackupStorageLocation in Location.
	Backups      []Backup
	Restores     []Restore
	Deletions    []Deletion
	Locations    []StorageLocation
	Repositories []Repository
	// Changes differs whenever something has changed.
	Changes uint64
}

// Schedule is a Schedule of the cluster.
type Schedule struct {
	Name     string // as the label of its backups has it
	Expr     string // spec.schedule as written
	Cron     schedule.Cron
	Interval time.Duration // the longest between two runs; zero when there are none
	Invalid  string        // why it can never run; "" when it can
	Paused   bool
	// Resumed is when it was first seen not to be paused any more; zero when it
	// was never seen paused.
	Resumed  time.Time
	Created  time.Time
	Location string // spec.template.storageLocation; "" is the default one
	TTL      time.Duration
	// LastBackup and LastSkipped are of the status; zero when not set.
	LastBackup, LastSkipped time.Time
	// The targets of the annotations lifeboat.dev/success-grace, /rpo, /rto and
	// /proven-rpo; zero without one.
	Grace, RPO, RTO, ProvenRPO time.Duration
}

// Restore is a Restore of the cluster.
type Restore struct {
	Name, UID string
	Backup    string
	Schedule  string // of its backup, or the one it names itself; "" when neither is known
	Phase     velerov1.RestorePhase
	// Created is metadata.creationTimestamp: one that failed validation has no
	// other time.
	Created   time.Time
	Started   time.Time
	Completed time.Time
}

// Deletion is a DeleteBackupRequest of the cluster.
type Deletion struct {
	Name, UID string
	Backup    string
	Processed bool
	Errors    int
	Created   time.Time
}

// StorageLocation is a BackupStorageLocation of the cluster.
type StorageLocation struct {
	Name      string
	Available bool
	ReadOnly  bool
	Default   bool
	// Validated is status.lastValidationTime. ValidationInterval is zero when
	// validation is turned off.
	Validated          time.Time
	ValidationInterval time.Duration
	SyncInterval       time.Duration
	Message            string
}

// Repository is a BackupRepository of the cluster.
type Repository struct {
	Name, Location string
	LastMaintained time.Time
	Recent         []Maintenance
}

// Maintenance is one job of a repository.
type Maintenance struct {
	Succeeded      bool
	Started, Ended time.Time
}

// Claims counts scheduled drills that were claimed and left no evidence yet.
type Claims struct{ Active, Abandoned int }

// Storage is what a location stores, all in bytes or counts.
type Storage struct {
	Bytes, Objects map[string]int64 // by the values of the label content
	// Protection is nil for a store that has none, or when it was not asked for.
	Protection *Protection
}

// Protection is how a bucket protects its objects.
type Protection = store.Protection

// BackupScan is what a location holds of backups.
type BackupScan struct {
	// Answered says that the location listed its backups, even if the scan
	// failed later.
	Answered bool
	Backups  []Backup
	// Incomplete counts the folders that are no backup: see
	// lifeboat_location_incomplete_backups.
	Incomplete int
	Unreadable []ObjectError
	// VolumesPending counts Backups whose volume records are not read yet.
	VolumesPending int
	// Probes is how long the last operation of each kind took, by the values of
	// the label operation.
	Probes map[string]time.Duration
}

// DrillScan is what a location holds of evidence.
type DrillScan struct {
	Drills     []Drill
	Unreadable []ObjectError
}

// ObjectError is one object that could not be read or is malformed.
type ObjectError struct {
	Key string
	Err error
}

func (e ObjectError) Error() string { return fmt.Sprintf("%s: %v", e.Key, e.Err) }

// Unwrap returns the cause.
func (e ObjectError) Unwrap() error { return e.Err }

// Backup is what the metrics need to know of a backup.
type Backup struct {
	Name     string
	Location string // name of the location it is in, filled in by the exporter
	UID      string
	Schedule string // "" for a backup made by hand
	Phase    velerov1.BackupPhase
	// Start is status.startTimestamp, or, for a backup that failed before it
	// started, the time it was asked for.
	Start     time.Time
	Completed time.Time // zero when it has not ended, or does not say
	Items     int
	Errors    int
	Warnings  int
	// HooksFailed is status.hookStatus.hooksFailed.
	HooksFailed int
	// Expires is status.expiration; zero is never.
	Expires time.Time
	// Created is metadata.creationTimestamp.
	Created time.Time
	// GCFailure is the label velero.io/gc-failure: why it was not deleted.
	GCFailure string
	// Snapshots and CSISnapshots are of the volumes of the backup.
	Snapshots, CSISnapshots Snapshots
	// Volumes is what the volume records say; nil when they were not read.
	Volumes *Volumes
	// LockedUntil is until when object lock keeps all of its files; zero when
	// they are not kept, or it was not asked for.
	LockedUntil time.Time
	// LockAsked says that LockedUntil was asked for.
	LockAsked bool
	// InCluster and InLocation say who lists it. A backup of which one of the
	// two cannot be asked keeps its last answer.
	InCluster, InLocation bool
	// Foreign says that another cluster made it. Only a cluster can tell.
	Foreign bool
	// ArchiveSize is the size of the tarball as it is stored, in bytes, zero when
	// there is none.
	ArchiveSize int64
	// MetadataSHA256 is of velero-backup.json, hex; "" when not known.
	MetadataSHA256 string
	// Files identifies the files of the backup as the location lists them, Modified
	// is the newest modification time of them. Both are zero when not known.
	Files    report.Fingerprint
	Modified time.Time
	// Gone says that whoever can be asked now does not list it any more, missing
	// that the location was asked and did not hold it, stray that the cluster was
	// asked and did not list it. merge says so.
	Gone, Missing, Stray bool
}

// Volumes counts the volumes of one backup by what became of them, and their
// bytes: Size whole, Added what this backup had to store.
type Volumes struct {
	Succeeded, Failed, Skipped int
	Size, Added                int64
}

// Drill is what the metrics need to know of a piece of evidence.
type Drill struct {
	Backup         string
	BackupUID      string // "" when the evidence does not say
	MetadataSHA256 string // of the velero-backup.json that was drilled; "" when the evidence does not say
	// Files identifies the files that were drilled; zero when the evidence does not
	// have them.
	Files         report.Fingerprint
	Schedule      string
	BackupStart   time.Time
	Level         report.Level
	Verdict       report.Verdict
	Finished      time.Time
	Stages        []Stage
	Expected      int
	Restored      int
	RestoredBytes int64 // zero when the evidence does not say
	ID            string
	Started       time.Time
	Reason        string        // why it did not pass, a value of the label reason; "" when it passed
	Policy        string        // name of the policy that asked for it; "" for none
	Cron          schedule.Cron // of the policy; zero when the evidence does not say
	RTOTarget     time.Duration // of the policy; zero for none
	// Checks are those with an answer, as the label check has them; Asked counts
	// all that were asked.
	Checks []Check
	Asked  CheckCounts
}

// Stage is one stage of a drill.
type Stage struct {
	Name    string
	Seconds float64
}

// Check is one check of a drill, or several that are served as one.
type Check struct {
	Name    string
	Result  report.Verdict // Passed or Failed
	BuiltIn bool
}

// CheckCounts counts the checks of a drill. Merged are those of Passed and
// Failed that have no name of their own in Checks because of a bound.
type CheckCounts struct{ Passed, Failed, Skipped, Merged int }

// Requests counts what a store was asked: a page of a listing each, objects
// read, and the rest.
type Requests struct{ List, Get, Other uint64 }

// What the ledger keeps and says, under the names it has here.
type (
	Run     = ledger.Run
	RunKind = ledger.Kind
	RunKey  = ledger.Key
	Totals  = ledger.Totals
	Count   = ledger.Count
	// Snapshots counts the snapshots of one backup.
	Snapshots = ledger.Snapshots
)

// The kinds of runs the counters count.
const (
	RunBackup      = ledger.Backup
	RunRestore     = ledger.Restore
	RunDeletion    = ledger.Deletion
	RunDrill       = ledger.Drill
	RunMaintenance = ledger.Maintenance
)

// MaxAhead is how far ahead of this clock another one may be. A time in the
// future is not believed: it would keep every alert silent until then.
const MaxAhead = time.Hour
