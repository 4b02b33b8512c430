package metrics

import (
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// drillSamples say what the drills of a schedule's backups proved.
func drillSamples(out *Samples, s state.ScheduleState, known state.State, cfg state.Config) {
	agreed := state.Agreement(s)
	if s.Name != "" {
		if target := state.ProvenTarget(s, agreed, cfg); target > 0 {
			out.add(DrillProvenTarget, target.Seconds(), s.Name)
		}
		out.add(DrillVerified, float64(s.Proof.Verified), s.Name)
	}
	if target := state.RtoTarget(s, agreed); target > 0 {
		out.add(drillRTOTarget, target.Seconds(), s.Name)
	}
	if len(s.Drills) == 0 {
		// Backups made by hand are not expected to be drilled.
		if s.Name != "" {
			out.addSet(DrillLastResult, state.Results, state.ResultNone, s.Name)
		}
		return
	}
	last := s.Drills[0]
	out.addTime(drillLastRun, last.Finished, s.Name)
	out.addSet(DrillLastResult, state.Results, state.Standing(s.Drills), s.Name)
	for _, stage := range last.Stages {
		out.add(drillStageDuration, stage.Seconds, s.Name, stage.Name)
	}
	for _, c := range last.Checks {
		out.add(drillCheckPassed, fact.Boolean(c.Result == report.Passed), s.Name, c.Name)
	}
	out.add(drillChecks, float64(last.Asked.Passed), s.Name, "passed")
	out.add(drillChecks, float64(last.Asked.Failed), s.Name, "failed")
	out.add(drillChecks, float64(last.Asked.Skipped), s.Name, "skipped")
	if passed, ok := state.NewestDrill(s.Drills, func(d state.DrillState) bool { return d.Verdict == report.Passed }); ok {
		out.addTime(drillLastSuccess, passed.Finished, s.Name)
	}
	if restored, ok := state.NewestDrill(s.Drills, restoredSomething); ok {
		out.add(drillExpectedItems, float64(restored.Expected), s.Name)
		out.add(drillRestoredItems, float64(restored.Restored), s.Name)
		if restored.RestoredBytes > 0 {
			out.add(drillRestoredBytes, float64(restored.RestoredBytes), s.Name)
		}
	}
	out.addTime(DrillProvenRecoveryPoint, s.Proof.Existing, s.Name)
	if s.Name != "" {
		out.addTime(DrillProvenDeadline, state.ProvenDeadline(s, agreed, cfg), s.Name)
		out.addTime(DrillDeadline, state.NextDrillBy(s, known), s.Name)
	}
}

// restoredSomething leaves out drills that have no counts to speak of: they
// restore nothing by their level, or could not run.
func restoredSomething(d state.DrillState) bool {
	return d.Verdict != report.Error && d.Level != report.LevelIntegrity
}

// mergedChecks counts the checks of newest drills that have no series of their
// own.
func mergedChecks(schedules []state.ScheduleState) int {
	n := 0
	for _, s := range schedules {
		if len(s.Drills) > 0 {
			n += s.Drills[0].Asked.Merged
		}
	}
	return n
}
