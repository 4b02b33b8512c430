package exporter

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

const (
	integrity    = report.LevelIntegrity
	controlplane = report.LevelControlPlane
	kind         = report.LevelKind
)

func timedOut(d Drill) Drill {
	d.Reason = reasonTimeout
	return d
}

// after moves a drill's end.
func after(d Drill, by time.Duration) Drill {
	d.Finished = d.Finished.Add(by)
	return d
}

func TestWhichDrillResultStands(t *testing.T) {
	old, last := completedBackup("db", "db-1", day(-1)), completedBackup("db", "db-2", day(0))
	gone := completedBackup("db", "db-0", day(-9))
	for name, tc := range map[string]struct {
		drills []Drill
		want   string
	}{
		"no drill is none": {nil, "none"},
		"the newest drill counts": {
			[]Drill{drillOfBackup(old, controlplane, report.Failed), drillOfBackup(last, controlplane, report.Passed)}, "passed"},
		"a failure after a pass counts": {
			[]Drill{drillOfBackup(old, controlplane, report.Passed), drillOfBackup(last, controlplane, report.Failed)}, "failed"},
		"a drill that could not run is no failure": {
			[]Drill{drillOfBackup(old, controlplane, report.Passed), drillOfBackup(last, controlplane, report.Error)}, "error"},
		"a weaker pass does not clear a failure": {
			[]Drill{drillOfBackup(old, controlplane, report.Failed), drillOfBackup(last, integrity, report.Passed)}, "failed"},
		"a stronger pass clears a weaker failure": {
			[]Drill{drillOfBackup(old, integrity, report.Failed), drillOfBackup(last, controlplane, report.Passed)}, "passed"},
		"a kind drill that passes clears what proves less": {
			[]Drill{drillOfBackup(old, controlplane, report.Failed), drillOfBackup(last, kind, report.Passed)}, "passed"},
		"a control plane that accepts everything does not clear workloads that did not start": {
			[]Drill{drillOfBackup(old, kind, report.Failed), drillOfBackup(last, controlplane, report.Passed)}, "failed"},
		"a drill whose time ran out is no failure either": {
			[]Drill{drillOfBackup(old, controlplane, report.Passed), timedOut(drillOfBackup(last, controlplane, report.Error))}, "timeout"},
		"failed stands over error": {
			[]Drill{drillOfBackup(old, controlplane, report.Failed), drillOfBackup(last, integrity, report.Error)}, "failed"},
		"a level nobody runs any more is forgotten with its backup": {
			[]Drill{drillOfBackup(gone, controlplane, report.Failed), drillOfBackup(last, integrity, report.Passed)}, "passed"},
		"the newest drill counts even when its backup has expired": {
			[]Drill{drillOfBackup(gone, controlplane, report.Failed)}, "failed"},
		"a level this version does not know proves least": {
			[]Drill{drillOfBackup(old, controlplane, report.Failed), drillOfBackup(last, "moonbase", report.Passed)}, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := daily(t)
			got := derived(t, noon, oneLocation(cfg, []Backup{old, last}, tc.drills...), cfg)
			for _, result := range results {
				assert.Equal(t, boolean(result == tc.want), got[lastResult(result)], result)
				assert.Contains(t, got, lastResult(result))
			}
		})
	}
}

func TestWhichBackupIsProven(t *testing.T) {
	old, last := completedBackup("db", "db-1", day(-1)), completedBackup("db", "db-2", day(0))
	partial := endedAs(velerov1.BackupPhasePartiallyFailed, completedBackup("db", "db-3", day(0).Add(time.Hour)))
	gone := completedBackup("db", "db-0", day(-9))
	namesake := drillOfBackup(last, controlplane, report.Passed)
	namesake.BackupUID = "uid-of-another"
	otherBytes := drillOfBackup(last, controlplane, report.Passed)
	otherBytes.MetadataSHA256 = "ff"
	hashed := last
	hashed.MetadataSHA256 = "00"
	for name, tc := range map[string]struct {
		level    report.Level
		backups  []Backup
		drills   []Drill
		want     time.Time // zero: none
		deadline time.Time // zero: none
	}{
		"none without a drill": {"", []Backup{old, last}, nil, time.Time{}, time.Time{}},
		"the newest that passed, not the one drilled last": {
			"", []Backup{old, last},
			[]Drill{drillOfBackup(last, controlplane, report.Passed), after(drillOfBackup(old, controlplane, report.Passed), 48*time.Hour)},
			day(0), day(8)},
		"a failed drill proves nothing, and the time runs from the oldest one drilled": {
			"", []Backup{old, last},
			[]Drill{drillOfBackup(old, controlplane, report.Failed), drillOfBackup(last, controlplane, report.Failed)},
			time.Time{}, day(7)},
		"an integrity drill restores nothing": {
			"", []Backup{last}, []Drill{drillOfBackup(last, integrity, report.Passed)}, time.Time{}, day(8)},
		"a kind drill proves more than was asked": {
			"", []Backup{last}, []Drill{drillOfBackup(last, kind, report.Passed)}, day(0), day(8)},
		"a control plane runs no workload": {
			kind, []Backup{last}, []Drill{drillOfBackup(last, controlplane, report.Passed)}, time.Time{}, day(8)},
		"an integrity drill is proof where that was chosen": {
			integrity, []Backup{last}, []Drill{drillOfBackup(last, integrity, report.Passed)}, day(0), day(8)},
		"a backup that fails a later drill is not proven any more": {
			"", []Backup{old, last},
			[]Drill{drillOfBackup(old, controlplane, report.Passed), drillOfBackup(last, controlplane, report.Passed),
				after(drillOfBackup(last, integrity, report.Failed), time.Hour)},
			day(-1), day(7)},
		"a later drill that could not run takes nothing back": {
			"", []Backup{last},
			[]Drill{drillOfBackup(last, controlplane, report.Passed), after(drillOfBackup(last, controlplane, report.Error), time.Hour)},
			day(0), day(8)},
		"an expired backup proves nothing, and its deadline does not move": {
			"", []Backup{last}, []Drill{drillOfBackup(gone, controlplane, report.Passed)}, time.Time{}, day(-1)},
		"only a Completed backup is a recovery point": {
			"", []Backup{partial}, []Drill{drillOfBackup(partial, controlplane, report.Passed)}, time.Time{}, day(8).Add(time.Hour)},
		"a backup of the same name is another backup, by its UID": {
			"", []Backup{last}, []Drill{namesake}, time.Time{}, day(8)},
		"a backup whose metadata has changed is another backup": {
			"", []Backup{hashed}, []Drill{otherBytes}, time.Time{}, day(8)},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := daily(t)
			cfg.ProvenLevel = tc.level
			got := derived(t, noon, oneLocation(cfg, tc.backups, tc.drills...), cfg)
			assertTime(t, got, provenOfDB, tc.want)
			assertTime(t, got, provenBy, tc.deadline)
		})
	}
}

func assertTime(t *testing.T, got map[string]float64, series string, want time.Time) {
	t.Helper()
	if want.IsZero() {
		assert.NotContains(t, got, series)
		return
	}
	assert.Contains(t, got, series)
	assert.Equal(t, want, time.Unix(int64(got[series]), 0).UTC(), series)
}

func TestTheNewestDrillIsShownWithItsStagesAndCounts(t *testing.T) {
	cfg := daily(t)
	b := completedBackup("db", "db-1", day(-1))
	full := drillOfBackup(b, controlplane, report.Failed)
	full.Expected, full.Restored = 100, 97
	later := after(drillOfBackup(b, integrity, report.Passed), time.Hour)
	later.Expected, later.Restored, later.Stages = 0, 0, []Stage{{"fetch", 2}}
	got := derived(t, noon, oneLocation(cfg, []Backup{b}, full, later), cfg)

	assert.Equal(t, unix(later.Finished), got[`lifeboat_drill_last_run_timestamp_seconds{schedule="db"}`])
	assert.Equal(t, unix(later.Finished), got[`lifeboat_drill_last_success_timestamp_seconds{schedule="db"}`])
	assert.Equal(t, 2.0, got[`lifeboat_drill_last_stage_duration_seconds{schedule="db",stage="fetch"}`])
	assert.NotContains(t, got, `lifeboat_drill_last_stage_duration_seconds{schedule="db",stage="restore"}`, "the stages of two drills do not add up")
	assert.Equal(t, 97.0, got[`lifeboat_drill_restored_items{schedule="db"}`], "an integrity drill restores nothing and says nothing of it")
	assert.Equal(t, 100.0, got[`lifeboat_drill_expected_items{schedule="db"}`])
}

func TestADrillCountsForTheScheduleItsBackupNames(t *testing.T) {
	cfg := daily(t)
	b := completedBackup("db", "db-1", day(0))
	d := drillOfBackup(b, controlplane, report.Passed)
	d.Schedule, d.BackupStart = "shop", day(-30)
	got := derived(t, noon, oneLocation(cfg, []Backup{b}, d), cfg)
	assertTime(t, got, provenOfDB, day(0))
	assert.Empty(t, seriesOf(got, `lifeboat_drill_last_run_timestamp_seconds{schedule="shop"`), "what the backup says of itself counts")
}

func TestStagesAreBoundedWhateverTheEvidenceSays(t *testing.T) {
	var stages []Stage
	for i := range 100 {
		stages = append(stages, Stage{fmt.Sprintf("stage-%d", i), 1})
	}
	stages = append(stages, Stage{"Not a word\n", 1}, Stage{"", 1}, Stage{"stage-0", 1})
	got := boundStages(stages)
	assert.LessOrEqual(t, len(got), maxStages)
	total := 0.0
	for _, s := range got {
		assert.True(t, plainWord(s.Name, maxStageName), s.Name)
		total += s.Seconds
	}
	assert.Equal(t, 103.0, total, "no time is lost")
	assert.Equal(t, Stage{"stage-0", 2}, got[0])
}

// drilledBy is the drill of a policy that drills at three each night, at a time.
func drilledBy(expr string, b Backup, verdict report.Verdict, at time.Time, t *testing.T) Drill {
	d := drillOfBackup(b, controlplane, verdict)
	d.Started, d.Finished = at, at.Add(10*time.Minute)
	if expr != "" {
		d.Policy, d.Cron = "nightly", cron(t, expr)
	}
	return d
}

func TestWhenTheNextDrillMustHaveEnded(t *testing.T) {
	// Backups at two each night, which take ten minutes; day(0) is today's.
	old, last := completedBackup("db", "db-1", day(-1)), completedBackup("db", "db-2", day(0))
	const nightly, took, grace = "0 3 * * *", 10 * time.Minute, 6 * time.Hour
	three := func(n int) time.Time { return day(n).Add(time.Hour) }
	for name, tc := range map[string]struct {
		schedule string
		backups  []Backup
		drills   []Drill
		want     time.Time // zero: none
	}{
		"none without a drill": {"0 2 * * *", []Backup{old, last}, nil, time.Time{}},
		"the night after the newest drill, as a newer backup is there": {
			"0 2 * * *", []Backup{old, last}, []Drill{drilledBy(nightly, old, report.Passed, three(-1), t)}, three(0).Add(took + grace)},
		"what is proven is not drilled again: the night after the next backup must be there": {
			"0 2 * * *", []Backup{old, last}, []Drill{drilledBy(nightly, last, report.Passed, three(0), t)}, three(2).Add(took + grace)},
		"a weekly backup is drilled weekly, be the policy nightly": {
			"0 2 * * 0", []Backup{last}, []Drill{drilledBy(nightly, last, report.Passed, three(0), t)}, three(8).Add(took + grace)},
		"what failed is drilled again the next night": {
			"0 2 * * *", []Backup{old, last}, []Drill{drilledBy(nightly, last, report.Failed, three(0), t)}, three(1).Add(took + grace)},
		"so is what could not be found out": {
			"0 2 * * *", []Backup{old, last}, []Drill{drilledBy(nightly, last, report.Error, three(0), t)}, three(1).Add(took + grace)},
		"a sample of an older backup does not make the newest one due": {
			"0 2 * * *", []Backup{old, last},
			[]Drill{drilledBy(nightly, last, report.Passed, three(0), t), drilledBy(nightly, old, report.Passed, three(0).Add(took), t)}, three(2).Add(took + grace)},
		"a backup that failed is nothing to drill": {
			"0 2 * * *", []Backup{old, endedAs(velerov1.BackupPhaseFailed, last)}, []Drill{drilledBy(nightly, old, report.Passed, three(-1), t)}, three(1).Add(took + grace)},
		"a drill by hand does not put off those of the policy": {
			"0 2 * * *", []Backup{old, last},
			[]Drill{drilledBy(nightly, old, report.Passed, three(-1), t), drilledBy("", old, report.Passed, noon, t)}, three(0).Add(took + grace)},
		"inferred from the newest drills where no policy is known": {
			"0 2 * * *", []Backup{old, last},
			[]Drill{drilledBy("", old, report.Failed, three(-2), t), drilledBy("", old, report.Failed, three(-1), t)}, three(0).Add(took + grace)},
		"one drill without a policy tells nothing": {
			"0 2 * * *", []Backup{old, last}, []Drill{drilledBy("", old, report.Failed, three(-1), t)}, time.Time{}},
		"nothing is left to drill, and no backup is awaited": {
			"", []Backup{last}, []Drill{drilledBy(nightly, last, report.Passed, three(0), t)}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{}
			if tc.schedule != "" {
				cfg.Schedules = map[string]schedule.Cron{"db": cron(t, tc.schedule)}
			}
			got := derived(t, noon, oneLocation(cfg, tc.backups, tc.drills...), cfg)
			assertTime(t, got, `lifeboat_drill_deadline_timestamp_seconds{schedule="db"}`, tc.want)
		})
	}
}

func TestHowOldAProvenBackupMayBecome(t *testing.T) {
	b := completedBackup("db", "db-1", day(0))
	byHand, scheduled := drillOfBackup(b, controlplane, report.Passed), drilledBy("0 3 * * 0", b, report.Passed, noon, t)
	const day = 24 * time.Hour
	for name, tc := range map[string]struct {
		within time.Duration
		agreed time.Duration
		drill  Drill
		want   time.Duration
	}{
		"an interval and a week where nothing else is known":    {0, 0, byHand, day + 7*day},
		"two intervals of the drill policy and the RPO":         {0, 0, scheduled, 2*7*day + 2*day + 6*time.Hour},
		"the flag outranks the policy":                          {36 * time.Hour, 0, scheduled, day + 36*time.Hour},
		"what the Schedule's annotation says outranks the flag": {36 * time.Hour, 50 * time.Hour, scheduled, 50 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := daily(t)
			cfg.ProvenWithin = tc.within
			k := kubeSchedule(t, "db", "0 2 * * *", noon.AddDate(0, 0, -90))
			k.ProvenRPO = tc.agreed
			state := watched(cfg, KubeScan{Schedules: []Schedule{k}, Backups: inCluster("default", b)}, []Backup{b}, tc.drill)
			got := derived(t, noon, state, cfg)
			assert.Equal(t, tc.want.Seconds(), got[`lifeboat_drill_proven_target_seconds{schedule="db"}`])
			assert.Equal(t, unix(b.Start)+tc.want.Seconds(), got[provenBy], "the deadline means the same")
		})
	}
}

func TestTheRecoveryTimeThatWasAgreed(t *testing.T) {
	const target = `lifeboat_drill_rto_target_seconds{schedule="db"}`
	cfg := daily(t)
	b := completedBackup("db", "db-1", day(-1))
	measured := drillOfBackup(b, kind, report.Passed)
	measured.RTOTarget = 15 * time.Minute
	quick := after(drillOfBackup(b, controlplane, report.Passed), time.Hour)
	got := derived(t, noon, oneLocation(cfg, []Backup{b}, measured, quick), cfg)
	assert.Equal(t, 900.0, got[target], "a drill that cannot measure it says nothing of it")

	withdrawn := after(drillOfBackup(b, kind, report.Passed), 2*time.Hour)
	got = derived(t, noon, oneLocation(cfg, []Backup{b}, measured, withdrawn), cfg)
	assert.NotContains(t, got, target, "the newest drill has no target any more")

	k := kubeSchedule(t, "db", "0 2 * * *", noon.AddDate(0, 0, -90))
	k.RTO = time.Hour
	state := watched(cfg, KubeScan{Schedules: []Schedule{{Name: "other"}, k}, Backups: inCluster("default", b)}, []Backup{b}, measured)
	assert.Equal(t, 3600.0, derived(t, noon, state, cfg)[target], "the Schedule's annotation comes first")
}

func TestTheNewestDrillsChecksAreServed(t *testing.T) {
	cfg := daily(t)
	b := completedBackup("db", "db-1", day(-1))
	before := drillOfBackup(b, controlplane, report.Passed)
	before.Checks = []Check{{"items_equal", report.Passed, true}}
	last := after(drillOfBackup(b, kind, report.Failed), time.Hour)
	last.Checks, last.Asked = []Check{{"workloads_ready", report.Failed, true}, {"orders", report.Passed, false}}, CheckCounts{Passed: 13, Failed: 1, Skipped: 2, Merged: 3}
	got := derived(t, noon, oneLocation(cfg, []Backup{b}, before, last), cfg)
	assert.Equal(t, 0.0, got[`lifeboat_drill_check_passed{schedule="db",check="workloads_ready"}`])
	assert.Equal(t, 1.0, got[`lifeboat_drill_check_passed{schedule="db",check="orders"}`])
	assert.Len(t, seriesOf(got, "lifeboat_drill_check_passed"), 2, "of the newest drill only")
	assert.Equal(t, 13.0, got[`lifeboat_drill_checks{schedule="db",result="passed"}`])
	assert.Equal(t, 1.0, got[`lifeboat_drill_checks{schedule="db",result="failed"}`])
	assert.Equal(t, 2.0, got[`lifeboat_drill_checks{schedule="db",result="skipped"}`])
	assert.Equal(t, 3.0, got[`lifeboat_exporter_dropped_series{reason="checks"}`])
}

func TestProvenBackupsAreCounted(t *testing.T) {
	cfg := daily(t)
	a, b, c := completedBackup("db", "db-1", day(-2)), completedBackup("db", "db-2", day(-1)), completedBackup("db", "db-3", day(0))
	gone := completedBackup("db", "db-0", day(-9))
	got := derived(t, noon, oneLocation(cfg, []Backup{a, b, c},
		drillOfBackup(a, controlplane, report.Passed), after(drillOfBackup(a, kind, report.Passed), time.Hour),
		drillOfBackup(b, kind, report.Passed), drillOfBackup(c, integrity, report.Passed), drillOfBackup(gone, kind, report.Passed)), cfg)
	assert.Equal(t, 2.0, got[`lifeboat_drill_verified_backups{schedule="db"}`], "each once, at the level of proof, those that are there")
	got = derived(t, noon, oneLocation(cfg, []Backup{a}), cfg)
	assert.Equal(t, 0.0, got[`lifeboat_drill_verified_backups{schedule="db"}`])
}
