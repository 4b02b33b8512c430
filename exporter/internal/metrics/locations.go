package metrics

import (
	"time"

	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
)

// locationSamples say how the reading of each location went. Unlike what is
// derived from backups, they speak of the last attempt, be it a failure, and
// are withheld when that is too old.
func locationSamples(out Samples, in input) {
	now, known, cfg := in.now, in.known, in.cfg
	for _, l := range known.Locations {
		out.add(locationRequests, float64(l.Requests.List), l.Name, "list")
		out.add(locationRequests, float64(l.Requests.Get), l.Name, "get")
		out.add(locationRequests, float64(l.Requests.Other), l.Name, "other")
		out.add(locationScanInterval, cfg.Interval.Seconds(), l.Name)
		storageSamples(out, now, l, cfg)
		logicalSample(out, l)
		last := fact.Later(l.Backups.LastAttempt, l.Drills.LastAttempt)
		if last.IsZero() {
			continue
		}
		tried := out.when(now.Sub(last) <= cfg.StaleAfter())
		tried.add(locationAvailable, fact.Boolean(l.Answered), l.Name)
		tried.add(locationScanSuccess, fact.Boolean(l.Backups.Succeeded() && l.Drills.Succeeded()), l.Name)
		out.addTime(locationLastScan, last, l.Name)
		out.add(locationScanDuration, (l.Backups.Duration + l.Drills.Duration).Seconds(), l.Name)

		read := out.when(l.Backups.Fresh(now, cfg.StaleAfter()))
		if l.Backups.Read() {
			read.add(locationIncompleteBackups, float64(l.Incomplete), l.Name)
			read.add(locationUnreadableObjects, float64(l.Unreadable), l.Name)
			for _, operation := range []string{fact.ProbeList, fact.ProbeGet, fact.ProbePut, fact.ProbeDelete} {
				if took, ok := l.Probes[operation]; ok {
					read.add(locationProbeDuration, took.Seconds(), l.Name, operation)
				}
			}
		}
	}
}

// locationViewSamples say what the cluster knows of locations, and where it and they
// disagree.
func locationViewSamples(out Samples, in input) {
	known, k := in.known, in.fresh
	cluster := out.when(k.Cluster)
	for _, h := range known.Homes {
		inBucket := h.Location >= 0 && k.Backups[h.Location]
		statusSample(out, h, known, k)
		if h.Storage != nil {
			cluster.add(locationAccessMode, fact.Boolean(!h.Storage.ReadOnly), h.Name, "ReadWrite")
			cluster.add(locationAccessMode, fact.Boolean(h.Storage.ReadOnly), h.Name, "ReadOnly")
			cluster.addTime(locationLastValidation, h.Storage.Validated, h.Name)
			if h.Storage.ValidationInterval > 0 {
				cluster.add(locationValidationInterval, h.Storage.ValidationInterval.Seconds(), h.Name)
			}
		}
		cluster.addTime(locationMaintenance, h.LastMaintained, h.Name)
		if k.Watched && known.Kube.Source.Read() {
			cluster.add(locationForeign, float64(h.Foreign), h.Name)
			if h.Location >= 0 && known.Locations[h.Location].Backups.Read() {
				both := out.when(k.Cluster && inBucket)
				both.add(locationMissing, float64(h.Missing), h.Name)
				both.add(locationOrphaned, float64(h.Overdue(k.Now)), h.Name)
			}
		}
	}
}

// statusSample is Velero's word on a location, or where there is no cluster that
// could have one, whether the location answered.
func statusSample(out Samples, h state.LocationView, known state.State, k state.Freshness) {
	switch {
	case h.Storage != nil:
		out.when(k.Cluster).add(veleroLocationStatus, fact.Boolean(h.Storage.Available), h.Name)
	case !k.Watched && !known.Locations[h.Location].Backups.LastAttempt.IsZero():
		tried := k.Now.Sub(known.Locations[h.Location].Backups.LastAttempt) <= k.StaleAfter
		out.when(tried).add(veleroLocationStatus, fact.Boolean(known.Locations[h.Location].Answered), h.Name)
	}
}

// exporterSamples say how well the exporter itself sees.
func exporterSamples(out Samples, in input) {
	now, known, cfg := in.now, in.known, in.cfg
	out.add(exporterBuildInfo, 1, cfg.Build.Version, cfg.Build.Revision, cfg.Build.GoVersion)
	if known.Kube != nil {
		out.add(exporterSourceUp, fact.Boolean(known.Kube.Source.Up(now, cfg.StaleAfter())), fact.SourceKube, "")
		out.addTime(exporterSourceLastSuccess, known.Kube.Source.LastSuccess, fact.SourceKube, "")
	}
	for _, l := range known.Locations {
		out.add(exporterSourceUp, fact.Boolean(l.Backups.Up(now, cfg.StaleAfter())), fact.SourceBucket, l.Name)
		out.add(exporterSourceUp, fact.Boolean(l.Drills.Up(now, cfg.StaleAfter())), fact.SourceDrills, l.Name)
		out.addTime(exporterSourceLastSuccess, l.Backups.LastSuccess, fact.SourceBucket, l.Name)
		out.addTime(exporterSourceLastSuccess, l.Drills.LastSuccess, fact.SourceDrills, l.Name)
	}
	ledgerSamples(out, now, known, cfg)
	collectorSamples(out, known)
	out.add(exporterConfigReload, 1)
	out.addTime(exporterConfigReloadTime, known.Started)
	ambiguous := 0
	for _, s := range known.Schedules {
		if s.Name != "" && s.Kube == nil && len(s.Locations) > 1 {
			ambiguous++
		}
	}
	out.add(exporterAmbiguousSchedules, float64(ambiguous))
	out.add(exporterDroppedSeries, float64(max(len(known.Schedules)-cfg.MaxSchedules, 0)), "schedules")
	out.add(exporterDroppedSeries, float64(mergedChecks(state.Within(known.Schedules, cfg))), "checks")
}

// collectorSamples say how the last refresh of each collector went. Of several
// locations the worst success and the longest duration count.
func collectorSamples(out Samples, known state.State) {
	add := func(collector string, sources ...state.SourceState) {
		success, longest, tried := true, time.Duration(0), false
		for _, s := range sources {
			if !s.LastAttempt.IsZero() {
				tried, success, longest = true, success && s.Succeeded(), max(longest, s.Duration)
			}
		}
		if tried {
			out.add(exporterCollectorSuccess, fact.Boolean(success), collector)
			out.add(exporterCollectorDuration, longest.Seconds(), collector)
		}
	}
	of := func(part func(state.LocationState) state.SourceState) []state.SourceState {
		var sources []state.SourceState
		for _, l := range known.Locations {
			sources = append(sources, part(l))
		}
		return sources
	}
	if known.Kube != nil {
		add(fact.SourceKube, known.Kube.Source)
	}
	if known.Ledger != nil {
		add(fact.SourceLedger, known.Ledger.Source)
	}
	add(fact.SourceBucket, of(func(l state.LocationState) state.SourceState { return l.Backups })...)
	add(fact.SourceDrills, of(func(l state.LocationState) state.SourceState { return l.Drills })...)
	add(fact.CollectorClaims, of(func(l state.LocationState) state.SourceState { return l.ClaimsSource })...)
	add(fact.CollectorStorage, of(func(l state.LocationState) state.SourceState { return l.StorageSource })...)
}

// ledgerSamples say of what the counters are made.
func ledgerSamples(out Samples, now time.Time, known state.State, cfg state.Config) {
	if known.Ledger == nil {
		out.add(exporterSourceUp, 0, fact.SourceLedger, "")
		return
	}
	out.add(exporterSourceUp, fact.Boolean(known.Ledger.Source.Up(now, cfg.StaleAfter())), fact.SourceLedger, "")
	out.addTime(exporterSourceLastSuccess, known.Ledger.Source.LastSuccess, fact.SourceLedger, "")
	out.add(exporterLedgerPersistent, fact.Boolean(known.Ledger.Persistent))
	out.addTime(exporterLedgerSince, known.Ledger.Since)
	if cfg.Repositories && known.Kube != nil {
		out.add(exporterDroppedSeries, float64(max(len(known.Kube.Repositories)-MaxRepositories, 0)), "repositories")
	}
}
