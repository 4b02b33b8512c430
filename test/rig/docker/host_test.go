package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestALowLimitOfInotifyInstancesIsRaisedAndAHighOneLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "max_user_instances")
	for before, after := range map[string]string{"128\n": "512", "512\n": "512\n", "8192\n": "8192\n"} {
		require.NoError(t, os.WriteFile(path, []byte(before), 0o600))
		require.NoError(t, raiseInotify(path))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, after, string(got))
	}
}

// A pid file outlives its process, and the number is then given to others.
func TestOnlyAProcessThatNamesOurFolderIsEnded(t *testing.T) {
	state := t.TempDir()
	pidFile := filepath.Join(state, "docker.pid")
	run := func(name string) *exec.Cmd {
		cmd := exec.Command("sleep", "1000")
		cmd.Args[0] = name // part of the command line
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		// The kernel shows the command line a moment after the program runs.
		require.Eventually(t, func() bool { return owns(cmd.Process.Pid, name) }, 5*time.Second, time.Millisecond)
		require.NoError(t, os.WriteFile(pidFile, []byte(strconv.Itoa(cmd.Process.Pid)), 0o600))
		return cmd
	}
	stranger := run("/elsewhere/dockerd")
	require.NoError(t, endLeftover(pidFile, state))
	assert.NoFileExists(t, pidFile)
	assert.True(t, owns(stranger.Process.Pid, "/elsewhere"), "it runs on")
	require.NoError(t, stranger.Process.Kill())
	assert.ErrorContains(t, stranger.Wait(), "killed", "it had ended before")

	left := run(state + "/dockerd")
	require.NoError(t, endLeftover(pidFile, state))
	assert.ErrorContains(t, left.Wait(), "terminated")
	require.NoError(t, endLeftover(pidFile, state), "nothing left is no error")
}
