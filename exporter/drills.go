package exporter

import (
	"cmp"
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

const resultNone = "none"

var results = []string{string(report.Passed), string(report.Failed), string(report.Error), resultNone}

// drillSamples say what the drills of a schedule's backups proved.
func drillSamples(out *samples, s ScheduleState, cfg Config) {
	if len(s.Drills) == 0 {
		// Backups made by hand are not expected to be drilled.
		if s.Name != "" {
			out.addSet(drillLastResult, results, resultNone, s.Name)
		}
		return
	}
	last := s.Drills[0]
	out.addTime(drillLastRun, last.Finished, s.Name)
	out.addSet(drillLastResult, results, string(standing(s.Drills)), s.Name)
	for _, stage := range boundStages(last.Stages) {
		out.add(drillStageDuration, stage.Seconds, s.Name, stage.Name)
	}
	if passed, ok := newestDrill(s.Drills, func(d DrillState) bool { return d.Verdict == report.Passed }); ok {
		out.addTime(drillLastSuccess, passed.Finished, s.Name)
	}
	if restored, ok := newestDrill(s.Drills, restoredSomething); ok {
		out.add(drillExpectedItems, float64(restored.Expected), s.Name)
		out.add(drillRestoredItems, float64(restored.Restored), s.Name)
	}
	existing, ever := proven(s.Drills, rank(cfg.ProvenLevel))
	out.addTime(drillProvenRecoveryPoint, existing, s.Name)
	if s.Name != "" {
		out.addTime(drillProvenDeadline, provenDeadline(s, ever, cfg), s.Name)
	}
}

func newestDrill(drills []DrillState, wanted func(DrillState) bool) (DrillState, bool) {
	i := slices.IndexFunc(drills, wanted)
	if i < 0 {
		return DrillState{}, false
	}
	return drills[i], true
}

// restoredSomething leaves out drills that have no counts to speak of: they
// restore nothing by their level, or could not run.
func restoredSomething(d DrillState) bool {
	return d.Verdict != report.Error && d.Level != report.LevelIntegrity
}

// standing is the verdict that counts, of drills sorted newest first. The
// newest drill of each level has the word on its level and on all that prove
// less; the worst of these words stands. So an integrity drill that passes
// every hour does not hide that last night's restore failed. A level nobody
// runs any more is forgotten when the backup it was run on is gone.
func standing(drills []DrillState) report.Verdict {
	worst, settled := report.Passed, -1
	for i, d := range drills {
		if rank(d.Level) <= settled || (i > 0 && !d.Exists) {
			continue
		}
		settled = rank(d.Level)
		if gravity(d.Verdict) > gravity(worst) {
			worst = d.Verdict
		}
	}
	return worst
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

// proven returns the start of the newest Completed backup that still exists and
// is proven, and that of the newest one that ever was. A backup is proven by a
// passed drill of at least the level, until a later drill of it fails; a later
// drill that could not run changes nothing. Drills are sorted newest first.
func proven(drills []DrillState, level int) (existing, ever time.Time) {
	settled := map[identity]bool{}
	for _, d := range drills {
		id := identity{d.Backup, cmp.Or(d.MetadataSHA256, d.BackupUID), d.BackupStart}
		if settled[id] {
			continue
		}
		switch {
		case d.Verdict == report.Failed:
			settled[id] = true
		case d.Verdict == report.Passed && rank(d.Level) >= level:
			settled[id] = true
			ever = later(ever, d.BackupStart)
			if d.Completed {
				existing = later(existing, d.BackupStart)
			}
		}
	}
	return existing, ever
}

// identity tells backups apart, also those that had a name one after another.
type identity struct {
	name, bytes string
	start       time.Time
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// provenDeadline counts from the newest backup ever proven, so that it does not
// move when that backup expires, or from the oldest one drilled when none was.
func provenDeadline(s ScheduleState, ever time.Time, cfg Config) time.Time {
	if ever.IsZero() {
		ever = slices.MinFunc(s.Drills, func(a, b DrillState) int { return a.BackupStart.Compare(b.BackupStart) }).BackupStart
	}
	return ever.Add(s.Interval).Add(cfg.ProvenWithin)
}

// Bounds on the series that evidence, which is not trusted, can make.
const (
	maxStages    = 16
	maxStageName = 32
)

// stageOther sums up what is over the bound.
const stageOther = "other"

// boundStages adds up stages of the same name, and all whose name is not a
// plain word or that are too many, under "other".
func boundStages(stages []Stage) []Stage {
	var out []Stage
	for _, stage := range stages {
		if !plainWord(stage.Name, maxStageName) {
			stage.Name = stageOther
		}
		i := slices.IndexFunc(out, func(o Stage) bool { return o.Name == stage.Name })
		if i < 0 && len(out) >= maxStages-1 {
			stage.Name = stageOther
			i = slices.IndexFunc(out, func(o Stage) bool { return o.Name == stageOther })
		}
		if i < 0 {
			out = append(out, stage)
			continue
		}
		out[i].Seconds += stage.Seconds
	}
	return out
}

// plainWord reports whether s may be the value of a label: a word of at most so
// many lower-case letters, digits, "_" and "-".
func plainWord(s string, longest int) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= longest
}
