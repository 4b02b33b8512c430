package exporter

import (
	"cmp"
	"slices"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
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

// staleIntervals is how many intervals may pass without a success.
const staleIntervals = 3

// StaleAfter is how old the last reading of a source may be before it says
// nothing of the present: three intervals, or three timeouts if those are
// longer.
func (c Config) StaleAfter() time.Duration { return staleIntervals * max(c.Interval, c.Timeout) }

func (c Config) withDefaults() Config {
	c.Interval = cmp.Or(c.Interval, time.Minute)
	c.Timeout = cmp.Or(c.Timeout, time.Minute)
	c.ProvenLevel = cmp.Or(c.ProvenLevel, report.LevelControlPlane)
	c.MaxSchedules = cmp.Or(c.MaxSchedules, 500)
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
	// Schedules are those of Locations and of Config.Schedules, by name.
	Schedules []ScheduleState
}

// KubeState is what is known of the cluster.
type KubeState struct {
	Source   SourceState
	KubeScan // of the last success
}

// LedgerState is what is known of the ledger.
type LedgerState struct {
	Source SourceState
	Totals
}

// LocationState is what is known of a location.
type LocationState struct {
	Name     string
	Requests Requests
	Backups  SourceState
	Drills   SourceState
	// Answered is that of the last BackupScan.
	Answered   bool
	Incomplete int
	Unreadable int
	BackupList []Backup
	DrillList  []Drill
	Probes     map[string]time.Duration
	// ClaimsSource and StorageSource are zero where there is no such source.
	ClaimsSource, StorageSource SourceState
	Claims                      Claims
	Storage                     Storage
}

// SourceState says how the reading of one source went. Times are zero when it
// has not happened.
type SourceState struct {
	LastAttempt time.Time // when it ended
	LastSuccess time.Time // when it ended
	Duration    time.Duration
}

// succeeded reports whether the last attempt was a success.
func (s SourceState) succeeded() bool { return s.read() && s.LastSuccess.Equal(s.LastAttempt) }

// read reports whether the source was ever read to its end.
func (s SourceState) read() bool { return !s.LastSuccess.IsZero() }

// up reports whether the last attempt succeeded, not too long ago.
func (s SourceState) up(now time.Time, staleAfter time.Duration) bool {
	return s.succeeded() && s.fresh(now, staleAfter)
}

// fresh reports whether what was read still speaks of the present.
func (s SourceState) fresh(now time.Time, staleAfter time.Duration) bool {
	return s.read() && now.Sub(s.LastSuccess) <= staleAfter
}

// ScheduleState is what is known of a schedule, over all locations.
type ScheduleState struct {
	Name string
	Cron schedule.Cron // zero when not known
	// Interval is the longest time between two runs; zero when not known.
	Interval time.Duration
	// Locations are the indices in State.Locations of those that hold anything
	// of the schedule; empty for one that never ran.
	Locations []int
	// Backups and Drills are newest first.
	Backups []Backup
	Drills  []DrillState
	// DrillInterval is that of the policy that drills, zero when not known.
	DrillInterval time.Duration
	// Proof is what Drills prove, at Config.ProvenLevel.
	Proof Proof
	// Phases counts Backups, in the order of existingPhases. It is counted when
	// the state is made, so that a scrape does not walk all backups.
	Phases [6]int
}

// DrillState is a drill, and whether what it drilled is still there.
type DrillState struct {
	Drill
	// Exists says that the very backup that was drilled is still in its
	// location: the name is taken by the same metadata.
	Exists bool
	// Completed says that it exists and its phase is Completed.
	Completed bool
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

// assemble makes the state of what the sources said: it groups what they hold by
// schedule, sorted by name.
func assemble(known State, cfg Config) State {
	byName := map[string]*ScheduleState{}
	get := func(name string) *ScheduleState {
		s, ok := byName[name]
		if !ok {
			s = &ScheduleState{Name: name}
			byName[name] = s
		}
		return s
	}
	for name, cron := range cfg.Schedules {
		s := get(name)
		s.Cron, s.Interval = cron, cron.Interval(known.Started)
	}
	for i, l := range known.Locations {
		gather(i, l, get)
	}
	drilling := intervals{from: known.Started}
	state := known
	state.Schedules = make([]ScheduleState, 0, len(byName))
	for _, s := range byName {
		s.arrange()
		s.Proof = prove(s.Drills, rank(cfg.ProvenLevel))
		s.DrillInterval = drilling.of(drillPolicy(s.Drills).Cron)
		state.Schedules = append(state.Schedules, *s)
	}
	slices.SortFunc(state.Schedules, func(a, b ScheduleState) int { return cmp.Compare(a.Name, b.Name) })
	return state
}

// intervals are those of cron expressions, each worked out once: policies are
// few, and what they drill is not.
type intervals struct {
	from  time.Time
	known map[string]time.Duration
}

func (i *intervals) of(c schedule.Cron) time.Duration {
	if c.IsZero() {
		return 0
	}
	if d, ok := i.known[c.String()]; ok {
		return d
	}
	if i.known == nil {
		i.known = map[string]time.Duration{}
	}
	i.known[c.String()] = c.Interval(i.from)
	return i.known[c.String()]
}

// gather hands what one location holds to the schedules it belongs to.
func gather(index int, l LocationState, get func(string) *ScheduleState) {
	at := func(name string) *ScheduleState {
		s := get(name)
		if !slices.Contains(s.Locations, index) {
			s.Locations = append(s.Locations, index)
		}
		return s
	}
	existing := make(map[string]*Backup, len(l.BackupList))
	for i := range l.BackupList {
		b := &l.BackupList[i]
		existing[b.Name] = b
		s := at(b.Schedule)
		s.Backups = append(s.Backups, *b)
	}
	for _, d := range l.DrillList {
		state := DrillState{Drill: d}
		if b := existing[d.Backup]; b != nil && sameBackup(*b, d) {
			state.Exists, state.Completed = true, b.Phase == velerov1.BackupPhaseCompleted
			// What the backup says of itself counts more than what was written
			// about it.
			state.Schedule, state.BackupStart = b.Schedule, b.Start
		}
		s := at(state.Schedule)
		s.Drills = append(s.Drills, state)
	}
}

// sameBackup reports whether a drill was of this very backup, not of an
// earlier one of the same name.
func sameBackup(b Backup, d Drill) bool {
	if b.MetadataSHA256 != "" && d.MetadataSHA256 != "" {
		return b.MetadataSHA256 == d.MetadataSHA256
	}
	if b.UID != "" && d.BackupUID != "" {
		return b.UID == d.BackupUID
	}
	return b.Start.Equal(d.BackupStart)
}

// arrange sorts newest first, counts, and infers the interval where no cron
// expression is known.
func (s *ScheduleState) arrange() {
	slices.SortFunc(s.Backups, func(a, b Backup) int {
		return cmp.Or(b.Start.Compare(a.Start), b.Completed.Compare(a.Completed), cmp.Compare(b.Name, a.Name))
	})
	slices.SortFunc(s.Drills, func(a, b DrillState) int {
		return cmp.Or(b.Finished.Compare(a.Finished), cmp.Compare(b.Backup, a.Backup))
	})
	s.Phases = countPhases(s.Backups)
	if s.Cron.IsZero() && s.Name != "" {
		s.Interval = schedule.InferInterval(newestStarts(s.Backups))
	}
}

// newestStarts are the starts of the newest runs of a sorted list.
func newestStarts(backups []Backup) []time.Time {
	starts := make([]time.Time, 0, schedule.InferredRuns)
	for _, b := range backups[:min(len(backups), schedule.InferredRuns)] {
		starts = append(starts, b.Start)
	}
	return starts
}
