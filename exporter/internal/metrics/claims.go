package metrics

import (
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
)

// claimSamples count the scheduled drills under way in all locations. A location
// whose records cannot be read withholds the sum.
func claimSamples(out Samples, in input) {
	now, known, cfg := in.now, in.known, in.cfg
	fresh := true
	var sum fact.Claims
	read := false
	for _, l := range known.Locations {
		if !l.ClaimsSource.Read() {
			continue
		}
		read = true
		fresh = fresh && l.ClaimsSource.Fresh(now, state.ClaimsEvery*cfg.StaleAfter())
		sum.Active += l.Claims.Active
		sum.Abandoned += l.Claims.Abandoned
	}
	if read {
		out.when(fresh).add(drillActive, float64(sum.Active))
		out.when(fresh).add(drillAbandoned, float64(sum.Abandoned))
	}
}
