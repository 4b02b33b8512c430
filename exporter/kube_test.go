package exporter

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/kube"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
)

// ofDB is a series of the schedule db.
func ofDB(name string) string { return name + `{schedule="db"}` }

const (
	nextOfDB   = `lifeboat_schedule_next_run_timestamp_seconds{schedule="db"}`
	validOfDB  = `lifeboat_schedule_valid{schedule="db"}`
	pausedOfDB = `lifeboat_schedule_paused{schedule="db"}`
	minOfDB    = `lifeboat_schedule_expected_backups_min{schedule="db"}`
	maxOfDB    = `lifeboat_schedule_expected_backups_max{schedule="db"}`
)

func utc(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return v
}

// at is a state in which everything was read at now: what one cluster and its
// location hold of the schedule.
func at(now time.Time, s fact.Schedule, cfg state.Config, backups ...fact.Backup) state.State {
	return state.Assemble(state.State{
		Started: now.Add(-time.Hour),
		Locations: []state.LocationState{{
			Name: "default", Answered: true, Backups: readAt(now), Drills: readAt(now), BackupList: located(append([]fact.Backup(nil), backups...), "default"),
		}},
		Kube: &state.KubeState{Source: readAt(now), KubeScan: fact.KubeScan{
			Schedules: []fact.Schedule{s}, Backups: inCluster("default", backups...),
			Locations: []fact.StorageLocation{{Name: "default", Default: true, Available: true}},
		}},
	}, cfg.WithDefaults())
}

// The runs here took ten minutes.
func TestWhenASuccessIsDue(t *testing.T) {
	const took = 10 * time.Minute
	for name, tc := range map[string]struct {
		expr, created, success, now string
		want                        string // without took
	}{
		"hourly": {"@every 1h", "2026-01-01T00:00:00Z", "2026-11-22T11:00:00Z", "2026-11-22T11:30:00Z", "2026-11-22T12:30:00Z"},
		"daily by every": {
			"@every 24h", "2026-01-01T00:00:00Z", "2026-11-21T13:00:00Z", "2026-11-22T12:00:00Z", "2026-11-22T19:00:00Z"},
		"730 hours are longer than the shortest months and shorter than the longest": {
			"@every 730h", "2026-01-01T00:00:00Z", "2026-11-01T00:00:00Z", "2026-11-22T12:00:00Z", "2026-12-01T16:00:00Z"},
		"yearly by every": {
			"@every 8760h", "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-11-22T12:00:00Z", "2027-01-01T06:00:00Z"},
		"weekdays: Friday's success is good until Monday": {
			"0 9 * * 1-5", "2026-01-01T00:00:00Z", "2026-11-20T09:00:00Z", "2026-11-22T12:00:00Z", "2026-11-23T15:00:00Z"},
		"the hour that spring leaves out is not awaited": {
			"CRON_TZ=Europe/Berlin 30 2 * * *", "2026-01-01T00:00:00Z", "2026-03-28T01:30:00Z", "2026-03-29T03:00:00Z", "2026-03-30T06:30:00Z"},
		"noon in Berlin is an hour later in the autumn": {
			"CRON_TZ=Europe/Berlin 0 12 * * *", "2026-01-01T00:00:00Z", "2026-10-24T10:00:00Z", "2026-10-25T03:00:00Z", "2026-10-25T17:00:00Z"},
		"noon in Berlin is an hour earlier in the spring": {
			"CRON_TZ=Europe/Berlin 0 12 * * *", "2026-01-01T00:00:00Z", "2026-03-28T11:00:00Z", "2026-03-29T03:00:00Z", "2026-03-29T16:00:00Z"},
		"monthly after the shortest month": {
			"0 0 1 * *", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-01T06:00:00Z"},
		"monthly after a long one": {
			"0 0 1 * *", "2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z", "2026-07-31T00:00:00Z", "2026-08-01T06:00:00Z"},
		"a leap day is four years after the last": {
			"0 0 29 2 *", "2023-01-01T00:00:00Z", "2024-02-29T00:00:00Z", "2026-11-22T00:00:00Z", "2028-02-29T06:00:00Z"},
		"never ran: the first run after it was made": {
			"0 2 * * *", "2026-11-22T11:00:00Z", "", "2026-11-22T12:00:00Z", "2026-11-23T08:00:00Z"},
		"made again under its name: the runs of before move nothing forward": {
			"0 2 * * *", "2026-11-22T11:00:00Z", "2026-11-20T02:00:00Z", "2026-11-22T12:00:00Z", "2026-11-23T08:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			now := utc(t, tc.now)
			s := kubeSchedule(t, "db", tc.expr, utc(t, tc.created))
			var backups []fact.Backup
			want := utc(t, tc.want)
			if tc.success != "" {
				backups = append(backups, completedBackup("db", "db-1", utc(t, tc.success)))
				want = want.Add(took)
			}
			got := derived(t, now, at(now, s, state.Config{}, backups...), state.Config{})
			assertTime(t, got, deadlineOfDB, want)
		})
	}
}

func TestWhatTheUsersSchedulesPromise(t *testing.T) {
	made := noon.AddDate(-2, 0, 0)
	for _, tc := range []struct {
		name, expr    string
		ttl           time.Duration
		kept          float64 // seconds
		defaulted     float64
		fewest, most  float64
		interval, rpo time.Duration
	}{
		{"backup-1h", "@every 1h", 25 * time.Hour, 25 * 3600, 0, 23, 27, time.Hour, 2*time.Hour + 30*time.Minute},
		{"backup-1d", "@every 24h", 730 * time.Hour, 730 * 3600, 0, 29, 32, 24 * time.Hour, 54 * time.Hour},
		{"backup-1m", "@every 730h", 8760 * time.Hour, 8760 * 3600, 0, 10, 14, 730 * time.Hour, 1466 * time.Hour},
		// Meant for ever; what it means is 30 days, in which no yearly run lies.
		{"backup-1y", "@every 8760h", 0, 30 * 86400, 1, 0, 2, 8760 * time.Hour, 17526 * time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := kubeSchedule(t, "db", tc.expr, made)
			s.TTL = tc.ttl
			got := derived(t, noon, at(noon, s, state.Config{}), state.Config{})
			assert.Equal(t, tc.kept, got[ofDB("lifeboat_schedule_ttl_seconds")])
			assert.Equal(t, tc.defaulted, got[ofDB("lifeboat_schedule_ttl_defaulted")])
			assert.Equal(t, tc.fewest, got[minOfDB])
			assert.Equal(t, tc.most, got[maxOfDB])
			assert.Equal(t, tc.interval.Seconds(), got[ofDB("velero_schedule_expected_interval_seconds")])
			assert.Equal(t, tc.rpo.Seconds(), got[ofDB("lifeboat_schedule_rpo_target_seconds")])
		})
	}
	t.Run("the server's own default counts", func(t *testing.T) {
		cfg := state.Config{ServerTTL: 90 * 24 * time.Hour}
		got := derived(t, noon, at(noon, kubeSchedule(t, "db", "@daily", made), cfg), cfg)
		assert.Equal(t, 90*86400.0, got[ofDB("lifeboat_schedule_ttl_seconds")])
		assert.Equal(t, 89.0, got[minOfDB])
	})
}

func TestAYoungScheduleIsExpectedToHaveFewBackups(t *testing.T) {
	s := kubeSchedule(t, "db", "0 * * * *", noon.Add(-150*time.Minute))
	s.TTL = 25 * time.Hour
	got := derived(t, noon, at(noon, s, state.Config{}), state.Config{})
	assert.Equal(t, 2.0, got[minOfDB], "three were due since, and the newest may still run")
	assert.Equal(t, 5.0, got[maxOfDB])
}

func TestExpectedBackupsAreTheSameCountedOnceOrOnAndOn(t *testing.T) {
	s := kubeSchedule(t, "db", "CRON_TZ=Europe/Berlin 7,20 */3 * * 1-5", noon.AddDate(0, 0, -40))
	s.TTL = 30 * 24 * time.Hour
	cfg := state.Config{}.WithDefaults()
	known := at(noon.AddDate(0, 0, -20), s, cfg)
	for h := range 20 * 24 {
		now := noon.AddDate(0, 0, -20).Add(time.Duration(h)*time.Hour + 13*time.Minute)
		next := at(now, s, cfg)
		once := next.Schedules[0].Firings.Count
		next.Schedules = known.Schedules
		known = state.Assemble(next, cfg)
		require.Equal(t, once, known.Schedules[0].Firings.Count, now)
	}
}

func TestTheNextRunIsVelerosOwnRule(t *testing.T) {
	made := utc(t, "2026-11-20T10:00:00Z")
	for name, tc := range map[string]struct {
		change func(*fact.Schedule)
		want   string // "" for none
	}{
		"after the making of the Schedule": {func(*fact.Schedule) {}, "2026-11-21T02:00:00Z"},
		"after the last run":               {func(s *fact.Schedule) { s.LastBackup = day(0) }, "2026-11-23T02:00:00Z"},
		"a run that was to be skipped": {func(s *fact.Schedule) {
			s.LastBackup, s.LastSkipped = day(-1), day(0).Add(time.Hour)
		}, "2026-11-23T02:00:00Z"},
		"none while paused":             {func(s *fact.Schedule) { s.Paused = true }, ""},
		"none when Velero refuses it":   {func(s *fact.Schedule) { s.Invalid = "Velero refuses it: invalid schedule" }, ""},
		"it stands still when overdue":  {func(s *fact.Schedule) { s.LastBackup = day(-2) }, "2026-11-21T02:00:00Z"},
		"an old skip moves nothing":     {func(s *fact.Schedule) { s.LastBackup, s.LastSkipped = day(0), day(-1) }, "2026-11-23T02:00:00Z"},
		"made again after its last run": {func(s *fact.Schedule) { s.Created, s.LastBackup = day(0), time.Time{} }, "2026-11-23T02:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			s := kubeSchedule(t, "db", "0 2 * * *", made)
			tc.change(&s)
			got := derived(t, noon, at(noon, s, state.Config{}), state.Config{})
			if tc.want == "" {
				assert.NotContains(t, got, nextOfDB)
				return
			}
			assertTime(t, got, nextOfDB, utc(t, tc.want))
		})
	}
}

func TestAPausedSchedulePromisesNoRunAndStaysKnown(t *testing.T) {
	s := kubeSchedule(t, "db", "0 2 * * *", day(-30))
	s.Paused = true
	old := completedBackup("db", "db-1", day(-10))
	got := derived(t, noon, at(noon, s, state.Config{}, old), state.Config{})
	assert.Equal(t, 1.0, got[pausedOfDB])
	assert.Equal(t, 1.0, got[validOfDB])
	for _, series := range []string{deadlineOfDB, nextOfDB, minOfDB, maxOfDB} {
		assert.NotContains(t, got, series)
	}
	assert.Equal(t, unix(day(-10)), got[recoveryOfDB])
	assert.Equal(t, unix(day(-30)), got[ofDB("lifeboat_schedule_created_timestamp_seconds")])
	assert.Contains(t, got, ofDB("lifeboat_schedule_rpo_deadline_timestamp_seconds"), "data gets older all the same")

	s.Paused, s.Resumed = false, noon.Add(-time.Hour)
	got = derived(t, noon, at(noon, s, state.Config{}, old), state.Config{})
	assertTime(t, got, deadlineOfDB, day(1).Add(10*time.Minute+6*time.Hour))
	assert.Equal(t, 0.0, got[minOfDB], "nothing was due since it runs again")
}

func TestAPauseThatIsOverIsNoShortageOfBackups(t *testing.T) {
	// daily are backups of a daily schedule, some days ago.
	daily := func(from, to int) (out []fact.Backup) {
		for i := from; i < to; i++ {
			out = append(out, completedBackup("db", fmt.Sprint("db-", i), day(-i)))
		}
		return out
	}
	for name, tc := range map[string]struct {
		backups []fact.Backup
		want    float64
	}{
		"none was missed":                       {daily(0, 30), 29},
		"a pause of ten days":                   {append(daily(0, 2), daily(12, 30)...), 19},
		"a pause that began before the ttl":     {append(daily(0, 2), daily(40, 41)...), 1},
		"the longest of two pauses":             {append(append(daily(0, 2), daily(12, 15)...), daily(18, 30)...), 19},
		"one run that is missing is no pause":   {append(daily(0, 5), daily(6, 30)...), 29},
		"the oldest were deleted early":         {daily(0, 10), 29},
		"none was made for days, as of now":     {daily(5, 30), 29},
		"there are none":                        {nil, 29},
		"deleted early, and paused before that": {append(daily(0, 2), daily(12, 14)...), 19},
	} {
		t.Run(name, func(t *testing.T) {
			s := kubeSchedule(t, "db", "0 2 * * *", day(-60))
			s.TTL = 30 * 24 * time.Hour
			got := derived(t, noon, at(noon, s, state.Config{}, tc.backups...), state.Config{})
			assert.Equal(t, tc.want, got[minOfDB])
			assert.Equal(t, 32.0, got[maxOfDB])
		})
	}
}

func TestASkippedRunIsNotAwaited(t *testing.T) {
	s := kubeSchedule(t, "db", "0 2 * * *", day(-30))
	s.LastSkipped = day(0).Add(time.Minute)
	got := derived(t, noon, at(noon, s, state.Config{}, completedBackup("db", "db-1", day(-1))), state.Config{})
	assertTime(t, got, deadlineOfDB, day(1).Add(10*time.Minute+6*time.Hour))
}

func TestAScheduleThatCanNeverRunSaysSoAndNothingElseOfTime(t *testing.T) {
	refused := kubeSchedule(t, "db", "0 2 * * *", day(-30))
	refused.Invalid = "Velero refuses it: the location is unknown"
	for name, s := range map[string]fact.Schedule{
		"malformed":            kubeSchedule(t, "db", "61 * * * *", day(-30)),
		"it matches no date":   kubeSchedule(t, "db", "0 0 30 2 *", day(-30)),
		"Velero refuses it":    refused,
		"it cannot be decoded": {Name: "db", Created: day(-30), Invalid: "time: invalid duration"},
	} {
		t.Run(name, func(t *testing.T) {
			got := derived(t, noon, at(noon, s, state.Config{}, completedBackup("db", "db-1", day(-1))), state.Config{})
			assert.Equal(t, 0.0, got[validOfDB])
			assert.Contains(t, got, ofDB("lifeboat_schedule_created_timestamp_seconds"))
			assert.Equal(t, unix(day(-1)), got[recoveryOfDB])
			for _, series := range []string{
				deadlineOfDB, nextOfDB, minOfDB, ofDB("velero_schedule_expected_interval_seconds"), ofDB("lifeboat_schedule_rpo_target_seconds"),
			} {
				assert.NotContains(t, got, series)
			}
			s.RPO = time.Hour
			got = derived(t, noon, at(noon, s, state.Config{}, completedBackup("db", "db-1", day(-1))), state.Config{})
			assert.Equal(t, unix(day(-1).Add(time.Hour)), got[ofDB("lifeboat_schedule_rpo_deadline_timestamp_seconds")], "what was agreed holds")
		})
	}
}

func TestWhatWasAgreedWithTheScheduleCountsBeforeTheFlags(t *testing.T) {
	s := kubeSchedule(t, "db", "0 2 * * *", day(-30))
	s.RPO, s.Grace = 30*time.Hour, 2*time.Hour
	cfg := state.Config{RPO: map[string]time.Duration{"db": 26 * time.Hour, "other": time.Hour}, Schedules: map[string]schedule.Cron{"db": cron(t, "0 5 * * *"), "flag": cron(t, "@daily")}}
	got := derived(t, noon, at(noon, s, cfg, completedBackup("db", "db-1", day(0))), cfg)
	assert.Equal(t, 30*3600.0, got[ofDB("lifeboat_schedule_rpo_target_seconds")])
	assert.Equal(t, 2*3600.0, got[ofDB("lifeboat_schedule_success_grace_seconds")])
	assertTime(t, got, deadlineOfDB, day(1).Add(10*time.Minute+2*time.Hour))
	assert.Contains(t, got, `lifeboat_schedule_created_timestamp_seconds{schedule="flag"}`, "a schedule of the flags that the cluster lacks is still awaited")
	s.RPO = 0
	got = derived(t, noon, at(noon, s, cfg), cfg)
	assert.Equal(t, 26*3600.0, got[ofDB("lifeboat_schedule_rpo_target_seconds")])
}

func TestARenamedScheduleIsANewOneAndItsBackupsPromiseNothing(t *testing.T) {
	s := kubeSchedule(t, "db-new", "0 2 * * *", noon.Add(-time.Hour))
	old := completedBackup("db", "db-1", day(-3))
	got := derived(t, noon, at(noon, s, state.Config{}, old), state.Config{})
	for series := range got {
		assert.NotContains(t, series, `schedule="db"`)
	}
	assert.Equal(t, 1.0, got["velero_backup_total"], "its backups are counted")
	assert.Equal(t, 0.0, got[`lifeboat_location_foreign_backups{backup_location_name="default"}`])
	assertTime(t, got, `lifeboat_schedule_success_deadline_timestamp_seconds{schedule="db-new"}`, day(1).Add(6*time.Hour))
}

func TestExpiredBackupsThatAreStillThereAreCounted(t *testing.T) {
	s := kubeSchedule(t, "db", "0 2 * * *", day(-30))
	expiring := func(n int, at time.Time) fact.Backup {
		b := completedBackup("db", fmt.Sprintf("db-%d", n), day(-n))
		b.Expires = at
		return b
	}
	blocked := expiring(3, noon.Add(-5*time.Hour))
	blocked.GCFailure = "BSLReadOnly"
	strange := expiring(4, noon.Add(-5*time.Hour))
	strange.GCFailure = "Weather"
	got := derived(t, noon, at(noon, s, state.Config{}, expiring(1, noon.Add(time.Hour)), expiring(2, noon.Add(-30*time.Minute)), blocked, strange, expiring(5, time.Time{})), state.Config{})
	assert.Equal(t, 2.0, got[ofDB("lifeboat_schedule_expired_backups")], "one has expired within the period of garbage collection, one never expires")
	assert.Equal(t, 1.0, got[`lifeboat_schedule_gc_blocked_backups{schedule="db",reason="BSLReadOnly"}`])
	assert.Equal(t, 0.0, got[`lifeboat_schedule_gc_blocked_backups{schedule="db",reason="BSLNotFound"}`])
	assert.Len(t, seriesOf(got, "lifeboat_schedule_gc_blocked_backups"), 4, "reasons are a closed set")
}

func TestRunsThatAreGoneAreKnownByTheLedgerAndByTheSchedule(t *testing.T) {
	s := kubeSchedule(t, "db", "0 2 * * *", day(-30))
	s.LastBackup = day(0).Add(time.Second)
	known := at(noon, s, state.Config{}, completedBackup("db", "db-1", day(-2)))
	known.Ledger = &state.LedgerState{Source: readAt(noon), Totals: fact.Totals{Counts: map[fact.RunKey]fact.Count{
		{Kind: fact.RunBackup, Subject: "db", Outcome: "Completed"}:       {Runs: 3, LastStarted: day(-2)},
		{Kind: fact.RunBackup, Subject: "db", Outcome: "Failed"}:          {Runs: 1, LastStarted: day(0)},
		{Kind: fact.RunBackup, Subject: "db", Outcome: "PartiallyFailed"}: {Runs: 1, LastStarted: day(-5)},
		{Kind: fact.RunRestore, Subject: "db", Outcome: "Failed"}:         {Runs: 1, LastStarted: noon},
		{Kind: fact.RunBackup, Subject: "other", Outcome: "Completed"}:    {Runs: 1, LastStarted: noon},
	}}}
	cfg := state.Config{}.WithDefaults()
	got := derived(t, noon, state.Assemble(known, cfg), cfg)
	assert.Equal(t, unix(day(0).Add(time.Second)), got[ofDB("lifeboat_schedule_last_run_timestamp_seconds")])
	assert.Equal(t, unix(day(0)), got[ofDB("lifeboat_schedule_last_failure_timestamp_seconds")])
	assert.Equal(t, 1.0, got[lastPhaseOf("Failed")], "that its backup was deleted makes nothing well")
	assert.Equal(t, unix(day(-2)), got[recoveryOfDB])

	// A yearly success whose backup the server's default has deleted: it was in
	// time, and yet there is nothing to restore.
	yearly := kubeSchedule(t, "db", "@every 8760h", noon.AddDate(-2, 0, 0))
	known = at(noon, yearly, state.Config{})
	known.Ledger = &state.LedgerState{Totals: fact.Totals{Counts: map[fact.RunKey]fact.Count{
		{Kind: fact.RunBackup, Subject: "db", Outcome: "Completed"}: {Runs: 2, LastStarted: noon.AddDate(0, -3, 0)},
	}}}
	got = derived(t, noon, state.Assemble(known, cfg), cfg)
	assertTime(t, got, deadlineOfDB, noon.AddDate(0, -3, 0).Add(8760*time.Hour+6*time.Hour))
	assert.NotContains(t, got, recoveryOfDB)
}

func TestTheOldestRunUnderWayIsShown(t *testing.T) {
	s := kubeSchedule(t, "db", "0 2 * * *", day(-30))
	running := func(phase velerov1.BackupPhase, n int) fact.Backup {
		b := endedAs(phase, completedBackup("db", fmt.Sprintf("db-%d", n), day(-n)))
		b.Completed = time.Time{}
		return b
	}
	const active = "lifeboat_schedule_oldest_active_run_timestamp_seconds"
	queued := inCluster("default", running(velerov1.BackupPhaseQueued, 1), running(velerov1.BackupPhaseWaitingForPluginOperations, 3), running(velerov1.BackupPhaseDeleting, 9))
	known := watched(state.Config{}, fact.KubeScan{Schedules: []fact.Schedule{s}, Backups: queued}, nil)
	got := derived(t, noon, known, state.Config{})
	assert.Equal(t, unix(day(-3)), got[ofDB(active)])
	assert.Equal(t, 2.0, got[`lifeboat_schedule_backups{schedule="db",phase="Active"}`])
	assert.NotContains(t, derived(t, noon, at(noon, s, state.Config{}, completedBackup("db", "db-1", day(0))), state.Config{}), ofDB(active))
}

func TestBackupsThatAnotherClusterMadeFeedNothing(t *testing.T) {
	s := kubeSchedule(t, "db", "0 2 * * *", day(-30))
	mine := completedBackup("db", "mine", day(-4))
	const foreign = `lifeboat_location_foreign_backups{backup_location_name="default"}`
	stale := day(-3).Add(10*time.Minute + 6*time.Hour)

	t.Run("found by their UID, which the object made of them does not have", func(t *testing.T) {
		theirs := completedBackup("db", "theirs", day(0))
		synced := theirs
		synced.UID, synced.Created = "another", theirs.Start.Add(2*time.Minute)
		known := watched(state.Config{}, fact.KubeScan{Schedules: []fact.Schedule{s}, Backups: inCluster("default", mine, synced)}, []fact.Backup{mine, theirs})
		got := derived(t, noon, known, state.Config{})
		assertTime(t, got, deadlineOfDB, stale)
		assert.Equal(t, unix(day(-4)), got[recoveryOfDB])
		assert.Equal(t, 1.0, got[foreign])
		assert.Equal(t, 1.0, got[`lifeboat_schedule_backups{schedule="db",phase="Completed"}`])
		assert.Equal(t, 2.0, got["velero_backup_total"], "Velero's count is of all")
	})
	t.Run("found by their times where no bucket can be asked", func(t *testing.T) {
		theirs := completedBackup("db", "theirs", day(0))
		theirs.Created = theirs.Start.Add(6 * time.Minute)
		known := state.Assemble(state.State{Started: noon, Kube: &state.KubeState{Source: readAt(noon), KubeScan: fact.KubeScan{Schedules: []fact.Schedule{s}, Backups: inCluster("default", mine, theirs)}}}, state.Config{}.WithDefaults())
		got := derived(t, noon, known, state.Config{})
		assertTime(t, got, deadlineOfDB, stale)
		assert.Equal(t, 1.0, got[foreign])
	})
	t.Run("not listed by a cluster whose server would have made it", func(t *testing.T) {
		known := watched(state.Config{}, fact.KubeScan{Schedules: []fact.Schedule{s}, Backups: inCluster("default", mine)}, []fact.Backup{mine, completedBackup("db", "theirs", day(0))})
		assertTime(t, derived(t, noon, known, state.Config{}), deadlineOfDB, stale)
	})
	t.Run("of a name that the cluster does not have, they make no series", func(t *testing.T) {
		theirs := completedBackup("their-schedule", "theirs", day(0))
		theirs.Created = noon
		known := watched(state.Config{}, fact.KubeScan{Schedules: []fact.Schedule{s}, Backups: inCluster("default", mine, theirs)}, []fact.Backup{mine, theirs})
		got := derived(t, noon, known, state.Config{})
		assert.Equal(t, 1.0, got[foreign])
		assert.NotContains(t, got, `lifeboat_schedule_created_timestamp_seconds{schedule="their-schedule"}`)
	})
	t.Run("drills of them prove nothing of ours", func(t *testing.T) {
		theirs := completedBackup("db", "theirs", day(0))
		synced := theirs
		synced.UID = "another"
		known := watched(state.Config{}, fact.KubeScan{Schedules: []fact.Schedule{s}, Backups: inCluster("default", mine, synced)}, []fact.Backup{mine, theirs}, drillOfBackup(theirs, controlplane, "passed"))
		assert.NotContains(t, derived(t, noon, known, state.Config{}), provenOfDB)
	})
}

func TestBackupsOfAnEarlierLifeOfTheClusterCount(t *testing.T) {
	s := kubeSchedule(t, "db", "0 2 * * *", noon.Add(-time.Hour)) // rebuilt, and found in the bucket
	old := completedBackup("db", "db-1", day(-1))
	synced := old
	synced.UID, synced.Created = "another", noon.Add(-time.Hour)
	known := watched(state.Config{}, fact.KubeScan{Schedules: []fact.Schedule{s}, Backups: inCluster("default", synced)}, []fact.Backup{old})
	got := derived(t, noon, known, state.Config{})
	assert.Equal(t, unix(day(-1)), got[recoveryOfDB])
	assert.Equal(t, 0.0, got[`lifeboat_location_foreign_backups{backup_location_name="default"}`])
	assertTime(t, got, deadlineOfDB, day(1).Add(10*time.Minute+6*time.Hour))
}

func TestATimeInTheFutureIsNotBelieved(t *testing.T) {
	s := kubeSchedule(t, "db", "0 2 * * *", day(-30))
	got := derived(t, noon, at(noon, s, state.Config{}, completedBackup("db", "db-1", day(-3)), completedBackup("db", "db-9", day(300))), state.Config{})
	assert.Equal(t, unix(day(-3)), got[recoveryOfDB])
}

// Existence is for whoever can be asked to say. Each case: who can be asked, and
// what the other said when it last could.
func TestWhatIsServedWhenASourceIsDown(t *testing.T) {
	s := kubeSchedule(t, "db", "0 2 * * *", day(-30))
	both, lost, orphan := completedBackup("db", "both", day(-3)), completedBackup("db", "lost", day(-2)), completedBackup("db", "orphan", day(-1))
	failed := endedAs(velerov1.BackupPhaseFailed, completedBackup("db", "failed", day(0)))
	const (
		existing = `lifeboat_schedule_backups{schedule="db",phase="Completed"}`
		missing  = `lifeboat_location_missing_backups{backup_location_name="default"}`
		orphaned = `lifeboat_location_orphaned_backups{backup_location_name="default"}`
		report   = `velero_backup_location_status_gauge{backup_location_name="default"}`
		lastFail = `lifeboat_schedule_last_failure_timestamp_seconds{schedule="db"}`
	)
	up, down, never := readAt(noon), readAt(noon.Add(-time.Hour)), state.SourceState{LastAttempt: noon}
	down.LastAttempt = noon
	for name, tc := range map[string]struct {
		kube, bucket state.SourceState
		point        time.Time
		served       map[string]float64
		withheld     []string
	}{
		"both up": {up, up, day(-3), map[string]float64{
			existing: 2, missing: 1, orphaned: 1, lastPhaseOf("Failed"): 1, pausedOfDB: 0, "velero_backup_total": 4, report: 1, lastFail: unix(day(0)),
		}, nil},
		"the bucket down: the cluster says what exists, and what was missing stays so": {up, down, day(-3), map[string]float64{
			existing: 2, lastPhaseOf("Failed"): 1, pausedOfDB: 0, "velero_backup_total": 3, report: 1, lastFail: unix(day(0)),
		}, []string{missing, orphaned}},
		"the bucket never read: the cluster alone": {up, never, day(-2), map[string]float64{
			existing: 2, lastPhaseOf("Failed"): 1, "velero_backup_total": 3,
		}, []string{missing, orphaned}},
		"the cluster down: the bucket says what exists, and nobody how the runs went": {down, up, day(-3), map[string]float64{
			existing: 1, "velero_backup_total": 2, lastFail: unix(day(0)),
		}, []string{missing, orphaned, lastPhaseOf("Failed"), lastPhaseOf("Completed"), pausedOfDB, validOfDB, ofDB("velero_backup_last_status"), report}},
		"the cluster down, and a new backup in the bucket": {down, up, day(0).Add(9 * time.Hour), map[string]float64{
			existing: 2, "velero_backup_total": 3, lastFail: unix(day(0)),
		}, []string{lastPhaseOf("Failed")}},
		"the cluster never reached: the bucket alone": {never, up, day(-1), map[string]float64{
			existing: 2, "velero_backup_total": 2,
		}, []string{missing, orphaned, lastPhaseOf("Completed"), pausedOfDB, report}},
		"both down: timestamps as they were last known": {down, down, day(-3), map[string]float64{lastFail: unix(day(0))}, []string{
			existing, missing, orphaned, lastPhaseOf("Failed"), pausedOfDB, "velero_backup_total", report,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			known := state.State{
				Started:   noon.Add(-24 * time.Hour),
				Locations: []state.LocationState{{Name: "default", Backups: tc.bucket, Drills: tc.bucket}},
				Kube:      &state.KubeState{Source: tc.kube},
			}
			if tc.kube.Read() {
				known.Kube.KubeScan = fact.KubeScan{
					Schedules: []fact.Schedule{s}, Backups: inCluster("default", both, lost, failed),
					Locations: []fact.StorageLocation{{Name: "default", Available: true, Default: true}},
				}
			}
			if tc.bucket.Read() {
				known.Locations[0].BackupList = located([]fact.Backup{both, orphan}, "default")
				if strings.HasSuffix(name, "a new backup in the bucket") { // since the cluster was last read
					known.Locations[0].BackupList = located([]fact.Backup{both, orphan, completedBackup("db", "new", day(0).Add(9*time.Hour))}, "default")
				}
			}
			got := derived(t, noon, state.Assemble(known, state.Config{}.WithDefaults()), state.Config{})
			for series, want := range tc.served {
				assert.Contains(t, got, series)
				assert.Equal(t, want, got[series], series)
			}
			for _, series := range tc.withheld {
				assert.NotContains(t, got, series)
			}
			assertTime(t, got, recoveryOfDB, tc.point)
			assert.Equal(t, fact.Boolean(tc.kube == up), got[`lifeboat_exporter_source_up{source="kube",backup_location_name=""}`])
			assert.Equal(t, fact.Boolean(tc.bucket == up), got[`lifeboat_exporter_source_up{source="bucket",backup_location_name="default"}`])
		})
	}
}

func TestABackupIsNotMissingBeforeTheLocationWasAsked(t *testing.T) {
	s := kubeSchedule(t, "db", "0 2 * * *", day(-30))
	b := completedBackup("db", "db-1", noon.Add(-10*time.Minute)) // ends at noon; the scan began a second before
	known := watched(state.Config{}, fact.KubeScan{Schedules: []fact.Schedule{s}, Backups: inCluster("default", b)}, nil)
	got := derived(t, noon, known, state.Config{})
	assert.Equal(t, unix(b.Start), got[recoveryOfDB])
	assert.Equal(t, 0.0, got[`lifeboat_location_missing_backups{backup_location_name="default"}`])
}

func TestNothingIsSaidOfSchedulesBeforeTheClusterWasTried(t *testing.T) {
	known := oneLocation(state.Config{}, []fact.Backup{completedBackup("deleted", "d-1", day(0))})
	known.Kube = &state.KubeState{}
	got := derived(t, noon, state.Assemble(known, state.Config{}.WithDefaults()), state.Config{})
	assert.Empty(t, seriesOf(got, "lifeboat_schedule_"), "a Schedule that was deleted long ago must not appear for a moment")
}

func TestLocationsAreThoseOfTheClusterToo(t *testing.T) {
	scan := fact.KubeScan{
		Locations: []fact.StorageLocation{
			{Name: "default", Default: true, Available: true, Validated: noon.Add(-time.Minute), ValidationInterval: time.Minute},
			{Name: "archive", ReadOnly: true},
		},
		Repositories: []fact.Repository{{Name: "a", Location: "archive", LastMaintained: day(-1)}, {Name: "b", Location: "archive", LastMaintained: day(-9)}, {Name: "c", Location: "archive"}},
		Restores:     []fact.Restore{{Name: "r"}, {Name: "r2"}},
	}
	got := derived(t, noon, watched(state.Config{}, scan, nil), state.Config{})
	for series, want := range map[string]float64{
		`velero_backup_location_status_gauge{backup_location_name="default"}`:                    1,
		`velero_backup_location_status_gauge{backup_location_name="archive"}`:                    0,
		`lifeboat_location_access_mode{backup_location_name="archive",access_mode="ReadOnly"}`:   1,
		`lifeboat_location_access_mode{backup_location_name="archive",access_mode="ReadWrite"}`:  0,
		`lifeboat_location_access_mode{backup_location_name="default",access_mode="ReadWrite"}`:  1,
		`lifeboat_location_last_validation_timestamp_seconds{backup_location_name="default"}`:    unix(noon.Add(-time.Minute)),
		`lifeboat_location_validation_interval_seconds{backup_location_name="default"}`:          60,
		`lifeboat_repository_last_maintenance_timestamp_seconds{backup_location_name="archive"}`: unix(day(-9)),
		`lifeboat_location_foreign_backups{backup_location_name="archive"}`:                      0,
		"velero_restore_total": 2,
	} {
		assert.Contains(t, got, series)
		assert.Equal(t, want, got[series], series)
	}
	for _, absent := range []string{
		`lifeboat_location_last_validation_timestamp_seconds{backup_location_name="archive"}`,
		`lifeboat_location_validation_interval_seconds{backup_location_name="archive"}`, // turned off
		`lifeboat_location_missing_backups{backup_location_name="archive"}`,             // nobody asks its bucket
	} {
		assert.NotContains(t, got, absent)
	}
}

func TestAClusterIsFollowedAndItsErrorsAreShown(t *testing.T) {
	f := &fakeKube{scan: fact.KubeScan{Schedules: []fact.Schedule{kubeSchedule(t, "db", "@daily", midnight)}}}
	const up = `lifeboat_exporter_source_up{backup_location_name="",source="kube"} `
	inBubbleOf(t, state.Config{}, Sources{Kube: f}, func(t *testing.T, e *Exporter) {
		assert.True(t, e.Ready())
		out := exposition(t, e)
		assert.Contains(t, out, up+"1")
		assert.Contains(t, out, `lifeboat_schedule_created_timestamp_seconds{schedule="db"}`)
		assert.Contains(t, out, "velero_backup_total 0")

		f.fail(errors.New("the API server is gone"))
		time.Sleep(2 * kubeInterval) // the bubble's time
		synctest.Wait()
		out = exposition(t, e)
		assert.Contains(t, out, up+"0", "at once")
		assert.Contains(t, out, "lifeboat_schedule_paused", "and what is known is still of the present")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		out = exposition(t, e)
		assert.NotContains(t, out, "lifeboat_schedule_paused")
		assert.Contains(t, out, `lifeboat_schedule_created_timestamp_seconds{schedule="db"}`)
	})
}

func TestAStateIsMadeAnewOnlyWhenTheClusterHasChanged(t *testing.T) {
	cfg := state.Config{}.WithDefaults()
	known := watched(cfg, fact.KubeScan{Changes: 7}, nil)
	seen := func(changes uint64, after time.Duration, ok bool) bool {
		next := known
		k := *known.Kube
		k.Changes, k.Source = changes, readAt(noon.Add(after))
		if !ok {
			k.Source.LastSuccess = noon
		}
		next.Kube = &k
		return unchanged(known, next, cfg)
	}
	assert.True(t, seen(7, 5*time.Second, true))
	assert.False(t, seen(8, 5*time.Second, true), "something has changed")
	assert.False(t, seen(7, time.Minute, true), "what is counted up to now grows old")
	assert.False(t, seen(7, 5*time.Second, false), "it cannot be asked any more")
}

func TestObjectsAreReadForWhatTheMetricsNeed(t *testing.T) {
	of := func(raw string) item.Item { return item.Item{Key: item.Key{Name: "x"}, Raw: []byte(raw)} }
	meta := func(rest string) string {
		return `{"metadata":{"name":"x","uid":"u","creationTimestamp":"2026-11-01T00:00:00Z"` + rest
	}
	made := utc(t, "2026-11-01T00:00:00Z")

	s, err := kube.ReadSchedule(of(meta(`,"annotations":{"lifeboat.dev/rpo":"26h","lifeboat.dev/rto":"soon","lifeboat.dev/success-grace":"-1h","lifeboat.dev/proven-rpo":"48h"}},
		"spec":{"schedule":"@daily","paused":true,"template":{"ttl":"24h0m0s","storageLocation":"l"}},"status":{"lastBackup":"2026-11-20T00:00:00Z","lastSkipped":"2026-11-19T00:00:00Z"}}`)))
	require.NoError(t, err)
	assert.Equal(t, fact.Schedule{
		Name: "x", Expr: "@daily", Cron: cron(t, "@daily"), Interval: 24 * time.Hour, Paused: true, Created: s.Created, Location: "l", TTL: 24 * time.Hour,
		LastBackup: s.LastBackup, LastSkipped: s.LastSkipped, RPO: 26 * time.Hour, ProvenRPO: 48 * time.Hour,
	}, s, "annotations that are no durations count as not there")
	assert.True(t, s.Created.Equal(made))
	assert.True(t, s.LastBackup.Equal(day(-2).Add(-2*time.Hour)))

	s, err = kube.ReadSchedule(of(meta(`},"spec":{"schedule":"@daily","template":{"ttl":"forever"}}}`)))
	require.NoError(t, err, "one that Velero cannot read either is shown as one that cannot run")
	assert.Contains(t, s.Invalid, "forever")
	assert.True(t, s.Created.Equal(made))
	s, err = kube.ReadSchedule(of(meta(`},"spec":{"schedule":"@daily"},"status":{"phase":"FailedValidation","validationErrors":["one","two"]}}`)))
	require.NoError(t, err)
	assert.Equal(t, "Velero refuses it: one; two", s.Invalid)

	b, err := kube.ReadKubeBackup(of(meta(`,"labels":{"velero.io/schedule-name":"db"}},"spec":{"storageLocation":"l"},"status":{"phase":"New"}}`)))
	require.NoError(t, err)
	assert.Equal(t, "l", b.Location)
	assert.Equal(t, "db", b.Schedule)
	assert.True(t, b.Start.Equal(made), "one that waits was asked for when it was made")

	l, err := kube.ReadStorageLocation(of(meta(`},"spec":{"accessMode":"ReadOnly","validationFrequency":"0s","backupSyncPeriod":"-1s"},"status":{"phase":"Available"}}`)))
	require.NoError(t, err)
	assert.Equal(t, fact.StorageLocation{Name: "x", Available: true, ReadOnly: true, SyncInterval: time.Minute}, l)

	r, err := kube.ReadRepository(of(meta(`},"spec":{"backupStorageLocation":"l"},"status":{"recentMaintenance":[{"result":"Succeeded"},{"result":"Failed"}]}}`)))
	require.NoError(t, err)
	assert.Equal(t, []fact.Maintenance{{Succeeded: true}, {}}, r.Recent)

	d, err := kube.ReadDeletion(of(meta(`},"spec":{"backupName":"b"},"status":{"phase":"Processed","errors":["e"]}}`)))
	require.NoError(t, err)
	assert.Equal(t, fact.Deletion{Name: "x", UID: "u", Backup: "b", Processed: true, Errors: 1, Created: d.Created}, d)

	restores := kube.WithSchedules([]fact.Restore{{Name: "1", Backup: "b"}, {Name: "2", Schedule: "s"}, {Name: "3", Backup: "gone"}}, []fact.Backup{{Name: "b", Schedule: "db"}})
	assert.Equal(t, []string{"db", "s", ""}, []string{restores[0].Schedule, restores[1].Schedule, restores[2].Schedule})

	for name, read := range map[string]func(item.Item) error{
		"backup":   func(it item.Item) error { _, err := kube.ReadKubeBackup(it); return err },
		"restore":  func(it item.Item) error { _, err := kube.ReadRestore(it); return err },
		"deletion": func(it item.Item) error { _, err := kube.ReadDeletion(it); return err },
		"location": func(it item.Item) error { _, err := kube.ReadStorageLocation(it); return err },
		"storage":  func(it item.Item) error { _, err := kube.ReadRepository(it); return err },
		"schedule": func(it item.Item) error { _, err := kube.ReadSchedule(it); return err },
	} {
		assert.Error(t, read(of(`{"metadata":[]}`)), name)
	}
}

func TestSinceWhenAScheduleRunsAgainIsRemembered(t *testing.T) {
	k := &kube.Watcher{Paused: map[string]bool{}, Resumed: map[string]time.Time{}}
	first := k.NoteResumed([]fact.Schedule{{Name: "a", Paused: true}, {Name: "b"}}, noon)
	assert.True(t, first[0].Resumed.IsZero() && first[1].Resumed.IsZero())
	again := k.NoteResumed([]fact.Schedule{{Name: "a"}, {Name: "b"}}, noon.Add(time.Hour))
	assert.Equal(t, noon.Add(time.Hour), again[0].Resumed)
	assert.True(t, again[1].Resumed.IsZero())
	assert.Equal(t, noon.Add(time.Hour), k.NoteResumed([]fact.Schedule{{Name: "a"}}, noon.Add(2*time.Hour))[0].Resumed)
	k.NoteResumed(nil, noon.Add(3*time.Hour))
	assert.Empty(t, k.Resumed, "deleted schedules are forgotten")
}
