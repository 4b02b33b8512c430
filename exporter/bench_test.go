package exporter

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// large is a location of 500 schedules, each with 200 backups and 50 drills of
// eight stages.
func large(t testing.TB) (LocationState, Config) {
	const schedules, backups, drills = 500, 200, 50
	cfg := Config{Schedules: map[string]schedule.Cron{}}
	l := LocationState{Name: "default", Answered: true, Backups: readAt(noon), Drills: readAt(noon)}
	var stages []Stage
	for _, name := range []string{"pick", "fetch", "provision", "restore", "ready", "verify", "report", "cleanup"} {
		stages = append(stages, Stage{name, 1.5})
	}
	for i := range schedules {
		name := fmt.Sprintf("schedule-%03d", i)
		cfg.Schedules[name] = cron(t, fmt.Sprintf("%d * * * *", i%60))
		for n := range backups {
			b := completedBackup(name, fmt.Sprintf("%s-%03d", name, n), noon.Add(-time.Duration(n)*time.Hour))
			l.BackupList = append(l.BackupList, b)
			if n < drills {
				d := drillOfBackup(b, report.LevelControlPlane, report.Passed)
				d.Stages = stages
				l.DrillList = append(l.DrillList, d)
			}
		}
	}
	located(l.BackupList, l.Name)
	return l, cfg.withDefaults()
}

func largeExporter(t testing.TB) (*Exporter, http.Handler) {
	l, cfg := large(t)
	now := time.Now()
	l.Backups, l.Drills = readAt(now), readAt(now)
	e := New(cfg, silent(), Sources{Locations: []Location{{Name: l.Name}}})
	e.publishLocation(0, func(s *LocationState) { *s = l })
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(e))
	return e, promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true})
}

// BenchmarkScrape is one GET of /metrics for 500 schedules and 100,000 backups,
// without the network. The budget is 100 ms.
func BenchmarkScrape(b *testing.B) {
	e, handler := largeExporter(b)
	series := len(Derive(time.Now(), e.known(), e.cfg))
	var size int
	for b.Loop() {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		size = w.Body.Len()
	}
	b.ReportMetric(float64(series), "series")
	b.ReportMetric(float64(size), "B/scrape")
}

// BenchmarkDerive is the pure part of a scrape.
func BenchmarkDerive(b *testing.B) {
	e, _ := largeExporter(b)
	state := e.known()
	for b.Loop() {
		Derive(noon, state, e.cfg)
	}
}

// BenchmarkRefresh is what a refresh does apart from reading.
func BenchmarkRefresh(b *testing.B) {
	l, cfg := large(b)
	for b.Loop() {
		assembled(noon, []LocationState{l}, cfg)
	}
}

func TestSeriesAreBoundedBySchedules(t *testing.T) {
	e, _ := largeExporter(t)
	const perSchedule, fixed = 60, 20
	assert.LessOrEqual(t, len(Derive(time.Now(), e.known(), e.cfg)), 500*perSchedule+fixed)
}
