package check

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/archive/archivetest"
	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/core/volume"
)

func TestWhatIsDecompressedIsBounded(t *testing.T) {
	list := "[" + strings.Repeat(" ", 1000) + "]"
	packed := archivetest.Gzip(t, []byte(list))
	var into []int
	require.NoError(t, decodeGzip(bytes.NewReader(packed), within(int64(len(list))), &into))
	require.ErrorIs(t, decodeGzip(bytes.NewReader(packed), within(int64(len(list)-1)), &into), errTooLarge)
	require.NoError(t, readGzip(bytes.NewReader(packed), int64(len(list))))
	require.ErrorIs(t, readGzip(bytes.NewReader(packed), int64(len(list)-1)), errTooLarge)
}

func TestTheFaultNamedIsTheFirstCause(t *testing.T) {
	var into []int
	damaged := archivetest.Flip(archivetest.Gzip(t, []byte("[1,2,3]")), 12)
	assert.NotContains(t, decodeGzip(bytes.NewReader(damaged), within(100), &into).Error(), "JSON")
	assert.ErrorContains(t, decodeGzip(bytes.NewReader(archivetest.Gzip(t, []byte("[1,2,"))), within(100), &into), "JSON")
	assert.ErrorContains(t, decodeGzip(bytes.NewReader(nil), within(100), &into), "empty")
}

// A record is hundreds of bytes in memory and can be three in the file.
func TestWhatIsDecodedIsBounded(t *testing.T) {
	packed := archivetest.Gzip(t, []byte("["+strings.Repeat("{},", 10_000_000)+"{}]"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var records []velerov1.PodVolumeBackup
	err := decodeGzip(bytes.NewReader(packed), companion(), &records)
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, jsonbound.ErrTooLarge)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(512<<20), "bytes allocated in all; the records would take more than 5 GB")
}

// What verify accepts, restore must be able to read.
func TestAVolumeRecordIsTooLargeForVerifyWhenItIsForRestore(t *testing.T) {
	for _, over := range []int{0, 1} {
		list := "[" + strings.Repeat(" ", volume.MaxRecordsSize-2+over) + "]"
		packed := archivetest.Gzip(t, []byte(list))
		_, restoreErr := volume.DecodeInfos(bytes.NewReader(packed))
		s := mem.New()
		require.NoError(t, s.Put(t.Context(), store.VolumeInfo("b"), bytes.NewReader(packed)))
		in, err := Gather(t.Context(), s, "b", IntegrityOptions{})
		require.NoError(t, err)
		verifyErr := in.Files["b-volumeinfo.json.gz"].Fault
		assert.Equal(t, over > 0, restoreErr != nil, "%v", restoreErr)
		assert.Equal(t, over > 0, verifyErr != nil, "%v", verifyErr)
	}
}
