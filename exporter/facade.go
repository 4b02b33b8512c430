package exporter

import (
	"context"
	"log/slog"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/bucket"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/kube"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/metrics"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/status"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Config is what the exporter is told, Build what it is.
type (
	Config = state.Config
	Build  = state.Build
)

// What sources return, for whoever writes one.
type (
	Backup          = fact.Backup
	BackupScan      = fact.BackupScan
	Check           = fact.Check
	Claims          = fact.Claims
	Drill           = fact.Drill
	DrillScan       = fact.DrillScan
	KubeScan        = fact.KubeScan
	Protection      = fact.Protection
	Repository      = fact.Repository
	Requests        = fact.Requests
	Restore         = fact.Restore
	Schedule        = fact.Schedule
	Stage           = fact.Stage
	Storage         = fact.Storage
	StorageLocation = fact.StorageLocation
	Volumes         = fact.Volumes
)

// Metric is one row of the catalog.
type (
	Metric = metrics.Metric
	Type   = metrics.Type
)

// The types of metrics.
const (
	Gauge     = metrics.Gauge
	Counter   = metrics.Counter
	Histogram = metrics.Histogram
)

// What Exporter.Status returns.
type (
	Status         = status.Status
	ScheduleStatus = status.ScheduleStatus
	BackupStatus   = status.BackupStatus
	DrillStatus    = status.DrillStatus
	SourceStatus   = status.SourceStatus
	LocationStatus = status.LocationStatus
	Health         = status.Health
	Severity       = status.Severity
)

// StatusSchema names the form of Status.
const StatusSchema = status.Schema

// The values of Health and Severity.
const (
	Breach   = status.Breach
	Never    = status.Never
	Invalid  = status.Invalid
	Unproven = status.Unproven
	Unknown  = status.Unknown
	Overdue  = status.Overdue
	Failing  = status.Failing
	Paused   = status.Paused
	OK       = status.OK

	Critical = status.Critical
	Warning  = status.Warning
	Info     = status.Info
	Fine     = status.Fine
)

// StoreLocation reads a location through its store, Kube a cluster through a watch.
type (
	StoreLocation = bucket.Location
	Kube          = kube.Watcher
)

// NewStoreLocation returns a source that opens its location when it is first read.
func NewStoreLocation(open func(context.Context) (store.Store, error), log *slog.Logger) *StoreLocation {
	return bucket.New(open, log)
}

// NewKube returns a source that knows nothing until it runs.
func NewKube(c *cluster.Client, namespace string) *Kube { return kube.New(c, namespace) }

// Levels are the levels of a drill, from the one that proves least.
func Levels() []report.Level { return state.Levels() }
