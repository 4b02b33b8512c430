package state

import (
	"cmp"
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// The results that stand, beside those of report.Verdict.
const (
	ResultNone    = "none"
	resultTimeout = "timeout"
)

var Results = []string{string(report.Passed), string(report.Failed), string(report.Error), resultTimeout, ResultNone}

// agreement is what the annotations of the Schedule say; zero when no Schedule
// is known.
func agreement(s ScheduleState) fact.Schedule {
	if s.Kube == nil {
		return fact.Schedule{}
	}
	return *s.Kube
}

func NewestDrill(drills []DrillState, wanted func(DrillState) bool) (DrillState, bool) {
	i := slices.IndexFunc(drills, wanted)
	if i < 0 {
		return DrillState{}, false
	}
	return drills[i], true
}

// standing is the result that counts, of drills sorted newest first. The newest
// drill of each level has the word on its level and on all that prove less; the
// worst of these words counts. So an integrity drill that passes every hour does
// not hide that last night's restore failed. A level that is not run any more is
// forgotten when the backup it was run on is gone. A drill of a backup whose files
// have changed since has no result.
func standing(drills []DrillState) string {
	worst, settled := DrillState{}, -1
	for i, d := range drills {
		if rank(d.Level) <= settled || d.Changed || (i > 0 && !d.Exists) {
			continue
		}
		settled = rank(d.Level)
		if worst.Verdict == "" || gravity(d.Verdict) > gravity(worst.Verdict) {
			worst = d
		}
	}
	switch {
	case worst.Reason == fact.ReasonTimeout:
		return resultTimeout
	case worst.Verdict == "":
		return ResultNone
	}
	return string(worst.Verdict)
}

func gravity(v report.Verdict) int {
	switch v {
	case report.Failed:
		return 2
	case report.Error:
		return 1
	}
	return 0
}

// Proof is what the drills of a schedule prove, all told. It is made when the
// state is, so that a scrape does not walk all drills.
type Proof struct {
	// Existing is the start of the newest Completed backup that still exists and
	// is proven, Ever that of the newest one that ever was.
	Existing, Ever time.Time
	// Verified counts the Completed backups that exist and are proven, Changed those
	// that would be if their files were still those that were drilled.
	Verified, Changed int
	// Passed is the start of the newest backup that passed a drill at any level.
	Passed time.Time
	// Oldest is the start of the oldest backup that was drilled.
	Oldest time.Time
}

// prove asks drills, sorted newest first. A backup is proven by a passed drill of
// at least the level, until a later drill of it fails or its files change; a later
// drill that could not run changes nothing.
func prove(drills []DrillState, level int) Proof {
	var p Proof
	settled, changed := make(map[identity]bool, len(drills)), map[identity]bool{}
	for _, d := range drills {
		if p.Oldest.IsZero() || d.BackupStart.Before(p.Oldest) {
			p.Oldest = d.BackupStart
		}
		id := identity{d.Backup, cmp.Or(d.MetadataSHA256, d.BackupUID), d.BackupStart}
		if settled[id] {
			continue
		}
		switch {
		case d.Changed:
			if d.Completed && rank(d.Level) >= level {
				changed[id] = true
			}
		case d.Verdict == report.Failed:
			settled[id] = true
		case d.Verdict == report.Passed:
			p.Passed = fact.Later(p.Passed, d.BackupStart)
			if rank(d.Level) < level {
				continue
			}
			settled[id] = true
			p.Ever = fact.Later(p.Ever, d.BackupStart)
			if d.Completed {
				p.Verified++
				delete(changed, id)
				p.Existing = fact.Later(p.Existing, d.BackupStart)
			}
		}
	}
	p.Changed = len(changed)
	return p
}

// identity distinguishes backups, also those that had a name one after another.
type identity struct {
	name, bytes string
	start       time.Time
}

// provenTarget is how old the newest proven recovery point may become: what was
// agreed, else what --proven-within allows, else what the drill policy implies,
// else an interval and a week. Zero when nothing is known of the interval.
func provenTarget(s ScheduleState, agreed fact.Schedule, cfg Config) time.Duration {
	rpo := rpoTarget(s, cfg)
	switch {
	case agreed.ProvenRPO > 0:
		return agreed.ProvenRPO
	case s.Interval == 0:
		return 0
	case cfg.ProvenWithin > 0:
		return s.Interval + cfg.ProvenWithin
	case s.DrillInterval > 0 && rpo > 0:
		return 2*s.DrillInterval + rpo
	}
	return s.Interval + DefaultProvenWithin
}

const DefaultProvenWithin = 7 * 24 * time.Hour

// provenDeadline counts from the newest backup ever proven, so that it does not
// move when that backup expires, or from the oldest one drilled when none was.
func provenDeadline(s ScheduleState, agreed fact.Schedule, cfg Config) time.Time {
	from := s.Proof.Ever
	if from.IsZero() {
		from = s.Proof.Oldest
	}
	return from.Add(cmp.Or(provenTarget(s, agreed, cfg), DefaultProvenWithin))
}

// rtoTarget is what was agreed, else the target of the policy that asked for
// the newest drill that could measure it.
func rtoTarget(s ScheduleState, agreed fact.Schedule) time.Duration {
	if agreed.RTO > 0 {
		return agreed.RTO
	}
	measured, _ := NewestDrill(s.Drills, func(d DrillState) bool { return d.Level.Proves(report.LevelKind) })
	return measured.RTOTarget
}

// drillPolicy is the newest drill whose evidence says when its policy drills. One
// that is not among the newest ten says nothing of the present any more.
func drillPolicy(drills []DrillState) DrillState {
	d, _ := NewestDrill(drills[:min(len(drills), schedule.InferredRuns)], func(d DrillState) bool { return !d.Cron.IsZero() })
	return d
}

// nextDrillBy is the moment by which the next drill must have ended; zero when
// that cannot be told, or nothing is left to drill and no backup is awaited.
// A policy does not drill again what is proven (verifier/scheduler), so where
// every backup is older than one that passed, the next one is waited for first.
func nextDrillBy(s ScheduleState, known State) time.Time {
	last := drillPolicy(s.Drills)
	if last.Cron.IsZero() {
		last = s.Drills[0]
	}
	from := last.Started
	if last.Verdict == report.Passed {
		next := awaited(s, known)
		if next.IsZero() {
			return time.Time{}
		}
		from = fact.Later(from, next)
	}
	took := last.Finished.Sub(last.Started)
	if last.Cron.IsZero() {
		return schedule.InferredDeadline(from, schedule.InferInterval(drillStarts(s.Drills)), took)
	}
	return last.Cron.Deadline(from, took)
}

// awaited is since when there is, or by when there must be, a backup that is
// newer than all that passed a drill; zero when neither is known.
func awaited(s ScheduleState, known State) time.Time {
	var first time.Time
	for _, b := range s.Backups {
		if !b.Start.After(s.Proof.Passed) {
			break
		}
		if b.Phase.Restorable() && !b.Gone && !b.Missing {
			first = fact.Later(b.Start, b.Completed)
		}
	}
	if first.IsZero() {
		return successDeadline(s, anchor(s, known.Started))
	}
	return first
}

func drillStarts(drills []DrillState) []time.Time {
	starts := make([]time.Time, 0, schedule.InferredRuns)
	for _, d := range drills[:min(len(drills), schedule.InferredRuns)] {
		starts = append(starts, d.Started)
	}
	return starts
}
