//go:build e2e

// Package hostile_test reads archives as large as the default limits of package
// archive; with the race detector, as the tests beside the code run, they would
// take minutes.
package hostile_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/archive/archivetest"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// meter looks at the heap after each MiB it reads.
type meter struct {
	r          io.Reader
	since      int
	base, peak uint64
}

func newMeter(r io.Reader) *meter {
	runtime.GC()
	return &meter{r: r, base: heap()}
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if m.since += n; m.since >= 1<<20 || err != nil {
		m.since = 0
		m.look()
	}
	return n, err
}

func (m *meter) look() { m.peak = max(m.peak, heap()) }

func (m *meter) growth() int64 { return int64(m.peak) - int64(m.base) }

func heap() uint64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// packed streams what fill writes, gzipped.
func packed(fill func(io.Writer) error) io.Reader {
	pr, pw := io.Pipe()
	go func() {
		z, err := gzip.NewWriterLevel(pw, gzip.BestSpeed)
		if err == nil {
			err = fill(z)
		}
		if err == nil {
			err = z.Close()
		}
		pw.CloseWithError(err)
	}()
	return pr
}

// plain is a tar of the entries without its end.
func plain(t testing.TB, entries ...archivetest.Entry) []byte {
	b := archivetest.Tar(t, entries...)
	return b[:len(b)-1024]
}

// readAll reads an archive as a restore does.
func readAll(m *meter) (archive.Stats, error) {
	r := archive.NewReader(m, archive.Limits{})
	var last error
	for _, err := range r.Items() {
		last = err
	}
	m.look()
	return r.Stats(), last
}

func TestAMillionObjectsAreReadInBoundedMemory(t *testing.T) {
	const (
		n    = 1_000_000
		most = 384 << 20 // bytes of heap; entries without copies are the worst
	)
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(archivetest.Tiny(pw, n)) }()
	m := newMeter(pr)
	began := time.Now()
	stats, err := readAll(m)
	require.NoError(t, err, "three times what the largest clusters have")
	assert.EqualValues(t, n, stats.Items)
	assert.Less(t, m.growth(), int64(most))
	t.Logf("%d MiB of heap, %s", m.growth()>>20, time.Since(began).Round(time.Second))
}

func TestMoreEntriesThanAnyClusterHasObjectsAreRefused(t *testing.T) {
	folders := bytes.Repeat(plain(t, archivetest.Entry{Path: "resources/", Type: tar.TypeDir}), 1000)
	m := newMeter(packed(func(w io.Writer) error {
		for range 2001 {
			if _, err := w.Write(folders); err != nil {
				return err
			}
		}
		return nil
	}))
	_, err := readAll(m)
	require.ErrorIs(t, err, archive.ErrTooLarge)
	assert.ErrorContains(t, err, "archive has more than 2000000 entries")
	assert.Less(t, m.growth(), int64(64<<20))
}

// A few megabytes that would be six gigabytes.
func TestABombOfValidObjectsIsRefused(t *testing.T) {
	k := item.Key{Resource: "configmaps", Namespace: "shop"}
	letters := strings.Repeat("a", 15<<20)
	m := newMeter(packed(func(w io.Writer) error {
		for i := range 400 {
			k.Name = fmt.Sprint("bomb-", i)
			e := archivetest.Entry{Path: archive.ItemPath(k), Body: archivetest.Object(k, "v1", "ConfigMap", letters).Raw}
			if _, err := w.Write(plain(t, e)); err != nil {
				return err
			}
		}
		return nil
	}))
	began := time.Now()
	stats, err := readAll(m)
	require.ErrorIs(t, err, archive.ErrTooLarge)
	assert.ErrorContains(t, err, "archive is compressed more than 200 to 1")
	assert.Less(t, m.growth(), int64(192<<20))
	assert.Less(t, time.Since(began), 2*time.Minute)
	t.Logf("%d MiB in the file, %d MiB read before it was refused, %d MiB of heap, %s",
		stats.Compressed>>20, stats.Size>>20, m.growth()>>20, time.Since(began).Round(time.Second))
}
