//go:build e2e

package controlplane_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/restore"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/core/store/storetest"
	"github.com/lifeboat-backup/lifeboat/test/part"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/check"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// The least number of points that the loops have had; fewer would mean that a
// loop has lost its way.
const (
	leastBackupRequests  = 320
	leastRestoreRequests = 184
	leastRestoreCalls    = 30
	leastBackupCalls     = 66 // of each kind of store
)

// place says where in a request it fails.
type place int

const (
	beforeRequest place = iota // the server never sees it
	duringRequest              // the server sees half of its body; of one without a body, the client half of the answer
	duringAnswer               // the client sees half of the answer
	afterRequest               // done, and the client sees nothing of the answer
	places
)

func (p place) String() string {
	return [...]string{"before", "in the middle of", "in the middle of the answer to", "after"}[p]
}

// fault is one request that fails, alone or with all that would come after it.
type fault struct {
	nth   int
	place place
	death bool
}

func (f fault) String() string {
	what := "failure"
	if f.death {
		what = "death"
	}
	return fmt.Sprintf("%s %s request %d", what, f.place, f.nth)
}

// faulty is a way to the API server on which one fault strikes.
type faulty struct {
	fault fault
	die   func() // what dies with the process

	mu    sync.Mutex
	seen  int
	fired bool
	dead  bool
	log   []string
}

var errDead = errors.New("the process has died")

// RoundTrip is asked for each request; next is the way to the API server.
func (f *faulty) RoundTrip(r *http.Request, next http.RoundTripper) (*http.Response, error) {
	f.mu.Lock()
	f.seen++
	f.log = append(f.log, r.Method+" "+r.URL.Path)
	strikes := f.seen == f.fault.nth
	f.fired = f.fired || strikes
	dead := f.dead
	f.mu.Unlock()
	switch {
	case dead:
		return nil, errDead
	case !strikes:
		return next.RoundTrip(r)
	}
	return f.strike(r, next)
}

func (f *faulty) strike(r *http.Request, next http.RoundTripper) (*http.Response, error) {
	broken := errors.New("connection reset by the test")
	place := f.fault.place
	if place == duringRequest && r.Body == nil {
		place = duringAnswer
	}
	switch place {
	case beforeRequest:
		f.end()
		return nil, broken
	case duringRequest:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		half := r.Clone(r.Context())
		half.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), failingReader{broken}))
		_, err = next.RoundTrip(half)
		f.end()
		return nil, errors.Join(broken, err)
	}
	resp, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	f.end()
	if err != nil || place == afterRequest {
		return nil, errors.Join(broken, err)
	}
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(answer[:len(answer)/2]), failingReader{broken}))
	return resp, nil
}

// end lets the process die, if that is the fault.
func (f *faulty) end() {
	if !f.fault.death {
		return
	}
	f.mu.Lock()
	f.dead = true
	f.mu.Unlock()
	f.die()
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// clientThrough reaches a cluster by way of f.
func clientThrough(t *testing.T, to sandbox.Cluster, f *faulty) *cluster.Client {
	t.Helper()
	return connect(t, kubeconfigThrough(t, to, f))
}

func kubeconfigThrough(t *testing.T, to sandbox.Cluster, f *faulty) []byte {
	t.Helper()
	next := clientOf(t, to).Transport
	return proxyTo(t, to, func(_ int, w http.ResponseWriter, r *http.Request) bool {
		out := r.Clone(r.Context())
		out.RequestURI = ""
		out.URL.Scheme, out.URL.Host = "https", to.Server[len("https://"):]
		if r.ContentLength == 0 {
			out.Body = nil
		}
		resp, err := f.RoundTrip(out, next)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer resp.Body.Close()
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		if _, err := io.Copy(w, resp.Body); err != nil {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		return true
	})
}

// lanes is how many points of a loop are tried at once: most of their time is
// the client's pauses between tries.
const lanes = 8

// every hands each fault at each of a number of requests to one of the lanes, or
// of these the part that the run takes. It returns how many there are in all.
func every(t *testing.T, requests int, lane func(n int, faults <-chan fault)) (points int) {
	t.Helper()
	taken := part.Of(t)
	faults := make(chan fault)
	var g sync.WaitGroup
	for i := range lanes {
		g.Go(func() {
			defer func() { // a lane that has failed must not hold up the others
				for range faults {
				}
			}()
			lane(i, faults)
		})
	}
	for n := 1; n <= requests; n++ {
		for p := range places {
			for _, death := range []bool{false, true} {
				if taken.Takes(points) {
					faults <- fault{nth: n, place: p, death: death}
				}
				points++
			}
		}
	}
	close(faults)
	g.Wait()
	require.False(t, t.Failed())
	return points
}

// village is a namespace of a cluster, with something of each stage of a
// restore in it, and what controllers get ahead of.
type village struct {
	plane sandbox.Cluster
	c     *cluster.Client
	name  string
}

const knotDefinition = "knots.loop.example.com"

// The definition is shared, and stays: an API server keeps whoever creates an
// object of a new definition waiting for two seconds.
var definition = `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"` + knotDefinition + `"},"spec":{"group":"loop.example.com","scope":"Namespaced",
	"names":{"plural":"knots","singular":"knot","kind":"Knot","listKind":"KnotList"},
	"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`

var villageObjects = []string{
	`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"VILLAGE","labels":{"team":"faults"}}}`,
	`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"robot","namespace":"VILLAGE"}}`,
	`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"pull","namespace":"VILLAGE"},"data":{"a":"Yg=="}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one","namespace":"VILLAGE"},"data":{"a":"b"}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"two","namespace":"VILLAGE"},"immutable":true}`,
	`{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"VILLAGE"},"spec":{"ports":[{"port":80}]}}`,
	`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"VILLAGE"},"spec":{"replicas":0,"selector":{"matchLabels":{"a":"b"}},
		"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`,
	`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"VILLAGE"},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]}`,
	`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"read","namespace":"VILLAGE"},
		"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"VILLAGE"},"subjects":[{"kind":"ServiceAccount","name":"robot","namespace":"VILLAGE"}]}`,
	`{"apiVersion":"loop.example.com/v1","kind":"Knot","metadata":{"name":"bowline","namespace":"VILLAGE"},"spec":{"turns":1}}`,
}

var (
	namespaces  = item.Resource{Version: "v1", Name: "namespaces", Kind: "Namespace"}
	accounts    = item.Resource{Version: "v1", Name: "serviceaccounts", Kind: "ServiceAccount", Namespaced: true}
	definitions = item.Resource{Group: "apiextensions.k8s.io", Version: "v1", Name: "customresourcedefinitions", Kind: "CustomResourceDefinition"}
	roles       = item.Resource{Group: "rbac.authorization.k8s.io", Version: "v1", Name: "clusterroles", Kind: "ClusterRole"}
)

// villagePlane is a cluster that knows knots. It has no namespace controller:
// five seconds after a namespace was deleted, that would empty the new one of
// the same name.
func villagePlane(t *testing.T) (sandbox.Cluster, *cluster.Client) {
	t.Helper()
	plane := rig.ControlPlane(t, func(c *sandbox.ControlPlane) { c.Controllers = "default,-namespace" })
	c := connect(t, plane.Kubeconfig)
	create(t, c, definition)
	require.Eventually(t, func() bool {
		resources, _, err := c.AllVersions(t.Context())
		return err == nil && slices.ContainsFunc(resources, func(r item.Resource) bool { return r.Kind == "Knot" })
	}, prompt, 20*time.Millisecond)
	return plane, c
}

func buildVillage(t *testing.T, plane sandbox.Cluster, c *cluster.Client, name string) village {
	t.Helper()
	for _, o := range villageObjects {
		create(t, c, strings.ReplaceAll(o, "VILLAGE", name))
	}
	require.Eventually(t, func() bool { // the controller makes it
		return c.MergePatch(t.Context(), accounts, name, "default", []byte(`{"imagePullSecrets":[{"name":"pull"}]}`)) == nil
	}, prompt, 20*time.Millisecond)
	return village{plane: plane, c: c, name: name}
}

func (v village) filter() filter.Filter {
	return filter.Filter{IncludedNamespaces: []string{v.name}, ExcludedResources: []string{"events"}}
}

// wipe removes the village. It does by hand what the namespace controller does.
func (v village) wipe(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	_ = v.c.Delete(ctx, namespaces, "", v.name, metav1.DeleteOptions{})
	for k, it := range v.state(t) {
		if k.Namespace == v.name {
			_ = v.c.Delete(ctx, item.Resource{Group: k.Group, Version: it.Version, Name: k.Resource, Namespaced: true}, v.name, k.Name, metav1.DeleteOptions{})
		}
	}
	_ = v.c.Delete(ctx, roles, "", v.name, metav1.DeleteOptions{})
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, v.plane.Server+"/api/v1/namespaces/"+v.name+"/finalize",
		strings.NewReader(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"`+v.name+`"},"spec":{"finalizers":[]}}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := clientOf(t, v.plane).Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Eventually(t, func() bool {
		return gone(ctx, v.c, namespaces, v.name) && gone(ctx, v.c, roles, v.name)
	}, prompt, 10*time.Millisecond, "the cluster is not as it was")
}

// gone asks for one object: what is being deleted is in no backup, and there.
func gone(ctx context.Context, c *cluster.Client, r item.Resource, name string) bool {
	_, err := c.Get(ctx, r, "", name)
	return apierrors.IsNotFound(err)
}

// state is everything there is of a village, found one by one: a namespace that
// is being deleted is in no backup.
func (v village) state(t *testing.T) map[item.Key]item.Item {
	t.Helper()
	out := map[item.Key]item.Item{}
	for _, r := range []item.Resource{
		{Version: "v1", Name: "secrets", Kind: "Secret"}, {Version: "v1", Name: "configmaps", Kind: "ConfigMap"}, {Version: "v1", Name: "services", Kind: "Service"},
		{Group: "apps", Version: "v1", Name: "deployments", Kind: "Deployment"}, {Group: "rbac.authorization.k8s.io", Version: "v1", Name: "rolebindings", Kind: "RoleBinding"},
		{Group: "loop.example.com", Version: "v1", Name: "knots", Kind: "Knot"}, {Version: "v1", Name: "pods", Kind: "Pod"}, accounts,
	} {
		r.Namespaced = true
		var info cluster.ListInfo
		for it, err := range v.c.List(t.Context(), r, cluster.ListOptions{Namespace: v.name}, &info) {
			require.NoError(t, err)
			out[it.Key] = it
		}
	}
	for _, r := range []item.Resource{namespaces, roles} {
		if it, err := v.c.Get(t.Context(), r, "", v.name); err == nil {
			out[it.Key] = it
		}
	}
	return out
}

// settled is the state once the controllers have made theirs.
func (v village) settled(t *testing.T) map[item.Key]item.Item {
	t.Helper()
	var state map[item.Key]item.Item
	require.Eventually(t, func() bool {
		state = v.state(t)
		return len(state[in(v.name, "serviceaccounts", "default")].Raw) > 0 && len(state[in(v.name, "configmaps", "kube-root-ca.crt")].Raw) > 0
	}, prompt, 10*time.Millisecond)
	return state
}

// restored is a village that was backed up, removed and restored undisturbed:
// what that gives is what every other restore must give.
type restored struct {
	village
	store store.Store
	want  map[item.Key]item.Item
	first restore.Result
}

func undisturbed(t *testing.T, v village) restored {
	t.Helper()
	s := mem.New()
	made, err := backupJob("b", s, v.c, v.filter()).Run(t.Context())
	require.NoError(t, err)
	require.True(t, made.Complete(), "%v", made.Errors)
	v.wipe(t)
	first, err := restoreJob("first", "b", s, v.c).Run(t.Context())
	require.NoError(t, err)
	require.Empty(t, outcomes(first.Changes, apply.Failed))
	return restored{village: v, store: s, want: v.settled(t), first: first}
}

// assertFinished runs the restore again and holds that the cluster is then as
// after the undisturbed one.
func (r restored) assertFinished(t *testing.T, when string) {
	t.Helper()
	again, err := restoreJob("again", "b", r.store, r.c).Run(t.Context())
	require.NoError(t, err, when)
	require.Empty(t, outcomes(again.Changes, apply.Failed), when)
	for _, ch := range again.Changes {
		if ch.Outcome == apply.Skipped {
			require.Equal(t, apply.Skipped, changeOf(r.first.Changes, ch.Key).Outcome, "%s: %s: %s", when, ch.Key, ch.Reason)
		}
	}
	got := r.settled(t)
	require.ElementsMatch(t, slices.Collect(maps.Keys(r.want)), slices.Collect(maps.Keys(got)), when)
	for k, it := range r.want {
		differences, err := plan.Diff(it, got[k])
		require.NoError(t, err)
		require.Empty(t, differences, "%s: %s", when, k)
	}
}

func TestARestoreThatFailsOrDiesAtAnyAPIRequestIsFinishedByTheNext(t *testing.T) {
	plane, c := villagePlane(t)
	began := time.Now()
	counting := &faulty{}
	probe := undisturbed(t, buildVillage(t, plane, c, "loop"))
	probe.wipe(t)
	_, err := restoreJob("count", "b", probe.store, clientThrough(t, plane, counting)).Run(t.Context())
	require.NoError(t, err)
	requests := counting.seen

	// Whether the service account of a namespace is created, or found and
	// completed, depends on how fast the controller is: two requests more.
	const uncertain = 2
	var missed atomic.Int32
	points := every(t, requests, func(n int, faults <-chan fault) {
		v := undisturbed(t, buildVillage(t, plane, c, fmt.Sprint("loop-", n)))
		for f := range faults {
			v.wipe(t)
			ctx, cancel := context.WithCancel(t.Context())
			through := storetest.Calls(v.store)
			way := &faulty{fault: f, die: func() { through.Kill(errDead); cancel() }}
			result, err := restoreJob("r", "b", through, clientThrough(t, plane, way)).Run(ctx)
			cancel()
			if !way.fired {
				require.Greater(t, f.nth, requests-uncertain, "%s was never reached", f)
				missed.Add(1)
			}
			if err == nil {
				require.Empty(t, outcomes(result.Changes, apply.Failed), "%s: what was tried again has worked", f)
			}
			v.assertFinished(t, f.String())
		}
	})
	points -= int(missed.Load())
	t.Logf("%d API requests of a restore, %d points, part %s taken, 0 bad, %s", requests, points, part.Of(t), time.Since(began).Round(time.Second))
	assert.GreaterOrEqual(t, points, leastRestoreRequests)
}

func TestARestoreThatFailsOrDiesAtAnyStoreCallIsFinishedByTheNext(t *testing.T) {
	plane, c := villagePlane(t)
	v := undisturbed(t, buildVillage(t, plane, c, "loop"))
	v.wipe(t)
	counted := storetest.Calls(v.store)
	_, err := restoreJob("count", "b", counted, c).Run(t.Context())
	require.NoError(t, err)
	points, taken := 0, part.Of(t)
	for n, call := range counted.Calls() {
		for _, when := range []storetest.When{storetest.Before, storetest.During, storetest.After} {
			for _, kill := range []bool{false, true} {
				points++
				if !taken.Takes(points - 1) {
					continue
				}
				label := fmt.Sprintf("%s call %d (%s %s), killed %v", when, n+1, call.Method, call.Key, kill)
				v.wipe(t)
				bad := storetest.NewFaults(v.store, storetest.Fault{Method: storetest.Any, Nth: n + 1, When: when, Kill: kill})
				_, err := restoreJob("r", "b", bad, c).Run(t.Context())
				// The last reading stops when it has all it wants, which is
				// before the end.
				if when == storetest.Before || n+1 < len(counted.Calls()) {
					require.ErrorIs(t, err, storetest.ErrInjected, label)
					bad.AssertAllFired(t)
				}
				v.assertFinished(t, label)
			}
		}
	}
	t.Logf("%d store calls of a restore, %d points, part %s taken, 0 bad", len(counted.Calls()), points, taken)
	assert.GreaterOrEqual(t, points, leastRestoreCalls)
}

// The definition goes too: few points, since each takes seconds.
func TestARestoreThatDiesAtADefinitionIsFinishedByTheNext(t *testing.T) {
	plane, c := villagePlane(t)
	v := undisturbed(t, buildVillage(t, plane, c, "loop"))
	wipe := func() {
		v.wipe(t)
		require.NoError(t, c.Delete(t.Context(), definitions, "", knotDefinition, metav1.DeleteOptions{}))
		require.Eventually(t, func() bool {
			resources, _, err := c.AllVersions(t.Context())
			return err == nil && gone(t.Context(), c, definitions, knotDefinition) &&
				!slices.ContainsFunc(resources, func(r item.Resource) bool { return r.Kind == "Knot" })
		}, prompt, 20*time.Millisecond)
	}
	wipe()
	counting := &faulty{}
	_, err := restoreJob("count", "b", v.store, clientThrough(t, plane, counting)).Run(t.Context())
	require.NoError(t, err)
	points := 0
	for n, request := range counting.log {
		if !strings.Contains(request, "/customresourcedefinitions") || strings.HasSuffix(request, "GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions") {
			continue
		}
		for _, p := range []place{beforeRequest, afterRequest} {
			points++
			f := fault{nth: n + 1, place: p, death: true}
			wipe()
			ctx, cancel := context.WithCancel(t.Context())
			_, err := restoreJob("r", "b", v.store, clientThrough(t, plane, &faulty{fault: f, die: cancel})).Run(ctx)
			cancel()
			require.Error(t, err, f)
			v.assertFinished(t, f.String())
		}
	}
	t.Logf("%d points, 0 bad", points)
	assert.GreaterOrEqual(t, points, 4, "creating it, and asking for it")
}

func TestABackupThatFailsOrDiesAtAnyAPIRequestIsCompleteOrAbsent(t *testing.T) {
	plane, c := villagePlane(t)
	v := buildVillage(t, plane, c, "loop")
	counting := &faulty{}
	whole, err := backupJob("b", mem.New(), clientThrough(t, plane, counting), v.filter()).Run(t.Context())
	require.NoError(t, err)
	requests := counting.seen
	began := time.Now()
	var completed atomic.Int32
	points := every(t, requests, func(_ int, faults <-chan fault) {
		for f := range faults {
			ctx, cancel := context.WithCancel(t.Context())
			inner := mem.New()
			through := storetest.Calls(inner)
			way := &faulty{fault: f, die: func() { through.Kill(errDead); cancel() }}
			result, err := backupJob("b", through, clientThrough(t, plane, way), v.filter()).Run(ctx)
			cancel()
			require.True(t, way.fired, "%s was never reached", f)
			if err == nil {
				require.False(t, f.death, f)
				completed.Add(1)
				require.True(t, result.Complete(), "%s: %v", f, result.Errors)
				require.Equal(t, whole.Items, result.Items, f)
				assertWhole(t, inner, "b", f.String())
				continue
			}
			assertNoBackup(t, inner, "b", f.String())
			if !f.death {
				require.Empty(t, keys(t, inner), "%s: everything is cleaned up", f)
				continue
			}
			again, err := backupJob("again", inner, c, v.filter()).Run(t.Context())
			require.NoError(t, err, f)
			require.True(t, again.Complete(), f)
			assertWhole(t, inner, "again", f.String())
			_, err = store.DeleteBackup(t.Context(), inner, "b")
			require.NoError(t, err, f)
			for _, key := range keys(t, inner) {
				require.Contains(t, key, store.BackupPrefix("again"), f)
			}
		}
	})
	t.Logf("%d API requests of a backup, %d points, part %s taken, %d backups completed all the same, 0 bad, %s", requests, points, part.Of(t), completed.Load(), time.Since(began).Round(time.Second))
	assert.GreaterOrEqual(t, points, leastBackupRequests)
}

// program runs the built program to its end.
func program(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	cmd := exec.Command(rig.Program(t, "lifeboat"), args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// kill runs the built program and kills it at the request of f.
func kill(t *testing.T, plane sandbox.Cluster, f fault, args ...string) {
	t.Helper()
	cmd := exec.Command(rig.Program(t, "lifeboat"), args...)
	way := &faulty{fault: f, die: func() { _ = cmd.Process.Kill() }}
	cmd.Args = append(cmd.Args, "--kubeconfig", written(t, kubeconfigThrough(t, plane, way)))
	require.NoError(t, cmd.Start())
	_ = cmd.Wait()
	require.True(t, way.fired, f)
	require.Equal(t, "signal: killed", cmd.ProcessState.String(), f)
}

func written(t *testing.T, kubeconfig []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, kubeconfig, 0o600))
	return path
}

// sample is every few of the requests: each point runs processes. Those of the
// end are uncertain, see above.
func sample(requests int) (faults []fault) {
	for n := 1; n < requests-1; n += 3 {
		for _, p := range []place{beforeRequest, afterRequest} {
			faults = append(faults, fault{nth: n, place: p, death: true})
		}
	}
	return faults
}

func TestTheProgramKilledWhileItBacksUpLeavesNoBackupAndNothingInTheWay(t *testing.T) {
	plane, c := villagePlane(t)
	buildVillage(t, plane, c, "loop")
	direct := written(t, plane.Kubeconfig)
	points, taken := sample(40), part.Of(t)
	for i, f := range points {
		if !taken.Takes(i) {
			continue
		}
		location := "file://" + filepath.ToSlash(t.TempDir())
		kill(t, plane, f, "backup", "create", "b", "--include-namespaces", "loop", "--location", location)
		out, code := program(t, "backup", "get", "--location", location)
		require.Zero(t, code, out)
		require.Contains(t, out, "no backups in", f)
		out, code = program(t, "backup", "create", "again", "--include-namespaces", "loop", "--location", location, "--kubeconfig", direct)
		require.Zero(t, code, "%s: %s", f, out)
		out, code = program(t, "backup", "verify", "again", "--location", location)
		require.Zero(t, code, "%s: %s", f, out)
		out, _ = program(t, "backup", "delete", "b", "--location", location)
		require.Regexp(t, "is deleted|no such backup", out, f)
	}
	t.Logf("%d points, part %s taken, 0 bad", len(points), taken)
	assert.GreaterOrEqual(t, len(points), 26)
}

func TestTheProgramKilledWhileItRestoresIsFinishedByTheNext(t *testing.T) {
	plane, c := villagePlane(t)
	v := undisturbed(t, buildVillage(t, plane, c, "loop"))
	location := "file://" + filepath.ToSlash(t.TempDir())
	out, code := program(t, "backup", "create", "b", "--include-namespaces", "loop", "--location", location, "--kubeconfig", written(t, plane.Kubeconfig))
	require.Zero(t, code, out)
	points, taken := sample(25), part.Of(t)
	for i, f := range points {
		if !taken.Takes(i) {
			continue
		}
		v.wipe(t)
		kill(t, plane, f, "restore", "create", "--from-backup", "b", "--location", location)
		v.assertFinished(t, f.String())
	}
	t.Logf("%d points, part %s taken, 0 bad", len(points), taken)
	assert.GreaterOrEqual(t, len(points), 16)
}

func assertWhole(t *testing.T, s store.Store, name, when string) {
	t.Helper()
	b, err := catalog.Read(t.Context(), s, name)
	require.NoError(t, err, when)
	require.EqualValues(t, "Completed", b.Status.Phase, when)
	proof, err := check.Integrity(t.Context(), s, name, check.IntegrityOptions{})
	require.NoError(t, err, when)
	require.Equal(t, report.Passed, proof.Verdict(), "%s: %v", when, proof.Findings)
}
