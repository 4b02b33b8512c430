package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/archive/archivetest"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// readAll reads an archive the way a restore does: the first fault ends it.
func readAll(b []byte, l archive.Limits) ([]item.Item, error) {
	var items []item.Item
	for it, err := range archive.NewReader(bytes.NewReader(b), l).Items() {
		if err != nil {
			return items, err
		}
		items = append(items, it)
	}
	return items, nil
}

// inspect reads an archive the way a verification does: it hears of every
// faulty entry.
func inspect(b []byte, l archive.Limits) (items []item.Item, bad []error, err error) {
	r := archive.NewReader(bytes.NewReader(b), l)
	r.OnBad = func(entry string, err error) error {
		bad = append(bad, &archive.EntryError{Entry: entry, Err: err})
		return nil
	}
	for it, err := range r.Items() {
		if err != nil {
			return items, bad, err
		}
		items = append(items, it)
	}
	return items, bad, nil
}

func TestASoundArchiveIsReadInFull(t *testing.T) {
	items, bad, err := inspect(archivetest.Build(t, archivetest.Entries(archivetest.Items()...)...), archive.Limits{})
	require.NoError(t, err)
	assert.Empty(t, bad)
	assert.Equal(t, archivetest.Items(), items)
}

func TestAReaderOfSomeItemsPassesOverAllOthers(t *testing.T) {
	all := archivetest.Items()
	entries := archivetest.Entries(all...)
	entries[len(entries)-1].Body = []byte("a copy that is not looked at")
	entries[1].Body = []byte("{")
	want := all[len(all)-1]
	r := archive.NewReader(bytes.NewReader(archivetest.Build(t, entries...)), archive.Limits{})
	r.Only = func(k item.Key) bool { return k == want.Key }
	r.OnBad = func(entry string, err error) error { return err }
	var got []item.Item
	for it, err := range r.Items() {
		require.NoError(t, err)
		got = append(got, it)
	}
	assert.Equal(t, []item.Item{want}, got)

	whole := archivetest.Build(t, entries...)
	r = archive.NewReader(bytes.NewReader(whole[:len(whole)-4]), archive.Limits{})
	r.Only = func(item.Key) bool { return false }
	var err error
	for _, err = range r.Items() {
	}
	assert.ErrorIs(t, err, archive.ErrTruncated, "the end is looked at all the same")
}

func TestARestoreStopsAtTheFirstFault(t *testing.T) {
	for _, c := range archivetest.Cases(t) {
		t.Run(c.Name, func(t *testing.T) {
			_, err := readAll(c.Archive, archive.Limits{})
			if harmless := c.Name == "copy that differs" || c.Name == "no format version"; harmless {
				require.NoError(t, err, "no item is lost, so there is no reason not to restore")
				return
			}
			require.ErrorIs(t, err, c.Want)
			assert.Equal(t, 1, sentinels(err), "one fault, one name: %v", err)
		})
	}
}

func TestAVerificationHearsOfAFaultOnceAndGoesOn(t *testing.T) {
	for _, c := range archivetest.Cases(t) {
		t.Run(c.Name, func(t *testing.T) {
			items, bad, err := inspect(c.Archive, archive.Limits{})
			if c.Whole {
				require.ErrorIs(t, err, c.Want)
				return
			}
			require.NoError(t, err)
			require.Len(t, bad, 1)
			require.ErrorIs(t, bad[0], c.Want)
			assert.Equal(t, 1, sentinels(bad[0]))
			assert.GreaterOrEqual(t, len(items), len(archivetest.Items())-1, "the other items are yielded")
		})
	}
}

func sentinels(err error) (n int) {
	for _, s := range []error{
		archive.ErrTooLarge, archive.ErrBadPath, archive.ErrBadEntry, archive.ErrDuplicate, archive.ErrTruncated,
		archive.ErrCorrupt, archive.ErrMismatch, archive.ErrBadJSON, archive.ErrCopy, archive.ErrNoVersion,
	} {
		if errors.Is(err, s) {
			n++
		}
	}
	return n
}

func TestOnBadMayEndTheSequence(t *testing.T) {
	stop := errors.New("enough")
	r := archive.NewReader(bytes.NewReader(archivetest.Build(t, archivetest.File("x", "y"))), archive.Limits{})
	r.OnBad = func(string, error) error { return stop }
	for _, err := range r.Items() {
		require.ErrorIs(t, err, stop)
	}
	assert.Zero(t, r.Stats().Items)
}

func TestAnErrorNamesTheEntryInOneShortLine(t *testing.T) {
	long := "resources/\n" + strings.Repeat("é", 2000)
	_, err := readAll(archivetest.Build(t, archivetest.File(long, "")), archive.Limits{})
	var e *archive.EntryError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, long, e.Entry)
	assert.NotContains(t, err.Error(), "\n")
	assert.Less(t, len(err.Error()), 2000)
}

func TestEveryCutIsFound(t *testing.T) {
	whole := archivetest.Build(t, archivetest.Entries(archivetest.Items()...)...)
	for n := range whole {
		_, err := readAll(whole[:n], archive.Limits{})
		require.ErrorIs(t, err, archive.ErrTruncated, "cut after %d of %d bytes", n, len(whole))
	}
}

// A changed byte either is found or changes nothing: gzip's header holds a
// time and a system nobody reads, and deflate may say the same in two ways.
func TestEveryChangedByteIsFoundOrChangesNothing(t *testing.T) {
	whole := archivetest.Build(t, archivetest.Entries(archivetest.Items()...)...)
	want, err := readAll(whole, archive.Limits{})
	require.NoError(t, err)
	unnoticed := 0
	for i := range whole {
		items, err := readAll(archivetest.Flip(whole, i), archive.Limits{})
		if err == nil {
			unnoticed++
			require.Equal(t, want, items, "byte %d", i)
		}
	}
	assert.Less(t, unnoticed, len(whole)/20)
}

func TestAFailingSourceIsNotTheArchivesFault(t *testing.T) {
	whole := archivetest.Build(t, archivetest.Entries(archivetest.Items()...)...)
	for _, broken := range []error{errors.New("connection reset"), io.ErrUnexpectedEOF} {
		for n := 0; n <= len(whole); n += 7 {
			r := io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(broken))
			var last error
			for _, err := range archive.NewReader(r, archive.Limits{}).Items() {
				last = err
			}
			require.ErrorIs(t, last, broken, "after %d bytes", n)
			require.Zero(t, sentinels(last), "after %d bytes: %v", n, last)
		}
	}
}

func TestLimits(t *testing.T) {
	items := archivetest.Items()
	sound := archivetest.Build(t, archivetest.Entries(items...)...)
	var bomb bytes.Buffer
	require.NoError(t, archivetest.Bomb(&bomb, 64<<20))
	for name, c := range map[string]struct {
		archive []byte
		limits  archive.Limits
	}{
		"total size": {sound, archive.Limits{MaxSize: 4000}},
		"entries":    {sound, archive.Limits{MaxEntries: 10}},
		"ratio":      {bomb.Bytes(), archive.Limits{RatioFloor: 1 << 20}},
		"bomb":       {bomb.Bytes(), archive.Limits{MaxSize: 32 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := inspect(c.archive, c.limits)
			require.ErrorIs(t, err, archive.ErrTooLarge)
		})
	}
	for name, limits := range map[string]archive.Limits{
		"entry size":  {MaxEntrySize: int64(len(items[1].Raw)) - 1},
		"path length": {MaxPath: len(archive.ItemPath(items[4].Key))},
	} {
		t.Run(name, func(t *testing.T) {
			got, bad, err := inspect(sound, limits)
			require.NoError(t, err, "the limit of an entry is about that entry")
			require.NotEmpty(t, bad)
			assert.NotEmpty(t, got, "the others are read")
			for _, b := range bad {
				require.ErrorIs(t, b, archive.ErrTooLarge)
			}
		})
	}
	exact := archive.Limits{MaxSize: int64(len(archivetest.Tar(t, archivetest.Entries(items...)...))), MaxEntries: int64(1 + 2*len(items))}
	_, err := readAll(sound, exact)
	require.NoError(t, err, "a limit that is just met is no fault")
	exact.MaxSize--
	_, err = readAll(sound, exact)
	require.ErrorIs(t, err, archive.ErrTooLarge)
}

func TestNestingIsRefusedAtTheLimitAndNotBefore(t *testing.T) {
	nested := func(n int) []byte {
		return []byte(`{"apiVersion":"v1","kind":"A","x":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}`)
	}
	_, err := archive.Meta(nested(10_000))
	require.NoError(t, err)
	_, err = archive.Meta(nested(10_001))
	require.ErrorIs(t, err, archive.ErrBadJSON)
	_, err = archive.Meta([]byte(`{"apiVersion":"v1","kind":"A","x":"` + strings.Repeat(`[\\\"[`, 20_000) + `"}`))
	require.NoError(t, err, "brackets in strings do not nest")
	hidden := bytes.Replace(nested(10_001), []byte(`"x"`), []byte(`"y":"\\","x"`), 1)
	_, err = archive.Meta(hidden)
	require.ErrorContains(t, err, "nested more than 10000 deep", "a backslash at the end of a string hides nothing")
}

// Nothing is kept of an object but what finds duplicates and copies.
func TestMemoryDoesNotGrowWithTheArchive(t *testing.T) {
	const n = 200_000
	pipe, w := io.Pipe()
	go func() { w.CloseWithError(archivetest.Tiny(w, n)) }()
	r := archive.NewReader(pipe, archive.Limits{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, err := range r.Items() {
		require.NoError(t, err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.EqualValues(t, n, r.Stats().Items)
	perItem := float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / n
	assert.Less(t, perItem, 160.0, "bytes kept for an item without a copy")
	runtime.KeepAlive(r)
}

func TestItemsAndCopiesMayStandInAnyOrder(t *testing.T) {
	entries := archivetest.Entries(archivetest.Items()...)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		rnd.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
		items, bad, err := inspect(archivetest.Build(t, entries...), archive.Limits{})
		require.NoError(t, err)
		assert.Empty(t, bad)
		slices.SortFunc(items, func(a, b item.Item) int { return item.Compare(a.Key, b.Key) })
		want := archivetest.Items()
		slices.SortFunc(want, func(a, b item.Item) int { return item.Compare(a.Key, b.Key) })
		require.Equal(t, want, items)

		changed := archivetest.Replace(entries, "resources/services/v1-preferredversion/namespaces/shop/web.json",
			func(e *archivetest.Entry) { e.Body = []byte("{}") })
		_, bad, err = inspect(archivetest.Build(t, changed...), archive.Limits{})
		require.NoError(t, err)
		require.Len(t, bad, 1)
		require.ErrorIs(t, bad[0], archive.ErrCopy)
	}
}

func TestArchivesWithoutCopiesAreRead(t *testing.T) {
	var entries []archivetest.Entry
	for _, e := range archivetest.Entries(archivetest.Items()...) {
		if !strings.Contains(e.Path, "-preferredversion/") {
			entries = append(entries, e)
		}
	}
	items, bad, err := inspect(archivetest.Build(t, entries...), archive.Limits{})
	require.NoError(t, err)
	assert.Empty(t, bad)
	assert.Equal(t, archivetest.Items(), items)
}

func TestOtherVersionsAreCountedButAreNoItems(t *testing.T) {
	hpa := archivetest.Object(item.Key{Group: "autoscaling", Resource: "horizontalpodautoscalers", Namespace: "shop", Name: "web"}, "v2", "HorizontalPodAutoscaler", "")
	old := archivetest.Object(hpa.Key, "v1", "HorizontalPodAutoscaler", "")
	entries := append(archivetest.Entries(hpa), archivetest.Entry{
		Path: "resources/horizontalpodautoscalers.autoscaling/v1/namespaces/shop/web.json", Body: old.Raw})
	r := archive.NewReader(bytes.NewReader(archivetest.Build(t, entries...)), archive.Limits{})
	var others, items []item.Item
	r.OnVersion = func(it item.Item) { others = append(others, it) }
	for it, err := range r.Items() {
		require.NoError(t, err)
		items = append(items, it)
	}
	assert.Equal(t, []item.Item{hpa}, items)
	assert.Equal(t, []item.Item{old}, others)
	assert.EqualValues(t, 1, r.Stats().Versions)
}

func TestAnArchiveThatWasRepackedWithFoldersIsRead(t *testing.T) {
	entries := []archivetest.Entry{
		{Path: "metadata/", Type: tar.TypeDir}, {Path: "resources/", Type: tar.TypeDir}, {Path: "resources/services/namespaces/shop/", Type: tar.TypeDir},
	}
	for _, e := range archivetest.Entries(archivetest.Items()...) {
		if strings.HasPrefix(e.Path, "resources/") {
			e.Body = append(bytes.Clone(e.Body), '\n')
		}
		entries = append(entries, e)
	}
	items, bad, err := inspect(archivetest.Build(t, entries...), archive.Limits{})
	require.NoError(t, err)
	assert.Empty(t, bad)
	assert.Equal(t, archivetest.Items(), items, "without the newline")

	_, err = readAll(archivetest.Build(t, archivetest.Entry{Path: "../resources/", Type: tar.TypeDir}), archive.Limits{})
	require.ErrorIs(t, err, archive.ErrBadPath)
}

func TestAReaderReadsOnce(t *testing.T) {
	r := archive.NewReader(bytes.NewReader(archivetest.Build(t)), archive.Limits{})
	for _, err := range r.Items() {
		require.NoError(t, err)
	}
	n := 0
	for _, err := range r.Items() {
		require.Error(t, err)
		n++
	}
	assert.Equal(t, 1, n)
}

func FuzzReader(f *testing.F) {
	for _, c := range archivetest.Cases(f) {
		if len(c.Archive) < 1<<20 {
			f.Add(c.Archive, false)
		}
	}
	f.Add(archivetest.Tar(f, archivetest.Entries(archivetest.Items()...)...), true)
	f.Add(archivetest.Items()[3].Raw, true)
	limits := archive.Limits{MaxSize: 1 << 20, MaxEntrySize: 64 << 10, MaxEntries: 100}
	f.Fuzz(func(t *testing.T, b []byte, compress bool) {
		if compress {
			b = archivetest.Gzip(t, b)
		}
		items, err := readAll(b, limits)
		_, bad, inspectErr := inspect(b, limits)
		if err == nil && inspectErr != nil {
			t.Fatalf("a restore found nothing, a verification %v", inspectErr)
		}
		for _, err := range append(bad, err, inspectErr) {
			if err != nil && sentinels(err) != 1 {
				t.Fatalf("%d sentinels in %v", sentinels(err), err)
			}
		}
		if err != nil {
			return
		}
		var again bytes.Buffer
		w := archive.NewWriter(&again, archive.Options{})
		for _, it := range items {
			if _, err := w.Add(it); err != nil {
				t.Fatalf("what was read cannot be written: %v", err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		back, err := readAll(again.Bytes(), archive.Limits{})
		if err != nil || len(back) != len(items) {
			t.Fatalf("%d items, read back %d: %v", len(items), len(back), err)
		}
	})
}

func FuzzMeta(f *testing.F) {
	for _, it := range archivetest.Items() {
		f.Add(it.Raw)
	}
	f.Add([]byte(`{"apiVersion":"v1","kind":"A","metadata":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := archive.Meta(raw); err != nil {
			if !errors.Is(err, archive.ErrBadJSON) {
				t.Fatal(err)
			}
			return
		}
		it := item.Item{Raw: raw}
		if _, err := it.Object(); err != nil {
			t.Fatalf("valid by the scan, refused by the decoder: %v", err)
		}
	})
}
