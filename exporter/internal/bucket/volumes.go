package bucket

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/volume"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

const (
	// emptyVolumes is the size of records of no volumes, in bytes: gzip makes
	// about 30 of "[]" and of "null", and some 200 of one volume.
	emptyVolumes = 64
	// volumeReaders is how many records are decoded at once.
	volumeReaders = 4
	// maxPacked is the size of the records of one backup as they are stored.
	maxPacked = 4 << 20
)

// VolumeLimits bound the records of one backup: room for 5,000 volumes, and no
// more than some 100 MB of memory for a file made to take it.
var VolumeLimits = jsonbound.Limits{Bytes: 8 << 20, Values: 200_000}

// readVolumes reads the records of volumes that it has not read yet, those of the
// newest backups first. They have half of the time that is left, so that a first
// reading of many does not keep the rest from being known; what is not read in
// time is left to the next reading. Only the end of ctx is an error.
func (l *Location) readVolumes(ctx context.Context, s store.Store, list []*Folder) error {
	bounded, cancel := ctx, func() {}
	if end, ok := ctx.Deadline(); ok {
		bounded, cancel = context.WithTimeout(ctx, time.Until(end)/2)
	}
	defer cancel()
	err := l.volumes.refresh(bounded, l.volumeFiles(list), reader[*fact.Volumes]{volumeReaders, func(ctx context.Context, info store.Info) (*fact.Volumes, error) {
		return ReadVolumes(ctx, s, info.Key)
	}, l.noteUnreadable})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil || errors.Is(err, errNoneReadable) {
		return nil // the backups are known; records that are refused count as unreadable
	}
	return err
}

// volumeFiles are the files with records in them, newest backup first.
func (l *Location) volumeFiles(list []*Folder) []store.Info {
	type dated struct {
		info  store.Info
		start time.Time
	}
	var files []dated
	for _, f := range list {
		if f.volumes.size > emptyVolumes {
			b, _ := l.backups.get(store.Metadata(f.Name))
			files = append(files, dated{f.volumes.info(store.VolumeInfo(f.Name)), b.Start})
		}
	}
	slices.SortStableFunc(files, func(a, b dated) int { return b.start.Compare(a.start) })
	out := make([]store.Info, len(files))
	for i, f := range files {
		out[i] = f.info
	}
	return out
}

// volumesOf is what is known of the volumes of a backup: nil when there are no
// records, or not yet, which pending says.
func (l *Location) volumesOf(f *Folder) (volumes *fact.Volumes, pending bool, err error) {
	switch {
	case !f.volumes.exists():
		return nil, false, nil
	case f.volumes.size <= emptyVolumes:
		return &l.noVolumes, false, nil
	}
	volumes, err = l.volumes.get(store.VolumeInfo(f.Name))
	return volumes, volumes == nil && err == nil, err
}

func ReadVolumes(ctx context.Context, s store.Store, key string) (*fact.Volumes, error) {
	r, err := s.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	infos, err := volume.ReadInfos(ctx, r, maxPacked, VolumeLimits)
	switch {
	case errors.Is(err, volume.ErrDamaged):
		return nil, ContentError{err}
	case err != nil:
		return nil, err
	}
	sum := SumVolumes(infos)
	return &sum, nil
}

// SumVolumes counts volumes by what became of them. Bytes are those that lie in
// the location: of file-system backups and of snapshots whose data was moved. A
// snapshot that stays in its storage system takes no room here.
func SumVolumes(infos []volume.Info) fact.Volumes {
	var sum fact.Volumes
	for _, v := range infos {
		switch {
		case v.Skipped || v.BackupMethod == "":
			sum.Skipped++
			continue
		case !saved(v):
			sum.Failed++
			continue
		}
		sum.Succeeded++
		size, added := stored(v)
		sum.Size += size
		sum.Added += added
	}
	return sum
}

// saved reports whether the data of a volume that was not skipped was saved.
// Velero before 1.14 writes no result; then the phase says it, and where there
// is none, whether there is a snapshot.
func saved(v volume.Info) bool {
	if v.Result != "" {
		return v.Result == volume.ResultSucceeded
	}
	var phase, handle string
	switch {
	case v.PVBInfo != nil:
		phase, handle = v.PVBInfo.Phase, v.PVBInfo.SnapshotHandle
	case v.SnapshotDataMovementInfo != nil:
		phase, handle = v.SnapshotDataMovementInfo.Phase, v.SnapshotDataMovementInfo.SnapshotHandle
	case v.NativeSnapshotInfo != nil:
		phase, handle = v.NativeSnapshotInfo.Phase, v.NativeSnapshotInfo.SnapshotHandle
	case v.CSISnapshotInfo != nil:
		handle = v.CSISnapshotInfo.SnapshotHandle
	}
	const completed = "Completed"
	return cmp.Or(phase, completed) == completed && handle != ""
}

// stored is how many bytes of the volume lie in the location, and how many of
// them this backup added. Numbers that make no sense are zero.
func stored(v volume.Info) (size, added int64) {
	switch {
	case v.PVBInfo != nil:
		size, added = v.PVBInfo.Size, v.PVBInfo.IncrementalSize
	case v.SnapshotDataMoved && v.SnapshotDataMovementInfo != nil:
		size, added = v.SnapshotDataMovementInfo.Size, v.SnapshotDataMovementInfo.IncrementalSize
	}
	const most = 1 << 47 // 128 TiB; much more would make the sum overflow
	if size < 0 || size > most || added < 0 || added > most {
		return 0, 0
	}
	return size, added
}
