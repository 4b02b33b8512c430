package scheduler

import (
	"time"

	"github.com/lifeboat-backup/lifeboat/core/schedule"
)

// dueRun is the time of the run that is due at now, the zero time if none is:
// the latest of those that were missed since the last run, so that downtime is
// caught up by one. A policy that never ran (last is zero) is due from started
// on; "@every", which has no times of its own, begins at once, and so does a
// policy that is asked for once: with the minute, so that verifiers that start
// together begin the same run. It is pure.
func dueRun(cron schedule.Cron, last, started, now time.Time, once bool) time.Time {
	if last.IsZero() && (once || cron.Every()) {
		return now.Truncate(time.Minute)
	}
	return cron.Latest(anchor(last, started), now)
}

// nextRun is when the next run is due.
func nextRun(cron schedule.Cron, last, started time.Time) time.Time {
	return cron.Next(anchor(last, started))
}

func anchor(last, started time.Time) time.Time {
	if last.IsZero() {
		return started
	}
	return last
}
