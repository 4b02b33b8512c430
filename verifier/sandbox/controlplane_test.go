//go:build unix

package sandbox

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fake is a ControlPlane whose binary is this test binary with a fault.
type fake struct {
	*ControlPlane
	outside string // holds the parent of the data directory and what the fake notes
}

func newFake(t *testing.T, fault string) fake {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	outside := t.TempDir()
	dir := filepath.Join(outside, "sandboxes")
	require.NoError(t, os.Mkdir(dir, 0o700))
	f := fake{&ControlPlane{Binary: self, Dir: dir, Controllers: fault}, outside}
	t.Cleanup(func() { _ = f.Down(context.Background()) })
	return f
}

// pids are the processes the fake control plane was or started.
func (f fake) pids(t *testing.T) []int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(f.outside, "pids"))
	require.NoError(t, err)
	var pids []int
	for line := range strings.Lines(string(data)) {
		var pid int
		_, err := fmt.Sscan(line, &pid)
		require.NoError(t, err)
		pids = append(pids, pid)
	}
	return pids
}

// nothingLeft fails when a process runs or a file exists that Up made.
func (f fake) nothingLeft(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(f.Dir)
	require.NoError(t, err)
	assert.Empty(t, left, "files left behind")
	for _, pid := range f.pids(t) {
		assert.Eventually(t, func() bool { return !running(pid) }, 2*time.Second, 5*time.Millisecond, "process %d is left running", pid)
	}
}

// running is alive without zombies: a grandchild of a killed child waits for
// its reaper, which is not us.
func running(pid int) bool {
	if !Alive(pid) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func TestAControlPlaneIsHandedOverAndTakenDown(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
	f := newFake(t, "none")
	cluster, err := f.Up(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Cluster{Kubeconfig: []byte("who: admin\n"), Server: "https://127.0.0.1:1", Version: "v1.2.3"}, cluster)

	entries, err := os.ReadDir(f.Dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Regexp(t, fmt.Sprintf(`^lifeboat-controlplane-%d-\d+$`, os.Getpid()), entries[0].Name())
	info, err := entries[0].Info()
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	environment, err := os.ReadFile(filepath.Join(f.Dir, entries[0].Name(), "apiserver.log"))
	require.NoError(t, err)
	assert.Contains(t, string(environment), "TMPDIR="+filepath.Join(f.Dir, entries[0].Name()))
	assert.NotContains(t, string(environment), "hunter2", "the sandbox got our credentials")

	_, err = f.Up(t.Context())
	require.ErrorIs(t, err, ErrUp)

	began := time.Now()
	require.NoError(t, f.Down(t.Context()))
	assert.Less(t, time.Since(began), endPatience, "it was killed, not asked to end")
	f.nothingLeft(t)
	require.NoError(t, f.Down(t.Context()), "Down is idempotent")

	_, err = f.Up(t.Context())
	require.NoError(t, err, "a sandbox that is down can be brought up again")
	require.NoError(t, f.Down(t.Context()))
	f.nothingLeft(t)
}

func TestUpFailsCleanly(t *testing.T) {
	for _, tc := range []struct{ fault, want string }{
		{"dies", "start lifeboat-controlplane: exit status 3; last lines of its logs:\napiserver.log:\nlast line"},
		{"dies before it has a log", "start lifeboat-controlplane: exit status 3; last lines of its logs:\nexec format is beyond me"},
		{"says why it fails", "start lifeboat-controlplane: the port is in use"},
		{"prints garbage", `start lifeboat-controlplane: unexpected output "I0102 starting up"`},
		{"prints without end", `start lifeboat-controlplane: unexpected output "` + strings.Repeat("x", 200) + `"`},
		{"ready without a kubeconfig", "start lifeboat-controlplane: read its kubeconfig: stat "},
		{"hangs", "start lifeboat-controlplane: not ready after 500ms"},
	} {
		t.Run("of a control plane that "+tc.fault, func(t *testing.T) {
			f := newFake(t, tc.fault)
			if tc.fault == "hangs" {
				f.StartTimeout = 500 * time.Millisecond
			}
			_, err := f.Up(t.Context())
			require.Error(t, err)
			if strings.HasSuffix(tc.want, " ") {
				assert.True(t, strings.HasPrefix(err.Error(), tc.want), err.Error())
			} else {
				assert.Equal(t, tc.want, err.Error())
			}
			var logs *LogError
			assert.ErrorAs(t, err, &logs)
			f.nothingLeft(t)
		})
	}
}

func TestUpEndsWithItsContext(t *testing.T) {
	f := newFake(t, "hangs")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for { // until the child is there to be left behind
			if _, err := os.Stat(filepath.Join(f.outside, "pids")); err == nil {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, err := f.Up(ctx)
	require.ErrorIs(t, err, context.Canceled)
	f.nothingLeft(t)
}

func TestDownKillsWhatDoesNotEnd(t *testing.T) {
	for _, tc := range []struct {
		name            string
		patience        time.Duration // of the context
		atLeast, atMost time.Duration
	}{
		{"after a while", time.Minute, endPatience, endPatience + killWait},
		{"at once, when its context is done", 0, 0, killWait},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, "does not end")
			_, err := f.Up(t.Context())
			require.NoError(t, err)
			require.Len(t, f.pids(t), 2)
			ctx, cancel := context.WithTimeout(t.Context(), tc.patience)
			defer cancel()
			began := time.Now()
			require.NoError(t, f.Down(ctx))
			took := time.Since(began)
			assert.GreaterOrEqual(t, took, tc.atLeast)
			assert.Less(t, took, tc.atMost)
			f.nothingLeft(t)
		})
	}
}

func TestDownTellsOfASandboxThatEndedOnItsOwn(t *testing.T) {
	f := newFake(t, "dies later")
	_, err := f.Up(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(f.outside, "die"), nil, 0o600))
	<-f.running.child.exited

	err = f.Down(t.Context())
	require.ErrorIs(t, err, ErrDied)
	assert.Equal(t, "sandbox ended on its own: kube-controller-manager ended; last lines of its logs:\napiserver.log:\nall was well", err.Error())
	f.nothingLeft(t)
	assert.NoError(t, f.Down(t.Context()))
}

func TestTheSandboxOfAKilledVerifierIsGoneAndSweptByTheNext(t *testing.T) {
	faults := []string{"none"}
	if runtime.GOOS == "linux" {
		faults = append(faults, "ignores the end of its stdin")
	}
	for _, fault := range faults {
		t.Run("of a control plane with this fault: "+fault, func(t *testing.T) { testKilledVerifier(t, fault) })
	}
}

func testKilledVerifier(t *testing.T, fault string) {
	f := newFake(t, "none")
	self, err := os.Executable()
	require.NoError(t, err)
	verifier := exec.Command(self, "verifier", f.Dir, fault)
	out, err := verifier.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, verifier.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "up\n", line)

	swept, err := Sweep(f.Dir)
	require.NoError(t, err)
	require.Empty(t, swept, "the sandbox of a living verifier was swept")

	require.NoError(t, verifier.Process.Kill())
	_ = verifier.Wait()
	for _, pid := range f.pids(t) {
		assert.Eventually(t, func() bool { return !running(pid) }, 2*time.Second, 5*time.Millisecond, "process %d outlived its verifier", pid)
	}
	left, err := os.ReadDir(f.Dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "there is nothing to sweep")

	_, err = f.Up(t.Context())
	require.NoError(t, err)
	now, err := os.ReadDir(f.Dir)
	require.NoError(t, err)
	require.Len(t, now, 1)
	assert.NotEqual(t, left[0].Name(), now[0].Name())
}

func TestFindControlPlane(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "lifeboat-controlplane")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700))
	text := filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(text, nil, 0o600))
	empty := t.TempDir()

	for _, tc := range []struct{ name, explicit, env, path, want, err string }{
		{name: "the explicit path comes first", explicit: program, env: text, path: empty, want: program},
		{name: "then the environment", env: program, path: empty, want: program},
		{name: "then the search path", path: dir, want: program},
		{name: "an explicit path that is no program is an error", explicit: text, path: dir, err: "no lifeboat-controlplane binary at " + text + " (the path given): build it with `make controlplane`"},
		{name: "and so is one in the environment", env: text, path: dir, err: "no lifeboat-controlplane binary at " + text + " (LIFEBOAT_CONTROLPLANE): build it with `make controlplane`"},
		{name: "none at all", path: empty, err: "no lifeboat-controlplane binary beside this program or in PATH: build it with `make controlplane`, or name it with --controlplane-binary or LIFEBOAT_CONTROLPLANE"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("LIFEBOAT_CONTROLPLANE", tc.env)
			t.Setenv("PATH", tc.path)
			got, err := FindControlPlane(tc.explicit)
			if tc.err != "" {
				require.ErrorIs(t, err, ErrNoBinary)
				assert.True(t, strings.HasPrefix(err.Error(), tc.err), err.Error())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestUpWithoutABinaryMakesNothing(t *testing.T) {
	f := newFake(t, "none")
	f.Binary = filepath.Join(f.outside, "absent")
	_, err := f.Up(t.Context())
	require.ErrorIs(t, err, ErrNoBinary)
	require.ErrorIs(t, err, os.ErrNotExist)
	left, err := os.ReadDir(f.Dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}
