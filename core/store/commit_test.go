package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/core/store/storetest"
)

// files are what writeBackup puts before the marker.
var files = []string{store.Contents("nightly"), store.Log("nightly"), store.Manifest("nightly")}

// writeBackup is a pipeline in small: it begins, puts, commits, and aborts on
// any error.
func writeBackup(ctx context.Context, s store.Store) error {
	w, err := store.Begin(ctx, s, "nightly")
	if err != nil {
		return err
	}
	for _, key := range files {
		if _, _, err := w.Put(ctx, key, strings.NewReader("bytes of "+key)); err != nil {
			return errors.Join(err, w.Abort(ctx))
		}
	}
	if err := w.Commit(ctx, []byte("{}")); err != nil {
		return errors.Join(err, w.Abort(ctx))
	}
	return w.Abort(ctx) // as a deferred one would
}

func TestABackupIsWrittenWithItsMarkerLast(t *testing.T) {
	s := storetest.Calls(mem.New())
	require.NoError(t, writeBackup(t.Context(), s))

	var puts []string
	for _, c := range s.Calls() {
		assert.NotEqual(t, storetest.Delete, c.Method, "a committed backup is not touched by Abort")
		if c.Method == storetest.Put {
			puts = append(puts, c.Key)
		}
	}
	assert.Equal(t, append(append([]string(nil), files...), store.Metadata("nightly")), puts)
	committed, err := store.Committed(t.Context(), s, "nightly")
	require.NoError(t, err)
	assert.True(t, committed)
}

func TestABackupIsNotCommittedBeforeItsMarkerIsThere(t *testing.T) {
	s := mem.New()
	for _, key := range []string{store.Contents("nightly"), store.Metadata("nightly-2"), store.Metadata("nightly") + ".bak"} {
		require.NoError(t, s.Put(t.Context(), key, strings.NewReader("x")))
		committed, err := store.Committed(t.Context(), s, "nightly")
		require.NoError(t, err)
		assert.False(t, committed, key)
	}
	_, err := store.Committed(t.Context(), s, "../nightly")
	assert.Error(t, err)
}

func TestPutTellsSizeAndDigestOfWhatItStored(t *testing.T) {
	s := mem.New()
	w, err := store.Begin(t.Context(), s, "nightly")
	require.NoError(t, err)
	for name, data := range map[string]string{"-logs.gz": "", "-results.gz": "x", ".tar.gz": strings.Repeat("long", 1<<20)} {
		size, digest, err := w.Put(t.Context(), store.BackupPrefix("nightly")+"nightly"+name, strings.NewReader(data))
		require.NoError(t, err)
		want := sha256.Sum256([]byte(data))
		assert.EqualValues(t, len(data), size)
		assert.Equal(t, hex.EncodeToString(want[:]), digest)
	}
}

func TestPutRefusesKeysThatAreNotThisBackups(t *testing.T) {
	s := mem.New()
	w, err := store.Begin(t.Context(), s, "a")
	require.NoError(t, err)
	for _, key := range []string{
		"", "backups/a", "backups/a/", "backups/ab/ab.tar.gz", "backups/b/b.tar.gz", "backups/a/../b/b.tar.gz",
		"metadata/lifeboat/x", store.Metadata("a"),
	} {
		_, _, err := w.Put(t.Context(), key, strings.NewReader("x"))
		assert.ErrorIs(t, err, store.ErrInvalidKey, "%q", key)
	}
	assert.Empty(t, keys(t, s))
	assert.NoError(t, w.Commit(t.Context(), []byte("{}")), "a refused key is no file that is missing")
}

func TestBeginRefusesANameThatIsTaken(t *testing.T) {
	whole, interrupted := mem.New(), mem.New()
	require.NoError(t, writeBackup(t.Context(), whole))
	require.NoError(t, interrupted.Put(t.Context(), store.Log("nightly"), strings.NewReader("x")))

	_, err := store.Begin(t.Context(), whole, "nightly")
	assert.ErrorIs(t, err, store.ErrExists)
	assert.EqualError(t, err, "backup nightly in mem:// already exists: choose another name, or delete that backup first")
	_, err = store.Begin(t.Context(), interrupted, "nightly")
	assert.ErrorIs(t, err, store.ErrExists)
	assert.ErrorContains(t, err, "it was interrupted or is still being written: choose another name, or delete it first")
	_, err = store.Begin(t.Context(), whole, "night")
	assert.NoError(t, err, "a name that begins another is free")
	_, err = store.Begin(t.Context(), whole, "Nightly/..")
	assert.Error(t, err)
}

func TestCommitRefusesWhenAFileIsMissing(t *testing.T) {
	s := storetest.NewFaults(mem.New(), storetest.Fault{Method: storetest.Put, Nth: 1})
	w, err := store.Begin(t.Context(), s, "nightly")
	require.NoError(t, err)
	_, _, err = w.Put(t.Context(), store.Log("nightly"), strings.NewReader("log"))
	require.ErrorIs(t, err, storetest.ErrInjected)

	assert.ErrorContains(t, w.Commit(t.Context(), []byte("{}")), "these files were not written: backups/nightly/nightly-logs.gz")
	_, _, err = w.Put(t.Context(), store.Log("nightly"), strings.NewReader("log"))
	require.NoError(t, err)
	assert.NoError(t, w.Commit(t.Context(), []byte("{}")), "the second attempt has written it")
	s.AssertAllFired(t)
}

func TestNothingIsWrittenAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(*store.Writer) error{
		"commit": func(w *store.Writer) error { return w.Commit(t.Context(), []byte("{}")) },
		"abort":  func(w *store.Writer) error { return w.Abort(t.Context()) },
	} {
		s := mem.New()
		w, err := store.Begin(t.Context(), s, "nightly")
		require.NoError(t, err)
		require.NoError(t, end(w))
		before := keys(t, s)
		_, _, err = w.Put(t.Context(), store.Log("nightly"), strings.NewReader("late"))
		assert.Error(t, err, name)
		assert.Error(t, w.Commit(t.Context(), []byte("{}")), name)
		assert.Equal(t, before, keys(t, s), name)
	}
}

func TestAbortRemovesEverythingAlsoWhenTheContextIsOver(t *testing.T) {
	s := mem.New()
	require.NoError(t, s.Put(t.Context(), store.Log("nightly-2"), strings.NewReader("another backup")))
	ctx, cancel := context.WithCancel(t.Context())
	w, err := store.Begin(ctx, s, "nightly")
	require.NoError(t, err)
	for _, key := range files {
		_, _, err := w.Put(ctx, key, strings.NewReader("x"))
		require.NoError(t, err)
	}
	cancel()
	require.NoError(t, w.Abort(ctx))
	require.NoError(t, w.Abort(ctx))
	assert.Equal(t, []string{store.Log("nightly-2")}, keys(t, s))
}

// Two writers of one name may both have found it free. Of a file whose Put
// failed neither knows which of them has written it.
func TestAbortLeavesTheFilesOfAnotherWriter(t *testing.T) {
	s := mem.New()
	mine, err := store.Begin(t.Context(), deadEnd{s, files[1]}, "nightly")
	require.NoError(t, err)
	theirs, err := store.Begin(t.Context(), s, "nightly")
	require.NoError(t, err)
	for _, key := range files[:2] {
		_, _, err = theirs.Put(t.Context(), key, strings.NewReader("theirs"))
		require.NoError(t, err)
	}
	_, _, err = mine.Put(t.Context(), files[0], strings.NewReader("mine"))
	require.ErrorIs(t, err, store.ErrExists)
	_, _, err = mine.Put(t.Context(), files[1], strings.NewReader("mine"))
	require.ErrorIs(t, err, io.ErrClosedPipe)
	_, _, err = mine.Put(t.Context(), files[2], strings.NewReader("mine"))
	require.NoError(t, err)

	require.NoError(t, mine.Abort(t.Context()))
	assert.ElementsMatch(t, files[:2], keys(t, s))
}

// deadEnd takes all bytes of one object and then fails.
type deadEnd struct {
	store.Store
	key string
}

func (d deadEnd) Put(ctx context.Context, key string, r io.Reader) error {
	if key != d.key {
		return d.Store.Put(ctx, key, r)
	}
	_, err := io.Copy(io.Discard, r)
	return errors.Join(err, io.ErrClosedPipe)
}

// The answer to the writing of the marker gets lost, and then the store stays
// away: the files must stay with the marker that may be there.
func TestAbortLeavesTheFilesOfABackupThatMayBeCommitted(t *testing.T) {
	s := mem.New()
	cut := storetest.NewFaults(s, storetest.Fault{Method: storetest.Put, Nth: 4, When: storetest.After, Kill: true})
	err := writeBackup(t.Context(), cut)
	assert.ErrorContains(t, err, "it may have been committed, so its files were left in place")
	cut.AssertAllFired(t)
	assertWholeOrNoBackup(t, s)
	assert.Len(t, keys(t, s), 4)
}

func TestAWriterNeverLeavesABackupThatIsNotWhole(t *testing.T) {
	clean := storetest.Calls(mem.New())
	require.NoError(t, writeBackup(t.Context(), clean))
	for nth := range clean.Count(storetest.Any) {
		for _, when := range []storetest.When{storetest.Before, storetest.During, storetest.After} {
			for _, kill := range []bool{false, true} {
				t.Run(fmt.Sprintf("call %d fails %s, killed %t", nth+1, when, kill), func(t *testing.T) {
					s := mem.New()
					f := storetest.NewFaults(s, storetest.Fault{Method: storetest.Any, Nth: nth + 1, When: when, Kill: kill})
					assert.ErrorIs(t, writeBackup(t.Context(), f), storetest.ErrInjected)
					f.AssertAllFired(t)
					assertWholeOrNoBackup(t, s)
					if !kill {
						assert.Empty(t, keys(t, s), "the store still works, so nothing stays")
					}
				})
			}
		}
	}
}

func TestDeletingABackupNeverLeavesHalfOfOneCommitted(t *testing.T) {
	var faults []storetest.Fault
	for nth := range len(files) + 1 {
		faults = append(faults,
			storetest.Fault{Method: storetest.Delete, Nth: nth + 1, When: storetest.Before, Kill: true},
			storetest.Fault{Method: storetest.Delete, Nth: nth + 1, When: storetest.After, Kill: true})
	}
	for nth := range 2 { // one looks for the marker, one for the rest
		faults = append(faults, storetest.Fault{Method: storetest.List, Nth: nth + 1, When: storetest.Before, Kill: true})
	}
	faults = append(faults, storetest.Fault{Method: storetest.List, Nth: 2, When: storetest.During, Kill: true})
	for _, fault := range faults {
		t.Run(fmt.Sprintf("killed %s %s %d", fault.When, fault.Method, fault.Nth), func(t *testing.T) {
			s := mem.New()
			require.NoError(t, writeBackup(t.Context(), s))
			f := storetest.NewFaults(s, fault)
			deleted, err := store.DeleteBackup(t.Context(), f, "nightly")
			require.ErrorIs(t, err, storetest.ErrInjected)
			f.AssertAllFired(t)
			assertWholeOrNoBackup(t, s)

			rest := len(keys(t, s))
			n, err := store.DeleteBackup(t.Context(), s, "nightly")
			require.NoError(t, err)
			assert.Equal(t, rest, n)
			assert.Empty(t, keys(t, s))
			assert.LessOrEqual(t, deleted, len(files)+1-rest, "it claims no deletion that it does not know of")
		})
	}
}

func TestDeleteBackupTouchesNothingElse(t *testing.T) {
	s := mem.New()
	require.NoError(t, writeBackup(t.Context(), s))
	others := []string{"backups/night/x", "backups/nightly-2/velero-backup.json", store.Evidence("nightly", "d1"), "restores/nightly/x"}
	for _, key := range others {
		require.NoError(t, s.Put(t.Context(), key, strings.NewReader("x")))
	}
	n, err := store.DeleteBackup(t.Context(), s, "nightly")
	require.NoError(t, err)
	assert.Equal(t, len(files)+1, n)
	assert.ElementsMatch(t, others, keys(t, s))

	n, err = store.DeleteBackup(t.Context(), s, "nightly")
	assert.NoError(t, err)
	assert.Zero(t, n)
	for _, name := range []string{"", ".", "..", "nightly-2/", "../backups/nightly-2", "*"} {
		_, err = store.DeleteBackup(t.Context(), s, name)
		assert.Error(t, err, "%q", name)
	}
	assert.ElementsMatch(t, others, keys(t, s))
}

// A store that says nil without having read everything must not yield a
// digest of something it does not hold.
func TestPutNoticesAStoreThatStopsReading(t *testing.T) {
	w, err := store.Begin(t.Context(), lazy{mem.New()}, "nightly")
	require.NoError(t, err)
	_, _, err = w.Put(t.Context(), store.Log("nightly"), strings.NewReader("a log"))
	assert.ErrorContains(t, err, "stopped reading after 1 bytes")
	assert.Error(t, w.Commit(t.Context(), []byte("{}")))
}

type lazy struct{ store.Store }

func (l lazy) Put(ctx context.Context, key string, r io.Reader) error {
	return l.Store.Put(ctx, key, io.LimitReader(r, 1))
}

// assertWholeOrNoBackup is promise 2: a marker has all files with it.
func assertWholeOrNoBackup(t *testing.T, s store.Store) {
	t.Helper()
	committed, err := store.Committed(t.Context(), s, "nightly")
	require.NoError(t, err)
	if committed {
		assert.Subset(t, keys(t, s), files)
	}
}

func keys(t *testing.T, s store.Store) []string {
	t.Helper()
	var keys []string
	for info, err := range s.List(t.Context(), "", true) {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	return keys
}
