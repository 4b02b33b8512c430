package exporter

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/volume"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/bucket"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

func packed(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(content)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return out.Bytes()
}

func (b fakeBucket) volumes(backup string, infos ...volume.Info) {
	b.t.Helper()
	raw, err := json.Marshal(infos)
	require.NoError(b.t, err)
	b.put(store.VolumeInfo(backup), packed(b.t, raw))
}

func copied(result string, size, added int64) volume.Info {
	return volume.Info{
		PVName: "pv", BackupMethod: volume.PodVolumeBackup, Result: result,
		PVBInfo: &volume.PodVolumeInfo{SnapshotHandle: "h", Size: size, IncrementalSize: added},
	}
}

func TestVolumesAreCountedByWhatBecameOfThem(t *testing.T) {
	moved := volume.Info{BackupMethod: volume.CSISnapshot, SnapshotDataMoved: true, Result: volume.ResultSucceeded,
		CSISnapshotInfo: &volume.CSISnapshotInfo{Size: 1 << 40}, SnapshotDataMovementInfo: &volume.SnapshotDataMovementInfo{Size: 500, IncrementalSize: 5}}
	for name, tc := range map[string]struct {
		info volume.Info
		want fact.Volumes
	}{
		"copied":                       {copied(volume.ResultSucceeded, 1000, 10), fact.Volumes{Succeeded: 1, Size: 1000, Added: 10}},
		"not copied":                   {copied(volume.ResultFailed, 1000, 10), fact.Volumes{Failed: 1}},
		"moved":                        {moved, fact.Volumes{Succeeded: 1, Size: 500, Added: 5}},
		"a snapshot that stays":        {volume.Info{BackupMethod: volume.CSISnapshot, Result: volume.ResultSucceeded, CSISnapshotInfo: &volume.CSISnapshotInfo{Size: 1 << 40}}, fact.Volumes{Succeeded: 1}},
		"skipped":                      {volume.Info{Skipped: true, SkippedReason: "no driver"}, fact.Volumes{Skipped: 1}},
		"no method":                    {volume.Info{PVName: "pv"}, fact.Volumes{Skipped: 1}},
		"no result, and done":          {volume.Info{BackupMethod: volume.PodVolumeBackup, PVBInfo: &volume.PodVolumeInfo{SnapshotHandle: "h", Phase: "Completed", Size: 7}}, fact.Volumes{Succeeded: 1, Size: 7}},
		"no result, and failed":        {volume.Info{BackupMethod: volume.PodVolumeBackup, PVBInfo: &volume.PodVolumeInfo{SnapshotHandle: "h", Phase: "Failed"}}, fact.Volumes{Failed: 1}},
		"no result, no phase":          {volume.Info{BackupMethod: volume.CSISnapshot, CSISnapshotInfo: &volume.CSISnapshotInfo{SnapshotHandle: "h"}}, fact.Volumes{Succeeded: 1}},
		"no result, and no snapshot":   {volume.Info{BackupMethod: volume.CSISnapshot, CSISnapshotInfo: &volume.CSISnapshotInfo{}}, fact.Volumes{Failed: 1}},
		"no result, and nothing known": {volume.Info{BackupMethod: volume.NativeSnapshot}, fact.Volumes{Failed: 1}},
		"a size that cannot be":        {copied(volume.ResultSucceeded, 1<<62, 1), fact.Volumes{Succeeded: 1}},
		"a size below zero":            {copied(volume.ResultSucceeded, -1, 1), fact.Volumes{Succeeded: 1}},
	} {
		assert.Equal(t, tc.want, bucket.SumVolumes([]volume.Info{tc.info}), name)
	}
}

func TestAScanSaysWhatBecameOfTheVolumes(t *testing.T) {
	inBucket := newBucket(t)
	for i, name := range []string{"with", "without", "empty", "damaged", "huge"} {
		inBucket.backup(completedBackup("db", name, day(-i)))
	}
	inBucket.volumes("with", copied(volume.ResultSucceeded, 1000, 10), volume.Info{Skipped: true})
	inBucket.volumes("empty")
	inBucket.put(store.VolumeInfo("damaged"), bytes.Repeat([]byte("x"), 100))
	inBucket.put(store.VolumeInfo("huge"), packed(t, []byte("["+strings.Repeat("{},", int(bucket.VolumeLimits.Values))+"{}]")))
	source, _ := locationOf(inBucket)
	var scan fact.BackupScan
	for range 2 {
		var err error
		scan, err = source.ListBackups(t.Context())
		require.NoError(t, err)
	}
	got := map[string]*fact.Volumes{}
	for _, b := range scan.Backups {
		got[b.Name] = b.Volumes
	}
	assert.Equal(t, map[string]*fact.Volumes{
		"with": {Succeeded: 1, Skipped: 1, Size: 1000, Added: 10}, "empty": {}, "without": nil, "damaged": nil, "huge": nil,
	}, got, "a backup is one although its records of volumes are not readable")
	assert.Zero(t, scan.VolumesPending)
	require.Len(t, scan.Unreadable, 2)
	assert.ErrorContains(t, scan.Unreadable[0], "volume records")
	assert.Equal(t, uint64(5+3), source.Requests().Get, "each is read once, and records of nothing never")
}

// slowVolumes is a store in which the records of volumes take a second each.
type slowVolumes struct{ store.Store }

func (s slowVolumes) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if strings.HasSuffix(key, "-volumeinfo.json.gz") {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return s.Store.Get(ctx, key)
}

func TestRecordsOfVolumesThatTakeLongKeepNothingElseFromBeingKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inBucket := newBucket(t)
		for i := range 100 {
			name := fmt.Sprintf("db-%03d", i)
			inBucket.backup(completedBackup("db", name, midnight.Add(-time.Duration(i)*time.Hour)))
			inBucket.volumes(name, copied(volume.ResultSucceeded, 1000, 10))
		}
		source, _ := locationOf(slowVolumes{inBucket})
		pending := 100
		for pending > 0 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			scan, err := source.ListBackups(ctx)
			require.NoError(t, err)
			require.NoError(t, ctx.Err(), "half of the time is left to the evidence")
			cancel()
			require.Len(t, scan.Backups, 100)
			require.Less(t, scan.VolumesPending, pending, "each reading goes on")
			assert.NotNil(t, scan.Backups[0].Volumes, "the newest come first")
			pending = scan.VolumesPending
		}
	})
}

func FuzzReadVolumes(f *testing.F) {
	f.Add(packed(f, []byte(`[{"backupMethod":"PodVolumeBackup","result":"succeeded","pvbInfo":{"size":1,"incrementalSize":1}}]`)))
	f.Add(packed(f, []byte("null")))
	f.Add([]byte("no gzip"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		inBucket := newBucket(t)
		inBucket.put(store.VolumeInfo("b"), raw)
		v, err := bucket.ReadVolumes(t.Context(), inBucket, store.VolumeInfo("b"))
		if err != nil {
			assert.ErrorAs(t, err, &bucket.ContentError{})
			return
		}
		for _, n := range []int64{int64(v.Succeeded), int64(v.Failed), int64(v.Skipped), v.Size, v.Added} {
			assert.GreaterOrEqual(t, n, int64(0))
		}
	})
}
