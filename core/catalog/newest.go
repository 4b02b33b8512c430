package catalog

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Newest reads the newest restorable backup: of a schedule or, if schedule is
// empty, of all. It returns ErrNoBackup if there is none.
//
// It makes one List, which takes a request per thousand backups, and reads few
// of them. A schedule names its backups SCHEDULE-YYYYMMDDhhmmss after the time
// at which they were created, which no other name can follow; those are read
// newest first until no older name can hold a newer backup. Backups with any
// other name are all read.
func Newest(ctx context.Context, s store.Store, schedule string) (Entry, error) {
	names, err := folders(ctx, s)
	if err != nil {
		return Entry{}, err
	}
	timed, others := candidates(names, schedule)
	var best Entry
	if err := best.takeNewer(ctx, s, others, schedule); err != nil {
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
	at   time.Time // in its name, zero if there is none
}

// candidates returns the backups named by a schedule, newest first, and all
// others. Those that another schedule named are left out.
func candidates(names []string, schedule string) (timed, others []candidate) {
	for _, name := range names {
		of, at, ok := scheduled(name)
		switch {
		case !ok:
			others = append(others, candidate{name: name})
		case schedule == "" || of == schedule:
			timed = append(timed, candidate{name, at})
		}
	}
	slices.SortStableFunc(timed, func(a, b candidate) int { return b.at.Compare(a.at) })
	return timed, others
}

// scheduled splits the name of a backup that a schedule made (Velero,
// pkg/api/velero/v1, Schedule.TimestampedName).
func scheduled(name string) (schedule string, at time.Time, ok bool) {
	const layout = "20060102150405"
	i := strings.LastIndexByte(name, '-')
	if i <= 0 || len(name)-i-1 != len(layout) {
		return "", time.Time{}, false
	}
	at, err := time.Parse(layout, name[i+1:])
	return name[:i], at, err == nil
}

// takeNewer reads candidates and keeps the newest restorable backup. Those that
// cannot be read are passed over, as List reports them.
func (e *Entry) takeNewer(ctx context.Context, s store.Store, of []candidate, schedule string) error {
	names := make([]string, len(of))
	for i, c := range of {
		names[i] = c.name
	}
	read, err := readAll(ctx, s, names)
	if err != nil {
		return err
	}
	for _, r := range read {
		if r.Err != nil || !r.Backup.Status.Phase.Restorable() || schedule != "" && r.Backup.Labels[api.LabelScheduleName] != schedule {
			continue
		}
		if e.Name == "" || r.Started().After(e.Started()) {
			*e = r
		}
	}
	return nil
}
