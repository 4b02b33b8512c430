package exporter

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/bucket"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
)

func TestAStorageScanCountsEverythingByWhatItIs(t *testing.T) {
	inBucket := newBucket(t)
	for key, size := range map[string]int{
		"backups/a/a.tar.gz": 100, "backups/a/velero-backup.json": 10, "restores/r/restore-r-logs.gz": 1,
		"kopia/ns/p1": 1000, "restic/ns/data/x": 2000, "metadata/lifeboat/ledger/nightly/1.json": 3,
		"metadata/lifeboat/drills/a/1.json": 4, "metadata/revision": 5, "plugins/x/y": 6, "readme": 7,
	} {
		inBucket.put(key, make([]byte, size))
	}
	source, _ := locationOf(&paged{Store: inBucket, size: 4})
	storage, err := source.ListStorage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]int64{"catalog": 111, "volumes": 3000, "ledger": 3, "drills": 4, "other": 18}, storage.Bytes)
	assert.Equal(t, map[string]int64{"catalog": 3, "volumes": 2, "ledger": 1, "drills": 1, "other": 3}, storage.Objects)
	assert.Nil(t, storage.Protection, "it was not asked for")
	assert.Equal(t, fact.Requests{List: 3}, source.Requests(), "a page for each so many objects, and nothing is read")
}

func TestAStoreThatDoesNotTellHowItProtectsIsLoggedOnceAndFailsNothing(t *testing.T) {
	inBucket := newBucket(t)
	refuses := errors.New("access denied: the credentials need s3:GetBucketVersioning")
	for name, s := range map[string]store.Store{"has none": inBucket, "refuses": &protected{Store: inBucket, err: refuses}} {
		var log bytes.Buffer
		source, _ := locationOf(s)
		source.Log, source.Lock = slog.New(slog.NewTextHandler(&log, nil)), true
		for range 3 {
			storage, err := source.ListStorage(t.Context())
			require.NoError(t, err)
			assert.Nil(t, storage.Protection, name)
		}
		assert.Equal(t, 1, strings.Count(log.String(), "\n"), "%s: %s", name, log.String())
	}
}

func TestStorageAndProtectionAreServed(t *testing.T) {
	known := oneLocation(state.Config{}, []fact.Backup{{Name: "a", Volumes: &fact.Volumes{Size: 700}}, {Name: "b"}, {Name: "c", Volumes: &fact.Volumes{Size: 40}}})
	l := &known.Locations[0]
	l.StorageSource = readAt(noon)
	l.Storage = fact.Storage{Bytes: map[string]int64{"volumes": 100}, Objects: map[string]int64{"volumes": 2},
		Protection: &fact.Protection{Versioning: true, Lock: true, Mode: "COMPLIANCE", Retention: time.Hour}}
	got := derived(t, noon, known, state.Config{LockRequired: true})
	for series, want := range map[string]float64{
		`lifeboat_location_stored_bytes{backup_location_name="default",content="volumes"}`:        100,
		`lifeboat_location_stored_bytes{backup_location_name="default",content="other"}`:          0,
		`lifeboat_location_objects{backup_location_name="default",content="volumes"}`:             2,
		`lifeboat_location_logical_bytes{backup_location_name="default"}`:                         740,
		`lifeboat_location_object_lock_required{backup_location_name="default"}`:                  1,
		`lifeboat_location_object_lock_enabled{backup_location_name="default"}`:                   1,
		`lifeboat_location_object_lock_mode{backup_location_name="default",mode="COMPLIANCE"}`:    1,
		`lifeboat_location_object_lock_mode{backup_location_name="default",mode="none"}`:          0,
		`lifeboat_location_object_lock_default_retention_seconds{backup_location_name="default"}`: 3600,
		`lifeboat_location_versioning_enabled{backup_location_name="default"}`:                    1,
		`lifeboat_location_last_storage_scan_timestamp_seconds{backup_location_name="default"}`:   unix(noon),
		`lifeboat_location_scan_interval_seconds{backup_location_name="default"}`:                 60,
		`lifeboat_exporter_collector_success{collector="storage"}`:                                1,
		`lifeboat_exporter_config_last_reload_successful`:                                         1,
	} {
		if assert.Contains(t, got, series) {
			assert.InDelta(t, want, got[series], 0, series)
		}
	}

	later := derived(t, noon.Add(20*time.Hour), known, state.Config{})
	assert.NotContains(t, later, `lifeboat_location_object_lock_enabled{backup_location_name="default"}`, "nobody knows it any more")
	assert.Contains(t, later, `lifeboat_location_stored_bytes{backup_location_name="default",content="volumes"}`, "it was so, as of the timestamp")

	l.VolumesPending = 1
	assert.NotContains(t, derived(t, noon, known, state.Config{}), `lifeboat_location_logical_bytes{backup_location_name="default"}`, "a part is no sum")
}

func TestOfSeveralLocationsTheWorstCollectorCounts(t *testing.T) {
	failed := state.SourceState{LastAttempt: noon, LastSuccess: noon.Add(-time.Hour), Duration: 7 * time.Second}
	known := assembled(noon, []state.LocationState{{Name: "a", Backups: readAt(noon), Drills: readAt(noon)}, {Name: "b", Backups: failed, Drills: readAt(noon)}}, state.Config{}.WithDefaults())
	got := derived(t, noon, known, state.Config{})
	assert.Zero(t, got[`lifeboat_exporter_collector_success{collector="bucket"}`])
	assert.InDelta(t, 7, got[`lifeboat_exporter_collector_duration_seconds{collector="bucket"}`], 0)
	assert.InDelta(t, 1, got[`lifeboat_exporter_collector_success{collector="drills"}`], 0)
	assert.NotContains(t, got, `lifeboat_exporter_collector_success{collector="storage"}`, "it was not tried")
}

func TestStorageIsCountedAtItsOwnIntervalAndAgainSoonWhenThatFails(t *testing.T) {
	inBucket, cfg := aDayInTheLife(t)
	cfg.StorageInterval, cfg.Interval = 6*time.Hour, time.Hour
	source, location := locationOf(inBucket)
	storage := &countingStorage{StorageLister: source}
	location.Storage = storage
	inBubble(t, cfg, location, func(t *testing.T, _ *Exporter) {
		assert.Equal(t, int64(1), storage.calls.Load())
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		assert.InDelta(t, 5, storage.calls.Load(), 1, "not at each reading")
		storage.fails.Store(true)
		time.Sleep(12 * time.Hour)
		synctest.Wait()
		assert.Greater(t, storage.calls.Load(), int64(20), "and soon again after a failure")
	})
}

// countingStorage counts how often it is asked.
type countingStorage struct {
	StorageLister
	calls atomic.Int64
	fails atomic.Bool
}

func (c *countingStorage) ListStorage(ctx context.Context) (fact.Storage, error) {
	c.calls.Add(1)
	if c.fails.Load() {
		return fact.Storage{}, errGone
	}
	return c.StorageLister.ListStorage(ctx)
}

func probing(t *testing.T, s store.Store) (*bucket.Location, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	source, _ := locationOf(s)
	source.Log, source.ProbeWrites = slog.New(slog.NewTextHandler(log, nil)), true
	return source, log
}

func TestProbesSayHowLongOperationsTake(t *testing.T) {
	inBucket := newBucket(t)
	inBucket.backup(completedBackup("db", "db-1", day(0)))
	source, _ := locationOf(inBucket)
	for range 2 {
		scan, err := source.ListBackups(t.Context())
		require.NoError(t, err)
		assert.Contains(t, scan.Probes, "list")
		assert.Contains(t, scan.Probes, "get", "the last one counts when there was none at this reading")
		assert.NotContains(t, scan.Probes, "put", "nothing is ever written unless it was asked for")
	}
	assert.Zero(t, source.Requests().Other)

	writing, log := probing(t, inBucket)
	inBucket.put(store.Probe, []byte("left by one that was killed"))
	for range 2 {
		scan, err := writing.ListBackups(t.Context())
		require.NoError(t, err)
		assert.Contains(t, scan.Probes, "delete")
		_, err = inBucket.Get(t.Context(), store.Probe)
		require.ErrorIs(t, err, store.ErrNotFound, "nothing is left behind")
		require.NoError(t, err2(writing.ListBackups(t.Context())))
	}
	scan, err := writing.ListBackups(t.Context())
	require.NoError(t, err)
	assert.Contains(t, scan.Probes, "put")
	assert.Empty(t, log.String())
}

func err2(_ fact.BackupScan, err error) error { return err }

func TestABucketThatKeepsVersionsIsNotProbedByWriting(t *testing.T) {
	for name, p := range map[string]*protected{
		"versions":         {protection: store.Protection{Versioning: true}},
		"a lock":           {protection: store.Protection{Lock: true, Mode: "COMPLIANCE", Retention: time.Hour}},
		"it does not tell": {err: errors.New("access denied")},
	} {
		inBucket := newBucket(t)
		inBucket.backup(completedBackup("db", "db-1", day(0)))
		p.Store = inBucket
		source, log := probing(t, p)
		for range 3 {
			scan, err := source.ListBackups(t.Context())
			require.NoError(t, err, "%s: it is no failure of the reading", name)
			assert.NotContains(t, scan.Probes, "put", name)
		}
		assert.Zero(t, source.Requests().Other, name)
		assert.Equal(t, 1, strings.Count(log.String(), "\n"), "%s: %s", name, log.String())
	}
}

func TestBackupsSayUntilWhenObjectLockKeepsThem(t *testing.T) {
	inBucket := newBucket(t)
	until := noon.AddDate(0, 0, 30)
	for _, name := range []string{"kept", "short", "open"} {
		inBucket.backup(completedBackup("db", name, day(0)))
	}
	locks := &protected{Store: inBucket, until: until, of: map[string]time.Time{
		store.Contents("short"): noon.AddDate(0, 0, 1), store.Contents("open"): {},
	}}
	source, _ := locationOf(locks)
	source.Lock = true
	got := map[string]time.Time{}
	for range 2 {
		scan, err := source.ListBackups(t.Context())
		require.NoError(t, err)
		for _, b := range scan.Backups {
			assert.True(t, b.LockAsked)
			got[b.Name] = b.LockedUntil
		}
	}
	assert.Equal(t, map[string]time.Time{"kept": until, "short": noon.AddDate(0, 0, 1), "open": {}}, got, "the file that is kept the shortest decides")
	assert.LessOrEqual(t, locks.asked.Load(), int64(6), "each is asked once a day")
}

func TestAskingForLocksIsBoundedAndBeginsWithTheNewestOfEachSchedule(t *testing.T) {
	inBucket := newBucket(t)
	for i := range 3 * bucket.LockBudget {
		inBucket.backup(completedBackup("hourly", "hourly-"+strings.Repeat("x", i+1), noon.Add(-time.Duration(i)*time.Minute)))
	}
	inBucket.backup(completedBackup("yearly", "yearly-1", noon.AddDate(-1, 0, 0)))
	locks := &protected{Store: inBucket, until: noon}
	source, _ := locationOf(locks)
	source.Lock = true
	asked := func() (n int, yearly bool) {
		scan, err := source.ListBackups(t.Context())
		require.NoError(t, err)
		for _, b := range scan.Backups {
			if b.LockAsked {
				n++
				yearly = yearly || b.Schedule == "yearly"
			}
		}
		return n, yearly
	}
	for want := range 3 {
		n, yearly := asked()
		assert.Equal(t, (want+1)*bucket.LockBudget, n)
		assert.True(t, yearly)
	}
	n, _ := asked()
	assert.Equal(t, 3*bucket.LockBudget+1, n)
}

func TestLockedBackupsAreCountedWhenAllWereAsked(t *testing.T) {
	backup := func(until time.Time, asked bool) fact.Backup {
		b := completedBackup("db", "db-"+until.String(), day(0))
		b.Expires, b.LockedUntil, b.LockAsked, b.InLocation = noon, until, asked, true
		return b
	}
	n, known := state.CountLocked([]fact.Backup{backup(noon, true), backup(noon.Add(time.Hour), true), backup(noon.Add(-time.Hour), true), backup(time.Time{}, true)})
	assert.Equal(t, 2, n)
	assert.True(t, known)
	_, known = state.CountLocked([]fact.Backup{backup(noon, true), backup(noon, false)})
	assert.False(t, known, "a part would look like a hole")
	_, known = state.CountLocked(nil)
	assert.False(t, known)
}
