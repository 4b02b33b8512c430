package scheduler

import (
	"time"

	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

const (
	// maxAttempts is how often a run tries a backup whose drill neither passed
	// nor failed.
	maxAttempts = 3
	// backoff is the time between the first attempt and the second; the next
	// wait is backoffGrowth times as long.
	backoff       = time.Minute
	backoffGrowth = 5
)

// attempt is one drill of a run as its records and its evidence show it.
type attempt struct {
	N     int
	Drill string
	By    drilllog.Owner
	// Until is when its drill is over for certain.
	Until time.Time
	// Verdict is that of its evidence, "" while there is none.
	Verdict  report.Verdict
	Finished time.Time
	// Released is when it was given up without evidence, zero if it was not.
	Released time.Time
	// Free means that it was given up for no fault of the drill.
	Free bool
	// Elsewhere means that the process that claimed it runs on another machine.
	Elsewhere bool
	// Void means that its claim is damaged: nothing but N is known.
	Void bool
}

// step is what a run does next about a backup: nothing (Done), start attempt N,
// or look again at Wait.
type step struct {
	Done  bool
	Start int
	Wait  time.Time
}

// nextStep decides. One that passed or failed is done. One in progress, here or
// elsewhere, is waited for; one whose owner ended, or that is over its time, is
// lost, and counts as inconclusive. Inconclusive ones are tried again, later
// each time, maxAttempts in all, and not after end, when the next run is due.
// Claims of other machines alone, whoever wrote them, do not use up the attempts:
// one is made on this machine. It is pure.
func nextStep(attempts []attempt, now, end time.Time, ended func(drilllog.Owner) bool) step {
	spent, here, last, taken := 0, false, time.Time{}, map[int]bool{}
	for _, a := range attempts {
		taken[a.N] = true
		before := spent
		switch {
		case a.Void:
		case a.Verdict == report.Passed || a.Verdict == report.Failed:
			return step{Done: true}
		case a.Verdict == report.Error:
			spent, last = spent+1, later(last, a.Finished)
		case !a.Released.IsZero() && a.Free:
		case !a.Released.IsZero():
			spent, last = spent+1, later(last, a.Released)
		case ended(a.By):
			spent++
		case now.Before(a.Until):
			return step{Wait: a.Until}
		default:
			spent++
		}
		here = here || spent > before && !a.Elsewhere
	}
	again := last.Add(wait(spent))
	switch {
	case spent >= maxAttempts && here || !now.Before(end):
		return step{Done: true}
	case !last.IsZero() && now.Before(again):
		return step{Wait: again}
	}
	n := 1
	for taken[n] {
		n++
	}
	return step{Start: n}
}

// wait is the pause after so many attempts.
func wait(spent int) time.Duration {
	d := backoff
	for range spent - 1 {
		d *= backoffGrowth
	}
	return d
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
