package exporter

import (
	"context"
	"fmt"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// BackupLister lists the backups of one location.
type BackupLister interface {
	// ListBackups returns what the location holds now. One object that cannot
	// be read is reported in the scan and stops nothing; an error means that
	// the scan did not come to its end, and only its Answered may be used.
	// The exporter makes one call at a time.
	ListBackups(ctx context.Context) (BackupScan, error)
}

// ReportLister lists the evidence of one location.
type ReportLister interface {
	// ListDrills returns every drill of which the location holds evidence,
	// under the rules of BackupLister.ListBackups.
	ListDrills(ctx context.Context) (DrillScan, error)
}

// BackupScan is what a location holds of backups.
type BackupScan struct {
	// Answered says that the location listed its backups, even if the scan
	// failed later.
	Answered bool
	Backups  []Backup
	// Incomplete counts the folders that are no backup: see
	// lifeboat_location_incomplete_backups.
	Incomplete int
	Unreadable []ObjectError
}

// DrillScan is what a location holds of evidence.
type DrillScan struct {
	Drills     []Drill
	Unreadable []ObjectError
}

// ObjectError is one object that could not be read or makes no sense.
type ObjectError struct {
	Key string
	Err error
}

func (e ObjectError) Error() string { return fmt.Sprintf("%s: %v", e.Key, e.Err) }

// Unwrap returns the cause.
func (e ObjectError) Unwrap() error { return e.Err }

// Backup is what the metrics need to know of a backup.
type Backup struct {
	Name     string
	Location string // name of the location it is in, filled in by the exporter
	UID      string
	Schedule string // "" for a backup made by hand
	Phase    velerov1.BackupPhase
	// Start is status.startTimestamp, or, for a backup that failed before it
	// started, the time it was asked for.
	Start     time.Time
	Completed time.Time // zero when it has not ended, or does not say
	Items     int
	Errors    int
	// ArchiveSize is the size of the tarball as it is stored, in bytes, zero when
	// there is none.
	ArchiveSize int64
	// MetadataSHA256 is of velero-backup.json, hex; "" when not known.
	MetadataSHA256 string
}

// Drill is what the metrics need to know of a piece of evidence.
type Drill struct {
	Backup         string
	BackupUID      string // "" when the evidence does not say
	MetadataSHA256 string // of the velero-backup.json that was drilled; "" when the evidence does not say
	Schedule       string
	BackupStart    time.Time
	Level          report.Level
	Verdict        report.Verdict
	Finished       time.Time
	Stages         []Stage
	Expected       int
	Restored       int
}

// Stage is one stage of a drill.
type Stage struct {
	Name    string
	Seconds float64
}

// Location is one place the exporter reads, and the name it has in labels.
type Location struct {
	Name    string
	Backups BackupLister
	Drills  ReportLister
	// Requests returns the calls made so far. Nil means that nobody counts.
	Requests func() Requests
}

// Requests counts calls to a store.
type Requests struct{ List, Get uint64 }
