//go:build e2e

package controlplane_test

import (
	"bytes"
	"context"
	"fmt"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/core/store/storetest"
	"github.com/lifeboat-backup/lifeboat/test/part"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// small is a selection of the source that takes a moment to back up.
var small = filter.Filter{IncludedNamespaces: []string{"guarded", "limited"}}

// prompt is how long anything may take that cannot succeed.
const prompt = 10 * time.Second

func keys(t *testing.T, s store.Store) []string {
	t.Helper()
	var out []string
	for info, err := range s.List(context.WithoutCancel(t.Context()), "", true) {
		require.NoError(t, err)
		out = append(out, info.Key)
	}
	return out
}

// assertNoBackup asserts that no reader takes anything in the store for a
// backup.
func assertNoBackup(t *testing.T, s store.Store, name, when string) {
	t.Helper()
	all, err := catalog.List(context.WithoutCancel(t.Context()), s)
	require.NoError(t, err, when)
	for _, l := range all {
		assert.ErrorIs(t, l.Err, store.ErrNotFound, "%s: %s is listed", when, l.Name)
	}
	committed, err := store.Committed(context.WithoutCancel(t.Context()), s, name)
	require.NoError(t, err, when)
	assert.False(t, committed, when)
}

func TestABackupWhoseStoreFailsAtAnyCallIsNeverListed(t *testing.T) {
	_, c := sourceCluster(t)
	server, buckets, taken := rig.S3(t), 0, part.Of(t)
	var kinds sync.WaitGroup
	for kind, open := range map[string]func() store.Store{
		"bucket": func() store.Store {
			buckets++
			s, err := location.Open(t.Context(), server.URL(fmt.Sprint("p", buckets)), location.Options{})
			require.NoError(t, err)
			return s
		},
		"memory": func() store.Store { return mem.New() },
		"folder": func() store.Store {
			s, err := fs.Open(t.TempDir(), true)
			require.NoError(t, err)
			return s
		},
	} {
		kinds.Go(func() { // not a subtest: those of a test that sets variables cannot run side by side
			counted := storetest.Calls(open())
			_, err := backupJob("b", counted, c, small).Run(t.Context())
			require.NoError(t, err)
			calls := counted.Calls()
			points := 0
			for n := 1; n <= len(calls); n++ {
				for _, when := range []storetest.When{storetest.Before, storetest.During, storetest.After} {
					for _, kill := range []bool{false, true} {
						points++
						if !taken.Takes(points - 1) {
							continue
						}
						label := fmt.Sprintf("%s: %s call %d (%s %s), killed %v", kind, when, n, calls[n-1].Method, calls[n-1].Key, kill)
						failAt(t, c, open(), storetest.Fault{Method: storetest.Any, Nth: n, When: when, Kill: kill}, label)
					}
				}
			}
			t.Logf("%s: %d store calls of a backup, %d points, part %s taken, 0 bad", kind, len(calls), points, taken)
			assert.GreaterOrEqual(t, points, leastBackupCalls)
		})
	}
	kinds.Wait()
}

// failAt makes a backup into a store that fails once, or dies, at one call.
func failAt(t *testing.T, c *cluster.Client, inner store.Store, f storetest.Fault, label string) {
	t.Helper()
	faulty := storetest.NewFaults(inner, f)
	began := time.Now()
	_, err := backupJob("b", faulty, c, small).Run(t.Context())
	require.ErrorIs(t, err, storetest.ErrInjected, label)
	assert.Less(t, time.Since(began), prompt, label)
	faulty.AssertAllFired(t)
	if f.Kill && f.When == storetest.After && len(keys(t, inner)) > 0 {
		// Whoever dies after the commit marker was written has made a backup:
		// all of it is there.
		if committed, err := store.Committed(t.Context(), inner, "b"); err == nil && committed {
			_, err := restoreJob("r", "b", inner, c).Prepare(t.Context())
			require.NoError(t, err, "%s: a committed backup is whole", label)
			return
		}
	}
	assertNoBackup(t, inner, "b", label)
	if !f.Kill {
		assert.Empty(t, keys(t, inner), "%s: everything is cleaned up", label)
	}
	// The location is as good as before.
	again, err := backupJob("again", inner, c, small).Run(t.Context())
	require.NoError(t, err, label)
	assert.True(t, again.Complete(), label)
	if len(keys(t, inner)) > 0 && f.Kill {
		_, err = store.DeleteBackup(t.Context(), inner, "b")
		require.NoError(t, err, label)
	}
}

func TestABackupThatIsInterruptedAtAnyStoreCallLeavesNothing(t *testing.T) {
	_, c := sourceCluster(t)
	counted := storetest.Calls(mem.New())
	_, err := backupJob("b", counted, c, small).Run(t.Context())
	require.NoError(t, err)
	for n := 1; n <= counted.Count(storetest.Any); n++ {
		ctx, cancel := context.WithCancel(t.Context())
		s := &cancelling{Store: mem.New(), nth: n, cancel: cancel}
		began := time.Now()
		_, err := backupJob("b", s, c, small).Run(ctx)
		cancel()
		require.ErrorIs(t, err, context.Canceled, "at call %d", n)
		assert.Less(t, time.Since(began), prompt)
		assert.Empty(t, keys(t, s.Store), "at call %d", n)
	}
}

// cancelling cancels when its nth call begins.
type cancelling struct {
	store.Store
	calls, nth int
	cancel     context.CancelFunc
}

func (c *cancelling) tick() {
	if c.calls++; c.calls == c.nth {
		c.cancel()
	}
}

func (c *cancelling) Put(ctx context.Context, key string, r io.Reader) error {
	c.tick()
	return c.Store.Put(ctx, key, r)
}

func (c *cancelling) List(ctx context.Context, prefix string, recursive bool) iter.Seq2[store.Info, error] {
	c.tick()
	return c.Store.List(ctx, prefix, recursive)
}

func TestABackupThatIsInterruptedAtAnyAPIRequestEndsAtOnce(t *testing.T) {
	from, _ := sourceCluster(t)
	total := requestsOf(t, from)
	for n := 1; n <= total; n += stride(total, 40) {
		ctx, cancel := context.WithCancel(t.Context())
		c := proxied(t, from, func(k int, w http.ResponseWriter, r *http.Request) bool {
			if k == n {
				cancel()
			}
			return false
		})
		s := mem.New()
		began := time.Now()
		_, err := backupJob("b", s, c, small).Run(ctx)
		cancel()
		require.ErrorIs(t, err, context.Canceled, "at request %d", n)
		assert.Less(t, time.Since(began), prompt)
		assert.Empty(t, keys(t, s), "at request %d", n)
	}
}

// requestsOf is how many requests a small backup makes.
func requestsOf(t *testing.T, from sandbox.Cluster) int {
	t.Helper()
	var n atomic.Int32
	c := proxied(t, from, func(int, http.ResponseWriter, *http.Request) bool { n.Add(1); return false })
	_, err := backupJob("b", mem.New(), c, small).Run(t.Context())
	require.NoError(t, err)
	t.Logf("a small backup makes %d requests", n.Load())
	return int(n.Load())
}

// stride spreads about points over total.
func stride(total, points int) int { return max(1, total/points) }

func TestAnAPIServerThatDiesAtAnyRequestMakesOneErrorAndNoBackup(t *testing.T) {
	from, _ := sourceCluster(t)
	total := requestsOf(t, from)
	for n := 1; n <= total; n += stride(total, 12) {
		c := proxied(t, from, func(k int, w http.ResponseWriter, r *http.Request) bool {
			if k >= n {
				panic(http.ErrAbortHandler)
			}
			return false
		})
		s := mem.New()
		began := time.Now()
		_, err := backupJob("b", s, c, small).Run(t.Context())
		require.ErrorContains(t, err, "cannot reach the API server", "at request %d", n)
		assert.Equal(t, 1, strings.Count(err.Error(), "cannot reach"), "%v", err)
		assert.Less(t, time.Since(began), 30*time.Second, "at request %d", n)
		assert.Empty(t, keys(t, s), "at request %d", n)
	}
}

func TestWhatTheAPIServerAnswersDecidesHowABackupEnds(t *testing.T) {
	from, _ := sourceCluster(t)
	lists := func(path string) func(r *http.Request) bool {
		return func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, path) && r.URL.Query().Has("limit") }
	}
	for name, x := range map[string]struct {
		filter    filter.Filter
		intercept func(times int32, w http.ResponseWriter, r *http.Request) bool // times from 1, of matching requests
		match     func(r *http.Request) bool
		fatal     string   // part of the error; "" = none
		missing   []string // objects the errors of a partial backup name
	}{
		"403 on one resource": {
			match: lists("/secrets"), missing: []string{"secrets in guarded", "secrets in limited"},
			intercept: func(_ int32, w http.ResponseWriter, _ *http.Request) bool {
				refuse(w, 403, "Forbidden", `secrets is forbidden: User "x" cannot list`)
				return true
			},
		},
		"500 on one resource": {
			match: lists("/configmaps"), missing: []string{"configmaps in guarded", "configmaps in limited"},
			intercept: func(_ int32, w http.ResponseWriter, _ *http.Request) bool {
				refuse(w, 500, "InternalError", "etcdserver: mvcc: database space exceeded")
				return true
			},
		},
		"403 on every list": {
			match: func(r *http.Request) bool { return r.URL.Query().Has("limit") }, fatal: "no permission to list anything",
			intercept: func(_ int32, w http.ResponseWriter, _ *http.Request) bool {
				refuse(w, 403, "Forbidden", "no")
				return true
			},
		},
		"403 on discovery": {
			match: func(r *http.Request) bool { return r.URL.Path == "/apis" }, fatal: "refuses this",
			intercept: func(_ int32, w http.ResponseWriter, _ *http.Request) bool {
				refuse(w, 403, "Forbidden", "no")
				return true
			},
		},
		"500 on discovery": {
			match: func(r *http.Request) bool { return r.URL.Path == "/apis" }, fatal: "discover the resources",
			intercept: func(_ int32, w http.ResponseWriter, _ *http.Request) bool {
				refuse(w, 500, "InternalError", "no")
				return true
			},
		},
		"401 on everything": {
			match: func(r *http.Request) bool { return true }, fatal: "does not accept the credentials",
			intercept: func(_ int32, w http.ResponseWriter, _ *http.Request) bool {
				refuse(w, 401, "Unauthorized", "no")
				return true
			},
		},
		"429 that passes": {
			match: lists("/configmaps"),
			intercept: func(n int32, w http.ResponseWriter, _ *http.Request) bool {
				if n > 2 {
					return false
				}
				w.Header().Set("Retry-After", "1")
				refuse(w, 429, "TooManyRequests", "slow down")
				return true
			},
		},
		"a page that breaks off once": {
			match: lists("/configmaps"),
			intercept: func(n int32, w http.ResponseWriter, _ *http.Request) bool {
				if n > 1 {
					return false
				}
				_, _ = io.WriteString(w, `{"kind":"ConfigMapList","metadata":{},"items":[{"meta`)
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			},
		},
		"a page that always breaks off": {
			match: lists("/configmaps"), fatal: "cannot reach the API server",
			intercept: func(_ int32, w http.ResponseWriter, _ *http.Request) bool {
				_, _ = io.WriteString(w, `{"kind":"ConfigMapList","metadata":{},"items":[{"meta`)
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			},
		},
		"a web page in place of a list": {
			match: lists("/configmaps"), missing: []string{"configmaps in guarded", "configmaps in limited"},
			intercept: func(_ int32, w http.ResponseWriter, _ *http.Request) bool {
				_, _ = io.WriteString(w, "<html>please log in</html>")
				return true
			},
		},
		"a null list": {
			match: lists("/configmaps"),
			intercept: func(_ int32, w http.ResponseWriter, _ *http.Request) bool {
				_, _ = io.WriteString(w, `{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":null}`)
				return true
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var times atomic.Int32
			c := proxied(t, from, func(_ int, w http.ResponseWriter, r *http.Request) bool {
				return x.match(r) && x.intercept(times.Add(1), w, r)
			})
			s := mem.New()
			began := time.Now()
			result, err := backupJob("b", s, c, small).Run(t.Context())
			assert.Less(t, time.Since(began), 30*time.Second)
			assert.NotZero(t, times.Load(), "the fault never fired")
			if x.fatal != "" {
				require.ErrorContains(t, err, x.fatal)
				assert.Empty(t, keys(t, s))
				return
			}
			require.NoError(t, err)
			require.Len(t, result.Errors, len(x.missing), "%v", result.Errors)
			for i, object := range x.missing {
				assert.Contains(t, result.Errors[i].String(), object+": ")
			}
			read, err := catalog.Read(t.Context(), s, "b")
			require.NoError(t, err)
			assert.Equal(t, len(x.missing) == 0, result.Complete())
			assert.Equal(t, len(x.missing), read.Status.Errors)
		})
	}
}

func TestARestoreWhoseAPIServerDiesAccountsForEveryStep(t *testing.T) {
	_, from := sourceCluster(t)
	s := mem.New()
	made, err := backupJob("b", s, from, filter.Filter{IncludedNamespaces: []string{"shop"}}).Run(t.Context())
	require.NoError(t, err)
	to := emptyPlane(t)

	var posts atomic.Int32
	for _, deadAfter := range []int32{0, 1, 15, 10} {
		posts.Store(0)
		c := proxied(t, to, func(_ int, w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost && posts.Add(1) > deadAfter || posts.Load() > deadAfter {
				panic(http.ErrAbortHandler)
			}
			return false
		})
		began := time.Now()
		result, err := restoreJob("r", "b", s, c).Run(t.Context())
		require.ErrorContains(t, err, "cannot reach the API server", "dead after %d", deadAfter)
		assert.Less(t, time.Since(began), 30*time.Second)
		assert.GreaterOrEqual(t, len(result.Changes), made.Items)
		for _, ch := range result.Changes {
			assert.NotEmpty(t, ch.Outcome, ch.Key)
			assert.NotEmpty(t, ch.Reason, ch.Key)
		}
		assert.NotZero(t, result.Changes.Count(apply.Failed))
		t.Logf("dead after %d creations: %d created, %d failed: %v", deadAfter, result.Changes.Count(apply.Created), result.Changes.Count(apply.Failed), reasons(result.Changes, apply.Failed))
	}
	// What the dead left undone is done by the next one.
	result, err := restoreJob("r2", "b", s, connect(t, to.Kubeconfig)).Run(t.Context())
	require.NoError(t, err)
	assert.Empty(t, outcomes(result.Changes, apply.Failed))
}

func TestARestoreWhoseAnswersGetLostKnowsWhatItMade(t *testing.T) {
	_, from := sourceCluster(t)
	s := mem.New()
	_, err := backupJob("b", s, from, filter.Filter{IncludedNamespaces: []string{"bulk-00"}}).Run(t.Context())
	require.NoError(t, err)
	to := emptyPlane(t)
	direct := clientOf(t, to)
	var lost atomic.Int32
	var tried sync.Map
	c := proxied(t, to, func(_ int, w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if _, again := tried.LoadOrStore(string(body), true); again || lost.Load() >= 25 {
			return false
		}
		req, _ := http.NewRequestWithContext(r.Context(), r.Method, to.Server+r.URL.RequestURI(), bytes.NewReader(body))
		req.Header = r.Header.Clone()
		resp, err := direct.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		lost.Add(1)
		panic(http.ErrAbortHandler) // done, but the answer is lost
	})
	result, err := restoreJob("r", "b", s, c).Run(t.Context())
	require.NoError(t, err)
	assert.NotZero(t, lost.Load())
	assert.Empty(t, outcomes(result.Changes, apply.Failed))
	assert.Empty(t, outcomes(result.Changes, apply.Updated))
	for _, ch := range result.Changes {
		if ch.Resource == "configmaps" && ch.Name != "kube-root-ca.crt" {
			assert.Equal(t, apply.Created, ch.Outcome, "%s: %s", ch.Key, ch.Reason)
		}
	}
}

func TestARestoreFromAFailingStoreChangesNothing(t *testing.T) {
	_, from := sourceCluster(t)
	s := mem.New()
	_, err := backupJob("b", s, from, small).Run(t.Context())
	require.NoError(t, err)
	to := connect(t, emptyPlane(t).Kubeconfig)
	before := len(snapshot(t, to))

	counted := storetest.Calls(s)
	_, err = restoreJob("plan", "b", counted, to).Prepare(t.Context())
	require.NoError(t, err)
	reads := counted.Count(storetest.Get)
	for n := 1; n <= reads; n++ {
		for _, when := range []storetest.When{storetest.Before, storetest.During, storetest.After} {
			faulty := storetest.NewFaults(s, storetest.Fault{Method: storetest.Get, Nth: n, When: when})
			result, err := restoreJob("r", "b", faulty, to).Run(t.Context())
			require.ErrorIs(t, err, storetest.ErrInjected, "%s read %d of %d: %v", when, n, reads, faulty.Calls())
			assert.Empty(t, result.Changes)
			faulty.AssertAllFired(t)
		}
	}
	// The second pass over the archive is after the plan.
	faulty := storetest.NewFaults(s, storetest.Fault{Method: storetest.Get, Nth: reads + 1, When: storetest.Before})
	result, err := restoreJob("r", "b", faulty, to).Run(t.Context())
	require.ErrorIs(t, err, storetest.ErrInjected)
	assert.Zero(t, result.Changes.Count(apply.Created))
	assert.NotZero(t, result.Changes.Count(apply.Failed))
	assert.Len(t, snapshot(t, to), before, "nothing was made")
}
