package ledger

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// digest represents the identity of a run, or the key of an object. It is
// what has to be remembered of each for as long as the process lives; 16 bytes
// of SHA-256 keep two of them apart even against an attacker.
type digest [16]byte

func digestOf(parts ...string) digest {
	// On the stack: every refresh asks for those of all runs there are.
	buf := make([]byte, 0, 512)
	for _, p := range parts {
		buf = append(append(buf, p...), 0)
	}
	sum := sha256.Sum256(buf)
	return digest(sum[:16])
}

func (r Run) digest() digest { return digestOf(string(r.Kind), r.ID) }

// maxPending is how many runs are kept in memory for a location that does not
// take them.
const maxPending = 100_000

// book is the set of runs, counted. It does no IO.
type book struct {
	since   time.Time // zero until the epoch is known
	known   map[digest]struct{}
	pending map[digest]Run // given to Keep and not seen in the location yet
	counts  map[Key]Count
}

func newBook() *book {
	return &book{known: map[digest]struct{}{}, pending: map[digest]Run{}, counts: map[Key]Count{}}
}

// add takes a run that was given to Keep.
func (b *book) add(r Run) error {
	d := r.digest()
	if _, known := b.known[d]; known || b.before(r) {
		return nil
	}
	if _, pending := b.pending[d]; !pending && len(b.pending) >= maxPending {
		return fmt.Errorf("%d runs wait to be written; no more are taken until the location takes them", maxPending)
	}
	b.pending[d] = r
	if !b.since.IsZero() {
		b.count(d, r)
	}
	return nil
}

// begin sets the epoch, and counts what was given before it was known.
func (b *book) begin(since time.Time) {
	b.since = since
	for d, r := range b.pending {
		if b.before(r) {
			delete(b.pending, d)
			continue
		}
		b.count(d, r)
	}
}

// read takes a run that is in the location.
func (b *book) read(r Run) {
	d := r.digest()
	delete(b.pending, d)
	if _, known := b.known[d]; known || b.before(r) {
		return
	}
	b.count(d, r)
}

// before reports whether a run belongs to the time before the epoch.
func (b *book) before(r Run) bool { return r.Ended.Before(b.since) }

func (b *book) count(d digest, r Run) {
	b.known[d] = struct{}{}
	key := Key{Kind: r.Kind, Subject: r.Subject, Outcome: r.Outcome, Reason: r.Reason}
	c := b.counts[key]
	c.add(r)
	b.counts[key] = c
}

// maxTook is what longer durations count as, so that a clock that was set years
// back does not drown all others.
const maxTook = 366 * 24 * time.Hour

func (c *Count) add(r Run) {
	one := Count{Runs: 1, Snapshots: counted(r.Snapshots), CSISnapshots: counted(r.CSISnapshots), LastStarted: r.Started}
	if r.Warnings > 0 {
		one.Warned = 1
	}
	took := min(max(r.Ended.Sub(r.Started), 0), maxTook)
	one.TookMillis = uint64(took.Milliseconds())
	one.Took[bucketOf(took)] = 1
	*c = c.Plus(one)
}

// Plus is the count of the runs of both.
func (c Count) Plus(o Count) Count {
	c.Runs += o.Runs
	c.Warned += o.Warned
	c.Snapshots = c.Snapshots.plus(o.Snapshots)
	c.CSISnapshots = c.CSISnapshots.plus(o.CSISnapshots)
	for i, n := range o.Took {
		c.Took[i] += n
	}
	c.TookMillis += o.TookMillis
	if o.LastStarted.After(c.LastStarted) {
		c.LastStarted = o.LastStarted
	}
	return c
}

func (s Snapshots) plus(o Snapshots) Snapshots {
	return Snapshots{Attempted: s.Attempted + o.Attempted, Completed: s.Completed + o.Completed}
}

// counted never has more completed than attempted, so that the difference of
// sums does not decrease either.
func counted(s *Snapshots) Snapshots {
	if s == nil {
		return Snapshots{}
	}
	return Snapshots{Attempted: s.Attempted, Completed: min(s.Attempted, s.Completed)}
}

func bucketOf(took time.Duration) int {
	for i, bound := range DurationBuckets {
		if took.Seconds() <= bound {
			return i
		}
	}
	return len(DurationBuckets)
}
