package schedule

import (
	"slices"
	"time"
)

// The bounds of Grace.
const (
	MinGrace = 15 * time.Minute
	MaxGrace = 6 * time.Hour
)

// Grace is how long after it was due a run may still succeed before it counts
// as overdue, for runs gap apart: half the gap, at least MinGrace, at most
// MaxGrace. Runs wait in Velero's queue behind each other and take longer as
// data grows; half a gap absorbs both without hiding a missed run.
func Grace(gap time.Duration) time.Duration {
	return min(max(gap/2, MinGrace), MaxGrace)
}

// Deadline is the moment by which a backup newer than the one that started at
// anchor must have succeeded: the first run due after anchor, plus how long a
// run takes, plus Grace. anchor is the start of the newest success, or of the
// time from which runs are expected if none succeeded. took is the duration of
// the newest success, zero when unknown. Zero when nothing is due.
//
// The grace is that of the longer of two gaps, the one up to the due run and
// the one after it, so that a backup made by hand a minute before a run is due
// leaves that run no less time than usual.
func (c Cron) Deadline(anchor time.Time, took time.Duration) time.Time {
	due := c.Next(anchor)
	if due.IsZero() {
		return time.Time{}
	}
	gap := due.Sub(anchor)
	if after := c.Next(due); !after.IsZero() {
		gap = max(gap, after.Sub(due))
	}
	return due.Add(max(took, 0)).Add(Grace(gap))
}

// InferredRuns is how many of the newest runs InferInterval looks at.
const InferredRuns = 10

// InferInterval guesses the interval of a schedule whose cron expression is not
// known: the longest gap between two starts that follow each other, among the
// newest InferredRuns. Fewer than two different starts give zero, unknown. A
// run that was left out makes the guess longer for as long as it is among the
// newest, which is why a known expression is better.
func InferInterval(starts []time.Time) time.Duration {
	sorted := slices.SortedFunc(slices.Values(starts), func(a, b time.Time) int { return b.Compare(a) })
	sorted = sorted[:min(len(sorted), InferredRuns)]
	var longest time.Duration
	for i := 1; i < len(sorted); i++ {
		longest = max(longest, sorted[i-1].Sub(sorted[i]))
	}
	return longest
}

// InferredDeadline is Deadline for an interval that was inferred.
func InferredDeadline(anchor time.Time, interval, took time.Duration) time.Time {
	if interval <= 0 {
		return time.Time{}
	}
	return anchor.Add(interval).Add(max(took, 0)).Add(Grace(interval))
}
