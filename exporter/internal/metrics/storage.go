package metrics

import (
	"time"

	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
)

// storageSamples say what a location stores and how it is protected, as of the
// last storage scan.
func storageSamples(out Samples, now time.Time, l state.LocationState, cfg state.Config) {
	out.add(locationLockRequired, fact.Boolean(cfg.LockRequired), l.Name)
	if !l.StorageSource.Read() {
		return
	}
	for _, c := range fact.Contents {
		out.add(locationStoredBytes, float64(l.Storage.Bytes[c.Name]), l.Name, c.Name)
		out.add(locationObjects, float64(l.Storage.Objects[c.Name]), l.Name, c.Name)
	}
	out.addTime(locationStorageScan, l.StorageSource.LastSuccess, l.Name)
	p := l.Storage.Protection
	if p == nil {
		return
	}
	out = out.when(l.StorageSource.Fresh(now, state.StaleIntervals*cfg.StorageInterval))
	out.add(locationLockEnabled, fact.Boolean(p.Lock), l.Name)
	out.add(locationVersioning, fact.Boolean(p.Versioning), l.Name)
	mode := p.Mode
	if mode == "" {
		mode = lockModes[len(lockModes)-1]
	}
	out.addSet(locationLockMode, lockModes, mode, l.Name)
	out.add(locationLockRetention, p.Retention.Seconds(), l.Name)
}

// lockModes are S3's, and none.
var lockModes = []string{"GOVERNANCE", "COMPLIANCE", "none"}

// logicalSample is withheld until the records of all backups are read: a part of
// the sum would look like data that got lost.
func logicalSample(out Samples, l state.LocationState) {
	if !l.Backups.Read() || l.VolumesPending > 0 {
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
