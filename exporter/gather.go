package exporter

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const (
	// gatherInterval is how old the metrics of a scrape may be when nothing
	// changed meanwhile.
	gatherInterval = 15 * time.Second
	// gatherShare is how much longer than the last making of the metrics took the
	// next one is put off: changes that come fast cost a tenth of a core at most.
	gatherShare = 9
)

// gathered is what was served from a moment on.
type gathered struct {
	at       time.Time
	families []*dto.MetricFamily
}

// Gather implements prometheus.Gatherer. It returns the metrics as they were
// made when something changed last: making, checking and sorting those of 500
// schedules takes longer than a scrape may. While nothing makes them, before Run
// above all, it makes them itself.
func (e *Exporter) Gather() ([]*dto.MetricFamily, error) {
	if last := e.gathered.Load(); last != nil && time.Since(last.at) < 2*gatherInterval {
		return last.families, nil
	}
	return e.gather()
}

// gather makes the metrics.
func (e *Exporter) gather() ([]*dto.MetricFamily, error) {
	began := time.Now()
	families, err := e.registry.Gather()
	if err != nil {
		return families, err
	}
	e.gathered.Store(&gathered{began, families})
	return families, nil
}

// keepGathered makes the metrics again when the state changes, and now and then
// when it does not, because some depend on the time of day, until ctx is done.
func (e *Exporter) keepGathered(ctx context.Context) {
	for {
		began := time.Now()
		if _, err := e.gather(); err != nil {
			e.gathered.Store(nil) // the next scrape fails, and says why
			e.log.Error("metrics cannot be served", "err", err)
		}
		rest := time.NewTimer(gatherShare * time.Since(began))
		select {
		case <-ctx.Done():
			rest.Stop()
			return
		case <-rest.C:
		}
		again := time.NewTimer(gatherInterval)
		select {
		case <-ctx.Done():
			again.Stop()
			return
		case <-e.changed:
			again.Stop()
		case <-again.C:
		}
	}
}

var _ prometheus.Gatherer = (*Exporter)(nil)
