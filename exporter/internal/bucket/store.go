package bucket

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

// Bounds on what a location, which is not trusted, can make the exporter do.
const (
	// maxListed is the number of backups, and of pieces of evidence, kept of
	// one location.
	maxListed = 125_000
	// MaxLabel is the length of a schedule's name: it is the value of a
	// Kubernetes label.
	MaxLabel = 63
	// maxName is how long names and identifiers are at most: what is kept of each
	// object has to be small.
	maxName = 253
	// readers is how many objects are read at once: as many requests as package
	// s3 keeps connections for.
	readers = 32
)

// StoreLocation reads one location through a store. At each reading it lists the
// names of all backups, the files of those that may have changed (see folders),
// and all evidence, and it reads only what it has not read yet: an object whose
// key, size and time of change are as before is not fetched again, so reading an
// unchanged location costs listings only.
//
// It implements BackupLister, ReportLister and ClaimLister, whose methods are
// called one at a time, and StorageLister. Requests may be called at any time.
type Location struct {
	// Lock says that it is asked how objects are protected, ProbeWrites that a
	// small object is written and deleted at each reading. They are set before
	// the first use.
	Lock, ProbeWrites bool

	open func(context.Context) (store.Store, error)
	Log  *slog.Logger

	current *counted // nil when nothing is open
	meter   meter

	folders Folders
	backups cache[fact.Backup]
	volumes cache[*fact.Volumes]
	drills  cache[fact.Drill]
	claims  map[string]claimed // by the prefix of their run

	locks     map[string]retention // by backup
	noVolumes fact.Volumes         // of backups that have none
	noted     sync.Map             // whether the last of each kind failed, see noteOnce
	// mayWriteAsked is when mayWriteNot was found out.
	mayWriteAsked time.Time
	mayWriteNot   error
}

// NewStoreLocation makes a location that is opened when it is first read: one
// that is missing when the exporter starts may come back. It is opened again
// after a scan that failed, and, if the store is an io.Closer, before each
// scan: a directory that was unmounted, or mounted again, is not the one that
// was opened, and an old handle of it may look like an empty location.
func New(open func(context.Context) (store.Store, error), log *slog.Logger) *Location {
	return &Location{open: open, Log: log}
}

// Requests returns the requests made so far: what the store sent, repeats and
// pages of a listing each for itself, if it counts them, else the calls.
func (l *Location) Requests() fact.Requests { return l.meter.total() }

// ListBackups implements BackupLister.
func (l *Location) ListBackups(ctx context.Context) (fact.BackupScan, error) {
	if l.current != nil && isCloser(l.current.Store) {
		l.release()
	}
	s, err := l.opened(ctx)
	if err != nil {
		return fact.BackupScan{}, err
	}
	now := time.Now()
	list, answered, err := l.folders.refresh(ctx, s, now, func(f *Folder) bool { return l.quiet(f, now) })
	scan := fact.BackupScan{Answered: answered}
	if err != nil {
		l.release()
		return scan, fmt.Errorf("list backups in %s: %w", s, err)
	}
	err = l.backups.refresh(ctx, metadataFiles(list), reader[fact.Backup]{readers, func(ctx context.Context, info store.Info) (fact.Backup, error) {
		return l.readBackup(ctx, s, info)
	}, l.noteUnreadable})
	if err != nil {
		return scan, fmt.Errorf("read backups in %s: %w", s, err)
	}
	if err := l.readVolumes(ctx, s, list); err != nil {
		return scan, fmt.Errorf("read the records of volumes in %s: %w", s, err)
	}
	l.fill(&scan, list)
	l.readLocks(ctx, s, scan.Backups, now)
	scan.Probes = l.probes(ctx, s, now)
	return scan, nil
}

// quiet reports whether nothing new is expected in a folder: its backup
// is complete and finished, and no file is recent.
func (l *Location) quiet(f *Folder, now time.Time) bool {
	age := now.Sub(f.newest)
	if !f.metadata.exists() {
		return age > quietUnfinished
	}
	b, err := l.backups.get(store.Metadata(f.Name))
	whole := err == nil && b.Phase.Finished() && (f.archive || !b.Phase.Restorable())
	return whole && age > quietAfter || age > quietUnfinished
}

func metadataFiles(list []*Folder) []store.Info {
	out := make([]store.Info, 0, len(list))
	for _, f := range list {
		if f.metadata.exists() {
			out = append(out, f.metadata.info(store.Metadata(f.Name)))
		}
	}
	return out
}

// fill joins what was listed with what was read.
func (l *Location) fill(scan *fact.BackupScan, list []*Folder) {
	scan.Incomplete = l.folders.misnamed
	for _, f := range list {
		if !f.metadata.exists() {
			scan.Incomplete++
			continue
		}
		key := store.Metadata(f.Name)
		b, err := l.backups.get(key)
		switch {
		case err != nil:
			scan.Unreadable = append(scan.Unreadable, fact.ObjectError{Key: key, Err: err})
		case !f.archive && b.Phase.Restorable():
			scan.Incomplete++
		default:
			b.ArchiveSize, b.Files, b.Modified = f.archiveSize, f.print, f.newest
			l.addVolumes(scan, f, &b)
			scan.Backups = append(scan.Backups, b)
		}
	}
}

func (l *Location) addVolumes(scan *fact.BackupScan, f *Folder, b *fact.Backup) {
	volumes, pending, err := l.volumesOf(f)
	b.Volumes = volumes
	if pending {
		scan.VolumesPending++
	}
	if err != nil {
		scan.Unreadable = append(scan.Unreadable, fact.ObjectError{Key: store.VolumeInfo(f.Name), Err: err})
	}
}

func (l *Location) noteUnreadable(key string, err error) {
	l.Log.Warn("skipping unreadable or malformed object", "key", key, "err", err)
}

// opened returns what is open, or opens it.
func (l *Location) opened(ctx context.Context) (*counted, error) {
	if l.current != nil {
		return l.current, nil
	}
	s, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	l.current = l.meter.opened(s)
	return l.current, nil
}

// release closes what is open, so that the next use opens it again.
func (l *Location) release() {
	if l.current != nil {
		l.close(l.current)
	}
	l.current = nil
}

func (l *Location) close(s *counted) {
	l.meter.closed(s)
	if c, ok := s.Store.(io.Closer); ok {
		if err := c.Close(); err != nil {
			l.Log.Debug("close location", "err", err)
		}
	}
}

func isCloser(s store.Store) bool {
	_, ok := s.(io.Closer)
	return ok
}

// ContentError is an error of what an object holds. Reading the same bytes
// again would give it again.
type ContentError struct{ error }

func (e ContentError) Unwrap() error { return e.error }
