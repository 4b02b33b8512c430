package exporter

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

const (
	integrity    = report.LevelIntegrity
	controlplane = report.LevelControlPlane
	kind         = report.LevelKind
)

func timedOut(d fact.Drill) fact.Drill {
	d.Reason = fact.ReasonTimeout
	return d
}

// after moves a drill's end.
func after(d fact.Drill, by time.Duration) fact.Drill {
	d.Finished = d.Finished.Add(by)
	return d
}

func TestWhichDrillResultStands(t *testing.T) {
	old, last := completedBackup("db", "db-1", day(-1)), completedBackup("db", "db-2", day(0))
	gone := completedBackup("db", "db-0", day(-9))
	for name, tc := range map[string]struct {
		drills []fact.Drill
		want   string
	}{
		"no drill is none": {nil, "none"},
		"the newest drill counts": {
			[]fact.Drill{drillOfBackup(old, controlplane, report.Failed), drillOfBackup(last, controlplane, report.Passed)}, "passed"},
		"a failure after a pass counts": {
			[]fact.Drill{drillOfBackup(old, controlplane, report.Passed), drillOfBackup(last, controlplane, report.Failed)}, "failed"},
		"a drill that could not run is no failure": {
			[]fact.Drill{drillOfBackup(old, controlplane, report.Passed), drillOfBackup(last, controlplane, report.Error)}, "error"},
		"a weaker pass does not clear a failure": {
			[]fact.Drill{drillOfBackup(old, controlplane, report.Failed), drillOfBackup(last, integrity, report.Passed)}, "failed"},
		"a stronger pass clears a weaker failure": {
			[]fact.Drill{drillOfBackup(old, integrity, report.Failed), drillOfBackup(last, controlplane, report.Passed)}, "passed"},
		"a kind drill that passes clears what proves less": {
			[]fact.Drill{drillOfBackup(old, controlplane, report.Failed), drillOfBackup(last, kind, report.Passed)}, "passed"},
		"a control plane that accepts everything does not clear workloads that did not start": {
			[]fact.Drill{drillOfBackup(old, kind, report.Failed), drillOfBackup(last, controlplane, report.Passed)}, "failed"},
		"a drill whose time ran out is no failure either": {
			[]fact.Drill{drillOfBackup(old, controlplane, report.Passed), timedOut(drillOfBackup(last, controlplane, report.Error))}, "timeout"},
		"failed stands over error": {
			[]fact.Drill{drillOfBackup(old, controlplane, report.Failed), drillOfBackup(last, integrity, report.Error)}, "failed"},
		"a level nobody runs any more is forgotten with its backup": {
			[]fact.Drill{drillOfBackup(gone, controlplane, report.Failed), drillOfBackup(last, integrity, report.Passed)}, "passed"},
		"the newest drill counts even when its backup has expired": {
			[]fact.Drill{drillOfBackup(gone, controlplane, report.Failed)}, "failed"},
		"a level this version does not know proves least": {
			[]fact.Drill{drillOfBackup(old, controlplane, report.Failed), drillOfBackup(last, "moonbase", report.Passed)}, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := daily(t)
			got := derived(t, noon, oneLocation(cfg, []fact.Backup{old, last}, tc.drills...), cfg)
			for _, result := range state.Results {
				assert.Equal(t, fact.Boolean(result == tc.want), got[lastResult(result)], result)
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
	touched := last
	touched.Modified = noon
	for name, tc := range map[string]struct {
		level    report.Level
		backups  []fact.Backup
		drills   []fact.Drill
		want     time.Time // zero: none
		deadline time.Time // zero: none
	}{
		"none without a drill": {"", []fact.Backup{old, last}, nil, time.Time{}, time.Time{}},
		"the newest that passed, not the one drilled last": {
			"", []fact.Backup{old, last},
			[]fact.Drill{drillOfBackup(last, controlplane, report.Passed), after(drillOfBackup(old, controlplane, report.Passed), 48*time.Hour)},
			day(0), day(8)},
		"a failed drill proves nothing, and the time runs from the oldest one drilled": {
			"", []fact.Backup{old, last},
			[]fact.Drill{drillOfBackup(old, controlplane, report.Failed), drillOfBackup(last, controlplane, report.Failed)},
			time.Time{}, day(7)},
		"an integrity drill restores nothing": {
			"", []fact.Backup{last}, []fact.Drill{drillOfBackup(last, integrity, report.Passed)}, time.Time{}, day(8)},
		"a kind drill proves more than was asked": {
			"", []fact.Backup{last}, []fact.Drill{drillOfBackup(last, kind, report.Passed)}, day(0), day(8)},
		"a control plane runs no workload": {
			kind, []fact.Backup{last}, []fact.Drill{drillOfBackup(last, controlplane, report.Passed)}, time.Time{}, day(8)},
		"an integrity drill is proof where that was chosen": {
			integrity, []fact.Backup{last}, []fact.Drill{drillOfBackup(last, integrity, report.Passed)}, day(0), day(8)},
		"a backup that fails a later drill is not proven any more": {
			"", []fact.Backup{old, last},
			[]fact.Drill{drillOfBackup(old, controlplane, report.Passed), drillOfBackup(last, controlplane, report.Passed),
				after(drillOfBackup(last, integrity, report.Failed), time.Hour)},
			day(-1), day(7)},
		"a later drill that could not run takes nothing back": {
			"", []fact.Backup{last},
			[]fact.Drill{drillOfBackup(last, controlplane, report.Passed), after(drillOfBackup(last, controlplane, report.Error), time.Hour)},
			day(0), day(8)},
		"an expired backup proves nothing, and its deadline does not move": {
			"", []fact.Backup{last}, []fact.Drill{drillOfBackup(gone, controlplane, report.Passed)}, time.Time{}, day(-1)},
		"only a Completed backup is a recovery point": {
			"", []fact.Backup{partial}, []fact.Drill{drillOfBackup(partial, controlplane, report.Passed)}, time.Time{}, day(8).Add(time.Hour)},
		"a backup whose files have changed is not proven any more, and its deadline does not count": {
			"", []fact.Backup{last}, []fact.Drill{ofFiles(drillOfBackup(last, controlplane, report.Passed))}, time.Time{}, day(8)},
		"until it is drilled again": {
			"", []fact.Backup{last}, []fact.Drill{ofFiles(drillOfBackup(last, controlplane, report.Passed)), after(drillOfBackup(last, controlplane, report.Passed), time.Hour)}, day(0), day(8)},
		"a backup with a file younger than its drill, by evidence without files": {
			"", []fact.Backup{touched}, []fact.Drill{drillOfBackup(touched, controlplane, report.Passed)}, time.Time{}, day(8)},
		"a backup of the same name is another backup, by its UID": {
			"", []fact.Backup{last}, []fact.Drill{namesake}, time.Time{}, day(8)},
		"a backup whose metadata has changed is another backup": {
			"", []fact.Backup{hashed}, []fact.Drill{otherBytes}, time.Time{}, day(8)},
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

// ofFiles is a drill of other files than those that are there.
func ofFiles(d fact.Drill) fact.Drill {
	d.Files = report.Fingerprint{1}
	return d
}

func TestWhatChangedSinceItsDrillHasNoResult(t *testing.T) {
	b := completedBackup("db", "db-1", day(0))
	for name, tc := range map[string]struct {
		drills []fact.Drill
		want   string
	}{
		"passed":                        {[]fact.Drill{ofFiles(drillOfBackup(b, controlplane, report.Passed))}, "none"},
		"failed, which stays an alarm":  {[]fact.Drill{ofFiles(drillOfBackup(b, controlplane, report.Failed))}, "failed"},
		"passed, and drilled again":     {[]fact.Drill{ofFiles(drillOfBackup(b, controlplane, report.Passed)), after(drillOfBackup(b, controlplane, report.Error), time.Hour)}, "error"},
		"a lesser level of the new one": {[]fact.Drill{ofFiles(drillOfBackup(b, kind, report.Passed)), after(drillOfBackup(b, integrity, report.Passed), time.Hour)}, "passed"},
	} {
		t.Run(name, func(t *testing.T) {
			got := derived(t, noon, oneLocation(daily(t), []fact.Backup{b}, tc.drills...), daily(t))
			assert.Equal(t, 1.0, got[`lifeboat_drill_last_result{schedule="db",result="`+tc.want+`"}`])
			assert.Zero(t, got[`lifeboat_drill_verified_backups{schedule="db"}`])
		})
	}
}

// The whole path: a bucket, a passed drill, and another tarball.
func TestASwappedFileIsUnprovenAtTheNextListing(t *testing.T) {
	for name, swap := range map[string]func(fakeBucket){
		"replaced":         func(b fakeBucket) { b.put(store.Contents("db-1"), []byte("garbage")) },
		"cut":              func(b fakeBucket) { b.put(store.Contents("db-1"), make([]byte, 10)) },
		"the same, again":  func(b fakeBucket) { b.put(store.Contents("db-1"), make([]byte, 1<<20)) },
		"a companion":      func(b fakeBucket) { b.put(store.VolumeInfo("db-1"), []byte("x")) },
		"a file too many":  func(b fakeBucket) { b.put(store.BackupPrefix("db-1")+"x", []byte("x")) },
		"a companion gone": func(b fakeBucket) { require.NoError(b.t, b.Delete(b.t.Context(), store.Results("db-1"))) },
		"the metadata": func(b fakeBucket) {
			v := completedBackup("db", "db-1", day(0))
			v.Errors = 1
			b.put(store.Metadata("db-1"), metadataOf(b.t, v))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBucket(t)
			v := completedBackup("db", "db-1", day(0))
			b.backup(v)
			b.put(store.Results("db-1"), []byte("{}"))
			b.drill("d", drillOfBackup(v, controlplane, report.Passed))
			source, _ := locationOf(b)
			verified := func() float64 {
				backups, err := source.ListBackups(t.Context())
				require.NoError(t, err)
				drills, err := source.ListDrills(t.Context())
				require.NoError(t, err)
				require.Empty(t, drills.Unreadable)
				return derived(t, noon, oneLocation(daily(t), backups.Backups, drills.Drills...), daily(t))[`lifeboat_drill_verified_backups{schedule="db"}`]
			}
			assert.Equal(t, 1.0, verified())
			swap(b)
			assert.Zero(t, verified())
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
	later.Expected, later.Restored, later.Stages = 0, 0, []fact.Stage{{Name: "fetch", Seconds: 2}}
	got := derived(t, noon, oneLocation(cfg, []fact.Backup{b}, full, later), cfg)

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
	got := derived(t, noon, oneLocation(cfg, []fact.Backup{b}, d), cfg)
	assertTime(t, got, provenOfDB, day(0))
	assert.Empty(t, seriesOf(got, `lifeboat_drill_last_run_timestamp_seconds{schedule="shop"`), "what the backup says of itself counts")
}

func TestStagesAreBoundedWhateverTheEvidenceSays(t *testing.T) {
	var stages []fact.Stage
	for i := range 100 {
		stages = append(stages, fact.Stage{Name: fmt.Sprintf("stage-%d", i), Seconds: 1})
	}
	stages = append(stages, fact.Stage{Name: "Not a word\n", Seconds: 1}, fact.Stage{Name: "", Seconds: 1}, fact.Stage{Name: "stage-0", Seconds: 1})
	got := fact.BoundStages(stages)
	assert.LessOrEqual(t, len(got), fact.MaxStages)
	total := 0.0
	for _, s := range got {
		assert.True(t, fact.PlainWord(s.Name, fact.MaxStageName), s.Name)
		total += s.Seconds
	}
	assert.Equal(t, 103.0, total, "no time is lost")
	assert.Equal(t, fact.Stage{Name: "stage-0", Seconds: 2}, got[0])
}

// drilledBy is the drill of a policy that drills at three each night, at a time.
func drilledBy(expr string, b fact.Backup, verdict report.Verdict, at time.Time, t *testing.T) fact.Drill {
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
		backups  []fact.Backup
		drills   []fact.Drill
		want     time.Time // zero: none
	}{
		"none without a drill": {"0 2 * * *", []fact.Backup{old, last}, nil, time.Time{}},
		"the night after the newest drill, as a newer backup is there": {
			"0 2 * * *", []fact.Backup{old, last}, []fact.Drill{drilledBy(nightly, old, report.Passed, three(-1), t)}, three(0).Add(took + grace)},
		"what is proven is not drilled again: the night after the next backup must be there": {
			"0 2 * * *", []fact.Backup{old, last}, []fact.Drill{drilledBy(nightly, last, report.Passed, three(0), t)}, three(2).Add(took + grace)},
		"a weekly backup is drilled weekly, be the policy nightly": {
			"0 2 * * 0", []fact.Backup{last}, []fact.Drill{drilledBy(nightly, last, report.Passed, three(0), t)}, three(8).Add(took + grace)},
		"what failed is drilled again the next night": {
			"0 2 * * *", []fact.Backup{old, last}, []fact.Drill{drilledBy(nightly, last, report.Failed, three(0), t)}, three(1).Add(took + grace)},
		"so is what could not be found out": {
			"0 2 * * *", []fact.Backup{old, last}, []fact.Drill{drilledBy(nightly, last, report.Error, three(0), t)}, three(1).Add(took + grace)},
		"a sample of an older backup does not make the newest one due": {
			"0 2 * * *", []fact.Backup{old, last},
			[]fact.Drill{drilledBy(nightly, last, report.Passed, three(0), t), drilledBy(nightly, old, report.Passed, three(0).Add(took), t)}, three(2).Add(took + grace)},
		"a backup that failed is nothing to drill": {
			"0 2 * * *", []fact.Backup{old, endedAs(velerov1.BackupPhaseFailed, last)}, []fact.Drill{drilledBy(nightly, old, report.Passed, three(-1), t)}, three(1).Add(took + grace)},
		"a drill by hand does not put off those of the policy": {
			"0 2 * * *", []fact.Backup{old, last},
			[]fact.Drill{drilledBy(nightly, old, report.Passed, three(-1), t), drilledBy("", old, report.Passed, noon, t)}, three(0).Add(took + grace)},
		"inferred from the newest drills where no policy is known": {
			"0 2 * * *", []fact.Backup{old, last},
			[]fact.Drill{drilledBy("", old, report.Failed, three(-2), t), drilledBy("", old, report.Failed, three(-1), t)}, three(0).Add(took + grace)},
		"one drill without a policy tells nothing": {
			"0 2 * * *", []fact.Backup{old, last}, []fact.Drill{drilledBy("", old, report.Failed, three(-1), t)}, time.Time{}},
		"nothing is left to drill, and no backup is awaited": {
			"", []fact.Backup{last}, []fact.Drill{drilledBy(nightly, last, report.Passed, three(0), t)}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := state.Config{}
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
		drill  fact.Drill
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
			known := watched(cfg, fact.KubeScan{Schedules: []fact.Schedule{k}, Backups: inCluster("default", b)}, []fact.Backup{b}, tc.drill)
			got := derived(t, noon, known, cfg)
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
	got := derived(t, noon, oneLocation(cfg, []fact.Backup{b}, measured, quick), cfg)
	assert.Equal(t, 900.0, got[target], "a drill that cannot measure it says nothing of it")

	withdrawn := after(drillOfBackup(b, kind, report.Passed), 2*time.Hour)
	got = derived(t, noon, oneLocation(cfg, []fact.Backup{b}, measured, withdrawn), cfg)
	assert.NotContains(t, got, target, "the newest drill has no target any more")

	k := kubeSchedule(t, "db", "0 2 * * *", noon.AddDate(0, 0, -90))
	k.RTO = time.Hour
	known := watched(cfg, fact.KubeScan{Schedules: []fact.Schedule{{Name: "other"}, k}, Backups: inCluster("default", b)}, []fact.Backup{b}, measured)
	assert.Equal(t, 3600.0, derived(t, noon, known, cfg)[target], "the Schedule's annotation comes first")
}

func TestTheNewestDrillsChecksAreServed(t *testing.T) {
	cfg := daily(t)
	b := completedBackup("db", "db-1", day(-1))
	before := drillOfBackup(b, controlplane, report.Passed)
	before.Checks = []fact.Check{{Name: "items_equal", Result: report.Passed, BuiltIn: true}}
	last := after(drillOfBackup(b, kind, report.Failed), time.Hour)
	last.Checks, last.Asked = []fact.Check{{Name: "workloads_ready", Result: report.Failed, BuiltIn: true}, {Name: "orders", Result: report.Passed, BuiltIn: false}}, fact.CheckCounts{Passed: 13, Failed: 1, Skipped: 2, Merged: 3}
	got := derived(t, noon, oneLocation(cfg, []fact.Backup{b}, before, last), cfg)
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
	got := derived(t, noon, oneLocation(cfg, []fact.Backup{a, b, c},
		drillOfBackup(a, controlplane, report.Passed), after(drillOfBackup(a, kind, report.Passed), time.Hour),
		drillOfBackup(b, kind, report.Passed), drillOfBackup(c, integrity, report.Passed), drillOfBackup(gone, kind, report.Passed)), cfg)
	assert.Equal(t, 2.0, got[`lifeboat_drill_verified_backups{schedule="db"}`], "each once, at the level of proof, those that are there")
	got = derived(t, noon, oneLocation(cfg, []fact.Backup{a}), cfg)
	assert.Equal(t, 0.0, got[`lifeboat_drill_verified_backups{schedule="db"}`])
}
