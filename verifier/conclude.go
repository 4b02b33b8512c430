package verifier

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// facts are what a verdict depends on besides the report itself.
type facts struct {
	err     error // why the drill could not run to the end
	spec    policy.Spec
	volumes bool // whether the backup has volumes
	// before is how many findings there were before the sandbox started.
	before int
	beyond map[string]int // items that the level cannot hold, by reason
	idle   int            // DaemonSets that want no pod of the sandbox's node
}

// conclude decides the verdict. A finding fails the backup whatever happened
// afterwards; without one, a drill that could not finish proves nothing. What
// was found in a sandbox that crashed is about the environment.
func conclude(rep report.Report, f facts) report.Report {
	if errors.Is(f.err, sandbox.ErrDied) {
		rep.Environment = slices.Concat(rep.Environment, rep.Findings[f.before:])
		rep.Findings = rep.Findings[:f.before]
	}
	rep.NotProven = notProven(rep, f)
	switch {
	case len(rep.Findings) > 0:
		rep.Verdict, rep.Summary = report.Failed, failedSummary(rep.Findings)
	case f.err != nil:
		rep.Verdict = report.Error
		rep.Summary = "The drill could not complete, so nothing is proven: " + firstLine(f.err.Error())
	case len(rep.Environment) > 0:
		rep.Verdict = report.Error
		rep.Summary = "No fault of the backup was found, but the sandbox could not prove it: " + counted(rep.Environment)
	default:
		rep.Verdict, rep.Summary = passed(rep)
	}
	if rep.Backup.Phase == string(velerov1.BackupPhasePartiallyFailed) && rep.Verdict == report.Passed {
		rep.Summary = "The backup is PartiallyFailed, so objects may be missing from it. " + rep.Summary
	}
	return rep
}

// notProven lists what a drill does not show, in plain words.
func notProven(rep report.Report, f facts) []string {
	out := notProvenAt(rep.Level, f.volumes)
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if n := len(f.spec.Checks); n > 0 && !runsPods(rep.Level) {
		add("the %d checks of the policy", n)
	}
	if target := f.spec.Targets.RTO.Duration; target > 0 && !runsPods(rep.Level) {
		add("that recovery takes at most %s", target)
	}
	for _, why := range slices.Sorted(maps.Keys(f.beyond)) {
		add("that %d items can be restored: each %s", f.beyond[why], why)
	}
	if e := rep.Backup.Expires; !e.IsZero() && !e.After(rep.Started) {
		add("that the backup will still be there: it expired at %s, and Velero deletes what has expired", e.Format(time.RFC3339))
	}
	if f.idle > 0 {
		add("that %d DaemonSets run: they do not select the sandbox's node", f.idle)
	}
	if n := len(rep.Waived); n > 0 {
		add("what the policy waives: %d findings", n)
	}
	return out
}

// notProvenAt lists what a level does not look at.
func notProvenAt(level report.Level, volumes bool) []string {
	var out []string
	if !level.Proves(report.LevelControlPlane) {
		out = append(out, "that an API server accepts the objects")
	}
	if runsPods(level) {
		out = append(out, "that network policies hold", "what needs more than one node, or kube-system of the source cluster")
	} else {
		out = append(out, "that workloads start and become ready", "that webhooks and aggregated APIs answer")
	}
	if volumes || level == report.LevelIntegrity {
		out = append(out, "the data of volumes")
	}
	return out
}

// runsPods reports whether controllers and kubelet work on what is restored.
func runsPods(l report.Level) bool { return l.Proves(report.LevelKind) }

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

// passed is the verdict of a drill without findings and errors. It looks again
// at every check: a drill does not pass because a check is missing.
func passed(rep report.Report) (report.Verdict, string) {
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
		return report.Error, fmt.Sprintf("The counts are inconsistent: %+v", i)
	}
	if runsPods(rep.Level) {
		runs = " and run"
	}
	waived := ""
	if n := len(rep.Waived); n > 0 {
		waived = fmt.Sprintf(" (%d findings are waived by the policy)", n)
	}
	if n := i.Altered; n > 0 {
		return report.Passed, fmt.Sprintf("All %d expected items were restored into Kubernetes %s%s; %d equal the backup, and %d differ only in what the admission of the sandbox changed; %d were skipped by rule%s.",
			i.Expected, rep.Versions.Kubernetes, runs, i.Equal, n, i.Skipped, waived)
	}
	return report.Passed, fmt.Sprintf("All %d expected items were restored into Kubernetes %s, equal the backup%s; %d were skipped by rule%s.",
		i.Expected, rep.Versions.Kubernetes, runs, i.Skipped, waived)
}

// accounted reports whether every item is counted. Without a finding none may be
// missing or different, unless the policy accepts that.
func accounted(rep report.Report) bool {
	i := rep.Items
	bad := i.Missing + i.Different
	accepted := slices.ContainsFunc(rep.Waived, func(w report.Waived) bool { return w.Check == checkRestored || w.Check == checkEqual })
	return i.InBackup == i.Expected+i.Skipped && i.Expected == i.Equal+i.Altered+bad && (bad == 0 || accepted)
}
