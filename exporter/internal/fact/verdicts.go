package fact

import (
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// DrillOf is what the metrics need to know of a report, bounded, so that memory
// is, too.
func DrillOf(r report.Report) Drill {
	d := Drill{
		Backup: r.Backup.Name, BackupUID: r.Backup.UID, MetadataSHA256: r.Backup.MetadataSHA256, Files: report.FingerprintOf(r.Backup.Files),
		Schedule: r.Backup.Schedule, BackupStart: r.Backup.Started,
		Level: r.Level, Verdict: r.Verdict, Reason: ReasonOf(r), Started: r.Started, Finished: r.Finished,
		Expected: r.Items.Expected, Restored: r.Items.Restored, RestoredBytes: max(r.Items.RestoredBytes, 0),
		Policy: r.Policy,
	}
	if cron, err := schedule.Parse(r.PolicySchedule); err == nil {
		d.Cron = cron
	}
	if r.Recovery != nil && r.Recovery.TimeTargetSeconds > 0 && r.Recovery.TimeTargetSeconds < longestTarget.Seconds() {
		d.RTOTarget = time.Duration(r.Recovery.TimeTargetSeconds * float64(time.Second))
	}
	stages := make([]Stage, 0, len(r.Stages))
	for _, s := range r.Stages {
		stages = append(stages, Stage{Name: s.Name, Seconds: s.Seconds})
	}
	d.Stages = BoundStages(stages)
	d.Checks, d.Asked = BoundChecks(r.Checks)
	return d
}

// longestTarget bounds a target, so that it fits a time.Duration.
const longestTarget = 100 * 365 * 24 * time.Hour

// Why a drill did not pass: the values of the label reason.
const (
	reasonIntegrity = "integrity"     // a file of the backup is missing or damaged
	reasonRestore   = "restore"       // the API server refused an object
	reasonMissing   = "missing_items" // something is not there afterwards, or not as in the backup
	reasonReady     = "ready"         // what was restored does not run
	reasonCheck     = "check"         // a check or a target of the policy was not met
	ReasonTimeout   = "timeout"       // error: the drill's time limit passed
	reasonInfra     = "infra"         // error: any other cause
)

// DrillReasons are the values of the label reason, those of a bad backup first.
// Of several that hold, the first is the reason.
func DrillReasons() []string {
	return []string{reasonIntegrity, reasonRestore, reasonMissing, reasonReady, reasonCheck, ReasonTimeout, reasonInfra}
}

// ReasonOf is why a drill did not pass, "" if it did. What was found first in
// the order of the stages is the reason: the rest may follow from it.
func ReasonOf(r report.Report) string {
	switch {
	case r.Verdict == report.Passed:
		return ""
	case r.Verdict == report.Error && r.TimedOut:
		return ReasonTimeout
	case r.Verdict == report.Error:
		return reasonInfra
	}
	first := len(DrillReasons())
	for _, f := range r.Findings {
		first = min(first, slices.Index(DrillReasons(), findingReason(f.Check)))
	}
	if first == len(DrillReasons()) {
		return reasonCheck // failed, and it does not say why
	}
	return DrillReasons()[first]
}

// findingReason is what a finding of a check says. Checks that are not built in
// are the policy's.
func findingReason(check string) string {
	switch FoldedCheck(check) {
	case checkIntegrity:
		return reasonIntegrity
	case "items_restored":
		return reasonRestore
	case "items_equal", "volume_data_restored":
		return reasonMissing
	case "workloads_ready", "services_have_endpoints", "claims_bound", "crds_established", "webhooks_answer", "apiservices_available":
		return reasonReady
	}
	return reasonCheck
}

// checkIntegrity is the value for all checks that read files: there are a dozen, and
// any of them means the same for a backup.
const checkIntegrity = "integrity"

// FoldedCheck is the value of the label check for one that is built in, "" for
// any other (docs/drills.md lists them). There are at most 16 values.
func FoldedCheck(name string) string {
	switch name {
	case "files_present", "metadata_valid", "manifest_consistent", "files_digests", "items_digests", "archive_readable", "resource_list_agrees",
		"counts_agree", "volume_records_consistent", "volume_data_readable", "operations_agree", "results_readable", "companions_readable":
		return checkIntegrity
	}
	if i := slices.Index(BuiltInChecks[:], name); i >= 0 {
		return BuiltInChecks[i] // not name: that would keep the whole report
	}
	return ""
}

var BuiltInChecks = [...]string{
	"items_restored", "items_equal", "images_provided", "contained", "workloads_ready", "services_have_endpoints", "claims_bound",
	"crds_established", "webhooks_answer", "apiservices_available", "volume_data_restored", "rpo", "rto",
}

// Bounds on the series that the checks of a policy make, and on their names.
const (
	MaxOwnChecks = 8
	maxCheckName = 63
	checkOther   = "other" // what is over the bound
)

// BoundChecks are the checks that have an answer, by their value of the label
// check: those built in, the first eight of the policy's own, and the rest as
// other. A value of several checks has passed when all of them have.
func BoundChecks(all []report.Check) ([]Check, CheckCounts) {
	var out []Check
	var asked CheckCounts
	own := 0
	for _, c := range all {
		result := c.Verdict
		switch result {
		case report.Passed:
			result, asked.Passed = report.Passed, asked.Passed+1
		case report.Failed:
			result, asked.Failed = report.Failed, asked.Failed+1
		default:
			asked.Skipped++
			continue
		}
		name := FoldedCheck(c.Name)
		builtIn := c.Kind == "" && name != ""
		at := func(name string) int { return slices.IndexFunc(out, func(o Check) bool { return o.Name == name }) }
		switch {
		case builtIn:
		case !checkName(c.Name), own == MaxOwnChecks && at(c.Name) < 0:
			name = checkOther
			asked.Merged++
		default:
			name = c.Name
			own += int(Boolean(at(name) < 0))
		}
		if i := at(name); i < 0 {
			out = append(out, Check{Name: name, Result: result, BuiltIn: builtIn})
		} else if result == report.Failed {
			out[i].Result = report.Failed
		}
	}
	return out, asked
}

// checkName reports whether a policy's check may name a series. A policy cannot
// give a name that is no plain word, but evidence is not trusted. Names of
// built-in checks, and "other", would be taken for what they are not.
func checkName(s string) bool {
	return PlainWord(s, maxCheckName) && FoldedCheck(s) == "" && s != checkIntegrity && s != checkOther
}
