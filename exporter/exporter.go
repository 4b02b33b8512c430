package exporter

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// Exporter reads locations in the background and serves what it knows as a
// prometheus.Collector. It is safe for concurrent use.
type Exporter struct {
	cfg       Config
	log       *slog.Logger
	locations []Location
	descs     [metricCount]*prometheus.Desc

	publishing sync.Mutex // one publish at a time
	mu         sync.RWMutex
	state      State
}

// New makes an exporter that knows nothing yet; Run makes it read. Metrics are
// served from now on, and schedules that never ran are expected from now on.
func New(cfg Config, log *slog.Logger, locations ...Location) *Exporter {
	e := &Exporter{cfg: cfg.withDefaults(), log: log, locations: locations}
	for id, m := range catalog {
		e.descs[id] = prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
	}
	states := make([]LocationState, len(locations))
	for i, l := range locations {
		states[i] = LocationState{Name: l.Name}
	}
	e.state = assemble(time.Now(), states, e.cfg)
	return e
}

// Run reads every location at once, and then again and again until ctx is done.
// It returns when all readings have ended, with nil.
func (e *Exporter) Run(ctx context.Context) error {
	var group errgroup.Group
	for i := range e.locations {
		group.Go(func() error {
			e.watch(ctx, i)
			return nil
		})
	}
	return group.Wait()
}

// watch refreshes one location at the interval, give or take a tenth, so that
// the replicas of an exporter do not all ask at the same moment.
func (e *Exporter) watch(ctx context.Context, i int) {
	for {
		e.refresh(ctx, i)
		spread := e.cfg.Interval / 10
		wait := time.NewTimer(e.cfg.Interval - spread + rand.N(2*spread+1)) //nolint:gosec // spreads load, keeps no secret
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
}

// refresh reads one location and publishes what it found.
func (e *Exporter) refresh(ctx context.Context, i int) {
	scanCtx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	began := time.Now()
	backups, backupsErr := e.locations[i].Backups.ListBackups(scanCtx)
	between := time.Now()
	drills, drillsErr := e.locations[i].Drills.ListDrills(scanCtx)
	ended := time.Now()
	if ctx.Err() != nil {
		return // told to stop: what broke off says nothing of the location
	}
	e.publish(i, func(l *LocationState) {
		l.Answered = backups.Answered
		l.Backups = attempt(l.Backups, began, between, backupsErr)
		l.Drills = attempt(l.Drills, between, ended, drillsErr)
		if backupsErr == nil {
			l.BackupList, l.Incomplete = located(backups.Backups, l.Name), backups.Incomplete
		}
		if drillsErr == nil {
			l.DrillList = drills.Drills
		}
		if backupsErr == nil && drillsErr == nil {
			l.Unreadable = len(backups.Unreadable) + len(drills.Unreadable)
		}
		if count := e.locations[i].Requests; count != nil {
			l.Requests = count()
		}
	})
	e.report(e.locations[i].Name, sourceBackups, backupsErr)
	e.report(e.locations[i].Name, sourceDrills, drillsErr)
}

func (e *Exporter) report(location, source string, err error) {
	if err != nil {
		e.log.Warn("cannot read the location", "location", location, "source", source, "err", err)
		return
	}
	e.log.Debug("location read", "location", location, "source", source)
}

func attempt(before SourceState, began, ended time.Time, err error) SourceState {
	after := SourceState{LastAttempt: ended, LastSuccess: before.LastSuccess, Duration: ended.Sub(began)}
	if err == nil {
		after.LastSuccess = ended
	}
	return after
}

func located(backups []Backup, location string) []Backup {
	for i := range backups {
		backups[i].Location = location
	}
	return backups
}

// publish replaces the state by one in which location i is changed. Assembling
// it takes time, which scrapes must not wait for; mu is held to swap only.
func (e *Exporter) publish(i int, change func(*LocationState)) {
	e.publishing.Lock()
	defer e.publishing.Unlock()
	before := e.known()
	locations := append([]LocationState(nil), before.Locations...)
	change(&locations[i])
	after := assemble(before.Started, locations, e.cfg)
	if dropped := len(after.Schedules) - e.cfg.MaxSchedules; dropped > 0 && len(before.Schedules) != len(after.Schedules) {
		e.log.Warn("more schedules than --max-schedules: some have no series", "schedules", len(after.Schedules), "dropped", dropped)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state = after
}

func (e *Exporter) known() State {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.state
}

// Ready reports whether every location was tried once, be it in vain: from then
// on the metrics say what can be known. A location that cannot be read does not
// make the exporter unready, because then nobody would be told.
func (e *Exporter) Ready() bool {
	for _, l := range e.known().Locations {
		if l.Backups.LastAttempt.IsZero() {
			return false
		}
	}
	return true
}

// Describe implements prometheus.Collector.
func (e *Exporter) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range e.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It prints what Derive says of what
// is known, at one moment, and does nothing else.
func (e *Exporter) Collect(ch chan<- prometheus.Metric) {
	for _, s := range Derive(time.Now(), e.known(), e.cfg) {
		kind := prometheus.GaugeValue
		if catalog[s.Metric].Type == Counter {
			kind = prometheus.CounterValue
		}
		ch <- prometheus.MustNewConstMetric(e.descs[s.Metric], kind, s.Value, s.Labels...)
	}
}

// Name is the name of the sample's metric.
func (s Sample) Name() string { return catalog[s.Metric].Name }

// String is the sample as the exposition format has it, without the value.
func (s Sample) String() string {
	var pairs []string
	for i, label := range catalog[s.Metric].Labels {
		pairs = append(pairs, fmt.Sprintf("%s=%q", label, s.Labels[i]))
	}
	if len(pairs) == 0 {
		return s.Name()
	}
	return s.Name() + "{" + strings.Join(pairs, ",") + "}"
}
