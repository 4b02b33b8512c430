package exporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

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

// backupOf is what a Backup says of itself, in a cluster as in a location.
func backupOf(v velerov1.Backup) Backup {
	b := Backup{
		Name:         v.Name,
		UID:          string(v.UID),
		Schedule:     v.Labels[api.LabelScheduleName],
		Phase:        v.Status.Phase,
		Start:        v.CreationTimestamp.Time,
		Created:      v.CreationTimestamp.Time,
		Errors:       v.Status.Errors,
		Warnings:     v.Status.Warnings,
		GCFailure:    v.Labels[api.LabelGCFailure],
		Snapshots:    Snapshots{Attempted: v.Status.VolumeSnapshotsAttempted, Completed: v.Status.VolumeSnapshotsCompleted},
		CSISnapshots: Snapshots{Attempted: v.Status.CSIVolumeSnapshotsAttempted, Completed: v.Status.CSIVolumeSnapshotsCompleted},
	}
	if v.Status.StartTimestamp != nil {
		b.Start = v.Status.StartTimestamp.Time
	}
	if v.Status.CompletionTimestamp != nil {
		b.Completed = v.Status.CompletionTimestamp.Time
	}
	if v.Status.Expiration != nil {
		b.Expires = v.Status.Expiration.Time
	}
	if v.Status.Progress != nil {
		b.Items = v.Status.Progress.ItemsBackedUp
	}
	if v.Status.HookStatus != nil {
		b.HooksFailed = v.Status.HookStatus.HooksFailed
	}
	return b
}

// decodeBackup reads a velero-backup.json.
func decodeBackup(raw []byte) (Backup, error) {
	var v velerov1.Backup
	if err := json.Unmarshal(raw, &v); err != nil {
		return Backup{}, fmt.Errorf("decode: %w", err)
	}
	b := backupOf(v)
	sum := sha256.Sum256(raw)
	b.MetadataSHA256 = hex.EncodeToString(sum[:])
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
