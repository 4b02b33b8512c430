package main

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnInterruptedCommandEndsWithinSecondsWith130AndLeavesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		hangs func(r *http.Request) bool
		args  []string
		says  string
	}{
		"a backup while it lists":      {func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/secrets") }, []string{"backup", "create", "b"}, "interrupted: backup b was not made: context canceled"},
		"a backup while it discovers":  {func(r *http.Request) bool { return r.URL.Path == "/apis" }, []string{"backup", "create", "b"}, "interrupted: context canceled"},
		"a backup before it has begun": {func(r *http.Request) bool { return r.URL.Path == "/version" }, []string{"backup", "create", "b"}, "interrupted: "},
	} {
		t.Run(name, func(t *testing.T) {
			reached := make(chan struct{}, 100)
			api := &server{objects: map[string]string{}}
			api.add(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"}}`)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.hangs(r) {
					reached <- struct{}{}
					<-r.Context().Done()
					return
				}
				api.ServeHTTP(w, r)
			}))
			t.Cleanup(s.Close)
			dir := t.TempDir()
			kubeconfig := filepath.Join(dir, "kubeconfig")
			require.NoError(t, os.WriteFile(kubeconfig, kubeconfigOf(s.URL), 0o600))

			cmd := exec.Command("lifeboat", append(c.args, "--location", "file://"+filepath.ToSlash(dir)+"/bucket", "--kubeconfig", kubeconfig)...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			require.NoError(t, cmd.Start())
			<-reached
			began := time.Now()
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
			_ = cmd.Wait() // the exit code says more
			assert.Equal(t, 130, cmd.ProcessState.ExitCode(), stderr.String())
			assert.Less(t, time.Since(began), 5*time.Second)
			assert.Contains(t, stderr.String(), c.says)
			assert.Equal(t, 1, strings.Count(stderr.String(), "\n"), "one line: %s", stderr.String())
			_ = filepath.WalkDir(filepath.Join(dir, "bucket"), func(path string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					assert.Fail(t, "left behind", path)
				}
				return nil
			})
		})
	}
}

// run is one command to its end.
func run(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	cmd := exec.Command("lifeboat", args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// killedAt runs a command against an API server and kills it as its nth request
// arrives, before the server does anything or after it has done all. It reports
// whether there were that many requests.
func killedAt(t *testing.T, api *server, n int, after bool, args ...string) (reached bool) {
	t.Helper()
	var requests atomic.Int32
	arrived, over := make(chan struct{}, 1), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) != int32(n) {
			api.ServeHTTP(w, r)
			return
		}
		if after {
			api.ServeHTTP(httptest.NewRecorder(), r) // nobody hears of it
		}
		arrived <- struct{}{}
		<-over
	}))
	defer s.Close()
	defer close(over)
	cmd := exec.Command("lifeboat", append(args, "--kubeconfig", kubeconfigFile(t, s.URL))...)
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	select {
	case <-arrived:
		require.NoError(t, cmd.Process.Kill())
		<-ended
		return true
	case <-ended:
		assert.Zero(t, cmd.ProcessState.ExitCode())
		return false
	}
}

func kubeconfigFile(t *testing.T, url string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, kubeconfigOf(url), 0o600))
	return path
}

// smallTown is an API server with a namespace and something in it.
func smallTown() *server {
	api := &server{objects: map[string]string{}}
	api.add(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}`)
	for _, name := range []string{"a", "b", "c"} {
		api.add(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"` + name + `","namespace":"shop"},"data":{"k":"v"}}`)
	}
	api.add(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"shop"}}`)
	return api
}

func TestABackupThatIsKilledAtAnyRequestIsAbsentAndInNobodysWay(t *testing.T) {
	points := 0
	for n, more := 1, true; more; n++ {
		for _, after := range []bool{false, true} {
			api := smallTown()
			bucket := "file://" + filepath.ToSlash(t.TempDir())
			if more = killedAt(t, api, n, after, "backup", "create", "b", "--location", bucket); !more {
				break
			}
			points++
			out, code := run(t, "backup", "get", "--location", bucket)
			require.Zero(t, code, out)
			require.Contains(t, out, "no backups in", "request %d", n)
			s := httptest.NewServer(api)
			out, code = run(t, "backup", "create", "again", "--location", bucket, "--kubeconfig", kubeconfigFile(t, s.URL))
			s.Close()
			require.Zero(t, code, "request %d: %s", n, out)
			out, code = run(t, "backup", "verify", "again", "--location", bucket)
			require.Zero(t, code, "request %d: %s", n, out)
			out, _ = run(t, "backup", "delete", "b", "--location", bucket)
			require.Regexp(t, "is deleted|no such backup", out, "request %d", n)
		}
	}
	t.Logf("%d points, 0 bad", points)
	assert.GreaterOrEqual(t, points, 14)
}

func TestARestoreThatIsKilledAtAnyRequestIsFinishedByTheNext(t *testing.T) {
	bucket := "file://" + filepath.ToSlash(t.TempDir())
	whole := httptest.NewServer(smallTown())
	out, code := run(t, "backup", "create", "b", "--location", bucket, "--kubeconfig", kubeconfigFile(t, whole.URL))
	whole.Close()
	require.Zero(t, code, out)
	points := 0
	for n, more := 1, true; more; n++ {
		for _, after := range []bool{false, true} {
			api := &server{objects: map[string]string{}}
			if more = killedAt(t, api, n, after, "restore", "create", "--from-backup", "b", "--location", bucket); !more {
				break
			}
			points++
			s := httptest.NewServer(api)
			out, code := run(t, "restore", "create", "--from-backup", "b", "--location", bucket, "--kubeconfig", kubeconfigFile(t, s.URL))
			s.Close()
			require.Zero(t, code, "request %d: %s", n, out)
			require.Contains(t, out, " 0 skipped, 0 failed", "request %d", n)
			require.ElementsMatch(t, slices.Collect(maps.Keys(smallTown().objects)), slices.Collect(maps.Keys(api.objects)), "request %d", n)
		}
	}
	t.Logf("%d points, 0 bad", points)
	assert.GreaterOrEqual(t, points, 20)
}
