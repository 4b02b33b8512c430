package check

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/archive/archivetest"
)

func TestWhatIsDecompressedIsBounded(t *testing.T) {
	list := "[" + strings.Repeat(" ", 1000) + "]"
	packed := archivetest.Gzip(t, []byte(list))
	var into []int
	require.NoError(t, decodeGzip(bytes.NewReader(packed), int64(len(list)), &into))
	require.ErrorIs(t, decodeGzip(bytes.NewReader(packed), int64(len(list)-1), &into), errTooLarge)
	require.NoError(t, readGzip(bytes.NewReader(packed), int64(len(list))))
	require.ErrorIs(t, readGzip(bytes.NewReader(packed), int64(len(list)-1)), errTooLarge)
	require.NoError(t, decodeJSON(strings.NewReader(list), int64(len(list)), &into))
	require.ErrorIs(t, decodeJSON(strings.NewReader(list), int64(len(list)-1), &into), errTooLarge)
}

func TestTheFaultNamedIsTheFirstCause(t *testing.T) {
	var into []int
	damaged := archivetest.Flip(archivetest.Gzip(t, []byte("[1,2,3]")), 12)
	assert.NotContains(t, decodeGzip(bytes.NewReader(damaged), 100, &into).Error(), "JSON")
	assert.ErrorContains(t, decodeGzip(bytes.NewReader(archivetest.Gzip(t, []byte("[1,2,"))), 100, &into), "JSON")
	assert.ErrorContains(t, decodeGzip(bytes.NewReader(nil), 100, &into), "empty")
}
