package exporter

import (
	"slices"
	"strings"
	"time"
)

// Sample is one value of one metric. Labels are in the order of the catalog.
type Sample struct {
	Metric ID
	Labels []string
	Value  float64
	// Created is when a Counter or a Histogram began to count.
	Created time.Time
	// Histogram is what a Histogram holds; Value is not used then.
	Histogram *Distribution
}

// Distribution is the content of a histogram: how many values were at most each
// bound, cumulated, and their sum.
type Distribution struct {
	Count   uint64
	Sum     float64
	Buckets map[float64]uint64
}

// Derive turns what is known into what is served. It is pure: now is an
// argument, state and cfg are not changed.
//
// Nothing is said of schedules before a source was read: an exporter that has
// just started does not know of none, it does not know. Neither before the
// cluster was tried, which alone can tell which schedules there are no more.
func Derive(now time.Time, state State, cfg Config) []Sample {
	cfg = cfg.withDefaults()
	out := &samples{hidden: hidden(cfg)}
	exporterSamples(out, now, state, cfg)
	locationSamples(out, now, state, cfg)
	claimSamples(out, now, state, cfg)
	known := newKnowledge(now, state, cfg)
	homeSamples(out, state, known)
	if !begun(state) {
		return out.list
	}
	backupTotal(out, state, known)
	for _, s := range within(state.Schedules, cfg) {
		backupSamples(out, s, known)
		scheduleSamples(out, s, state, known, cfg)
		out.stale = !known.of(s, known.drills)
		drillSamples(out, s, state, cfg)
	}
	out.stale = false
	counterSamples(out, state, cfg)
	return out.list
}

// samples collects samples, and leaves out those that a stale source withholds.
type samples struct {
	list   []Sample
	stale  bool
	hidden [metricCount]bool
}

func (s *samples) add(id ID, value float64, labels ...string) {
	s.addSample(Sample{Metric: id, Labels: labels, Value: value})
}

func (s *samples) addSample(sample Sample) {
	if s.hidden[sample.Metric] || s.stale && catalog[sample.Metric].WhenStale == Withheld {
		return
	}
	s.list = append(s.list, sample)
}

// hidden are the metrics that the user does not want.
func hidden(cfg Config) (out [metricCount]bool) {
	for id, m := range catalog {
		out[id] = !cfg.CompatNames && strings.HasPrefix(m.Name, "velero_")
	}
	out[veleroRestoreFailures] = !cfg.CompatNames || !cfg.CompatAliases
	return out
}

// addTime adds a timestamp, unless it is not known.
func (s *samples) addTime(id ID, t time.Time, labels ...string) {
	if !t.IsZero() {
		s.add(id, float64(t.UnixMilli())/1000, labels...)
	}
}

// addSet adds a state set: one series for each state, 1 for the one that holds.
func (s *samples) addSet(id ID, states []string, holds, first string) {
	for _, state := range states {
		s.add(id, boolean(state == holds), first, state)
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// begun reports whether anything can be said of schedules.
func begun(state State) bool {
	if state.ledgerAlone() {
		return state.Ledger != nil && state.Ledger.Source.read()
	}
	bucket := slices.ContainsFunc(state.Locations, func(l LocationState) bool { return l.Backups.read() })
	if state.Kube == nil {
		return bucket
	}
	return state.Kube.Source.read() || (bucket && !state.Kube.Source.LastAttempt.IsZero())
}

// knowledge says of which sources the present is known.
type knowledge struct {
	now        time.Time
	staleAfter time.Duration
	watched    bool // whether a cluster is a source
	// cluster is false without one.
	cluster bool
	// backups and drills are of the locations.
	backups, drills []bool
}

func newKnowledge(now time.Time, state State, cfg Config) knowledge {
	k := knowledge{now: now, staleAfter: cfg.StaleAfter(), watched: state.Kube != nil}
	k.cluster = k.watched && state.Kube.Source.fresh(now, cfg.StaleAfter())
	for _, l := range state.Locations {
		k.backups = append(k.backups, l.Backups.fresh(now, cfg.StaleAfter()))
		k.drills = append(k.drills, l.Drills.fresh(now, cfg.StaleAfter()))
	}
	return k
}

// exists reports whether it is known which backups of a schedule exist: the
// cluster or the bucket can say it.
func (k knowledge) exists(s ScheduleState) bool { return k.cluster || k.of(s, k.backups) }

// runs reports whether it is known how the runs of a schedule ended. Where there is
// a cluster only that can say it: a run that fails may leave nothing in a bucket.
func (k knowledge) runs(s ScheduleState) bool {
	if k.watched {
		return k.cluster
	}
	return k.of(s, k.backups)
}

// of reports whether the present of a schedule is known: that of every location
// that holds something of it, or of all of them when none does. Without any it is
// not.
func (k knowledge) of(s ScheduleState, fresh []bool) bool {
	if len(s.Locations) == 0 {
		return len(fresh) > 0 && !slices.Contains(fresh, false)
	}
	return !slices.ContainsFunc(s.Locations, func(i int) bool { return !fresh[i] })
}

// within returns the schedules that get series: those that the cluster or the
// flags name first, then by name, at most cfg.MaxSchedules.
func within(schedules []ScheduleState, cfg Config) []ScheduleState {
	if len(schedules) <= cfg.MaxSchedules {
		return schedules
	}
	kept := slices.Clone(schedules)
	slices.SortStableFunc(kept, func(a, b ScheduleState) int {
		named := func(s ScheduleState) bool { return s.Kube != nil || !s.Cron.IsZero() }
		return int(boolean(named(b)) - boolean(named(a)))
	})
	return kept[:cfg.MaxSchedules]
}
