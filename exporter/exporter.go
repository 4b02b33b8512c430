package exporter

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/ledger"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/metrics"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
)

// Exporter reads locations in the background and serves what it knows as a
// prometheus.Collector. It is safe for concurrent use.
type Exporter struct {
	cfg     state.Config
	log     *slog.Logger
	sources Sources
	descs   [metrics.MetricCount]*prometheus.Desc

	publishing sync.Mutex // one publish at a time
	mu         sync.RWMutex
	state      state.State

	registry *prometheus.Registry // of nothing but the exporter
	changed  chan struct{}        // holds one when the state is newer than gathered
	gathered atomic.Pointer[gathered]
}

// Sources are what an exporter reads. Each alone is enough.
type Sources struct {
	Locations []Location
	Kube      KubeLister   // nil for none
	Ledger    LedgerKeeper // nil: counters count in memory, from New on
}

// New makes an exporter that knows nothing yet; Run makes it read. Metrics are
// served from now on, and schedules that never ran are expected from now on.
func New(cfg state.Config, log *slog.Logger, sources Sources) *Exporter {
	e := &Exporter{
		cfg: cfg.WithDefaults(), log: log, sources: sources,
		registry: prometheus.NewRegistry(), changed: make(chan struct{}, 1),
	}
	for id, m := range metrics.Catalog {
		e.descs[id] = prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
	}
	if sources.Ledger == nil {
		e.sources.Ledger = ledger.InMemory()
	}
	first := state.State{Started: time.Now(), Locations: make([]state.LocationState, len(sources.Locations))}
	for i, l := range sources.Locations {
		first.Locations[i] = state.LocationState{Name: l.Name}
	}
	if sources.Kube != nil {
		first.Kube = &state.KubeState{}
	}
	e.state = state.Assemble(first, e.cfg)
	e.registry.MustRegister(e)
	return e
}

// kubeInterval is how often the objects of the cluster are taken over, at most:
// they come from memory.
const kubeInterval = 5 * time.Second

// Run reads every source at once, and then again and again until ctx is done.
// It returns when all readings have ended, with nil.
func (e *Exporter) Run(ctx context.Context) error {
	var group errgroup.Group
	again := func(interval time.Duration, refresh func(context.Context)) {
		group.Go(func() error {
			watch(ctx, interval, refresh)
			return nil
		})
	}
	for i := range e.sources.Locations {
		again(e.cfg.Interval, func(ctx context.Context) { e.refreshLocation(ctx, i) })
		if e.sources.Locations[i].Storage != nil {
			again(min(e.cfg.StorageInterval, storageRetry), func(ctx context.Context) { e.refreshStorage(ctx, i) })
		}
	}
	if e.sources.Kube != nil {
		again(min(e.cfg.Interval, kubeInterval), e.refreshKube)
	}
	again(e.cfg.Interval, e.refreshLedger)
	group.Go(func() error {
		e.keepGathered(ctx)
		return nil
	})
	return group.Wait()
}

// watch refreshes a source at the interval, give or take a tenth, so that the
// replicas of an exporter do not all ask at the same moment.
func watch(ctx context.Context, interval time.Duration, refresh func(context.Context)) {
	for {
		refresh(ctx)
		spread := interval / 10
		wait := time.NewTimer(interval - spread + rand.N(2*spread+1)) //nolint:gosec // spreads load, keeps no secret
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
}

// refreshKube takes over what the cluster holds.
func (e *Exporter) refreshKube(ctx context.Context) {
	scanCtx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	began := time.Now()
	scan, err := e.sources.Kube.ListKube(scanCtx)
	if ctx.Err() != nil {
		return
	}
	e.publish(func(s *state.State) {
		next := *s.Kube
		next.Source = attempt(next.Source, began, time.Now(), err)
		if err == nil {
			next.KubeScan = scan
		}
		s.Kube = &next
	})
	e.report("", fact.SourceKube, err)
}

// refreshLedger hands the ends of runs that are known to the ledger.
func (e *Exporter) refreshLedger(ctx context.Context) {
	scanCtx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	began := time.Now()
	totals, err := e.sources.Ledger.Keep(scanCtx, state.EndedRuns(e.known(), e.cfg))
	if ctx.Err() != nil {
		return
	}
	e.publish(func(s *state.State) {
		var next state.LedgerState
		if s.Ledger != nil {
			next = *s.Ledger
		}
		for _, unreadable := range totals.Unreadable[min(len(next.Unreadable), len(totals.Unreadable)):] {
			e.log.Warn("skipping malformed object of the ledger", "err", unreadable)
		}
		next.Source, next.Totals = attempt(next.Source, began, time.Now(), err), totals
		s.Ledger = &next
	})
	e.report("", fact.SourceLedger, err)
}

// refreshLocation reads one location and publishes what it found.
func (e *Exporter) refreshLocation(ctx context.Context, i int) {
	scanCtx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	began := time.Now()
	backups, backupsErr := e.sources.Locations[i].Backups.ListBackups(scanCtx)
	between := time.Now()
	drills, drillsErr := e.sources.Locations[i].Drills.ListDrills(scanCtx)
	ended := time.Now()
	if ctx.Err() != nil {
		return // stopped: a listing that was interrupted is no news of the location
	}
	e.publishLocation(i, func(l *state.LocationState) {
		l.Answered = backups.Answered
		l.Backups = attempt(l.Backups, began, between, backupsErr)
		l.Drills = attempt(l.Drills, between, ended, drillsErr)
		if backupsErr == nil {
			l.BackupList, l.Incomplete = located(backups.Backups, l.Name), backups.Incomplete
			l.UnreadableBackups = unreadableBackups(backups.Unreadable)
			l.VolumesPending, l.Probes = backups.VolumesPending, backups.Probes
		}
		if drillsErr == nil {
			l.DrillList = drills.Drills
		}
		if backupsErr == nil && drillsErr == nil {
			l.Unreadable = len(backups.Unreadable) + len(drills.Unreadable)
		}
	})
	e.report(e.sources.Locations[i].Name, fact.SourceBucket, backupsErr)
	e.report(e.sources.Locations[i].Name, fact.SourceDrills, drillsErr)
	e.refreshClaims(ctx, i)
}

// refreshClaims reads at some of the readings of a location, and after them,
// which drills are under way.
func (e *Exporter) refreshClaims(ctx context.Context, i int) {
	lister, before := e.sources.Locations[i].Claims, e.known().Locations[i].ClaimsSource.LastAttempt
	if lister == nil || (!before.IsZero() && time.Since(before) < state.ClaimsEvery*e.cfg.Interval-e.cfg.Interval/2) {
		return
	}
	scanCtx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	began := time.Now()
	claims, err := lister.ListClaims(scanCtx, began)
	if ctx.Err() != nil {
		return
	}
	e.publishLocation(i, func(l *state.LocationState) {
		l.ClaimsSource = attempt(l.ClaimsSource, began, time.Now(), err)
		if err == nil {
			l.Claims = claims
		}
	})
	e.report(e.sources.Locations[i].Name, fact.SourceDrills, err)
}

// unreadableBackups counts the backups among objects that cannot be read; the others
// are records of volumes.
func unreadableBackups(objects []fact.ObjectError) int {
	n := 0
	for _, o := range objects {
		if strings.HasSuffix(o.Key, "/"+store.MetadataFile) {
			n++
		}
	}
	return n
}

const (
	// storageTimeout bounds a storage scan: a million objects in an hour are
	// 3.6 seconds for each page of a listing.
	storageTimeout = time.Hour
	// storageRetry is how soon one that failed is tried again.
	storageRetry = 10 * time.Minute
)

// refreshStorage counts what one location stores, if the last count is old.
func (e *Exporter) refreshStorage(ctx context.Context, i int) {
	before := e.known().Locations[i].StorageSource
	if before.Succeeded() && time.Since(before.LastSuccess) < e.cfg.StorageInterval-min(e.cfg.StorageInterval, storageRetry)/2 {
		return
	}
	scanCtx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	began := time.Now()
	storage, err := e.sources.Locations[i].Storage.ListStorage(scanCtx)
	if ctx.Err() != nil {
		return
	}
	e.publishLocation(i, func(l *state.LocationState) {
		l.StorageSource = attempt(l.StorageSource, began, time.Now(), err)
		if err == nil {
			l.Storage = storage
		}
	})
	e.report(e.sources.Locations[i].Name, fact.CollectorStorage, err)
}

func (e *Exporter) report(location, source string, err error) {
	switch {
	case err != nil && location == "":
		e.log.Warn("cannot read the source", "source", source, "err", err)
	case err != nil:
		e.log.Warn("cannot read the location", "location", location, "source", source, "err", err)
	default:
		e.log.Debug("source read", "location", location, "source", source)
	}
}

// maxErrorText bounds what is kept of an error, in bytes: it may quote a server.
const maxErrorText = 1 << 10

func attempt(before state.SourceState, began, ended time.Time, err error) state.SourceState {
	after := state.SourceState{LastAttempt: ended, LastSuccess: before.LastSuccess, Duration: ended.Sub(began)}
	if err == nil {
		after.LastSuccess = ended
	} else {
		after.Err = err.Error()[:min(len(err.Error()), maxErrorText)]
	}
	return after
}

func located(backups []fact.Backup, location string) []fact.Backup {
	for i := range backups {
		backups[i].Location = location
	}
	return backups
}

// publishLocation replaces the state by one in which location i is changed.
func (e *Exporter) publishLocation(i int, change func(*state.LocationState)) {
	e.publish(func(s *state.State) {
		s.Locations = slices.Clone(s.Locations)
		change(&s.Locations[i])
		if count := e.sources.Locations[i].Requests; count != nil {
			s.Locations[i].Requests = count()
		}
	})
}

// publish replaces the state by a changed copy; change leaves alone what the
// copy shares with the state. Assembling it takes time, which scrapes must not
// wait for; mu is held to swap only.
func (e *Exporter) publish(change func(*state.State)) {
	e.publishing.Lock()
	defer e.publishing.Unlock()
	before := e.known()
	next := before
	change(&next)
	after := next
	if !unchanged(before, next, e.cfg) {
		after = state.Assemble(next, e.cfg)
	}
	if dropped := len(after.Schedules) - e.cfg.MaxSchedules; dropped > 0 && len(before.Schedules) != len(after.Schedules) {
		e.log.Warn("more schedules than --max-schedules: some have no series", "schedules", len(after.Schedules), "dropped", dropped)
	}
	for _, name := range ambiguousLocations(after) {
		if !slices.Contains(ambiguousLocations(before), name) {
			e.log.Warn("the cluster has no BackupStorageLocation of the location's name: give the location its name, --location NAME=URL", "location", name)
		}
	}
	e.mu.Lock()
	e.state = after
	e.mu.Unlock()
	select {
	case e.changed <- struct{}{}:
	default: // it is known already
	}
}

// nowhere are the names of the locations that the cluster, once it was read, does
// not have.
func ambiguousLocations(s state.State) []string {
	var out []string
	for _, h := range s.Homes {
		if h.Location >= 0 && h.Storage == nil && s.Kube != nil && s.Kube.Source.Read() {
			out = append(out, h.Name)
		}
	}
	return out
}

// still reports whether a state differs from the one before by nothing but the
// times at which the cluster was read, and not for long: the cluster is looked at
// every few seconds, and it changes seldom.
func unchanged(before, next state.State, cfg state.Config) bool {
	return before.Kube != nil && next.Kube != before.Kube && next.Kube.Changes != 0 && next.Kube.Changes == before.Kube.Changes &&
		before.Kube.Source.Succeeded() && next.Kube.Source.Succeeded() && next.Kube.Source.LastSuccess.Sub(before.AsOf) < cfg.Interval
}

func (e *Exporter) known() state.State {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.state
}

// Ready reports whether every source was tried once, be it in vain: from then
// on the metrics say what can be known. A source that cannot be read does not
// make the exporter unready, because then it would not be scraped.
func (e *Exporter) Ready() bool {
	known := e.known()
	untried := func(l state.LocationState) bool { return l.Backups.LastAttempt.IsZero() }
	return known.Ledger != nil && !slices.ContainsFunc(known.Locations, untried) && (known.Kube == nil || !known.Kube.Source.LastAttempt.IsZero())
}

// Describe implements prometheus.Collector.
func (e *Exporter) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range e.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It prints what Derive makes of what
// is known, at one moment, and does nothing else.
func (e *Exporter) Collect(ch chan<- prometheus.Metric) {
	for _, s := range metrics.Of(time.Now(), e.known(), e.cfg) {
		ch <- e.metric(s)
	}
}

func (e *Exporter) metric(s metrics.Sample) prometheus.Metric {
	desc := e.descs[s.Metric]
	switch {
	case metrics.Catalog[s.Metric].Type == metrics.Histogram:
		h := s.Histogram
		return prometheus.MustNewConstHistogramWithCreatedTimestamp(desc, h.Count, h.Sum, h.Buckets, s.Created, s.Labels...)
	case metrics.Catalog[s.Metric].Type == metrics.Counter && !s.Created.IsZero():
		return prometheus.MustNewConstMetricWithCreatedTimestamp(desc, prometheus.CounterValue, s.Value, s.Created, s.Labels...)
	case metrics.Catalog[s.Metric].Type == metrics.Counter:
		return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, s.Value, s.Labels...)
	}
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, s.Value, s.Labels...)
}
