//go:build e2e

package controlplane_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/backup"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/restore"
	"github.com/lifeboat-backup/lifeboat/core/spec"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/test/fixtures/populate"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// source is the cluster that is backed up: populated once for all tests of the
// package, which do not change what is in it.
var source struct {
	once    sync.Once
	plane   sandbox.ControlPlane
	cluster sandbox.Cluster
	summary populate.Summary
	err     error
}

func TestMain(m *testing.M) {
	code := m.Run()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	if err := source.plane.Down(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "stop the source:", err)
		code = max(code, 1)
	}
	cancel()
	os.Exit(code)
}

// sourceCluster starts and populates the source when it is needed first.
func sourceCluster(t *testing.T) (sandbox.Cluster, *cluster.Client) {
	t.Helper()
	source.once.Do(func() {
		source.plane.Binary = rig.ControlPlaneBinary(t)
		ctx := context.WithoutCancel(t.Context()) // it outlives the test
		if source.cluster, source.err = source.plane.Up(ctx); source.err == nil {
			source.summary, source.err = populate.Apply(ctx, source.cluster.Kubeconfig, populate.Options{})
		}
	})
	require.NoError(t, source.err)
	return source.cluster, connect(t, source.cluster.Kubeconfig)
}

func connect(t *testing.T, kubeconfig []byte) *cluster.Client {
	t.Helper()
	c, err := cluster.FromKubeconfig(kubeconfig, "lifeboat-e2e")
	require.NoError(t, err)
	return c
}

// emptyPlane is a new control plane, gone after the test.
func emptyPlane(t *testing.T) sandbox.Cluster {
	t.Helper()
	return rig.ControlPlane(t)
}

func emptyCluster(t *testing.T) *cluster.Client {
	t.Helper()
	return connect(t, emptyPlane(t).Kubeconfig)
}

func backupJob(name string, s store.Store, c *cluster.Client, f filter.Filter) backup.Job {
	j := backup.Job{Open: func(context.Context) (store.Store, error) { return s, nil }, Cluster: c, Now: time.Now}
	j.Object.Name, j.Object.UID = name, "11111111-2222-3333-4444-555555555555"
	j.Object.Spec = spec.Backup{Filter: f}.Spec()
	return j
}

func restoreJob(name, from string, s store.Store, c *cluster.Client) restore.Job {
	return restore.Job{Name: name, Backup: from, Store: s, Cluster: c, Now: time.Now}
}

// create makes objects written as JSON, in order.
func create(t *testing.T, c *cluster.Client, objects ...string) {
	t.Helper()
	resources, _, err := c.AllVersions(t.Context())
	require.NoError(t, err)
	for _, o := range objects {
		var head struct {
			APIVersion, Kind string
			Metadata         struct{ Namespace string }
		}
		require.NoError(t, json.Unmarshal([]byte(o), &head), o)
		r := find(t, resources, head.APIVersion, head.Kind)
		_, err := c.Create(t.Context(), r, head.Metadata.Namespace, []byte(o))
		require.NoError(t, err, o)
	}
}

func find(t *testing.T, resources []item.Resource, apiVersion, kind string) item.Resource {
	t.Helper()
	for _, r := range resources {
		if r.APIVersion() == apiVersion && r.Kind == kind {
			return r
		}
	}
	require.FailNow(t, "not served", "%s %s", apiVersion, kind)
	return item.Resource{}
}

// proxied is a client that reaches the cluster through intercept, which is
// asked for the n-th request (from 1) and returns true when it has answered.
func proxied(t *testing.T, c sandbox.Cluster, intercept func(n int, w http.ResponseWriter, r *http.Request) bool) *cluster.Client {
	t.Helper()
	return connect(t, proxyTo(t, c, intercept))
}

// proxyTo is the kubeconfig of proxied.
func proxyTo(t *testing.T, c sandbox.Cluster, intercept func(n int, w http.ResponseWriter, r *http.Request) bool) []byte {
	t.Helper()
	upstream, err := url.Parse(c.Server)
	require.NoError(t, err)
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(upstream) },
		Transport:     clientOf(t, c).Transport,
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !intercept(int(requests.Add(1)), w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Config","current-context":"x",
		"clusters":[{"name":"c","cluster":{"server":%q}}],"users":[{"name":"u","user":{}}],
		"contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}]}`, server.URL)
}

// refuse answers as an API server does.
func refuse(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":%q,"code":%d}`, message, reason, code)
}
