package catalog

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Newest reads the newest restorable backup: of a schedule or, if schedule is
// empty, of all. It returns ErrNoBackup if no backup is found.
//
// It makes one List, which takes a request per thousand backups, and reads few
// of them. Velero names the backups of a schedule SCHEDULE-YYYYMMDDhhmmss after
// the time at which they were created. Users can give such a name to any backup,
// so of each SCHEDULE the newest is read: if its label agrees, all names of that
// form are taken to follow the rule, and are read newest first until no older
// name can hold a newer backup. Backups with any other name are all read.
func Newest(ctx context.Context, s store.Store, schedule string) (Entry, error) {
	names, err := folders(ctx, s)
	if err != nil {
		return Entry{}, err
	}
	series, others := split(names)
	timed, unruly, err := rule(ctx, s, series, schedule)
	if err != nil {
		return Entry{}, err
	}
	var best Entry
	if err := best.takeNewer(ctx, s, append(others, unruly...), schedule); err != nil {
		return Entry{}, err
	}
	for batch := range slices.Chunk(timed, readers) {
		if best.Name != "" && batch[0].at.Add(maxQueued).Before(best.Started()) {
			break
		}
		if err := best.takeNewer(ctx, s, batch, schedule); err != nil {
			return Entry{}, err
		}
	}
	if best.Name == "" {
		return Entry{}, ErrNoBackup
	}
	return best, nil
}

// maxQueued bounds by how much backups may begin in another order than they were
// created. Servers queue backups, and take them in the order of their creation.
const maxQueued = time.Hour

// candidate is a folder that may hold the backup that is looked for.
type candidate struct {
	name string
	at   time.Time // in its name, zero if absent
}

// split sorts names into series, SCHEDULE-YYYYMMDDhhmmss by SCHEDULE, newest
// first, and all others.
func split(names []string) (series map[string][]candidate, others []candidate) {
	series = map[string][]candidate{}
	for _, name := range names {
		if of, at, ok := scheduled(name); ok {
			series[of] = append(series[of], candidate{name, at})
		} else {
			others = append(others, candidate{name: name})
		}
	}
	for _, of := range series {
		slices.SortStableFunc(of, newerFirst)
	}
	return series, others
}

func newerFirst(a, b candidate) int { return b.at.Compare(a.at) }

// scheduled splits a name of the form that Velero gives to the backups of a
// schedule (Velero, pkg/api/velero/v1, Schedule.TimestampedName).
func scheduled(name string) (schedule string, at time.Time, ok bool) {
	const layout = "20060102150405"
	i := strings.LastIndexByte(name, '-')
	if i <= 0 || len(name)-i-1 != len(layout) {
		return "", time.Time{}, false
	}
	at, err := time.Parse(layout, name[i+1:])
	return name[:i], at, err == nil
}

// rule reads the newest of each series. It returns the candidates of the series
// that a schedule named, newest first, without those of other schedules than the
// one looked for, and the candidates of series that no schedule named.
func rule(ctx context.Context, s store.Store, series map[string][]candidate, schedule string) (timed, unruly []candidate, err error) {
	of := slices.Sorted(maps.Keys(series))
	labels := make([]string, len(of))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i, name := range of {
		g.Go(func() error {
			labels[i] = label(gctx, s, series[name])
			return gctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	for i, name := range of {
		switch {
		case labels[i] != name:
			unruly = append(unruly, series[name]...)
		case schedule == "" || schedule == name:
			timed = append(timed, series[name]...)
		}
	}
	slices.SortStableFunc(timed, newerFirst)
	return timed, unruly, nil
}

// label is the schedule of the first candidate that can be read, "" if there is
// none.
func label(ctx context.Context, s store.Store, of []candidate) string {
	for _, c := range of {
		if b, err := Read(ctx, s, c.name); err == nil {
			return b.Labels[api.LabelScheduleName]
		}
		if ctx.Err() != nil {
			break
		}
	}
	return ""
}

// wanted reports whether an entry is a restorable backup of a schedule, of any if
// that is empty.
func wanted(e Entry, schedule string) bool {
	return e.Err == nil && e.Backup.Status.Phase.Restorable() && (schedule == "" || e.Backup.Labels[api.LabelScheduleName] == schedule)
}

// takeNewer reads candidates and keeps the newest restorable backup. Those that
// cannot be read are passed over, as List reports them.
func (e *Entry) takeNewer(ctx context.Context, s store.Store, of []candidate, schedule string) error {
	names := make([]string, len(of))
	for i, c := range of {
		names[i] = c.name
	}
	var mu sync.Mutex
	_, err := readAll(ctx, s, names, func(r Entry) struct{} {
		mu.Lock()
		defer mu.Unlock()
		if wanted(r, schedule) && (e.Name == "" || r.Started().After(e.Started()) || r.Started().Equal(e.Started()) && r.Name < e.Name) {
			*e = r
		}
		return struct{}{}
	})
	return err
}
