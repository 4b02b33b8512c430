package dashboards

import "fmt"

// Recoverable answers whether what is backed up can be brought back, and how
// much would be lost.
func Recoverable() Dashboard {
	s := schedules
	const each = "{{cluster}} {{schedule}}"
	return dashboard("lifeboat-recoverable", "Lifeboat: recoverable?",
		"Whether every schedule has a recovery point that is young enough and was proven by a restore drill, worst first.", "now-7d",
		common(schedulesVariable, exporterVariable, runbooksVariable),
		section{"Now", []Panel{
			stat("Recoverable", "Share of schedules with a recovery point within its RPO target that a drill has proven recently enough. What is not known counts as not recoverable.",
				"percentunit", 6, fmt.Sprintf("avg((%s) < bool %d)", s.verdict(), notRecoverable)).big().
				steps(Step{Color: bad}, from(1, good)).linked(Link{Title: "Runbooks", URL: "${runbooks}", TargetBlank: true}),
			stat("RPO breached", "Schedules whose newest recovery point is older than its target: a restore would lose too much.", "none", 3,
				s.passed("lifeboat_schedule_rpo_deadline_timestamp_seconds")).alarm(bad),
			stat("Overdue", "Schedules whose deadline for the next success has passed, grace included.", "none", 3,
				s.passed("lifeboat_schedule_success_deadline_timestamp_seconds")).alarm(warn),
			stat("Unproven", "Schedules of which no existing backup was proven, or none recently enough.", "none", 3,
				"sum("+s.unproven()+")").alarm(bad),
			stat("Drills failed", "Schedules whose current drill result is failed: a backup is bad. Those made by hand count as one. Not known while the evidence cannot be read.", "none", 3,
				"sum("+drilled.max("lifeboat_drill_last_result", `result="failed"`)+")").alarm(worse),
			stat("Locations down", "Backup locations that did not answer the last listing. Not known once no recent attempt was made.", "none", 3,
				"sum("+exporters.by("backup_location_name").max("lifeboat_location_available")+" == bool 0)").alarm(bad),
			stat("Sources down", "Sources the exporter cannot read. Metrics from them are stale or withheld.", "none", 3,
				"sum("+exporters.by("backup_location_name, source").max("lifeboat_exporter_source_up")+" == bool 0)").alarm(warn),
		}},
		section{"Schedules, worst first", []Panel{scheduleTable()}},
		section{"What happened", []Panel{
			timeline("Last backup", "The phase the newest finished backup of each schedule ended in. A gap is time in which it was not known.", 12, 9,
				phaseWords, ask(s.code("lifeboat_schedule_last_backup_phase", "phase", phases), each)),
			firingAlerts(),
		}},
		section{"Over time", []Panel{
			graph("Recoverable", "Share of schedules whose newest recovery point is within its target and whose newest proof is. By the recording rules.", "percentunit", 8,
				ask(recordedRecoverable+`{cluster=~"$cluster"}`, "{{cluster}} recoverable")).upTo(1),
			graph("RPO target used", "Age of the newest recovery point, or of the schedule that has none, over its target; above 100 % is too old. By the recording rules.", "percentunit", 8,
				ask(s.per(s.series(recordedAge), s.max("lifeboat_schedule_rpo_target_seconds")), each)),
			graph("Proof target used", "Age of the newest proven recovery point, or of the schedule that has none, over its target; above 100 % is too old. By the recording rules.", "percentunit", 8,
				ask(s.per(s.series(recordedProvenAge), s.max("lifeboat_drill_proven_target_seconds")), each)),
		}},
		section{"Service level, last 28 days", []Panel{
			bars("Time within the RPO target", "Share of the last 28 days in which the newest recovery point was within its target, of the time that is known. By the recording rules.", "percentunit", 12, 8,
				ask(s.series(recordedRPOShare), each)).level(),
			bars("Time with a young enough proof", "Share of the last 28 days in which the newest proof was within its target, of the time since the first drill. By the recording rules.", "percentunit", 12, 8,
				ask("avg_over_time("+s.series(recordedProvenMet)+"[28d])", each)).level(),
		}},
	)
}

// big fills the panel.
func (p Panel) big() Panel {
	p.Options.ColorMode = "background"
	p.FieldConfig.Defaults.Decimals = ptr(0)
	return p
}

// level colors a share of time.
func (p Panel) level() Panel {
	p.FieldConfig.Defaults.Max = ptr(1.0)
	p.FieldConfig.Defaults.Decimals = ptr(1)
	return p.steps(Step{Color: bad}, from(0.95, warn), from(0.999, good))
}

func scheduleTable() Panel {
	s := schedules
	shown := []column{
		label("cluster", "Cluster"),
		label("namespace", "Namespace"),
		label("schedule", "Schedule", links(toSchedule, toDrills, toEvidence)),
		value("A", "Status", "none", filledCell, mapped(verdictWords()), links(toEvidence, toRunbook), width(130)),
		label("runbook", "Runbook", links(toRunbook), width(210)),
		value("B", "Recovery point age", "s"),
		value("C", "of RPO target", "percentunit", shareCells()...),
		value("D", "Proven age", "s"),
		value("E", "of proof target", "percentunit", shareCells()...),
		value("F", "Last backup", "none", textCell, mapped(phaseWords)),
		value("G", "Last drill", "none", textCell, mapped(resultWords), links(toDrills, toEvidence)),
		value("H", "Rehearsed recovery", "s"),
		value("I", "of RTO target", "percentunit", shareCells()...),
		value("J", "Next run", "dateTimeFromNow"),
	}
	return table("Schedules", "One row for each schedule. Status leads to the evidence, Runbook to what to do, Schedule to its own dashboard. Ages count from the start of a backup. Percentages are of the target used up.",
		"none", 24, 11, shown, nil,
		ask(s.verdict(), "status"),
		ask(s.age("lifeboat_schedule_recovery_point_timestamp_seconds"), "age"),
		ask(s.rpoUsed(), "of RPO target"),
		ask(s.age("lifeboat_drill_proven_recovery_point_timestamp_seconds"), "proven age"),
		ask(s.provenUsed(), "of proof target"),
		ask(s.code("lifeboat_schedule_last_backup_phase", "phase", phases), "last backup"),
		ask(s.code("lifeboat_drill_last_result", "result", results), "last drill"),
		ask(s.rehearsed(), "rehearsed recovery"),
		ask(s.per(s.rehearsed(), s.max("lifeboat_drill_rto_target_seconds")), "of RTO target"),
		ask("1000 * "+s.max("lifeboat_schedule_next_run_timestamp_seconds"), "next run"),
	).sorted("Status", true)
}

func firingAlerts() Panel {
	const firing = `alertname=~"Lifeboat.*",alertname!="LifeboatMonitoringWatchdog"`
	shown := []column{
		label("severity", "Severity", textCell, mapped(map[string]Words{"critical": {"critical", bad, 0}, "warning": {"warning", warn, 1}, "info": {"info", neutral, 2}}), width(90)),
		label("alertname", "Alert", links(Link{Title: "Runbook", URL: "${runbooks}/${__data.fields.alertname}.md", TargetBlank: true})),
		label("cluster", "Cluster"),
		label("schedule", "Schedule", links(toSchedule, toDrills, toEvidence)),
		label("backup_location_name", "Location"),
		value("A", "Since", "dateTimeFromNow"),
	}
	return table("Firing alerts", "Alerts of Lifeboat's rule file that fire, each with its runbook. Empty as well when Prometheus has not loaded the rules.", "none", 12, 9,
		shown, []string{"__name__", "namespace", "instance", "job", "source", "phase", "reason", "result"},
		ask(`1000 * ALERTS_FOR_STATE{`+ofTarget+`,`+firing+`} and ignoring (alertstate) ALERTS{alertstate="firing",`+ofTarget+`,`+firing+`}`, "since"),
	).sorted("Severity", false).none("no alert fires")
}
