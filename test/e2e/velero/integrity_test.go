//go:build e2e

package velero

import (
	"archive/tar"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/verifier/check"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

const root = "../../.."

// buckets are the archives of buckets at hand, with the number of items of
// each backup as Velero counted it. A larger one is too large for the
// repository: LIFEBOAT_VELERO_BUCKET says where it lies, if anywhere.
func buckets() map[string]map[string]int {
	known := map[string]map[string]int{
		root + "/test/fixtures/velero-v1.18.1/bucket-small.tar.gz": {"notes-1h-20261122084242": 20},
	}
	if large := os.Getenv("LIFEBOAT_VELERO_BUCKET"); large != "" {
		known[large] = map[string]int{"full-1": 331, "backup-1h-20261122083607": 59}
	}
	return known
}

// unpack makes a location of an archive of a bucket.
func unpack(t *testing.T, path string) *fs.Store {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	dir := t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		if h.Typeflag != tar.TypeReg {
			continue
		}
		require.True(t, filepath.IsLocal(h.Name), h.Name)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(h.Name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, h.Name), content, 0o644))
	}
	s, err := fs.Open(filepath.Join(dir, "backups-bucket", "prod"), false)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func TestEveryBackupOfARealBucketIsSound(t *testing.T) {
	for path, items := range buckets() {
		t.Run(filepath.Base(path), func(t *testing.T) {
			s := unpack(t, path)
			var names []string
			for info, err := range s.List(t.Context(), store.BackupsPrefix, false) {
				require.NoError(t, err)
				names = append(names, strings.TrimSuffix(strings.TrimPrefix(info.Key, store.BackupsPrefix), "/"))
			}
			require.ElementsMatch(t, slices.Collect(maps.Keys(items)), names)
			for _, name := range names {
				r, err := check.Integrity(t.Context(), s, name, check.IntegrityOptions{})
				require.NoError(t, err)
				assert.Equal(t, report.Passed, r.Verdict(), "%s: %+v", name, r.Findings)
				assert.Empty(t, r.Findings, name)
				assert.Equal(t, items[name], r.InBackup, name)
			}
		})
	}
}

// What is read of Velero's tarball and written by Lifeboat is the same archive
// again, entry by entry.
func TestARealTarballIsWrittenAgainAsItWas(t *testing.T) {
	for path, items := range buckets() {
		s := unpack(t, path)
		for name := range items {
			in, err := s.Get(t.Context(), store.Contents(name))
			require.NoError(t, err)
			original, err := io.ReadAll(in)
			require.NoError(t, err)
			require.NoError(t, in.Close())

			var again strings.Builder
			w := archive.NewWriter(&again, archive.Options{})
			for it, err := range archive.NewReader(strings.NewReader(string(original)), archive.Limits{}).Items() {
				require.NoError(t, err)
				_, err = w.Add(it)
				require.NoError(t, err)
			}
			require.NoError(t, w.Close())
			assert.Equal(t, entries(t, string(original)), entries(t, again.String()), name)
		}
	}
}

// entries lists an archive with the standard library: path, mode and content
// of each entry.
func entries(t *testing.T, archived string) (list []string) {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(archived))
	require.NoError(t, err)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return list
		}
		require.NoError(t, err)
		body, err := io.ReadAll(r)
		require.NoError(t, err)
		list = append(list, h.Name+" "+h.FileInfo().Mode().String()+" "+string(body))
	}
}
