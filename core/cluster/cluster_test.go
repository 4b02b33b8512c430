package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// serve starts an API server of one handler and opens it.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return connect(t, s.URL)
}

func connect(t *testing.T, url string) *Client {
	t.Helper()
	c, err := FromKubeconfig(fmt.Appendf(nil, `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q}}]
users: [{name: u, user: {token: secret}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, url), "lifeboat-test")
	require.NoError(t, err)
	return c
}

// reply writes JSON with a status code.
func reply(w http.ResponseWriter, code int, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, format, args...)
}

func refuse(w http.ResponseWriter, code int, reason, message string) {
	reply(w, code, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":%q,"code":%d}`, message, reason, code)
}

var configMaps = item.Resource{Version: "v1", Name: "configmaps", Kind: "ConfigMap", Namespaced: true}

func TestARefusalKeepsTheAPIServersOwnWords(t *testing.T) {
	const words = `ConfigMap "x" is invalid: data[a b]: not a valid key`
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { refuse(w, 422, "Invalid", words) })

	_, err := c.Create(t.Context(), configMaps, "ns", []byte(`{}`))
	assert.Equal(t, words, Reason(err))
	assert.True(t, apierrors.IsInvalid(err))
	_, err = c.Get(t.Context(), configMaps, "ns", "x")
	assert.Equal(t, words, Reason(err))
	assert.Equal(t, words, Reason(c.MergePatch(t.Context(), configMaps, "ns", "x", []byte(`{}`))))
	assert.Equal(t, words, Reason(c.Delete(t.Context(), configMaps, "ns", "x", metav1.DeleteOptions{})))
	_, err = c.Version(t.Context())
	assert.ErrorContains(t, err, words)
}

func TestNamesWithSignsThatMeanSomethingInAURLAreAskedForAsTheyAre(t *testing.T) {
	roles := item.Resource{Group: "rbac.authorization.k8s.io", Version: "v1", Name: "clusterroles", Kind: "ClusterRole"}
	for _, name := range []string{"system:controller:x", "a?b=c", "a#b", "with space", "dots.and:colons", "é", "a+b", "a&b"} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/apis/rbac.authorization.k8s.io/v1/clusterroles/"+name || r.URL.RawQuery != "" {
				refuse(w, 404, "NotFound", r.URL.String())
				return
			}
			reply(w, 200, `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":%q}}`, name)
		})
		it, err := c.Get(t.Context(), roles, "", name)
		require.NoError(t, err, name)
		assert.Equal(t, name, it.Key.Name)
	}
}

func TestAnObjectIsTheSameReadAloneAndInAList(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("limit") {
			reply(w, 200, `{"kind":"ConfigMapList","items":[{"metadata":{"name":"x","namespace":"ns"},"data":{"a":"b"}}]}`+"\n")
			return
		}
		reply(w, 200, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x","namespace":"ns"},"data":{"a":"b"}}`+"\n")
	})
	alone, err := c.Get(t.Context(), configMaps, "ns", "x")
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(string(alone.Raw), "}"), "%q", alone.Raw)
	for listed, err := range c.List(t.Context(), configMaps, ListOptions{}, &ListInfo{}) {
		require.NoError(t, err)
		assert.Equal(t, alone.Key, listed.Key)
		assert.JSONEq(t, string(alone.Raw), string(listed.Raw))
	}
}

func TestErrorsAreToldApartByWhetherTheAPIServerAnswered(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	_, gone := connect(t, "http://"+closed.Addr().String()).Get(t.Context(), configMaps, "ns", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, cancelled := connect(t, "http://"+closed.Addr().String()).Get(ctx, configMaps, "ns", "x")

	for name, c := range map[string]struct {
		err         error
		unreachable bool
	}{
		"no error":                 {nil, false},
		"connection refused":       {gone, true},
		"a dial that timed out":    {asked(&net.OpError{Op: "dial", Err: context.DeadlineExceeded}), true},
		"cancelled by the user":    {cancelled, false},
		"a refusal":                {apierrors.NewUnauthorized("no"), false},
		"an answer without a list": {fmt.Errorf("x: %w", ErrMalformed), false},
		"a connection that broke":  {asked(errors.New("connection reset by peer")), true},
		"a mistake of the user":    {errors.New("no resource is named foos"), false},
	} {
		assert.Equal(t, c.unreachable, Unreachable(c.err), name)
	}
}

func TestExplainNamesTheServerTheCauseAndTheNextStep(t *testing.T) {
	c := connect(t, "https://cluster.example.com:6443")
	forbidden := apierrors.NewGenericServerResponse(403, "get", configMaps0, "", "user may not", 0, false)
	for name, x := range map[string]struct {
		err  error
		want []string
	}{
		"401":         {apierrors.NewUnauthorized("x"), []string{"credentials", "--kubeconfig"}},
		"403":         {forbidden, []string{"refuses", "grant", "user may not"}},
		"429":         {apierrors.NewTooManyRequests("slow down", 1), []string{"overloaded", "try again later"}},
		"unreachable": {asked(errors.New("dial tcp: connection refused")), []string{"cannot reach", "--context", "connection refused"}},
	} {
		got := c.Explain(x.err)
		require.ErrorIs(t, got, x.err, name)
		for _, want := range append(x.want, "https://cluster.example.com:6443") {
			assert.ErrorContains(t, got, want, name)
		}
	}
	assert.NoError(t, c.Explain(nil))
	mistake := errors.New("no resource is named foos")
	assert.Equal(t, mistake, c.Explain(mistake), "what the server never said is not put in its mouth")
	assert.Equal(t, context.Canceled, c.Explain(context.Canceled), "an interruption needs no explanation")
}

func TestARetryAfterIsObeyed(t *testing.T) {
	var asked atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.Header().Set("Retry-After", "0")
			refuse(w, 429, "TooManyRequests", "slow down")
			return
		}
		reply(w, 200, `{"kind":"ConfigMapList","items":[{"metadata":{"name":"a"}}]}`)
	})
	names, err := list(t, c, ListOptions{}, &ListInfo{})
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, names)
	assert.EqualValues(t, 2, asked.Load())
}

func TestAServerThatAsksForAnHourIsNotWaitedFor(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3600")
		refuse(w, 429, "TooManyRequests", "come back in an hour")
	})
	_, err := list(t, c, ListOptions{}, &ListInfo{})
	assert.True(t, apierrors.IsTooManyRequests(err), "%v", err)
	assert.ErrorContains(t, err, "come back in an hour")
	_, _, err = c.Resources(t.Context())
	assert.True(t, apierrors.IsTooManyRequests(err), "%v", err)
}

func TestDiscoveryThatIsToldToWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "20")
		refuse(w, 429, "TooManyRequests", "slow down")
		cancel()
	})
	began := time.Now()
	_, _, err := c.Resources(ctx)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Less(t, time.Since(began), 5*time.Second)
}

func TestDiscoveryThatIsForbiddenIsNoEmptyCluster(t *testing.T) {
	for _, forbidden := range []string{"/api", "/apis"} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == forbidden:
				refuse(w, 403, "Forbidden", "not for you")
			case r.URL.Path == "/api":
				reply(w, 200, `{"kind":"APIVersions","versions":["v1"]}`)
			case r.URL.Path == "/api/v1":
				reply(w, 200, `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","kind":"Pod","namespaced":true,"verbs":["list"]}]}`)
			default:
				reply(w, 200, `{"kind":"APIGroupList","groups":[]}`)
			}
		})
		_, _, err := c.Resources(t.Context())
		assert.True(t, apierrors.IsForbidden(err), "%s: %v", forbidden, err)
	}
}

func TestAClusterThatServesNothingIsAnError(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { reply(w, 200, `{"kind":"APIGroupList","groups":[]}`) })
	_, _, err := c.Resources(t.Context())
	assert.ErrorContains(t, err, "serves none")
	c = serve(t, func(w http.ResponseWriter, r *http.Request) { refuse(w, 404, "NotFound", "no such path") })
	_, _, err = c.Resources(t.Context())
	assert.Error(t, err)
}

func TestAGroupThatCannotBeDiscoveredIsNamedBesideTheRest(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api":
			reply(w, 200, `{"kind":"APIVersions","versions":["v1"]}`)
		case "/api/v1":
			reply(w, 200, `{"kind":"APIResourceList","groupVersion":"v1","resources":[
				{"name":"pods","singularName":"pod","shortNames":["po"],"kind":"Pod","namespaced":true,"verbs":["list","get"]},
				{"name":"pods/log","kind":"Pod","namespaced":true,"verbs":["get"]}]}`)
		case "/apis":
			reply(w, 200, `{"kind":"APIGroupList","groups":[{"name":"metrics.k8s.io","versions":[{"groupVersion":"metrics.k8s.io/v1","version":"v1"}],"preferredVersion":{"groupVersion":"metrics.k8s.io/v1","version":"v1"}}]}`)
		default:
			refuse(w, 503, "ServiceUnavailable", "its server is down")
		}
	})
	resources, failures, err := c.Resources(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []item.Resource{{Version: "v1", Name: "pods", Singular: "pod", Kind: "Pod", ShortNames: []string{"po"}, Namespaced: true, Verbs: []string{"list", "get"}}}, resources)
	require.Len(t, failures, 1)
	assert.Equal(t, "metrics.k8s.io/v1", failures[0].GroupVersion)
}

func TestAKubeconfigThatDoesNotExistNamesTheFlags(t *testing.T) {
	_, err := Open(Options{Kubeconfig: t.TempDir() + "/none"})
	assert.ErrorContains(t, err, "--kubeconfig")
	_, err = FromKubeconfig([]byte("{"), "x")
	assert.ErrorContains(t, err, "read kubeconfig")
}

func TestAClientFromAConfigurationLeavesTheConfigurationAsItWas(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, `{"gitVersion":%q}`, r.UserAgent()+" "+r.Header.Get("Authorization"))
	}))
	defer server.Close()
	cfg := &rest.Config{Host: server.URL, BearerToken: "token", UserAgent: "manager", QPS: 7}
	before := *cfg
	c, err := New(cfg, "lifeboat-test")
	require.NoError(t, err)
	v, err := c.Version(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "lifeboat-test Bearer token", v.GitVersion)
	assert.Equal(t, before, *cfg)
}

func TestCredentialsInTheURLOfAServerAreNotShown(t *testing.T) {
	for host, want := range map[string]string{"https://u:hunter2@10.0.0.1:6443": "https://10.0.0.1:6443", "https://10.0.0.1:6443": "https://10.0.0.1:6443"} {
		c, err := New(&rest.Config{Host: host}, "test")
		require.NoError(t, err)
		assert.Equal(t, want, c.Host())
	}
}
