package manifest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

func sample(items int) Manifest {
	m := Manifest{
		Schema: Schema, Backup: "b", Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Files:     map[string]Digest{"b.tar.gz": {Size: 1, SHA256: "aa"}},
		Resources: []Resource{{Name: "pods", Version: "v1", Listed: 2, Written: 1, LeftOut: map[string]int{"<why> & how": 1}}},
	}
	for i := range items {
		m.Items = append(m.Items, Item{Key: item.Key{Resource: "pods", Namespace: "n", Name: fmt.Sprintf("p\"%d", i)}, Version: "v1", Kind: "Pod", Digest: Digest{Size: int64(i), SHA256: "bb"}})
	}
	return m
}

func TestAManifestIsWrittenItemByItemAsIfAtOnce(t *testing.T) {
	for _, n := range []int{1, 2, 5000} {
		var b bytes.Buffer
		require.NoError(t, sample(n).Encode(&b))
		z, err := gzip.NewReader(&b)
		require.NoError(t, err)
		got, err := io.ReadAll(z)
		require.NoError(t, err)
		want, err := json.Marshal(sample(n))
		require.NoError(t, err)
		assert.Equal(t, string(want)+"\n", string(got), "%d items", n)
	}
}

func TestAManifestIsReadAsItWasWritten(t *testing.T) {
	for _, n := range []int{0, 1, 100} {
		var b bytes.Buffer
		require.NoError(t, sample(n).Encode(&b))
		got, err := Decode(&b)
		require.NoError(t, err)
		want := sample(n)
		if n == 0 {
			want.Items = []Item{}
		}
		assert.Equal(t, want, got)
	}
}

func TestADamagedManifestIsRefused(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, sample(100).Encode(&b))
	whole := b.Bytes()
	for n := 0; n < len(whole); n += 37 {
		_, err := Decode(bytes.NewReader(whole[:n]))
		assert.Error(t, err, "cut after %d of %d bytes", n, len(whole))
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	_, err := Decode(bytes.NewReader(flipped))
	assert.Error(t, err)

	other := sample(1)
	other.Schema = "something/else"
	b.Reset()
	require.NoError(t, other.Encode(&b))
	_, err = Decode(&b)
	assert.ErrorIs(t, err, ErrSchema)
}

func TestAWriterThatFailsIsAnError(t *testing.T) {
	for _, after := range []int{0, 5, 200} {
		err := sample(20000).Encode(&failing{left: after})
		assert.ErrorIs(t, err, io.ErrShortWrite, "after %d bytes", after)
	}
}

type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if len(p) > f.left {
		return 0, io.ErrShortWrite
	}
	f.left -= len(p)
	return len(p), nil
}
