package kopia_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/volume/kopia"
)

func TestAWholeSnapshotHasNoProblem(t *testing.T) {
	s, _ := bucket(t)
	r, snap := opened(t, s)
	v, err := r.Verify(t.Context(), snap, 0)
	require.NoError(t, err)
	assert.Zero(t, v.Count)
	assert.EqualValues(t, 12, v.Files, "11 files and a link")
	assert.Zero(t, v.ReadBytes)
	v, err = r.Verify(t.Context(), snap, 1)
	require.NoError(t, err)
	assert.Zero(t, v.Count)
	assert.Equal(t, v.Files, v.ReadFiles)
	assert.Equal(t, v.Bytes, v.ReadBytes)
}

func pack(t *testing.T, dir string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "kopia", "notes", "p*"))
	require.NoError(t, err)
	require.Len(t, all, 1)
	return all[0]
}

func TestMissingAndShortPacksAreFoundWithoutReadingThem(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"missing": os.Remove,
		"short":   func(path string) error { return os.Truncate(path, 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := bucket(t)
			require.NoError(t, damage(pack(t, dir)))
			r, snap := opened(t, s)
			v, err := r.Verify(t.Context(), snap, 0)
			require.NoError(t, err)
			require.NotZero(t, v.Count)
			assert.Contains(t, v.Problems[0].Reason, "pack p")
		})
	}
}

func TestEachFlippedByteOfDataIsFoundByReading(t *testing.T) {
	s, dir := bucket(t)
	path := pack(t, dir)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, at := range []int{len(content) / 4, len(content) / 2} {
		damaged := append([]byte{}, content...)
		damaged[at] ^= 1
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		r, snap := opened(t, s)
		v, err := r.Verify(t.Context(), snap, 0)
		require.NoError(t, err)
		assert.Zero(t, v.Count, "the structure is whole")
		v, err = r.Verify(t.Context(), snap, 1)
		require.NoError(t, err)
		require.NotZero(t, v.Count, "byte %d of %d", at, len(content))
		assert.Contains(t, v.Problems[0].Path, "/a/")
	}
}

// broken is a store that cannot read packs of data.
type broken struct{ store.Store }

var errReset = errors.New("connection reset")

func (b broken) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if strings.HasPrefix(filepath.Base(key), "p") {
		return nil, errReset
	}
	return b.Store.Get(ctx, key)
}

func TestALocationThatFailsIsNotDamage(t *testing.T) {
	s, _ := bucket(t)
	r, snap := opened(t, broken{s})
	_, err := r.Verify(t.Context(), snap, 1)
	require.ErrorIs(t, err, kopia.ErrUnreachable)
	require.ErrorIs(t, err, errReset)
}
