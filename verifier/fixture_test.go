package verifier_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store/mem"
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
