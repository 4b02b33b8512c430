package exporter

import (
	"time"

	"github.com/lifeboat-backup/lifeboat/exporter/internal/status"
)

// Status is what is known now.
func (e *Exporter) Status() status.Status { return status.Of(time.Now(), e.known(), e.cfg) }
