package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/archive/archivetest"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

var started = time.Date(2026, 11, 22, 8, 42, 42, 987654321, time.FixedZone("", 3600))

func write(t testing.TB, items ...item.Item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := archive.NewWriter(&b, archive.Options{ModTime: started})
	for _, it := range items {
		d, err := w.Add(it)
		require.NoError(t, err)
		sum := sha256.Sum256(it.Raw)
		require.Equal(t, archive.Digest{Size: int64(len(it.Raw)), SHA256: hex.EncodeToString(sum[:])}, d)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// The standard library reads it, so that tar and Velero do too.
func TestTheArchiveIsLaidOutAsVelerosAre(t *testing.T) {
	z, err := gzip.NewReader(bytes.NewReader(write(t, archivetest.Items()...)))
	require.NoError(t, err)
	var got []archivetest.Entry
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		assert.EqualValues(t, tar.TypeReg, h.Typeflag)
		assert.EqualValues(t, 0o755, h.Mode)
		assert.Zero(t, h.Uid+h.Gid)
		assert.True(t, h.ModTime.Equal(started.Truncate(time.Second)), "%s", h.ModTime)
		body, err := io.ReadAll(r)
		require.NoError(t, err)
		got = append(got, archivetest.Entry{Path: h.Name, Body: body})
	}
	assert.Equal(t, archivetest.Entries(archivetest.Items()...), got)
	assert.Equal(t, "metadata/version", got[0].Path)
	assert.Equal(t, "1.1.0\n", string(got[0].Body))
	assert.Equal(t, "resources/namespaces/cluster/shop.json", got[1].Path)
	assert.Equal(t, "resources/namespaces/v1-preferredversion/cluster/shop.json", got[2].Path)
	assert.Equal(t, "resources/deployments.apps/namespaces/shop/web.json", got[7].Path)
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	want := append(archivetest.Items(),
		archivetest.Object(item.Key{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: "widgets.example.com"}, "v1", "CustomResourceDefinition", ""),
		archivetest.Object(item.Key{Resource: "configmaps", Namespace: "cluster", Name: "namespaces"}, "v1", "ConfigMap", ""),
		archivetest.Object(item.Key{Resource: "configmaps", Namespace: "shop", Name: strings.Repeat("n", 253)}, "v1", "ConfigMap", ""),
		archivetest.Object(item.Key{Group: "rbac.authorization.k8s.io", Resource: "clusterroles", Name: "größe 漢字 🚢"}, "v1", "ClusterRole", "ü"),
		archivetest.Object(item.Key{Group: "rbac.authorization.k8s.io", Resource: "clusterroles", Name: "...json"}, "v1", "ClusterRole", ""),
	)
	for _, name := range legalNames() {
		want = append(want, role(name))
	}
	items, bad, err := inspect(write(t, want...), archive.Limits{})
	require.NoError(t, err)
	assert.Empty(t, bad)
	require.Equal(t, want, items)
}

// role makes a ClusterRole, whose name an API server hardly restricts.
func role(name string) item.Item {
	k := item.Key{Group: "rbac.authorization.k8s.io", Resource: "clusterroles", Name: name}
	text, err := json.Marshal(name)
	if err != nil {
		panic(err)
	}
	raw := fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":%s}}`, text)
	return item.Item{Key: k, Version: "v1", Kind: "ClusterRole", Raw: []byte(raw)}
}

// legalNames are names that API servers take, of objects other than definitions.
func legalNames() []string {
	return []string{
		`CORP\alice:view`, `..\x`, "NUL \x00 inside", "two\nlines", "\x1b[2J", "a", "A", "?#&=", ".hidden", "..x", "-", " ", "\u202e", "con", "a.", "C:",
		strings.Repeat("l", 250), strings.Repeat("l", 251), strings.Repeat("l", 256), strings.Repeat("l", 4200), strings.Repeat("é", 100_000), strings.Repeat("\x00", 10),
	}
}

// Velero extracts the archive before it restores: one name that is no file name
// would make the whole backup unrestorable for it.
func TestEveryPathCanBeExtracted(t *testing.T) {
	for _, name := range legalNames() {
		path := archive.ItemPath(role(name).Key)
		assert.NotContains(t, path, "\x00")
		for segment := range strings.SplitSeq(path, "/") {
			assert.LessOrEqual(t, len(segment), 255, "%.40q", segment)
		}
	}
	assert.Equal(t, `resources/clusterroles.rbac.authorization.k8s.io/cluster/CORP\alice:view.json`, archive.ItemPath(role(`CORP\alice:view`).Key), "as Velero writes it")
	assert.Equal(t, "resources/clusterroles.rbac.authorization.k8s.io/cluster/%sha256-6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d.json",
		archive.ItemPath(role("\x00").Key))
}

// Velero writes every name as it is.
func TestNamesAreReadAsVeleroWritesThem(t *testing.T) {
	var want []item.Item
	entries := archivetest.Entries()
	for _, name := range legalNames() {
		if strings.Contains(name, "\x00") {
			continue // Go's tar does not write it
		}
		it := role(name)
		want = append(want, it)
		for _, folder := range []string{"", "v1-preferredversion/"} {
			entries = append(entries, archivetest.Entry{Path: "resources/clusterroles.rbac.authorization.k8s.io/" + folder + "cluster/" + name + ".json", Body: it.Raw})
		}
	}
	items, bad, err := inspect(archivetest.Build(t, entries...), archive.Limits{})
	require.NoError(t, err)
	assert.Empty(t, bad)
	assert.Equal(t, want, items)
}

func TestAReaderOfSomeItemsFindsEscapedNames(t *testing.T) {
	long, nul := role(strings.Repeat("l", 300)), role("a\x00b")
	r := archive.NewReader(bytes.NewReader(write(t, long, nul, role("plain"))), archive.Limits{})
	r.Only = func(k item.Key) bool { return k == nul.Key }
	var got []item.Item
	for it, err := range r.Items() {
		require.NoError(t, err)
		got = append(got, it)
	}
	assert.Equal(t, []item.Item{nul}, got)
}

func TestLongNamesHaveABudget(t *testing.T) {
	items := []item.Item{role("a" + strings.Repeat("l", 2000)), role("b" + strings.Repeat("l", 2000)), role("short")}
	whole := write(t, items...)
	got, bad, err := inspect(whole, archive.Limits{MaxNames: 3000})
	require.NoError(t, err)
	require.Len(t, bad, 1)
	require.ErrorIs(t, bad[0], archive.ErrTooLarge)
	assert.Equal(t, []item.Item{items[0], items[2]}, got)

	var b bytes.Buffer
	w := archive.NewWriter(&b, archive.Options{})
	w.Limit(archive.Limits{MaxNames: 3000})
	_, err = w.Add(items[0])
	require.NoError(t, err)
	_, err = w.Add(items[1])
	require.ErrorIs(t, err, archive.ErrTooLarge)
	_, err = w.Add(items[2])
	require.NoError(t, err, "the others are written")
}

// Whatever keys come, an item is either refused or read back as it was.
func TestAnyKeyIsRefusedOrReadBack(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	pieces := []string{"", "a", ".", "..", "/", `\`, "\x00", "cluster", "namespaces", "v1", "-preferredversion", ".json", "ü", ":", "resources", "system:node", strings.Repeat("l", 120)}
	word := func() string {
		var s string
		for range rnd.IntN(3) + 1 {
			s += pieces[rnd.IntN(len(pieces))]
		}
		return s
	}
	refused := 0
	for range 20_000 {
		it := archivetest.Object(item.Key{Group: word(), Resource: word(), Namespace: word(), Name: word()}, word(), "A", "")
		raw, err := it.Object()
		if err != nil { // a name that is no JSON string as %q spells it
			continue
		}
		it.Raw, err = raw.MarshalJSON()
		require.NoError(t, err)
		it.Raw = bytes.TrimSuffix(it.Raw, []byte("\n"))
		var b bytes.Buffer
		w := archive.NewWriter(&b, archive.Options{})
		if _, err := w.Add(it); err != nil {
			require.ErrorIs(t, err, archive.ErrBadPath)
			refused++
			continue
		}
		require.NoError(t, w.Close())
		items, err := readAll(b.Bytes(), archive.Limits{})
		if errors.Is(err, archive.ErrMismatch) || errors.Is(err, archive.ErrBadJSON) {
			continue // apiVersion has no room for a slash in the group or version
		}
		require.NoError(t, err, "%+q", it)
		require.Equal(t, []item.Item{it}, items)
	}
	assert.Greater(t, refused, 1000)
}

func TestAnItemTheArchiveCannotHoldIsRefusedByName(t *testing.T) {
	in := func(k item.Key) item.Item { return archivetest.Object(k, "v1", "A", "") }
	big := role("big")
	big.Raw = make([]byte, 16<<20+1)
	noVersion := role("a")
	noVersion.Version = ""
	for name, c := range map[string]struct {
		item item.Item
		want error
	}{
		"a slash in the name":      {role("a/b"), archive.ErrBadPath},
		"the name of the parent":   {role(".."), archive.ErrBadPath},
		"the name of the folder":   {role("."), archive.ErrBadPath},
		"no name":                  {role(""), archive.ErrBadPath},
		"a namespace that climbs":  {in(item.Key{Resource: "pods", Namespace: "..", Name: "a"}), archive.ErrBadPath},
		"no resource":              {in(item.Key{Group: "apps", Name: "a"}), archive.ErrBadPath},
		"a dot in the resource":    {in(item.Key{Group: "b", Resource: "pods.a", Name: "a"}), archive.ErrBadPath},
		"a slash in the group":     {in(item.Key{Group: "a/b", Resource: "pods", Name: "a"}), archive.ErrBadPath},
		"no version":               {noVersion, archive.ErrBadPath},
		"an object over the limit": {big, archive.ErrTooLarge},
		"names over the limit":     {role(strings.Repeat("x", 64<<20+1)), archive.ErrTooLarge},
		"an item written before":   {archivetest.Items()[0], archive.ErrDuplicate},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			w := archive.NewWriter(&b, archive.Options{})
			_, err := w.Add(archivetest.Items()[0])
			require.NoError(t, err)
			_, err = w.Add(c.item)
			require.ErrorIs(t, err, c.want)
			var e *archive.EntryError
			require.ErrorAs(t, err, &e)
			assert.Equal(t, c.item.Key.String(), e.Entry)

			_, err = w.Add(archivetest.Items()[1])
			require.NoError(t, err, "the next item is written")
			require.NoError(t, w.Close())
			items, err := readAll(b.Bytes(), archive.Limits{})
			require.NoError(t, err)
			assert.Equal(t, archivetest.Items()[:2], items)
		})
	}
}

func TestTheSameItemsMakeTheSameBytes(t *testing.T) {
	assert.Equal(t, write(t, archivetest.Items()...), write(t, archivetest.Items()...))
}

func TestAnArchiveOfNothingIsSound(t *testing.T) {
	items, bad, err := inspect(write(t), archive.Limits{})
	require.NoError(t, err)
	assert.Empty(t, bad)
	assert.Empty(t, items)
}

// limitedWriter fails once it has taken n bytes.
type limitedWriter struct{ n int }

var errFull = errors.New("disk full")

func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestAFailingStreamIsToldAtTheLatestByClose(t *testing.T) {
	items := deployments(200)
	whole := len(write(t, items...))
	for n := 0; n < whole; n += 501 {
		w := archive.NewWriter(&limitedWriter{n: n}, archive.Options{ModTime: started})
		for _, it := range items {
			if _, err := w.Add(it); err != nil {
				require.ErrorIs(t, err, errFull)
			}
		}
		require.ErrorIs(t, w.Close(), errFull, fmt.Sprint(n, " of ", whole))
	}
}

func TestNothingIsWrittenAfterClose(t *testing.T) {
	var b bytes.Buffer
	w := archive.NewWriter(&b, archive.Options{})
	require.NoError(t, w.Close())
	n := b.Len()
	_, err := w.Add(archivetest.Items()[0])
	require.Error(t, err)
	require.Error(t, w.Close())
	assert.Equal(t, n, b.Len())
}
