//go:build e2e && kind

package kind_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/test/part"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox/kind"
)

// doomedEnv makes this test binary a verifier that gets killed, and names the
// directory of its sandbox.
const doomedEnv = "LIFEBOAT_TEST_DOOMED_KIND_VERIFIER"

// doomed brings a sandbox up, says what it is doing, and waits for its end. When
// it is interrupted it cleans up as the programs do.
func doomed(dir string) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s := &kind.Sandbox{Choice: kind.Choice{KubernetesVersion: nodeVersion}, Dir: dir, Progress: func(what string) { fmt.Println(what) }}
	if _, err := s.Up(ctx); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println("up")
	<-ctx.Done()
	if err := s.Down(ctx); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// start runs a verifier until it begins with a phase. It is the leader of a
// process group, as a command in a terminal is.
func start(t *testing.T, dir, phase string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), doomedEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for s := bufio.NewScanner(out); s.Scan(); {
		require.NotContains(t, s.Text(), "failed:")
		if strings.HasPrefix(s.Text(), phase) {
			go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process, which Cleanup waits for
			return cmd
		}
	}
	t.Fatal("the verifier never came to", phase)
	return nil
}

// kill kills a verifier when it begins with a phase, and returns its number. What
// it has started lives on.
func kill(t *testing.T, dir, phase string) (pid int) {
	t.Helper()
	cmd := start(t, dir, phase)
	left, err := kind.Sweep(t.Context(), kind.SweepOptions{Dir: dir, DryRun: true})
	require.NoError(t, err)
	require.Empty(t, left, "the sandbox of a living verifier would be swept")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	return cmd.Process.Pid
}

func TestCtrlCLeavesNothingAlthoughItGoesToEveryProcess(t *testing.T) {
	for _, phase := range part.Some(t, []string{"checking the container engine", "creating a cluster of", "Ensuring node image", "Preparing nodes", "Writing configuration", "Starting control-plane", "Installing StorageClass", "up"}) {
		t.Run("pressed while "+phase, func(t *testing.T) {
			dir := t.TempDir()
			cmd := start(t, dir, phase)
			began := time.Now()
			require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
			_ = cmd.Wait() // its status says that it was interrupted
			t.Logf("%5.1fs until all was gone", time.Since(began).Seconds())
			assert.Less(t, time.Since(began), bound)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, entries)
			// An engine that was still at work would show its container by then.
			assert.Never(t, func() bool { return len(sandboxesOf(t, cmd.Process.Pid)) > 0 }, 4*time.Second, 500*time.Millisecond)
		})
	}
}

func TestWhatAKilledVerifierLeftIsRemovedByTheNext(t *testing.T) {
	for _, phase := range part.Some(t, []string{"creating a cluster of", "Preparing nodes", "Starting control-plane", "waiting until the cluster's DNS answers", "up"}) {
		t.Run("killed while "+phase, func(t *testing.T) {
			dir := t.TempDir()
			pid := kill(t, dir, phase)
			// The engine may still be at work on what the dead one asked for.
			require.EventuallyWithT(t, func(t *assert.CollectT) {
				_, err := kind.Sweep(context.Background(), kind.SweepOptions{Dir: dir})
				assert.NoError(t, err)
				out, err := exec.Command("docker", "ps", "--all", "--filter", "label="+clusterLabel, "--format", "{{.Names}}").Output()
				assert.NoError(t, err)
				assert.NotContains(t, string(out), fmt.Sprintf("-%d-", pid))
				entries, err := os.ReadDir(dir)
				assert.NoError(t, err)
				assert.Empty(t, entries)
			}, bound, 500*time.Millisecond)
			// An engine that was still at work would have shown its container by now.
			assert.Never(t, func() bool { return len(sandboxesOf(t, pid)) > 0 }, 3*time.Second, 500*time.Millisecond)
		})
	}
}

func TestTheNextStartRemovesWhatAKilledVerifierLeft(t *testing.T) {
	dir := t.TempDir()
	pid := kill(t, dir, "Starting control-plane")
	require.NotEmpty(t, sandboxesOf(t, pid))
	s := newSandbox(t)
	s.Dir = dir
	up(t, s)
	assert.Empty(t, sandboxesOf(t, pid))
	require.NoError(t, s.Down(t.Context()))
	assertNothingLeft(t, dir)
}

// stranger makes the container of a cluster that no drill made. It is never
// started.
func stranger(t *testing.T, name string) {
	t.Helper()
	docker(t, "create", "--name", name+"-control-plane", "--label", clusterLabel+"="+name, "--network", "none", nodeImage)
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", "--volumes", name+"-control-plane").Run() })
}

func TestCleanupRemovesOurOwnAndNobodyElses(t *testing.T) {
	dir := t.TempDir()
	theirs := unique("lifeboat-dev")
	stranger(t, theirs)
	young := fmt.Sprintf("lifeboat-00000000-77-%d-abcdef", time.Now().Add(-time.Hour).Unix())
	old := fmt.Sprintf("lifeboat-00000000-77-%d-abcdef", time.Now().Add(-48*time.Hour).Unix())
	stranger(t, young)
	stranger(t, old)
	folder := filepath.Join(dir, "lifeboat-dev")
	require.NoError(t, os.Mkdir(folder, 0o700))

	cleanup := func(args ...string) []string {
		cmd := exec.Command(rig.Program(t, "lifeboat-verifier"), append([]string{"cleanup", "-o", "json"}, args...)...)
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		out, err := cmd.Output()
		require.NoError(t, err)
		var said struct {
			Removed []struct{ Kind, Name, Reason string }
		}
		require.NoError(t, json.Unmarshal(out, &said))
		var names []string
		for _, r := range said.Removed {
			assert.Equal(t, "kind", r.Kind)
			assert.NotEmpty(t, r.Reason)
			names = append(names, r.Name)
		}
		return names
	}
	there := func(name string) bool {
		return exec.Command("docker", "inspect", "--type", "container", name+"-control-plane").Run() == nil
	}
	assert.Equal(t, []string{old}, cleanup("--dry-run"))
	assert.True(t, there(old), "a dry run removed something")
	assert.Equal(t, []string{old}, cleanup())
	assert.False(t, there(old))
	assert.True(t, there(young), "its verifier may be alive on another machine")
	assert.Equal(t, []string{young}, cleanup("--older-than", "30m"))
	assert.False(t, there(young))
	assert.Empty(t, cleanup("--older-than", "1ns"))
	assert.True(t, there(theirs), "a foreign cluster was removed")
	assert.DirExists(t, folder)
}
