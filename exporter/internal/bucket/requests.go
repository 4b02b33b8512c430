package bucket

import (
	"cmp"
	"context"
	"io"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

// What some stores can and others cannot.
type (
	// requestCounter counts the requests it sent, repeats included, by S3's
	// names of operations.
	requestCounter interface{ Requests() map[string]uint64 }
	// ranger begins a listing after a key; otherwise it is List, recursive.
	ranger interface {
		ListAfter(ctx context.Context, prefix, after string) iter.Seq2[store.Info, error]
	}
)

// counted counts what a store is asked: its requests if it can tell, else the
// calls.
type counted struct {
	store.Store
	list, get, other atomic.Uint64
	getTook          atomic.Int64 // nanoseconds, of the last Get until its answer
}

func (c *counted) List(ctx context.Context, prefix string, recursive bool) iter.Seq2[store.Info, error] {
	c.list.Add(1)
	return c.Store.List(ctx, prefix, recursive)
}

func (c *counted) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	c.get.Add(1)
	began := time.Now()
	r, err := c.Store.Get(ctx, key)
	if err == nil {
		c.getTook.Store(int64(max(time.Since(began), 1)))
	}
	return r, err
}

func (c *counted) Put(ctx context.Context, key string, r io.Reader) error {
	c.other.Add(1)
	return c.Store.Put(ctx, key, r)
}

func (c *counted) Delete(ctx context.Context, key string) error {
	c.other.Add(1)
	return c.Store.Delete(ctx, key)
}

func (c *counted) ranged() bool {
	_, ok := c.Store.(ranger)
	return ok
}

// below lists the files of backups that follow each other in a listing: in one
// listing where the store can begin in the middle, else one by one.
func (c *counted) below(ctx context.Context, names []string) iter.Seq2[store.Info, error] {
	if r, ok := c.Store.(ranger); ok && len(names) > 1 {
		return c.between(ctx, r, names[0], names[len(names)-1])
	}
	return func(yield func(store.Info, error) bool) {
		for _, name := range names {
			for info, err := range c.List(ctx, store.BackupPrefix(name), true) {
				if !yield(info, err) || err != nil {
					return
				}
			}
		}
	}
}

func (c *counted) between(ctx context.Context, r ranger, first, last string) iter.Seq2[store.Info, error] {
	c.list.Add(1)
	return func(yield func(store.Info, error) bool) {
		for info, err := range r.ListAfter(ctx, store.BackupsPrefix, store.BackupPrefix(first)) {
			if err == nil && info.Key > store.BackupPrefix(last) && !strings.HasPrefix(info.Key, store.BackupPrefix(last)) {
				return
			}
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

func (c *counted) requests() fact.Requests {
	own, ok := c.Store.(requestCounter)
	if !ok {
		return fact.Requests{List: c.list.Load(), Get: c.get.Load(), Other: c.other.Load()}
	}
	var out fact.Requests
	for operation, n := range own.Requests() {
		switch operation {
		case "ListObjectsV2":
			out.List += n
		case "GetObject":
			out.Get += n
		default:
			out.Other += n
		}
	}
	return out
}

// meter adds up the requests of stores that are opened one after the other. Its
// methods may be called at any time.
type meter struct {
	mu   sync.Mutex
	past fact.Requests // of stores that were closed
	took time.Duration // of the last Get of those
	open map[*counted]struct{}
}

func (m *meter) opened(s store.Store) *counted {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &counted{Store: s}
	if m.open == nil {
		m.open = map[*counted]struct{}{}
	}
	m.open[c] = struct{}{}
	return c
}

func (m *meter) closed(c *counted) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.past = m.past.Plus(c.requests())
	if took := c.getTook.Load(); took > 0 {
		m.took = time.Duration(took)
	}
	delete(m.open, c)
}

// getTook is how long the last Get took until its answer, now or in a store that
// was open before; zero when there was none.
func (m *meter) getTook(c *counted) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return cmp.Or(time.Duration(c.getTook.Load()), m.took)
}

func (m *meter) total() fact.Requests {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := m.past
	for c := range m.open {
		sum = sum.Plus(c.requests())
	}
	return sum
}
