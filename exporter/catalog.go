package exporter

import (
	"github.com/lifeboat-backup/lifeboat/exporter/internal/metrics"
)

// Catalog returns every metric the exporter can serve, apart from those of the
// Go runtime, the process and the HTTP handler.
func Catalog() []metrics.Metric { return metrics.Catalog[:] }
