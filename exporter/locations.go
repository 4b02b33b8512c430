package exporter

import "time"

// locationSamples say how the reading of each location went. Unlike what is
// derived from backups, they speak of the last attempt, be it a failure, and
// are withheld when that is too old.
func locationSamples(out *samples, now time.Time, state State, cfg Config) {
	for _, l := range state.Locations {
		out.add(locationRequests, float64(l.Requests.List), l.Name, "list")
		out.add(locationRequests, float64(l.Requests.Get), l.Name, "get")
		out.add(locationRequests, float64(l.Requests.Other), l.Name, "other")
		out.add(locationScanInterval, cfg.Interval.Seconds(), l.Name)
		storageSamples(out, now, l, cfg)
		logicalSample(out, l)
		last := later(l.Backups.LastAttempt, l.Drills.LastAttempt)
		if last.IsZero() {
			continue
		}
		out.stale = now.Sub(last) > cfg.StaleAfter()
		out.add(locationAvailable, boolean(l.Answered), l.Name)
		out.add(locationScanSuccess, boolean(l.Backups.succeeded() && l.Drills.succeeded()), l.Name)
		out.addTime(locationLastScan, last, l.Name)
		out.add(locationScanDuration, (l.Backups.Duration + l.Drills.Duration).Seconds(), l.Name)

		out.stale = !l.Backups.fresh(now, cfg.StaleAfter())
		if l.Backups.read() {
			out.add(locationIncompleteBackups, float64(l.Incomplete), l.Name)
			out.add(locationUnreadableObjects, float64(l.Unreadable), l.Name)
			for _, operation := range []string{probeList, probeGet, probePut, probeDelete} {
				if took, ok := l.Probes[operation]; ok {
					out.add(locationProbeDuration, took.Seconds(), l.Name, operation)
				}
			}
		}
	}
	out.stale = false
}

// homeSamples say what the cluster knows of locations, and where it and they
// disagree.
func homeSamples(out *samples, state State, k knowledge) {
	for _, h := range state.Homes {
		bucket := h.Location >= 0 && k.backups[h.Location]
		statusSample(out, h, state, k)
		out.stale = !k.cluster
		if h.Storage != nil {
			out.add(locationAccessMode, boolean(!h.Storage.ReadOnly), h.Name, "ReadWrite")
			out.add(locationAccessMode, boolean(h.Storage.ReadOnly), h.Name, "ReadOnly")
			out.addTime(locationLastValidation, h.Storage.Validated, h.Name)
			if h.Storage.ValidationInterval > 0 {
				out.add(locationValidationInterval, h.Storage.ValidationInterval.Seconds(), h.Name)
			}
		}
		out.addTime(locationMaintenance, h.LastMaintained, h.Name)
		if k.watched && state.Kube.Source.read() {
			out.add(locationForeign, float64(h.Foreign), h.Name)
			if h.Location >= 0 && state.Locations[h.Location].Backups.read() {
				out.stale = !k.cluster || !bucket
				out.add(locationMissing, float64(h.Missing), h.Name)
				out.add(locationOrphaned, float64(h.orphaned(k.now)), h.Name)
			}
		}
	}
	out.stale = false
}

// statusSample is Velero's word on a location, or where there is no cluster that
// could have one, whether the location answered.
func statusSample(out *samples, h Home, state State, k knowledge) {
	switch {
	case h.Storage != nil:
		out.stale = !k.cluster
		out.add(veleroLocationStatus, boolean(h.Storage.Available), h.Name)
	case !k.watched && !state.Locations[h.Location].Backups.LastAttempt.IsZero():
		out.stale = k.now.Sub(state.Locations[h.Location].Backups.LastAttempt) > k.staleAfter
		out.add(veleroLocationStatus, boolean(state.Locations[h.Location].Answered), h.Name)
	}
}

// The sources of what the exporter knows.
const (
	sourceKube   = "kube"
	sourceLedger = "ledger"
	sourceBucket = "bucket"
	sourceDrills = "drills"
)

// exporterSamples say how well the exporter itself sees.
func exporterSamples(out *samples, now time.Time, state State, cfg Config) {
	out.add(exporterBuildInfo, 1, cfg.Build.Version, cfg.Build.Revision, cfg.Build.GoVersion)
	if state.Kube != nil {
		out.add(exporterSourceUp, boolean(state.Kube.Source.up(now, cfg.StaleAfter())), sourceKube, "")
		out.addTime(exporterSourceLastSuccess, state.Kube.Source.LastSuccess, sourceKube, "")
	}
	for _, l := range state.Locations {
		out.add(exporterSourceUp, boolean(l.Backups.up(now, cfg.StaleAfter())), sourceBucket, l.Name)
		out.add(exporterSourceUp, boolean(l.Drills.up(now, cfg.StaleAfter())), sourceDrills, l.Name)
		out.addTime(exporterSourceLastSuccess, l.Backups.LastSuccess, sourceBucket, l.Name)
		out.addTime(exporterSourceLastSuccess, l.Drills.LastSuccess, sourceDrills, l.Name)
	}
	ledgerSamples(out, now, state, cfg)
	collectorSamples(out, state)
	out.add(exporterConfigReload, 1)
	out.addTime(exporterConfigReloadTime, state.Started)
	ambiguous := 0
	for _, s := range state.Schedules {
		if s.Name != "" && s.Kube == nil && len(s.Locations) > 1 {
			ambiguous++
		}
	}
	out.add(exporterAmbiguousSchedules, float64(ambiguous))
	out.add(exporterDroppedSeries, float64(max(len(state.Schedules)-cfg.MaxSchedules, 0)), "schedules")
	out.add(exporterDroppedSeries, float64(mergedChecks(within(state.Schedules, cfg))), "checks")
}

// The collectors are the sources, and the parts of a location that are read on
// their own.
const (
	collectorClaims  = "claims"
	collectorStorage = "storage"
)

// collectorSamples say how the last refresh of each collector went. Of several
// locations the worst success and the longest duration count.
func collectorSamples(out *samples, state State) {
	add := func(collector string, sources ...SourceState) {
		success, longest, tried := true, time.Duration(0), false
		for _, s := range sources {
			if !s.LastAttempt.IsZero() {
				tried, success, longest = true, success && s.succeeded(), max(longest, s.Duration)
			}
		}
		if tried {
			out.add(exporterCollectorSuccess, boolean(success), collector)
			out.add(exporterCollectorDuration, longest.Seconds(), collector)
		}
	}
	of := func(part func(LocationState) SourceState) []SourceState {
		var sources []SourceState
		for _, l := range state.Locations {
			sources = append(sources, part(l))
		}
		return sources
	}
	if state.Kube != nil {
		add(sourceKube, state.Kube.Source)
	}
	if state.Ledger != nil {
		add(sourceLedger, state.Ledger.Source)
	}
	add(sourceBucket, of(func(l LocationState) SourceState { return l.Backups })...)
	add(sourceDrills, of(func(l LocationState) SourceState { return l.Drills })...)
	add(collectorClaims, of(func(l LocationState) SourceState { return l.ClaimsSource })...)
	add(collectorStorage, of(func(l LocationState) SourceState { return l.StorageSource })...)
}

// ledgerSamples say of what the counters are made.
func ledgerSamples(out *samples, now time.Time, state State, cfg Config) {
	if state.Ledger == nil {
		out.add(exporterSourceUp, 0, sourceLedger, "")
		return
	}
	out.add(exporterSourceUp, boolean(state.Ledger.Source.up(now, cfg.StaleAfter())), sourceLedger, "")
	out.addTime(exporterSourceLastSuccess, state.Ledger.Source.LastSuccess, sourceLedger, "")
	out.add(exporterLedgerPersistent, boolean(state.Ledger.Persistent))
	out.addTime(exporterLedgerSince, state.Ledger.Since)
	if cfg.Repositories && state.Kube != nil {
		out.add(exporterDroppedSeries, float64(max(len(state.Kube.Repositories)-maxRepositories, 0)), "repositories")
	}
}
