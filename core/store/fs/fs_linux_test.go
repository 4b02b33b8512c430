package fs_test

import (
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/fs"
)

// asAnyUser makes the file accesses of the test those of a user without
// privileges, also when it runs as root, whom no mode stops.
func asAnyUser(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	runtime.LockOSThread() // the file system user id is a thread's
	_, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0)
	require.Zero(t, errno)
	t.Cleanup(func() {
		_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, 0, 0, 0)
		runtime.UnlockOSThread()
	})
}

func TestAFolderThatIsClosedToTheUserIsNoEmptyLocation(t *testing.T) {
	for name, mode := range map[string]os.FileMode{"closed": 0o000, "not to be listed": 0o711} {
		t.Run(name, func(t *testing.T) {
			dir := sharedDir(t)
			require.NoError(t, os.Mkdir(filepath.Join(dir, "locked"), 0o700))
			require.NoError(t, os.Chmod(filepath.Join(dir, "locked"), mode))
			asAnyUser(t)
			_, err := fs.Open(filepath.Join(dir, "locked"), false)
			assert.ErrorIs(t, err, os.ErrPermission)
			assert.ErrorContains(t, err, dir+"/locked: permission denied; check owner and mode")
		})
	}
}

func TestAFolderThatCannotBeWrittenSaysSo(t *testing.T) {
	dir := sharedDir(t)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "readable"), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(dir, "readable"), 0o555))
	asAnyUser(t)
	s, err := fs.Open(filepath.Join(dir, "readable"), true)
	require.NoError(t, err)
	defer s.Close()
	err = s.Put(t.Context(), "backups/a/x", strings.NewReader("x"))
	assert.ErrorIs(t, err, os.ErrPermission)
	assert.ErrorContains(t, err, "put backups/a/x: "+dir+"/readable/backups/a/x: permission denied; check owner and mode")
}

// sharedDir is a temporary folder that other users may enter.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lifeboat-fs") //nolint:usetesting // folders of t.TempDir are the user's own
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

// limitEnv makes a process that puts one whose files may have so many bytes.
const limitEnv = "LIFEBOAT_TEST_FILE_LIMIT"

// limitFiles sets the limit, if there is one.
func limitFiles() {
	limit, err := strconv.ParseUint(os.Getenv(limitEnv), 10, 64)
	if err != nil {
		return
	}
	signal.Ignore(syscall.SIGXFSZ) // the write then fails
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		panic(err)
	}
}

// A limit of the process fails a write in the middle of a file as a full disk
// does, and needs neither a disk nor privileges.
func TestADiskThatTakesNoMoreLeavesNothingOfAnObject(t *testing.T) {
	for _, limit := range []string{"0", "1", "4096", "1000000"} {
		dir := t.TempDir()
		s := open(t, dir)
		put(t, s, "backups/b/x", "another backup")
		cmd, stdin := putCommand(t, dir, limitEnv+"="+limit)
		var said strings.Builder
		cmd.Stderr = &said
		require.NoError(t, cmd.Start())
		_, _ = stdin.Write(make([]byte, 2<<20)) // it ends before it has read all
		_ = stdin.Close()
		_ = cmd.Wait()
		assert.Equal(t, 1, cmd.ProcessState.ExitCode())
		assert.Equal(t, "put backups/a/x: "+dir+"/backups/a: file too large; raise the limit of the process (ulimit -f) or choose another file system\n", said.String())
		assert.Equal(t, []string{"backups/b/x"}, files(t, dir), "neither a file nor a temporary one")
		assert.NoDirExists(t, filepath.Join(dir, "backups", "a"))
		put(t, s, "backups/a/x", "the key is free")
	}
}

func TestANamedPipeIsNoObjectAndHoldsUpNothing(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	s := open(t, dir)
	_, err := s.Get(t.Context(), "pipe")
	assert.ErrorIs(t, err, store.ErrNotFound)
	assert.Empty(t, list(t, s, "", true))
}
