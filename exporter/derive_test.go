package exporter

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/metrics"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

const (
	deadlineOfDB = `lifeboat_schedule_success_deadline_timestamp_seconds{schedule="db"}`
	recoveryOfDB = `lifeboat_schedule_recovery_point_timestamp_seconds{schedule="db"}`
	provenOfDB   = `lifeboat_drill_proven_recovery_point_timestamp_seconds{schedule="db"}`
	provenBy     = `lifeboat_drill_proven_deadline_timestamp_seconds{schedule="db"}`
)

func lastResult(result string) string {
	return fmt.Sprintf(`lifeboat_drill_last_result{schedule="db",result=%q}`, result)
}

func lastPhaseOf(phase string) string {
	return fmt.Sprintf(`lifeboat_schedule_last_backup_phase{schedule="db",phase=%q}`, phase)
}

func day(n int) time.Time { return noon.AddDate(0, 0, n).Add(-10 * time.Hour) } // 02:00

func daily(t *testing.T) state.Config {
	return state.Config{Schedules: map[string]schedule.Cron{"db": cron(t, "0 2 * * *")}}
}

func TestAScheduleThatSucceedsIsShownByItsNewestCompletedBackup(t *testing.T) {
	cfg := daily(t)
	backups := []fact.Backup{
		completedBackup("db", "db-1", day(-2)), completedBackup("db", "db-2", day(-1)), completedBackup("db", "db-3", day(0)),
	}
	backups[2].Items, backups[2].ArchiveSize = 7, 4096
	got := derived(t, noon, oneLocation(cfg, backups), cfg)

	for series, want := range map[string]float64{
		recoveryOfDB: unix(day(0)),
		`lifeboat_schedule_oldest_recovery_point_timestamp_seconds{schedule="db"}`: unix(day(-2)),
		deadlineOfDB: unix(day(1).Add(10*time.Minute + 6*time.Hour)),
		`lifeboat_schedule_info{schedule="db",cron="0 2 * * *",timezone="UTC",backup_location_name="default"}`: 1,
		`lifeboat_schedule_backups{schedule="db",phase="Completed"}`:                                           3,
		`lifeboat_schedule_backups{schedule="db",phase="Failed"}`:                                              0,
		lastPhaseOf("Completed"): 1,
		lastPhaseOf("None"):      0,
		`lifeboat_schedule_consecutive_failures{schedule="db"}`:           0,
		`lifeboat_schedule_last_success_duration_seconds{schedule="db"}`:  600,
		`lifeboat_schedule_last_success_size_bytes{schedule="db"}`:        4096,
		`lifeboat_schedule_rpo_target_seconds{schedule="db"}`:             2*86400 + 6*3600,
		`lifeboat_schedule_rpo_deadline_timestamp_seconds{schedule="db"}`: unix(day(2).Add(6 * time.Hour)),
		`velero_backup_last_successful_timestamp{schedule="db"}`:          unix(day(0).Add(10 * time.Minute)),
		`velero_backup_last_status{schedule="db"}`:                        1,
		`velero_backup_items_total{schedule="db"}`:                        7,
		`velero_backup_items_errors{schedule="db"}`:                       0,
		`velero_backup_tarball_size_bytes{schedule="db"}`:                 4096,
		`velero_backup_total`:                                             3,
	} {
		assert.Equal(t, want, got[series], series)
		assert.Contains(t, got, series)
	}
}

func TestAFailureIsShownUntilTheNextSuccessAndMovesNoRecoveryPoint(t *testing.T) {
	cfg := daily(t)
	good := completedBackup("db", "db-1", day(-2))
	partial := endedAs(velerov1.BackupPhasePartiallyFailed, completedBackup("db", "db-2", day(-1)))
	failed := endedAs(velerov1.BackupPhaseFailed, completedBackup("db", "db-3", day(0)))
	running := endedAs(velerov1.BackupPhaseInProgress, completedBackup("db", "db-4", day(0).Add(time.Hour)))
	got := derived(t, noon, oneLocation(cfg, []fact.Backup{failed, running, good, partial}), cfg)

	assert.Equal(t, 1.0, got[lastPhaseOf("Failed")], "a run that has not ended says nothing yet")
	assert.Equal(t, 0.0, got[lastPhaseOf("Completed")])
	assert.Equal(t, 0.0, got[`velero_backup_last_status{schedule="db"}`])
	assert.Equal(t, 2.0, got[`lifeboat_schedule_consecutive_failures{schedule="db"}`])
	assert.Equal(t, 1.0, got[`lifeboat_schedule_backups{schedule="db",phase="Active"}`])
	assert.Equal(t, 1.0, got[`lifeboat_schedule_backups{schedule="db",phase="PartiallyFailed"}`])
	assert.Equal(t, unix(day(-2)), got[recoveryOfDB])
	assert.Equal(t, unix(day(-1).Add(10*time.Minute+6*time.Hour)), got[deadlineOfDB], "the deadline counts from the success")

	healed := completedBackup("db", "db-5", day(0).Add(2*time.Hour))
	got = derived(t, noon, oneLocation(cfg, []fact.Backup{failed, running, good, partial, healed}), cfg)
	assert.Equal(t, 1.0, got[lastPhaseOf("Completed")])
	assert.Equal(t, 0.0, got[`lifeboat_schedule_consecutive_failures{schedule="db"}`])
}

func TestABackupThatEndedBeforeItStartedTookNoTime(t *testing.T) {
	cfg := daily(t)
	b := completedBackup("db", "db-1", day(0))
	b.Completed = b.Start.Add(-time.Hour)
	got := derived(t, noon, oneLocation(cfg, []fact.Backup{b}), cfg)
	assert.Zero(t, got[`lifeboat_schedule_last_success_duration_seconds{schedule="db"}`])
	assert.Equal(t, unix(day(1).Add(6*time.Hour)), got[deadlineOfDB])
}

func TestDeadlineOfAScheduleWithoutASuccess(t *testing.T) {
	cfg := daily(t)

	got := derived(t, noon, oneLocation(cfg, nil), cfg)
	assert.Equal(t, unix(day(0).Add(6*time.Hour)), got[deadlineOfDB], "never ran: the first run due after the exporter began to watch, a day before noon")
	assert.Equal(t, 1.0, got[lastPhaseOf("None")])
	assert.NotContains(t, got, recoveryOfDB)
	assert.NotContains(t, got, `velero_backup_last_successful_timestamp{schedule="db"}`, "never is absent, not 1970")
	assert.NotContains(t, got, `velero_backup_last_status{schedule="db"}`)

	failed := []fact.Backup{
		endedAs(velerov1.BackupPhaseFailed, completedBackup("db", "db-1", day(-5))),
		endedAs(velerov1.BackupPhaseFailed, completedBackup("db", "db-2", day(0))),
	}
	got = derived(t, noon, oneLocation(cfg, failed), cfg)
	assert.Equal(t, unix(day(-4).Add(6*time.Hour)), got[deadlineOfDB], "always failed: the run after the oldest one, restart or not")
}

func TestDeadlineIsInferredWhenTheCronExpressionIsNotKnown(t *testing.T) {
	var cfg state.Config
	one := []fact.Backup{completedBackup("db", "db-1", day(0))}
	got := derived(t, noon, oneLocation(cfg, one), cfg)
	assert.NotContains(t, got, deadlineOfDB, "one backup shows no interval")
	assert.NotContains(t, got, `lifeboat_schedule_rpo_target_seconds{schedule="db"}`)
	assert.Contains(t, got, `lifeboat_schedule_info{schedule="db",cron="",timezone="",backup_location_name="default"}`)

	// Tuesday to Friday, then Monday: the weekend is the longest gap.
	var weekdays []fact.Backup
	for i, n := range []int{-6, -5, -4, -3, 0} {
		weekdays = append(weekdays, completedBackup("db", fmt.Sprint("db-", i), day(n)))
	}
	got = derived(t, noon, oneLocation(cfg, weekdays), cfg)
	assert.Equal(t, unix(day(3).Add(10*time.Minute+6*time.Hour)), got[deadlineOfDB])
	assert.Equal(t, float64((6*24+6)*3600), got[`lifeboat_schedule_rpo_target_seconds{schedule="db"}`])
}

func TestAnAgreedRPOReplacesTheInferredOne(t *testing.T) {
	cfg := daily(t)
	cfg.RPO = map[string]time.Duration{"db": 36 * time.Hour}
	got := derived(t, noon, oneLocation(cfg, []fact.Backup{completedBackup("db", "db-1", day(0))}), cfg)
	assert.Equal(t, float64(36*3600), got[`lifeboat_schedule_rpo_target_seconds{schedule="db"}`])
	assert.Equal(t, unix(day(0).Add(36*time.Hour)), got[`lifeboat_schedule_rpo_deadline_timestamp_seconds{schedule="db"}`])
}

func TestBackupsMadeByHandAreCountedAndPromiseNothing(t *testing.T) {
	cfg := daily(t)
	byHand := completedBackup("", "before-upgrade", day(-1))
	failed := endedAs(velerov1.BackupPhaseFailed, completedBackup("", "before-upgrade-2", day(0)))
	got := derived(t, noon, oneLocation(cfg, []fact.Backup{byHand, failed, completedBackup("db", "db-1", day(-3))}), cfg)

	assert.Equal(t, 3.0, got[`velero_backup_total`])
	assert.Equal(t, 1.0, got[`lifeboat_schedule_backups{schedule="",phase="Completed"}`])
	assert.Equal(t, unix(day(-1)), got[`lifeboat_schedule_recovery_point_timestamp_seconds{schedule=""}`])
	assert.Equal(t, unix(day(-3)), got[recoveryOfDB], "a backup made by hand does not make a dead schedule look alive")
	for _, promise := range []string{
		"lifeboat_schedule_success_deadline_timestamp_seconds", "lifeboat_schedule_last_backup_phase",
		"lifeboat_schedule_consecutive_failures", "lifeboat_schedule_rpo_", "lifeboat_drill_last_result",
	} {
		for _, series := range seriesOf(got, promise) {
			assert.NotContains(t, series, `schedule=""`)
		}
	}
}

func TestNothingIsSaidBeforeTheFirstReading(t *testing.T) {
	cfg := daily(t)
	known := assembled(noon, []state.LocationState{{Name: "default"}}, cfg.WithDefaults())
	assert.Equal(t, map[string]float64{
		`lifeboat_exporter_build_info{version="",revision="",goversion=""}`:                  0,
		`lifeboat_exporter_source_up{source="bucket",backup_location_name="default"}`:        0,
		`lifeboat_exporter_source_up{source="drills",backup_location_name="default"}`:        0,
		`lifeboat_exporter_config_last_reload_successful`:                                    1,
		`lifeboat_exporter_config_last_reload_success_timestamp_seconds`:                     unix(noon),
		`lifeboat_location_object_lock_required{backup_location_name="default"}`:             0,
		`lifeboat_location_scan_interval_seconds{backup_location_name="default"}`:            60,
		`lifeboat_exporter_ambiguous_schedules`:                                              0,
		`lifeboat_exporter_dropped_series{reason="schedules"}`:                               0,
		`lifeboat_location_requests_total{backup_location_name="default",operation="get"}`:   0,
		`lifeboat_location_requests_total{backup_location_name="default",operation="list"}`:  0,
		`lifeboat_location_requests_total{backup_location_name="default",operation="other"}`: 0,
		`lifeboat_exporter_dropped_series{reason="checks"}`:                                  0,
		`lifeboat_exporter_source_up{source="ledger",backup_location_name=""}`:               0,
	}, func() map[string]float64 {
		got := derived(t, noon, known, cfg)
		got[`lifeboat_exporter_build_info{version="",revision="",goversion=""}`]--
		return got
	}())
}

func TestAStaleSourceKeepsTimestampsAndWithholdsVerdicts(t *testing.T) {
	cfg := daily(t)
	b := completedBackup("db", "db-1", day(0))
	known := oneLocation(cfg, []fact.Backup{b}, drillOfBackup(b, report.LevelControlPlane, report.Passed))
	known.Ledger = &state.LedgerState{Source: readAt(noon), Totals: fact.Totals{Since: day(0)}}
	staleAfter := cfg.WithDefaults().StaleAfter()
	assert.Equal(t, 3*time.Minute, staleAfter)

	fresh := derived(t, noon.Add(staleAfter), known, cfg)
	stale := derived(t, noon.Add(staleAfter+time.Second), known, cfg)

	for series, value := range fresh {
		id := idOf(t, series)
		switch {
		case metrics.Catalog[id].WhenStale == metrics.Withheld:
			assert.NotContains(t, stale, series)
		case metrics.Catalog[id].Name == "lifeboat_exporter_source_up":
			assert.Equal(t, 1.0, value)
			assert.Equal(t, 0.0, stale[series])
		default:
			assert.Contains(t, stale, series)
			assert.Equal(t, value, stale[series], series)
		}
	}
	assert.Contains(t, stale, deadlineOfDB)
	assert.Contains(t, stale, provenOfDB)
	assert.Contains(t, fresh, lastResult("passed"))
}

func idOf(t *testing.T, series string) metrics.ID {
	t.Helper()
	for id, m := range metrics.Catalog {
		if series == m.Name || len(series) > len(m.Name) && series[:len(m.Name)+1] == m.Name+"{" {
			return metrics.ID(id)
		}
	}
	t.Fatalf("%s is not in the catalog", series)
	return 0
}

func TestAFailedAttemptIsSaidAtOnceAndTheLocationStaysUnavailableForAsLongAsItIsTried(t *testing.T) {
	cfg := daily(t)
	known := oneLocation(cfg, []fact.Backup{completedBackup("db", "db-1", day(0))})
	l := &known.Locations[0]
	l.Answered, l.Backups.LastAttempt, l.Drills.LastAttempt = false, noon.Add(time.Minute), noon.Add(time.Minute)

	got := derived(t, noon.Add(time.Minute), known, cfg)
	assert.Equal(t, 0.0, got[`lifeboat_exporter_source_up{source="bucket",backup_location_name="default"}`])
	assert.Equal(t, 0.0, got[`lifeboat_location_available{backup_location_name="default"}`])
	assert.Equal(t, 0.0, got[`lifeboat_location_scan_success{backup_location_name="default"}`])
	assert.Contains(t, got, lastPhaseOf("Completed"), "what was read a minute ago still holds")

	l.Backups.LastAttempt, l.Drills.LastAttempt = noon.Add(time.Hour), noon.Add(time.Hour)
	got = derived(t, noon.Add(time.Hour), known, cfg)
	assert.Equal(t, 0.0, got[`lifeboat_location_available{backup_location_name="default"}`], "an hour of failures is no reason to fall silent")
	assert.NotContains(t, got, lastPhaseOf("Completed"))

	got = derived(t, noon.Add(2*time.Hour), known, cfg)
	assert.NotContains(t, got, `lifeboat_location_available{backup_location_name="default"}`, "nobody has tried for an hour")
}

func TestOneUnreadableLocationDoesNotBlindTheOthers(t *testing.T) {
	cfg := state.Config{}
	mine := []fact.Backup{completedBackup("db", "db-1", day(-1)), completedBackup("db", "db-2", day(0))}
	known := assembled(noon, []state.LocationState{
		{Name: "near", Answered: true, Backups: readAt(noon), Drills: readAt(noon), BackupList: located(mine, "near")},
		{Name: "far", Backups: state.SourceState{LastAttempt: noon}, Drills: state.SourceState{LastAttempt: noon}},
	}, cfg.WithDefaults())
	got := derived(t, noon, known, cfg)
	assert.Equal(t, 1.0, got[lastPhaseOf("Completed")])
	assert.Contains(t, got, deadlineOfDB)
	assert.NotContains(t, got, "velero_backup_total", "how many there are in all, nobody knows")
	assert.Equal(t, 0.0, got[`lifeboat_exporter_source_up{source="bucket",backup_location_name="far"}`])
}

func TestAScheduleNameInTwoLocationsIsReported(t *testing.T) {
	cfg := state.Config{}
	known := assembled(noon, []state.LocationState{
		{Name: "a", Backups: readAt(noon), Drills: readAt(noon), BackupList: located([]fact.Backup{completedBackup("db", "x", day(-1))}, "a")},
		{Name: "b", Backups: readAt(noon), Drills: readAt(noon), BackupList: located([]fact.Backup{completedBackup("db", "y", day(0))}, "b")},
	}, cfg.WithDefaults())
	got := derived(t, noon, known, cfg)
	assert.Equal(t, 1.0, got["lifeboat_exporter_ambiguous_schedules"])
	assert.Contains(t, got, `lifeboat_schedule_info{schedule="db",cron="",timezone="",backup_location_name="b"}`)
}

func TestSchedulesOverTheBoundAreDroppedKnownOnesLast(t *testing.T) {
	cfg := daily(t)
	cfg.MaxSchedules = 2
	backups := []fact.Backup{
		completedBackup("a", "a-1", day(0)), completedBackup("b", "b-1", day(0)), completedBackup("c", "c-1", day(0)),
	}
	got := derived(t, noon, oneLocation(cfg, backups), cfg)
	assert.Equal(t, 2.0, got[`lifeboat_exporter_dropped_series{reason="schedules"}`])
	assert.Contains(t, got, deadlineOfDB, "a schedule someone named comes before what was found")
	assert.Contains(t, got, `lifeboat_schedule_recovery_point_timestamp_seconds{schedule="a"}`)
	assert.NotContains(t, got, `lifeboat_schedule_recovery_point_timestamp_seconds{schedule="b"}`)
	assert.Equal(t, 3.0, got["velero_backup_total"], "all are counted")
}

func TestMoreBackupsMakeNoMoreSeries(t *testing.T) {
	cfg := daily(t)
	series := func(n int) int {
		var backups []fact.Backup
		var drills []fact.Drill
		for i := range n {
			b := completedBackup("db", fmt.Sprint("db-", i), day(0).Add(-time.Duration(i)*time.Hour))
			backups = append(backups, b)
			drills = append(drills, drillOfBackup(b, report.LevelControlPlane, report.Passed))
		}
		return len(derived(t, noon, oneLocation(cfg, backups, drills...), cfg))
	}
	assert.Equal(t, series(2), series(2000))
}
