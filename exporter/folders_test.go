package exporter

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/bucket"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

// quietLocation is a location of n backups that ended an hour ago and were read
// once. It has to be made in a bubble: the store's clock is the bubble's.
func quietLocation(t *testing.T, n int) (fakeBucket, *paged, func() fact.BackupScan) {
	inBucket := newBucket(t)
	for i := range n {
		inBucket.backup(completedBackup("db", fmt.Sprintf("db-%03d", i), time.Now().Add(-time.Hour)))
	}
	time.Sleep(time.Hour)
	pages := &paged{Store: inBucket, size: 10}
	source, _ := locationOf(pages)
	scan := func() fact.BackupScan {
		s, err := source.ListBackups(t.Context())
		require.NoError(t, err)
		return s
	}
	require.Len(t, scan().Backups, n)
	return inBucket, pages, scan
}

// untilSeen reads each minute and returns how long it took until something was
// seen.
func untilSeen(t *testing.T, scan func() fact.BackupScan, seen func(fact.BackupScan) bool) time.Duration {
	for began := time.Now(); time.Since(began) < 3*time.Hour; {
		time.Sleep(time.Minute)
		if seen(scan()) {
			return time.Since(began)
		}
	}
	t.Fatal("it is never seen")
	return 0
}

func TestWhatHappensToABackupIsSeenWithinAStatedTime(t *testing.T) {
	const backups = 100
	one := func(s fact.BackupScan, name string) fact.Backup {
		for _, b := range s.Backups {
			if b.Name == name {
				return b
			}
		}
		return fact.Backup{}
	}
	finalizing := func(start time.Time) fact.Backup {
		return endedAs(velerov1.BackupPhaseFinalizing, completedBackup("db", "new", start))
	}
	for name, tc := range map[string]struct {
		within time.Duration
		happen func(b fakeBucket)
		seen   func(fact.BackupScan) bool
	}{
		"a new one": {time.Minute, func(b fakeBucket) { b.backup(completedBackup("db", "new", midnight)) },
			func(s fact.BackupScan) bool { return len(s.Backups) == backups+1 }},
		"one that is deleted": {time.Minute, func(b fakeBucket) {
			require.NoError(b.t, b.Delete(b.t.Context(), store.Contents("db-050")))
			require.NoError(b.t, b.Delete(b.t.Context(), store.Metadata("db-050")))
		}, func(s fact.BackupScan) bool { return len(s.Backups) == backups-1 && s.Incomplete == 0 }},
		"one that is half deleted": {time.Hour + time.Minute, func(b fakeBucket) {
			require.NoError(b.t, b.Delete(b.t.Context(), store.Contents("db-050")))
		}, func(s fact.BackupScan) bool { return s.Incomplete == 1 && len(s.Backups) == backups-1 }},
		"one that is rewritten long after its end": {time.Hour + time.Minute, func(b fakeBucket) {
			b.backup(endedAs(velerov1.BackupPhasePartiallyFailed, completedBackup("db", "db-050", midnight)))
		}, func(s fact.BackupScan) bool { return one(s, "db-050").Phase == velerov1.BackupPhasePartiallyFailed }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inBucket, _, scan := quietLocation(t, backups)
				inBucket.t = t
				tc.happen(inBucket)
				assert.LessOrEqual(t, untilSeen(t, scan, tc.seen), tc.within)
			})
		})
	}
	t.Run("the end of one that was finalizing for hours", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			inBucket, _, scan := quietLocation(t, backups)
			inBucket.backup(finalizing(midnight))
			for range 10 {
				time.Sleep(time.Hour)
				require.Equal(t, velerov1.BackupPhaseFinalizing, one(scan(), "new").Phase)
			}
			inBucket.backup(completedBackup("db", "new", midnight))
			took := untilSeen(t, scan, func(s fact.BackupScan) bool { return one(s, "new").Phase == velerov1.BackupPhaseCompleted })
			assert.Equal(t, time.Minute, took)
		})
	})
	t.Run("the rest of one that is still being written", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			inBucket, _, scan := quietLocation(t, backups)
			inBucket.put(store.Log("new"), []byte("log"))
			for range 10 {
				time.Sleep(time.Hour)
				require.Equal(t, 1, scan().Incomplete)
			}
			inBucket.backup(completedBackup("db", "new", midnight))
			took := untilSeen(t, scan, func(s fact.BackupScan) bool { return s.Incomplete == 0 && one(s, "new").Name != "" })
			assert.Equal(t, time.Minute, took)
		})
	})
}

// The page of this store has 10 entries: 100 backups of two files are 10 pages of
// names and 20 of files.
func TestQuietFoldersAreListedOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pages, scan := quietLocation(t, 100)
		assert.Equal(t, uint64(10+20), pages.list.Load(), "the first reading lists names and files")
		before := pages.list.Load()
		for range 60 {
			time.Sleep(time.Minute)
			scan()
		}
		listed := int(pages.list.Load() - before)
		assert.LessOrEqual(t, listed, 60*(10+2), "names, and the few files whose turn it is")
		assert.LessOrEqual(t, pages.get.Load(), uint64(100+6), "and nothing is fetched twice, but one in ten minutes to know that it can be")
	})
}

func TestEveryFolderHasItsTurnWithinTheHour(t *testing.T) {
	var names []string
	f := bucket.Folders{Known: map[string]*bucket.Folder{}}
	for i := range 997 {
		names = append(names, fmt.Sprintf("b-%03d", i))
		f.Known[names[i]] = &bucket.Folder{Name: names[i]}
	}
	quiet := func(*bucket.Folder) bool { return true }
	for _, step := range []time.Duration{time.Second, time.Minute, 7 * time.Minute, time.Hour, 5 * time.Hour} {
		now := noon
		f.Cursor, f.Turned = "b-500", noon
		seen := map[string]bool{}
		for now.Before(noon.Add(bucket.LookAgain)) {
			now = now.Add(step)
			wanted, cursor := f.Wanted(names, now, quiet)
			f.Cursor, f.Turned = cursor, now
			for i, w := range wanted {
				seen[names[i]] = seen[names[i]] || w
			}
		}
		assert.Len(t, seen, len(names))
		for name, was := range seen {
			assert.True(t, was, "%s, read each %s", name, step)
		}
	}
}

func TestRunsCostTheFewestRequests(t *testing.T) {
	mark := func(n int, at ...int) []bool {
		out := make([]bool, n)
		for _, i := range at {
			out[i] = true
		}
		return out
	}
	assert.Empty(t, bucket.RunsOf(mark(1000), 100))
	assert.Equal(t, []bucket.Run{{First: 3, Last: 3}}, bucket.RunsOf(mark(1000, 3), 100))
	assert.Equal(t, []bucket.Run{{First: 3, Last: 103}, {First: 300, Last: 300}}, bucket.RunsOf(mark(1000, 3, 103, 300), 100), "a gap of a page is listed, a larger one left out")
	assert.Equal(t, []bucket.Run{{First: 3, Last: 4}, {First: 6, Last: 6}}, bucket.RunsOf(mark(10, 3, 4, 6), 1), "a store that begins at folders only is asked for no gaps")
	all := make([]int, 10000)
	for i := range all {
		all[i] = i
	}
	runs := bucket.RunsOf(mark(len(all), all...), 100)
	assert.Len(t, runs, 5, "long runs are cut, so that they run side by side")
	for i, r := range runs {
		assert.LessOrEqual(t, r.Last-r.First, bucket.RunPages*100)
		assert.True(t, i == 0 || r.First == runs[i-1].Last+1)
	}
}

func TestNamesThatBeginAlikeAreToldApart(t *testing.T) {
	// In a listing "db-1-a/" and "db-1.x/" come before "db-1/".
	inBucket := newBucket(t)
	names := []string{"db-1-a", "db-1.x", "db-1", "db-10", "db"}
	for _, n := range names {
		inBucket.backup(completedBackup("db", n, day(0)))
	}
	for _, s := range []store.Store{inBucket, &paged{Store: inBucket, size: 2}} {
		source, _ := locationOf(s)
		for range 3 {
			scan, err := source.ListBackups(t.Context())
			require.NoError(t, err)
			assert.ElementsMatch(t, names, namesOf(scan.Backups))
			assert.Zero(t, scan.Incomplete)
		}
	}
	assert.True(t, slices.IsSortedFunc([]string{"db-1-a", "db-1.x", "db-1", "db-10"}, func(a, b string) int {
		if bucket.ListedBefore(a, b) {
			return -1
		}
		return 1
	}))
}
