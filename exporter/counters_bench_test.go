package exporter

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/ledger"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
)

// BenchmarkKeepingALedger is what a refresh of the ledger takes that finds
// nothing new among 100,000 backups of 500 schedules.
func BenchmarkKeepingALedger(b *testing.B) {
	var backups []fact.Backup
	for n := range 100_000 {
		backups = append(backups, completedBackup(fmt.Sprintf("schedule-%d", n%500), fmt.Sprintf("schedule-%d-%d", n%500, n), time.Now().Add(time.Hour)))
	}
	known, l := clusterState(backups, fact.KubeScan{}), ledger.InMemory()
	kept(b, l, known, state.Config{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Keep(context.Background(), state.EndedRuns(known, state.Config{})); err != nil {
			b.Fatal(err)
		}
	}
}
