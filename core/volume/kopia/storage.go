package kopia

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/kopia/kopia/repo/blob"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// maxBlob bounds what is read of one blob, in bytes. Packs have 20 MiB, and index
// blobs of large repositories some tens of MiB.
const maxBlob = 256 << 20

// storageType is the type of our storage in kopia's configuration.
const storageType = "lifeboat"

// options are what kopia's configuration holds of our storage: a number that only
// this process understands, and no secret.
type options struct {
	Handle int `json:"handle"`
}

// handles are the storages that are being opened. kopia opens a storage from a
// configuration file only.
var handles struct {
	sync.Mutex
	register sync.Once
	next     int
	open     map[int]*storage
}

// handle makes a storage available to kopia until release is called.
func handle(s *storage) (o options, release func()) {
	handles.register.Do(func() {
		blob.AddSupportedStorage(storageType, options{}, func(_ context.Context, o *options, _ bool) (blob.Storage, error) {
			handles.Lock()
			defer handles.Unlock()
			if s := handles.open[o.Handle]; s != nil {
				return s, nil
			}
			return nil, errors.New("storage is not open in this process")
		})
	})
	handles.Lock()
	defer handles.Unlock()
	handles.next++
	n := handles.next
	if handles.open == nil {
		handles.open = map[int]*storage{}
	}
	handles.open[n] = s
	return options{Handle: n}, func() {
		handles.Lock()
		defer handles.Unlock()
		delete(handles.open, n)
	}
}

// storage is a folder of a location as kopia's blobs, for reading.
type storage struct {
	blob.DefaultProviderImplementation
	store  store.Store
	prefix string // ends in "/"

	mu     sync.Mutex
	failed error // the last error of the store; kopia does not always return it
}

func (s *storage) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func (s *storage) fail(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err
	return err
}

var _ blob.Storage = (*storage)(nil)

var errReadOnly = errors.New("the repository is open for reading")

// tries is how often a blob is asked for when its connection breaks.
const tries = 3

// GetBlob implements blob.Reader.
func (s *storage) GetBlob(ctx context.Context, id blob.ID, offset, length int64, output blob.OutputBuffer) error {
	var err error
	for range tries {
		output.Reset()
		if err = s.read(ctx, id, offset, length, output); err == nil || errors.Is(err, blob.ErrBlobNotFound) || errors.Is(err, blob.ErrInvalidRange) || ctx.Err() != nil {
			return err
		}
	}
	return s.fail(err)
}

func (s *storage) read(ctx context.Context, id blob.ID, offset, length int64, output blob.OutputBuffer) error {
	if offset < 0 || length > maxBlob {
		return fmt.Errorf("%w: %d bytes from %d", blob.ErrInvalidRange, length, offset)
	}
	r, err := s.open(ctx, s.prefix+string(id), offset, length)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrInvalidKey) {
		return fmt.Errorf("%s: %w", id, blob.ErrBlobNotFound)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(output, io.LimitReader(r, maxBlob+1))
	switch {
	case err != nil:
		return err
	case n > maxBlob:
		return fmt.Errorf("%s is larger than %d bytes", id, maxBlob)
	}
	return blob.EnsureLengthExactly(output.Length(), length)
}

func (s *storage) open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if length < 0 {
		return s.store.Get(ctx, key)
	}
	return store.GetRange(ctx, s.store, key, offset, length)
}

// GetMetadata implements blob.Reader.
func (s *storage) GetMetadata(ctx context.Context, id blob.ID) (blob.Metadata, error) {
	for info, err := range s.store.List(ctx, s.prefix+string(id), true) {
		if err != nil {
			return blob.Metadata{}, err
		}
		if info.Key == s.prefix+string(id) {
			return metadata(id, info), nil
		}
		break // it would be the first
	}
	return blob.Metadata{}, fmt.Errorf("%s: %w", id, blob.ErrBlobNotFound)
}

func metadata(id blob.ID, info store.Info) blob.Metadata {
	return blob.Metadata{BlobID: id, Length: info.Size, Timestamp: info.Modified}
}

// ListBlobs implements blob.Reader.
func (s *storage) ListBlobs(ctx context.Context, prefix blob.ID, yield func(blob.Metadata) error) error {
	for info, err := range s.store.List(ctx, s.prefix+string(prefix), false) {
		if err != nil {
			return err
		}
		if info.IsPrefix() {
			continue // kopia's blobs are in one folder
		}
		if err := yield(metadata(blob.ID(strings.TrimPrefix(info.Key, s.prefix)), info)); err != nil {
			return err
		}
	}
	return nil
}

// ConnectionInfo implements blob.Reader.
func (s *storage) ConnectionInfo() blob.ConnectionInfo {
	return blob.ConnectionInfo{Type: storageType, Config: &options{}}
}

// DisplayName implements blob.Reader.
func (s *storage) DisplayName() string { return s.store.String() }

// IsReadOnly implements blob.Storage.
func (s *storage) IsReadOnly() bool { return true }

// PutBlob implements blob.Storage.
func (s *storage) PutBlob(context.Context, blob.ID, blob.Bytes, blob.PutOptions) error {
	return errReadOnly
}

// DeleteBlob implements blob.Storage.
func (s *storage) DeleteBlob(context.Context, blob.ID) error { return errReadOnly }
