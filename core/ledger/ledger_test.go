package ledger

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
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
