package exporter

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
)

// served is what a scrape gets.
func served(t *testing.T, g prometheus.Gatherer) string {
	t.Helper()
	families, err := g.Gather()
	require.NoError(t, err)
	var out strings.Builder
	for _, f := range families {
		_, err := expfmt.MetricFamilyToText(&out, f)
		require.NoError(t, err)
	}
	return out.String()
}

func TestAScrapeServesAChangeAsSoonAsItIsKnownAndTimeThatPassesWithinSeconds(t *testing.T) {
	inBucket, cfg := aDayInTheLife(t)
	cut := &flaky{Store: inBucket}
	_, location := locationOf(cut)
	inBubble(t, cfg, location, func(t *testing.T, e *Exporter) {
		assert.Equal(t, exposition(t, e), served(t, e), "what was found first is served at once")

		inBucket.backup(completedBackup("new", "new-1", midnight))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.Contains(t, served(t, e), `lifeboat_schedule_recovery_point_timestamp_seconds{schedule="new"}`)

		cut.gone.Store(true)
		time.Sleep(cfg.WithDefaults().StaleAfter() + 2*time.Minute)
		synctest.Wait()
		assert.NotContains(t, served(t, e), "lifeboat_schedule_last_backup_phase", "what is not known any more is withheld without a change")
	})
}

func TestAScrapeOfAnExporterThatDoesNotRunIsMadeForIt(t *testing.T) {
	e := New(state.Config{}, silent(), Sources{})
	assert.Contains(t, served(t, e), "lifeboat_exporter_build_info")
	e.publish(func(s *state.State) { s.Locations = []state.LocationState{{Name: "late"}} })
	e.gathered.Store(&gathered{at: time.Now().Add(-time.Hour)})
	assert.Contains(t, served(t, e), `backup_location_name="late"`, "metrics of long ago are not served")
}
