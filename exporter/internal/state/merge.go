package state

import (
	"cmp"
	"maps"
	"slices"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

const (
	// syncedAfter is how much later than its start a backup's object may have been
	// made, at most: who makes a backup makes the object first, and what Velero
	// finds in a bucket it makes objects of when the backup has ended. Clocks may
	// differ by that much.
	syncedAfter = 5 * time.Minute
	// orphanedAfter is how long a backup may lie in a location before the cluster
	// has to list it.
	orphanedAfter = time.Hour
)

// sides say who can be asked of the backups of one location.
type availability struct {
	cluster, bucket bool
	// scanned is when the last complete listing of the bucket began, listed when
	// the cluster was last read; zero when there was none.
	scanned, listed time.Time
}

// merge joins what the cluster and the bucket hold of one location, by name, and
// reports for each backup whether it exists.
//
// Who can be asked decides: both together; one alone when the other cannot be
// asked; and when no source can, all that was last known stays. A backup that the
// cluster lists and the bucket, asked after it had ended, did not hold is missing
// its data until the bucket says otherwise; one that the cluster, read after it
// had ended, did not list is a stray in the same way.
func merge(inCluster []*fact.Backup, inBucket []fact.Backup, s availability, yield func(fact.Backup)) {
	found := make(map[string]bool, len(inCluster))
	at := make(map[string]int, min(len(inBucket), len(inCluster)))
	if len(inCluster) > 0 {
		for i := range inBucket {
			at[inBucket[i].Name] = i
		}
	}
	for _, c := range inCluster {
		out := *c
		out.InCluster = true
		if i, both := at[c.Name]; both {
			found[c.Name] = true
			out = joined(*c, inBucket[i], s)
		}
		judge(&out, s)
		yield(out)
	}
	for i := range inBucket {
		if !found[inBucket[i].Name] {
			out := inBucket[i]
			out.InLocation = true
			judge(&out, s)
			yield(out)
		}
	}
}

// joined is one backup that both sides list. The object in the cluster is the
// newer word as long as the cluster can be asked; what only the bucket knows is
// the bucket's.
func joined(c, b fact.Backup, s availability) fact.Backup {
	out := c
	if !s.cluster && s.bucket {
		out = b
		out.Created, out.GCFailure = c.Created, c.GCFailure
	}
	// By the name that evidence has for it.
	out.UID, out.MetadataSHA256, out.Files, out.Modified = b.UID, b.MetadataSHA256, b.Files, b.Modified
	out.ArchiveSize, out.Volumes, out.LockedUntil = b.ArchiveSize, b.Volumes, b.LockedUntil
	out.LockAsked = b.LockAsked
	out.Location, out.InCluster, out.InLocation = b.Location, true, true
	out.Foreign = (c.UID != "" && b.UID != "" && c.UID != b.UID) || madeElsewhere(c)
	return out
}

func judge(b *fact.Backup, s availability) {
	switch {
	case s.cluster && s.bucket:
	case s.cluster:
		b.Gone = !b.InCluster
	case s.bucket:
		b.Gone = !b.InLocation
	}
	b.Stray = !b.InCluster && b.Completed.Before(s.listed)
	b.Missing = !b.InLocation && b.Phase.Finished() && b.Completed.Before(s.scanned)
	if b.InCluster && !b.InLocation {
		b.Foreign = madeElsewhere(*b)
	}
}

// madeElsewhere guesses by times whether an object of the cluster was made of
// what was found in a bucket.
func madeElsewhere(b fact.Backup) bool { return b.Created.After(b.Start.Add(syncedAfter)) }

// own reports whether a backup is one of the schedule's own runs, and not one of
// another cluster's schedule of the same name that shares the bucket. seen is the
// Schedule as the cluster has it, nil when it has none or cannot say.
//
// What is older than the Schedule itself can be of an earlier life of the same
// cluster, and is let in: it can bring no deadline forward, because that counts
// from the making of the Schedule. What is younger and was made elsewhere, or is
// unknown to the cluster although its server would have made it, is not.
func own(b fact.Backup, seen *fact.Schedule) bool {
	if seen == nil {
		return !b.Foreign
	}
	return b.Start.Before(seen.Created) || (!b.Stray && !b.Foreign)
}

// recoverable reports whether a backup can be restored as far as anybody knows:
// it exists, it is Completed, and its data was not found missing.
func recoverable(b fact.Backup) bool {
	return b.Phase == velerov1.BackupPhaseCompleted && !b.Gone && !b.Missing
}

// Home is a location of backups as the cluster and the bucket know it together.
type LocationView struct {
	Name string
	// Location is the index in State.Locations, or -1 for one that only the
	// cluster knows. Storage is nil when the cluster has no such
	// BackupStorageLocation.
	Location int
	Storage  *fact.StorageLocation
	Backups  int // that exist
	Missing  int
	Foreign  int
	// Orphaned are the ends of the backups that only the bucket holds, sorted.
	Orphaned []time.Time
	// LastMaintained is that of the repository that has waited longest.
	LastMaintained time.Time
}

// count takes a merged backup into account.
func (h *LocationView) count(b fact.Backup, s availability, own bool) {
	if b.Gone {
		return
	}
	h.Backups++
	if b.Foreign && !own {
		h.Foreign++
	}
	if s.cluster && s.bucket {
		if b.Missing && b.Phase.Restorable() {
			h.Missing++
		}
		if !b.InCluster {
			h.Orphaned = append(h.Orphaned, b.Completed)
		}
	}
}

// Overdue counts the backups that the cluster ought to list by now.
func (h *LocationView) Overdue(now time.Time) int {
	n, _ := slices.BinarySearchFunc(h.Orphaned, now.Add(-orphanedAfter), time.Time.Compare)
	return n
}

// homes are the locations of the flags, and then those that only the cluster
// knows.
func locationViews(known State, inCluster map[string][]*fact.Backup) []LocationView {
	out := make([]LocationView, 0, len(known.Locations))
	for i, l := range known.Locations {
		out = append(out, LocationView{Name: l.Name, Location: i})
	}
	if known.Kube == nil {
		return out
	}
	at := func(name string) *LocationView {
		for i := range out {
			if out[i].Name == name {
				return &out[i]
			}
		}
		out = append(out, LocationView{Name: name, Location: -1})
		return &out[len(out)-1]
	}
	for i := range known.Kube.Locations {
		at(known.Kube.Locations[i].Name).Storage = &known.Kube.Locations[i]
	}
	for _, r := range known.Kube.Repositories {
		if h := at(r.Location); !r.LastMaintained.IsZero() && (h.LastMaintained.IsZero() || r.LastMaintained.Before(h.LastMaintained)) {
			h.LastMaintained = r.LastMaintained
		}
	}
	for _, name := range slices.Sorted(maps.Keys(inCluster)) {
		at(name)
	}
	return out
}

// byLocation are the backups of the cluster by the location they are in. One that
// waits for its run names none yet, and will be in the default one.
func byLocation(known State) map[string][]*fact.Backup {
	out := map[string][]*fact.Backup{}
	if known.Kube == nil {
		return out
	}
	fallback := defaultLocation(known)
	for i := range known.Kube.Backups {
		b := &known.Kube.Backups[i]
		name := cmp.Or(b.Location, fallback)
		out[name] = append(out[name], b)
	}
	return out
}

// defaultLocation is the name of the location for backups that name none; "" when
// nobody can say.
func defaultLocation(known State) string {
	if known.Kube != nil {
		for _, l := range known.Kube.Locations {
			if l.Default || len(known.Kube.Locations) == 1 {
				return l.Name
			}
		}
	}
	if len(known.Locations) == 1 {
		return known.Locations[0].Name
	}
	return ""
}
