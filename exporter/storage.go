package exporter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// protector is a store that can tell how it protects its objects.
type protector interface {
	Protection(ctx context.Context) (store.Protection, error)
}

// contents are the values of the label content, and the folders of each; other is
// what lies elsewhere.
var contents = []struct {
	name    string
	folders []string
}{
	{"catalog", []string{store.BackupsPrefix, store.RestoresPrefix}},
	{"volumes", []string{"kopia/", "restic/"}}, // where Velero keeps its repositories
	{"ledger", []string{store.LedgerPrefix}},
	{"drills", []string{store.DrillsPrefix}},
	{contentOther, nil},
}

const contentOther = "other"

func contentOf(key string) string {
	for _, c := range contents {
		for _, folder := range c.folders {
			if strings.HasPrefix(key, folder) {
				return c.name
			}
		}
	}
	return contentOther
}

// ListStorage implements StorageLister. It lists every object and remembers
// none, which costs a request for each 1,000, and asks with Lock how the bucket
// protects them, which costs two. Unlike the other methods it may run beside
// them.
func (l *StoreLocation) ListStorage(ctx context.Context) (Storage, error) {
	raw, err := l.open(ctx)
	if err != nil {
		return Storage{}, err
	}
	s := l.meter.opened(raw)
	defer l.close(s)
	storage := Storage{Bytes: map[string]int64{}, Objects: map[string]int64{}}
	for info, err := range s.List(ctx, "", true) {
		if err != nil {
			return Storage{}, fmt.Errorf("list everything in %s: %w", s, err)
		}
		content := contentOf(info.Key)
		storage.Objects[content]++
		storage.Bytes[content] += info.Size
	}
	if l.Lock {
		storage.Protection, err = l.protection(ctx, s)
	}
	return storage, err
}

// protection is nil when the store has none, or does not say. That is logged
// once; an alert on it would be one on what nobody knows.
func (l *StoreLocation) protection(ctx context.Context, s *counted) (*Protection, error) {
	p, ok := s.Store.(protector)
	if !ok {
		l.noteOnce("protection", errors.New("it has no object lock and no versions of objects"), "how the location protects its objects is not served")
		return nil, nil
	}
	protection, err := p.Protection(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	l.noteOnce("protection", err, "how the location protects its objects is not served")
	if err != nil {
		return nil, nil
	}
	return &protection, nil
}

// noteOnce logs the first failure of some kind, and the next one only after it
// went well in between: their texts differ, by key and by request.
func (l *StoreLocation) noteOnce(kind string, err error, message string) {
	if before, _ := l.noted.Swap(kind, err != nil); err != nil && before != true {
		l.log.Warn(message, "err", err)
	}
}

// storageSamples say what a location stores and how it is protected, as of the
// last storage scan.
func storageSamples(out *samples, now time.Time, l LocationState, cfg Config) {
	out.add(locationLockRequired, boolean(cfg.LockRequired), l.Name)
	if !l.StorageSource.read() {
		return
	}
	for _, c := range contents {
		out.add(locationStoredBytes, float64(l.Storage.Bytes[c.name]), l.Name, c.name)
		out.add(locationObjects, float64(l.Storage.Objects[c.name]), l.Name, c.name)
	}
	out.addTime(locationStorageScan, l.StorageSource.LastSuccess, l.Name)
	p := l.Storage.Protection
	if p == nil {
		return
	}
	out.stale = !l.StorageSource.fresh(now, staleIntervals*cfg.StorageInterval)
	out.add(locationLockEnabled, boolean(p.Lock), l.Name)
	out.add(locationVersioning, boolean(p.Versioning), l.Name)
	mode := p.Mode
	if mode == "" {
		mode = lockModes[len(lockModes)-1]
	}
	out.addSet(locationLockMode, lockModes, mode, l.Name)
	out.add(locationLockRetention, p.Retention.Seconds(), l.Name)
	out.stale = false
}

// lockModes are S3's, and that there is none.
var lockModes = []string{"GOVERNANCE", "COMPLIANCE", "none"}

// logicalSample is withheld until the records of all backups are read: a part of
// the sum would look like data that got lost.
func logicalSample(out *samples, l LocationState) {
	if !l.Backups.read() || l.VolumesPending > 0 {
		return
	}
	var sum float64
	for i := range l.BackupList {
		if v := l.BackupList[i].Volumes; v != nil {
			sum += float64(v.Size)
		}
	}
	out.add(locationLogicalBytes, sum, l.Name)
}
