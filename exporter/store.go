package exporter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Bounds on what a location, which is not trusted, can make the exporter do.
const (
	// maxMetadata is the size of a velero-backup.json, in bytes.
	maxMetadata = 10 << 20
	// maxListed is the number of backups, and of pieces of evidence, kept of
	// one location.
	maxListed = 1_000_000
	// maxLabel is the length of a schedule's name: it is the value of a
	// Kubernetes label.
	maxLabel = 63
	// maxAhead is how far ahead of this clock another one may be. A time in the
	// future is not believed: it would keep every alert silent until then.
	maxAhead = time.Hour
	// readers is how many objects are read at once.
	readers = 8
)

// StoreLocation reads one location through a store. It lists everything at each
// scan and reads only what it has not read yet: an object whose key, size and
// time of change are as before is not fetched again, so scanning an unchanged
// location costs listings only. Listing is recursive because only that shows a
// backup that is half deleted, or was rewritten by Velero's finalizer.
//
// It implements BackupLister, ReportLister and ClaimLister; its methods are called one at a
// time, Requests at any time.
type StoreLocation struct {
	open func(context.Context) (store.Store, error)
	log  *slog.Logger

	current store.Store // nil when nothing is open

	backups cache[Backup]
	drills  cache[Drill]
	claims  map[string]claimed // by the prefix of their run
	list    atomic.Uint64
	get     atomic.Uint64
}

// NewStoreLocation makes a location that is opened when it is first read: one
// that is missing when the exporter starts may come back. It is opened anew
// after a scan that failed, and, if the store is an io.Closer, before each
// scan: a directory that was unmounted, or mounted again, is not the one that
// was opened, and an old handle of it may look like an empty location.
func NewStoreLocation(open func(context.Context) (store.Store, error), log *slog.Logger) *StoreLocation {
	return &StoreLocation{open: open, log: log}
}

// Requests returns the calls made so far.
func (l *StoreLocation) Requests() Requests {
	return Requests{List: l.list.Load(), Get: l.get.Load()}
}

// ListBackups implements BackupLister.
func (l *StoreLocation) ListBackups(ctx context.Context) (BackupScan, error) {
	if _, ok := l.current.(io.Closer); ok {
		l.release()
	}
	s, err := l.opened(ctx)
	if err != nil {
		return BackupScan{}, err
	}
	folders, err := l.folders(ctx, s)
	scan := BackupScan{Answered: err == nil}
	if err != nil {
		l.release()
		return scan, fmt.Errorf("list backups in %s: %w", s, err)
	}
	var markers []store.Info
	for _, f := range folders {
		if f.marker.Key != "" {
			markers = append(markers, f.marker)
		}
	}
	err = l.backups.refresh(ctx, markers, func(ctx context.Context, info store.Info) (Backup, error) {
		return l.readBackup(ctx, s, info)
	}, l.noteUnreadable)
	if err != nil {
		return scan, fmt.Errorf("read backups in %s: %w", s, err)
	}
	l.fill(&scan, folders)
	return scan, nil
}

// fill joins what was listed with what was read.
func (l *StoreLocation) fill(scan *BackupScan, folders []folder) {
	for _, f := range folders {
		if f.marker.Key == "" {
			scan.Incomplete++
			continue
		}
		b, err := l.backups.get(f.marker.Key)
		switch {
		case err != nil:
			scan.Unreadable = append(scan.Unreadable, ObjectError{Key: f.marker.Key, Err: err})
		case !f.archive && b.Phase.Restorable():
			scan.Incomplete++
		default:
			b.ArchiveSize = f.archiveSize
			scan.Backups = append(scan.Backups, b)
		}
	}
}

func (l *StoreLocation) noteUnreadable(key string, err error) {
	l.log.Warn("object left out: it cannot be read or makes no sense", "key", key, "err", err)
}

// opened returns what is open, or opens it.
func (l *StoreLocation) opened(ctx context.Context) (store.Store, error) {
	if l.current != nil {
		return l.current, nil
	}
	s, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	l.current = s
	return s, nil
}

// release closes what is open, so that the next use opens it anew.
func (l *StoreLocation) release() {
	if c, ok := l.current.(io.Closer); ok {
		if err := c.Close(); err != nil {
			l.log.Debug("close location", "err", err)
		}
	}
	l.current = nil
}

// folder is what a listing shows of a backup.
type folder struct {
	name        string
	marker      store.Info // velero-backup.json; zero when it is not there
	archive     bool
	archiveSize int64
}

// folders lists the folders below backups/.
func (l *StoreLocation) folders(ctx context.Context, s store.Store) ([]folder, error) {
	var out []folder
	l.list.Add(1)
	for info, err := range s.List(ctx, store.BackupsPrefix, true) {
		if err != nil {
			return nil, err
		}
		name, file, ok := strings.Cut(strings.TrimPrefix(info.Key, store.BackupsPrefix), "/")
		if !ok || name == "" {
			continue
		}
		if len(out) == 0 || out[len(out)-1].name != name {
			if len(out) == maxListed {
				return nil, fmt.Errorf("more than %d backups", maxListed)
			}
			out = append(out, folder{name: name})
		}
		last := &out[len(out)-1]
		switch store.BackupPrefix(name) + file {
		case store.Metadata(name):
			last.marker = info
		case store.Contents(name), store.SealedContents(name):
			last.archive, last.archiveSize = true, info.Size
		}
	}
	return out, nil
}

// maxValues is how many values of JSON an object may hold: a bucket is not to
// make the exporter take gigabytes by some kB of "{},".
const maxValues = 1 << 20

// read reads one object of at most limit bytes and maxValues values of JSON.
func (l *StoreLocation) read(ctx context.Context, s store.Store, key string, limit int64) ([]byte, error) {
	l.get.Add(1)
	r, err := s.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw, err := io.ReadAll(jsonbound.NewReader(r, jsonbound.Limits{Bytes: limit, Values: maxValues}))
	if errors.Is(err, jsonbound.ErrTooLarge) {
		return nil, contentError{err}
	}
	return raw, err
}

// contentError is an error of what an object holds. Reading the same bytes
// again would give it again.
type contentError struct{ error }

func (e contentError) Unwrap() error { return e.error }
