package kopia_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	storefs "github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/core/volume/kopia"
	"github.com/lifeboat-backup/lifeboat/test/rig"
)

// What the pod read from the volume before real Velero saved it.
const snapshotID = "7866ab99d8e5151f66ed5241d65ea594"

var sums = map[string]string{
	"a/b/blob":  "6128a4e709c3f104c18939fd538ea782330eb236185131351569b2cf6c96cc80",
	"a/n1.txt":  "6d1663cfde8d2df8419d759f8f37a3e9ad62718e6df424a0ba08c860222808e6",
	"a/n10.txt": "31bdccae79ab98c3d4bf59df5138b6beeb4468431718a2d2b7ccca128df8b625",
	"a/n2.txt":  "6480266b7d4df621be136e30eae9bb84506a431bbb1965d9b7190373c2ed04af",
	"a/n3.txt":  "68deab2fba92ac922be311b71d1dcbbd387601e76712539274d64fe7a993595b",
	"a/n4.txt":  "a1e76f8aade6b2a97145b150e0e00777462a4463210c96e8f6adbfc297d7b226",
	"a/n5.txt":  "68e76e76aff459ee3cb7bd40600ab1a191935721e51ea2240b46c3d89d5e2b47",
	"a/n6.txt":  "c8416b6caf8b891743e4290323cc80f5d4917ffd178e1c8b1f6bfe4f4d2a36d1",
	"a/n7.txt":  "2476fbf1a72773c7de3571cdd972c2f43559e14b67ee886f829909dbac21e050",
	"a/n8.txt":  "83a98dcb85e53c876393e6ac5b4f663ae5bae05d1047f9c8e754063ce650ee41",
	"a/n9.txt":  "40c8de16a333482045fb3b3c819950e7352a51a9041c096cb2a87642cc7eb074",
}

func bucket(t *testing.T) (store.Store, string) {
	t.Helper()
	dir := rig.SmallBucket(t)
	s, err := storefs.Open(dir, false)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s, dir
}

func opened(t *testing.T, s store.Store) (*kopia.Repository, *kopia.Snapshot) {
	t.Helper()
	r, err := kopia.Open(t.Context(), s, "notes", kopia.StaticPassword)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, r.Close(t.Context())) })
	snap, err := r.Snapshot(t.Context(), snapshotID)
	require.NoError(t, err)
	return r, snap
}

func TestEveryFileOfAVolumeThatVeleroSavedComesBackEqual(t *testing.T) {
	s, _ := bucket(t)
	r, snap := opened(t, s)
	assert.Equal(t, "snapshot-pod-volume/kopia/notes/notes-7668554bb6-h42z8/notes", snap.Source)

	dir := t.TempDir()
	to, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer to.Close()
	done, err := r.Extract(t.Context(), snap, snap.Root, to, nil)
	require.NoError(t, err)
	assert.Empty(t, done.Refused)

	got := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			b, rerr := os.ReadFile(path)
			sum := sha256.Sum256(b)
			name, _ := filepath.Rel(dir, path)
			got[filepath.ToSlash(name)], err = hex.EncodeToString(sum[:]), rerr
		}
		return err
	}))
	assert.Equal(t, sums, got)

	require.NoError(t, r.Walk(t.Context(), snap, func(e kopia.Entry) error {
		if e.Path == "" {
			return nil
		}
		info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(e.Path)))
		require.NoError(t, err)
		if e.Type != kopia.Symlink {
			assert.Equal(t, e.Mode, info.Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky), e.Path)
			assert.WithinDuration(t, e.Modified, info.ModTime(), time.Microsecond, e.Path)
		}
		return nil
	}, nil, func(b kopia.BadEntry) { assert.NoError(t, b) }))
}

func TestATarHoldsTheSameFiles(t *testing.T) {
	s, _ := bucket(t)
	r, snap := opened(t, s)
	var out bytes.Buffer
	_, err := r.Tar(t.Context(), snap, snap.Root, &out)
	require.NoError(t, err)
	got := map[string]string{}
	for in := tar.NewReader(&out); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if h.Typeflag == tar.TypeReg {
			b, err := io.ReadAll(in)
			require.NoError(t, err)
			sum := sha256.Sum256(b)
			got[h.Name] = hex.EncodeToString(sum[:])
		}
	}
	assert.Equal(t, sums, got)
}

func TestOneFileIsFoundByItsPath(t *testing.T) {
	s, _ := bucket(t)
	r, snap := opened(t, s)
	e, err := r.Find(t.Context(), snap, "/a/b/blob")
	require.NoError(t, err)
	dir := t.TempDir()
	to, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer to.Close()
	_, err = r.Extract(t.Context(), snap, e, to, nil)
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(dir, "blob"))
	require.NoError(t, err)
	sum := sha256.Sum256(b)
	assert.Equal(t, sums["a/b/blob"], hex.EncodeToString(sum[:]))

	for _, path := range []string{"a/nothing", "a/n1.txt/x", "../a"} {
		_, err = r.Find(t.Context(), snap, path)
		if path == "../a" { // a path ends at the volume's root
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, os.ErrNotExist, path)
	}
}

func TestWhatIsWrongWithARepositoryIsNamed(t *testing.T) {
	s, dir := bucket(t)
	_, err := kopia.Open(t.Context(), s, "notes", "wrong")
	require.ErrorIs(t, err, kopia.ErrPassword)
	_, err = kopia.Open(t.Context(), s, "elsewhere", kopia.StaticPassword)
	require.ErrorIs(t, err, kopia.ErrNoRepository)
	_, err = kopia.Open(t.Context(), s, "../notes", kopia.StaticPassword)
	require.ErrorIs(t, err, store.ErrInvalidKey)
	r, _ := opened(t, s)
	_, err = r.Snapshot(t.Context(), "0123456789abcdef0123456789abcdef")
	require.ErrorIs(t, err, kopia.ErrNoSnapshot)

	packs, err := filepath.Glob(filepath.Join(dir, "kopia", "notes", "p*"))
	require.NoError(t, err)
	require.NotEmpty(t, packs)
	for _, p := range packs {
		require.NoError(t, os.Remove(p))
	}
	r, snap := opened(t, s)
	_, err = r.Tar(t.Context(), snap, snap.Root, io.Discard)
	require.Error(t, err)
}

func TestReadingLeavesNothingOnDisk(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	s, dir := bucket(t)
	before := files(t, dir)
	r, snap := opened(t, s)
	_, err := r.Tar(t.Context(), snap, snap.Root, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, before, files(t, dir), "the repository was written to")
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	for _, f := range left {
		assert.NotContains(t, f.Name(), "lifeboat-kopia")
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		out = append(out, path)
		return err
	}))
	return out
}
