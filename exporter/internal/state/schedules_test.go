package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/lifeboat-backup/lifeboat/core/ledger"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
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
