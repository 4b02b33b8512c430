package scheduler

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Status is what the scheduler knows of one policy at one moment.
type Status struct {
	Policy   string
	Location string
	Cron     string
	Level    report.Level
	// Next is when the next run is due; zero before the location was read.
	Next time.Time
	// LastDue and LastEnded are those of the last run that this process worked
	// on, zero for none.
	LastDue, LastEnded time.Time
	// Busy means that a run is in progress.
	Busy    bool
	Running []Running
	// Missing names what the policy selects and the location did not hold, or what
	// could not be read, when the last run began or, later, when it ended.
	Missing []string
	// Outcome is that of the last run that this process saw end, zero for none.
	Outcome Outcome
	// Conflicts are the digests of other policies of this name that use the location.
	Conflicts []string
	// Read is when the location was last used without an error, and Err why it
	// could not be used since.
	Read time.Time
	Err  error
	// Totals count the drills that this process ended.
	Totals map[Total]int
	// Seconds is how long the last drill took, 0 for none.
	Seconds float64
	// Recent are the newest drills of the location.
	Recent []evidence.Record
	// Damaged are the records of the location that had no effect because they are
	// malformed or implausible, since this process started, at most maxDamaged.
	Damaged []string
}

// Running is a drill in progress.
type Running struct {
	Backup, Drill, Why string
	Stage, Detail      string
	Since, StageSince  time.Time
}

// Total is what drills are counted by.
type Total struct {
	Level report.Level
	// Verdict is Unproven for a drill that left no evidence.
	Verdict report.Verdict
}

// Unproven is the verdict of a drill that left no evidence: there was
// nothing to drill, or its report could not be written.
const Unproven report.Verdict = "none"

// maxRecent is how many drills a status shows, maxDamaged how many damaged records.
const (
	maxRecent  = 50
	maxDamaged = 100
)

// Status is a copy of what is known, in the order of Jobs.
func (s *Scheduler) Status() []Status {
	s.prepare()
	out := make([]Status, 0, len(s.keeps))
	for _, k := range s.keeps {
		out = append(out, k.status())
	}
	return out
}

// state is what a keeper shows to others.
type state struct {
	next, due, ended, read time.Time
	busy                   bool
	err                    error
	missing                []string
	outcome                Outcome
	conflicts              []string
	running                []Running
	totals                 map[Total]int
	seconds                float64
	recent                 []evidence.Record
	damaged                []string
}

func (k *keeper) note(change func(*state)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(&k.state)
}

func (k *keeper) status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.state
	return Status{
		Policy: k.name(), Location: k.Store.String(), Cron: k.Cron.String(), Level: k.Policy.Spec.Level,
		Next: s.next, LastDue: s.due, LastEnded: s.ended, Busy: s.busy, Read: s.read, Err: s.err, Seconds: s.seconds,
		Running: slices.Clone(s.running), Missing: slices.Clone(s.missing), Outcome: s.outcome, Conflicts: slices.Clone(s.conflicts), Totals: maps.Clone(s.totals), Recent: slices.Clone(s.recent), Damaged: slices.Clone(s.damaged),
	}
}

func (s *state) begin(r Running) { s.running = append(s.running, r) }

func (s *state) progress(drill, stage, detail string, now time.Time) {
	for i := range s.running {
		r := &s.running[i]
		if r.Drill != drill {
			continue
		}
		if r.Stage != stage {
			r.StageSince = now
		}
		r.Stage, r.Detail = stage, detail
	}
}

// finish ends a drill; one that was interrupted counts for nothing.
func (s *state) finish(drill string, level report.Level, rep report.Report, seconds float64, interrupted bool) {
	s.running = slices.DeleteFunc(s.running, func(r Running) bool { return r.Drill == drill })
	if interrupted {
		return
	}
	s.seconds = seconds
	s.totals[Total{level, cmp.Or(rep.Verdict, Unproven)}]++
	if rep.Verdict != "" {
		r := evidence.NewRecord(rep)
		s.recent = slices.Insert(s.recent, 0, r)
		s.recent = newest(s.recent)
	}
}

func newest(records []evidence.Record) []evidence.Record {
	return slices.Clone(records[:min(len(records), maxRecent)])
}
