package exporter

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/status"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// statusOfDB is the status of schedule db, the only one.
func statusOfDB(t *testing.T, now time.Time, known state.State, cfg state.Config) status.ScheduleStatus {
	t.Helper()
	all := status.Of(now, known, cfg).Schedules
	require.Len(t, all, 1)
	return all[0]
}

func TestTheWordForASchedule(t *testing.T) {
	// Backups at two each night; it is noon.
	last, before, old := completedBackup("db", "db-2", day(0)), completedBackup("db", "db-1", day(-1)), completedBackup("db", "db-0", day(-20))
	passed := func(b fact.Backup) fact.Drill { return drillOfBackup(b, controlplane, report.Passed) }
	failed := endedAs(velerov1.BackupPhaseFailed, last)
	for name, tc := range map[string]struct {
		backups  []fact.Backup
		drills   []fact.Drill
		change   func(*state.State, *state.Config)
		at       time.Time // zero: noon
		word     status.Health
		severity status.Severity
		runbook  string
	}{
		"restorable and proven": {
			backups: []fact.Backup{before, last}, drills: []fact.Drill{passed(last)}, word: status.OK, severity: status.Fine},
		"young and not drilled yet": {
			backups: []fact.Backup{before, last}, word: status.OK, severity: status.Fine},
		"a week of backups that nobody drilled": {
			backups: []fact.Backup{old, before, last}, word: status.Unproven, severity: status.Warning, runbook: "LifeboatNeverDrilled"},
		"the last drill was inconclusive, and the proof still holds": {
			backups: []fact.Backup{before, last}, drills: []fact.Drill{passed(before), drillOfBackup(last, controlplane, report.Error)}, word: status.OK, severity: status.Fine},
		"the files of a proven backup have changed": {
			backups: []fact.Backup{before, last}, drills: []fact.Drill{passed(before), ofFiles(passed(last))},
			word: status.Unproven, severity: status.Warning, runbook: "LifeboatProvenBackupTooOld"},
		"a drill failed": {
			backups: []fact.Backup{before, last}, drills: []fact.Drill{passed(before), drillOfBackup(last, controlplane, report.Failed)},
			word: status.Unproven, severity: status.Critical, runbook: "LifeboatDrillFailed"},
		"what was proven is too old": {
			backups: []fact.Backup{old, before, last}, drills: []fact.Drill{passed(old)}, word: status.Unproven, severity: status.Critical, runbook: "LifeboatProvenBackupTooOld"},
		"the last backup failed, and the objective is kept": {
			backups: []fact.Backup{before, failed}, at: day(0).Add(time.Hour), word: status.Failing, severity: status.Warning, runbook: "LifeboatLastBackupFailed"},
		"the run that was due did not succeed": {
			backups: []fact.Backup{before, failed}, word: status.Overdue, severity: status.Warning, runbook: "LifeboatBackupOverdue"},
		"older than was agreed": {
			backups: []fact.Backup{old}, drills: []fact.Drill{passed(old)}, word: status.Breach, severity: status.Critical, runbook: "LifeboatRPOBreached"},
		"nothing ever ran, and nothing had to": {
			change: func(s *state.State, _ *state.Config) { s.Started = noon.Add(-time.Hour) }, word: status.Never, severity: status.Info},
		"nothing is known of it, and backups cannot be read": {
			change: func(s *state.State, _ *state.Config) {
				s.Started, s.Locations[0].UnreadableBackups = noon.Add(-time.Hour), 2
			}, word: status.Unknown, severity: status.Warning, runbook: "LifeboatUnreadableObjects"},
		"nothing ever ran, and a run was due": {
			change: func(s *state.State, _ *state.Config) { s.Started = noon.Add(-35 * time.Hour) }, word: status.Never, severity: status.Warning, runbook: "LifeboatBackupOverdue"},
		"nothing ever ran, and the objective is missed": {
			change: func(s *state.State, _ *state.Config) { s.Started = noon.Add(-100 * time.Hour) }, word: status.Never, severity: status.Critical, runbook: "LifeboatRPOBreached"},
		"every run failed": {
			backups: []fact.Backup{endedAs(velerov1.BackupPhaseFailed, old), failed}, word: status.Never, severity: status.Critical, runbook: "LifeboatRPOBreached"},
		"the location cannot be read any more": {
			backups: []fact.Backup{before, last}, drills: []fact.Drill{passed(last)}, at: noon.Add(time.Hour), word: status.Unknown, severity: status.Warning, runbook: "LifeboatExporterSourceDown"},
		"what cannot be known is not said, not even that it is late": {
			backups: []fact.Backup{old}, at: noon.Add(time.Hour), word: status.Unknown, severity: status.Warning, runbook: "LifeboatExporterSourceDown"},
		"a drill that failed does not hide that the objective is missed": {
			backups: []fact.Backup{old}, drills: []fact.Drill{drillOfBackup(old, controlplane, report.Failed)}, word: status.Breach, severity: status.Critical, runbook: "LifeboatRPOBreached"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := daily(t)
			known := oneLocation(cfg, tc.backups, tc.drills...)
			if tc.change != nil {
				tc.change(&known, &cfg)
				known = state.Assemble(known, cfg.WithDefaults())
			}
			now := noon
			if !tc.at.IsZero() {
				now = tc.at
			}
			got := statusOfDB(t, now, known, cfg)
			assert.Equal(t, []any{tc.word, tc.severity, tc.runbook}, []any{got.Status, got.Severity, got.Runbook}, got.Why)
			assert.Equal(t, tc.severity == status.Fine, got.Why == "", "what is not in order is explained")
		})
	}
}

func TestASchedulePausedOrInvalidSaysSo(t *testing.T) {
	fine := status.ScheduleStatus{RecoveryPoint: noon, LastResult: "Completed", DrillResult: "passed", Paused: true}
	known := state.Judged{ScheduleState: state.ScheduleState{Kube: &fact.Schedule{Paused: true}}, Known: state.Known{Runs: true, Cluster: true}}
	word, severity, _, _ := status.Verdict(noon, fine, known)
	assert.Equal(t, []any{status.Paused, status.Info}, []any{word, severity})

	late := fine
	late.RPODeadline = noon.Add(-time.Hour)
	word, severity, _, _ = status.Verdict(noon, late, known)
	assert.Equal(t, []any{status.Breach, status.Critical}, []any{word, severity}, "a pause does not make old backups younger")

	known.Kube.Invalid = "never"
	word, severity, _, _ = status.Verdict(noon, late, known)
	assert.Equal(t, []any{status.Invalid, status.Critical}, []any{word, severity}, "it is the cause of the rest")
}

func TestSchedulesAreWorstFirst(t *testing.T) {
	cfg := state.Config{Schedules: map[string]schedule.Cron{}}
	var backups []fact.Backup
	var drills []fact.Drill
	for name, age := range map[string]int{"ok-b": 0, "ok-a": 0, "breach-a-little": -4, "breach-a-lot": -9, "undrilled": 0, "overdue": -1} {
		cfg.Schedules[name] = cron(t, "0 2 * * *")
		b := completedBackup(name, name+"-1", day(age))
		if name == "undrilled" {
			backups = append(backups, completedBackup(name, name+"-0", day(-20)))
		} else {
			drills = append(drills, drillOfBackup(b, controlplane, report.Passed))
		}
		backups = append(backups, b)
	}
	cfg.Schedules["never"] = cron(t, "@every 1h")
	var order []string
	for _, s := range status.Of(noon, oneLocation(cfg, backups, drills...), cfg).Schedules {
		order = append(order, s.Name)
	}
	assert.Equal(t, []string{"never", "breach-a-lot", "breach-a-little", "undrilled", "overdue", "ok-a", "ok-b"}, order)
}

func TestEveryRunbookThatIsNamedIsThere(t *testing.T) {
	source, err := os.ReadFile("internal/status/status.go")
	require.NoError(t, err)
	names := regexp.MustCompile(`"(Lifeboat[A-Z]\w+)"`).FindAllStringSubmatch(string(source), -1)
	require.NotEmpty(t, names)
	for _, m := range names {
		assert.FileExists(t, filepath.Join("..", "docs", "runbooks", m[1]+".md"))
	}
}

func TestAStatusSaysWhatTheMetricsSay(t *testing.T) {
	cfg := daily(t)
	before, last := completedBackup("db", "db-1", day(-1)), endedAs(velerov1.BackupPhasePartiallyFailed, completedBackup("db", "db-2", day(0)))
	last.Errors = 3
	drill := drillOfBackup(before, controlplane, report.Passed)
	drill.ID, drill.Policy, drill.Cron = "20261121T030000Z-1", "nightly", cron(t, "0 3 * * *")
	known := oneLocation(cfg, []fact.Backup{before, last, completedBackup("", "by-hand", day(-3))}, drill)
	known.Locations[0].Drills.Err = "gone"
	all := status.Of(noon, known, cfg)
	series := derived(t, noon, known, cfg)
	got := all.Schedules[0]
	seconds := func(name string) float64 { return series[name+`{schedule="db"}`] }
	for name, at := range map[string]time.Time{
		"lifeboat_schedule_recovery_point_timestamp_seconds":     got.RecoveryPoint,
		"lifeboat_schedule_rpo_deadline_timestamp_seconds":       got.RPODeadline,
		"lifeboat_schedule_success_deadline_timestamp_seconds":   got.SuccessDeadline,
		"lifeboat_drill_proven_recovery_point_timestamp_seconds": got.ProvenRecoveryPoint,
		"lifeboat_drill_proven_deadline_timestamp_seconds":       got.ProvenDeadline,
		"lifeboat_drill_deadline_timestamp_seconds":              got.DrillDeadline,
	} {
		if served := seconds(name); served != 0 {
			assert.Equal(t, served, unix(at), name)
		} else {
			assert.Zero(t, at, name)
		}
	}
	assert.Equal(t, seconds("lifeboat_schedule_rpo_target_seconds"), got.RPOTargetSeconds)
	assert.Equal(t, seconds("lifeboat_drill_proven_target_seconds"), got.ProvenTargetSeconds)
	assert.Equal(t, 34*3600.0, got.AgeSeconds)
	assert.Equal(t, day(1), got.NextRun, "as the cron expression says, where no Schedule is known")
	assert.Equal(t, "db-1", got.RecoveryBackup, "what a restore would take")
	assert.Equal(t, &status.BackupStatus{Name: "db-2", Phase: "PartiallyFailed", Started: day(0), Completed: day(0).Add(10 * time.Minute), Errors: 3}, got.Newest)
	assert.Equal(t, "PartiallyFailed", got.LastResult)
	assert.Equal(t, "default", got.Location)
	assert.Equal(t, map[string]int{"Completed": 1, "PartiallyFailed": 1}, got.Backups)
	assert.Equal(t, "metadata/lifeboat/drills/db-1/20261121T030000Z-1.json", got.LastDrill.Evidence)
	assert.Equal(t, "metadata/lifeboat/drills/db-1/20261121T030000Z-1.html", got.LastDrill.Page)
	assert.Equal(t, "default", got.LastDrill.Location)
	assert.Equal(t, map[string]int{"Completed": 1}, all.ByHand)
	require.Len(t, all.Sources, 2)
	assert.Equal(t, "gone", all.Sources[1].Error)
	assert.True(t, *all.Locations[0].Available)
	assert.Equal(t, 3, all.Locations[0].Backups)
}

func TestAStatusBeforeTheFirstReadingSaysNothingOfSchedules(t *testing.T) {
	cfg := daily(t)
	e := New(cfg, silent(), Sources{Locations: []Location{{Name: "default"}}})
	got := e.Status()
	assert.Empty(t, got.Schedules)
	assert.NotNil(t, got.Schedules, "a list, in JSON")
	assert.False(t, got.Sources[0].Up)
	assert.Nil(t, got.Locations[0].Available)
}

func TestTheErrorOfASourceIsKeptUntilItIsReadAgain(t *testing.T) {
	down := attempt(state.SourceState{}, noon, noon, errors.New(strings.Repeat("x", 5000)))
	assert.Len(t, down.Err, 1024)
	assert.Empty(t, attempt(down, noon, noon, nil).Err)
}

// Every field of the JSON has its row in docs/status.md.
func TestTheStatusIsDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "docs", "status.md"))
	require.NoError(t, err)
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z][a-zA-Z.\\[\\]]*)` \\|").FindAllStringSubmatch(string(doc), -1) {
		documented = append(documented, m[1])
	}
	assert.ElementsMatch(t, jsonPaths(reflect.TypeFor[status.Status](), ""), documented)
	for _, word := range []status.Health{status.Breach, status.Never, status.Invalid, status.Unproven, status.Unknown, status.Overdue, status.Failing, status.Paused, status.OK} {
		assert.Contains(t, string(doc), "| `"+string(word)+"` |")
	}
}

func jsonPaths(t reflect.Type, prefix string) []string {
	var out []string
	for f := range fields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		path, of := prefix+name, f.Type
		if of.Kind() == reflect.Slice {
			path, of = path+"[]", of.Elem()
		}
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		out = append(out, path)
		if of.Kind() == reflect.Struct && of != reflect.TypeFor[time.Time]() {
			out = append(out, jsonPaths(of, path+".")...)
		}
	}
	return out
}

func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

func TestAStatusIsJSONWithoutWhatIsNotKnown(t *testing.T) {
	raw, err := json.Marshal(status.Of(noon, oneLocation(daily(t), nil), daily(t)))
	require.NoError(t, err)
	assert.NotContains(t, string(raw), "0001-01-01")
	assert.NotContains(t, string(raw), "recoveryPoint")
}
