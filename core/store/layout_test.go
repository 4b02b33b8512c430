package store_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

func TestEveryKeyOfTheLayoutIsValidForTheLongestName(t *testing.T) {
	name := strings.Repeat("n", 220)
	assert.NoError(t, store.CheckName(name))
	assert.Error(t, store.CheckName(name+"n"))
	for _, key := range []string{
		store.Metadata(name), store.Contents(name), store.SealedContents(name), store.Log(name), store.Results(name), store.ResourceList(name), store.VolumeInfo(name),
		store.VolumeSnapshots(name), store.PodVolumeBackups(name), store.ItemOperations(name), store.Manifest(name), store.Evidence(name, "drill"),
		store.RestoreLog(name), store.RestoreResults(name), store.RestoreResourceList(name), store.RestoreItemOperations(name), store.RestoreVolumeInfo(name),
	} {
		assert.NoError(t, store.CheckKey(key), key)
	}
}

func TestTheFilesOfARestoreAreWhereVeleroLooksForThem(t *testing.T) {
	assert.Equal(t, []string{
		"restores/r/restore-r-logs.gz", "restores/r/restore-r-results.gz", "restores/r/restore-r-resource-list.json.gz",
		"restores/r/restore-r-itemoperations.json.gz", "restores/r/r-volumeinfo.json.gz",
	}, []string{
		store.RestoreLog("r"), store.RestoreResults("r"), store.RestoreResourceList("r"), store.RestoreItemOperations("r"), store.RestoreVolumeInfo("r"),
	})
}

func TestCheckNameAcceptsKubernetesNamesOnly(t *testing.T) {
	for _, name := range []string{"a", "nightly-20260101010101", "a.b", "0"} {
		assert.NoError(t, store.CheckName(name), name)
	}
	for _, name := range []string{"", ".", "..", "a/b", "A", "-a", "a-", "a..b", "a b", "a\n", "ä", "*"} {
		assert.Error(t, store.CheckName(name), "%q", name)
	}
}

func TestAPrefixIsValidWhenAKeyCouldStartWithIt(t *testing.T) {
	for _, prefix := range []string{"", "a", "a/", "a/.", "a/..", "backups/a/velero"} {
		assert.NoError(t, store.CheckPrefix(prefix), "%q", prefix)
	}
	for _, prefix := range []string{"/", "a//", "./", "../", "a/../", "a/./b", `a\`, "a\x00", "\xff", strings.Repeat("x", 255)} {
		assert.ErrorIs(t, store.CheckPrefix(prefix), store.ErrInvalidKey, "%q", prefix)
	}
}
