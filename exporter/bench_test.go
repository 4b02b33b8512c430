package exporter

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/metrics"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

const (
	largeSchedules = 500
	largeBackups   = 200 // of each schedule
	largeDrills    = 50  // of each schedule
)

// large is what the sources know of 500 schedules, each with 200 backups and 50
// drills of eight stages and all checks that get a series, at most: a cluster, a
// location and a ledger that hold everything a series is made of.
func large(t testing.TB, backups int) (state.State, state.Config) {
	cfg := state.Config{Schedules: map[string]schedule.Cron{}, CompatNames: true, CompatAliases: true}.WithDefaults()
	l := state.LocationState{
		Name: "default", Answered: true, StorageSource: readAt(noon), ClaimsSource: readAt(noon),
		Storage: fact.Storage{Protection: &fact.Protection{}}, Probes: map[string]time.Duration{"list": 1, "get": 1, "put": 1, "delete": 1},
	}
	scan := fact.KubeScan{Locations: []fact.StorageLocation{{Name: "default", Available: true, ValidationInterval: time.Minute, Validated: noon}}}
	totals := fact.Totals{Since: noon.AddDate(0, -1, 0), Counts: map[fact.RunKey]fact.Count{}}
	for i := range largeSchedules {
		name := fmt.Sprintf("schedule-%03d", i)
		expr := fmt.Sprintf("%d * * * *", i%60)
		cfg.Schedules[name] = cron(t, expr)
		scan.Schedules = append(scan.Schedules, fact.Schedule{
			Name: name, Expr: expr, Cron: cron(t, expr), Created: noon.AddDate(-1, 0, 0), Location: "default",
			TTL: 200 * time.Hour, RTO: time.Hour, RPO: 3 * time.Hour, ProvenRPO: 48 * time.Hour,
		})
		totals.Counts[fact.RunKey{Kind: fact.RunBackup, Subject: name, Outcome: "Completed"}] = fact.Count{Runs: 1, LastStarted: noon}
		totals.Counts[fact.RunKey{Kind: fact.RunBackup, Subject: name, Outcome: "Failed"}] = fact.Count{Runs: 1, LastStarted: noon}
		l.BackupList = append(l.BackupList, largeRuns(name, backups)...)
		l.DrillList = append(l.DrillList, drillsOf(l.BackupList[len(l.BackupList)-backups:][:min(backups, largeDrills)])...)
	}
	located(l.BackupList, l.Name)
	scan.Backups = l.BackupList
	return state.State{
		Started: noon, Locations: []state.LocationState{l},
		Kube: &state.KubeState{KubeScan: scan}, Ledger: &state.LedgerState{Totals: totals},
	}, cfg
}

// largeRuns are the backups of one schedule, the newest of which is under way.
func largeRuns(name string, n int) []fact.Backup {
	var out []fact.Backup
	for i := range n {
		b := completedBackup(name, fmt.Sprintf("%s-%03d", name, i), noon.Add(-time.Duration(i)*time.Hour))
		b.Created, b.Expires = b.Start, b.Start.Add(200*time.Hour)
		b.Volumes, b.LockAsked, b.LockedUntil = &fact.Volumes{Succeeded: 1, Size: 1, Added: 1}, true, b.Expires
		b.MetadataSHA256 = strings.Repeat("0", 64)
		if i == 0 {
			b.Phase, b.Completed = velerov1.BackupPhaseInProgress, time.Time{}
		}
		out = append(out, b)
	}
	return out
}

func drillsOf(backups []fact.Backup) []fact.Drill {
	stages := make([]fact.Stage, 0, 8)
	for _, name := range []string{"pick", "fetch", "provision", "restore", "ready", "verify", "report", "cleanup"} {
		stages = append(stages, fact.Stage{Name: name, Seconds: 1.5})
	}
	var checks []fact.Check
	for _, name := range fact.BuiltInChecks {
		checks = append(checks, fact.Check{Name: name, Result: report.Passed, BuiltIn: true})
	}
	for i := range fact.MaxOwnChecks {
		checks = append(checks, fact.Check{Name: fmt.Sprint("own-", i), Result: report.Passed, BuiltIn: false})
	}
	var out []fact.Drill
	for _, b := range backups {
		d := drillOfBackup(b, report.LevelKind, report.Passed)
		d.MetadataSHA256 = b.MetadataSHA256
		d.Stages, d.Checks, d.RTOTarget, d.RestoredBytes = stages, checks, time.Hour, 1
		out = append(out, d)
	}
	return out
}

// largeExporter knows all that now.
func largeExporter(t testing.TB, backups int) *Exporter {
	known, cfg := large(t, backups)
	now := time.Now()
	known.Locations[0].Backups, known.Locations[0].Drills, known.Kube.Source, known.Ledger.Source = readAt(now), readAt(now), readAt(now), readAt(now)
	e := New(cfg, silent(), Sources{Locations: []Location{{Name: "default"}}})
	e.publish(func(s *state.State) { *s = known })
	return e
}

// handlerOf serves metrics the way the program does.
func handlerOf(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{Registry: prometheus.NewRegistry(), EnableOpenMetrics: true, MaxRequestsInFlight: 4})
}

// What Prometheus 2 and 3 ask for, and with native histograms.
var accepted = map[string]string{
	"text":        "text/plain;version=0.0.4",
	"openmetrics": "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
	"protobuf":    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
}

// scrape is one GET of /metrics, compressed as Prometheus asks, without the
// network. It returns the size of the answer in bytes.
func scrape(t testing.TB, handler http.Handler, accept string) int {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	r.Header.Set("Accept-Encoding", "gzip")
	handler.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	return w.Body.Len()
}

// BenchmarkScrape is a scrape of 500 schedules and 100,000 backups. The budget
// is 100 ms. CPU-ms/op is what other processes do not disturb.
func BenchmarkScrape(b *testing.B) {
	e := largeExporter(b, largeBackups)
	handler := handlerOf(e)
	_, err := e.Gather() // Run does it in the program
	require.NoError(b, err)
	for name, accept := range accepted {
		b.Run(name, func(b *testing.B) {
			var size int
			cpu := cpuTime()
			for b.Loop() {
				size = scrape(b, handler, accept)
			}
			b.ReportMetric(float64((cpuTime()-cpu).Milliseconds())/float64(b.N), "CPU-ms/op")
			b.ReportMetric(float64(len(metrics.Of(time.Now(), e.known(), e.cfg))), "samples")
			b.ReportMetric(float64(size), "B/scrape")
		})
	}
}

// BenchmarkGather is the making of what scrapes serve, in the background.
func BenchmarkGather(b *testing.B) {
	e := largeExporter(b, largeBackups)
	cpu := cpuTime()
	for b.Loop() {
		_, err := e.gather()
		require.NoError(b, err)
	}
	b.ReportMetric(float64((cpuTime()-cpu).Milliseconds())/float64(b.N), "CPU-ms/op")
}

// BenchmarkDerive is the pure part of it.
func BenchmarkDerive(b *testing.B) {
	e := largeExporter(b, largeBackups)
	known := e.known()
	for b.Loop() {
		metrics.Of(noon, known, e.cfg)
	}
}

// BenchmarkRefresh is what a refresh does apart from reading.
func BenchmarkRefresh(b *testing.B) {
	known, cfg := large(b, largeBackups)
	for b.Loop() {
		state.Assemble(known, cfg)
	}
}

// lines counts the lines of an exposition that have a value.
func lines(t testing.TB, c prometheus.Collector) int {
	n := 0
	for line := range strings.Lines(exposition(t, c)) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

func TestSeriesAreBoundedBySchedulesAndNotByBackups(t *testing.T) {
	// What docs/metrics.md states.
	const perSchedule, fixed = 140, 120
	few, many := lines(t, largeExporter(t, 20)), lines(t, largeExporter(t, 40))
	assert.Equal(t, few, many, "twice the backups add no series")
	assert.LessOrEqual(t, many, largeSchedules*perSchedule+fixed)
	t.Logf("%d series, %.1f a schedule", many, float64(many)/largeSchedules)
}

// The budget is 100 ms for 500 schedules and 100,000 backups. Seconds say more
// about the machine and its load than about the exporter, so what is asserted is
// that a scrape makes nothing anew; test/bench/results/exporter.md has the times.
func TestAScrapeOfAHundredThousandBackupsMakesNoMetricAgain(t *testing.T) {
	e := largeExporter(t, largeBackups)
	first, err := e.Gather()
	require.NoError(t, err)
	second, err := e.Gather()
	require.NoError(t, err)
	assert.Same(t, first[0], second[0])
	began := cpuTime()
	scrape(t, handlerOf(e), accepted["text"])
	t.Logf("CPU time of a scrape %s", cpuTime()-began)
}
