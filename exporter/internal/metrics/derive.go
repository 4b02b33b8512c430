package metrics

import (
	"fmt"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
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

// Of turns what is known into what is served. It is pure: now is an
// argument, state and cfg are not changed.
//
// Nothing is reported of schedules before a source was read: an exporter that has
// just started does not know of none, it does not know. Neither before the
// cluster was tried, which alone can tell which schedules there are no more.
func Of(now time.Time, known state.State, cfg state.Config) []Sample {
	cfg = cfg.WithDefaults()
	out := NewSamples(cfg)
	in := input{now, known, cfg, state.NewFreshness(now, known, cfg)}
	for _, print := range []func(Samples, input){exporterSamples, locationSamples, claimSamples, locationViewSamples} {
		print(out, in)
	}
	if !state.HasData(known) {
		return out.List()
	}
	backupTotal(out, in)
	for _, s := range state.Judge(now, known, cfg) {
		for _, print := range ofSchedule {
			print(out, s)
		}
	}
	CounterSamples(out, known, cfg)
	return out.List()
}

// input is what the samples of a subject are made of.
type input struct {
	now   time.Time
	known state.State
	cfg   state.Config
	fresh state.Freshness
}

// ofSchedule print one schedule each, a subject a function.
var ofSchedule = []func(Samples, state.Judged){backupSamples, scheduleSamples, recoverySamples, runSamples, promiseSamples, drillSamples}

// Samples collects samples, and leaves out those that a stale source withholds.
type Samples struct {
	list   *[]Sample
	hidden *[MetricCount]bool
	stale  bool
}

// NewSamples makes a list to which only what cfg wants is added.
func NewSamples(cfg state.Config) Samples {
	unwanted := hidden(cfg)
	return Samples{list: new([]Sample), hidden: &unwanted}
}

// List is what was added.
func (s Samples) List() []Sample { return *s.list }

// when is the same list for what is fresh or not: metrics of the present are
// withheld when it is not.
func (s Samples) when(fresh bool) Samples {
	s.stale = !fresh
	return s
}

func (s Samples) add(id ID, value float64, labels ...string) {
	s.addSample(Sample{Metric: id, Labels: labels, Value: value})
}

func (s Samples) addSample(sample Sample) {
	if s.hidden[sample.Metric] || s.stale && Catalog[sample.Metric].WhenStale == Withheld {
		return
	}
	*s.list = append(*s.list, sample)
}

// hidden are the metrics that the user does not want.
func hidden(cfg state.Config) (out [MetricCount]bool) {
	for id, m := range Catalog {
		out[id] = !cfg.CompatNames && strings.HasPrefix(m.Name, "velero_")
	}
	out[VeleroRestoreFailures] = !cfg.CompatNames || !cfg.CompatAliases
	return out
}

// addTime adds a timestamp, unless it is not known.
func (s Samples) addTime(id ID, t time.Time, labels ...string) {
	if !t.IsZero() {
		s.add(id, float64(t.UnixMilli())/1000, labels...)
	}
}

// addSet adds a state set: one series for each state, 1 for the one that holds.
func (s Samples) addSet(id ID, states []string, holds, first string) {
	for _, known := range states {
		s.add(id, fact.Boolean(known == holds), first, known)
	}
}

// Name is the name of the sample's metric.
func (s Sample) Name() string { return Catalog[s.Metric].Name }

// String is the sample as the exposition format has it, without the value.
func (s Sample) String() string {
	var pairs []string
	for i, label := range Catalog[s.Metric].Labels {
		pairs = append(pairs, fmt.Sprintf("%s=%q", label, s.Labels[i]))
	}
	if len(pairs) == 0 {
		return s.Name()
	}
	return s.Name() + "{" + strings.Join(pairs, ",") + "}"
}
