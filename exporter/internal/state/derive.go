package state

import (
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

// begun reports whether anything is known of schedules.
func HasData(known State) bool {
	if known.LedgerAlone() {
		return known.Ledger != nil && known.Ledger.Source.Read()
	}
	inBucket := slices.ContainsFunc(known.Locations, func(l LocationState) bool { return l.Backups.Read() })
	if known.Kube == nil {
		return inBucket
	}
	return known.Kube.Source.Read() || (inBucket && !known.Kube.Source.LastAttempt.IsZero())
}

// Freshness names the sources whose present is known.
type Freshness struct {
	Now        time.Time
	StaleAfter time.Duration
	Watched    bool // whether a cluster is a source
	// Cluster is false without one.
	Cluster bool
	// Backups and drills are of the locations.
	Backups, Drills []bool
}

// NewFreshness asks every source.
func NewFreshness(now time.Time, known State, cfg Config) Freshness {
	k := Freshness{Now: now, StaleAfter: cfg.StaleAfter(), Watched: known.Kube != nil}
	k.Cluster = k.Watched && known.Kube.Source.Fresh(now, cfg.StaleAfter())
	for _, l := range known.Locations {
		k.Backups = append(k.Backups, l.Backups.Fresh(now, cfg.StaleAfter()))
		k.Drills = append(k.Drills, l.Drills.Fresh(now, cfg.StaleAfter()))
	}
	return k
}

// Exists reports whether it is known which backups of a schedule exist: the
// cluster or the bucket can say it.
func (k Freshness) Exists(s ScheduleState) bool { return k.Cluster || k.Of(s, k.Backups) }

// Runs reports whether it is known how the runs of a schedule ended. Where there is
// a cluster only that can say it: a run that fails may leave nothing in a bucket.
func (k Freshness) Runs(s ScheduleState) bool {
	if k.Watched {
		return k.Cluster
	}
	return k.Of(s, k.Backups)
}

// Of reports whether the present of a schedule is known: that of every location
// that holds something of it, or of all of them when none does. Without any it is
// not.
func (k Freshness) Of(s ScheduleState, fresh []bool) bool {
	if len(s.Locations) == 0 {
		return len(fresh) > 0 && !slices.Contains(fresh, false)
	}
	return !slices.ContainsFunc(s.Locations, func(i int) bool { return !fresh[i] })
}

// Within returns the schedules that get series: those that the cluster or the
// flags name first, then by name, at most cfg.MaxSchedules.
func Within(schedules []ScheduleState, cfg Config) []ScheduleState {
	if len(schedules) <= cfg.MaxSchedules {
		return schedules
	}
	kept := slices.Clone(schedules)
	slices.SortStableFunc(kept, func(a, b ScheduleState) int {
		named := func(s ScheduleState) bool { return s.Kube != nil || !s.Cron.IsZero() }
		return int(fact.Boolean(named(b)) - fact.Boolean(named(a)))
	})
	return kept[:cfg.MaxSchedules]
}
