// Package archivetest makes archives for tests: sound ones, and hostile or
// damaged ones that no Writer would make.
package archivetest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Entry is one entry of a tar. The zero Type is a regular file.
type Entry struct {
	Path string
	Body []byte
	Type byte
	Link string
	PAX  map[string]string
}

// File is a regular file.
func File(path, body string) Entry { return Entry{Path: path, Body: []byte(body)} }

// Object makes an item with the least an object has, and data to tell it by.
func Object(k item.Key, version, kind, data string) item.Item {
	apiVersion := version
	if k.Group != "" {
		apiVersion = k.Group + "/" + version
	}
	namespace := ""
	if k.Namespace != "" {
		namespace = fmt.Sprintf(`,"namespace":%q`, k.Namespace)
	}
	raw := fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":%q%s},"data":{"v":%q}}`, apiVersion, kind, k.Name, namespace, data)
	return item.Item{Key: k, Version: version, Kind: kind, Raw: []byte(raw)}
}

// Items is a small sound set: cluster-scoped and namespaced, core group and
// others, names with dots and colons.
func Items() []item.Item {
	return []item.Item{
		Object(item.Key{Resource: "namespaces", Name: "shop"}, "v1", "Namespace", ""),
		Object(item.Key{Resource: "configmaps", Namespace: "shop", Name: "kube-root-ca.crt"}, "v1", "ConfigMap", "certificate"),
		Object(item.Key{Resource: "services", Namespace: "shop", Name: "web"}, "v1", "Service", ""),
		Object(item.Key{Group: "apps", Resource: "deployments", Namespace: "shop", Name: "web"}, "v1", "Deployment", ""),
		Object(item.Key{Group: "rbac.authorization.k8s.io", Resource: "clusterroles", Name: "system:node"}, "v1", "ClusterRole", ""),
	}
}

// Entries are the entries an archive of the items has, in Velero's order.
func Entries(items ...item.Item) []Entry {
	entries := []Entry{File(archive.VersionFile, archive.FormatVersion+"\n")}
	for _, it := range items {
		entries = append(entries,
			Entry{Path: archive.ItemPath(it.Key), Body: it.Raw},
			Entry{Path: archive.CopyPath(it.Key, it.Version), Body: it.Raw})
	}
	return entries
}

// Build packs the entries as they are, checking nothing.
func Build(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(Tar(t, entries...)) //nolint:errcheck // into memory
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Tar is Build without the gzip.
func Tar(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := writeEntry(w, e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeEntry(w *tar.Writer, e Entry) error {
	h := &tar.Header{Typeflag: e.Type, Name: e.Path, Linkname: e.Link, Size: int64(len(e.Body)), Mode: 0o755, PAXRecords: e.PAX}
	if e.Type == 0 {
		h.Typeflag = tar.TypeReg
	}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.Write(e.Body)
	return err
}

// Gzip packs any bytes.
func Gzip(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Flip is a copy of b with one bit of byte i changed.
func Flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 0x10
	return b
}

// Replace is a copy of the entries with change applied to those of the path.
func Replace(entries []Entry, path string, change func(*Entry)) []Entry {
	entries = slices.Clone(entries)
	for i := range entries {
		if entries[i].Path == path {
			change(&entries[i])
		}
	}
	return entries
}

// Bomb writes an archive whose entries hold size bytes of one letter.
func Bomb(w io.Writer, size int64) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	body := bytes.Repeat([]byte("a"), 8<<20)
	for i := 0; size > 0; i++ {
		body = body[:min(size, int64(len(body)))]
		e := Entry{Path: fmt.Sprintf("resources/configmaps/namespaces/shop/bomb-%d.json", i), Body: body}
		if err := writeEntry(t, e); err != nil {
			return err
		}
		size -= int64(len(body))
	}
	if err := t.Close(); err != nil {
		return err
	}
	return z.Close()
}

// Tiny writes an archive of n objects of the least size, without copies.
func Tiny(w io.Writer, n int) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	if err := writeEntry(t, File(archive.VersionFile, archive.FormatVersion+"\n")); err != nil {
		return err
	}
	for i := range n {
		it := Object(item.Key{Resource: "configmaps", Namespace: "shop", Name: fmt.Sprint("c", i)}, "v1", "ConfigMap", "")
		if err := writeEntry(t, Entry{Path: archive.ItemPath(it.Key), Body: it.Raw}); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return z.Close()
}

// sparse adds a file whose holes are not in the archive. The tar package does
// not write such files, so a record of the same length is renamed.
func sparse(t testing.TB, entries []Entry) []byte {
	t.Helper()
	holes := File("resources/services/namespaces/shop/holes.json", "{}")
	holes.PAX = map[string]string{"GNU_sparse.numblocks": "1", "GNU_sparse.map": "0,2", "GNU_sparse.size": "2"}
	plain := Tar(t, append(slices.Clone(entries), holes)...)
	return Gzip(t, bytes.ReplaceAll(plain, []byte("GNU_sparse"), []byte("GNU.sparse")))
}

// Case is a faulty archive.
type Case struct {
	Name    string
	Archive []byte
	// Want is the sentinel of package archive that reading must give.
	Want error
	// Whole says that the fault is of the archive, not of one entry.
	Whole bool
}

// Cases are archives of Items with one fault each.
func Cases(t testing.TB) []Case {
	t.Helper()
	sound := Entries(Items()...)
	service := Items()[2]
	path := archive.ItemPath(service.Key)
	with := func(e ...Entry) []byte { return Build(t, append(slices.Clone(sound), e...)...) }
	swapped := func(old, new string) []byte {
		change := func(e *Entry) { e.Body = bytes.Replace(e.Body, []byte(old), []byte(new), 1) }
		return Build(t, Replace(Replace(sound, path, change), archive.CopyPath(service.Key, "v1"), change)...)
	}
	body := func(raw string) []byte {
		change := func(e *Entry) { e.Body = []byte(raw) }
		return Build(t, Replace(Replace(sound, path, change), archive.CopyPath(service.Key, "v1"), change)...)
	}
	at := func(path string) []byte { return with(Entry{Path: path, Body: service.Raw}) }
	sha := func(name string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(name))) }
	named := func(name, file string) []byte {
		k := service.Key
		k.Name = name
		return with(Entry{Path: "resources/services/namespaces/shop/" + file, Body: Object(k, "v1", "Service", "").Raw})
	}
	twice := func() []byte {
		k := service.Key
		k.Name = strings.Repeat("n", 300)
		raw := Object(k, "v1", "Service", "").Raw
		return with(Entry{Path: archive.ItemPath(k), Body: raw}, Entry{Path: "resources/services/namespaces/shop/" + k.Name + ".json", Body: raw})
	}
	link := func(kind byte) []byte { return with(Entry{Path: path + "x.json", Type: kind, Link: "/etc/passwd"}) }
	whole := Build(t, sound...)
	plain := Tar(t, sound...)

	return []Case{
		{Name: "path that climbs out", Archive: at("../../etc/passwd"), Want: archive.ErrBadPath},
		{Name: "path that climbs out of resources", Archive: at("resources/services/namespaces/../../../x.json"), Want: archive.ErrBadPath},
		{Name: "absolute path", Archive: at("/resources/services/namespaces/shop/x.json"), Want: archive.ErrBadPath},
		{Name: "path with a dot segment", Archive: at("./resources/services/namespaces/shop/x.json"), Want: archive.ErrBadPath},
		{Name: "path with an empty segment", Archive: at("resources/services//shop/x.json"), Want: archive.ErrBadPath},
		{Name: "file of no object's name", Archive: named("..", "...json"), Want: archive.ErrBadPath},
		{Name: "name that would climb out of an address", Archive: named("x/../../secrets/y", "%sha256-"+sha("x/../../secrets/y")+".json"), Want: archive.ErrMismatch},
		{Name: "escaped name of another object", Archive: named("x", "%sha256-"+sha("y")+".json"), Want: archive.ErrMismatch},
		{Name: "item under both of its names", Archive: twice(), Want: archive.ErrDuplicate},
		{Name: "sibling of resources", Archive: at("resources2/services/namespaces/shop/x.json"), Want: archive.ErrBadPath},
		{Name: "sibling of metadata", Archive: at("metadata2/version"), Want: archive.ErrBadPath},
		{Name: "file outside", Archive: at("readme.json"), Want: archive.ErrBadPath},
		{Name: "path with a segment too few", Archive: at("resources/services/x.json"), Want: archive.ErrBadPath},
		{Name: "path with a segment too many", Archive: at("resources/services/namespaces/shop/deep/x.json"), Want: archive.ErrBadPath},
		{Name: "file that is not JSON by name", Archive: at("resources/services/namespaces/shop/x.yaml"), Want: archive.ErrBadPath},
		{Name: "file without a name", Archive: at("resources/services/namespaces/shop/.json"), Want: archive.ErrBadPath},
		{Name: "symbolic link", Archive: link(tar.TypeSymlink), Want: archive.ErrBadEntry},
		{Name: "hard link", Archive: link(tar.TypeLink), Want: archive.ErrBadEntry},
		{Name: "character device", Archive: link(tar.TypeChar), Want: archive.ErrBadEntry},
		{Name: "block device", Archive: link(tar.TypeBlock), Want: archive.ErrBadEntry},
		{Name: "named pipe", Archive: link(tar.TypeFifo), Want: archive.ErrBadEntry},
		{Name: "sparse file", Archive: sparse(t, sound), Want: archive.ErrBadEntry},
		{Name: "directory below an item's", Archive: with(Entry{Path: "resources/services/v1/namespaces/shop/deep/", Type: tar.TypeDir}), Want: archive.ErrBadPath},
		{Name: "item twice", Archive: at(path), Want: archive.ErrDuplicate},
		{Name: "item of another name", Archive: swapped(`"name":"web"`, `"name":"db"`), Want: archive.ErrMismatch},
		{Name: "item of another namespace", Archive: swapped(`"namespace":"shop"`, `"namespace":"kube-system"`), Want: archive.ErrMismatch},
		{Name: "namespaced item without its namespace", Archive: swapped(`,"namespace":"shop"`, ``), Want: archive.ErrMismatch},
		{Name: "item of another group", Archive: swapped(`"apiVersion":"v1"`, `"apiVersion":"apps/v1"`), Want: archive.ErrMismatch},
		{Name: "item without a kind", Archive: swapped(`"kind":"Service",`, ``), Want: archive.ErrBadJSON},
		{Name: "item with a kind that is no string", Archive: swapped(`"kind":"Service"`, `"kind":1`), Want: archive.ErrBadJSON},
		{Name: "item without a version", Archive: swapped(`"apiVersion":"v1",`, ``), Want: archive.ErrBadJSON},
		{Name: "item cut short", Archive: body(string(service.Raw[:len(service.Raw)-2])), Want: archive.ErrBadJSON},
		{Name: "empty item", Archive: body(""), Want: archive.ErrBadJSON},
		{Name: "item that is a list", Archive: body("[]"), Want: archive.ErrBadJSON},
		{Name: "two documents in one file", Archive: body(string(service.Raw) + string(service.Raw)), Want: archive.ErrBadJSON},
		{Name: "a name twice in one object", Archive: swapped(`"kind":"Service"`, `"kind":"Service","kind":"Pod"`), Want: archive.ErrBadJSON},
		{Name: "a name twice deep inside", Archive: swapped(`"data":{`, `"data":{"v":"x",`), Want: archive.ErrBadJSON},
		{Name: "invalid UTF-8", Archive: swapped(`"data":{`, "\"data\":{\"\xff\":1,"), Want: archive.ErrBadJSON},
		{Name: "deep nesting", Archive: swapped(`"data":{`, `"data":{"d":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+","), Want: archive.ErrBadJSON},
		{Name: "copy that differs", Archive: Build(t, Replace(sound, archive.CopyPath(service.Key, "v1"), func(e *Entry) { e.Body = []byte("{}") })...), Want: archive.ErrCopy},
		{Name: "copy without an item", Archive: at("resources/services/v1-preferredversion/namespaces/shop/x.json"), Want: archive.ErrCopy},
		{Name: "no format version", Archive: Build(t, sound[1:]...), Want: archive.ErrNoVersion},

		{Name: "empty file", Archive: nil, Want: archive.ErrTruncated, Whole: true},
		{Name: "not gzip", Archive: plain, Want: archive.ErrCorrupt, Whole: true},
		{Name: "gzip of something else", Archive: Gzip(t, bytes.Repeat([]byte("something else "), 100)), Want: archive.ErrCorrupt, Whole: true},
		{Name: "gzip cut short", Archive: whole[:len(whole)-1], Want: archive.ErrTruncated, Whole: true},
		{Name: "gzip sum wrong", Archive: Flip(whole, len(whole)-8), Want: archive.ErrCorrupt, Whole: true},
		{Name: "gzip length wrong", Archive: Flip(whole, len(whole)-1), Want: archive.ErrCorrupt, Whole: true},
		{Name: "data after gzip", Archive: append(bytes.Clone(whole), 'x'), Want: archive.ErrTruncated, Whole: true},
		{Name: "second gzip member", Archive: append(bytes.Clone(whole), whole...), Want: archive.ErrTruncated, Whole: true},
		{Name: "second gzip member of nothing", Archive: append(bytes.Clone(whole), Gzip(t, nil)...), Want: archive.ErrTruncated, Whole: true},
		{Name: "tar cut short in an entry", Archive: Gzip(t, plain[:700]), Want: archive.ErrTruncated, Whole: true},
		{Name: "tar cut short between entries", Archive: Gzip(t, plain[:len(plain)-1024]), Want: archive.ErrTruncated, Whole: true},
		{Name: "tar with data after its end", Archive: Gzip(t, append(bytes.Clone(plain), plain...)), Want: archive.ErrTruncated, Whole: true},
		{Name: "tar header damaged before compression", Archive: Gzip(t, Flip(plain, 2)), Want: archive.ErrCorrupt, Whole: true},
		{Name: "entry over the limit", Archive: with(Entry{Path: "resources/services/namespaces/shop/big.json", Body: make([]byte, 17<<20)}), Want: archive.ErrTooLarge},
	}
}
