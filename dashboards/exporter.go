package dashboards

// job is the name of the scrape job, as the alerts have it.
const job = `job="lifeboat-exporter"`

// Exporter shows whether what the other dashboards say can be believed.
func Exporter() Dashboard {
	e := exporters
	replica := scope{ofTarget + "," + job, "cluster, namespace, instance"}
	source := e.by("backup_location_name, source")
	const each = "{{cluster}} {{source}} {{backup_location_name}}"
	return dashboard("lifeboat-exporter", "Lifeboat: exporter",
		"Whether the exporter sees what it reports on, and what that costs. While a source is down, what depends on it is old or withheld.", "now-24h",
		common(exporterVariable),
		section{"Now", []Panel{
			stat("Exporters up", "Targets of the job lifeboat-exporter that answer scrapes.", "none", 4, "sum("+replica.max("up")+")").
				steps(Step{Color: bad}, from(1, good)).colored().linked(Link{Title: "The exporter's own page", URL: "${exporter}", TargetBlank: true}),
			stat("Sources down", "Sources that could not be read at the last attempt, or not recently.", "none", 4, "sum("+source.max("lifeboat_exporter_source_up")+" == bool 0)").alarm(bad),
			stat("Collectors failed", "Collectors whose last refresh did not finish.", "none", 4, "sum("+e.by("collector").max("lifeboat_exporter_collector_success")+" == bool 0)").alarm(warn),
			stat("Series dropped", "Series left out because of a bound; the schedules behind them are not watched.", "none", 4, "sum("+e.by("reason").max("lifeboat_exporter_dropped_series")+")").alarm(bad),
			stat("Ambiguous schedules", "Names of schedules found in more than one location: a live one may hide a dead one.", "none", 4, "sum("+e.max("lifeboat_exporter_ambiguous_schedules")+")").alarm(warn),
			stat("Configuration", "Whether the configuration was in order when it was last read.", "none", 4, "min("+e.agg("min", e.series("lifeboat_exporter_config_last_reload_successful"))+")").
				words(map[string]Words{"0": {"bad", bad, 0}, "1": {"in order", good, 1}}).colored(),
		}},
		section{"Sources", []Panel{
			timeline("Sources", "Whether each source was read at the last attempt and recently.", 12, 8, upWords, ask(source.max("lifeboat_exporter_source_up"), each)),
			graph("Age of what is known", "Time since each source was last read completely.", "s", 12, ask(source.age("lifeboat_exporter_source_last_success_timestamp_seconds"), each)),
		}},
		section{"Work", []Panel{
			graph("Duration of collectors", "How long the last refresh of each collector took.", "s", 8, ask(e.by("collector").max("lifeboat_exporter_collector_duration_seconds"), "{{cluster}} {{collector}}")),
			timeline("Collectors", "Whether the last refresh of each collector finished.", 8, 8, upWords, ask(e.by("collector").agg("min", e.series("lifeboat_exporter_collector_success")), "{{cluster}} {{collector}}")),
			graph("Requests to locations", "Calls the exporters make to each location. A listing counts once, however many pages it has.", "reqps", 8,
				ask(e.by("backup_location_name, operation").sum("rate("+e.series("lifeboat_location_requests_total")+"[$__rate_interval])"), "{{cluster}} {{backup_location_name}} {{operation}}")),
			graph("Duration of a scrape", "How long a scrape of the exporter takes: it reads memory.", "s", 8, ask(replica.max("scrape_duration_seconds"), "{{cluster}} {{instance}}")),
			graph("Series", "Series in a scrape. They grow with schedules and locations, not with backups.", "none", 8, ask(replica.max("scrape_samples_scraped"), "{{cluster}} {{instance}}")),
			graph("Memory", "Resident memory of the exporter.", "bytes", 8, ask(replica.max("process_resident_memory_bytes"), "{{cluster}} {{instance}}")),
		}},
		section{"Versions", []Panel{
			ledgerTable(),
			table("Exporters", "Which version runs.", "none", 12, 6,
				[]column{label("cluster", "Cluster"), label("namespace", "Namespace"), label("instance", "Instance"), label("version", "Version"), label("revision", "Revision"), label("goversion", "Go")},
				[]string{"__name__", "job", "Value"}, ask(e.series("lifeboat_exporter_build_info"), "build")),
		}},
	)
}

func ledgerTable() Panel {
	e := exporters
	shown := []column{
		label("cluster", "Cluster"),
		label("namespace", "Namespace"),
		value("A", "Counting since", "dateTimeFromNow"),
		value("B", "Kept in a location", "none", textCell, mapped(yesWords)),
		value("C", "Configuration read", "dateTimeFromNow"),
	}
	return table("Ledger", "Since when the counters count, and whether they survive a restart of the exporter (--ledger).", "none", 12, 6, shown, nil,
		ask("1000 * "+e.agg("min", e.series("lifeboat_exporter_ledger_start_timestamp_seconds")), "since"),
		ask(e.max("lifeboat_exporter_ledger_persistent"), "persistent"),
		ask("1000 * "+e.max("lifeboat_exporter_config_last_reload_success_timestamp_seconds"), "configuration read"),
	)
}
