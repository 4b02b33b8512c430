//go:build unix

package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// deadPID is the number of a process that is gone.
func deadPID(t *testing.T) int {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-test.run=^$")
	require.NoError(t, cmd.Run())
	return cmd.Process.Pid
}

func TestSweepRemovesOnlyWhatNobodyOwns(t *testing.T) {
	dead := deadPID(t)
	mkdir := func(t *testing.T, dir, name string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Join(path, "etcd"), 0o700))
		return path
	}
	for _, tc := range []struct {
		name  string
		make  func(t *testing.T, dir string) string
		swept bool
	}{
		{"the owner is dead", func(t *testing.T, dir string) string {
			return mkdir(t, dir, fmt.Sprintf("lifeboat-controlplane-%d-1", dead))
		}, true},
		{"the owner's number lives on in another process, as in a container that was started again", func(t *testing.T, dir string) string {
			path := mkdir(t, dir, fmt.Sprintf("lifeboat-controlplane-%d-1", os.Getpid()))
			old := time.Now().Add(-2 * newborn)
			require.NoError(t, os.Chtimes(path, old, old))
			return path
		}, true},
		{"the owner lives and is about to lock it", func(t *testing.T, dir string) string {
			return mkdir(t, dir, fmt.Sprintf("lifeboat-controlplane-%d-1", os.Getpid()))
		}, false},
		{"the owner lives where its number means nothing to us, as in another container", func(t *testing.T, dir string) string {
			path := mkdir(t, dir, fmt.Sprintf("lifeboat-controlplane-%d-1", dead))
			lock, err := LockDir(path)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, lock.Close()) })
			return path
		}, false},
		{"a process works in it", func(t *testing.T, dir string) string {
			path := mkdir(t, dir, fmt.Sprintf("lifeboat-controlplane-%d-1", dead))
			self, err := os.Executable()
			require.NoError(t, err)
			cmd := exec.Command(self, "sleep")
			cmd.Dir = filepath.Join(path, "etcd")
			require.NoError(t, cmd.Start())
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			return path
		}, false},
		{"a name that only looks alike", func(t *testing.T, dir string) string {
			return mkdir(t, dir, "lifeboat-controlplane-notes")
		}, false},
		{"a name without a random part", func(t *testing.T, dir string) string {
			return mkdir(t, dir, fmt.Sprintf("lifeboat-controlplane-%d-", dead))
		}, false},
		{"a file", func(t *testing.T, dir string) string {
			path := filepath.Join(dir, fmt.Sprintf("lifeboat-controlplane-%d-1", dead))
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			return path
		}, false},
		{"a link to somewhere else", func(t *testing.T, dir string) string {
			path := filepath.Join(dir, fmt.Sprintf("lifeboat-controlplane-%d-1", dead))
			require.NoError(t, os.Symlink(t.TempDir(), path))
			return path
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "with [brackets]")
			require.NoError(t, os.Mkdir(dir, 0o700))
			path := tc.make(t, dir)
			removed, err := Sweep(dir)
			require.NoError(t, err)
			_, err = os.Lstat(path)
			if tc.swept {
				assert.Equal(t, []string{path}, removed)
				assert.ErrorIs(t, err, os.ErrNotExist)
			} else {
				assert.Empty(t, removed)
				assert.NoError(t, err)
			}
		})
	}
}

func TestSweepOfADirectoryThatIsNotThereFindsNothing(t *testing.T) {
	removed, err := Sweep(filepath.Join(t.TempDir(), "absent"))
	require.NoError(t, err)
	assert.Empty(t, removed)
}
