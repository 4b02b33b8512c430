package exporter

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/bucket"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence/evidencetest"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/scheduler"
)

// claimRecord is one of a drill that may take half an hour.
func claimRecord(drill string, at time.Time) []byte {
	return fmt.Appendf(nil, `{"schema":%q,"drill":%q,"at":%q,"until":%q}`, drilllog.ClaimSchema, drill, at.Format(time.RFC3339), at.Add(30*time.Minute).Format(time.RFC3339))
}

// claims reads a location the way the exporter does.
func claims(t *testing.T, l *bucket.Location, now time.Time) fact.Claims {
	t.Helper()
	_, err := l.ListDrills(t.Context())
	require.NoError(t, err)
	c, err := l.ListClaims(t.Context(), now)
	require.NoError(t, err)
	return c
}

// The verifier's own scheduler writes the records, so that the exporter reads
// what there is.
func TestAScheduledDrillIsUnderWayUntilItHasEvidenceOrIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inBucket := newBucket(t)
		inBucket.backup(completedBackup("db", "db-1", time.Now().Add(-time.Hour)))
		source, _ := locationOf(inBucket)
		stop := make(chan struct{})
		s := &scheduler.Scheduler{
			Jobs: []scheduler.Job{{Store: inBucket, Cron: cron(t, "0 3 * * *"), Policy: policy.Policy{
				Metadata: policy.Metadata{Name: "nightly"},
				Spec: policy.Spec{Select: policy.Select{Schedules: []string{"*"}}, Cron: "0 3 * * *", Level: report.LevelControlPlane,
					Limits: policy.Limits{Timeout: policy.Duration{Duration: 30 * time.Minute}}},
			}}},
			Drill: func(ctx context.Context, r scheduler.Request) (report.Report, error) {
				select {
				case <-ctx.Done():
					return report.Report{}, ctx.Err()
				case <-stop:
				}
				rep := report.Report{Schema: report.Schema, ID: r.ID, Verdict: report.Passed, Level: report.LevelControlPlane, Backup: report.Backup{Name: r.Backup}, Started: time.Now(), Finished: time.Now()}
				rep, err := evidencetest.Drilled(ctx, r.Store, rep)
				if err != nil {
					return rep, err
				}
				return rep, evidence.Write(ctx, r.Store, rep)
			},
			By: drilllog.Owner{Machine: "m", PID: 1, Instance: "i"}, Ended: func(drilllog.Owner) bool { return false }, Now: time.Now, Log: silent(),
		}
		assert.Equal(t, fact.Claims{}, claims(t, source, time.Now()), "no policy has run here")
		done := make(chan error)
		go func() { done <- s.Once(t.Context()) }()
		synctest.Wait()
		assert.Equal(t, fact.Claims{Active: 1}, claims(t, source, time.Now()))
		assert.Equal(t, fact.Claims{Abandoned: 1}, claims(t, source, time.Now().Add(time.Hour)), "its time is over, and nobody has heard of it")
		assert.Equal(t, fact.Claims{}, claims(t, source, time.Now().Add(8*24*time.Hour)), "that is no news any more")
		close(stop)
		require.NoError(t, <-done)
		assert.Equal(t, fact.Claims{}, claims(t, source, time.Now()))
		assert.Equal(t, fact.Claims{}, claims(t, source, time.Now().Add(time.Hour)))

		// The next night's is interrupted, which gives it back.
		inBucket.backup(completedBackup("db", "db-2", time.Now()))
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- s.Run(ctx) }()
		time.Sleep(24 * time.Hour) // the bubble's time
		stopped := claims(t, source, time.Now())
		cancel()
		require.NoError(t, <-done)
		assert.Equal(t, fact.Claims{}, stopped, "the drill passed")
	})
}

func TestADrillThatWasGivenBackIsNeitherUnderWayNorAbandoned(t *testing.T) {
	inBucket := newBucket(t)
	source, _ := locationOf(inBucket)
	const run = "20261122T030000Z"
	attempt := store.Attempts("nightly", run, "db-1")
	inBucket.put(store.Run("nightly", run), []byte("{}"))
	inBucket.put(attempt+"1.json", claimRecord("20261122T030001Z-1", noon))
	inBucket.put(attempt+"1-released.json", []byte("{}"))
	assert.Equal(t, fact.Claims{}, claims(t, source, noon.Add(time.Minute)))

	inBucket.put(attempt+"2.json", claimRecord("20261122T030501Z-1", noon))
	assert.Equal(t, fact.Claims{Active: 1}, claims(t, source, noon.Add(time.Minute)), "the second attempt")
}

func TestALaterDrillOfTheSameBackupSettlesOneThatWasKilled(t *testing.T) {
	inBucket := newBucket(t)
	source, _ := locationOf(inBucket)
	const run = "20261122T030000Z"
	b := completedBackup("db", "db-1", day(0))
	inBucket.put(store.Run("nightly", run), []byte("{}"))
	inBucket.put(store.Attempts("nightly", run, "db-1")+"1.json", claimRecord("20261122T030001Z-1", day(0)))
	inBucket.drill("20261121T030000Z-1", drillOfBackup(b, controlplane, report.Passed))
	assert.Equal(t, fact.Claims{Abandoned: 1}, claims(t, source, noon), "an earlier one says nothing")
	inBucket.drill("20261122T040000Z-1", drillOfBackup(b, controlplane, report.Passed))
	assert.Equal(t, fact.Claims{}, claims(t, source, noon))
}

func TestRecordsOfDrillsAreReadOnceAndRunsThatAreOverNotAgain(t *testing.T) {
	inBucket := newBucket(t)
	source, _ := locationOf(inBucket)
	const runs = 40
	for i := range runs {
		due := noon.Add(-time.Duration(i) * time.Hour)
		name := due.Format("20060102T150405Z")
		inBucket.put(store.Run("hourly", name), []byte("{}"))
		inBucket.put(store.Attempts("hourly", name, "db-1")+"1.json", claimRecord(name+"-1", due))
	}
	inBucket.put(store.LedgerPrefix+"_runs/default/epoch.json", []byte("{}"))
	assert.Equal(t, fact.Claims{Active: 1, Abandoned: runs - 1}, claims(t, source, noon.Add(time.Minute)))
	before := source.Requests()
	assert.Equal(t, fact.Claims{Active: 1, Abandoned: runs - 1}, claims(t, source, noon.Add(2*time.Minute)))
	after := source.Requests()
	assert.Equal(t, uint64(4), after.List-before.List, "evidence, policies, runs, and the one run that is not over")
	assert.Equal(t, before.Get, after.Get)
}

func TestARecordThatMakesNoSenseIsNoDrill(t *testing.T) {
	for name, record := range map[string]string{
		"no JSON":            "{",
		"another schema":     `{"schema":"lifeboat.dev/claim/v9","drill":"d","at":"2026-11-22T12:00:00Z","until":"2026-11-22T12:30:00Z"}`,
		"no drill":           `{"schema":"lifeboat.dev/claim/v1alpha1","at":"2026-11-22T12:00:00Z","until":"2026-11-22T12:30:00Z"}`,
		"it never ends":      `{"schema":"lifeboat.dev/claim/v1alpha1","drill":"d","at":"2026-11-22T12:00:00Z","until":"2126-11-22T12:30:00Z"}`,
		"it ends before":     `{"schema":"lifeboat.dev/claim/v1alpha1","drill":"d","at":"2026-11-22T12:00:00Z","until":"2026-11-22T11:30:00Z"}`,
		"larger than it may": `{"schema":"lifeboat.dev/claim/v1alpha1","drill":"` + string(make([]byte, 64<<10)) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			inBucket := newBucket(t)
			source, _ := locationOf(inBucket)
			inBucket.put(store.Run("nightly", "20261122T030000Z"), []byte("{}"))
			inBucket.put(store.Attempts("nightly", "20261122T030000Z", "db-1")+"1.json", []byte(record))
			assert.Equal(t, fact.Claims{}, claims(t, source, noon.Add(time.Minute)))
		})
	}
}

func TestDrillsUnderWayAreWithheldOnceTheirRecordsCannotBeRead(t *testing.T) {
	cfg := state.Config{}.WithDefaults()
	known := oneLocation(cfg, nil)
	assert.NotContains(t, derived(t, noon, known, cfg), "lifeboat_drill_active", "nobody reads them")
	known.Locations[0].ClaimsSource, known.Locations[0].Claims = readAt(noon), fact.Claims{Active: 2, Abandoned: 1}
	got := derived(t, noon.Add(10*time.Minute), known, cfg)
	assert.Equal(t, 2.0, got["lifeboat_drill_active"])
	assert.Equal(t, 1.0, got["lifeboat_drill_abandoned"])
	assert.NotContains(t, derived(t, noon.Add(16*time.Minute), known, cfg), "lifeboat_drill_active")
}

func TestARunThatIsNotOverIsLookedAtAgain(t *testing.T) {
	inBucket := newBucket(t)
	source, _ := locationOf(inBucket)
	const before, last = "20261121T030000Z", "20261122T030000Z"
	for _, run := range []string{before, last} {
		inBucket.put(store.Run("nightly", run), []byte("{}"))
	}
	// The run before is drilling late, and that of the last one ran out of time.
	inBucket.put(store.Attempts("nightly", before, "db-1")+"1.json", claimRecord("20261122T115000Z-1", noon.Add(-10*time.Minute)))
	inBucket.put(store.Attempts("nightly", last, "db-2")+"1.json", claimRecord("20261122T030001Z-1", day(0)))
	assert.Equal(t, fact.Claims{Active: 1, Abandoned: 1}, claims(t, source, noon))

	inBucket.put(store.Attempts("nightly", before, "db-1")+"1-released.json", []byte("{}"))
	inBucket.put(store.Attempts("nightly", last, "db-3")+"1.json", claimRecord("20261122T115900Z-1", noon.Add(-time.Minute)))
	assert.Equal(t, fact.Claims{Active: 1, Abandoned: 1}, claims(t, source, noon), "one was given back, and another begun")
	assert.Equal(t, fact.Claims{Abandoned: 2}, claims(t, source, noon.Add(time.Hour)), "of the last run only")
}
