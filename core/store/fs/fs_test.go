package fs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/core/store/storetest"
)

func TestADirectoryIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir()) })
}

// A Delete removes the folder that another Put has just made or found.
func TestFoldersMayComeAndGoUnderConcurrentPuts(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var g errgroup.Group
	for i := range 16 {
		g.Go(func() error {
			key := fmt.Sprintf("backups/b%d/f%d", i%4, i)
			for round := range 20 {
				if err := s.Put(t.Context(), key, strings.NewReader(key)); err != nil {
					return fmt.Errorf("round %d: %w", round, err)
				}
				if err := s.Delete(t.Context(), key); err != nil {
					return fmt.Errorf("round %d: %w", round, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

// The variable that makes the test binary a process that puts its stdin under
// the key "backups/a/x" of the directory named.
const putDirEnv = "LIFEBOAT_TEST_PUT_DIR"

const exitExists = 3

func TestMain(m *testing.M) {
	if dir := os.Getenv(putDirEnv); dir != "" {
		limitFiles()
		os.Exit(putStdin(dir))
	}
	os.Exit(m.Run())
}

func putStdin(dir string) int {
	s, err := fs.Open(dir, true)
	if err == nil {
		err = s.Put(context.Background(), "backups/a/x", os.Stdin)
	}
	switch {
	case errors.Is(err, store.ErrExists):
		return exitExists
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// putProcess is another process that is about to put what it reads.
func putProcess(t *testing.T, dir string) (*exec.Cmd, io.WriteCloser) {
	t.Helper()
	cmd, stdin := putCommand(t, dir)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	return cmd, stdin
}

// putCommand is putProcess before its start.
func putCommand(t *testing.T, dir string, env ...string) (*exec.Cmd, io.WriteCloser) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(append(os.Environ(), putDirEnv+"="+dir), env...)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	return cmd, stdin
}

func TestOfProcessesThatPutOneKeyExactlyOneWins(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "whoever", "comes", "first")
	const writers = 8
	var cmds [writers]*exec.Cmd
	var ins [writers]io.WriteCloser
	for i := range writers {
		cmds[i], ins[i] = putProcess(t, dir)
		_, err := io.WriteString(ins[i], strings.Repeat(fmt.Sprint(i), 1<<20))
		require.NoError(t, err)
	}
	for _, in := range ins {
		require.NoError(t, in.Close())
	}
	winner := -1
	for i, cmd := range cmds {
		_ = cmd.Wait()
		switch code := cmd.ProcessState.ExitCode(); code {
		case 0:
			assert.Equal(t, -1, winner, "a second one won")
			winner = i
		default:
			assert.Equal(t, exitExists, code)
		}
	}
	require.NotEqual(t, -1, winner)
	got, err := os.ReadFile(filepath.Join(dir, "backups/a/x"))
	require.NoError(t, err)
	assert.True(t, bytes.Equal(bytes.Repeat(fmt.Append(nil, winner), 1<<20), got))
	assert.Equal(t, []string{"backups/a/x"}, files(t, dir))
}

func TestAKilledProcessLeavesNothingThatCounts(t *testing.T) {
	for _, next := range []string{"put", "delete"} {
		t.Run("until the next "+next, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			put(t, s, "backups/b/x", "another backup")
			if next == "delete" {
				put(t, s, "backups/a/y", "beside it")
			}
			cmd, stdin := putProcess(t, dir)
			// More than a pipe holds: when the write returns, it is reading.
			_, err := stdin.Write(make([]byte, 4<<20))
			require.NoError(t, err)
			require.NoError(t, cmd.Process.Kill())
			_ = cmd.Wait()

			temp := tempFiles(t, dir)
			require.Len(t, temp, 1, "the test must have killed it in the middle")
			if next == "put" {
				assert.Equal(t, []string{"backups/b/x"}, list(t, s, "", true))
				assert.Equal(t, []string{"backups/b/"}, list(t, s, "backups/", false), "a folder with nothing else in it is no backup")
				put(t, s, "backups/a/y", "later")
			}
			_, err = s.Get(t.Context(), "backups/a/x")
			assert.ErrorIs(t, err, store.ErrNotFound)
			_, err = s.Get(t.Context(), temp[0])
			assert.ErrorIs(t, err, store.ErrInvalidKey)
			if next == "delete" {
				require.NoError(t, s.Delete(t.Context(), "backups/a/y"))
				assert.NoDirExists(t, filepath.Join(dir, "backups/a"))
			}
			assert.Empty(t, tempFiles(t, dir))
		})
	}
}

func TestPutSparesTheTemporaryFilesOfPutsUnderWay(t *testing.T) {
	dir := t.TempDir()
	cmd, stdin := putProcess(t, dir)
	_, err := stdin.Write(make([]byte, 4<<20))
	require.NoError(t, err)
	require.Len(t, tempFiles(t, dir), 1)

	s := open(t, dir)
	put(t, s, "backups/a/y", "in the same folder")
	require.NoError(t, s.Delete(t.Context(), "backups/a/y"))
	assert.Len(t, tempFiles(t, dir), 1)

	require.NoError(t, stdin.Close())
	require.NoError(t, cmd.Wait())
	assert.Equal(t, []string{"backups/a/x"}, list(t, s, "", true))
	assert.Empty(t, tempFiles(t, dir))
}

// Velero refuses a location with a top-level folder that it does not know.
func TestWritingMakesNoFolderBesideTheKeysOwn(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- s.Put(t.Context(), "backups/a/x", pr) }()
	_, err := io.WriteString(pw, "a piece")
	require.NoError(t, err)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, "backups", entries[0].Name())
	require.NoError(t, pw.Close())
	require.NoError(t, <-done)
}

func TestAFailedPutLeavesNeitherFileNorFolder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	broken := errors.New("the source broke")
	pr, pw := io.Pipe()
	pw.CloseWithError(broken)
	assert.ErrorIs(t, s.Put(t.Context(), "backups/a/deep/x", pr), broken)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestDeletingABackupLeavesNoEmptyFolder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	w, err := store.Begin(t.Context(), s, "a")
	require.NoError(t, err)
	_, _, err = w.Put(t.Context(), store.Contents("a"), strings.NewReader("x"))
	require.NoError(t, err)
	require.NoError(t, w.Commit(t.Context(), []byte("{}")))
	n, err := store.DeleteBackup(t.Context(), s, "a")
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
	assert.DirExists(t, dir, "the location itself stays")
}

func TestBackupsAreReadableByTheirOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	s, err := fs.Open(dir, true)
	require.NoError(t, err)
	defer s.Close()
	put(t, s, "backups/a/x", "a Secret")
	require.NoError(t, filepath.WalkDir(dir, func(path string, e iofs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		assert.Zero(t, info.Mode().Perm()&0o077, path)
		return nil
	}))
}

func TestSymbolicLinksLeadNowhereOutside(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "backups"), 0o700))
	for link, target := range map[string]string{
		"backups/dir": outside, "backups/file": secret, "backups/up": "../../" + filepath.Base(outside), "restores": outside, "backups/dangling": "nowhere",
		"backups/loop": "loop",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, link)))
	}
	s := open(t, dir)

	for _, key := range []string{"backups/dir/secret", "backups/file", "backups/up/secret", "restores/secret", "backups/loop"} {
		_, err := s.Get(t.Context(), key)
		assert.Error(t, err, key)
	}
	for _, key := range []string{"backups/dir/new", "backups/up/new", "restores/new", "backups/file", "backups/dangling"} {
		assert.Error(t, s.Put(t.Context(), key, strings.NewReader("x")), key)
	}
	assert.Error(t, s.Delete(t.Context(), "backups/dir/secret"))
	assert.Error(t, s.Delete(t.Context(), "restores/secret"))

	assert.Empty(t, list(t, s, "", true))
	assert.Empty(t, list(t, s, "backups/", false))
	var listErr error
	for _, err := range s.List(t.Context(), "restores/", true) {
		listErr = err
	}
	assert.Error(t, listErr, "what lies behind such a link is not taken for empty")

	require.NoError(t, s.Delete(t.Context(), "backups/file"), "the link goes")
	assert.FileExists(t, secret, "what it led to stays")
	assert.Equal(t, []string{"secret"}, files(t, outside))
	assert.NoFileExists(t, filepath.Join(dir, "backups/nowhere"))
}

func TestAKeyCannotBeObjectAndFolder(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a/b", "x")
	assert.ErrorContains(t, s.Put(t.Context(), "a", strings.NewReader("")), "is a folder")
	assert.ErrorContains(t, s.Put(t.Context(), "a/b/c", strings.NewReader("")), "is a file")
	_, err := s.Get(t.Context(), "a/b/c")
	assert.ErrorIs(t, err, store.ErrNotFound)
	assert.ErrorIs(t, s.Delete(t.Context(), "a/b/c"), store.ErrNotFound)
	assert.Equal(t, []string{"a/b"}, list(t, s, "", true))
}

func TestOpenSaysWhatIsWrongWithTheFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	_, err := fs.Open(filepath.Join(dir, "missing"), false)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.EqualError(t, err, "open location file://"+dir+"/missing: no such file or directory: "+
		"check the path and that the disk is mounted; the first backup into a location makes its folder")
	for _, create := range []bool{false, true} {
		_, err = fs.Open(file, create)
		assert.ErrorContains(t, err, file+" is a file")
		_, err = fs.Open(filepath.Join(file, "below"), create)
		assert.Error(t, err)
	}
	assert.Equal(t, []string{"file"}, files(t, dir))
}

func TestALocationIsNamedByItsURL(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with space?")
	s, err := fs.Open(dir, true)
	require.NoError(t, err)
	defer s.Close()
	assert.Equal(t, "file://"+filepath.Dir(dir)+"/with%20space%3F", s.String())
}

func open(t *testing.T, dir string) *fs.Store {
	t.Helper()
	s, err := fs.Open(dir, false)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func put(t *testing.T, s store.Store, key, data string) {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), key, strings.NewReader(data)))
}

func list(t *testing.T, s store.Store, prefix string, recursive bool) []string {
	t.Helper()
	var keys []string
	for info, err := range s.List(t.Context(), prefix, recursive) {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	return keys
}

// files are all files below dir, as the file system shows them.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, e iofs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, relErr := filepath.Rel(dir, path)
			require.NoError(t, relErr)
			found = append(found, filepath.ToSlash(rel))
		}
		return err
	}))
	return found
}

func tempFiles(t *testing.T, dir string) []string {
	t.Helper()
	var temp []string
	for _, f := range files(t, dir) {
		if strings.Contains(f, ".lifeboat-tmp-") {
			temp = append(temp, f)
		}
	}
	return temp
}
