package state

import (
	"cmp"
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Config is what the exporter is told. The zero value of a field that has a
// default takes it (see New).
type Config struct {
	// Interval is the time between two readings of a location, give or take a
	// tenth. Default 1 minute.
	Interval time.Duration
	// Timeout bounds one reading. What was read by then is kept, so a first
	// reading that takes longer goes on at the next. Default 1 minute.
	Timeout time.Duration
	// Schedules are the cron expressions by the name of their schedule.
	Schedules map[string]schedule.Cron
	// RPO are targets by the name of their schedule.
	RPO map[string]time.Duration
	// ProvenLevel is the weakest level whose passed drill counts as proof.
	// Default controlplane: an integrity drill restores nothing.
	ProvenLevel report.Level
	// ProvenWithin is how long it may take until a backup that has become due
	// has passed a drill. Zero: by the drill policy, else 7 days.
	ProvenWithin time.Duration
	// MaxSchedules bounds the schedules that get series. Default 500.
	MaxSchedules int
	// ServerTTL is the server's --default-backup-ttl. Default 30 days.
	ServerTTL time.Duration
	// GCPeriod is the server's --garbage-collection-frequency. Default 1 hour.
	GCPeriod time.Duration
	// StorageInterval is the time between two storage scans. Default 6 hours.
	StorageInterval time.Duration
	// LockRequired says that object lock is required of every location.
	LockRequired bool
	// CompatNames says that metrics under Velero's names are served, and
	// CompatAliases that those are which Velero itself does not have.
	CompatNames, CompatAliases bool
	// Repositories says that each repository gets series.
	Repositories bool
	Build        Build
}

// Build is what lifeboat_exporter_build_info says.
type Build struct{ Version, Revision, GoVersion string }

// StaleIntervals is how many intervals may pass without a success.
const StaleIntervals = 3

// StaleAfter is how old the last reading of a source may be before it says
// nothing of the present: three intervals, or three timeouts if those are
// longer.
func (c Config) StaleAfter() time.Duration { return StaleIntervals * max(c.Interval, c.Timeout) }

func (c Config) WithDefaults() Config {
	c.Interval = cmp.Or(c.Interval, time.Minute)
	c.Timeout = cmp.Or(c.Timeout, time.Minute)
	c.ProvenLevel = cmp.Or(c.ProvenLevel, report.LevelControlPlane)
	c.MaxSchedules = cmp.Or(c.MaxSchedules, 500)
	c.StorageInterval = cmp.Or(c.StorageInterval, 6*time.Hour)
	c.ServerTTL = cmp.Or(c.ServerTTL, 30*24*time.Hour)
	c.GCPeriod = cmp.Or(c.GCPeriod, time.Hour)
	return c
}

// State is everything the exporter knows at one moment. It is never changed:
// a refresh makes a new one.
type State struct {
	// Started is when the exporter began to watch.
	Started time.Time
	// Kube is nil without a cluster as a source, Ledger before the ledger was
	// first read.
	Kube      *KubeState
	Ledger    *LedgerState
	Locations []LocationState
	// Schedules are those of the cluster and of Config.Schedules, or as long as no
	// cluster was read, those of Locations and of Config.Schedules. By name.
	Schedules []ScheduleState
	// Homes are the locations as all sources know them together: those of
	// Locations first, by the same index.
	Homes []LocationView
	// AsOf is the end of the newest reading, the time of everything that was
	// worked out when the state was made.
	AsOf time.Time
}

// LedgerAlone reports whether there is no other source than a ledger.
func (s State) LedgerAlone() bool { return s.Kube == nil && len(s.Locations) == 0 }

// KubeState is what is known of the cluster.
type KubeState struct {
	Source        SourceState
	fact.KubeScan // of the last success
}

// LedgerState is what is known of the ledger.
type LedgerState struct {
	Source SourceState
	fact.Totals
}

// LocationState is what is known of a location.
type LocationState struct {
	Name     string
	Requests fact.Requests
	Backups  SourceState
	Drills   SourceState
	// Answered is that of the last BackupScan.
	Answered   bool
	Incomplete int
	Unreadable int
	// UnreadableBackups counts those of Unreadable whose velero-backup.json cannot be
	// read or is malformed: their schedules are not known.
	UnreadableBackups int
	// VolumesPending counts backups whose volume records are not read yet.
	VolumesPending int
	BackupList     []fact.Backup
	DrillList      []fact.Drill
	Probes         map[string]time.Duration
	// ClaimsSource and StorageSource are zero where there is no such source.
	ClaimsSource, StorageSource SourceState
	Claims                      fact.Claims
	Storage                     fact.Storage
}

// SourceState says how the reading of one source went. Times are zero when it
// has not happened.
type SourceState struct {
	LastAttempt time.Time // when it ended
	LastSuccess time.Time // when it ended
	Duration    time.Duration
	Err         string // of the last attempt, "" when it was a success
}

// Succeeded reports whether the last attempt was a success.
func (s SourceState) Succeeded() bool { return s.Read() && s.LastSuccess.Equal(s.LastAttempt) }

// Read reports whether the source was ever read to its end.
func (s SourceState) Read() bool { return !s.LastSuccess.IsZero() }

// Up reports whether the last attempt succeeded, not too long ago.
func (s SourceState) Up(now time.Time, staleAfter time.Duration) bool {
	return s.Succeeded() && s.Fresh(now, staleAfter)
}

// Fresh reports whether what was read is still recent.
func (s SourceState) Fresh(now time.Time, staleAfter time.Duration) bool {
	return s.Read() && now.Sub(s.LastSuccess) <= staleAfter
}

// ScheduleState is what is known of a schedule, over all locations.
type ScheduleState struct {
	Name string
	// Kube is the Schedule of the cluster; nil when it has none of the name, or no
	// cluster was read.
	Kube *fact.Schedule
	Cron schedule.Cron // zero when not known, or when it can never run
	// Interval is the longest time between two runs; zero when not known.
	Interval time.Duration
	// Created is since when the schedule is known.
	Created time.Time
	// Locations are the indices in State.Locations of those that hold anything
	// of the schedule; empty for one that never ran.
	Locations []int
	// Backups, its own, and Drills are newest first. Among the backups are those
	// that are gone, if no source that can be asked lists them.
	Backups []fact.Backup
	Drills  []DrillState
	// DrillInterval is that of the policy that drills, zero when not known.
	DrillInterval time.Duration
	// Proof is what Drills prove, at Config.ProvenLevel.
	Proof Proof
	// Phases counts the Backups that exist, in the order of existingPhases. It and
	// what follows is worked out when the state is made, so that a scrape does not
	// walk all backups.
	Phases [6]int
	// Locked counts the Completed ones that object lock keeps until they expire;
	// LockKnown says that all were asked.
	Locked    int
	LockKnown bool
	// Expiries are the expirations of the backups that exist, sorted.
	Expiries []time.Time
	// Blocked counts the backups that garbage collection could not delete, in the
	// order of gcReasons.
	Blocked [len(fact.GcReasons)]int
	// OldestActive is the start of the oldest run that has not ended; zero when
	// there is none.
	OldestActive time.Time
	// Ledger says what the ledger knows of its runs.
	Ledger LastRuns
	// Firings are the runs that were due while the backups of today were made.
	Firings Firings
}

// DrillState is a drill, and whether what it drilled is still there.
type DrillState struct {
	fact.Drill
	Location string // whose evidence it is
	// Exists says that the very backup that was drilled is still in its
	// location: the name is taken by the same metadata.
	Exists bool
	// Completed says that it exists and its phase is Completed.
	Completed bool
	// Changed says that the drill passed, and that the backup exists with other files
	// than those that were drilled: nothing is proven about what is there now. A drill
	// that failed counts until the backup is drilled again.
	Changed bool
}

// Levels are the levels of a drill, from the one that proves least.
func Levels() []report.Level {
	return []report.Level{report.LevelIntegrity, report.LevelControlPlane, report.LevelKind}
}

// rank orders levels by how much they prove. A level this version does not
// know proves least.
func rank(l report.Level) int {
	return slices.Index(Levels(), l) + 1
}
