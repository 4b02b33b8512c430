package verifier

import (
	"fmt"
	"maps"
	"slices"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// conclude settles the verdict. A finding refutes the backup whatever happened
// afterwards; without one, a drill that could not finish proves nothing.
func (r *run) conclude(err error) {
	rep := &r.report
	rep.Finished = r.Now().UTC()
	rep.NotProven = notProven(rep.Level, len(r.prepared.Plan.Volumes) > 0)
	for _, why := range slices.Sorted(maps.Keys(r.beyond)) {
		rep.NotProven = append(rep.NotProven, fmt.Sprintf("that %d items can be restored: each %s", r.beyond[why], why))
	}
	switch {
	case len(rep.Findings) > 0:
		rep.Verdict = report.Failed
		rep.Summary = failedSummary(rep.Findings)
	case err != nil:
		rep.Verdict = report.Error
		rep.Summary = "The drill could not run to its end, so nothing is proven: " + err.Error()
	default:
		rep.Verdict, rep.Summary = r.passed()
	}
}

func failedSummary(findings []report.Finding) string {
	f := findings[0]
	first := f.Message
	if f.Object != "" {
		first = f.Object + ": " + first
	}
	if len(findings) == 1 {
		return "The backup is bad: " + first
	}
	return fmt.Sprintf("The backup is bad: %d findings, the first: %s", len(findings), first)
}

// passed is the verdict of a drill without findings and errors. That every
// check has passed is asked again here: nothing may pass by omission.
func (r *run) passed() (report.Verdict, string) {
	rep := r.report
	for _, c := range rep.Checks {
		if c.Verdict != report.Passed {
			return report.Error, fmt.Sprintf("Check %s has no result: %s", c.Name, c.Message)
		}
	}
	if rep.Level == report.LevelIntegrity {
		return report.Passed, fmt.Sprintf("All files of the backup and its %d items are readable and agree with each other.", rep.Items.InBackup)
	}
	if rep.Items.Equal != rep.Items.Expected || rep.Items.InBackup != rep.Items.Expected+rep.Items.Skipped {
		return report.Error, fmt.Sprintf("The counts do not add up: %+v", rep.Items)
	}
	return report.Passed, fmt.Sprintf("All %d expected items were restored into Kubernetes %s and equal the backup; %d were skipped by rule.",
		rep.Items.Expected, rep.Versions.Kubernetes, rep.Items.Skipped)
}

// notProven says in plain words what a level does not look at.
func notProven(level report.Level, volumes bool) []string {
	var out []string
	if level == report.LevelIntegrity {
		out = append(out, "that an API server accepts the objects")
	}
	out = append(out, "that workloads start and become ready", "that webhooks and aggregated APIs answer")
	if volumes || level == report.LevelIntegrity {
		out = append(out, "the data of volumes")
	}
	return out
}

func (r *run) restoreProgress() func(done, total int, c apply.Change) {
	return func(done, total int, _ apply.Change) {
		r.progress("restore", fmt.Sprintf("%d of %d", done, total))
	}
}
