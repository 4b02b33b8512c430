package exporter

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/volume"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/bucket"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// inBubble runs an exporter of one location in a synctest bubble, where it is
// midnight of 2000-01-01 UTC and time passes only when everything waits.
func inBubble(t *testing.T, cfg state.Config, location Location, f func(t *testing.T, e *Exporter)) {
	t.Helper()
	inBubbleOf(t, cfg, Sources{Locations: []Location{location}}, f)
}

func inBubbleOf(t *testing.T, cfg state.Config, sources Sources, f func(t *testing.T, e *Exporter)) {
	t.Helper()
	cfg.CompatNames, cfg.CompatAliases = true, true
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		e := New(cfg, silent(), sources)
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		defer func() {
			cancel()
			assert.NoError(t, <-done)
		}()
		synctest.Wait()
		f(t, e)
	})
}

var midnight = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

func exposition(t testing.TB, c prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(c))
	families, err := registry.Gather()
	require.NoError(t, err)
	var out strings.Builder
	for _, f := range families {
		_, err := expfmt.MetricFamilyToText(&out, f)
		require.NoError(t, err)
	}
	return out.String()
}

// aDayInTheLife is a location with a healthy schedule, a failing one, one that
// never ran, a backup made by hand, a torn one and a broken one.
func aDayInTheLife(t *testing.T) (fakeBucket, state.Config) {
	b := newBucket(t)
	hourly := func(n int) fact.Backup {
		return completedBackup("shop-hourly", fmt.Sprintf("shop-hourly-%d", n), midnight.Add(-time.Duration(n)*time.Hour))
	}
	for n := 1; n <= 4; n++ {
		b.backup(hourly(n))
	}
	d := drillOfBackup(hourly(3), kind, report.Passed)
	d.Policy, d.Cron, d.RTOTarget, d.RestoredBytes = "nightly", cron(t, "0 3 * * *"), 15*time.Minute, 1<<16
	d.Checks = []fact.Check{{Name: "files_present", Result: report.Passed, BuiltIn: true}, {Name: "items_equal", Result: report.Passed, BuiltIn: true}, {Name: "workloads_ready", Result: report.Passed, BuiltIn: true}, {Name: "orders-are-there", Result: report.Passed, BuiltIn: false}}
	b.drill("20000101T000000Z-1", d)
	b.put(store.Attempts("nightly", "19991231T030000Z", "shop-hourly-4")+"1.json", claimRecord("19991231T030000Z-1", midnight.Add(-21*time.Hour)))
	b.put(store.Run("nightly", "19991231T030000Z"), []byte("{}"))
	for n, phase := range []velerov1.BackupPhase{velerov1.BackupPhaseFailed, velerov1.BackupPhasePartiallyFailed, velerov1.BackupPhaseCompleted} {
		start := midnight.Add(-22*time.Hour).AddDate(0, 0, -n)
		d := endedAs(phase, completedBackup("db-daily", fmt.Sprintf("db-daily-%d", n), start))
		d.Errors = 2 - n
		b.backup(d)
		if n == 2 {
			failed := drillOfBackup(d, controlplane, report.Failed)
			failed.Checks = []fact.Check{{Name: "items_equal", Result: report.Failed, BuiltIn: true}, {Name: "contained", Result: report.Error, BuiltIn: true}}
			b.drill("20000101T000000Z-2", failed)
		}
	}
	b.backup(completedBackup("", "before-upgrade", midnight.Add(-50*time.Hour)))
	b.volumes("shop-hourly-1", copied(volume.ResultSucceeded, 1<<30, 1<<20), volume.Info{Skipped: true})
	b.put("kopia/shop/p1", make([]byte, 1<<10))
	b.put(store.Contents("torn"), []byte("half"))
	b.put(store.Metadata("broken"), []byte("{"))
	return b, state.Config{
		Schedules: map[string]schedule.Cron{"db-daily": cron(t, "0 2 * * *"), "never": cron(t, "@every 6h")},
		RPO:       map[string]time.Duration{"db-daily": 26 * time.Hour},
		Build:     state.Build{Version: "1.2.3", Revision: "abc", GoVersion: "go1.26"},

		Repositories: true,
	}
}

func TestTheExpositionIsAsRecorded(t *testing.T) {
	inBucket, cfg := aDayInTheLife(t)
	source, location := locationOf(&protected{Store: inBucket, until: midnight.AddDate(1, 0, 0)})
	source.Lock = true
	inBubbleOf(t, cfg, Sources{Locations: []Location{location}, Kube: aClusterOf(t, inBucket)}, func(t *testing.T, e *Exporter) {
		golden(t, "exposition.prom", exposition(t, e))
	})
}

func TestTheExpositionOfALocationThatIsGoneIsAsRecorded(t *testing.T) {
	inBucket, cfg := aDayInTheLife(t)
	flaky := &flaky{Store: inBucket}
	source := bucket.New(flaky.open, silent())
	location := Location{Name: "default", Backups: source, Drills: source, Requests: source.Requests}
	inBubble(t, cfg, location, func(t *testing.T, e *Exporter) {
		flaky.gone.Store(true)
		time.Sleep(10 * time.Minute) // the bubble's time
		synctest.Wait()
		// When an attempt ends depends on chance, so only what does not is kept.
		var kept []string
		for line := range strings.Lines(exposition(t, e)) {
			if !strings.HasPrefix(line, "lifeboat_location_last_scan_timestamp_seconds{") && !strings.Contains(line, `_last_success_timestamp_seconds{backup_location_name="",source="ledger"}`) {
				kept = append(kept, line)
			}
		}
		golden(t, "stale.prom", strings.Join(kept, ""))
	})
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	wanted, have := strings.SplitAfter(string(want), "\n"), strings.SplitAfter(got, "\n")
	for i := range min(len(wanted), len(have)) {
		require.Equal(t, wanted[i], have[i], "%s, line %d; go test ./exporter -update, and look at the difference", path, i+1)
	}
	require.Len(t, have, len(wanted), path)
}

func TestALocationThatComesBackIsReadAgain(t *testing.T) {
	inBucket, cfg := aDayInTheLife(t)
	flaky := &flaky{Store: inBucket}
	flaky.gone.Store(true)
	source := bucket.New(flaky.open, silent())
	location := Location{Name: "default", Backups: source, Drills: source, Requests: source.Requests}
	inBubble(t, cfg, location, func(t *testing.T, e *Exporter) {
		out := exposition(t, e)
		assert.True(t, e.Ready(), "an exporter that cannot see must be scraped, or nobody is told")
		assert.Contains(t, out, `lifeboat_exporter_source_up{backup_location_name="default",source="bucket"} 0`)
		assert.Contains(t, out, `lifeboat_location_available{backup_location_name="default"} 0`)
		assert.NotContains(t, out, "lifeboat_schedule_")
		assert.NotContains(t, out, "velero_backup_total")

		flaky.gone.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		out = exposition(t, e)
		assert.Contains(t, out, `lifeboat_exporter_source_up{backup_location_name="default",source="bucket"} 1`)
		assert.Contains(t, out, `lifeboat_schedule_recovery_point_timestamp_seconds{schedule="shop-hourly"}`)
	})
}

func TestAScrapeAsksTheLocationForNothing(t *testing.T) {
	inBucket, cfg := aDayInTheLife(t)
	source, location := locationOf(inBucket)
	inBubble(t, cfg, location, func(t *testing.T, e *Exporter) {
		before := source.Requests()
		for range 10 {
			exposition(t, e)
		}
		assert.Equal(t, before, source.Requests())
	})
}

func TestAReadingThatHangsIsEndedAndShownAsDown(t *testing.T) {
	hang := &hanging{}
	location := Location{Name: "default", Backups: hang, Drills: hang}
	inBubble(t, state.Config{Interval: time.Minute, Timeout: 10 * time.Second}, location, func(t *testing.T, e *Exporter) {
		assert.False(t, e.Ready(), "nothing is known yet")
		time.Sleep(25 * time.Second)
		synctest.Wait()
		assert.True(t, e.Ready())
		assert.Contains(t, exposition(t, e), `lifeboat_exporter_source_up{backup_location_name="default",source="bucket"} 0`)
	})
}

// hanging is a source that answers only when it is told to stop.
type hanging struct{}

func (*hanging) ListBackups(ctx context.Context) (fact.BackupScan, error) {
	<-ctx.Done()
	return fact.BackupScan{}, ctx.Err()
}

func (*hanging) ListDrills(ctx context.Context) (fact.DrillScan, error) {
	<-ctx.Done()
	return fact.DrillScan{}, ctx.Err()
}

// veleroNames are the findings of the metric lint that Velero's own names make.
// No name of Lifeboat's may be among them.
var veleroNames = []string{
	`velero_backup_location_status_gauge: metric name should not include type 'gauge'`,
	`velero_restore_total: non-counter metrics should not have "_total" suffix`,
	`velero_backup_items_total: non-counter metrics should not have "_total" suffix`,
	`velero_backup_total: non-counter metrics should not have "_total" suffix`,
}

func TestTheMetricsFollowTheConventions(t *testing.T) {
	inBucket, cfg := aDayInTheLife(t)
	_, location := locationOf(inBucket)
	inBubbleOf(t, cfg, Sources{Locations: []Location{location}, Kube: aClusterOf(t, inBucket)}, func(t *testing.T, e *Exporter) {
		problems, err := testutil.CollectAndLint(e)
		require.NoError(t, err)
		var found []string
		for _, p := range problems {
			found = append(found, p.Metric+": "+p.Text)
		}
		assert.ElementsMatch(t, veleroNames, found)
	})
}

func TestThePedanticRegistryAcceptsEverything(t *testing.T) {
	inBucket, cfg := aDayInTheLife(t)
	source, location := locationOf(&protected{Store: inBucket, until: midnight.AddDate(1, 0, 0)})
	source.Lock, source.ProbeWrites = true, true
	inBubbleOf(t, cfg, Sources{Locations: []Location{location}, Kube: aClusterOf(t, inBucket)}, func(t *testing.T, e *Exporter) {
		registry := prometheus.NewPedanticRegistry()
		require.NoError(t, registry.Register(e))
		families, err := registry.Gather()
		require.NoError(t, err)
		served := map[string]bool{}
		for _, f := range families {
			served[f.GetName()] = true
		}
		for _, m := range Catalog() {
			assert.True(t, served[m.Name], "%s is in the catalog and never served", m.Name)
		}
	})
}

// The document is made from the catalog by
// go test ./exporter -run TestTheDocumentIsMadeFromTheCatalog -update.
func TestTheDocumentIsMadeFromTheCatalog(t *testing.T) {
	path := filepath.Join("..", "docs", "metrics.md")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	const begin, end = "<!-- catalog: begin -->\n", "<!-- catalog: end -->\n"
	head, rest, ok := strings.Cut(string(raw), begin)
	require.True(t, ok, "the document has a place for the catalog")
	table, tail, ok := strings.Cut(rest, end)
	require.True(t, ok, "the place for the catalog has an end")
	if *update {
		table = catalogTable()
		require.NoError(t, os.WriteFile(path, []byte(head+begin+table+end+tail), 0o644))
	}
	assert.Equal(t, catalogTable(), table, "run it with -update")
}

func catalogTable() string {
	var b bytes.Buffer
	b.WriteString("| metric | type | labels | when stale | meaning |\n|---|---|---|---|---|\n")
	for _, m := range Catalog() {
		labels := strings.Join(m.Labels, ", ")
		if labels == "" {
			labels = "-"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Type, labels, m.WhenStale, strings.ReplaceAll(m.Help, "|", `\|`))
	}
	return b.String()
}
