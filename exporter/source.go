package exporter

import (
	"context"
	"time"

	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

// BackupLister lists the backups of one location.
type BackupLister interface {
	// ListBackups returns what the location holds now. One object that cannot
	// be read is reported in the scan and stops nothing; an error means that
	// the scan did not come to its end, and only its Answered may be used.
	// The exporter makes one call at a time.
	ListBackups(ctx context.Context) (fact.BackupScan, error)
}

// ReportLister lists the evidence of one location.
type ReportLister interface {
	// ListDrills returns every drill of which the location holds evidence,
	// under the rules of BackupLister.ListBackups.
	ListDrills(ctx context.Context) (fact.DrillScan, error)
}

// KubeLister reads the objects of velero.io in one cluster.
type KubeLister interface {
	// ListKube returns what the cluster holds, from memory that a watch keeps
	// up to date. An error means that this is not known to be the present: the
	// cluster could not be reached, or its first listing has not ended.
	ListKube(ctx context.Context) (fact.KubeScan, error)
}

// LedgerKeeper remembers ends of runs beyond the life of what they left behind.
type LedgerKeeper interface {
	// Keep adds runs to the ledger, those that it holds already left out, and
	// returns all that it holds from its beginning on, those of other writers
	// included. An error means that not all could be kept or read: what it
	// returns then is what is known, and the runs are to be given again.
	Keep(ctx context.Context, runs []fact.Run) (fact.Totals, error)
}

// ClaimLister reads which scheduled drills are under way in one location.
type ClaimLister interface {
	// ListClaims counts claims at a moment, under the rules of
	// BackupLister.ListBackups.
	ListClaims(ctx context.Context, now time.Time) (fact.Claims, error)
}

// StorageLister counts what one location stores, and how it is protected. It is
// asked less often than the others: it may cost a request for each 1,000
// objects.
type StorageLister interface {
	ListStorage(ctx context.Context) (fact.Storage, error)
}

// Location is one place the exporter reads, and the name it has in labels.
type Location struct {
	Name    string
	Backups BackupLister
	Drills  ReportLister
	// Claims and Storage may be nil: then nothing is reported of them.
	Claims  ClaimLister
	Storage StorageLister
	// Requests returns the requests made so far. Nil means that they are not counted.
	Requests func() fact.Requests
}
