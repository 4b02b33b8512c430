package state

import (
	"time"

	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Judged is one schedule at one moment: everything that metrics and status print
// of it. Both print it and decide nothing, so that they never differ.
type Judged struct {
	ScheduleState
	Known Known
	// Watched says that a cluster is a source.
	Watched bool
	// Unreadable counts the backups, of whatever schedule, that cannot be read.
	Unreadable int

	// The newest backups that ended, that ended and whose archive is in the
	// location, and that are Completed and exist; nil for none.
	LastEnded, LastStored, LastCompleted *fact.Backup
	LastPhase                            string
	ConsecutiveFailures                  int
	LastRun, LastFailure                 time.Time
	Expired                              int // backups that ought to be deleted by now

	// RecoveryPoint is what a restore brings back; nil for nothing.
	RecoveryPoint       *fact.Backup
	OldestRecoveryPoint time.Time

	// What is promised. Durations and times are zero where nothing is.
	Expr, Zone                   string
	Location                     string // of the newest backup
	Grace                        time.Duration
	SuccessDeadline, RPODeadline time.Time
	RPOTarget                    time.Duration
	NextRun                      time.Time
	TTL                          time.Duration
	ExpectedMin, ExpectedMax     int
	ExpectedKnown                bool

	// What drills proved. Pointers are nil for no such drill.
	DrillResult                   string
	LastDrill, LastPassed         *DrillState
	LastRestored                  *DrillState
	ProvenTarget, RTOTarget       time.Duration
	ProvenDeadline, DrillDeadline time.Time
}

// Known names the parts whose present is known; the rest is as of the last
// reading.
type Known struct{ Existence, Runs, Locks, Cluster, Drills bool }

// unreadable counts the backups of all locations that cannot be read.
func unreadable(known State) int {
	n := 0
	for _, l := range known.Locations {
		n += l.UnreadableBackups
	}
	return n
}

// Judge returns the schedules that get series, and nothing before HasData.
func Judge(now time.Time, known State, cfg Config) []Judged {
	cfg = cfg.WithDefaults()
	if !HasData(known) {
		return nil
	}
	k := NewFreshness(now, known, cfg)
	schedules := Within(known.Schedules, cfg)
	out := make([]Judged, 0, len(schedules))
	for _, s := range schedules {
		j := Judged{ScheduleState: s, Watched: k.Watched, Unreadable: unreadable(known), Known: Known{
			Existence: k.Exists(s), Runs: k.Runs(s), Locks: k.Of(s, k.Backups), Cluster: k.Cluster, Drills: k.Of(s, k.Drills),
		}}
		j.judgeBackups(now, cfg)
		j.judgePromises(known, cfg)
		j.judgeDrills(known, cfg)
		out = append(out, j)
	}
	return out
}

func (j *Judged) judgeBackups(now time.Time, cfg Config) {
	s := j.ScheduleState
	j.LastEnded = first(s.Backups, fact.Finished)
	j.LastStored = first(s.Backups, func(b fact.Backup) bool { return fact.Finished(b) && b.InLocation })
	j.LastCompleted = first(s.Backups, func(b fact.Backup) bool { return fact.Completed(b) && !b.Gone })
	j.LastPhase, j.ConsecutiveFailures = lastPhase(s), consecutiveFailures(s.Backups)
	j.LastRun, j.LastFailure = lastRun(s), lastFailure(s)
	j.Expired = expired(s, now.Add(-cfg.GCPeriod))
	if j.RecoveryPoint = first(s.Backups, recoverable); j.RecoveryPoint != nil {
		j.OldestRecoveryPoint = fact.Oldest(s.Backups, recoverable).Start
	}
}

func (j *Judged) judgePromises(known State, cfg Config) {
	s := j.ScheduleState
	if s.Name == "" {
		return // backups made by hand promise nothing
	}
	j.Expr, j.Zone, j.Location = s.Cron.String(), s.Cron.Zone(), locationOf(s, known)
	if s.Interval > 0 {
		j.Grace = grace(s)
	}
	if !paused(s) {
		j.SuccessDeadline = successDeadline(s, known.Started)
	}
	if j.RPOTarget = rpoTarget(s, cfg); j.RPOTarget > 0 {
		j.RPODeadline = rpoAnchor(s).Add(j.RPOTarget)
	}
	if s.Kube == nil {
		return
	}
	j.Expr, j.Zone = s.Kube.Expr, s.Kube.Cron.Zone()
	j.NextRun, j.TTL = nextRun(*s.Kube), effectiveTTL(*s.Kube, cfg)
	j.ExpectedMin, j.ExpectedMax, j.ExpectedKnown = expected(s, cfg)
}

func (j *Judged) judgeDrills(known State, cfg Config) {
	s, agreed := j.ScheduleState, agreement(j.ScheduleState)
	j.RTOTarget = rtoTarget(s, agreed)
	if s.Name != "" {
		j.ProvenTarget, j.DrillResult = provenTarget(s, agreed, cfg), ResultNone
	}
	if len(s.Drills) == 0 {
		return
	}
	j.LastDrill, j.DrillResult = &s.Drills[0], standing(s.Drills)
	j.LastPassed = first(s.Drills, func(d DrillState) bool { return d.Verdict == report.Passed })
	j.LastRestored = first(s.Drills, restoredSomething)
	if s.Name != "" {
		j.ProvenDeadline, j.DrillDeadline = provenDeadline(s, agreed, cfg), nextDrillBy(s, known)
	}
}

// restoredSomething leaves out drills that have no counts to speak of: they
// restore nothing by their level, or could not run.
func restoredSomething(d DrillState) bool {
	return d.Verdict != report.Error && d.Level != report.LevelIntegrity
}

// first is the first of a list that is wanted, nil for none.
func first[T any](list []T, wanted func(T) bool) *T {
	for i := range list {
		if wanted(list[i]) {
			return &list[i]
		}
	}
	return nil
}
