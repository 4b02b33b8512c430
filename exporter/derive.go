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
// Nothing is said of schedules before the first location was read: an exporter
// that has just started does not know of none, it does not know.
func Derive(now time.Time, state State, cfg Config) []Sample {
	cfg = cfg.withDefaults()
	out := &samples{hidden: hidden(cfg)}
	exporterSamples(out, now, state, cfg)
	locationSamples(out, now, state, cfg)
	claimSamples(out, now, state, cfg)
	if !slices.ContainsFunc(state.Locations, func(l LocationState) bool { return l.Backups.read() }) {
		return out.list
	}
	known := newKnowledge(now, state, cfg)
	backupTotal(out, state, known)
	for _, s := range within(state.Schedules, cfg) {
		out.stale = !known.of(s, known.backups)
		backupSamples(out, s)
		scheduleSamples(out, s, state, cfg)
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

// knowledge says of which locations the present is known.
type knowledge struct{ backups, drills []bool }

func newKnowledge(now time.Time, state State, cfg Config) knowledge {
	var k knowledge
	for _, l := range state.Locations {
		k.backups = append(k.backups, l.Backups.fresh(now, cfg.StaleAfter()))
		k.drills = append(k.drills, l.Drills.fresh(now, cfg.StaleAfter()))
	}
	return k
}

// of reports whether the present of a schedule is known: that of every location
// that holds something of it, or of all of them when none does.
func (k knowledge) of(s ScheduleState, fresh []bool) bool {
	if len(s.Locations) == 0 {
		return !slices.Contains(fresh, false)
	}
	return !slices.ContainsFunc(s.Locations, func(i int) bool { return !fresh[i] })
}

// within returns the schedules that get series: those with a known cron
// expression first, then by name, at most cfg.MaxSchedules.
func within(schedules []ScheduleState, cfg Config) []ScheduleState {
	if len(schedules) <= cfg.MaxSchedules {
		return schedules
	}
	kept := slices.Clone(schedules)
	slices.SortStableFunc(kept, func(a, b ScheduleState) int {
		return int(boolean(a.Cron.IsZero()) - boolean(b.Cron.IsZero()))
	})
	return kept[:cfg.MaxSchedules]
}
