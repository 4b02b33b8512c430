package manifest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
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

func packed(t testing.TB, text io.Reader) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.Copy(z, text)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

// An item of three bytes in the file takes 120 in memory.
func TestABombOfAManifestIsRefusedInBoundedMemory(t *testing.T) {
	const most = 2 << 30 // bytes allocated in all; 20 million items would take 5 GB
	bomb := packed(t, strings.NewReader(`{"schema":"`+Schema+`","items":[`+strings.Repeat("{},", 20_000_000)+`{}]}`))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Decode(bytes.NewReader(bomb))
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, jsonbound.ErrTooLarge)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(most), "%d bytes in the file", len(bomb))
}

func TestWhatFollowsAManifestIsRefused(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, sample(3).Encode(&b))
	z, err := gzip.NewReader(bytes.NewReader(b.Bytes()))
	require.NoError(t, err)
	text, err := io.ReadAll(z)
	require.NoError(t, err)
	for name, damaged := range map[string][]byte{
		"a second document": packed(t, bytes.NewReader(append(bytes.Clone(text), text...))),
		"a letter":          packed(t, strings.NewReader(string(text)+"x")),
		"a second member":   append(bytes.Clone(b.Bytes()), b.Bytes()...),
		"a byte":            append(bytes.Clone(b.Bytes()), 'x'),
	} {
		_, err := Decode(bytes.NewReader(damaged))
		assert.Error(t, err, name)
	}
}

func FuzzDecode(f *testing.F) {
	for _, n := range []int{0, 1, 3} {
		text, err := json.Marshal(sample(n))
		require.NoError(f, err)
		f.Add(text, true)
	}
	f.Add([]byte(`{"schema":"`+Schema+`","files":null,"items":null}`), true)
	f.Add([]byte(`{"schema":"`+Schema+`","items":[{"name":"\ud800"}],"Items":[{}]}`), true)
	f.Add([]byte{0x1f, 0x8b, 8, 0}, false)
	f.Fuzz(func(t *testing.T, b []byte, compress bool) {
		if compress {
			b = packed(t, bytes.NewReader(b))
		}
		m, err := Decode(bytes.NewReader(b))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := m.Encode(&out); err != nil {
			return // a time that JSON cannot hold
		}
		again, err := Decode(&out)
		require.NoError(t, err, "what was read can be written and read again")
		if len(m.Items) == 0 {
			m.Items = []Item{}
		}
		require.Equal(t, len(m.Items), len(again.Items))
		for i := range m.Items {
			require.Equal(t, m.Items[i], again.Items[i])
		}
		require.Equal(t, len(m.Files), len(again.Files))
	})
}
