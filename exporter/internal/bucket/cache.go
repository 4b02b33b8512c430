package bucket

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// cache keeps what was read of objects, by key.
type cache[T any] struct {
	entries map[string]entry[T]
}

type entry[T any] struct {
	size     int64
	modified time.Time
	value    T
	err      error
}

// holds reports whether the object need not be read again.
func (e entry[T]) holds(info store.Info) bool {
	var content ContentError
	return e.size == info.Size && e.modified.Equal(info.Modified) && (e.err == nil || errors.As(e.err, &content))
}

// refresh reads the objects it does not hold yet, several at once, and forgets
// those that are not listed any more. An object that cannot be read is kept as
// an error and noted, once for each cause; only the end of ctx is returned,
// and what was read until then is kept.
func (c *cache[T]) refresh(ctx context.Context, readers int, listed []store.Info, read func(context.Context, store.Info) (T, error), note func(string, error)) error {
	entries := make(map[string]entry[T], len(listed))
	var missing []store.Info
	for _, info := range listed {
		if e, ok := c.entries[info.Key]; ok && e.holds(info) {
			entries[info.Key] = e
		} else {
			missing = append(missing, info)
		}
	}
	fresh := make([]*entry[T], len(missing))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, info := range missing {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			value, err := read(ctx, info)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fresh[i] = &entry[T]{size: info.Size, modified: info.Modified, value: value, err: short(err)}
			return nil
		})
	}
	err := group.Wait()
	for i, info := range missing {
		if fresh[i] == nil {
			continue
		}
		before := c.entries[info.Key].err
		if now := fresh[i].err; now != nil && (before == nil || before.Error() != now.Error()) {
			note(info.Key, now)
		}
		entries[info.Key] = *fresh[i]
	}
	c.entries = entries
	return err
}

func (c *cache[T]) get(key string) (T, error) {
	e := c.entries[key]
	return e.value, e.err
}

// short is err without what an object or a server may add to it without end.
func short(err error) error {
	var content ContentError
	if errors.As(err, &content) {
		return ContentError{jsonbound.Short(content.error)}
	}
	return jsonbound.Short(err)
}
