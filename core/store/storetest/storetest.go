// Package storetest holds what tests of stores and of their users stand on:
// Run, the conformance suite every kind of store passes, and Faults, a store
// whose chosen calls fail.
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Run checks that a store keeps every promise of store.Store. open returns an
// empty store; it is called once per subtest.
//
// The suite puts no key that is both an object and the folder of others: what
// becomes of those differs between kinds of store.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	tests := []struct {
		name string
		run  func(t *testing.T, s store.Store)
	}{
		{"what is put is what is got", roundTrip},
		{"a large object is put whole", largeObject},
		{"any key that is valid is kept as it is", awkwardKeys},
		{"hostile keys are refused by every method", hostileKeys},
		{"a key is written once", writeOnce},
		{"of concurrent puts of one key exactly one wins", concurrentPuts},
		{"concurrent puts of different keys do not disturb each other", concurrentKeys},
		{"a put whose reader fails leaves nothing", failingReader},
		{"an object is invisible until its put returns", invisibleUntilDone},
		{"a cancelled put leaves nothing and says so", cancelledPut},
		{"a put that outlives its deadline leaves nothing", deadlineDuringPut},
		{"no method works once its context is over", contextOver},
		{"reading fails once its context is over", contextOverWhileReading},
		{"a missing object is not found", missing},
		{"a part of an object is read", ranges},
		{"a reader may be closed early", closedEarly},
		{"a folder is no object", folderIsNoObject},
		{"a deleted object is gone and its key free", deleteFrees},
		{"deleting the last object of a folder removes the folder", deleteLast},
		{"a list is in the order of the keys", listOrder},
		{"a list that is not recursive shows folders once", listDelimiter},
		{"a prefix may end within a segment", listPartialPrefix},
		{"a list has size and time", listInfo},
		{"a list may be left early", listLeftEarly},
		{"a list is complete beyond a page", listPages},
		{"a list that ends with a page is complete and ends", listWholePages},
		{"a list that is cancelled on the way ends in an error", listCancelled},
		{"of concurrent puts of a key that was deleted exactly one wins", concurrentPutsAgain},
		{"the name of a location is a URL", location},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}

func roundTrip(t *testing.T, s store.Store) {
	for key, want := range map[string][]byte{
		"backups/a/empty":    {},
		"backups/a/one-byte": {0},
		"backups/a/text":     []byte("some text\n"),
		"top-level":          []byte("no folder"),
	} {
		put(t, s, key, want)
		assert.Equal(t, want, get(t, s, key), key)
	}
}

func largeObject(t *testing.T, s store.Store) {
	const size = 20 << 20 // several parts of a multipart upload
	want := sha256.New()
	require.NoError(t, s.Put(t.Context(), "backups/a/large", io.TeeReader(random(size), want)))

	r, err := s.Get(t.Context(), "backups/a/large")
	require.NoError(t, err)
	defer r.Close()
	got := sha256.New()
	n, err := io.Copy(got, r)
	require.NoError(t, err)
	assert.EqualValues(t, size, n)
	assert.Equal(t, want.Sum(nil), got.Sum(nil))
}

func awkwardKeys(t *testing.T, s store.Store) {
	keys := []string{
		"k/.hidden", "k/..two", "k/three...", "k/with space", "k/ leading", "k/trailing ", "k/a+b", "k/100%", "k/%2e%2e", "k/%2F",
		"k/a&b=c;d", "k/q?x#y", "k/ünïcödé", "k/日本語", "k/😀", "k/quote'\"<>", "k/~tilde", "k/star*", "k/[x]", "k/c:d", "k/a@b",
		"k/" + strings.Repeat("n", 255), strings.Repeat("deep/", 20) + "x",
	}
	for _, key := range keys {
		put(t, s, key, []byte(key))
	}
	for _, key := range keys {
		assert.Equal(t, key, string(get(t, s, key)))
	}
	slices.Sort(keys)
	assert.Equal(t, keys, list(t, s, "", true))
	for _, key := range keys {
		require.NoError(t, s.Delete(t.Context(), key), "%q", key)
	}
	assert.Empty(t, list(t, s, "", true))
}

func hostileKeys(t *testing.T, s store.Store) {
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/.", "../a", "a/../b", "a/..", "../../etc/passwd", `a\b`, `..\a`,
		"a\x00b", "a\nb", "a\x7fb", "\xff", strings.Repeat("s", 256), strings.Repeat("long/", 200) + "x",
	} {
		assert.ErrorIs(t, s.Put(t.Context(), key, strings.NewReader("x")), store.ErrInvalidKey, "put %q", key)
		_, err := s.Get(t.Context(), key)
		assert.ErrorIs(t, err, store.ErrInvalidKey, "get %q", key)
		assert.ErrorIs(t, s.Delete(t.Context(), key), store.ErrInvalidKey, "delete %q", key)
	}
	for _, prefix := range []string{"/", "/a", "../", "../a", "a/../", "a//", `a\`} {
		assert.ErrorIs(t, listErr(t.Context(), s, prefix), store.ErrInvalidKey, "list %q", prefix)
	}
	assert.Empty(t, list(t, s, "", true))
}

func writeOnce(t *testing.T, s store.Store) {
	put(t, s, "backups/a/x", []byte("first"))
	assert.ErrorIs(t, s.Put(t.Context(), "backups/a/x", strings.NewReader("second")), store.ErrExists)
	assert.ErrorIs(t, s.Put(t.Context(), "backups/a/x", random(9<<20)), store.ErrExists, "also when it takes several parts")
	assert.Equal(t, "first", string(get(t, s, "backups/a/x")))
}

func concurrentPuts(t *testing.T, s store.Store) {
	for _, size := range []int64{64, 9 << 20} { // one request, and several parts
		key := fmt.Sprintf("backups/a/of-%d", size)
		const writers = 8
		start := make(chan struct{})
		errs := make([]error, writers)
		var g errgroup.Group
		for i := range writers {
			g.Go(func() error {
				<-start
				errs[i] = s.Put(t.Context(), key, io.LimitReader(repeat(byte(i)), size))
				return nil
			})
		}
		close(start)
		require.NoError(t, g.Wait())

		winner := slices.Index(errs, nil)
		require.GreaterOrEqual(t, winner, 0, "none won: %v", errs)
		for i, err := range errs {
			if i != winner {
				assert.ErrorIs(t, err, store.ErrExists, "writer %d, winner %d", i, winner)
			}
		}
		assert.True(t, bytes.Equal(bytes.Repeat([]byte{byte(winner)}, int(size)), get(t, s, key)), "the object is the winner's")
	}
	assert.Len(t, list(t, s, "", true), 2)
}

// concurrentKeys keeps an object in each folder: S3 servers that store objects
// as files may remove a folder that has just become empty under a Put into it,
// which is theirs to mend. Package fs tests that for itself.
func concurrentKeys(t *testing.T, s store.Store) {
	var stay []string
	for i := range 4 {
		stay = append(stay, fmt.Sprintf("backups/b%d/stays", i))
		put(t, s, stay[i], nil)
	}
	var g errgroup.Group
	for i := range 16 {
		g.Go(func() error {
			key := fmt.Sprintf("backups/b%d/f%d", i%4, i)
			for round := range 5 {
				if err := s.Put(t.Context(), key, strings.NewReader(key)); err != nil {
					return fmt.Errorf("round %d: %w", round, err)
				}
				if err := s.Delete(t.Context(), key); err != nil {
					return fmt.Errorf("round %d: %w", round, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	assert.Equal(t, stay, list(t, s, "", true))
}

func failingReader(t *testing.T, s store.Store) {
	broken := errors.New("the source broke")
	for _, size := range []int64{0, 1, 1 << 20, 12 << 20} {
		err := s.Put(t.Context(), "backups/a/x", io.MultiReader(random(size), failing{broken}))
		assert.ErrorIs(t, err, broken, "after %d bytes", size)
		assertNothing(t, s)
	}
	put(t, s, "backups/a/x", []byte("the key is free yet"))
}

func invisibleUntilDone(t *testing.T, s store.Store) {
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- s.Put(t.Context(), "backups/a/x", pr) }()

	_, err := io.Copy(pw, random(12<<20)) // returns once all of it was read
	require.NoError(t, err)
	assertNothing(t, s)
	_, err = s.Get(t.Context(), "backups/a/x")
	assert.ErrorIs(t, err, store.ErrNotFound)

	require.NoError(t, pw.Close())
	require.NoError(t, <-done)
	assert.Len(t, get(t, s, "backups/a/x"), 12<<20)
}

func cancelledPut(t *testing.T, s store.Store) {
	for _, size := range []int64{0, 1 << 20, 12 << 20} {
		ctx, cancel := context.WithCancel(t.Context())
		r := io.MultiReader(random(size), hook(cancel), repeat(1)) // without an end
		assert.ErrorIs(t, s.Put(ctx, "backups/a/x", r), context.Canceled, "after %d bytes", size)
		assertNothing(t, s)
	}
}

func deadlineDuringPut(t *testing.T, s store.Store) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r := io.MultiReader(strings.NewReader("a first piece"), hook(func() { <-ctx.Done() }), strings.NewReader("the rest"))
	assert.ErrorIs(t, s.Put(ctx, "backups/a/x", r), context.DeadlineExceeded)
	assertNothing(t, s)
}

func contextOver(t *testing.T, s store.Store) {
	put(t, s, "backups/a/x", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, s.Put(ctx, "backups/a/y", strings.NewReader("y")), context.Canceled)
	_, err := s.Get(ctx, "backups/a/x")
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorIs(t, s.Delete(ctx, "backups/a/x"), context.Canceled)
	assert.ErrorIs(t, listErr(ctx, s, ""), context.Canceled)
	assert.Equal(t, []string{"backups/a/x"}, list(t, s, "", true))
}

func contextOverWhileReading(t *testing.T, s store.Store) {
	put(t, s, "backups/a/x", make([]byte, 20<<20))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.Get(ctx, "backups/a/x")
	require.NoError(t, err)
	defer r.Close()
	_, err = io.ReadFull(r, make([]byte, 10))
	require.NoError(t, err)
	cancel()
	_, err = io.Copy(io.Discard, r)
	assert.ErrorIs(t, err, context.Canceled)
}

func missing(t *testing.T, s store.Store) {
	put(t, s, "backups/a/x", []byte("x"))
	for _, key := range []string{"nothing", "backups/a/y", "backups/b/x"} {
		_, err := s.Get(t.Context(), key)
		assert.ErrorIs(t, err, store.ErrNotFound, key)
		if err := s.Delete(t.Context(), key); err != nil { // S3 cannot tell
			assert.ErrorIs(t, err, store.ErrNotFound, key)
		}
	}
	for _, prefix := range []string{"nothing", "nothing/", "backups/b", "backups/a/x/"} {
		assert.Empty(t, list(t, s, prefix, true), prefix)
		assert.Empty(t, list(t, s, prefix, false), prefix)
	}
}

func closedEarly(t *testing.T, s store.Store) {
	put(t, s, "backups/a/x", make([]byte, 12<<20))
	for range 3 {
		r, err := s.Get(t.Context(), "backups/a/x")
		require.NoError(t, err)
		_, err = io.ReadFull(r, make([]byte, 10))
		require.NoError(t, err)
		require.NoError(t, r.Close())
		_, err = io.ReadFull(r, make([]byte, 10))
		assert.Error(t, err, "a closed reader does not pretend the object has ended")
		assert.NotErrorIs(t, err, io.EOF)
	}
	assert.Len(t, get(t, s, "backups/a/x"), 12<<20)
}

func folderIsNoObject(t *testing.T, s store.Store) {
	put(t, s, "backups/a/x", []byte("x"))
	for _, key := range []string{"backups", "backups/a"} {
		_, err := s.Get(t.Context(), key)
		assert.ErrorIs(t, err, store.ErrNotFound, key)
		if err := s.Delete(t.Context(), key); err != nil {
			assert.ErrorIs(t, err, store.ErrNotFound, key)
		}
	}
	assert.Equal(t, []string{"backups/a/x"}, list(t, s, "", true))
}

func deleteFrees(t *testing.T, s store.Store) {
	put(t, s, "backups/a/x", []byte("first"))
	put(t, s, "backups/a/xy", []byte("stays"))
	require.NoError(t, s.Delete(t.Context(), "backups/a/x"))
	_, err := s.Get(t.Context(), "backups/a/x")
	assert.ErrorIs(t, err, store.ErrNotFound)
	assert.Equal(t, []string{"backups/a/xy"}, list(t, s, "", true))
	put(t, s, "backups/a/x", []byte("second"))
	assert.Equal(t, "second", string(get(t, s, "backups/a/x")))
}

func deleteLast(t *testing.T, s store.Store) {
	put(t, s, "backups/a/deep/x", []byte("x"))
	put(t, s, "backups/b/x", []byte("x"))
	require.NoError(t, s.Delete(t.Context(), "backups/a/deep/x"))
	assert.Equal(t, []string{"backups/b/"}, list(t, s, "backups/", false))
	require.NoError(t, s.Delete(t.Context(), "backups/b/x"))
	assert.Empty(t, list(t, s, "", false))
}

// listOrder has the keys whose folders sort otherwise than their keys.
func listOrder(t *testing.T, s store.Store) {
	keys := []string{"a!", "a-b", "a-b/c", "a.b", "a/b", "a/b-c", "a/b.c/d", "a/b0", "a0", "aa/x", "B", "ä", "z/1", "z/10", "z/2", "😀", "\uffee"}
	keys = slices.DeleteFunc(keys, func(k string) bool { return k == "a-b" }) // also a folder
	for _, i := range rand.Perm(len(keys)) {
		put(t, s, keys[i], nil)
	}
	slices.Sort(keys)
	assert.Equal(t, keys, list(t, s, "", true))
	assert.Equal(t, []string{"a/b-c", "a/b.c/d", "a/b0"}, slices.DeleteFunc(list(t, s, "a/", true), func(k string) bool { return k == "a/b" }))
	assert.Equal(t, []string{"B", "a!", "a-b/", "a.b", "a/", "a0", "aa/", "z/", "ä", "\uffee", "😀"}, list(t, s, "", false))
}

func listDelimiter(t *testing.T, s store.Store) {
	for _, key := range []string{"backups/a/1", "backups/a/2", "backups/a/sub/3", "backups/ab/1", "backups/file", "restores/r/1"} {
		put(t, s, key, nil)
	}
	assert.Equal(t, []string{"backups/", "restores/"}, list(t, s, "", false))
	assert.Equal(t, []string{"backups/a/", "backups/ab/", "backups/file"}, list(t, s, "backups/", false))
	assert.Equal(t, []string{"backups/a/1", "backups/a/2", "backups/a/sub/"}, list(t, s, "backups/a/", false))
	for info, err := range s.List(t.Context(), "backups/", false) {
		require.NoError(t, err)
		assert.Equal(t, strings.HasSuffix(info.Key, "/"), info.IsPrefix())
	}
}

func listPartialPrefix(t *testing.T, s store.Store) {
	for _, key := range []string{"backups/a/1", "backups/ab/1", "backups/ab/2", "backups/b/1"} {
		put(t, s, key, nil)
	}
	assert.Equal(t, []string{"backups/"}, list(t, s, "back", false))
	assert.Equal(t, []string{"backups/"}, list(t, s, "backups", false))
	assert.Equal(t, []string{"backups/a/", "backups/ab/"}, list(t, s, "backups/a", false))
	assert.Equal(t, []string{"backups/a/1", "backups/ab/1", "backups/ab/2"}, list(t, s, "backups/a", true))
	assert.Equal(t, []string{"backups/ab/2"}, list(t, s, "backups/ab/2", true))
	assert.Equal(t, []string{"backups/ab/2"}, list(t, s, "backups/ab/2", false))
}

func listInfo(t *testing.T, s store.Store) {
	put(t, s, "backups/a/x", make([]byte, 12345))
	for info, err := range s.List(t.Context(), "backups/", true) {
		require.NoError(t, err)
		assert.Equal(t, "backups/a/x", info.Key)
		assert.EqualValues(t, 12345, info.Size)
		assert.WithinDuration(t, time.Now(), info.Modified, time.Hour)
		assert.False(t, info.IsPrefix())
	}
	for info, err := range s.List(t.Context(), "", false) {
		require.NoError(t, err)
		assert.Equal(t, store.Info{Key: "backups/"}, info)
	}
}

func listLeftEarly(t *testing.T, s store.Store) {
	for i := range 5 {
		put(t, s, fmt.Sprintf("backups/a/%d/x", i), nil)
	}
	for _, recursive := range []bool{true, false} {
		seen := 0
		for _, err := range s.List(t.Context(), "backups/a/", recursive) {
			require.NoError(t, err)
			if seen++; seen == 2 {
				break
			}
		}
		assert.Equal(t, 2, seen)
	}
}

func listPages(t *testing.T, s store.Store) {
	const objects = 2500 // S3 gives 1000 to a page
	keys := putMany(t, s, objects)
	assert.Equal(t, keys, list(t, s, "backups/", true))
	assert.Len(t, list(t, s, "backups/", false), objects)
	assert.Equal(t, []string{"backups/"}, list(t, s, "", false))
}

func listWholePages(t *testing.T, s store.Store) {
	const page = 1000
	keys := putMany(t, s, page)
	assert.Equal(t, keys, list(t, s, "backups/", true))
	assert.Equal(t, keys, list(t, s, "", true))
	assert.Len(t, list(t, s, "backups/", false), page)
}

func listCancelled(t *testing.T, s store.Store) {
	const objects = 1500 // more than a page
	putMany(t, s, objects)
	for _, recursive := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		var last error
		for _, err := range s.List(ctx, "backups/", recursive) {
			if last = err; err == nil {
				if seen++; seen == 10 {
					cancel()
				}
			}
		}
		cancel()
		assert.ErrorIs(t, last, context.Canceled, "a list that is cut must not look complete")
		assert.Less(t, seen, objects)
	}
}

func concurrentPutsAgain(t *testing.T, s store.Store) {
	put(t, s, "backups/a/stays", nil) // see concurrentKeys
	for range 5 {
		const writers = 4
		var won atomic.Int32
		var g errgroup.Group
		for i := range writers {
			g.Go(func() error {
				switch err := s.Put(t.Context(), "backups/a/x", strings.NewReader(fmt.Sprint(i))); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, store.ErrExists):
					return err
				}
				return nil
			})
		}
		require.NoError(t, g.Wait())
		require.EqualValues(t, 1, won.Load())
		require.NoError(t, s.Delete(t.Context(), "backups/a/x"))
	}
}

// putMany puts n small objects, each in a folder of its own.
func putMany(t *testing.T, s store.Store, n int) (keys []string) {
	t.Helper()
	var g errgroup.Group
	g.SetLimit(8)
	for i := range n {
		key := fmt.Sprintf("backups/b%04d/x", i)
		keys = append(keys, key)
		g.Go(func() error { return s.Put(t.Context(), key, strings.NewReader("x")) })
	}
	require.NoError(t, g.Wait())
	return keys
}

func location(t *testing.T, s store.Store) {
	assert.Regexp(t, `^[a-z0-9]+://[^?#@]*(\?.*)?$`, s.String())
}

func put(t *testing.T, s store.Store, key string, data []byte) {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), key, bytes.NewReader(data)), "put %q", key)
}

func get(t *testing.T, s store.Store, key string) []byte {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	require.NoError(t, err, "get %q", key)
	defer r.Close()
	data, err := io.ReadAll(r)
	require.NoError(t, err, "read %q", key)
	return data
}

func list(t *testing.T, s store.Store, prefix string, recursive bool) []string {
	t.Helper()
	var keys []string
	for info, err := range s.List(t.Context(), prefix, recursive) {
		require.NoError(t, err, "list %q", prefix)
		keys = append(keys, info.Key)
	}
	return keys
}

// listErr is the error a listing ends with. It fails to end after one.
func listErr(ctx context.Context, s store.Store, prefix string) error {
	var last error
	for _, err := range s.List(ctx, prefix, true) {
		if last != nil {
			return errors.New("the list went on after its error")
		}
		last = err
	}
	return last
}

func assertNothing(t *testing.T, s store.Store) {
	t.Helper()
	assert.Empty(t, list(t, s, "", true))
	assert.Empty(t, list(t, s, "", false))
	assert.Empty(t, list(t, s, "backups/", false))
}

// random gives size bytes that do not compress, the same in each call.
func random(size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), size)
}

// repeat is a reader without an end.
type repeat byte

func (b repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// hook is an empty reader that does something when it is reached.
func hook(do func()) io.Reader { return &hooked{do: do} }

type hooked struct {
	do   func()
	done atomic.Bool
}

func (h *hooked) Read([]byte) (int, error) {
	if !h.done.Swap(true) {
		h.do()
	}
	return 0, io.EOF
}

// ranges holds for every store: store.GetRange reads one that is not a Ranger.
func ranges(t *testing.T, s store.Store) {
	require.NoError(t, s.Put(t.Context(), "a/b", strings.NewReader("0123456789")))
	for _, c := range []struct {
		offset, length int64
		want           string
	}{{0, 10, "0123456789"}, {0, 1, "0"}, {3, 4, "3456"}, {8, 100, "89"}, {10, 1, ""}, {50, 5, ""}, {5, 0, ""}} {
		r, err := store.GetRange(t.Context(), s, "a/b", c.offset, c.length)
		require.NoError(t, err, "%+v", c)
		got, err := io.ReadAll(r)
		require.NoError(t, errors.Join(err, r.Close()), "%+v", c)
		assert.Equal(t, c.want, string(got), "%+v", c)
	}
	_, err := store.GetRange(t.Context(), s, "a/missing", 0, 1)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = store.GetRange(t.Context(), s, "../a", 0, 1)
	require.ErrorIs(t, err, store.ErrInvalidKey)
}
