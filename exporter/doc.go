// Package exporter reports to Prometheus what the backups of one cluster are worth:
// when each schedule last succeeded and by when it must succeed again, what the
// drills proved, and whether the exporter itself can see.
//
// Data flows one way:
//
//	internal/bucket: location -> facts (refreshed in the background)
//	internal/kube:   cluster  -> facts (memory that a watch keeps up to date)
//	internal/fact    -> internal/state (pure) -> internal/metrics (pure) -> Collect -> /metrics
//	                                          -> internal/status (pure) -> /api/v1/status
//
// What holds:
//   - A scrape reads memory: what was made when something changed last. It never
//     lists, and it costs no request.
//   - Everything is derived from what the sources hold, so a restart forgets
//     nothing but the counters of the exporter's own requests, since when a
//     schedule runs again that was paused, and, where no ledger keeps them
//     (core/ledger), the counters of runs.
//   - Nothing is written but that ledger, and what probes of writing write.
//   - A timestamp may be served stale: its age only grows, which errs towards
//     an alert. A claim about the present may not: it is withheld once its
//     source could not be read for Config.StaleAfter, and
//     lifeboat_exporter_source_up says so. Catalog says which metric is which.
//   - Series are bounded by schedules and locations, never by backups.
//
// What does not hold: one exporter watches one cluster. Backups are told apart
// by the name of their schedule, so two clusters whose schedules have the same
// names need an exporter each; lifeboat_exporter_ambiguous_schedules counts
// names that were found in more than one location. Backups of two clusters that
// share one prefix are told apart by the cluster that is watched, not without one.
package exporter
