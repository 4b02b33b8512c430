package kopia_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/object"
	"github.com/kopia/kopia/snapshot"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	storefs "github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/core/volume/kopia"
)

// flat is a writable folder of blobs, as a bucket has them.
type flat struct {
	blob.DefaultProviderImplementation
	dir string
}

func (f *flat) path(id blob.ID) string { return filepath.Join(f.dir, string(id)) }

func (f *flat) GetBlob(_ context.Context, id blob.ID, offset, length int64, out blob.OutputBuffer) error {
	out.Reset()
	b, err := os.ReadFile(f.path(id))
	if err != nil {
		return blob.ErrBlobNotFound
	}
	if length >= 0 {
		b = b[offset:][:length]
	}
	_, err = out.Write(b)
	return err
}

func (f *flat) GetMetadata(_ context.Context, id blob.ID) (blob.Metadata, error) {
	info, err := os.Stat(f.path(id))
	if err != nil {
		return blob.Metadata{}, blob.ErrBlobNotFound
	}
	return blob.Metadata{BlobID: id, Length: info.Size(), Timestamp: info.ModTime()}, nil
}

func (f *flat) ListBlobs(ctx context.Context, prefix blob.ID, yield func(blob.Metadata) error) error {
	all, err := filepath.Glob(f.path(prefix) + "*")
	if err != nil {
		return err
	}
	for _, p := range all {
		m, err := f.GetMetadata(ctx, blob.ID(filepath.Base(p)))
		if err == nil {
			err = yield(m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *flat) PutBlob(_ context.Context, id blob.ID, data blob.Bytes, o blob.PutOptions) error {
	out, err := os.Create(f.path(id))
	if err != nil {
		return err
	}
	if o.GetModTime != nil {
		*o.GetModTime = time.Now()
	}
	_, err = data.WriteTo(out)
	return err
}

func (f *flat) DeleteBlob(_ context.Context, id blob.ID) error { return os.Remove(f.path(id)) }
func (f *flat) ConnectionInfo() blob.ConnectionInfo {
	return blob.ConnectionInfo{Type: "flat", Config: f.dir}
}
func (f *flat) DisplayName() string { return f.dir }

// hostile writes a repository whose only snapshot has the root that build returns,
// with kopia's own library, and returns its location and the id of the snapshot.
func hostile(t *testing.T, build func(w writer) *snapshot.DirEntry) (store.Store, string) {
	t.Helper()
	location := t.TempDir()
	dir := filepath.Join(location, "kopia", "shop")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	storage := &flat{dir: dir}
	blob.AddSupportedStorage("flat", dir, func(context.Context, *string, bool) (blob.Storage, error) { return storage, nil })
	require.NoError(t, repo.Initialize(t.Context(), storage, &repo.NewRepositoryOptions{}, "secret"))
	config := filepath.Join(t.TempDir(), "config")
	require.NoError(t, repo.Connect(t.Context(), config, storage, "secret", nil))
	r, err := repo.Open(t.Context(), config, "secret", &repo.Options{OnFatalError: func(error) {}})
	require.NoError(t, err)
	var id string
	require.NoError(t, repo.WriteSession(t.Context(), r, repo.WriteSessionOptions{}, func(ctx context.Context, rw repo.RepositoryWriter) error {
		m := &snapshot.Manifest{Source: snapshot.SourceInfo{Host: "default", UserName: "default", Path: "/x"}, RootEntry: build(writer{t, ctx, rw})}
		saved, err := snapshot.SaveSnapshot(ctx, rw, m)
		id = string(saved)
		return err
	}))
	require.NoError(t, r.Close(t.Context()))
	s, err := storefs.Open(location, false)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s, id
}

type writer struct {
	t   *testing.T
	ctx context.Context
	rw  repo.RepositoryWriter
}

func (w writer) object(prefix string, content []byte) object.ID {
	w.t.Helper()
	out := w.rw.NewObjectWriter(w.ctx, object.WriterOptions{Prefix: contentPrefix(prefix)})
	_, err := out.Write(content)
	require.NoError(w.t, err)
	id, err := out.Result()
	require.NoError(w.t, err)
	return id
}

func (w writer) entry(name string, kind snapshot.EntryType, content string) *snapshot.DirEntry {
	return &snapshot.DirEntry{Name: name, Type: kind, Permissions: 0o644, FileSize: int64(len(content)), ModTime: fs.UTCTimestampFromTime(time.Unix(1, 0)), ObjectID: w.object("", []byte(content))}
}

func (w writer) dir(name string, entries ...*snapshot.DirEntry) *snapshot.DirEntry {
	raw, err := json.Marshal(snapshot.DirManifest{StreamType: "kopia:directory", Entries: entries})
	require.NoError(w.t, err)
	return &snapshot.DirEntry{Name: name, Type: snapshot.EntryTypeDirectory, Permissions: 0o755, ObjectID: w.object("k", raw)}
}

// extracted extracts a whole snapshot of hostile's into a directory.
func extracted(t *testing.T, s store.Store, id, dir string) (kopia.Extracted, error) {
	t.Helper()
	r, err := kopia.Open(t.Context(), s, "shop", "secret")
	require.NoError(t, err)
	defer r.Close(t.Context())
	snap, err := r.Snapshot(t.Context(), id)
	require.NoError(t, err)
	to, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer to.Close()
	return r.Extract(t.Context(), snap, snap.Root, to, nil)
}

func TestAHostileRepositoryWritesNothingOutside(t *testing.T) {
	outside := t.TempDir()
	s, id := hostile(t, func(w writer) *snapshot.DirEntry {
		return w.dir("",
			w.entry("good", snapshot.EntryTypeFile, "good"),
			w.entry("../escaped", snapshot.EntryTypeFile, "x"),
			w.entry("..", snapshot.EntryTypeFile, "x"),
			w.entry("", snapshot.EntryTypeFile, "x"),
			w.entry("nul\x00", snapshot.EntryTypeFile, "x"),
			w.entry("device", "b", "x"),
			// A link to the outside, and a directory of the same name to write through it.
			w.entry("link", snapshot.EntryTypeSymlink, outside),
			w.dir("link", w.entry("escaped", snapshot.EntryTypeFile, "x")),
			w.dir("sub", w.entry("inner", snapshot.EntryTypeFile, "inner")),
		)
	})
	parent := t.TempDir()
	dir := filepath.Join(parent, "to")
	require.NoError(t, os.Mkdir(dir, 0o755))
	done, err := extracted(t, s, id, dir)
	require.NoError(t, err, "what is bad does not stop the rest")

	assert.Equal(t, 2, done.Files)
	assert.Len(t, done.Refused, 6)
	for _, d := range []string{parent, outside} {
		left, err := os.ReadDir(d)
		require.NoError(t, err)
		for _, f := range left {
			assert.Equal(t, "to", f.Name(), "something was written outside")
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "sub", "inner"))
	require.NoError(t, err)
	assert.Equal(t, "inner", string(b))
}

func TestAFileThatIsNotWholeHasNoName(t *testing.T) {
	s, id := hostile(t, func(w writer) *snapshot.DirEntry {
		short := w.entry("short", snapshot.EntryTypeFile, "only this")
		short.FileSize = 100
		return w.dir("", short)
	})
	dir := t.TempDir()
	_, err := extracted(t, s, id, dir)
	require.ErrorContains(t, err, "9 of 100 bytes")
	require.ErrorContains(t, err, `"/short"`)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestAWholeFileOfZerosIsAHole(t *testing.T) {
	const size = 1 << 20
	s, id := hostile(t, func(w writer) *snapshot.DirEntry {
		return w.dir("", w.entry("zeros", snapshot.EntryTypeFile, string(make([]byte, size))))
	})
	dir := t.TempDir()
	_, err := extracted(t, s, id, dir)
	require.NoError(t, err)
	info, err := os.Stat(filepath.Join(dir, "zeros"))
	require.NoError(t, err)
	assert.EqualValues(t, size, info.Size())
	assert.Less(t, blocks(info), int64(size/512), "blocks of 512 bytes on disk")
}
