package dashboards

import (
	"fmt"
	"strings"
)

// ofTarget are the labels that Prometheus gives the exporter.
const ofTarget = `cluster=~"$cluster",namespace=~"$namespace"`

// scope is what a query is about: which series, and what distinguishes subjects.
// Replicas of the exporter count as one, as they do in the alerts.
type scope struct{ matchers, keys string }

var (
	schedules = scope{ofTarget + `,schedule=~"$schedule",schedule!=""`, "cluster, namespace, schedule"}
	// drilled are schedules, and backups made by hand, which promise nothing and
	// can be drilled all the same.
	drilled     = scope{ofTarget + `,schedule=~"$schedule"`, "cluster, namespace, schedule"}
	theSchedule = scope{ofTarget + `,schedule="$schedule"`, "cluster, namespace, schedule"}
	locations   = scope{ofTarget + `,backup_location_name=~"$location"`, "cluster, namespace, backup_location_name"}
	exporters   = scope{ofTarget, "cluster, namespace"}
)

// by distinguishes subjects by further labels.
func (s scope) by(labels string) scope {
	s.keys += ", " + labels
	return s
}

// series selects the series of a metric.
func (s scope) series(metric string, more ...string) string {
	return metric + "{" + strings.Join(append([]string{s.matchers}, more...), ",") + "}"
}

// max is the value of a metric for each subject.
func (s scope) max(metric string, more ...string) string {
	return s.agg("max", s.series(metric, more...))
}

// sum adds up, for each subject, what counts in all replicas.
func (s scope) sum(expr string) string { return s.agg("sum", expr) }

func (s scope) agg(op, expr string) string { return fmt.Sprintf("%s by (%s) (%s)", op, s.keys, expr) }

// per divides, subject by subject.
func (s scope) per(a, b string) string { return fmt.Sprintf("(%s) / on (%s) (%s)", a, s.keys, b) }

// age is the time since a timestamp, for each subject.
func (s scope) age(metric string, more ...string) string {
	return "time() - " + s.max(metric, more...)
}

// passed counts the subjects whose timestamp is in the past.
func (s scope) passed(metric string) string {
	return fmt.Sprintf("sum((time() - %s) > bool 0)", s.max(metric))
}

// code is which state of a state set holds, as its place in states, so that
// what is worse comes later and wins when replicas differ. A set that is
// withheld has none.
func (s scope) code(metric, label string, states []string) string {
	parts := make([]string, len(states))
	for i, state := range states {
		parts[i] = fmt.Sprintf("%d * %s", i+1, s.by(label).max(metric, label+`="`+state+`"`))
	}
	return s.agg("max", strings.Join(parts, " or "))
}

// The states of state sets, from good to bad, and what they look like.
var (
	phases     = []string{"Completed", "None", "PartiallyFailed", "FailedValidation", "Failed"}
	phaseWords = map[string]Words{
		"1": {"Completed", good, 0}, "2": {"None", unknown, 1}, "3": {"PartiallyFailed", warn, 2},
		"4": {"FailedValidation", bad, 3}, "5": {"Failed", worse, 4},
	}
	results     = []string{"passed", "none", "timeout", "error", "failed"}
	resultWords = map[string]Words{
		"1": {"passed", good, 0}, "2": {"none", unknown, 1}, "3": {"timeout", warn, 2}, "4": {"error", warn, 3}, "5": {"failed", worse, 4},
	}
	upWords  = map[string]Words{"0": {"down", bad, 0}, "1": {"up", good, 1}}
	yesWords = map[string]Words{"0": {"no", warn, 0}, "1": {"yes", good, 1}}
)

// The recording rules of alerts/lifeboat.rules.yml. What is shown of now is
// asked of the exporter's own metrics and needs no rules; what is shown of long
// times is asked of these, because it would be dear otherwise.
const (
	recordedAge         = "namespace_schedule:lifeboat_recovery_point_age_seconds:min"
	recordedProvenAge   = "namespace_schedule:lifeboat_proven_age_seconds:min"
	recordedRPOShare    = "namespace_schedule:lifeboat_rpo_met:avg28d"
	recordedProvenMet   = "namespace_schedule:lifeboat_proven_met:bool"
	recordedRTO         = "namespace_schedule:lifeboat_rto_seconds"
	recordedRecoverable = "cluster:lifeboat_schedules_recoverable:ratio"
)

// What is asked in more than one place.

// rehearsed is how long the newest drill needed from the restore until
// everything was found to be back.
func (s scope) rehearsed() string {
	return s.sum(s.by("stage").max("lifeboat_drill_last_stage_duration_seconds", `stage=~"restore|compare|workloads|checks"`))
}

func (s scope) rpoUsed() string {
	return s.per("time() - ("+s.max("lifeboat_schedule_recovery_point_timestamp_seconds")+" or "+s.max("lifeboat_schedule_created_timestamp_seconds")+")",
		s.max("lifeboat_schedule_rpo_target_seconds"))
}

func (s scope) provenUsed() string {
	return s.per(s.age("lifeboat_drill_proven_recovery_point_timestamp_seconds"), s.max("lifeboat_drill_proven_target_seconds"))
}

// unproven is 1 for schedules without a proof that is young enough, else 0.
func (s scope) unproven() string {
	return "(" + s.max("lifeboat_schedule_info") + " unless " + s.max("lifeboat_drill_proven_recovery_point_timestamp_seconds") + ")" +
		" or (time() > bool " + s.max("lifeboat_drill_proven_deadline_timestamp_seconds") + ")"
}

// verdict is one status of a schedule.
type verdict struct {
	code    int
	words   Words
	runbook string // the alert that says the same
	where   func(s scope) string
}

// recoverable verdicts have a lower code.
const notRecoverable = 5

// verdicts on a schedule, the first that applies counts. Unknown is no good
// news: a schedule is OK only where everything that is asked is known.
var verdicts = []verdict{
	{9, Words{"DRILL FAILED", worse, 0}, "LifeboatDrillFailed", func(s scope) string {
		return s.max("lifeboat_drill_last_result", `result="failed"`) + " == 1"
	}},
	{8, Words{"NEVER", worse, 1}, "LifeboatRPOBreached", func(s scope) string {
		return s.max("lifeboat_schedule_created_timestamp_seconds") + " unless " + s.max("lifeboat_schedule_recovery_point_timestamp_seconds")
	}},
	{7, Words{"RPO BREACHED", bad, 2}, "LifeboatRPOBreached", func(s scope) string {
		return s.age("lifeboat_schedule_rpo_deadline_timestamp_seconds") + " > 0"
	}},
	{6, Words{"UNPROVEN", bad, 3}, "LifeboatProvenBackupTooOld", func(s scope) string {
		return s.age("lifeboat_drill_proven_deadline_timestamp_seconds") + " > 0"
	}},
	{6, Words{"UNPROVEN", bad, 3}, "LifeboatNeverDrilled", func(s scope) string {
		return s.max("lifeboat_schedule_recovery_point_timestamp_seconds") + " unless " + s.max("lifeboat_drill_proven_recovery_point_timestamp_seconds")
	}},
	{4, Words{"INVALID", bad, 5}, "LifeboatScheduleInvalid", func(s scope) string { return s.max("lifeboat_schedule_valid") + " == 0" }},
	{3, Words{"OVERDUE", warn, 6}, "LifeboatBackupOverdue", func(s scope) string {
		return s.age("lifeboat_schedule_success_deadline_timestamp_seconds") + " > 0"
	}},
	{2, Words{"LAST FAILED", warn, 7}, "LifeboatLastBackupFailed", func(s scope) string {
		return s.max("lifeboat_schedule_last_backup_phase", `phase=~"PartiallyFailed|FailedValidation|Failed"`) + " == 1"
	}},
	{1, Words{"PAUSED", neutral, 8}, "LifeboatSchedulePaused", func(s scope) string { return s.max("lifeboat_schedule_paused") + " == 1" }},
	{0, Words{"OK", good, 9}, "", func(s scope) string {
		return s.max("lifeboat_schedule_rpo_deadline_timestamp_seconds") +
			" and " + s.max("lifeboat_schedule_last_backup_phase", `phase="Completed"`) +
			" and " + s.max("lifeboat_drill_last_result")
	}},
	{5, Words{"NOT KNOWN", unknown, 4}, "LifeboatExporterSourceDown", func(s scope) string { return s.max("lifeboat_schedule_info") }},
}

// verdict is the verdict on each schedule, as its code, with the runbook as a
// label.
func (s scope) verdict() string {
	parts := make([]string, len(verdicts))
	for i, v := range verdicts {
		parts[i] = fmt.Sprintf("%d + 0 * (%s)", v.code, v.where(s))
		if v.runbook != "" {
			parts[i] = fmt.Sprintf(`label_replace(%s, "runbook", %q, "", "")`, parts[i], v.runbook)
		}
	}
	return strings.Join(parts, fmt.Sprintf("\nor on (%s)\n", s.keys))
}

func verdictWords() map[string]Words {
	out := map[string]Words{}
	for _, v := range verdicts {
		out[fmt.Sprint(v.code)] = v.words
	}
	return out
}
