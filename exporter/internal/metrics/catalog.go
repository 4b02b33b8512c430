package metrics

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
	VeleroBackupAttempts
	VeleroBackupSuccesses
	VeleroBackupPartialFailures
	VeleroBackupFailures
	VeleroBackupValidationFailures
	VeleroBackupWarnings
	VeleroBackupDeletionAttempts
	VeleroBackupDeletionSuccesses
	VeleroBackupDeletionFailures
	VeleroVolumeSnapshotAttempts
	VeleroVolumeSnapshotSuccesses
	VeleroVolumeSnapshotFailures
	VeleroCSISnapshotAttempts
	VeleroCSISnapshotSuccesses
	VeleroCSISnapshotFailures
	VeleroBackupDuration
	veleroRestoreTotal
	VeleroRestoreAttempts
	VeleroRestoreSuccesses
	VeleroRestorePartialFailures
	VeleroRestoreValidationFailures
	VeleroRestoreFailed
	VeleroRestoreFailures
	veleroLocationStatus
	veleroScheduleInterval
	VeleroRepoMaintenanceSuccesses
	VeleroRepoMaintenanceFailures
	VeleroRepoMaintenanceDuration

	ScheduleInfo
	ScheduleBackups
	ScheduleRecoveryPoint
	ScheduleOldestRecoveryPoint
	ScheduleLastBackupPhase
	ScheduleConsecutiveFailures
	scheduleLastSuccessDuration
	scheduleLastSuccessSize
	ScheduleSuccessDeadline
	ScheduleRPOTarget
	ScheduleRPODeadline
	scheduleCreated
	SchedulePaused
	ScheduleValid
	ScheduleNextRun
	scheduleSuccessGrace
	scheduleLastRun
	scheduleLastFailure
	scheduleOldestActive
	scheduleLastSuccessAdded
	scheduleLastVolumes
	scheduleLastHooksFailed
	scheduleLastWarnings
	scheduleTTL
	scheduleTTLDefaulted
	scheduleExpectedMin
	scheduleExpectedMax
	scheduleExpired
	scheduleGCBlocked
	scheduleLocked
	scheduleLockUntil

	drillLastRun
	drillLastSuccess
	DrillLastResult
	DrillProvenRecoveryPoint
	DrillProvenDeadline
	drillStageDuration
	drillExpectedItems
	drillRestoredItems
	DrillDeadline
	DrillProvenTarget
	drillCheckPassed
	drillChecks
	drillRTOTarget
	DrillDuration
	DrillRuns
	DrillFailures
	drillRestoredBytes
	DrillVerified
	drillActive
	drillAbandoned

	locationAvailable
	locationLastScan
	locationScanSuccess
	locationScanDuration
	locationIncompleteBackups
	locationUnreadableObjects
	locationRequests
	locationAccessMode
	locationLastValidation
	locationValidationInterval
	locationProbeDuration
	locationStoredBytes
	locationObjects
	locationLogicalBytes
	locationStorageScan
	locationMissing
	locationOrphaned
	locationForeign
	locationLockEnabled
	locationLockRequired
	locationLockMode
	locationLockRetention
	locationVersioning
	locationScanInterval
	locationMaintenance

	exporterSourceUp
	exporterSourceLastSuccess
	exporterAmbiguousSchedules
	exporterCollectorSuccess
	exporterCollectorDuration
	exporterDroppedSeries
	exporterLedgerSince
	exporterLedgerPersistent
	exporterConfigReload
	exporterConfigReloadTime
	exporterBuildInfo

	MetricCount
)

// Type is a metric's type, in the words of the exposition format.
type Type string

// The types in use.
const (
	Gauge   Type = "gauge"
	Counter Type = "counter"
	// Histogram has Velero's buckets.
	Histogram Type = "histogram"
)

// WhenStale is what happens to a metric when its source cannot be read.
type WhenStale string

// Served values state something of the past, which stays true. Withheld ones
// state something of the present, which is not known any more.
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

// Label names, and the closed sets of their values.
const (
	LabelSchedule   = "schedule"
	labelLocation   = "backup_location_name"
	labelPhase      = "phase"
	labelResult     = "result"
	labelStage      = "stage"
	labelSource     = "source"
	labelOperation  = "operation"
	labelReason     = "reason"
	labelCheck      = "check"
	labelContent    = "content"
	labelCollector  = "collector"
	labelAccessMode = "access_mode"
	labelMode       = "mode"
	labelRepository = "repository_name"
)

var (
	scheduleLabels    = []string{LabelSchedule}
	locationLabels    = []string{labelLocation}
	sourceLabels      = []string{labelSource, labelLocation}
	noLabels          = []string{}
	repositoryLabels  = []string{labelRepository}
	collectorLabels   = []string{labelCollector}
	reasonLabels      = []string{labelReason}
	scheduleResult    = []string{LabelSchedule, labelResult}
	scheduleReason    = []string{LabelSchedule, labelReason}
	scheduleCheck     = []string{LabelSchedule, labelCheck}
	locationMode      = []string{labelLocation, labelAccessMode}
	locationLockModes = []string{labelLocation, labelMode}
	locationOperation = []string{labelLocation, labelOperation}
	locationContent   = []string{labelLocation, labelContent}
	buildInfoLabels   = []string{"version", "revision", "goversion"}
)

// Names that begin with velero_ are Velero's own (Velero v1.18.1,
// pkg/metrics/metrics.go), with its labels and its meaning, so that rules and
// dashboards written for Velero work. No new name may begin so.
var Catalog = [MetricCount]Metric{
	veleroBackupLastSuccessful: {"velero_backup_last_successful_timestamp", Gauge, scheduleLabels, Served,
		"When the newest Completed backup of the schedule was completed, in seconds since 1970. Absent until a backup succeeds."},
	veleroBackupLastStatus: {"velero_backup_last_status", Gauge, scheduleLabels, Withheld,
		"1 if the newest finished backup of the schedule is Completed, else 0. Unlike Velero's, it is not reset to 1 between runs."},
	veleroBackupTotal: {"velero_backup_total", Gauge, noLabels, Withheld,
		"Backups that exist, in all locations, those of other clusters included. Withheld while neither the cluster nor each location can be read."},
	veleroBackupItems: {"velero_backup_items_total", Gauge, scheduleLabels, Served,
		"Items in the newest finished backup of the schedule."},
	veleroBackupItemErrors: {"velero_backup_items_errors", Gauge, scheduleLabels, Served,
		"Errors of the newest finished backup of the schedule."},
	veleroBackupTarballSize: {"velero_backup_tarball_size_bytes", Gauge, scheduleLabels, Served,
		"Size of the archive of the newest finished backup of the schedule, in bytes."},
	VeleroBackupAttempts: {"velero_backup_attempt_total", Counter, scheduleLabels, Served,
		"Backups of the schedule that ended in any phase, by the ledger. Unlike Velero's metric, it includes backups that failed validation or died with the server, and it survives restarts."},
	VeleroBackupSuccesses: {"velero_backup_success_total", Counter, scheduleLabels, Served,
		"Backups of the schedule that ended Completed, by the ledger."},
	VeleroBackupPartialFailures: {"velero_backup_partial_failure_total", Counter, scheduleLabels, Served,
		"Backups of the schedule that ended PartiallyFailed, by the ledger."},
	VeleroBackupFailures: {"velero_backup_failure_total", Counter, scheduleLabels, Served,
		"Backups of the schedule that ended Failed, by the ledger, including those that died with the server."},
	VeleroBackupValidationFailures: {"velero_backup_validation_failure_total", Counter, scheduleLabels, Served,
		"Backups of the schedule that ended FailedValidation, by the ledger."},
	VeleroBackupWarnings: {"velero_backup_warning_total", Counter, scheduleLabels, Served,
		"Backups of the schedule that ended with warnings, by the ledger."},
	VeleroBackupDeletionAttempts: {"velero_backup_deletion_attempt_total", Counter, scheduleLabels, Served,
		"Processed DeleteBackupRequests for backups of the schedule, by the ledger."},
	VeleroBackupDeletionSuccesses: {"velero_backup_deletion_success_total", Counter, scheduleLabels, Served,
		"Backups of the schedule that were deleted, by the ledger."},
	VeleroBackupDeletionFailures: {"velero_backup_deletion_failure_total", Counter, scheduleLabels, Served,
		"DeleteBackupRequests for backups of the schedule that were processed with errors, by the ledger."},
	VeleroVolumeSnapshotAttempts: {"velero_volume_snapshot_attempt_total", Counter, scheduleLabels, Served,
		"Native volume snapshots that ended backups of the schedule attempted, by the ledger."},
	VeleroVolumeSnapshotSuccesses: {"velero_volume_snapshot_success_total", Counter, scheduleLabels, Served,
		"Native volume snapshots that ended backups of the schedule completed, by the ledger."},
	VeleroVolumeSnapshotFailures: {"velero_volume_snapshot_failure_total", Counter, scheduleLabels, Served,
		"Native volume snapshots that ended backups of the schedule attempted and did not complete, by the ledger."},
	VeleroCSISnapshotAttempts: {"velero_csi_snapshot_attempt_total", Counter, scheduleLabels, Served,
		"CSI snapshots that ended backups of the schedule attempted, by the ledger. It does not have Velero's label backupName, which makes a series for each backup."},
	VeleroCSISnapshotSuccesses: {"velero_csi_snapshot_success_total", Counter, scheduleLabels, Served,
		"CSI snapshots that ended backups of the schedule completed, by the ledger."},
	VeleroCSISnapshotFailures: {"velero_csi_snapshot_failure_total", Counter, scheduleLabels, Served,
		"CSI snapshots that ended backups of the schedule attempted and did not complete, by the ledger."},
	VeleroBackupDuration: {"velero_backup_duration_seconds", Histogram, scheduleLabels, Served,
		"Duration of the backups of the schedule that ended Completed or PartiallyFailed, by the ledger, in Velero's buckets."},
	veleroRestoreTotal: {"velero_restore_total", Gauge, noLabels, Withheld,
		"Restores that exist in the cluster."},
	VeleroRestoreAttempts: {"velero_restore_attempt_total", Counter, scheduleLabels, Served,
		"Restores of backups of the schedule that have ended, by the ledger. Drills are not restores."},
	VeleroRestoreSuccesses: {"velero_restore_success_total", Counter, scheduleLabels, Served,
		"Restores of backups of the schedule that ended Completed, by the ledger."},
	VeleroRestorePartialFailures: {"velero_restore_partial_failure_total", Counter, scheduleLabels, Served,
		"Restores of backups of the schedule that ended PartiallyFailed, by the ledger."},
	VeleroRestoreValidationFailures: {"velero_restore_validation_failed_total", Counter, scheduleLabels, Served,
		"Restores of backups of the schedule that ended FailedValidation, by the ledger."},
	VeleroRestoreFailed: {"velero_restore_failed_total", Counter, scheduleLabels, Served,
		"Restores of backups of the schedule that ended Failed, by the ledger."},
	VeleroRestoreFailures: {"velero_restore_failure_total", Counter, scheduleLabels, Served,
		"The same as velero_restore_failed_total. Velero has no such metric, but many alert rules use it."},
	veleroLocationStatus: {"velero_backup_location_status_gauge", Gauge, locationLabels, Withheld,
		"1 if the BackupStorageLocation is Available, else 0; without a cluster, whether the location answered."},
	veleroScheduleInterval: {"velero_schedule_expected_interval_seconds", Gauge, scheduleLabels, Served,
		"The longest time between two runs that follow each other. Unlike Velero's, it is not that of the next two runs."},
	VeleroRepoMaintenanceSuccesses: {"velero_repo_maintenance_success_total", Counter, repositoryLabels, Served,
		"Maintenance jobs of the repository that succeeded, by the ledger. Only with --repositories."},
	VeleroRepoMaintenanceFailures: {"velero_repo_maintenance_failure_total", Counter, repositoryLabels, Served,
		"Maintenance jobs of the repository that failed, by the ledger. Only with --repositories."},
	VeleroRepoMaintenanceDuration: {"velero_repo_maintenance_duration_seconds", Histogram, repositoryLabels, Served,
		"How long maintenance jobs of the repository took, by the ledger, in Velero's buckets. Only with --repositories."},

	ScheduleInfo: {"lifeboat_schedule_info", Gauge, []string{LabelSchedule, "cron", "timezone", labelLocation}, Served,
		"Always 1. The cron expression is empty if it is not known; deadlines are then inferred from the existing backups. The location is that of the newest backup."},
	ScheduleBackups: {"lifeboat_schedule_backups", Gauge, []string{LabelSchedule, labelPhase}, Withheld,
		"Backups of the schedule that exist, by phase. Active counts all unfinished phases. schedule=\"\" counts backups that no schedule made."},
	ScheduleRecoveryPoint: {"lifeboat_schedule_recovery_point_timestamp_seconds", Gauge, scheduleLabels, Served,
		"Start of the newest existing Completed backup of the schedule: a restore brings back the state of that time. If the location can be read, the files of the backup must be there. Absent until a backup succeeds."},
	ScheduleOldestRecoveryPoint: {"lifeboat_schedule_oldest_recovery_point_timestamp_seconds", Gauge, scheduleLabels, Served,
		"Start of the oldest Completed backup of the schedule: how far back a restore can go."},
	ScheduleLastBackupPhase: {"lifeboat_schedule_last_backup_phase", Gauge, []string{LabelSchedule, labelPhase}, Withheld,
		"1 for the phase in which the newest finished backup of the schedule ended, 0 for the others. None if no backup has finished."},
	ScheduleConsecutiveFailures: {"lifeboat_schedule_consecutive_failures", Gauge, scheduleLabels, Withheld,
		"Finished backups of the schedule since the newest Completed one, of those that exist."},
	scheduleLastSuccessDuration: {"lifeboat_schedule_last_success_duration_seconds", Gauge, scheduleLabels, Served,
		"How long the newest Completed backup of the schedule took."},
	scheduleLastSuccessSize: {"lifeboat_schedule_last_success_size_bytes", Gauge, scheduleLabels, Served,
		"Size of the archive of the newest Completed backup of the schedule, in bytes; volume data is not in it."},
	ScheduleSuccessDeadline: {"lifeboat_schedule_success_deadline_timestamp_seconds", Gauge, scheduleLabels, Served,
		"By when the next backup of the schedule must be Completed: the next due time after the newest success, plus that one's duration, plus lifeboat_schedule_success_grace_seconds. Without a success it counts from the creation of the Schedule. Inferred from the newest ten backups if the cron expression is not known. Absent if the schedule is paused or not valid, or if there are too few backups."},
	ScheduleRPOTarget: {"lifeboat_schedule_rpo_target_seconds", Gauge, scheduleLabels, Served,
		"How old the newest recovery point may become: the annotation lifeboat.dev/rpo, else --rpo, else two intervals and a grace period."},
	ScheduleRPODeadline: {"lifeboat_schedule_rpo_deadline_timestamp_seconds", Gauge, scheduleLabels, Served,
		"When the newest recovery point of the schedule gets older than lifeboat_schedule_rpo_target_seconds; counted from lifeboat_schedule_created_timestamp_seconds if there is no recovery point."},
	scheduleCreated: {"lifeboat_schedule_created_timestamp_seconds", Gauge, scheduleLabels, Served,
		"When the schedule became known: the creation of the Schedule, else the start of its oldest backup, else the start of the exporter. Always present."},
	SchedulePaused: {"lifeboat_schedule_paused", Gauge, scheduleLabels, Withheld,
		"1 if the Schedule is paused, else 0."},
	ScheduleValid: {"lifeboat_schedule_valid", Gauge, scheduleLabels, Withheld,
		"0 if the Schedule can never run: its cron expression is wrong or matches no date, or Velero refused it; else 1."},
	ScheduleNextRun: {"lifeboat_schedule_next_run_timestamp_seconds", Gauge, scheduleLabels, Served,
		"When the controller must start the next run, by Velero's own rule. If it is in the past and does not change, nothing starts runs. Absent if the schedule is paused, not valid, or not in the cluster."},
	scheduleSuccessGrace: {"lifeboat_schedule_success_grace_seconds", Gauge, scheduleLabels, Served,
		"How long after its due time a run may still succeed: the annotation lifeboat.dev/success-grace, else half the interval, at least 15 minutes and at most 6 hours."},
	scheduleLastRun: {"lifeboat_schedule_last_run_timestamp_seconds", Gauge, scheduleLabels, Served,
		"Start of the newest run of the schedule, whatever its result, even if its backup no longer exists."},
	scheduleLastFailure: {"lifeboat_schedule_last_failure_timestamp_seconds", Gauge, scheduleLabels, Served,
		"Start of the newest run of the schedule that did not end Completed, even if its backup no longer exists."},
	scheduleOldestActive: {"lifeboat_schedule_oldest_active_run_timestamp_seconds", Gauge, scheduleLabels, Served,
		"Start of the oldest run of the schedule that has not ended; if it has not started, when it was requested. Absent if no run is in progress."},
	scheduleLastSuccessAdded: {"lifeboat_schedule_last_success_added_bytes", Gauge, scheduleLabels, Served,
		"Bytes that the newest Completed backup of the schedule added: its archive and, if the volume records have it, the data added by its volumes."},
	scheduleLastVolumes: {"lifeboat_schedule_last_backup_volumes", Gauge, scheduleResult, Served,
		"Volumes of the newest ended backup of the schedule, by result: succeeded, failed or skipped. In Velero, a backup that skipped volumes is Completed."},
	scheduleLastHooksFailed: {"lifeboat_schedule_last_backup_hooks_failed", Gauge, scheduleLabels, Served,
		"Hooks that failed in the newest ended backup of the schedule."},
	scheduleLastWarnings: {"lifeboat_schedule_last_backup_warnings", Gauge, scheduleLabels, Served,
		"Warnings of the newest ended backup of the schedule."},
	scheduleTTL: {"lifeboat_schedule_ttl_seconds", Gauge, scheduleLabels, Served,
		"How long the backups of the schedule are kept. A ttl of 0 means the server's default."},
	scheduleTTLDefaulted: {"lifeboat_schedule_ttl_defaulted", Gauge, scheduleLabels, Served,
		"1 if the Schedule's ttl is 0 or not set, so that its backups are deleted after the server's default (30 days, or the server's --default-backup-ttl), else 0."},
	scheduleExpectedMin: {"lifeboat_schedule_expected_backups_min", Gauge, scheduleLabels, Served,
		"Fewest Completed backups of the schedule that its cron expression and ttl imply now. Absent while it is paused or not valid."},
	scheduleExpectedMax: {"lifeboat_schedule_expected_backups_max", Gauge, scheduleLabels, Served,
		"Most backups of the schedule that its cron expression and ttl imply now, plus one, plus those that wait for garbage collection."},
	scheduleExpired: {"lifeboat_schedule_expired_backups", Gauge, scheduleLabels, Withheld,
		"Backups of the schedule that exist although they expired more than a garbage collection period ago."},
	scheduleGCBlocked: {"lifeboat_schedule_gc_blocked_backups", Gauge, scheduleReason, Withheld,
		"Backups of the schedule that garbage collection could not delete, by Velero's reason: BSLNotFound, BSLCannotGet, BSLReadOnly, or ObjectLock."},
	scheduleLocked: {"lifeboat_schedule_locked_backups", Gauge, scheduleLabels, Withheld,
		"Completed backups of the schedule whose files are retained by object lock at least until they expire. Only with --object-lock."},
	scheduleLockUntil: {"lifeboat_schedule_recovery_point_lock_until_timestamp_seconds", Gauge, scheduleLabels, Served,
		"Until when object lock keeps every file of the newest recovery point of the schedule. Absent without object lock."},

	drillLastRun: {"lifeboat_drill_last_run_timestamp_seconds", Gauge, scheduleLabels, Served,
		"When the newest drill of a backup of the schedule ended, whatever its result."},
	drillLastSuccess: {"lifeboat_drill_last_success_timestamp_seconds", Gauge, scheduleLabels, Served,
		"When the newest passed drill of a backup of the schedule ended, at any level."},
	DrillLastResult: {"lifeboat_drill_last_result", Gauge, []string{LabelSchedule, labelResult}, Withheld,
		"1 for the effective result, 0 for the others. failed: a backup is bad. error: the drill was inconclusive. timeout: the same, because its time limit passed. none: no drill has run. Of drills at several levels the newest of each counts, and the worst result wins."},
	DrillProvenRecoveryPoint: {"lifeboat_drill_proven_recovery_point_timestamp_seconds", Gauge, scheduleLabels, Served,
		"Start of the newest existing Completed backup of the schedule whose files, as they are now, passed a drill at the level of --proven-level. Absent if no backup is proven."},
	DrillProvenDeadline: {"lifeboat_drill_proven_deadline_timestamp_seconds", Gauge, scheduleLabels, Served,
		"By when a newer backup of the schedule must have passed a drill: the start of the newest one that did, plus lifeboat_drill_proven_target_seconds. Counted from the oldest drilled backup if none has passed. Absent if no backup was drilled."},
	drillStageDuration: {"lifeboat_drill_last_stage_duration_seconds", Gauge, []string{LabelSchedule, labelStage}, Served,
		"How long each stage of the newest drill took. The rehearsed recovery time is the sum of restore, compare, workloads and checks, which is also what the drill's check rto measures. The other stages belong to the drill itself."},
	drillExpectedItems: {"lifeboat_drill_expected_items", Gauge, scheduleLabels, Served,
		"Objects the newest drill that restored anything expected, by the backup's own record."},
	drillRestoredItems: {"lifeboat_drill_restored_items", Gauge, scheduleLabels, Served,
		"Objects the newest drill that restored anything found in its sandbox."},
	DrillDeadline: {"lifeboat_drill_deadline_timestamp_seconds", Gauge, scheduleLabels, Served,
		"By when the next drill of a backup of the schedule must have ended: the first due time after the newest drill, plus that drill's duration, plus a grace period. The due time follows the drill policy's cron expression if the evidence has it, else it is inferred from the newest ten drills. A backup that passed is not drilled again, so the due time is after the next backup is made or due. Absent if it cannot be determined."},
	DrillProvenTarget: {"lifeboat_drill_proven_target_seconds", Gauge, scheduleLabels, Served,
		"How old the newest proven recovery point may become: the annotation lifeboat.dev/proven-rpo, else an interval of the schedule plus --proven-within, else twice the interval of the drill policy plus lifeboat_schedule_rpo_target_seconds, else an interval of the schedule plus 7 days. Absent if the interval is not known."},
	drillCheckPassed: {"lifeboat_drill_check_passed", Gauge, scheduleCheck, Served,
		"1 if the check passed in the newest drill of the schedule, 0 if it failed. Checks that did not run have no series. integrity combines all checks of files; other combines the policy's own checks after the eighth."},
	drillChecks: {"lifeboat_drill_checks", Gauge, scheduleResult, Served,
		"Checks of the newest drill of the schedule, by result: passed, failed or skipped. A skipped check could not be made."},
	drillRTOTarget: {"lifeboat_drill_rto_target_seconds", Gauge, scheduleLabels, Served,
		"How long a recovery may take: the annotation lifeboat.dev/rto, else the target of the policy of the newest drill that could measure it (level kind). Absent without a target."},
	DrillDuration: {"lifeboat_drill_duration_seconds", Histogram, noLabels, Served,
		"How long passed drills took, by the ledger."},
	DrillRuns: {"lifeboat_drill_runs_total", Counter, scheduleLabels, Served,
		"Drills of backups of the schedule that have ended, by the ledger."},
	DrillFailures: {"lifeboat_drill_failures_total", Counter, scheduleReason, Served,
		"Drills of backups of the schedule that did not pass, by the ledger and by reason: integrity, restore, missing_items, ready, check (the backup is bad), timeout or infra (the drill was inconclusive)."},
	drillRestoredBytes: {"lifeboat_drill_restored_bytes", Gauge, scheduleLabels, Served,
		"Bytes of the objects, as JSON, that the newest drill that restored anything brought back. Volume data is not included. Absent if the evidence does not have it."},
	DrillVerified: {"lifeboat_drill_verified_backups", Gauge, scheduleLabels, Withheld,
		"Existing Completed backups of the schedule whose files, as they are now, passed a drill at the level of --proven-level."},
	drillActive: {"lifeboat_drill_active", Gauge, noLabels, Withheld,
		"Scheduled drills in progress: claimed in the drill ledger, within their time limit, and without evidence."},
	drillAbandoned: {"lifeboat_drill_abandoned", Gauge, noLabels, Withheld,
		"Scheduled drills whose time limit passed in the last 7 days and that have neither evidence nor a release: their verifier was killed, and its sandbox may still exist."},

	locationAvailable: {"lifeboat_location_available", Gauge, locationLabels, Withheld,
		"1 if the location answered the last listing of its backups, else 0. Withheld once the last attempt is stale."},
	locationLastScan: {"lifeboat_location_last_scan_timestamp_seconds", Gauge, locationLabels, Served,
		"When the last reading of the location ended, successful or not."},
	locationScanSuccess: {"lifeboat_location_scan_success", Gauge, locationLabels, Withheld,
		"1 if the last reading of the location, backups and evidence, was complete, else 0."},
	locationScanDuration: {"lifeboat_location_scan_duration_seconds", Gauge, locationLabels, Served,
		"How long the last reading of the location took."},
	locationIncompleteBackups: {"lifeboat_location_incomplete_backups", Gauge, locationLabels, Withheld,
		"Folders of backups that have no velero-backup.json, or whose finished backup lacks its archive: still being written, interrupted, or partly deleted. They are not counted as backups."},
	locationUnreadableObjects: {"lifeboat_location_unreadable_objects", Gauge, locationLabels, Withheld,
		"velero-backup.json files, pieces of evidence and records of volumes that are unreadable or malformed; the log names each once. They are not counted as backups, drills or volumes."},
	locationRequests: {"lifeboat_location_requests_total", Counter, []string{labelLocation, labelOperation}, Served,
		"Requests the exporter sent to the location since it started, by operation: list (one for each page of a listing), get, other. Retries are included. On a file system, calls."},
	locationAccessMode: {"lifeboat_location_access_mode", Gauge, locationMode, Withheld,
		"1 for the access mode of the BackupStorageLocation, ReadWrite or ReadOnly, 0 for the other. Absent without a cluster."},
	locationLastValidation: {"lifeboat_location_last_validation_timestamp_seconds", Gauge, locationLabels, Served,
		"When the controller last validated the BackupStorageLocation. If it does not change, the controller is not working."},
	locationValidationInterval: {"lifeboat_location_validation_interval_seconds", Gauge, locationLabels, Served,
		"How often the controller must validate the BackupStorageLocation: its validationFrequency, else a minute. Absent if that is 0, which turns validation off."},
	locationProbeDuration: {"lifeboat_location_probe_duration_seconds", Gauge, locationOperation, Withheld,
		"How long the last operation of each kind took: list, the first page of the names of backups; get, the last object that was read; and with --probe-writes, put and delete of one small object."},
	locationStoredBytes: {"lifeboat_location_stored_bytes", Gauge, locationContent, Served,
		"Bytes stored in the location, by content: catalog (backups and restores without volume data), volumes (kopia and restic), ledger, drills, other. As of the last storage scan."},
	locationObjects: {"lifeboat_location_objects", Gauge, locationContent, Served,
		"Objects stored in the location, by content, as of the last storage scan."},
	locationLogicalBytes: {"lifeboat_location_logical_bytes", Gauge, locationLabels, Served,
		"Bytes of volume data in the existing backups of the location, each backup counted in full, by their volume records. Divided by lifeboat_location_stored_bytes{content=\"volumes\"} it gives the deduplication ratio."},
	locationStorageScan: {"lifeboat_location_last_storage_scan_timestamp_seconds", Gauge, locationLabels, Served,
		"When the last storage scan, which counts everything in the location, ended."},
	locationMissing: {"lifeboat_location_missing_backups", Gauge, locationLabels, Withheld,
		"Completed and PartiallyFailed backups that the cluster lists and the location does not hold."},
	locationOrphaned: {"lifeboat_location_orphaned_backups", Gauge, locationLabels, Withheld,
		"Backups that the location holds and the cluster does not list, more than a sync period (an hour) after they ended."},
	locationForeign: {"lifeboat_location_foreign_backups", Gauge, locationLabels, Withheld,
		"Backups that the cluster lists in the location and that another cluster made."},
	locationLockEnabled: {"lifeboat_location_object_lock_enabled", Gauge, locationLabels, Withheld,
		"1 if object lock is enabled on the bucket, else 0. Only with --object-lock."},
	locationLockRequired: {"lifeboat_location_object_lock_required", Gauge, locationLabels, Served,
		"1 if --object-lock=require, else 0."},
	locationLockMode: {"lifeboat_location_object_lock_mode", Gauge, locationLockModes, Withheld,
		"1 for the default retention mode of the bucket, GOVERNANCE, COMPLIANCE or none, 0 for the others. Only with --object-lock."},
	locationLockRetention: {"lifeboat_location_object_lock_default_retention_seconds", Gauge, locationLabels, Withheld,
		"Default retention of the bucket, in seconds; a year counts as 365 days. Only with --object-lock."},
	locationVersioning: {"lifeboat_location_versioning_enabled", Gauge, locationLabels, Withheld,
		"1 if versioning is enabled on the bucket, else 0. Only with --object-lock."},
	locationScanInterval: {"lifeboat_location_scan_interval_seconds", Gauge, locationLabels, Served,
		"The time between two readings of the location, --refresh-interval."},
	locationMaintenance: {"lifeboat_repository_last_maintenance_timestamp_seconds", Gauge, locationLabels, Served,
		"The oldest of the last maintenance times of the repositories of the location."},

	exporterSourceUp: {"lifeboat_exporter_source_up", Gauge, sourceLabels, Served,
		"1 if the last attempt to read the source succeeded, recently, else 0. While it is 0, metrics about the present are withheld and timestamps keep their last known value."},
	exporterSourceLastSuccess: {"lifeboat_exporter_source_last_success_timestamp_seconds", Gauge, sourceLabels, Served,
		"When the source was last read completely. Absent until then."},
	exporterAmbiguousSchedules: {"lifeboat_exporter_ambiguous_schedules", Gauge, noLabels, Served,
		"Schedule names found in more than one location. If they belong to different clusters, a working schedule hides a broken one: give each cluster its own exporter."},
	exporterCollectorSuccess: {"lifeboat_exporter_collector_success", Gauge, collectorLabels, Served,
		"1 if the last refresh of the collector (kube, ledger, bucket, drills, claims or storage) was complete, else 0. For several locations, 1 if all were."},
	exporterCollectorDuration: {"lifeboat_exporter_collector_duration_seconds", Gauge, collectorLabels, Served,
		"How long the last refresh of the collector took. For several locations, the longest."},
	exporterDroppedSeries: {"lifeboat_exporter_dropped_series", Gauge, reasonLabels, Served,
		"Series that are not served because of a limit, by reason: schedules (--max-schedules), checks, repositories."},
	exporterLedgerSince: {"lifeboat_exporter_ledger_start_timestamp_seconds", Gauge, noLabels, Served,
		"When the counters began: the beginning of the ledger or, without one, the start of the exporter."},
	exporterLedgerPersistent: {"lifeboat_exporter_ledger_persistent", Gauge, noLabels, Served,
		"1 if the counters are kept in a location (--ledger), 0 if they restart with the exporter."},
	exporterConfigReload: {"lifeboat_exporter_config_last_reload_successful", Gauge, noLabels, Served,
		"1 if the configuration was valid when it was last read, which is at the start."},
	exporterConfigReloadTime: {"lifeboat_exporter_config_last_reload_success_timestamp_seconds", Gauge, noLabels, Served,
		"When a valid configuration was last read, which is at the start."},
	exporterBuildInfo: {"lifeboat_exporter_build_info", Gauge, buildInfoLabels, Served,
		"Always 1. The version, revision and Go version of the program."},
}
