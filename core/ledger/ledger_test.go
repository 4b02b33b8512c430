package ledger

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/core/store/storetest"
)

// noon is when the ledgers of the tests begin.
var noon = time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)

// clock is a process's own.
type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) after(d time.Duration)   { c.t = c.t.Add(d) }
func at(t time.Time) *clock              { return &clock{t} }
func backupAt(end time.Time, n int) Run  { return ended(end, n, "Completed") }
func failureAt(end time.Time, n int) Run { return ended(end, n, "Failed") }

func ended(end time.Time, n int, outcome string) Run {
	return Run{
		Kind: Backup, ID: fmt.Sprintf("db-%d", n), Subject: "db", Outcome: outcome, Name: fmt.Sprintf("db-%d", n),
		Started: end.Add(-10 * time.Minute), Ended: end,
	}
}

// process is a ledger as a new process opens it.
func process(t testing.TB, s store.Store, c *clock) *Ledger {
	t.Helper()
	l, err := New("default", func(context.Context) (store.Store, error) { return s, nil })
	require.NoError(t, err)
	l.now = c.now
	return l
}

func keep(t testing.TB, l *Ledger, runs ...Run) Totals {
	t.Helper()
	totals, err := l.Keep(context.Background(), runs)
	require.NoError(t, err)
	return totals
}

// count is the number of backups of an outcome.
func count(totals Totals, outcome string) int {
	return int(totals.Counts[Key{Kind: Backup, Subject: "db", Outcome: outcome}].Runs)
}

func TestWhatWasKeptIsThereAfterARestart(t *testing.T) {
	s, c := mem.New(), at(noon)
	first := process(t, s, c)
	empty := keep(t, first)
	assert.Equal(t, noon, empty.Since)
	assert.True(t, empty.Persistent)
	assert.Empty(t, empty.Counts)

	c.after(time.Hour)
	kept := keep(t, first, backupAt(c.t, 1), failureAt(c.t, 2))
	assert.Equal(t, 1, count(kept, "Completed"))
	assert.Equal(t, 1, count(kept, "Failed"))
	assert.Equal(t, kept, keep(t, first, backupAt(c.t, 1), failureAt(c.t, 2)), "the same runs again are the same runs")

	c.after(400 * 24 * time.Hour)
	assert.Equal(t, kept, keep(t, process(t, s, c)), "nothing was given to the second process")
}

func TestRunsThatEndedBeforeTheLedgerBeganAreInNoCount(t *testing.T) {
	s, c := mem.New(), at(noon)
	totals := keep(t, process(t, s, c), backupAt(noon.Add(-time.Second), 1), backupAt(noon, 2))
	assert.Equal(t, 1, count(totals, "Completed"))
	c.after(time.Hour)
	totals = keep(t, process(t, s, c), backupAt(noon.Add(-time.Second), 1))
	assert.Equal(t, noon, totals.Since, "the first process decided")
	assert.Equal(t, 1, count(totals, "Completed"))
}

func TestTwoWritersOfTheSameRunsCountThemOnce(t *testing.T) {
	s, c := mem.New(), at(noon)
	a, b := process(t, s, c), process(t, s, c)
	keep(t, a)
	keep(t, b)
	c.after(time.Minute)
	keep(t, a, backupAt(c.t, 1), backupAt(c.t, 2))
	both := keep(t, b, backupAt(c.t, 2), backupAt(c.t, 3))
	assert.Equal(t, 3, count(both, "Completed"))
	assert.Equal(t, both, keep(t, a))
	assert.Equal(t, both, keep(t, process(t, s, c)))
}

// Each run is seen by two of the writers, and what each says never decreases.
func TestWritersAtOnceInADirectoryLoseNothing(t *testing.T) {
	dir := t.TempDir()
	open := func(context.Context) (store.Store, error) { return fs.Open(dir, false) }
	const writers, each = 4, 20
	ledgers := make([]*Ledger, writers+1)
	for w := range ledgers {
		l, err := New("default", open)
		require.NoError(t, err)
		ledgers[w] = l
	}
	end := time.Now().Add(time.Minute)
	var group errgroup.Group
	for w, l := range ledgers[:writers] {
		group.Go(func() error {
			before := 0
			for n := range each {
				totals, err := l.Keep(context.Background(), []Run{backupAt(end, w*each+n), backupAt(end, (w+1)%writers*each+n)})
				if err != nil {
					return err
				}
				if now := count(totals, "Completed"); now < before {
					return fmt.Errorf("%d after %d", now, before)
				}
				before = count(totals, "Completed")
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	for _, l := range ledgers {
		assert.Equal(t, writers*each, count(keep(t, l), "Completed"))
	}
}

// steps are what a process does in a day and a bit: it begins, writes, finds
// what another wrote, and seals.
func steps(s store.Store, c *clock) (l *Ledger, step func(n int) error) {
	l, _ = New("default", func(context.Context) (store.Store, error) { return s, nil })
	l.now = c.now
	return l, func(n int) error {
		c.after(9 * time.Hour)
		_, err := l.Keep(context.Background(), []Run{backupAt(c.t, n)})
		return err
	}
}

const manySteps = 14

// faults are all failures of one call. The very first call finds no epoch, so
// there is nothing of which it could fail during or after.
func faults(calls int, kill bool) []storetest.Fault {
	out := []storetest.Fault{{Method: storetest.Any, Nth: 1, Kill: kill}}
	for nth := 2; nth <= calls; nth++ {
		for _, when := range []storetest.When{storetest.Before, storetest.During, storetest.After} {
			out = append(out, storetest.Fault{Method: storetest.Any, Nth: nth, When: when, Kill: kill})
		}
	}
	return out
}

func TestADeathAtAnyCallLosesNothingThatWasAcknowledged(t *testing.T) {
	run := func(s store.Store) (acknowledged int) {
		_, step := steps(s, at(noon))
		for n := range manySteps {
			if step(n) == nil {
				acknowledged++
			}
		}
		return acknowledged
	}
	all := storetest.Calls(mem.New())
	require.Equal(t, manySteps, run(all))
	require.Greater(t, all.Count(storetest.Put), manySteps+1, "days were sealed")
	for _, fault := range faults(all.Count(storetest.Any), true) {
		behind := mem.New()
		faulty := storetest.NewFaults(behind, fault)
		acknowledged := run(faulty)
		faulty.AssertAllFired(t)
		totals := keep(t, process(t, behind, at(noon.Add(1000*time.Hour))))
		assert.GreaterOrEqual(t, count(totals, "Completed"), acknowledged, "%s call %d", fault.When, fault.Nth)
		assert.Empty(t, totals.Unreadable)
	}
}

func TestAFailureAtAnyCallIsMadeUpForAndNothingIsCountedTwice(t *testing.T) {
	all := storetest.Calls(mem.New())
	_, step := steps(all, at(noon))
	for n := range manySteps {
		require.NoError(t, step(n))
	}
	for _, fault := range faults(all.Count(storetest.Any), false) {
		behind := mem.New()
		faulty := storetest.NewFaults(behind, fault)
		c := at(noon)
		l, step := steps(faulty, c)
		failed, before := 0, 0
		for n := range manySteps {
			if step(n) != nil {
				failed++
			}
			now := count(l.totals(), "Completed")
			assert.GreaterOrEqual(t, now, before)
			before = now
		}
		faulty.AssertAllFired(t)
		totals := keep(t, l)
		assert.LessOrEqual(t, failed, 1)
		assert.Equal(t, manySteps, count(totals, "Completed"), "%s call %d", fault.When, fault.Nth)
		assert.Equal(t, totals, keep(t, process(t, behind, c)), "%s call %d", fault.When, fault.Nth)
	}
}

// history writes a ledger of some days with a batch in each hour, and returns
// how many runs it holds. The process goes on an hour after the last.
func history(t testing.TB, s store.Store, c *clock, days int) (runs int) {
	t.Helper()
	l := process(t, s, c)
	for range days * 24 {
		keep(t, l, backupAt(c.t, runs))
		runs++
		c.after(time.Hour)
	}
	return runs
}

func TestWhatALedgerCosts(t *testing.T) {
	behind, c := mem.New(), at(noon.Truncate(24*time.Hour))
	const days = 20
	runs := history(t, behind, c, days)

	counted := storetest.Calls(behind)
	l := process(t, counted, c)
	totals := keep(t, l)
	assert.Equal(t, runs, count(totals, "Completed"))
	gets, lists := counted.Count(storetest.Get), counted.Count(storetest.List)
	t.Logf("start after %d days of 24 batches: %d listings, %d GETs", days, lists, gets)
	assert.LessOrEqual(t, gets, days+1+3*24, "the epoch, a seal for each day, and the batches of days not sealed yet")
	assert.LessOrEqual(t, lists, 1+days/30+2, "the months, and one for each")

	const refreshes = 120
	before := len(counted.Calls())
	for range refreshes {
		c.after(time.Minute)
		keep(t, l)
	}
	steady := len(counted.Calls()) - before
	assert.LessOrEqual(t, steady, refreshes+60+48, "a listing at each refresh, a second one in the first hour of a day, and days sealed meanwhile")

	before = len(counted.Calls())
	keep(t, l, backupAt(c.t, runs))
	assert.Len(t, counted.Calls()[before:], 3, "a run costs a look at the epoch and a PUT beside the listing")

	other := process(t, behind, c)
	keep(t, other, backupAt(c.t, runs+1))
	before = len(counted.Calls())
	assert.Equal(t, runs+2, count(keep(t, l), "Completed"))
	assert.Len(t, counted.Calls()[before:], 2, "a batch of another writer costs a GET")
}

func TestABatchThatComesAfterItsDayWasSealedIsRead(t *testing.T) {
	s, c := mem.New(), at(noon.Truncate(24*time.Hour))
	runs := history(t, s, c, 5)
	reader := process(t, s, c)
	keep(t, reader)

	late := process(t, s, at(c.t.AddDate(0, 0, -4)))
	_, err := late.Keep(context.Background(), nil)
	require.NoError(t, err)
	require.Equal(t, runs+1, count(keep(t, late, backupAt(c.t, runs)), "Completed"))

	assert.Equal(t, runs+1, count(keep(t, process(t, s, c)), "Completed"), "at a start")
	assert.Equal(t, runs, count(keep(t, reader), "Completed"))
	c.after(24 * time.Hour)
	assert.Equal(t, runs+1, count(keep(t, reader), "Completed"), "and within a day")
}

func TestAWriterWhoseClockIsAheadLosesNothing(t *testing.T) {
	s, c := mem.New(), at(noon)
	l := process(t, s, c)
	keep(t, l)
	ahead := process(t, s, at(noon.AddDate(0, 0, 10)))
	keep(t, ahead, backupAt(noon.Add(time.Hour), 1))
	c.after(24 * time.Hour)
	assert.Equal(t, 1, count(keep(t, l), "Completed"))
	assert.Equal(t, 1, count(keep(t, process(t, s, c)), "Completed"))
}

func TestAnOutageOfDaysMissesNoBatch(t *testing.T) {
	s, c := mem.New(), at(noon)
	l := process(t, s, c)
	keep(t, l)
	c.after(10 * time.Hour)
	keep(t, process(t, s, c), backupAt(c.t, 1))
	c.after(13 * time.Hour) // late on the next morning, before everything is read again
	assert.Equal(t, 1, count(keep(t, l), "Completed"))
}

func TestALocationThatIsDownKeepsCountingInMemory(t *testing.T) {
	behind, c := mem.New(), at(noon)
	down := false
	l, err := New("default", func(context.Context) (store.Store, error) {
		if down {
			return nil, errors.New("no route to host")
		}
		return closing{behind}, nil
	})
	require.NoError(t, err)
	l.now = c.now
	keep(t, l)

	down = true
	c.after(time.Minute)
	totals, err := l.Keep(t.Context(), []Run{failureAt(c.t, 1)})
	require.ErrorContains(t, err, "open the ledger: no route to host")
	assert.Equal(t, 1, count(totals, "Failed"))
	totals, err = l.Keep(t.Context(), nil) // its backup is gone
	require.Error(t, err)
	assert.Equal(t, 1, count(totals, "Failed"))

	down = false
	assert.Equal(t, 1, count(keep(t, l), "Failed"))
	assert.Equal(t, 1, count(keep(t, process(t, behind, c)), "Failed"))
}

// closing is a store that wants to be closed, and so to be opened each time.
type closing struct{ store.Store }

func (closing) Close() error { return nil }

func TestWhatEndsBeforeTheLedgerWasReadIsNotForgotten(t *testing.T) {
	behind, c := mem.New(), at(noon)
	history(t, behind, c, 1)
	down := true
	l, err := New("default", func(context.Context) (store.Store, error) {
		if down {
			return nil, errors.New("no route to host")
		}
		return behind, nil
	})
	require.NoError(t, err)
	l.now = c.now
	totals, err := l.Keep(t.Context(), []Run{backupAt(noon.AddDate(-1, 0, 0), 1000)})
	require.Error(t, err)
	assert.Zero(t, totals.Since, "nothing is shown: it would be less than what was shown before")
	assert.Empty(t, totals.Counts)
	c.after(time.Minute)
	_, err = l.Keep(t.Context(), []Run{failureAt(c.t, 1001)})
	require.Error(t, err)
	down = false
	totals = keep(t, l)
	assert.Equal(t, 24, count(totals, "Completed"))
	assert.Equal(t, 1, count(totals, "Failed"))
}

func TestAFirstReadingThatBreaksOffGoesOn(t *testing.T) {
	behind, c := mem.New(), at(noon.Truncate(24*time.Hour))
	runs := history(t, behind, c, 15)
	whole := storetest.Calls(behind)
	keep(t, process(t, whole, c))

	for _, every := range []int{5, 20} {
		counted := storetest.Calls(behind)
		ctx, cancel := context.WithCancel(t.Context())
		limited := &limited{Store: counted, left: every, cut: cancel}
		l := process(t, limited, c)
		attempts := 0
		for {
			attempts++
			totals, err := l.Keep(ctx, nil)
			if err == nil {
				assert.Equal(t, runs, count(totals, "Completed"))
				break
			}
			require.ErrorIs(t, err, context.Canceled)
			require.Zero(t, totals.Since)
			require.Less(t, attempts, 200, "it never comes to an end")
			ctx, limited.cut = context.WithCancel(t.Context())
			limited.left = every
		}
		assert.Greater(t, attempts, 1)
		assert.LessOrEqual(t, counted.Count(storetest.Get), whole.Count(storetest.Get)+attempts*readers)
		limited.cut()
	}
}

// limited ends the context of its user after some GETs.
type limited struct {
	store.Store
	mu   sync.Mutex
	left int
	cut  context.CancelFunc
}

func (l *limited) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left--; l.left < 0 {
		l.cut()
		return nil, context.Canceled
	}
	return l.Store.Get(ctx, key)
}

func TestALedgerThatWasReplacedIsNotWrittenInto(t *testing.T) {
	current, c := mem.New(), at(noon)
	l, err := New("default", func(context.Context) (store.Store, error) { return closing{current}, nil })
	require.NoError(t, err)
	l.now = c.now
	keep(t, l)
	mounted := current
	current = mem.New() // as the directory below a volume that was unmounted
	c.after(time.Minute)
	totals, err := l.Keep(t.Context(), []Run{backupAt(c.t, 1)})
	require.ErrorContains(t, err, "is not the one that was read")
	assert.Equal(t, 1, count(totals, "Completed"))
	assert.Zero(t, objects(t, current))
	current = mounted
	assert.Equal(t, 1, count(keep(t, l), "Completed"))
	assert.Equal(t, 2, objects(t, current))
}

func objects(t *testing.T, s store.Store) (n int) {
	t.Helper()
	for _, err := range s.List(t.Context(), "", true) {
		require.NoError(t, err)
		n++
	}
	return n
}

func put(t *testing.T, s store.Store, key string, content []byte) {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), key, bytes.NewReader(content)))
}

func packed(t *testing.T, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := io.WriteString(z, content)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return out.Bytes()
}

func TestAnObjectThatMakesNoSenseLosesNoOther(t *testing.T) {
	bomb := `{"schema":"` + Schema + `","runs":[` + strings.Repeat("{},", 3*maxValues) + `{}]}`
	for name, content := range map[string][]byte{
		"empty":               {},
		"no gzip":             []byte(`{"schema":"` + Schema + `"}`),
		"torn":                packed(t, `{"schema":"`+Schema+`","runs":[]}`)[:20],
		"no JSON":             packed(t, "runs"),
		"two documents":       packed(t, `{"schema":"`+Schema+`"}{}`),
		"another schema":      packed(t, `{"schema":"example.com/v1","runs":[]}`),
		"a bomb":              packed(t, bomb),
		"a long string":       packed(t, `{"schema":"`+Schema+`","writer":"`+strings.Repeat("a", maxBytes)+`"}`),
		"a run without an id": packed(t, `{"schema":"`+Schema+`","runs":[{"kind":"backup","outcome":"Completed","ended":"2026-11-23T00:00:00Z"}]}`),
		"a run without end":   packed(t, `{"schema":"`+Schema+`","runs":[{"kind":"backup","id":"x","outcome":"Completed"}]}`),
		"snapshots below 0":   packed(t, `{"schema":"`+Schema+`","runs":[{"kind":"backup","id":"x","outcome":"Completed","ended":"2026-11-23T00:00:00Z","snapshots":{"attempted":-1}}]}`),
	} {
		t.Run(name, func(t *testing.T) {
			s, c := mem.New(), at(noon)
			history(t, s, c, 1)
			key := store.RunsBatch("default", c.t.Format(time.DateOnly), "000000.000-other-1")
			put(t, s, key, content)
			put(t, s, store.RunsPrefix+"default/"+c.t.Format(time.DateOnly)+"/notes.txt", nil)
			l := process(t, s, c)
			totals := keep(t, l)
			assert.Equal(t, 24, count(totals, "Completed"))
			require.Len(t, totals.Unreadable, 2)
			found := errors.Join(totals.Unreadable...)
			assert.ErrorContains(t, found, key)
			assert.ErrorContains(t, found, "notes.txt")

			counted := storetest.Calls(s)
			l.current = counted
			assert.Len(t, keep(t, l).Unreadable, 2)
			assert.Zero(t, counted.Count(storetest.Get), "it is not read again and again")
		})
	}
}

func TestADamagedSealIsMadeUpForByItsBatches(t *testing.T) {
	s, c := mem.New(), at(noon.Truncate(24*time.Hour))
	runs := history(t, s, c, 5)
	day := noon.Format(time.DateOnly)
	require.NoError(t, s.Delete(t.Context(), store.RunsSeal("default", day)))
	put(t, s, store.RunsSeal("default", day), []byte("damaged"))
	totals := keep(t, process(t, s, c))
	assert.Equal(t, runs, count(totals, "Completed"))
	assert.Len(t, totals.Unreadable, 1)
}

func TestWhatALaterVersionWroteIsAnErrorNotASmallerCount(t *testing.T) {
	s, c := mem.New(), at(noon)
	runs := history(t, s, c, 1)
	running := process(t, s, c)
	keep(t, running)
	put(t, s, store.RunsBatch("default", c.t.Format(time.DateOnly), "000000.000-other-1"), packed(t, `{"schema":"lifeboat.dev/runs/v2","entries":1}`))

	totals, err := running.Keep(t.Context(), []Run{backupAt(c.t, runs)})
	require.ErrorIs(t, err, ErrLater)
	assert.ErrorContains(t, err, "lifeboat.dev/runs/v2")
	assert.Equal(t, runs+1, count(totals, "Completed"), "what was shown stays")
	_, err = running.Keep(t.Context(), nil)
	require.ErrorIs(t, err, ErrLater, "and it is said each time")

	started := process(t, s, c)
	totals, err = started.Keep(t.Context(), []Run{backupAt(c.t, runs+1)})
	require.ErrorIs(t, err, ErrLater)
	assert.Zero(t, totals.Since)
	assert.Empty(t, totals.Counts, "a process that never understood all of it shows nothing")

	counts, err := process(t, s, c).Keep(t.Context(), nil)
	require.ErrorIs(t, err, ErrLater)
	assert.Empty(t, counts.Counts)
}

func TestAnEpochThatMakesNoSenseIsAnError(t *testing.T) {
	for name, tt := range map[string]struct{ epoch, want string }{
		"damaged":       {"{", "malformed record"},
		"empty":         {`{"schema":"` + Schema + `"}`, "it does not say when"},
		"later version": {`{"schema":"lifeboat.dev/runs/v2"}`, "later version"},
		"in the future": {`{"schema":"` + Schema + `","since":"2099-01-01T00:00:00Z"}`, "begins in the future"},
	} {
		t.Run(name, func(t *testing.T) {
			s := mem.New()
			put(t, s, store.RunsEpoch("default"), []byte(tt.epoch))
			totals, err := process(t, s, at(noon)).Keep(t.Context(), []Run{backupAt(noon, 1)})
			require.ErrorContains(t, err, tt.want)
			assert.Zero(t, totals.Since)
			assert.Equal(t, 1, objects(t, s))
		})
	}
}

func TestARunThatCannotBeKeptIsSaidAndStopsNoOther(t *testing.T) {
	s, c := mem.New(), at(noon)
	bad := backupAt(noon, 1)
	bad.Subject = strings.Repeat("x", 300)
	totals, err := process(t, s, c).Keep(t.Context(), []Run{bad, backupAt(noon, 2)})
	require.ErrorContains(t, err, `backup "db-1" is not kept: its subject has 300 bytes`)
	assert.Equal(t, 1, count(totals, "Completed"))
	assert.Equal(t, 1, count(keep(t, process(t, s, c)), "Completed"))
}

func TestMoreRunsThanFitIntoOneObjectAreWrittenIntoSeveral(t *testing.T) {
	s, c := mem.New(), at(noon)
	runs := make([]Run, 2*maxRuns+1)
	for n := range runs {
		runs[n] = backupAt(noon, n)
	}
	keep(t, process(t, s, c), runs...)
	assert.Equal(t, 4, objects(t, s))
	assert.Equal(t, len(runs), count(keep(t, process(t, s, c)), "Completed"))

	c.after(72 * time.Hour)
	l := process(t, s, c)
	keep(t, l)
	keep(t, l)
	assert.Equal(t, len(runs), count(keep(t, process(t, s, c)), "Completed"), "nor is more sealed than fits")
}

func TestRunsWithLongNamesAreWrittenIntoSmallerObjects(t *testing.T) {
	s, c := mem.New(), at(noon)
	runs := make([]Run, maxRuns)
	for n := range runs {
		runs[n] = backupAt(noon, n)
		runs[n].ID += strings.Repeat("<", 300) // six bytes each in JSON
	}
	keep(t, process(t, s, c), runs...)
	assert.Equal(t, 3, objects(t, s))
	totals := keep(t, process(t, s, c))
	assert.Equal(t, len(runs), count(totals, "Completed"))
	assert.Empty(t, totals.Unreadable)
}

func TestALocationThatTakesNothingDoesNotFillTheMemory(t *testing.T) {
	b := newBook()
	b.begin(noon)
	for n := range maxPending {
		require.NoError(t, b.add(backupAt(noon, n)))
	}
	assert.ErrorContains(t, b.add(backupAt(noon, maxPending)), "wait to be written")
	assert.NoError(t, b.add(backupAt(noon, 1)), "one that waits already is no more")
	assert.EqualValues(t, maxPending, b.counts[Key{Kind: Backup, Subject: "db", Outcome: "Completed"}].Runs, "what is not taken is not counted, or it would be forgotten later")
}

func TestALedgerInMemoryBeginsWithTheProcess(t *testing.T) {
	l := InMemory()
	totals := keep(t, l, backupAt(time.Now().Add(-time.Hour), 1), backupAt(time.Now().Add(time.Hour), 2))
	assert.False(t, totals.Persistent)
	assert.WithinDuration(t, time.Now(), totals.Since, time.Minute)
	assert.Equal(t, 1, count(totals, "Completed"))
	assert.Equal(t, totals, keep(t, l, backupAt(time.Now().Add(time.Hour), 2)))
	assert.Empty(t, l.book.pending)
}

func TestWhatIsCounted(t *testing.T) {
	s, c := mem.New(), at(noon)
	r := backupAt(noon.Add(5*time.Minute), 1) // took 10 minutes
	r.Warnings, r.Snapshots, r.CSISnapshots = 3, &Snapshots{Attempted: 4, Completed: 3}, &Snapshots{Attempted: 1, Completed: 9}
	backwards := backupAt(noon, 2)
	backwards.Started = noon.Add(time.Hour)
	endless := backupAt(noon, 3)
	endless.Started = time.Time{}
	keep(t, process(t, s, c), r, backwards, endless)
	got := keep(t, process(t, s, c)).Counts[Key{Kind: Backup, Subject: "db", Outcome: "Completed"}]
	assert.Equal(t, Count{
		Runs: 3, Warned: 1, Snapshots: Snapshots{Attempted: 4, Completed: 3}, CSISnapshots: Snapshots{Attempted: 1, Completed: 1},
		Took:       [10]uint64{0: 1, 2: 1, 9: 1}, // within a minute, ten minutes, more than all
		TookMillis: uint64((10*time.Minute + maxTook).Milliseconds()), LastStarted: noon.Add(time.Hour),
	}, got)
}

func TestNamesTellLedgersApart(t *testing.T) {
	s := mem.New()
	open := func(context.Context) (store.Store, error) { return s, nil }
	for _, name := range []string{"a", "a.b"} {
		l, err := New(name, open)
		require.NoError(t, err)
		l.now = at(noon).now
		assert.Equal(t, 1, count(keep(t, l, backupAt(noon, 1)), "Completed"))
	}
	_, err := New("../a", open)
	assert.Error(t, err)
}

func FuzzDecodeRecord(f *testing.F) {
	raw, err := encodeRecord(record{Writer: "w", Written: noon, Batches: []string{"a"}, Runs: []Run{backupAt(noon, 1)}})
	require.NoError(f, err)
	f.Add(raw)
	f.Add([]byte{})
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, raw := range [][]byte{raw, packed(t, string(raw))} {
			rec, err := decodeRecord(t.Context(), bytes.NewReader(raw))
			if err != nil {
				if !errors.Is(err, errContent) && !errors.Is(err, ErrLater) {
					t.Fatalf("bytes that are all there cannot fail to be read: %v", err)
				}
				continue
			}
			again, err := encodeRecord(rec)
			require.NoError(t, err)
			twice, err := decodeRecord(t.Context(), bytes.NewReader(again))
			require.NoError(t, err)
			require.Equal(t, len(rec.Runs), len(twice.Runs))
			b := newBook()
			b.begin(noon)
			for _, r := range rec.Runs {
				b.read(r)
			}
		}
	})
}

// filled is a ledger of some days with a batch in each hour, sealed up to the day
// before yesterday. It is what history makes, sooner.
func filled(b *testing.B, s store.Store, days, perBatch int) *clock {
	b.Helper()
	ctx, c := context.Background(), at(noon.Truncate(24*time.Hour))
	l := process(b, s, c)
	l.started = c.t
	require.NoError(b, l.writeEpoch(ctx, s))
	n := 0
	for d := range days {
		today, rec := c.t.Format(time.DateOnly), record{Writer: l.writer, Written: c.t}
		for range 24 {
			var runs []Run
			for range perBatch {
				r := backupAt(c.t, n)
				r.Subject = fmt.Sprintf("schedule-%d", n%perBatch)
				r.ID = fmt.Sprintf("%s-20261122120000/%d", r.Subject, n)
				runs = append(runs, r)
				n++
			}
			require.NoError(b, l.writeBatch(ctx, s, runs))
			rec.Batches = append(rec.Batches, fmt.Sprintf("%s-%s-%d", c.t.Format("150405.000"), l.writer, l.batches))
			rec.Runs = append(rec.Runs, runs...)
			c.after(time.Hour)
		}
		if d < days-2 {
			require.NoError(b, l.writeSeal(ctx, s, today, rec))
		}
	}
	return c
}

// BenchmarkStart is the first reading of a ledger that is a year old with a run an
// hour, and of one that is a month old with 500.
func BenchmarkStart(b *testing.B) {
	for name, size := range map[string]struct{ days, perBatch int }{"year": {365, 1}, "month-of-500-schedules": {30, 500}} {
		b.Run(name, func(b *testing.B) {
			behind := mem.New()
			c := filled(b, behind, size.days, size.perBatch)
			var objects, bytes int64
			for info, err := range behind.List(context.Background(), "", true) {
				require.NoError(b, err)
				objects, bytes = objects+1, bytes+info.Size
			}
			for b.Loop() {
				counted := storetest.Calls(behind)
				totals := keep(b, process(b, counted, c))
				require.Len(b, totals.Counts, size.perBatch)
				b.ReportMetric(float64(counted.Count(storetest.List)), "LIST")
				b.ReportMetric(float64(counted.Count(storetest.Get)), "GET")
			}
			b.ReportMetric(float64(objects), "objects")
			b.ReportMetric(float64(bytes)/float64(size.days*24*size.perBatch), "B/run")
		})
	}
}

// BenchmarkMemory says what a run and an object cost for as long as the process
// lives.
func BenchmarkMemory(b *testing.B) {
	const runs = 1_000_000
	for b.Loop() {
		book := newBook()
		book.begin(noon)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for n := range runs {
			book.read(backupAt(noon, n))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/runs, "B/run")
		runtime.KeepAlive(book)
	}
}
