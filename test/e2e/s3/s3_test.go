//go:build e2e

// Package s3_test runs the bucket store against a real S3 server.
package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/storetest"
	"github.com/lifeboat-backup/lifeboat/test/rig"
)

func TestABucketIsAStore(t *testing.T) {
	server := rig.S3(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, server.URL("conformance/"+strings.ReplaceAll(t.Name(), "/", "-")))
	})
}

func TestABackupIsWrittenAndDeletedInABucket(t *testing.T) {
	s := open(t, rig.S3(t).URL("prod"))
	w, err := store.Begin(t.Context(), s, "nightly")
	require.NoError(t, err)
	size, digest, err := w.Put(t.Context(), store.Contents("nightly"), random(10<<20))
	require.NoError(t, err)
	assert.EqualValues(t, 10<<20, size)
	assert.Len(t, digest, 64)
	committed, err := store.Committed(t.Context(), s, "nightly")
	require.NoError(t, err)
	assert.False(t, committed)
	require.NoError(t, w.Commit(t.Context(), []byte("{}")))

	_, err = store.Begin(t.Context(), s, "nightly")
	assert.ErrorIs(t, err, store.ErrExists)
	n, err := store.DeleteBackup(t.Context(), s, "nightly")
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	assert.Empty(t, keys(t, s))
}

// Each writer is a process of its own, with its own client, and all have found
// the key free before any writes.
func TestOfWritersThatDoNotKnowEachOtherExactlyOneWins(t *testing.T) {
	var printed bytes.Buffer
	log.SetOutput(&printed)
	defer log.SetOutput(os.Stderr)
	server := rig.S3(t)
	for name, size := range map[string]int64{"in one request": 1 << 10, "in parts": 20 << 20} {
		t.Run(name, func(t *testing.T) {
			key := "backups/a/" + strings.ReplaceAll(name, " ", "-")
			const writers = 6
			errs := make([]error, writers)
			var waiting atomic.Int32
			all := make(chan struct{})
			var g errgroup.Group
			for i := range writers {
				s := open(t, server.URL("race"))
				g.Go(func() error {
					end := hook(func() { // reached by all before any can publish
						if waiting.Add(1) == writers {
							close(all)
						}
						<-all
					})
					errs[i] = s.Put(t.Context(), key, io.MultiReader(io.LimitReader(repeat(i), size), end))
					return nil
				})
			}
			require.NoError(t, g.Wait())
			winner := -1
			for i, err := range errs {
				if err == nil {
					assert.Equal(t, -1, winner, "a second one won")
					winner = i
					continue
				}
				assert.ErrorIs(t, err, store.ErrExists)
			}
			require.NotEqual(t, -1, winner)
			assert.True(t, bytes.Equal(bytes.Repeat([]byte{byte(winner)}, int(size)), read(t, open(t, server.URL("race")), key)))
			assert.Empty(t, uploads(t, server), "the losers' parts are gone")
			assert.Empty(t, printed.String(), "the SDK prints what Put returns")
		})
	}
}

func TestAnUploadThatFailsLeavesNoParts(t *testing.T) {
	server := rig.S3(t)
	broken := errors.New("the source broke")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for name, tt := range map[string]struct {
		ctx  context.Context
		end  io.Reader
		want error
	}{
		"the source breaks": {t.Context(), failing{broken}, broken},
		"it is cancelled":   {ctx, hook(cancel), context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			during := hook(func() {
				assert.Len(t, uploads(t, server), 1, "the test must reach the middle of an upload")
			})
			err := open(t, server.URL("parts")).Put(tt.ctx, "backups/a/x", io.MultiReader(random(30<<20), during, tt.end, random(10<<20)))
			assert.ErrorIs(t, err, tt.want)
			assert.Empty(t, uploads(t, server))
		})
	}
}

func TestAPartThatTheServerRefusesEndsTheUpload(t *testing.T) {
	server := rig.S3(t)
	proxied := through(t, server, rig.Breaks{Before: func(r *http.Request) bool {
		return r.URL.Query().Get("partNumber") == "3"
	}})
	s := open(t, proxied.URL("parts"))
	err := s.Put(t.Context(), "backups/a/x", random(40<<20))
	assert.ErrorContains(t, err, "put backups/a/x: cannot reach "+proxied.Endpoint)
	assert.Empty(t, uploads(t, server))
	assert.Empty(t, keys(t, open(t, server.URL("parts"))))
}

// The server has done what was asked, and the answer got lost.
func TestALostAnswerMakesNoError(t *testing.T) {
	for name, tt := range map[string]struct {
		size int64
		lose func(r *http.Request) bool
	}{
		"to the writing of a small object": {1 << 10, func(r *http.Request) bool { return r.Method == http.MethodPut }},
		"to a part":                        {20 << 20, func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "2" }},
		"to the completion of an upload": {20 << 20, func(r *http.Request) bool {
			return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server := rig.S3(t)
			var lost atomic.Int32
			proxied := through(t, server, rig.Breaks{After: func(r *http.Request) bool { return tt.lose(r) && lost.Add(1) == 1 }})
			s := open(t, proxied.URL("lost"))
			require.NoError(t, s.Put(t.Context(), "backups/a/x", random(tt.size)))
			assert.NotZero(t, lost.Load())
			want, err := io.ReadAll(random(tt.size))
			require.NoError(t, err)
			assert.True(t, bytes.Equal(want, read(t, s, "backups/a/x")))
			assert.ErrorIs(t, s.Put(t.Context(), "backups/a/x", random(tt.size)), store.ErrExists)
			assert.Empty(t, uploads(t, server))
		})
	}
}

// An upload whose id never reached anyone could not be aborted.
func TestAnUploadCancelledAsItBeginsIsAborted(t *testing.T) {
	server := rig.S3(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var began atomic.Bool
	proxied := through(t, server, rig.Breaks{After: func(r *http.Request) bool {
		if r.Method == http.MethodPost && r.URL.Query().Has("uploads") {
			began.Store(true)
			cancel() // while the answer with the id is on its way
		}
		return false
	}})
	s := open(t, proxied.URL("begin"))
	assert.ErrorIs(t, s.Put(ctx, "backups/a/x", random(20<<20)), context.Canceled)
	assert.True(t, began.Load())
	assert.Empty(t, uploads(t, server))
}

func TestAPutCancelledAsItIsPublishedLeavesNothing(t *testing.T) {
	server := rig.S3(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	proxied := through(t, server, rig.Breaks{After: func(r *http.Request) bool {
		completes := r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
		if completes {
			cancel()
		}
		return completes
	}})
	s := open(t, proxied.URL("publish"))
	assert.ErrorIs(t, s.Put(ctx, "backups/a/x", random(20<<20)), context.Canceled)
	require.Error(t, ctx.Err())
	assert.Empty(t, keys(t, open(t, server.URL("publish"))))
	assert.Empty(t, uploads(t, server))
}

// What streaming may take, in bytes: five parts of 8 MiB on the way up, a
// buffer on the way down, and what the garbage collector has not come round
// to.
const (
	maxHeapUp   = 64 << 20
	maxHeapDown = 8 << 20
)

func TestMemoryDoesNotGrowWithTheObject(t *testing.T) {
	const size = 200 << 20
	s := open(t, rig.S3(t).URL("memory"))

	up := newMeter(random(size))
	require.NoError(t, s.Put(t.Context(), "backups/a/x", up))
	r, err := s.Get(t.Context(), "backups/a/x")
	require.NoError(t, err)
	defer r.Close()
	down := newMeter(r)
	n, err := io.Copy(io.Discard, down)
	require.NoError(t, err)
	assert.EqualValues(t, size, n)

	t.Logf("%d MiB: peak heap %.1f MiB up, %.1f MiB down", size>>20, float64(up.growth())/(1<<20), float64(down.growth())/(1<<20))
	assert.Less(t, up.growth(), int64(maxHeapUp))
	assert.Less(t, down.growth(), int64(maxHeapDown))
}

func TestTheServersRefusalsAreExplained(t *testing.T) {
	server := rig.S3(t)
	missing := server
	missing.Bucket = "no-such-bucket"
	for _, tt := range []struct {
		name, url, key, secret, want string
	}{
		{"a bucket that is not there", missing.URL("p"), server.AccessKey, server.SecretKey, "bucket no-such-bucket does not exist at " + server.Endpoint},
		{"a wrong secret", server.URL("p"), server.AccessKey, "wrong", "does not accept the secret key: check AWS_SECRET_ACCESS_KEY"},
		{"an unknown key", server.URL("p"), "unknown", server.SecretKey, "does not know the access key: check AWS_ACCESS_KEY_ID"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("AWS_ACCESS_KEY_ID", tt.key)
			t.Setenv("AWS_SECRET_ACCESS_KEY", tt.secret)
			s := open(t, tt.url)
			_, beginErr := store.Begin(t.Context(), s, "nightly")
			_, getErr := s.Get(t.Context(), "backups/a/x")
			for method, err := range map[string]error{
				"begin": beginErr, "get": getErr,
				"put":    s.Put(t.Context(), "backups/a/x", strings.NewReader("x")),
				"delete": s.Delete(t.Context(), "backups/a/x"),
			} {
				require.Error(t, err, method)
				assert.Contains(t, err.Error(), tt.want, method)
				assert.NotContains(t, err.Error(), server.SecretKey)
			}
		})
	}
}

func open(t testing.TB, url string) store.Store {
	t.Helper()
	s, err := location.Open(t.Context(), url, location.Options{})
	require.NoError(t, err)
	return s
}

// through is the server as seen through a proxy that breaks connections.
func through(t *testing.T, s rig.S3Server, b rig.Breaks) rig.S3Server {
	t.Helper()
	s.Endpoint = rig.FaultProxy(t, s.Endpoint, b)
	return s
}

func read(t *testing.T, s store.Store, key string) []byte {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	return data
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

func random(size int64) io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{7}), size) }

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
	done bool
}

func (h *hooked) Read([]byte) (int, error) {
	if !h.done {
		h.done = true
		h.do()
	}
	return 0, io.EOF
}

// meter looks at the heap after each MiB.
type meter struct {
	r          io.Reader
	since      int
	base, peak int64
}

func newMeter(r io.Reader) *meter {
	runtime.GC()
	now := heap()
	return &meter{r: r, base: now, peak: now}
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if m.since += n; m.since >= 1<<20 || err != nil {
		m.since = 0
		m.peak = max(m.peak, heap())
	}
	return n, err
}

func (m *meter) growth() int64 { return m.peak - m.base }

func heap() int64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
