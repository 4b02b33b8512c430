package dashboards

// Storage shows whether locations can be used, what they hold and how it is
// protected.
func Storage() Dashboard {
	l := locations
	const each = "{{cluster}} {{backup_location_name}}"
	volumes := l.max("lifeboat_location_stored_bytes", `content="volumes"`)
	count := func(title, description, metric, color string) Panel {
		return stat(title, description, "none", 4, "sum("+l.max(metric)+")").alarm(color)
	}
	return dashboard("lifeboat-storage", "Lifeboat: storage",
		"Backup locations: whether they answer, what they hold, whether that is all that should be there, and how it is protected.", "now-7d",
		common(locationsVariable),
		section{"Now", []Panel{
			stat("Locations down", "Locations that did not answer the last listing. Not known once no recent attempt was made.", "none", 4,
				"sum("+l.max("lifeboat_location_available")+" == bool 0)").alarm(bad),
			count("Missing backups", "Completed and PartiallyFailed backups that the cluster lists and the location does not hold: they cannot be restored.", "lifeboat_location_missing_backups", worse),
			count("Orphaned backups", "Backups that the location holds and the cluster does not list.", "lifeboat_location_orphaned_backups", warn),
			count("Foreign backups", "Backups in the locations that another cluster made.", "lifeboat_location_foreign_backups", warn),
			count("Incomplete backups", "Folders that are no backup: still being written, interrupted, or half deleted.", "lifeboat_location_incomplete_backups", warn),
			count("Unreadable objects", "Files of backups and evidence that are unreadable or malformed.", "lifeboat_location_unreadable_objects", bad),
		}},
		section{"Availability", []Panel{
			timeline("Available", "Whether each location answered the last listing. A gap is time in which it was not known.", 12, 7, upWords, ask(l.max("lifeboat_location_available"), each)),
			graph("Latency", "How long the last operation of each kind took at the last reading.", "s", 12, ask(l.by("operation").max("lifeboat_location_probe_duration_seconds"), each+" {{operation}}")),
			locationTable(),
		}},
		section{"Stored data", []Panel{
			graph("Stored", "Bytes stored, by content, as of the last storage scan.", "bytes", 8, ask(l.by("content").max("lifeboat_location_stored_bytes"), each+" {{content}}")).stacked(),
			graph("Logical and stored volume data", "Volume data of all backups, each counted in full, and the space that it takes in the location.", "bytes", 8,
				ask(l.max("lifeboat_location_logical_bytes"), each+" logical"), ask(volumes, each+" stored")),
			graph("Deduplication", "Logical over stored volume data: how many times over each stored byte is used.", "none", 8, ask(l.per(l.max("lifeboat_location_logical_bytes"), volumes+" > 0"), each)),
			graph("Objects", "Objects stored, by content, as of the last storage scan.", "none", 8, ask(l.by("content").max("lifeboat_location_objects"), each+" {{content}}")).stacked(),
			bars("Growth in a day", "Bytes added each day, by the trend of the last 7 days. A bucket that shrinks has a value below zero and no bar.", "bytes", 8, 8,
				ask("86400 * "+l.sum(l.by("content").agg("max", "deriv("+l.series("lifeboat_location_stored_bytes")+"[7d])")), each)),
			graph("Missing, orphaned, foreign", "Backups that exist only in the cluster or only in the location, and those of other clusters.", "none", 8,
				ask(l.max("lifeboat_location_missing_backups"), each+" missing"), ask(l.max("lifeboat_location_orphaned_backups"), each+" orphaned"), ask(l.max("lifeboat_location_foreign_backups"), each+" foreign")),
		}},
		section{"Protection", []Panel{
			lockTable(),
			bars("Locked backups", "Share of the existing Completed backups of each schedule whose files object lock retains until they expire. Only with --object-lock. All locations.", "percentunit", 12, 7,
				ask(everySchedule.per(everySchedule.max("lifeboat_schedule_locked_backups"), everySchedule.max("lifeboat_schedule_backups", `phase="Completed"`)+" > 0"), "{{cluster}} {{schedule}}")).share(),
		}},
		section{"Maintenance", []Panel{
			graph("Age of the last reading", "Time since the last reading of the location ended, and the last storage scan, which is made less often.", "s", 12,
				ask(l.age("lifeboat_location_last_scan_timestamp_seconds"), each+" backups"), ask(l.age("lifeboat_location_last_storage_scan_timestamp_seconds"), each+" storage")),
			graph("Age of the last validation and maintenance", "Time since the controller validated the location, and since the repository that has waited longest was maintained.", "s", 12,
				ask(l.age("lifeboat_location_last_validation_timestamp_seconds"), each+" validation"), ask(l.age("lifeboat_repository_last_maintenance_timestamp_seconds"), each+" maintenance")),
		}},
	)
}

// everySchedule is for what locations have of schedules, which no variable of
// the dashboard chooses.
var everySchedule = scope{ofTarget, "cluster, namespace, schedule"}

// share colors a share that has to be whole.
func (p Panel) share() Panel {
	p.FieldConfig.Defaults.Max = ptr(1.0)
	p.FieldConfig.Defaults.Decimals = ptr(0)
	return p.steps(Step{Color: bad}, from(1, good))
}

func locationTable() Panel {
	l := locations
	shown := []column{
		label("cluster", "Cluster"),
		label("backup_location_name", "Location"),
		value("A", "Available", "none", filledCell, mapped(upWords), links(Link{Title: "Runbooks", URL: runbooksURL + "/LifeboatLocationUnavailable.md", TargetBlank: true})),
		value("B", "Read-only", "none", textCell, mapped(map[string]Words{"0": {"no", good, 0}, "1": {"yes", warn, 1}})),
		value("C", "Validated", "dateTimeFromNow"),
		value("D", "every", "s"),
		value("E", "Read", "dateTimeFromNow"),
		value("F", "every", "s"),
		value("G", "in", "s"),
		value("H", "to its end", "none", textCell, mapped(yesWords)),
	}
	return table("Locations", "One row for each location: its state in the cluster, and its last reading by the exporter.", "none", 24, 6, shown, []string{"namespace"},
		ask(l.max("lifeboat_location_available"), "available"),
		ask(l.max("lifeboat_location_access_mode", `access_mode="ReadOnly"`), "read-only"),
		ask("1000 * "+l.max("lifeboat_location_last_validation_timestamp_seconds"), "validated"),
		ask(l.max("lifeboat_location_validation_interval_seconds"), "validation interval"),
		ask("1000 * "+l.max("lifeboat_location_last_scan_timestamp_seconds"), "read"),
		ask(l.max("lifeboat_location_scan_interval_seconds"), "reading interval"),
		ask(l.max("lifeboat_location_scan_duration_seconds"), "duration"),
		ask(l.max("lifeboat_location_scan_success"), "to its end"),
	).sorted("Available", false)
}

func lockTable() Panel {
	l := locations
	modes := []string{"COMPLIANCE", "GOVERNANCE", "none"}
	modeWords := map[string]Words{"1": {"COMPLIANCE", good, 0}, "2": {"GOVERNANCE", good, 1}, "3": {"none", quiet, 2}}
	shown := []column{
		label("cluster", "Cluster"),
		label("backup_location_name", "Location"),
		value("A", "Required", "none", mapped(map[string]Words{"0": {"no", quiet, 0}, "1": {"yes", quiet, 1}})),
		value("B", "Object lock", "none", filledCell, mapped(yesWords)),
		value("C", "Default mode", "none", textCell, mapped(modeWords)),
		value("D", "Default retention", "s"),
		value("E", "Versioning", "none", textCell, mapped(yesWords)),
	}
	return table("Object lock and versioning", "How each bucket protects its objects against deletion. Only with --object-lock; empty cells are not known.", "none", 12, 7, shown, []string{"namespace"},
		ask(l.max("lifeboat_location_object_lock_required"), "required"),
		ask(l.max("lifeboat_location_object_lock_enabled"), "enabled"),
		ask(l.code("lifeboat_location_object_lock_mode", "mode", modes), "mode"),
		ask(l.max("lifeboat_location_object_lock_default_retention_seconds"), "retention"),
		ask(l.max("lifeboat_location_versioning_enabled"), "versioning"),
	)
}
