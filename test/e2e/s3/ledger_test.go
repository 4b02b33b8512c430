//go:build e2e

package s3_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/ledger"
	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/test/rig"
)

// ledgerAt is a ledger as a new process opens it, with a client of its own.
func ledgerAt(t *testing.T, url string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.New("default", func(ctx context.Context) (store.Store, error) {
		return location.Open(ctx, url, location.Options{})
	})
	require.NoError(t, err)
	return l
}

func failure(n int) ledger.Run {
	end := time.Now().Add(time.Minute)
	name := fmt.Sprintf("db-%d", n)
	return ledger.Run{Kind: ledger.Backup, ID: name, Subject: "db", Outcome: "Failed", Name: name, Started: end, Ended: end}
}

func failures(t ledger.Totals) int {
	return int(t.Counts[ledger.Key{Kind: ledger.Backup, Subject: "db", Outcome: "Failed"}].Runs)
}

// Each run is seen by two of the writers. What a writer counts never decreases.
func TestWritersOfOneLedgerAtOnceLoseNothing(t *testing.T) {
	for name, bucket := range map[string]func(*testing.T) rig.S3Server{
		"in a bucket":             func(t *testing.T) rig.S3Server { return rig.S3(t) },
		"in a bucket with a lock": func(t *testing.T) rig.S3Server { return locked(t, rig.VersionedS3(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			url := bucket(t).URL("prod")
			const writers, each = 4, 25
			var group errgroup.Group
			ledgers := make([]*ledger.Ledger, writers)
			for w := range writers {
				ledgers[w] = ledgerAt(t, url)
				group.Go(func() error {
					before := 0
					for n := range each {
						run, shared := failure(w*each+n), failure((w+1)%writers*each+n)
						totals, err := ledgers[w].Keep(t.Context(), []ledger.Run{run, shared})
						if err != nil {
							return err
						}
						if now := failures(totals); now < before {
							return fmt.Errorf("writer %d: %d after %d", w, now, before)
						}
						before = failures(totals)
					}
					return nil
				})
			}
			require.NoError(t, group.Wait())
			for _, l := range append(ledgers, ledgerAt(t, url)) {
				totals, err := l.Keep(t.Context(), nil)
				require.NoError(t, err)
				assert.Equal(t, writers*each, failures(totals))
				assert.Empty(t, totals.Unreadable)
			}
		})
	}
}

func TestALedgerOutlivesItsBucketsOutage(t *testing.T) {
	server := rig.S3(t)
	l := ledgerAt(t, server.URL("prod"))
	keep := func(l *ledger.Ledger, limit time.Duration, runs ...ledger.Run) (ledger.Totals, error) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		return l.Keep(ctx, runs)
	}
	_, err := keep(l, time.Minute, failure(1))
	require.NoError(t, err)

	server.Stop()
	totals, err := keep(l, 2*time.Second, failure(2))
	require.Error(t, err)
	assert.Equal(t, 2, failures(totals), "it counts on in memory")
	started := ledgerAt(t, server.URL("prod"))
	totals, err = keep(started, 2*time.Second, failure(3))
	require.Error(t, err)
	assert.Zero(t, totals.Since, "one that never read it shows nothing")

	server.Start(t)
	for _, l := range []*ledger.Ledger{l, started, l, ledgerAt(t, server.URL("prod"))} {
		totals, err = keep(l, time.Minute)
		require.NoError(t, err)
	}
	assert.Equal(t, 3, failures(totals), "and what was counted then is kept now")
}
