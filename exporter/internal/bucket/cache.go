package bucket

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

const (
	// readAgain is when an object that could not be read is tried again; the next
	// wait is twice as long, and never longer than readAgainMost.
	readAgain     = 30 * time.Second
	readAgainMost = time.Hour
	// hopeless is how many objects may be refused, and none be readable, before the
	// others are not tried.
	hopeless = 64
	// probes is how many objects are tried at each reading of a location that lets
	// none be read.
	probes = 3
	// proveAgain is how long after the last object was read one is read again, to know
	// that the location still lets objects be read.
	proveAgain = 10 * time.Minute
)

// errNoneReadable reports a location that lists objects and lets none be read.
var errNoneReadable = errors.New("the location lists objects, and none of them can be read")

// cache keeps what was read of objects, by key.
type cache[T any] struct {
	entries map[string]entry[T]
	// down is set while the location lets no object be read, and turn is which object
	// is tried next then.
	down bool
	turn int
	// read is when an object was read last.
	read time.Time
}

type entry[T any] struct {
	size     int64
	modified time.Time
	value    T
	err      error // without its chain, which may hold whole answers of a server
	// refused says that the location did not let the object be read, and retry is
	// when it is tried again, after so many failures.
	refused  bool
	archived bool // it says nothing about other objects
	failures int
	retry    time.Time
}

// of reports whether the entry is of the object as it is listed.
func (e entry[T]) of(info store.Info) bool {
	return e.size == info.Size && e.modified.Equal(info.Modified)
}

// again reports whether the object is to be read again although it has not changed.
func (e entry[T]) again(now time.Time) bool { return !e.retry.IsZero() && !now.Before(e.retry) }

// reader reads objects for a cache.
type reader[T any] struct {
	parallel int
	read     func(context.Context, store.Info) (T, error)
	note     func(key string, err error) // of an object, once for each cause
}

// refresh reads the objects it does not hold yet, several at once, and forgets
// those that are not listed any more. An object that cannot be read is kept as an
// error, and tried again later, or when it has changed. The error is that of ctx,
// or wraps errNoneReadable if the location lists objects and lets none be read;
// until one of them can be, only a few are tried. What was read is kept.
func (c *cache[T]) refresh(ctx context.Context, listed []store.Info, r reader[T]) error {
	now := time.Now()
	if c.down && len(listed) > 0 {
		if err := c.probe(ctx, listed, now, r); err != nil {
			return err
		}
	}
	entries, due, good := c.sort(listed, now)
	fresh, err := r.each(ctx, due)
	refused, readable := error(nil), false
	for i, info := range due {
		if fresh[i] == nil {
			continue
		}
		before := c.entries[info.Key]
		fresh[i].wait(before, now)
		if now := fresh[i].err; now != nil && (before.err == nil || before.err.Error() != now.Error()) {
			r.note(info.Key, now)
		}
		if fresh[i].refused {
			refused = fresh[i].err
		}
		readable = readable || !fresh[i].refused
		entries[info.Key] = *fresh[i]
	}
	c.entries, c.down = entries, false
	if readable {
		c.read = now
	}
	switch {
	case err != nil || readable:
		return err
	case refused != nil || len(good) > 0 && now.Sub(c.read) >= proveAgain:
		return c.doubt(ctx, good, refused, now, r)
	}
	return nil
}

// probe reads a few objects of a location that let none be read, by turns, because
// some may stay unreadable. When one can be read, all that were refused are tried
// again.
func (c *cache[T]) probe(ctx context.Context, listed []store.Info, now time.Time, r reader[T]) error {
	var refused error
	for i := range min(probes, len(listed)) {
		c.turn++
		e, err := r.one(ctx, listed[(c.turn+i*len(listed)/probes)%len(listed)])
		if err != nil {
			return err
		}
		if refused = e.err; !e.refused {
			refused = nil
			break
		}
	}
	if refused != nil {
		return fmt.Errorf("%w: %w", errNoneReadable, refused)
	}
	c.read = now
	for key, e := range c.entries {
		if e.refused {
			delete(c.entries, key)
		}
	}
	return nil
}

// sort returns what need not be read, what is to be read, and an object that the
// location let be read before, if there is one.
func (c *cache[T]) sort(listed []store.Info, now time.Time) (entries map[string]entry[T], due, good []store.Info) {
	entries = make(map[string]entry[T], len(listed))
	defer func() { // what matters most, and is most likely not in an archive
		slices.SortStableFunc(due, func(a, b store.Info) int { return b.Modified.Compare(a.Modified) })
	}()
	for _, info := range listed {
		e, known := c.entries[info.Key]
		if !known || !e.of(info) || e.again(now) {
			due = append(due, info)
			continue
		}
		entries[info.Key] = e
		if !e.refused {
			good = append(good[:0], info)
		}
	}
	return entries, due, good
}

// each reads objects, several at once, in their order. It leaves the rest out once
// so many were refused that none can be read.
func (r reader[T]) each(ctx context.Context, due []store.Info) ([]*entry[T], error) {
	fresh := make([]*entry[T], len(due))
	var readable, refused atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.parallel)
	for i, info := range due {
		group.Go(func() error {
			if readable.Load() == 0 && refused.Load() >= hopeless {
				return nil
			}
			e, err := r.one(ctx, info)
			switch {
			case err != nil:
				return err
			case e.archived:
			case e.refused:
				refused.Add(1)
			default:
				readable.Add(1)
			}
			fresh[i] = &e
			return nil
		})
	}
	return fresh, group.Wait()
}

// one reads an object. The error is that of ctx.
func (r reader[T]) one(ctx context.Context, info store.Info) (entry[T], error) {
	if ctx.Err() != nil {
		return entry[T]{}, ctx.Err()
	}
	value, err := r.read(ctx, info)
	if ctx.Err() != nil {
		return entry[T]{}, ctx.Err()
	}
	e := entry[T]{size: info.Size, modified: info.Modified, value: value}
	var content ContentError
	var clock clockError
	switch {
	case err == nil:
	case errors.As(err, &content):
		e.err = ContentError{short(err)}
	case errors.As(err, &clock) || errors.Is(err, store.ErrNotFound):
		e.err, e.retry = short(err), time.Unix(0, 0) // at the next reading
	default:
		e.err, e.refused, e.archived = short(err), true, errors.Is(err, store.ErrArchived)
	}
	return e, nil
}

// doubt decides whether the location still lets objects be read: it reads one that
// could be read before. If some were refused now, they are at fault or it is.
func (c *cache[T]) doubt(ctx context.Context, good []store.Info, refused error, now time.Time, r reader[T]) error {
	for _, info := range good {
		e, err := r.one(ctx, info)
		if err != nil {
			return err
		}
		if !e.refused {
			c.read = now
			return nil
		}
		refused = e.err
	}
	c.down = true
	return fmt.Errorf("%w: %w", errNoneReadable, refused)
}

// wait sets when an object that was refused is tried again.
func (e *entry[T]) wait(before entry[T], now time.Time) {
	if !e.refused {
		return
	}
	e.failures = 1
	if before.size == e.size && before.modified.Equal(e.modified) {
		e.failures += before.failures
	}
	pause := readAgain
	for range min(e.failures, 10) - 1 {
		pause *= 2
	}
	e.retry = now.Add(min(pause, readAgainMost))
}

func (c *cache[T]) get(key string) (T, error) {
	e := c.entries[key]
	return e.value, e.err
}

// short is the text of err, without what an object or a server may add to it
// without end.
func short(err error) error { return errors.New(jsonbound.Short(err).Error()) }

// clockError is an error of an object that may be right, if this clock is wrong: it
// is read again at each reading.
type clockError struct{ error }
