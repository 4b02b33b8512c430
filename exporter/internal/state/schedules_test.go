package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/ledger"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/stretchr/testify/assert"
)

func TestOfRunsThatBeganTogetherTheFailedOneCounts(t *testing.T) {
	at := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	l := &LedgerState{Totals: fact.Totals{Counts: map[ledger.Key]ledger.Count{}}}
	for _, outcome := range []string{"Completed", "Failed", "PartiallyFailed"} {
		l.Counts[ledger.Key{Kind: fact.RunBackup, Subject: "db", Outcome: outcome}] = ledger.Count{LastStarted: at}
	}
	for range 50 { // maps are walked in a random order
		got := lastRuns(l)["db"]
		assert.Equal(t, LastRuns{Ended: at, Outcome: "Failed", Succeeded: at, Failed: at}, got)
	}
}

// Whoever writes to a bucket can invent schedules.
func TestABoundedNumberOfInventedSchedulesIsKept(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	l := LocationState{Name: "default", Backups: SourceState{LastAttempt: at, LastSuccess: at}}
	for i := range maxUnnamed + 1000 {
		l.BackupList = append(l.BackupList, fact.Backup{Name: fmt.Sprint("b", i), Schedule: fmt.Sprint("s", i), Start: at})
	}
	l.BackupList = append(l.BackupList, fact.Backup{Name: "real", Schedule: "named", Start: at})
	cron, err := schedule.Parse("@every 1h")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Schedules: map[string]schedule.Cron{"named": cron}}.WithDefaults()
	got := Assemble(State{Started: at, Locations: []LocationState{l}}, cfg)
	if len(got.Schedules) != maxUnnamed+1 {
		t.Errorf("%d schedules", len(got.Schedules))
	}
	for _, s := range got.Schedules {
		if s.Name == "named" && len(s.Backups) != 1 {
			t.Error("the backups of a schedule that a flag names are lost")
		}
	}
}
