// Package schedule computes when backups are due: the next run of a cron
// expression, the deadline by which a run must have succeeded, the interval
// between runs.
//
// It is pure: the current time is an argument, and it keeps no state. Expressions are those Velero accepts in spec.schedule, parsed by
// the same parser (github.com/robfig/cron/v3, ParseStandard): five fields,
// descriptors such as @daily, "@every 90m", and a zone given by a CRON_TZ= or
// TZ= prefix. An expression without a zone is read in UTC, the zone of
// Velero's container image.
package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// ErrNeverDue is the error of an expression that is well-formed but matches no
// date, such as the 30th of February. Velero treats such a schedule as due at
// every reconcile.
var ErrNeverDue = errors.New("the expression matches no date")

// Cron is a parsed expression. The zero value is never due.
type Cron struct {
	expr   string
	parsed cron.Schedule
}

// Parse reads an expression. A malformed one gives the parser's reason, one
// that matches no date ErrNeverDue.
func Parse(expr string) (Cron, error) {
	if zone, fields, ok := strings.Cut(strings.TrimSpace(expr), " "); hasZone(expr) && (!ok || strings.TrimSpace(fields) == "") {
		// The parser slices out of range here.
		return Cron{}, fmt.Errorf("cron expression %q: no fields after the time zone %s", expr, zone)
	}
	parsed, err := cron.ParseStandard(strings.TrimSpace(expr))
	if err != nil {
		return Cron{}, fmt.Errorf("cron expression %q: %w", expr, err)
	}
	c := Cron{expr: strings.TrimSpace(expr), parsed: parsed}
	if c.Next(reference).IsZero() {
		return Cron{}, fmt.Errorf("cron expression %q: %w", expr, ErrNeverDue)
	}
	return c, nil
}

// reference makes Parse the same on every day. The parser looks five years
// ahead, which from here holds a 29th of February.
var reference = time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)

func hasZone(expr string) bool {
	expr = strings.TrimSpace(expr)
	return strings.HasPrefix(expr, "CRON_TZ=") || strings.HasPrefix(expr, "TZ=")
}

// String is the expression as it was given.
func (c Cron) String() string { return c.expr }

// Zone is the time zone of the expression, "UTC" by default, and "" for the zero
// value.
func (c Cron) Zone() string {
	if c.parsed == nil {
		return ""
	}
	if !hasZone(c.expr) {
		return "UTC"
	}
	zone, _, _ := strings.Cut(c.expr, " ")
	_, zone, _ = strings.Cut(zone, "=")
	return zone
}

// IsZero reports whether c is the zero value: no expression is known.
func (c Cron) IsZero() bool { return c.parsed == nil }

// Next is the first time after t at which a run is due, in UTC, to the second.
// It is the zero time if no run is due within five years.
func (c Cron) Next(t time.Time) time.Time {
	if c.parsed == nil {
		return time.Time{}
	}
	next := c.parsed.Next(t.UTC())
	if next.IsZero() {
		return time.Time{}
	}
	return next.UTC()
}

// Latest is the last time at which a run was due after t and not after now, or
// the zero time. An expression "@every" has no fixed times: it counts from t.
func (c Cron) Latest(t, now time.Time) time.Time {
	first := c.Next(t)
	if first.IsZero() || first.After(now) {
		return time.Time{}
	}
	if every, ok := c.parsed.(cron.ConstantDelaySchedule); ok {
		return first.Add(now.Sub(first).Truncate(every.Delay))
	}
	// Find the last second from which the next run is not after now.
	from, to := first.Add(-time.Second), now
	for to.Sub(from) > time.Second {
		middle := from.Add(to.Sub(from) / 2)
		if next := c.Next(middle); next.IsZero() || next.After(now) {
			to = middle
		} else {
			from = middle
		}
	}
	return c.Next(from)
}

// Every reports whether the expression is "@every": a run is due a fixed time
// after the one before.
func (c Cron) Every() bool {
	_, every := c.parsed.(cron.ConstantDelaySchedule)
	return every
}

// The horizon of Interval.
const (
	intervalRuns = 400
	intervalSpan = 366 * 24 * time.Hour
)

// Interval is the longest gap between two runs that follow each other, over
// the next 400 runs or 366 days after from, whichever ends first, and over at
// least one gap. For "0 9 * * 1-5" it is the 72 hours of a weekend. Nights in which
// a zone changes its clocks do not count: once a year one is an hour longer, or lacks
// the hour of the run. Zero when nothing is due.
func (c Cron) Interval(from time.Time) time.Duration {
	c = c.withoutZone()
	prev := c.Next(from)
	if prev.IsZero() {
		return 0
	}
	end := prev.Add(intervalSpan)
	var longest time.Duration
	for range intervalRuns {
		next := c.Next(prev)
		if next.IsZero() || (longest > 0 && next.After(end)) {
			break
		}
		longest = max(longest, next.Sub(prev))
		prev = next
	}
	return longest
}

// withoutZone is the expression read in UTC, where all days have 24 hours.
func (c Cron) withoutZone() Cron {
	if !hasZone(c.expr) {
		return c
	}
	_, fields, _ := strings.Cut(c.expr, " ")
	if parsed, err := cron.ParseStandard(strings.TrimSpace(fields)); err == nil {
		c.parsed = parsed
	}
	return c
}

// Count is how many runs are due after from and not after to, but no more than
// most. "@every" counts from from.
func (c Cron) Count(from, to time.Time, most int) int {
	if every, ok := c.parsed.(cron.ConstantDelaySchedule); ok {
		return min(max(int(to.Sub(from)/every.Delay), 0), most)
	}
	n := 0
	for next := c.Next(from); n < most && !next.IsZero() && !next.After(to); next = c.Next(next) {
		n++
	}
	return n
}
