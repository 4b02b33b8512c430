package archive_test

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

// meter reads on and looks at the heap after each MiB.
type meter struct {
	r          io.Reader
	total      int64
	since      int
	base, peak uint64
}

func newMeter(r io.Reader) *meter {
	runtime.GC()
	return &meter{r: r, base: heap()}
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.total += int64(n)
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

// special is a header of a type whose content tar itself reads, with that
// content, and a size it claims.
func special(flag byte, size int64, content []byte) []byte {
	h := make([]byte, 512)
	copy(h, "././@LongLink")
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x00", size))
	copy(h[136:], "00000000000\x00        ")
	h[156] = flag
	copy(h[257:], "ustar  \x00")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return append(append(h, content...), make([]byte, (512-len(content)%512)%512)...)
}

// Each is read with little memory and in little time, and refused in one
// sentence that wraps one sentinel. The default limits, which it takes gigabytes
// to reach, are in test/e2e/hostile.
func TestHostileArchivesAreRefusedWithBoundedMemoryAndTime(t *testing.T) {
	const (
		mostHeap = 192 << 20
		mostTime = time.Minute
	)
	sound := archivetest.Entries(archivetest.Items()...)
	object := func(name, data string) archivetest.Entry {
		k := item.Key{Resource: "configmaps", Namespace: "shop", Name: name}
		return archivetest.Entry{Path: archive.ItemPath(k), Body: archivetest.Object(k, "v1", "ConfigMap", data).Raw}
	}
	letters := strings.Repeat("a", 15<<20)
	pax := func(key string, n int) []byte {
		record := func(size int) string { return fmt.Sprintf("%d %s=%s\n", size, key, strings.Repeat("x", n)) }
		return []byte(record(len(record(n))))
	}
	for _, tt := range []struct {
		name   string
		limits archive.Limits
		fill   func(w io.Writer) error
		want   error
	}{
		{"a bomb of valid objects", archive.Limits{RatioFloor: 32 << 20}, func(w io.Writer) error {
			for i := range 100 {
				if _, err := w.Write(plain(t, object(fmt.Sprint("bomb-", i), letters))); err != nil {
					return err
				}
			}
			return nil
		}, archive.ErrTooLarge},
		{"more entries than are allowed", archive.Limits{MaxEntries: 20_000}, func(w io.Writer) error {
			folders := bytes.Repeat(plain(t, archivetest.Entry{Path: "resources/", Type: tar.TypeDir}), 1000)
			for range 21 {
				if _, err := w.Write(folders); err != nil {
					return err
				}
			}
			return nil
		}, archive.ErrTooLarge},
		{"an archive in an archive", archive.Limits{}, func(w io.Writer) error {
			inner := archivetest.Gzip(t, bytes.Repeat([]byte{0}, 64<<20))
			e := object("inner", "")
			e.Body = archivetest.Gzip(t, inner)
			_, err := w.Write(plain(t, append(sound, e)...))
			return err
		}, archive.ErrBadJSON},
		{"a long name of gigabytes", archive.Limits{}, func(w io.Writer) error {
			_, err := io.Copy(w, io.MultiReader(bytes.NewReader(special('L', 7<<30, nil)), io.LimitReader(zeros{}, 7<<30)))
			return err
		}, archive.ErrCorrupt},
		{"PAX records of gigabytes", archive.Limits{}, func(w io.Writer) error {
			_, err := io.Copy(w, io.MultiReader(bytes.NewReader(special('x', 7<<30, nil)), io.LimitReader(zeros{}, 7<<30)))
			return err
		}, archive.ErrCorrupt},
		{"a name of a megabyte in a PAX record", archive.Limits{}, func(w io.Writer) error {
			record := pax("path", 1<<20-100)
			_, err := w.Write(append(special('x', int64(len(record)), record), plain(t, sound...)...))
			return err
		}, archive.ErrBadPath},
		{"a link name of a megabyte", archive.Limits{}, func(w io.Writer) error {
			record := pax("linkpath", 1<<20-100)
			_, err := w.Write(append(special('x', int64(len(record)), record), plain(t, archivetest.Entry{Path: "resources/x", Type: tar.TypeSymlink, Link: "y"})...))
			return err
		}, archive.ErrBadEntry},
		{"records without an entry, again and again", archive.Limits{MaxSize: 64 << 20}, func(w io.Writer) error {
			record := pax("comment", 900<<10)
			one := special('x', int64(len(record)), record)
			for range 80 {
				if _, err := w.Write(one); err != nil {
					return err
				}
			}
			return nil
		}, archive.ErrTooLarge},
		{"records for all entries", archive.Limits{}, func(w io.Writer) error {
			record := pax("path", 1000)
			_, err := w.Write(append(special('g', int64(len(record)), record), plain(t, sound...)...))
			return err
		}, archive.ErrBadEntry},
		{"a size of exabytes", archive.Limits{}, func(w io.Writer) error {
			record := []byte("28 size=9223372036854775807\n")
			_, err := w.Write(append(special('x', int64(len(record)), record), plain(t, sound...)...))
			return err
		}, archive.ErrTooLarge},
		{"a negative size", archive.Limits{}, func(w io.Writer) error {
			record := []byte("11 size=-1\n")
			_, err := w.Write(append(special('x', int64(len(record)), record), plain(t, sound...)...))
			return err
		}, archive.ErrCorrupt},
		{"a path that is not UTF-8", archive.Limits{}, func(w io.Writer) error {
			e := object("x", "")
			b := bytes.Replace(plain(t, e), []byte("shop/x.json"), []byte("shop/\xff.json"), 1)
			sum, old := 0, b[148:156]
			copy(old, "        ")
			for _, c := range b[:512] {
				sum += int(c)
			}
			copy(old, fmt.Sprintf("%06o\x00 ", sum))
			_, err := w.Write(b)
			return err
		}, archive.ErrMismatch},
		{"a document of brackets", archive.Limits{}, func(w io.Writer) error {
			e := object("deep", "")
			e.Body = bytes.Repeat([]byte("["), 15<<20)
			_, err := w.Write(plain(t, e))
			return err
		}, archive.ErrBadJSON},
	} {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			m := newMeter(packed(tt.fill))
			r := archive.NewReader(m, tt.limits)
			var last error
			for _, err := range r.Items() {
				m.look()
				last = err
			}
			require.ErrorIs(t, last, tt.want)
			assert.Equal(t, 1, sentinels(last), "%v", last)
			assert.NotContains(t, last.Error(), "\n")
			assert.Less(t, len(last.Error()), 1000, "%.1000s", last.Error())
			assert.Less(t, m.growth(), int64(mostHeap), "bytes of heap")
			assert.Less(t, time.Since(began), mostTime)
			t.Logf("%s: %.0f MiB decompressed, %.0f MiB of heap, %s: %v", tt.name, float64(r.Stats().Size)/(1<<20), float64(m.growth())/(1<<20), time.Since(began).Round(time.Millisecond), last)
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Nothing behind the first member is looked at, however much there is.
func TestMembersWithoutEndAreNotRead(t *testing.T) {
	member := archivetest.Build(t, archivetest.Entries(archivetest.Items()...)...)
	m := newMeter(io.MultiReader(bytes.NewReader(member), io.LimitReader(endless(archivetest.Gzip(t, make([]byte, 1<<20))), 1<<30)))
	var last error
	for _, err := range archive.NewReader(m, archive.Limits{}).Items() {
		last = err
	}
	require.ErrorIs(t, last, archive.ErrTruncated)
	assert.Less(t, m.total, int64(1<<20), "bytes taken from below")
}

type endless []byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e[i%len(e)]
	}
	return len(p), nil
}

// A backup that is Completed and cannot be read would be the worst of all.
func TestAWriterMakesNoArchiveThatAReaderRefuses(t *testing.T) {
	deep := func(n int) item.Item {
		it := archivetest.Object(item.Key{Resource: "configmaps", Namespace: "shop", Name: fmt.Sprint("deep-", n)}, "v1", "ConfigMap", "")
		it.Raw = bytes.Replace(it.Raw, []byte(`"data":{`), []byte(`"data":{"d":`+strings.Repeat("[", n-2)+strings.Repeat("]", n-2)+","), 1)
		return it
	}
	var b bytes.Buffer
	w := archive.NewWriter(&b, archive.Options{})
	_, err := w.Add(deep(10_001))
	require.ErrorIs(t, err, archive.ErrBadJSON, "an object that nests deeper than readers go is refused by itself")
	var refused *archive.EntryError
	require.ErrorAs(t, err, &refused)
	_, err = w.Add(deep(10_000))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	items, err := readAll(b.Bytes(), archive.Limits{})
	require.NoError(t, err)
	assert.Len(t, items, 1)

	for name, limits := range map[string]archive.Limits{
		"entries": {MaxEntries: 999},
		"size":    {MaxSize: 1 << 20},
		"ratio":   {RatioFloor: 1 << 20, MaxRatio: 20},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			w := archive.NewWriter(&b, archive.Options{})
			w.Limit(limits)
			var err error
			n := 0
			for ; err == nil && n < 2000; n++ {
				_, err = w.Add(archivetest.Object(item.Key{Resource: "configmaps", Namespace: "shop", Name: fmt.Sprint("c", n)}, "v1", "ConfigMap", strings.Repeat("a", 2000)))
				if err == nil && n%97 == 0 { // what was accepted so far is readable
					_, readErr := readAll(b.Bytes(), limits)
					require.NotErrorIs(t, readErr, archive.ErrTooLarge, "after %d objects", n)
				}
			}
			require.ErrorIs(t, err, archive.ErrTooLarge)
			require.NotErrorAs(t, err, &refused, "it is the archive's fault, not the last object's")
			assert.ErrorContains(t, err, "back up fewer namespaces or resources at a time")
			assert.Equal(t, err, w.Close(), "and stays so")
			assert.Greater(t, n, 100)
		})
	}
}
