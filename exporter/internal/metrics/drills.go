package metrics

import (
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// drillSamples say what the drills of a schedule's backups proved.
func drillSamples(out Samples, s state.Judged) {
	out = out.when(s.Known.Drills)
	if s.Name != "" {
		if s.ProvenTarget > 0 {
			out.add(DrillProvenTarget, s.ProvenTarget.Seconds(), s.Name)
		}
		out.add(DrillVerified, float64(s.Proof.Verified), s.Name)
	}
	if s.RTOTarget > 0 {
		out.add(drillRTOTarget, s.RTOTarget.Seconds(), s.Name)
	}
	if s.DrillResult != "" {
		out.addSet(DrillLastResult, state.Results, s.DrillResult, s.Name)
	}
	last := s.LastDrill
	if last == nil {
		return
	}
	out.addTime(drillLastRun, last.Finished, s.Name)
	for _, stage := range last.Stages {
		out.add(drillStageDuration, stage.Seconds, s.Name, stage.Name)
	}
	for _, c := range last.Checks {
		out.add(drillCheckPassed, fact.Boolean(c.Result == report.Passed), s.Name, c.Name)
	}
	out.add(drillChecks, float64(last.Asked.Passed), s.Name, "passed")
	out.add(drillChecks, float64(last.Asked.Failed), s.Name, "failed")
	out.add(drillChecks, float64(last.Asked.Skipped), s.Name, "skipped")
	if s.LastPassed != nil {
		out.addTime(drillLastSuccess, s.LastPassed.Finished, s.Name)
	}
	if restored := s.LastRestored; restored != nil {
		out.add(drillExpectedItems, float64(restored.Expected), s.Name)
		out.add(drillRestoredItems, float64(restored.Restored), s.Name)
		if restored.RestoredBytes > 0 {
			out.add(drillRestoredBytes, float64(restored.RestoredBytes), s.Name)
		}
	}
	out.addTime(DrillProvenRecoveryPoint, s.Proof.Existing, s.Name)
	out.addTime(DrillProvenDeadline, s.ProvenDeadline, s.Name)
	out.addTime(DrillDeadline, s.DrillDeadline, s.Name)
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
