package check_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/lifeboat-backup/lifeboat/core/catalog"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/verifier/check"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

func TestIntegrityOfVelerosBackupIsProven(t *testing.T) {
	b := velerosBucket(t)
	sum := func(key string) string {
		sum := sha256.Sum256(b[key])
		return hex.EncodeToString(sum[:])
	}
	r, err := check.Integrity(t.Context(), b.store(t), veleros, check.IntegrityOptions{})
	require.NoError(t, err)
	assert.Equal(t, report.Passed, r.Verdict())
	assert.Empty(t, r.Findings)
	assert.Equal(t, 20, r.InBackup)
	assert.Equal(t, veleros, r.Metadata.Name)
	assert.Equal(t, sum(store.Metadata(veleros)), r.MetadataSHA256)
	assert.Equal(t, sum(store.Contents(veleros)), r.ContentsSHA256)
	assert.False(t, r.Manifest)
}

func TestIntegrityOfATruncatedBackupFails(t *testing.T) {
	b := velerosBucket(t)
	contents := store.Contents(veleros)
	b[contents] = b[contents][:len(b[contents])/2]
	r, err := check.Integrity(t.Context(), b.store(t), veleros, check.IntegrityOptions{})
	require.NoError(t, err)
	assert.Equal(t, report.Failed, r.Verdict())
	require.Len(t, r.Findings, 1)
	assert.Equal(t, "archive_readable", r.Findings[0].Check)
	assert.Less(t, r.InBackup, 20)
}

func TestIntegrityOfNoBackupIsAnError(t *testing.T) {
	_, err := check.Integrity(t.Context(), mem.New(), "nightly", check.IntegrityOptions{})
	require.ErrorIs(t, err, catalog.ErrNoBackup)
	assert.ErrorContains(t, err, "nightly")
}
