// Package mem is a store in memory, for tests: it has the same semantics as
// the others and is gone with the process.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Store implements store.Store. Unlike the others it holds every object in
// memory, so its Put is not bounded.
type Store struct {
	mu      sync.RWMutex
	objects map[string]object
}

// object is never changed once it is in the map, so readers need no lock.
type object struct {
	data     []byte
	modified time.Time
}

var _ store.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store { return &Store{objects: map[string]object{}} }

// String is "mem://", which is not a URL of a location.
func (s *Store) String() string { return "mem://" }

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, key string, r io.Reader) error {
	if err := check(ctx, "put", key); err != nil {
		return err
	}
	if _, exists := s.object(key); exists {
		return fmt.Errorf("put %s: %w", key, store.ErrExists)
	}
	data, err := io.ReadAll(store.ContextReader(ctx, r))
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exists := s.objects[key]; exists {
		return fmt.Errorf("put %s: %w", key, store.ErrExists)
	}
	s.objects[key] = object{data: data, modified: time.Now()}
	return nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := check(ctx, "get", key); err != nil {
		return nil, err
	}
	o, exists := s.object(key)
	if !exists {
		return nil, fmt.Errorf("get %s: %w", key, store.ErrNotFound)
	}
	return &reader{r: store.ContextReader(ctx, bytes.NewReader(o.data))}, nil
}

// List implements store.Store. It yields what the store held when the
// iteration began.
func (s *Store) List(ctx context.Context, prefix string, recursive bool) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		if err := store.CheckPrefix(prefix); err != nil {
			yield(store.Info{}, fmt.Errorf("list: %w", err))
			return
		}
		last := ""
		for _, info := range s.snapshot() {
			if err := ctx.Err(); err != nil {
				yield(store.Info{}, fmt.Errorf("list %q: %w", prefix, err))
				return
			}
			rest, below := strings.CutPrefix(info.Key, prefix)
			if !below {
				continue
			}
			if folder, _, deeper := strings.Cut(rest, "/"); deeper && !recursive {
				info = store.Info{Key: prefix + folder + "/"}
			}
			if info.Key == last {
				continue
			}
			last = info.Key
			if !yield(info, nil) {
				return
			}
		}
	}
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := check(ctx, "delete", key); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exists := s.objects[key]; !exists {
		return fmt.Errorf("delete %s: %w", key, store.ErrNotFound)
	}
	delete(s.objects, key)
	return nil
}

func (s *Store) object(key string) (object, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, exists := s.objects[key]
	return o, exists
}

// snapshot is every object, in the order of the keys.
func (s *Store) snapshot() []store.Info {
	s.mu.RLock()
	defer s.mu.RUnlock()
	infos := make([]store.Info, 0, len(s.objects))
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		o := s.objects[key]
		infos = append(infos, store.Info{Key: key, Size: int64(len(o.data)), Modified: o.modified})
	}
	return infos
}

func check(ctx context.Context, verb, key string) error {
	if err := store.CheckKey(key); err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", verb, key, err)
	}
	return nil
}

type reader struct {
	r      io.Reader
	closed bool
}

func (r *reader) Read(p []byte) (int, error) {
	if r.closed {
		return 0, os.ErrClosed
	}
	return r.r.Read(p)
}

func (r *reader) Close() error {
	r.closed = true
	return nil
}
