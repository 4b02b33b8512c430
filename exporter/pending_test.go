package exporter

// pending are metrics that this fixture does not show yet.
var pending = map[string]bool{
	"lifeboat_schedule_last_backup_volumes":                          true,
	"lifeboat_schedule_locked_backups":                               true,
	"lifeboat_schedule_recovery_point_lock_until_timestamp_seconds":  true,
	"lifeboat_location_probe_duration_seconds":                       true,
	"lifeboat_location_stored_bytes":                                 true,
	"lifeboat_location_objects":                                      true,
	"lifeboat_location_logical_bytes":                                true,
	"lifeboat_location_last_storage_scan_timestamp_seconds":          true,
	"lifeboat_location_object_lock_enabled":                          true,
	"lifeboat_location_object_lock_required":                         true,
	"lifeboat_location_object_lock_mode":                             true,
	"lifeboat_location_object_lock_default_retention_seconds":        true,
	"lifeboat_location_versioning_enabled":                           true,
	"lifeboat_location_scan_interval_seconds":                        true,
	"lifeboat_exporter_collector_success":                            true,
	"lifeboat_exporter_collector_duration_seconds":                   true,
	"lifeboat_exporter_config_last_reload_successful":                true,
	"lifeboat_exporter_config_last_reload_success_timestamp_seconds": true,
}
