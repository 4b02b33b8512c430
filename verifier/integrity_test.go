package verifier_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/verifier"
	"github.com/lifeboat-backup/lifeboat/verifier/check"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// velerosLocation holds the bucket in test/fixtures that Velero v1.18.1 wrote,
// as change leaves it.
func velerosLocation(t *testing.T, change func(key string, content []byte) []byte) *mem.Store {
	t.Helper()
	f, err := os.Open("../test/fixtures/velero-v1.18.1/bucket-small.tar.gz")
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	s := mem.New()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return s
		}
		require.NoError(t, err)
		key, inLocation := strings.CutPrefix(h.Name, "backups-bucket/prod/")
		if !inLocation || h.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, s.Put(t.Context(), key, bytes.NewReader(change(key, content))))
	}
}

const velerosBackup = "notes-1h-20261122084242"

func TestIntegrityOfVelerosBackupIsProven(t *testing.T) {
	sums := map[string]string{}
	s := velerosLocation(t, func(key string, content []byte) []byte {
		sum := sha256.Sum256(content)
		sums[key] = hex.EncodeToString(sum[:])
		return content
	})
	r, err := verifier.Integrity(t.Context(), s, velerosBackup, verifier.IntegrityOptions{})
	require.NoError(t, err)
	assert.Equal(t, report.Passed, r.Verdict())
	assert.Empty(t, r.Findings)
	assert.Equal(t, 20, r.InBackup)
	assert.Equal(t, velerosBackup, r.Metadata.Name)
	assert.Equal(t, sums[store.Metadata(velerosBackup)], r.MetadataSHA256)
	assert.Equal(t, sums[store.Contents(velerosBackup)], r.ContentsSHA256)
	assert.False(t, r.Manifest)
}

func TestIntegrityOfATruncatedBackupIsRefuted(t *testing.T) {
	s := velerosLocation(t, func(key string, content []byte) []byte {
		if key == store.Contents(velerosBackup) {
			return content[:len(content)/2]
		}
		return content
	})
	r, err := verifier.Integrity(t.Context(), s, velerosBackup, verifier.IntegrityOptions{})
	require.NoError(t, err)
	assert.Equal(t, report.Failed, r.Verdict())
	require.Len(t, r.Findings, 1)
	assert.Equal(t, "archive_readable", r.Findings[0].Check)
	assert.Less(t, r.InBackup, 20)
}

func TestIntegrityOfNoBackupIsAnError(t *testing.T) {
	_, err := verifier.Integrity(t.Context(), mem.New(), "nightly", verifier.IntegrityOptions{})
	require.ErrorIs(t, err, check.ErrNoBackup)
	assert.ErrorContains(t, err, "nightly")
}
