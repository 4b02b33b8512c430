// Package metrics has the catalog of all metrics and prints a state as samples, one subject a
// file. It is pure and does not know Prometheus.
package metrics
