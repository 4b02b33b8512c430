package exporter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
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
// It implements BackupLister and ReportLister; its methods are called one at a
// time, Requests at any time.
type StoreLocation struct {
	open func(context.Context) (store.Store, error)
	log  *slog.Logger

	current store.Store // nil when nothing is open

	backups cache[Backup]
	drills  cache[Drill]
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

// ListDrills implements ReportLister.
func (l *StoreLocation) ListDrills(ctx context.Context) (DrillScan, error) {
	s, err := l.opened(ctx)
	if err != nil {
		return DrillScan{}, err
	}
	evidence, err := l.evidence(ctx, s)
	if err != nil {
		l.release()
		return DrillScan{}, fmt.Errorf("list evidence in %s: %w", s, err)
	}
	err = l.drills.refresh(ctx, evidence, func(ctx context.Context, info store.Info) (Drill, error) {
		return l.readDrill(ctx, s, info)
	}, l.noteUnreadable)
	if err != nil {
		return DrillScan{}, fmt.Errorf("read evidence in %s: %w", s, err)
	}
	var scan DrillScan
	for _, info := range evidence {
		d, err := l.drills.get(info.Key)
		if err != nil {
			scan.Unreadable = append(scan.Unreadable, ObjectError{Key: info.Key, Err: err})
			continue
		}
		scan.Drills = append(scan.Drills, d)
	}
	return scan, nil
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

// evidence lists the reports below metadata/lifeboat/drills/, not the other
// forms they are kept in beside them.
func (l *StoreLocation) evidence(ctx context.Context, s store.Store) ([]store.Info, error) {
	l.list.Add(1)
	var out []store.Info
	for info, err := range s.List(ctx, store.DrillsPrefix, true) {
		if err != nil {
			return nil, err
		}
		if _, _, ok := store.SplitEvidence(info.Key); !ok {
			continue
		}
		if len(out) == maxListed {
			return nil, fmt.Errorf("more than %d pieces of evidence", maxListed)
		}
		out = append(out, info)
	}
	return out, nil
}

func (l *StoreLocation) readBackup(ctx context.Context, s store.Store, info store.Info) (Backup, error) {
	raw, err := l.read(ctx, s, info.Key, maxMetadata)
	if err != nil {
		return Backup{}, err
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(info.Key, store.BackupsPrefix), "/")
	b, err := decodeBackup(raw)
	if err != nil {
		return Backup{}, contentError{err}
	}
	if b.Name != name {
		return Backup{}, contentError{fmt.Errorf("it says it is backup %.80q", b.Name)}
	}
	if time.Until(b.Start) > maxAhead || time.Until(b.Completed) > maxAhead {
		// It may be this clock that is wrong, so it is looked at again.
		return Backup{}, fmt.Errorf("it lies in the future: started %s, completed %s", b.Start, b.Completed)
	}
	return b, nil
}

// decodeBackup reads a velero-backup.json.
func decodeBackup(raw []byte) (Backup, error) {
	var v velerov1.Backup
	if err := json.Unmarshal(raw, &v); err != nil {
		return Backup{}, fmt.Errorf("decode: %w", err)
	}
	sum := sha256.Sum256(raw)
	b := Backup{
		Name:           v.Name,
		UID:            string(v.UID),
		Schedule:       v.Labels[api.LabelScheduleName],
		Phase:          v.Status.Phase,
		Start:          v.CreationTimestamp.Time,
		Errors:         v.Status.Errors,
		MetadataSHA256: hex.EncodeToString(sum[:]),
	}
	if v.Status.StartTimestamp != nil {
		b.Start = v.Status.StartTimestamp.Time
	}
	if v.Status.CompletionTimestamp != nil {
		b.Completed = v.Status.CompletionTimestamp.Time
	}
	if v.Status.Progress != nil {
		b.Items = v.Status.Progress.ItemsBackedUp
	}
	switch {
	case len(b.Schedule) > maxLabel:
		return Backup{}, fmt.Errorf("its label %s is %d characters long; at most %d are allowed", api.LabelScheduleName, len(b.Schedule), maxLabel)
	case b.Start.IsZero():
		return Backup{}, errors.New("it does not say when it was started")
	case b.Phase == velerov1.BackupPhaseCompleted && b.Completed.IsZero():
		return Backup{}, errors.New("it is Completed and does not say when")
	}
	return b, nil
}

func (l *StoreLocation) readDrill(ctx context.Context, s store.Store, info store.Info) (Drill, error) {
	raw, err := l.read(ctx, s, info.Key, report.MaxSize)
	if err != nil {
		return Drill{}, err
	}
	r, err := report.Decode(bytes.NewReader(raw))
	if err != nil {
		return Drill{}, contentError{err}
	}
	backup, _, _ := store.SplitEvidence(info.Key)
	switch {
	case r.Backup.Name != backup:
		return Drill{}, contentError{fmt.Errorf("it says it is about backup %.80q", r.Backup.Name)}
	case r.Verdict != report.Passed && r.Verdict != report.Failed && r.Verdict != report.Error:
		return Drill{}, contentError{fmt.Errorf("unknown verdict %.80q", r.Verdict)}
	case len(r.Backup.Schedule) > maxLabel:
		return Drill{}, contentError{fmt.Errorf("the name of its schedule is %d characters long; at most %d are allowed", len(r.Backup.Schedule), maxLabel)}
	case r.Finished.IsZero():
		return Drill{}, contentError{errors.New("it does not say when it ended")}
	case time.Until(r.Finished) > maxAhead || time.Until(r.Backup.Started) > maxAhead:
		return Drill{}, fmt.Errorf("it lies in the future: ended %s", r.Finished)
	}
	return drillOf(r), nil
}

func drillOf(r report.Report) Drill {
	d := Drill{
		Backup: r.Backup.Name, BackupUID: r.Backup.UID, MetadataSHA256: r.Backup.MetadataSHA256,
		Schedule: r.Backup.Schedule, BackupStart: r.Backup.Started,
		Level: r.Level, Verdict: r.Verdict, Finished: r.Finished,
		Expected: r.Items.Expected, Restored: r.Items.Restored,
	}
	stages := make([]Stage, 0, len(r.Stages))
	for _, s := range r.Stages {
		stages = append(stages, Stage{Name: s.Name, Seconds: s.Seconds})
	}
	// Bounded here so that memory is, too.
	d.Stages = boundStages(stages)
	return d
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

// cache keeps what was read of objects, by key.
type cache[T any] struct {
	entries map[string]entry[T]
}

type entry[T any] struct {
	size     int64
	modified time.Time
	value    T
	err      error
}

// holds reports whether the object need not be read again.
func (e entry[T]) holds(info store.Info) bool {
	var content contentError
	return e.size == info.Size && e.modified.Equal(info.Modified) && (e.err == nil || errors.As(e.err, &content))
}

// refresh reads the objects it does not hold yet, several at once, and forgets
// those that are not listed any more. An object that cannot be read is kept as
// an error and noted, once for each cause; only the end of ctx is returned,
// and what was read until then is kept.
func (c *cache[T]) refresh(ctx context.Context, listed []store.Info, read func(context.Context, store.Info) (T, error), note func(string, error)) error {
	entries := make(map[string]entry[T], len(listed))
	var missing []store.Info
	for _, info := range listed {
		if e, ok := c.entries[info.Key]; ok && e.holds(info) {
			entries[info.Key] = e
		} else {
			missing = append(missing, info)
		}
	}
	fresh := make([]*entry[T], len(missing))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, info := range missing {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			value, err := read(ctx, info)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fresh[i] = &entry[T]{size: info.Size, modified: info.Modified, value: value, err: err}
			return nil
		})
	}
	err := group.Wait()
	for i, info := range missing {
		if fresh[i] == nil {
			continue
		}
		before := c.entries[info.Key].err
		if now := fresh[i].err; now != nil && (before == nil || before.Error() != now.Error()) {
			note(info.Key, now)
		}
		entries[info.Key] = *fresh[i]
	}
	c.entries = entries
	return err
}

func (c *cache[T]) get(key string) (T, error) {
	e := c.entries[key]
	return e.value, e.err
}
