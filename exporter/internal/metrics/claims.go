package metrics

import (
	"time"

	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
)

// claimSamples count the scheduled drills under way in all locations. A location
// whose records cannot be read withholds the sum.
func claimSamples(out *Samples, now time.Time, known state.State, cfg state.Config) {
	var sum fact.Claims
	read := false
	for _, l := range known.Locations {
		if !l.ClaimsSource.Read() {
			continue
		}
		read = true
		out.stale = out.stale || !l.ClaimsSource.Fresh(now, state.ClaimsEvery*cfg.StaleAfter())
		sum.Active += l.Claims.Active
		sum.Abandoned += l.Claims.Abandoned
	}
	if read {
		out.add(drillActive, float64(sum.Active))
		out.add(drillAbandoned, float64(sum.Abandoned))
	}
	out.stale = false
}
