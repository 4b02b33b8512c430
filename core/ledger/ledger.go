package ledger

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

const (
	// readers is how many objects are read at once.
	readers = 8
	// everythingAgain is how often everything is listed again, for what came late.
	everythingAgain = 24 * time.Hour
	// lateBy is how long after its end a day is still looked at each time: for a
	// Put that took long, and clocks that disagree.
	lateBy = time.Hour
	// sealAfter is how old a day is when it is sealed, counted from its beginning.
	sealAfter = 48 * time.Hour
	// sealFrom is how many batches a seal is worth its writing for.
	sealFrom = 3
	// maxListed is how many objects a month may have.
	maxListed = 1_000_000
	// maxUnreadable bounds Totals.Unreadable.
	maxUnreadable = 1000
	// maxAhead is how far ahead of this clock another one may be.
	maxAhead = time.Hour
)

// Ledger is a ledger in a location, or in memory. It is safe for concurrent
// use; calls of Keep wait for each other.
type Ledger struct {
	name   string
	writer string
	open   func(context.Context) (store.Store, error) // nil: in memory
	now    func() time.Time

	mu      sync.Mutex
	current store.Store // nil when nothing is open
	started time.Time   // of the first Keep
	book    *book
	read    map[digest]struct{} // objects that need not be read
	// listed says that everything was listed and read once, ready that all of it
	// was understood: then the counts may be shown.
	listed, ready bool
	months        []string  // left of the reading of everything that is under way
	listedAt      time.Time // when everything was listed last
	readAt        time.Time // when the days that are still written to were
	sealable      []day
	batches       int // written, for their names
	unreadable    []error
	later         error // why this version is too old
}

// day is a day whose batches can be sealed.
type day struct {
	name    string
	batches []string
}

// New makes a ledger that is opened when it is first used, and again after a
// failure; a store that is an io.Closer is opened for each use. The name distinguishes
// ledgers of one location apart.
func New(name string, open func(context.Context) (store.Store, error)) (*Ledger, error) {
	if err := store.CheckName(name); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return &Ledger{
		name: name, writer: strings.ToLower(rand.Text()[:12]), open: open, now: time.Now,
		book: newBook(), read: map[digest]struct{}{},
	}, nil
}

// InMemory makes a ledger that begins now and ends with the process.
func InMemory() *Ledger {
	l := &Ledger{now: time.Now, book: newBook(), listed: true, ready: true}
	l.started = l.now()
	l.book.begin(l.started)
	return l
}

// Keep adds runs, those that the ledger holds already left out, and returns all
// that it holds, those of other writers included. After an error they stay in
// memory and in the counts; giving them again does no harm, and is what brings
// back those that were not taken. Counts never decrease from one return to the
// next.
//
// What was read before ctx ended is kept, so a first reading that takes longer
// than one call goes on at the next.
func (l *Ledger) Keep(ctx context.Context, runs []Run) (Totals, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.started.IsZero() {
		l.started = l.now()
	}
	if l.open == nil {
		err := l.add(runs)
		clear(l.book.pending) // there is nowhere to write to
		return l.totals(), err
	}
	var refused error
	if l.listed {
		refused = l.add(runs)
	} else {
		// What the ledger may hold is taken once it was read; only what ends
		// meanwhile could be gone by then.
		_ = l.add(slices.DeleteFunc(slices.Clone(runs), func(r Run) bool { return r.Ended.Before(l.started) }))
	}
	err := l.exchange(ctx, runs)
	if err != nil {
		l.release()
	}
	return l.totals(), errors.Join(refused, err, l.later)
}

// exchange reads what others wrote, then writes what they did not.
func (l *Ledger) exchange(ctx context.Context, runs []Run) error {
	s, err := l.opened(ctx)
	if err != nil {
		return fmt.Errorf("open the ledger: %w", err)
	}
	if l.book.since.IsZero() {
		if err := l.begin(ctx, s); err != nil {
			return err
		}
	}
	var refused error
	if !l.listed {
		if err := l.readEverything(ctx, s); err != nil {
			return err
		}
		refused = l.add(runs)
	} else if err := l.readRecent(ctx, s); err != nil {
		return err
	}
	if err := l.write(ctx, s); err != nil {
		return errors.Join(refused, err)
	}
	if l.months != nil || l.now().Sub(l.listedAt) >= everythingAgain {
		if err := l.readEverything(ctx, s); err != nil {
			return errors.Join(refused, err)
		}
	}
	return errors.Join(refused, l.seal(ctx, s))
}

// add takes runs into the book. Its error is of those it cannot take; the
// others are in.
func (l *Ledger) add(runs []Run) error {
	var refused error
	for _, r := range runs {
		err := r.check()
		if err == nil {
			err = l.book.add(r)
		}
		if err != nil && refused == nil {
			refused = fmt.Errorf("%s %.80q is not kept: %w", r.Kind, r.Name, err)
		}
	}
	return refused
}

func (l *Ledger) totals() Totals {
	t := Totals{Persistent: l.open != nil, Unreadable: slices.Clone(l.unreadable)}
	if l.ready {
		t.Since, t.Counts = l.book.since, maps.Clone(l.book.counts)
	}
	return t
}

// opened returns what is open, or opens it. A directory is opened each time: one
// that was unmounted, or mounted again, is not the one that was opened.
func (l *Ledger) opened(ctx context.Context) (store.Store, error) {
	if _, ok := l.current.(io.Closer); ok {
		l.release()
	}
	if l.current != nil {
		return l.current, nil
	}
	s, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	l.current = s
	return s, nil
}

func (l *Ledger) release() {
	if c, ok := l.current.(io.Closer); ok {
		_ = c.Close() // nothing was left unwritten in it
	}
	l.current = nil
}

// begin finds out when the ledger began, and begins it if no one did: with the
// first Keep, because from then on this process has looked.
func (l *Ledger) begin(ctx context.Context, s store.Store) error {
	e, err := l.epoch(ctx, s)
	if errors.Is(err, store.ErrNotFound) {
		if err = l.writeEpoch(ctx, s); err == nil || errors.Is(err, store.ErrExists) {
			e, err = l.epoch(ctx, s)
		}
	}
	if err != nil {
		return fmt.Errorf("begin ledger %s in %s: %w", l.name, s, err)
	}
	if e.Since.Sub(l.now()) > maxAhead {
		return fmt.Errorf("ledger %s in %s begins in the future (%s): a clock is wrong", l.name, s, e.Since)
	}
	l.book.begin(e.Since)
	return nil
}

func (l *Ledger) writeEpoch(ctx context.Context, s store.Store) error {
	raw, err := json.Marshal(epochRecord{Schema: Schema, Since: l.started.UTC().Truncate(time.Millisecond), Writer: l.writer})
	if err != nil {
		return err
	}
	return s.Put(ctx, store.RunsEpoch(l.name), bytes.NewReader(raw))
}

func (l *Ledger) epoch(ctx context.Context, s store.Store) (epochRecord, error) {
	key := store.RunsEpoch(l.name)
	r, err := s.Get(ctx, key)
	if err != nil {
		return epochRecord{}, err
	}
	defer r.Close()
	e, err := decodeEpoch(r)
	if err != nil {
		return epochRecord{}, fmt.Errorf("%s: %w", key, err)
	}
	return e, nil
}

// object is a batch or a seal of a listing.
type object struct{ key, day, name string }

func (o object) seal() bool { return o.name == store.RunsSealed }

// readRecent reads what came since the last time.
func (l *Ledger) readRecent(ctx context.Context, s store.Store) error {
	now := l.now()
	for _, day := range days(earlier(l.readAt, now).Add(-lateBy), now) {
		objects, err := l.list(ctx, s, day)
		if err != nil {
			return err
		}
		if err := l.readObjects(ctx, s, objects); err != nil {
			return err
		}
	}
	l.readAt = now
	return nil
}

// days are those from one time to another, both included.
func days(from, to time.Time) []string {
	var out []string
	for t := from.UTC().Truncate(24 * time.Hour); !t.After(to); t = t.Add(24 * time.Hour) {
		out = append(out, t.Format(time.DateOnly))
	}
	return out
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// readEverything reads the ledger month by month, or goes on where the last
// reading broke off: a listing cannot be resumed in its middle, and one for each
// day would be a request a day.
func (l *Ledger) readEverything(ctx context.Context, s store.Store) error {
	if l.months == nil {
		began := l.now()
		months, err := l.listMonths(ctx, s)
		if err != nil {
			return err
		}
		l.months, l.sealable = months, nil
		if !l.listed {
			l.readAt = began
		}
	}
	for len(l.months) > 0 {
		objects, err := l.list(ctx, s, l.months[0])
		if err != nil {
			return err
		}
		if err := l.readObjects(ctx, s, objects); err != nil {
			return err
		}
		l.sealable = append(l.sealable, unsealed(objects, l.now().Add(-sealAfter))...)
		l.months = l.months[1:]
	}
	l.months, l.listed, l.listedAt = nil, true, l.now()
	l.ready = l.ready || l.later == nil
	return nil
}

// unsealed are the days before a time that are worth a seal and have none.
func unsealed(objects []object, before time.Time) []day {
	var out []day
	sealed := map[string]bool{}
	for _, o := range objects {
		sealed[o.day] = sealed[o.day] || o.seal()
		if len(out) == 0 || out[len(out)-1].name != o.day {
			out = append(out, day{name: o.day})
		}
		last := &out[len(out)-1]
		last.batches = append(last.batches, o.name)
	}
	return slices.DeleteFunc(out, func(d day) bool {
		return sealed[d.name] || len(d.batches) < sealFrom || d.name > before.UTC().Format(time.DateOnly)
	})
}

// listMonths are the months of which there is a day, in the form 2006-01.
func (l *Ledger) listMonths(ctx context.Context, s store.Store) ([]string, error) {
	months := []string{}
	for info, err := range s.List(ctx, store.RunsPrefix+l.name+"/", false) {
		if err != nil {
			return nil, fmt.Errorf("list ledger %s in %s: %w", l.name, s, err)
		}
		day := path.Base(info.Key)
		if _, err := time.Parse(time.DateOnly, day); err == nil && info.IsPrefix() {
			months = append(months, day[:len("2006-01")])
		}
	}
	return slices.Compact(months), nil
}

// list lists the objects of a day or a month.
func (l *Ledger) list(ctx context.Context, s store.Store, when string) ([]object, error) {
	var out []object
	for info, err := range s.List(ctx, store.RunsPrefix+l.name+"/"+when, true) {
		if err != nil {
			return nil, fmt.Errorf("list ledger %s in %s: %w", l.name, s, err)
		}
		_, day, name, ok := store.SplitRuns(info.Key)
		if !ok {
			l.leaveOut(info.Key, fmt.Errorf("%s: no object of a ledger has such a name", info.Key))
			continue
		}
		if len(out) == maxListed {
			return nil, fmt.Errorf("list ledger %s in %s: more than %d objects in %s", l.name, s, maxListed, when)
		}
		out = append(out, object{key: info.Key, day: day, name: name})
	}
	return out, nil
}

// readObjects reads what was not read yet, seals first: they spare their
// batches.
func (l *Ledger) readObjects(ctx context.Context, s store.Store, objects []object) error {
	for _, seals := range []bool{true, false} {
		var unread []object
		for _, o := range objects {
			if o.seal() == seals && !l.wasRead(o.key) {
				unread = append(unread, o)
			}
		}
		for some := range slices.Chunk(unread, readers) {
			if err := l.readSome(ctx, s, some); err != nil {
				return err
			}
		}
	}
	return nil
}

// readSome reads a few objects at once and takes their runs in the order of the
// keys, so that whoever reads a ledger from its beginning counts the same, even
// where two writers disagree of a run. One that fails stops none of the others.
func (l *Ledger) readSome(ctx context.Context, s store.Store, objects []object) error {
	records, errs := fetch(ctx, s, objects)
	var failed error
	for i, o := range objects {
		switch err := errs[i]; {
		case err == nil:
			l.take(o, records[i])
		case errors.Is(err, ErrLater):
			l.later = fmt.Errorf("%s: %w", o.key, err)
			l.markRead(o.key)
		case errors.Is(err, errContent):
			l.leaveOut(o.key, fmt.Errorf("%s: %w", o.key, err))
		case failed == nil:
			failed = fmt.Errorf("read ledger %s in %s: %s: %w", l.name, s, o.key, err)
		}
	}
	return failed
}

// fetch reads objects at once. What it returns is in their order.
func fetch(ctx context.Context, s store.Store, objects []object) ([]record, []error) {
	records, errs := make([]record, len(objects)), make([]error, len(objects))
	var group errgroup.Group
	for i, o := range objects {
		group.Go(func() error {
			records[i], errs[i] = fetchOne(ctx, s, o.key)
			return nil
		})
	}
	_ = group.Wait() // none returns an error: each has its own
	return records, errs
}

func fetchOne(ctx context.Context, s store.Store, key string) (record, error) {
	r, err := s.Get(ctx, key)
	if err != nil {
		return record{}, err
	}
	defer r.Close()
	return decodeRecord(ctx, r)
}

func (l *Ledger) take(o object, rec record) {
	for _, r := range rec.Runs {
		l.book.read(r)
	}
	l.markRead(o.key)
	if o.seal() {
		for _, batch := range rec.Batches {
			l.markRead(store.RunsBatch(l.name, o.day, batch))
		}
	}
}

func (l *Ledger) wasRead(key string) bool {
	_, ok := l.read[digestOf(key)]
	return ok
}

func (l *Ledger) markRead(key string) { l.read[digestOf(key)] = struct{}{} }

func (l *Ledger) leaveOut(key string, err error) {
	if !l.wasRead(key) && len(l.unreadable) < maxUnreadable {
		l.unreadable = append(l.unreadable, err)
	}
	l.markRead(key)
}

// write writes what no other writer wrote.
func (l *Ledger) write(ctx context.Context, s store.Store) error {
	if len(l.book.pending) == 0 {
		return nil
	}
	if err := l.checkEpoch(ctx, s); err != nil {
		return err
	}
	runs := slices.SortedFunc(maps.Values(l.book.pending), func(a, b Run) int {
		return cmp.Or(a.Ended.Compare(b.Ended), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	for some := range slices.Chunk(runs, maxRuns) {
		if err := l.writeBatch(ctx, s, some); err != nil {
			return fmt.Errorf("write %d runs to ledger %s in %s: %w", len(some), l.name, s, err)
		}
	}
	return nil
}

// checkEpoch makes sure that the ledger is the one that was read: what is written
// into the empty directory of a volume that is not mounted would be lost.
func (l *Ledger) checkEpoch(ctx context.Context, s store.Store) error {
	e, err := l.epoch(ctx, s)
	if err == nil && !e.Since.Equal(l.book.since) {
		err = fmt.Errorf("it began %s, the one that was read %s", e.Since, l.book.since)
	}
	if err != nil {
		return fmt.Errorf("ledger %s in %s is not the one that was read (if it was removed on purpose, restart to begin a new one): %w", l.name, s, err)
	}
	return nil
}

// writeBatch writes one object. No name is used twice: after an error the object
// may be there all the same, and is read then like any other.
func (l *Ledger) writeBatch(ctx context.Context, s store.Store, runs []Run) error {
	now := l.now().UTC()
	l.batches++
	name := fmt.Sprintf("%s-%s-%d", now.Format("150405.000"), l.writer, l.batches)
	key := store.RunsBatch(l.name, now.Format(time.DateOnly), name)
	raw, err := encodeRecord(record{Writer: l.writer, Written: now, Runs: runs})
	if errors.Is(err, errTooLarge) && len(runs) > 1 {
		half := len(runs) / 2
		if err := l.writeBatch(ctx, s, runs[:half]); err != nil {
			return err
		}
		return l.writeBatch(ctx, s, runs[half:])
	}
	if err != nil {
		return err
	}
	if err := s.Put(ctx, key, bytes.NewReader(raw)); err != nil {
		return err
	}
	l.markRead(key)
	for _, r := range runs {
		delete(l.book.pending, r.digest())
	}
	return nil
}

// seal writes the runs of one day into one object, so that the next start reads
// that one. The batches stay: where object lock reigns they must, and a seal that
// got damaged is no loss.
func (l *Ledger) seal(ctx context.Context, s store.Store) error {
	if len(l.sealable) == 0 {
		return nil
	}
	d := l.sealable[0]
	rec, err := l.gather(ctx, s, d)
	if err == nil && len(rec.Batches) >= sealFrom {
		err = l.writeSeal(ctx, s, d.name, rec)
	}
	if err != nil {
		return fmt.Errorf("seal %s of ledger %s in %s: %w", d.name, l.name, s, err)
	}
	l.sealable = l.sealable[1:]
	return nil
}

// gather reads the batches of a day again, as many as fit into one object. What
// is malformed is not named in the seal, so it stays for a version that
// understands it.
func (l *Ledger) gather(ctx context.Context, s store.Store, d day) (record, error) {
	out := record{Writer: l.writer, Written: l.now().UTC()}
	known := map[digest]bool{}
	for names := range slices.Chunk(d.batches, readers) {
		var objects []object
		for _, name := range names {
			objects = append(objects, object{key: store.RunsBatch(l.name, d.name, name), day: d.name, name: name})
		}
		records, errs := fetch(ctx, s, objects)
		for i, o := range objects {
			switch err := errs[i]; {
			case errors.Is(err, ErrLater) || errors.Is(err, errContent):
				continue
			case err != nil:
				return record{}, err
			}
			if len(out.Runs)+len(records[i].Runs) > maxRuns {
				return out, nil
			}
			out.Batches = append(out.Batches, o.name)
			for _, r := range records[i].Runs {
				if d := r.digest(); !known[d] {
					known[d] = true
					out.Runs = append(out.Runs, r)
				}
			}
		}
	}
	return out, nil
}

func (l *Ledger) writeSeal(ctx context.Context, s store.Store, day string, rec record) error {
	raw, err := encodeRecord(rec)
	if errors.Is(err, errTooLarge) {
		return nil // its batches are read one by one
	}
	if err != nil {
		return err
	}
	key := store.RunsSeal(l.name, day)
	if err := s.Put(ctx, key, bytes.NewReader(raw)); err != nil && !errors.Is(err, store.ErrExists) {
		return err
	}
	l.markRead(key)
	return nil
}
