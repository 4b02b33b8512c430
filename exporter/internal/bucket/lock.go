package bucket

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

// retainer is a store that can tell until when an object is kept: the zero time
// when nothing keeps it.
type retainer interface {
	RetainedUntil(ctx context.Context, key string) (time.Time, error)
}

const (
	// LockBudget is how many backups are asked at each reading until when their
	// files are kept: a listing and a request for each file, about 11 each.
	LockBudget = 50
	// lockAgain is when a backup is asked again: a retention can be prolonged,
	// and one of mode GOVERNANCE taken back.
	lockAgain = 24 * time.Hour
	// maxLockFiles bounds the files of one backup that are asked.
	maxLockFiles = 100
)

// retention is until when every file of a backup is kept, and when that was asked.
type retention struct{ until, asked time.Time }

// readLocks asks for the backups whose turn it is and fills in what is known of
// all. A store that does not tell is no failure of the scan.
func (l *Location) readLocks(ctx context.Context, s *counted, backups []fact.Backup, now time.Time) {
	r, ok := s.Store.(retainer)
	if !l.Lock || !ok {
		return
	}
	err := l.askLocks(ctx, s, r, l.lockTurns(backups, now), now)
	if ctx.Err() == nil {
		l.noteOnce("retention", err, "until when object lock keeps backups is not served")
	}
	known := make(map[string]retention, len(l.locks))
	for i := range backups {
		if k, ok := l.locks[backups[i].Name]; ok {
			backups[i].LockedUntil, backups[i].LockAsked = k.until, true
			known[backups[i].Name] = k
		}
	}
	l.locks = known
}

// lockTurns are the names of the backups to ask: the newest recovery point of
// each schedule first, then by age, at most lockBudget.
func (l *Location) lockTurns(backups []fact.Backup, now time.Time) []string {
	var due []*fact.Backup
	first := map[string]*fact.Backup{}
	for i := range backups {
		b := &backups[i]
		if !fact.Completed(*b) {
			continue
		}
		if before := first[b.Schedule]; before == nil || b.Start.After(before.Start) {
			first[b.Schedule] = b
		}
		if k, ok := l.locks[b.Name]; !ok || now.Sub(k.asked) > lockAgain {
			due = append(due, b)
		}
	}
	slices.SortStableFunc(due, func(a, b *fact.Backup) int {
		if rank := int(fact.Boolean(first[b.Schedule] == b) - fact.Boolean(first[a.Schedule] == a)); rank != 0 {
			return rank
		}
		return b.Start.Compare(a.Start)
	})
	names := make([]string, 0, LockBudget)
	for _, b := range due[:min(len(due), LockBudget)] {
		names = append(names, b.Name)
	}
	return names
}

func (l *Location) askLocks(ctx context.Context, s *counted, r retainer, names []string, now time.Time) error {
	if l.locks == nil {
		l.locks = map[string]retention{}
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(listers)
	for _, name := range names {
		group.Go(func() error {
			until, err := keptUntil(ctx, s, r, name)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			l.locks[name] = retention{until: until, asked: now}
			return nil
		})
	}
	return group.Wait()
}

// keptUntil is the first moment at which a file of the backup may be deleted; the
// zero time when that is now.
func keptUntil(ctx context.Context, s store.Store, r retainer, name string) (time.Time, error) {
	var first time.Time
	files := 0
	for info, err := range s.List(ctx, store.BackupPrefix(name), true) {
		if err != nil {
			return time.Time{}, err
		}
		if files++; files > maxLockFiles {
			break
		}
		until, err := r.RetainedUntil(ctx, info.Key)
		if err != nil || until.IsZero() {
			return time.Time{}, err
		}
		if first.IsZero() || until.Before(first) {
			first = until
		}
	}
	return first, nil
}
