package verifier

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// conclude settles the verdict. A finding refutes the backup whatever happened
// afterwards; without one, a drill that could not finish proves nothing. What
// was found in a sandbox that ended on its own is no finding.
func (r *run) conclude(err error) {
	rep := &r.report
	rep.Finished = r.Now().UTC()
	if errors.Is(err, sandbox.ErrDied) {
		rep.Environment = append(rep.Environment, rep.Findings[r.before:]...)
		rep.Findings = rep.Findings[:r.before]
	}
	rep.NotProven = notProven(rep.Level, len(r.prepared.Plan.Volumes) > 0)
	if n := len(r.Spec.Checks); n > 0 && !r.runsPods() {
		rep.NotProven = append(rep.NotProven, fmt.Sprintf("what the %d checks of the policy ask", n))
	}
	if target := r.Spec.Targets.RTO.Duration; target > 0 && !r.runsPods() {
		rep.NotProven = append(rep.NotProven, fmt.Sprintf("that recovery takes at most %s", target))
	}
	for _, why := range slices.Sorted(maps.Keys(r.beyond)) {
		rep.NotProven = append(rep.NotProven, fmt.Sprintf("that %d items can be restored: each %s", r.beyond[why], why))
	}
	if e := rep.Backup.Expires; !e.IsZero() && !e.After(rep.Started) {
		rep.NotProven = append(rep.NotProven, fmt.Sprintf("that the backup will still be there: it expired at %s, and Velero deletes what has expired", e.Format(time.RFC3339)))
	}
	if r.idle > 0 {
		rep.NotProven = append(rep.NotProven, fmt.Sprintf("that %d DaemonSets run: the sandbox's node is none of theirs", r.idle))
	}
	if len(rep.Waived) > 0 {
		rep.NotProven = append(rep.NotProven, fmt.Sprintf("what the policy waives: %d findings", len(rep.Waived)))
	}
	switch {
	case len(rep.Findings) > 0:
		rep.Verdict = report.Failed
		rep.Summary = failedSummary(rep.Findings)
	case err != nil:
		rep.Verdict = report.Error
		rep.Summary = "The drill could not run to its end, so nothing is proven: " + firstLine(err.Error())
	case len(rep.Environment) > 0:
		rep.Verdict = report.Error
		rep.Summary = "Nothing is known to be wrong with the backup, but the sandbox could not prove it: " + counted(rep.Environment)
	default:
		rep.Verdict, rep.Summary = r.passed()
	}
}

// firstLine is a message without the logs that come with it.
func firstLine(message string) string {
	if first, _, more := strings.Cut(message, "\n"); more {
		return first + " (see the stages)"
	}
	return message
}

func failedSummary(findings []report.Finding) string {
	late := func(f report.Finding) bool { return f.Check == checkRPO || f.Check == checkRTO }
	if !slices.ContainsFunc(findings, func(f report.Finding) bool { return !late(f) }) {
		return "Recovery would miss its target: " + counted(findings)
	}
	return "The backup is bad: " + counted(slices.DeleteFunc(slices.Clone(findings), late))
}

// counted is the first of the findings in a sentence, and how many there are.
func counted(findings []report.Finding) string {
	first := findings[0].Message
	if findings[0].Object != "" {
		first = findings[0].Object + ": " + first
	}
	if len(findings) == 1 {
		return first
	}
	return fmt.Sprintf("%d findings, the first: %s", len(findings), first)
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
	i, runs := rep.Items, ""
	if !accounted(rep) {
		return report.Error, fmt.Sprintf("The counts do not add up: %+v", i)
	}
	if r.runsPods() {
		runs = " and run"
	}
	waived := ""
	if n := len(rep.Waived); n > 0 {
		waived = fmt.Sprintf(" (%d findings are waived by the policy)", n)
	}
	return report.Passed, fmt.Sprintf("All %d expected items were restored into Kubernetes %s, equal the backup%s; %d were skipped by rule%s.",
		i.Expected, rep.Versions.Kubernetes, runs, i.Skipped, waived)
}

// accounted reports whether every item is spoken for. Without a finding none
// may be missing or different, unless the policy accepts that.
func accounted(rep report.Report) bool {
	i := rep.Items
	bad := i.Missing + i.Different
	accepted := slices.ContainsFunc(rep.Waived, func(w report.Waived) bool { return w.Check == checkRestored || w.Check == checkEqual })
	return i.InBackup == i.Expected+i.Skipped && i.Expected == i.Equal+bad && (bad == 0 || accepted)
}

// notProven says in plain words what a level does not look at.
func notProven(level report.Level, volumes bool) []string {
	var out []string
	if !level.Proves(report.LevelControlPlane) {
		out = append(out, "that an API server accepts the objects")
	}
	if level.Proves(report.LevelKind) {
		out = append(out, "that network policies hold", "what needs more than one node, or kube-system of the source cluster")
	} else {
		out = append(out, "that workloads start and become ready", "that webhooks and aggregated APIs answer")
	}
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
