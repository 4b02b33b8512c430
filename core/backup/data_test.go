package backup

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/collect"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/core/volume"
)

// copier is data that a test says is saved.
type copier struct {
	blocks []collect.Block
	saved  Saved
	err    error
}

func (c *copier) Start(_ context.Context, b collect.Block) error {
	c.blocks = append(c.blocks, b)
	return nil
}

func (c *copier) Finish(context.Context) (Saved, error) { return c.saved, c.err }

func TestWhatBecameOfDataIsInTheBackup(t *testing.T) {
	s := mem.New()
	snapshot := item.Item{Key: item.Key{Group: "snapshot.storage.k8s.io", Resource: "volumesnapshotcontents", Name: "made"}, Version: "v1", Kind: "VolumeSnapshotContent",
		Raw: []byte(`{"apiVersion":"snapshot.storage.k8s.io/v1","kind":"VolumeSnapshotContent","metadata":{"name":"made"}}`)}
	c := &copier{saved: Saved{
		Records:  []volume.Info{{PVName: "vol", PVCName: "data", PVCNamespace: "shop", BackupMethod: volume.CSISnapshot, Result: volume.ResultSucceeded}},
		Items:    []item.Item{snapshot},
		Problems: []Problem{{Object: "persistentvolumeclaims shop/data", Err: errors.New("the snapshot is not complete")}},
	}}
	j := job(s, town())
	j.Data = c
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, c.blocks, 1)
	assert.Equal(t, []volume.Claim{{Name: volume.Name{Namespace: "shop", Name: "data"}, PV: "vol"}}, c.blocks[0].Claims)
	assert.Equal(t, "vol", c.blocks[0].PVs[0].Name)

	assert.Equal(t, velerov1.BackupPhasePartiallyFailed, r.Backup.Status.Phase)
	assert.Equal(t, []Problem{c.saved.Problems[0]}, r.Errors)
	assert.Equal(t, 6, r.Items)
	assert.Contains(t, unzipped(t, s, store.ResourceList("nightly")), `"snapshot.storage.k8s.io/v1/VolumeSnapshotContent":["made"]`)
	assert.Contains(t, unzipped(t, s, store.VolumeInfo("nightly")), `"backupMethod":"CSISnapshot"`)
	assert.Contains(t, unzipped(t, s, store.Results("nightly")), "the snapshot is not complete")
}

func TestABackupWhoseDataCannotBeSavedDoesNotExist(t *testing.T) {
	s := mem.New()
	j := job(s, town())
	j.Data = &copier{err: errors.New("no repository")}
	_, err := j.Run(t.Context())
	assert.EqualError(t, err, "backup nightly was not made: save the data of volumes: no repository")
	for info, err := range s.List(t.Context(), "", true) {
		require.NoError(t, err)
		t.Errorf("%s is left", info.Key)
	}
}
