package exporter

// ID names a metric of the catalog.
type ID int

// The metrics, in the order of the catalog.
const (
	veleroBackupLastSuccessful ID = iota
	veleroBackupLastStatus
	veleroBackupTotal
	veleroBackupItems
	veleroBackupItemErrors
	veleroBackupTarballSize

	scheduleInfo
	scheduleBackups
	scheduleRecoveryPoint
	scheduleOldestRecoveryPoint
	scheduleLastBackupPhase
	scheduleConsecutiveFailures
	scheduleLastSuccessDuration
	scheduleLastSuccessSize
	scheduleSuccessDeadline
	scheduleRPOTarget
	scheduleRPODeadline

	drillLastRun
	drillLastSuccess
	drillLastResult
	drillProvenRecoveryPoint
	drillProvenDeadline
	drillStageDuration
	drillExpectedItems
	drillRestoredItems

	locationAvailable
	locationLastScan
	locationScanSuccess
	locationScanDuration
	locationIncompleteBackups
	locationUnreadableObjects
	locationRequests

	exporterSourceUp
	exporterSourceLastSuccess
	exporterAmbiguousSchedules
	exporterDroppedSchedules
	exporterBuildInfo

	metricCount
)

// Type is a metric's type, in the words of the exposition format.
type Type string

// The types in use.
const (
	Gauge   Type = "gauge"
	Counter Type = "counter"
)

// WhenStale says what becomes of a metric when its source cannot be read.
type WhenStale string

// Served values state something of the past, which stays true. Withheld ones
// state something of the present, which nobody knows any more.
const (
	Served   WhenStale = "served"
	Withheld WhenStale = "withheld"
)

// Metric is one row of the catalog.
type Metric struct {
	Name      string
	Type      Type
	Labels    []string
	WhenStale WhenStale
	Help      string
}

// Catalog returns every metric the exporter can serve, apart from those of the
// Go runtime, the process and the HTTP handler.
func Catalog() []Metric { return catalog[:] }

// Label names, and the closed sets of their values.
const (
	labelSchedule  = "schedule"
	labelLocation  = "backup_location_name"
	labelPhase     = "phase"
	labelResult    = "result"
	labelStage     = "stage"
	labelSource    = "source"
	labelOperation = "operation"
)

var (
	schedule1  = []string{labelSchedule}
	location1  = []string{labelLocation}
	source2    = []string{labelSource, labelLocation}
	noLabels   = []string{}
	buildInfo3 = []string{"version", "revision", "goversion"}
)

// Names that begin with velero_ are Velero's own (Velero v1.18.1,
// pkg/metrics/metrics.go), with its labels and its meaning, so that rules and
// dashboards written for Velero work. No new name may begin so.
var catalog = [metricCount]Metric{
	veleroBackupLastSuccessful: {"velero_backup_last_successful_timestamp", Gauge, schedule1, Served,
		"When the newest Completed backup of the schedule was completed, in seconds since 1970. Absent until there is one."},
	veleroBackupLastStatus: {"velero_backup_last_status", Gauge, schedule1, Withheld,
		"1 if the newest finished backup of the schedule is Completed, else 0. Unlike Velero's, it is not set back to 1 between runs."},
	veleroBackupTotal: {"velero_backup_total", Gauge, noLabels, Withheld,
		"Backups that exist, in all locations. Withheld while any location cannot be read."},
	veleroBackupItems: {"velero_backup_items_total", Gauge, schedule1, Served,
		"Items in the newest finished backup of the schedule."},
	veleroBackupItemErrors: {"velero_backup_items_errors", Gauge, schedule1, Served,
		"Errors of the newest finished backup of the schedule."},
	veleroBackupTarballSize: {"velero_backup_tarball_size_bytes", Gauge, schedule1, Served,
		"Size of the archive of the newest finished backup of the schedule, in bytes."},

	scheduleInfo: {"lifeboat_schedule_info", Gauge, []string{labelSchedule, "cron", labelLocation}, Served,
		"Always 1. The cron expression is empty when it is not known and deadlines are inferred from the backups there are; the location is that of the newest backup."},
	scheduleBackups: {"lifeboat_schedule_backups", Gauge, []string{labelSchedule, labelPhase}, Withheld,
		"Backups of the schedule that exist, by phase; Active stands for every unfinished phase. schedule=\"\" are those made by hand."},
	scheduleRecoveryPoint: {"lifeboat_schedule_recovery_point_timestamp_seconds", Gauge, schedule1, Served,
		"When the newest Completed backup of the schedule was started: what a restore brings back is as of then. Absent until there is one."},
	scheduleOldestRecoveryPoint: {"lifeboat_schedule_oldest_recovery_point_timestamp_seconds", Gauge, schedule1, Served,
		"When the oldest Completed backup of the schedule was started: how far back a restore can go."},
	scheduleLastBackupPhase: {"lifeboat_schedule_last_backup_phase", Gauge, []string{labelSchedule, labelPhase}, Withheld,
		"1 for the phase the newest finished backup of the schedule ended in, 0 for the others; None when no backup has finished."},
	scheduleConsecutiveFailures: {"lifeboat_schedule_consecutive_failures", Gauge, schedule1, Withheld,
		"Finished backups of the schedule since the newest Completed one."},
	scheduleLastSuccessDuration: {"lifeboat_schedule_last_success_duration_seconds", Gauge, schedule1, Served,
		"How long the newest Completed backup of the schedule took."},
	scheduleLastSuccessSize: {"lifeboat_schedule_last_success_size_bytes", Gauge, schedule1, Served,
		"Size of the archive of the newest Completed backup of the schedule, in bytes; volume data is not in it."},
	scheduleSuccessDeadline: {"lifeboat_schedule_success_deadline_timestamp_seconds", Gauge, schedule1, Served,
		"By when the next backup of the schedule must be Completed: the next due time after the newest success, plus that one's duration, plus a grace of half the interval, at least 15 minutes and at most 6 hours. Inferred from the newest ten backups when the cron expression is not known, and absent when there are too few."},
	scheduleRPOTarget: {"lifeboat_schedule_rpo_target_seconds", Gauge, schedule1, Served,
		"How old the newest recovery point may become: --rpo, or two intervals and a grace."},
	scheduleRPODeadline: {"lifeboat_schedule_rpo_deadline_timestamp_seconds", Gauge, schedule1, Served,
		"When the newest recovery point of the schedule gets older than lifeboat_schedule_rpo_target_seconds; counted from the oldest run, or from the start of the exporter, when none has succeeded."},

	drillLastRun: {"lifeboat_drill_last_run_timestamp_seconds", Gauge, schedule1, Served,
		"When the newest drill of a backup of the schedule ended, whatever its result."},
	drillLastSuccess: {"lifeboat_drill_last_success_timestamp_seconds", Gauge, schedule1, Served,
		"When the newest passed drill of a backup of the schedule ended, at any level."},
	drillLastResult: {"lifeboat_drill_last_result", Gauge, []string{labelSchedule, labelResult}, Withheld,
		"1 for the result that stands, 0 for the others. failed: a backup is bad. error: the drill could not find out. none: no drill has run. Of drills at several levels the newest of each counts, and the worst of those stands."},
	drillProvenRecoveryPoint: {"lifeboat_drill_proven_recovery_point_timestamp_seconds", Gauge, schedule1, Served,
		"When the newest backup of the schedule that exists, is Completed and has passed a drill at the level of --proven-level was started. Absent when there is none."},
	drillProvenDeadline: {"lifeboat_drill_proven_deadline_timestamp_seconds", Gauge, schedule1, Served,
		"By when a newer backup of the schedule must have passed a drill: the start of the newest one that did, plus an interval, plus --proven-within. Counted from the oldest drilled backup when none has passed; absent when none was drilled."},
	drillStageDuration: {"lifeboat_drill_last_stage_duration_seconds", Gauge, []string{labelSchedule, labelStage}, Served,
		"How long each stage of the newest drill took; a rehearsed recovery time is the sum without cleanup."},
	drillExpectedItems: {"lifeboat_drill_expected_items", Gauge, schedule1, Served,
		"Objects the newest drill that restored anything expected, by the backup's own record."},
	drillRestoredItems: {"lifeboat_drill_restored_items", Gauge, schedule1, Served,
		"Objects the newest drill that restored anything found in its sandbox."},

	locationAvailable: {"lifeboat_location_available", Gauge, location1, Withheld,
		"1 if the location answered the last listing of its backups, else 0. Withheld once the last attempt is too old to speak of the present."},
	locationLastScan: {"lifeboat_location_last_scan_timestamp_seconds", Gauge, location1, Served,
		"When the last reading of the location ended, successful or not."},
	locationScanSuccess: {"lifeboat_location_scan_success", Gauge, location1, Withheld,
		"1 if the last reading of the location, backups and evidence, came to its end, else 0."},
	locationScanDuration: {"lifeboat_location_scan_duration_seconds", Gauge, location1, Served,
		"How long the last reading of the location took."},
	locationIncompleteBackups: {"lifeboat_location_incomplete_backups", Gauge, location1, Withheld,
		"Folders of backups that have no velero-backup.json, or whose finished backup lacks its archive: still being written, interrupted, or half deleted. They count as no backup."},
	locationUnreadableObjects: {"lifeboat_location_unreadable_objects", Gauge, location1, Withheld,
		"velero-backup.json files and pieces of evidence that could not be read or make no sense; the log names each once. They count as no backup and no drill."},
	locationRequests: {"lifeboat_location_requests_total", Counter, []string{labelLocation, labelOperation}, Served,
		"Calls the exporter made to the location since it started. A listing counts once, however many pages it has."},

	exporterSourceUp: {"lifeboat_exporter_source_up", Gauge, source2, Served,
		"1 if the source was read at the last attempt and lately, else 0. While it is 0, metrics that speak of the present are withheld and timestamps are served as they were last known."},
	exporterSourceLastSuccess: {"lifeboat_exporter_source_last_success_timestamp_seconds", Gauge, source2, Served,
		"When the source was last read to its end. Absent until it was."},
	exporterAmbiguousSchedules: {"lifeboat_exporter_ambiguous_schedules", Gauge, noLabels, Served,
		"Schedule names found in more than one location. If they are of different clusters, a live one hides a dead one: give each cluster its own exporter."},
	exporterDroppedSchedules: {"lifeboat_exporter_dropped_schedules", Gauge, noLabels, Served,
		"Schedules that have no series because there are more than --max-schedules."},
	exporterBuildInfo: {"lifeboat_exporter_build_info", Gauge, buildInfo3, Served,
		"Always 1. What was built, of which revision, by which Go."},
}
