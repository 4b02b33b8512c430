package bucket

import (
	"context"
	"errors"
	"fmt"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

// protector is a store that can tell how it protects its objects.
type protector interface {
	Protection(ctx context.Context) (store.Protection, error)
}

// ListStorage implements StorageLister. It lists every object and remembers
// none, which costs a request for each 1,000, and asks with Lock how the bucket
// protects them, which costs two. Unlike the other methods it may run beside
// them.
func (l *Location) ListStorage(ctx context.Context) (fact.Storage, error) {
	raw, err := l.open(ctx)
	if err != nil {
		return fact.Storage{}, err
	}
	s := l.meter.opened(raw)
	defer l.close(s)
	storage := fact.Storage{Bytes: map[string]int64{}, Objects: map[string]int64{}}
	for info, err := range s.List(ctx, "", true) {
		if err != nil {
			return fact.Storage{}, fmt.Errorf("list everything in %s: %w", s, err)
		}
		content := fact.ContentOf(info.Key)
		storage.Objects[content]++
		storage.Bytes[content] += info.Size
	}
	if l.Lock {
		storage.Protection, err = l.protection(ctx, s)
	}
	return storage, err
}

// protection is nil when the store has none, or does not say. That is logged
// once; an alert on it would be one on what is unknown.
func (l *Location) protection(ctx context.Context, s *counted) (*fact.Protection, error) {
	p, ok := s.Store.(protector)
	if !ok {
		l.noteOnce("protection", errors.New("it has no object lock and no versions of objects"), "how the location protects its objects is not served")
		return nil, nil
	}
	protection, err := p.Protection(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	l.noteOnce("protection", err, "how the location protects its objects is not served")
	if err != nil {
		return nil, nil //nolint:nilerr // it was logged; without protection the rest is still served
	}
	return &protection, nil
}

// noteOnce logs the first failure of some kind, and the next one only after it
// went well in between: their texts differ, by key and by request.
func (l *Location) noteOnce(kind string, err error, message string) {
	if before, _ := l.noted.Swap(kind, err != nil); err != nil && before != true {
		l.Log.Warn(message, "err", err) //nolint:sloglint // callers pass constants
	}
}
