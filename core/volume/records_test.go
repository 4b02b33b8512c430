package volume_test

import (
	"bytes"
	"encoding/json"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/volume"
)

func zip(t testing.TB, r io.Reader) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.Copy(z, r)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

// As Velero v1.18.1 wrote it.
const veleros = `[{"pvcName":"notes","pvcNamespace":"notes","pvName":"pv-notes","backupMethod":"PodVolumeBackup",` +
	`"snapshotDataMoved":false,"preserveLocalSnapshot":false,"skipped":false,"startTimestamp":"2026-11-22T08:42:45Z",` +
	`"completionTimestamp":"2026-11-22T08:42:49Z","result":"succeeded","pvbInfo":{"snapshotHandle":"7866ab99d8e5151f66ed5241d65ea594",` +
	`"size":100071,"incrementalSize":100071,"uploaderType":"kopia","volumeName":"data","podName":"notes-7668554bb6-h42z8",` +
	`"podNamespace":"notes","nodeName":"t1-control-plane","Phase":"Completed"},"pvInfo":{"reclaimPolicy":"Delete","labels":null}}]` + "\n"

func TestVelerosRecordsAreReadAndWrittenAsTheyAre(t *testing.T) {
	infos, err := volume.DecodeInfos(bytes.NewReader(zip(t, strings.NewReader(veleros))))
	require.NoError(t, err)
	require.Len(t, infos, 1)
	assert.Equal(t, volume.PodVolumeBackup, infos[0].BackupMethod)
	assert.Equal(t, volume.ResultSucceeded, infos[0].Result)
	assert.Equal(t, "Completed", infos[0].PVBInfo.Phase)

	var again bytes.Buffer
	require.NoError(t, json.NewEncoder(&again).Encode(infos))
	assert.Equal(t, veleros, again.String())
}

func TestAListMayBeNull(t *testing.T) {
	for _, list := range []string{"null\n", "[]", " null "} {
		infos, err := volume.DecodeInfos(bytes.NewReader(zip(t, strings.NewReader(list))))
		require.NoError(t, err)
		assert.Empty(t, infos)
		snapshots, err := volume.DecodeSnapshots(bytes.NewReader(zip(t, strings.NewReader(list))))
		require.NoError(t, err)
		assert.Empty(t, snapshots)
	}
}

func TestDamagedRecordsAreRefused(t *testing.T) {
	sound := zip(t, strings.NewReader(veleros))
	flipped := bytes.Clone(sound)
	flipped[len(flipped)-6] ^= 1
	for name, b := range map[string][]byte{
		"empty":             nil,
		"cut short":         sound[:len(sound)-1],
		"sum wrong":         flipped,
		"an object":         zip(t, strings.NewReader("{}")),
		"two lists":         zip(t, strings.NewReader("[][]")),
		"a list cut short":  zip(t, strings.NewReader(veleros[:100])),
		"not a list at all": zip(t, strings.NewReader("list")),
		"nothing":           zip(t, strings.NewReader("")),
	} {
		_, err := volume.DecodeInfos(bytes.NewReader(b))
		require.Error(t, err, name)
	}
}

// What is 40 kB in the bucket must not be gigabytes in memory.
func TestABombOfRecordsIsRefusedInLittleMemory(t *testing.T) {
	const most = 1 << 30
	for name, bomb := range map[string]io.Reader{
		"of spaces":        io.MultiReader(strings.NewReader("["), io.LimitReader(endless(" "), volume.MaxRecordsSize+1)),
		"of empty records": io.MultiReader(strings.NewReader("["), strings.NewReader(strings.Repeat("{},", 20<<20)), strings.NewReader("]")),
	} {
		packed := zip(t, bomb)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := volume.DecodeInfos(bytes.NewReader(packed))
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, jsonbound.ErrTooLarge, name)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(most), "bytes allocated in all, %s", name)
	}
}

// endless repeats a text.
type endless string

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e[i%len(e)]
	}
	return len(p), nil
}

func FuzzDecodeInfos(f *testing.F) {
	for _, seed := range []string{veleros, "null\n", "[]", "[{}]", `[{"pvbInfo":null,"csiSnapshotInfo":{"ReadyToUse":true}}]`, `[{"pvName":"a"},{"pvName":"a"}]`, "[][]"} {
		f.Add([]byte(seed), true)
	}
	f.Add([]byte{0x1f, 0x8b, 8, 0}, false)
	f.Fuzz(func(t *testing.T, b []byte, compress bool) {
		if compress {
			b = zip(t, bytes.NewReader(b))
		}
		infos, err := volume.DecodeInfos(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := json.Marshal(infos)
		require.NoError(t, err)
		back, err := volume.DecodeInfos(bytes.NewReader(zip(t, bytes.NewReader(again))))
		require.NoError(t, err, "what was read can be written and read again")
		third, err := json.Marshal(back)
		require.NoError(t, err)
		require.Equal(t, string(again), string(third))
		_, _ = volume.DecodeSnapshots(bytes.NewReader(b)) // must only not panic
	})
}
