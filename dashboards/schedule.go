package dashboards

import "fmt"

// Schedule shows everything that is known of one schedule.
func Schedule() Dashboard {
	s := theSchedule
	const each = "{{cluster}} {{schedule}}"
	age := func(metric, legend string) Target { return ask(s.age(metric), legend) }
	target := func(metric, legend string) Target { return ask(s.max(metric), legend) }
	return dashboard("lifeboat-schedule", "Lifeboat: schedule",
		"One schedule: how fresh its backups are, how its runs went, what they contain and how long they are kept.", "now-7d",
		common(oneSchedule(), exporterVariable, runbooksVariable),
		section{"Now", []Panel{
			stat("Status", "The worst status that applies to the schedule; OK only if everything it depends on is known.", "none", 4, s.verdict()).words(verdictWords()).
				linked(toRunbook, Link{Title: toEvidence.Title, URL: "${exporter}/api/v1/status?schedule=${schedule}", TargetBlank: true}).colored(),
			stat("Recovery point age", "Time since the newest Completed backup was started: what a restore now would lose.", "s", 3,
				s.age("lifeboat_schedule_recovery_point_timestamp_seconds")).none("never"),
			stat("RPO target", "How old the newest recovery point may become.", "s", 3, s.max("lifeboat_schedule_rpo_target_seconds")),
			stat("Success due", "By when the next backup must be Completed, grace included.", "dateTimeFromNow", 3,
				"1000 * "+s.max("lifeboat_schedule_success_deadline_timestamp_seconds")),
			stat("Next run", "When the controller must start the next run. None when paused or not valid.", "dateTimeFromNow", 3,
				"1000 * "+s.max("lifeboat_schedule_next_run_timestamp_seconds")).none("none"),
			stat("Failures in a row", "Finished backups since the newest Completed one.", "none", 3, s.max("lifeboat_schedule_consecutive_failures")).
				alarm(bad),
			stat("Proven age", "Time since the newest backup that has passed a drill was started.", "s", 3,
				s.age("lifeboat_drill_proven_recovery_point_timestamp_seconds")).none("never"),
			stat("Running", "How long the oldest run that has not ended has been under way.", "s", 2,
				s.age("lifeboat_schedule_oldest_active_run_timestamp_seconds")).none("no"),
		}},
		section{"Freshness", []Panel{
			graph("Age of the recovery point", "Age of the newest recovery point, how old it may become, and how old it may be when the next success is due. Above the dashed lines is too old.", "s", 12,
				age("lifeboat_schedule_recovery_point_timestamp_seconds", each+" age"),
				target("lifeboat_schedule_rpo_target_seconds", each+" RPO target"),
				ask(s.max("lifeboat_schedule_success_deadline_timestamp_seconds")+" - "+s.max("lifeboat_schedule_recovery_point_timestamp_seconds"), each+" success due"),
			).dashed("/(RPO target|success due)$/"),
			timeline("Phase of the newest finished backup", "A failure lasts until a backup is Completed. A gap is time in which it was not known.", 12, 8, phaseWords,
				ask(s.code("lifeboat_schedule_last_backup_phase", "phase", phases), each)),
			graph("Runs in 24 hours", "Backups that ended within the last 24 hours, by outcome and by the ledger. These metrics have Velero's names.", "none", 12,
				runs("success", "Completed"), runs("partial_failure", "PartiallyFailed"), runs("failure", "Failed"), runs("validation_failure", "FailedValidation")).stacked(),
			graph("Failures in a row", "Finished backups since the newest Completed one.", "none", 12, target("lifeboat_schedule_consecutive_failures", each)),
		}},
		section{"The newest backup", []Panel{
			graph("Duration", "How long the newest Completed backup took.", "s", 8, target("lifeboat_schedule_last_success_duration_seconds", each)),
			graph("Size", "The archive of the newest Completed backup, and what that backup added to the location, volumes included where their records say.", "bytes", 8,
				target("lifeboat_schedule_last_success_size_bytes", each+" archive"), target("lifeboat_schedule_last_success_added_bytes", each+" added")),
			graph("Items", "Items in the newest finished backup, and its errors. These metrics have Velero's names.", "none", 8,
				target("velero_backup_items_total", each+" items"), target("velero_backup_items_errors", each+" errors")),
			graph("Volumes", "Volumes of the newest finished backup, by result. A backup that skipped volumes is still called Completed.", "none", 8,
				ask(s.by("result").max("lifeboat_schedule_last_backup_volumes"), each+" {{result}}")).stacked(),
			graph("Warnings and hooks that failed", "For the newest finished backup.", "none", 8,
				target("lifeboat_schedule_last_backup_warnings", each+" warnings"), target("lifeboat_schedule_last_backup_hooks_failed", each+" hooks failed")),
			stat("Last run", "When the newest run was started, whatever its result.", "dateTimeFromNow", 4,
				"1000 * "+s.max("lifeboat_schedule_last_run_timestamp_seconds")).none("never"),
			stat("Last failure", "When the newest run that did not end Completed was started, even if its backup no longer exists.", "dateTimeFromNow", 4,
				"1000 * "+s.max("lifeboat_schedule_last_failure_timestamp_seconds")).none("none known"),
		}},
		section{"Retention", []Panel{
			graph("Backups that exist", "Completed backups, and how many the cron expression and the ttl imply. Below is early deletion, above is a leak.", "none", 8,
				ask(s.max("lifeboat_schedule_backups", `phase="Completed"`), each+" Completed"),
				target("lifeboat_schedule_expected_backups_min", each+" expected, at least"), target("lifeboat_schedule_expected_backups_max", each+" expected, at most"),
			).dashed("/expected/"),
			graph("Backups by phase", "Backups that exist, by phase. Active includes every unfinished one.", "none", 8,
				ask(s.by("phase").max("lifeboat_schedule_backups"), each+" {{phase}}")).stacked(),
			graph("Recovery window", "How far back a restore can go, and how recent it can be: the ages of the oldest and of the newest Completed backup.", "s", 8,
				age("lifeboat_schedule_oldest_recovery_point_timestamp_seconds", each+" oldest"), age("lifeboat_schedule_recovery_point_timestamp_seconds", each+" newest")),
			stat("Retention time", "The ttl in effect.", "s", 4, s.max("lifeboat_schedule_ttl_seconds")),
			stat("ttl is the server's default", "Yes if the Schedule's ttl is 0 or not set: its backups are deleted after the server's default, and not kept forever.", "none", 4,
				s.max("lifeboat_schedule_ttl_defaulted")).words(map[string]Words{"0": {"no", good, 0}, "1": {"yes", warn, 1}}).colored(),
			stat("Expired, not deleted", "Backups that exist although they expired more than a garbage collection period ago.", "none", 4, s.max("lifeboat_schedule_expired_backups")).alarm(warn),
			stat("Deletion blocked", "Backups that garbage collection could not delete, for whatever reason Velero gives.", "none", 4,
				s.sum(s.by("reason").max("lifeboat_schedule_gc_blocked_backups"))).alarm(warn),
			stat("Locked backups", "Completed backups whose files object lock retains until they expire. Only with --object-lock.", "none", 4, s.max("lifeboat_schedule_locked_backups")),
			stat("Newest is locked for", "How long object lock still keeps every file of the newest recovery point.", "s", 4,
				s.max("lifeboat_schedule_recovery_point_lock_until_timestamp_seconds")+" - time()").none("not locked"),
		}},
		section{"More details", []Panel{text("Commands", "Where to look next, outside of Grafana.", 24, 6, `- [What the exporter knows of ${schedule}](${exporter}/api/v1/status?schedule=${schedule}), backup by backup and drill by drill
- [Runbooks](${runbooks})

`+"```"+`
kubectl -n velero get backups.velero.io -l velero.io/schedule-name=${schedule} --sort-by=.status.startTimestamp
kubectl -n velero logs deploy/velero --since=24h | grep ${schedule}
`+"```")}},
	)
}

// runs are the runs of a day that ended in one way.
func runs(outcome, legend string) Target {
	s := theSchedule
	return ask(s.agg("max", fmt.Sprintf("increase(%s[1d])", s.series("velero_backup_"+outcome+"_total"))), "{{cluster}} "+legend)
}

// colored takes the color of the words.
func (p Panel) colored() Panel {
	p.Options.ColorMode = "background"
	return p
}
