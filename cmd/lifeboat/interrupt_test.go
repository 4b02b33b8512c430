package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
