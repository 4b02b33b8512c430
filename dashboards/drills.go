package dashboards

import "fmt"

// Drills shows what has been proven by restoring it, and how long that took.
func Drills() Dashboard {
	s := drilled
	const each = "{{cluster}} {{schedule}}"
	rate := s.per(s.max("lifeboat_drill_restored_items"), s.max("lifeboat_drill_last_stage_duration_seconds", `stage="restore"`)+" > 0")
	return dashboard("lifeboat-drills", "Lifeboat: drills",
		"What restore drills have proven, which checks passed, and how long a recovery takes.", "now-30d",
		common(schedulesVariable, exporterVariable, runbooksVariable),
		section{"Now", []Panel{
			result("Passed", "passed", "Schedules whose current drill result is passed.", Step{Color: quiet}),
			result("Failed", "failed", "Schedules whose current drill result is failed: a backup is bad.", Step{Color: good}, from(1, worse)),
			result("Could not run", "error|timeout", "Schedules whose last drill was inconclusive or did not end in time.", Step{Color: good}, from(1, warn)),
			result("Never drilled", "none", "Schedules of which no backup was ever drilled.", Step{Color: good}, from(1, bad)),
			stat("Overdue", "Schedules whose next drill should have ended by now.", "none", 4, s.passed("lifeboat_drill_deadline_timestamp_seconds")).alarm(warn),
			stat("In progress", "Scheduled drills that were claimed, are within their time limit and have left no evidence yet.", "none", 2, "sum("+exporters.max("lifeboat_drill_active")+")"),
			stat("Abandoned", "Scheduled drills of the last 7 days whose time limit passed without evidence. Their sandbox may be left over.", "none", 2, "sum("+exporters.max("lifeboat_drill_abandoned")+")").alarm(warn),
		}},
		section{"Proof", []Panel{
			graph("Proof target used", "Time since the newest existing backup that has passed a drill was started, over how old it may become; above 100 % is too old.", "percentunit", 12,
				ask(s.provenUsed(), each)),
			timeline("Current result", "Of drills at several levels the newest of each counts, and the worst of those counts. A gap is time in which it was not known.", 12, 8, resultWords,
				ask(s.code("lifeboat_drill_last_result", "result", results), each)),
			bars("Proven backups", "Share of the existing Completed backups that have passed a drill.", "percentunit", 12, 7,
				ask(s.per(s.max("lifeboat_drill_verified_backups"), s.max("lifeboat_schedule_backups", `phase="Completed"`)+" > 0"), each)).full(),
			drillTable(),
		}},
		section{"Checks of the newest drill", []Panel{
			checkMatrix(),
			bars("Checks failed and skipped", "How many checks of the newest drill failed or were skipped. Skipped ones prove nothing.", "none", 8, 8,
				ask(s.by("result").max("lifeboat_drill_checks", `result!="passed"`), each+" {{result}}")),
		}},
		section{"Recovery time", []Panel{
			stages(),
			graph("Rehearsed recovery time", "How long the newest drill needed until everything was back, by the recording rules, and the target.", "s", 12,
				ask(s.series(recordedRTO), each), ask(s.max("lifeboat_drill_rto_target_seconds"), each+" target")).dashed("/target$/"),
			bars("Predicted restore of the newest backup", "Items of the newest finished backup, at the speed of the newest drill's restore stage. A larger backup than the drilled one takes longer.", "s", 12, 7,
				ask(s.per(s.max("velero_backup_items_total"), rate), each)),
			graph("Duration of passed drills", "The median and the 95th percentile of the passed drills of the last 7 days, of all schedules, by the ledger.", "s", 12,
				quantile(0.5), quantile(0.95)),
		}},
		section{"Restored objects", []Panel{
			graph("Items expected and restored", "Objects the newest drill expected by the backup's own record, and found in its sandbox.", "none", 12,
				ask(s.max("lifeboat_drill_restored_items"), each+" restored"), ask(s.max("lifeboat_drill_expected_items"), each+" expected")).dashed("/expected$/"),
			graph("Bytes restored", "Bytes of the objects that the newest drill brought back, where the evidence says. Volume data is not in it.", "bytes", 12, ask(s.max("lifeboat_drill_restored_bytes"), each)),
			graph("Drills in 7 days", "Drills that ended within the last 7 days, by the ledger.", "none", 12,
				ask(s.agg("max", fmt.Sprintf("increase(%s[7d])", s.series("lifeboat_drill_runs_total"))), each)).stacked(),
			graph("Failures in 7 days, by reason", "Drills that did not pass within the last 7 days, by the ledger.", "none", 12,
				ask(exporters.by("reason").sum(s.by("reason").agg("max", fmt.Sprintf("increase(%s[7d])", s.series("lifeboat_drill_failures_total")))), "{{cluster}} {{reason}}")).stacked(),
		}},
	)
}

func result(title, state, description string, steps ...Step) Panel {
	p := stat(title, description+" Not known while the evidence cannot be read.", "none", 4,
		"sum("+drilled.max("lifeboat_drill_last_result", `result=~"`+state+`"`)+")").steps(steps...)
	if len(steps) > 1 {
		p.Options.ColorMode = "background"
	}
	return p
}

// full colors a share of which more is better.
func (p Panel) full() Panel {
	p.FieldConfig.Defaults.Max = ptr(1.0)
	p.FieldConfig.Defaults.Decimals = ptr(0)
	return p.steps(Step{Color: warn}, from(0.5, good))
}

func drillTable() Panel {
	s := schedules
	shown := []column{
		label("cluster", "Cluster"),
		label("schedule", "Schedule", links(toSchedule, toEvidence)),
		value("A", "Result", "none", filledCell, mapped(resultWords), links(toEvidence, Link{Title: "Runbook", URL: "${runbooks}/LifeboatDrillFailed.md", TargetBlank: true})),
		value("B", "Last drill", "dateTimeFromNow"),
		value("C", "Last passed", "dateTimeFromNow"),
		value("D", "Next due", "dateTimeFromNow"),
	}
	return table("Drills", "One row for each schedule: its current result, and when drills ended. The result leads to the evidence.", "none", 12, 7, shown, []string{"namespace"},
		ask(s.code("lifeboat_drill_last_result", "result", results), "result"),
		ask("1000 * "+s.max("lifeboat_drill_last_run_timestamp_seconds"), "last drill"),
		ask("1000 * "+s.max("lifeboat_drill_last_success_timestamp_seconds"), "last passed"),
		ask("1000 * "+s.max("lifeboat_drill_deadline_timestamp_seconds"), "next due"),
	).sorted("Result", true)
}

// checkMatrix leaves cells empty for checks that did not run: they have no
// series.
func checkMatrix() Panel {
	p := matrix("table", "Checks by schedule", "Which checks passed in the newest drill; a check that did not run has no word. Where a name is used in several clusters, one failure counts for all.",
		"none", 16, 8, "schedule", "check", ask("min by (schedule, check) ("+schedules.series("lifeboat_drill_check_passed")+")", "{{schedule}} {{check}}")).
		words(map[string]Words{"0": {"failed", bad, 0}, "1": {"passed", good, 1}}).none("")
	p.FieldConfig.Defaults.Custom = &Custom{CellOptions: &Cell{Type: "color-text"}}
	p.Options.ShowHeader, p.Options.CellHeight = ptr(true), "sm"
	return p
}

func stages() Panel {
	p := matrix("barchart", "Stages of the newest drill", "How long each stage took. Restore, compare, workloads and checks are the rehearsed recovery time. Where a name is used in several clusters, the longest counts.",
		"s", 12, 8, "schedule", "stage", ask("max by (schedule, stage) ("+schedules.series("lifeboat_drill_last_stage_duration_seconds")+")", "{{schedule}} {{stage}}"))
	p.FieldConfig.Defaults.Color = &Color{Mode: "palette-classic"}
	p.Options.Orientation, p.Options.Stacking, p.Options.XField, p.Options.ShowValue = "horizontal", "normal", `schedule\stage`, "never"
	p.Options.Legend, p.Options.Tooltip = listLegend, &Tooltip{Mode: "multi", Sort: "none"}
	return p
}

func quantile(q float64) Target {
	return ask(fmt.Sprintf("histogram_quantile(%g, %s)", q,
		exporters.by("le").agg("max", fmt.Sprintf("increase(%s[7d])", exporters.series("lifeboat_drill_duration_seconds_bucket")))), fmt.Sprintf("{{cluster}} %g %%", 100*q))
}
