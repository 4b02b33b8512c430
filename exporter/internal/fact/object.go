package fact

import (
	"slices"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
)

// BackupOf is what a Backup records, in a cluster as in a location.
func BackupOf(v velerov1.Backup) Backup {
	b := Backup{
		Name:         v.Name,
		UID:          string(v.UID),
		Schedule:     v.Labels[api.LabelScheduleName],
		Phase:        v.Status.Phase,
		Start:        v.CreationTimestamp.Time,
		Created:      v.CreationTimestamp.Time,
		Errors:       v.Status.Errors,
		Warnings:     v.Status.Warnings,
		GCFailure:    gcReason(v.Labels[api.LabelGCFailure]),
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

// gcReason is one of GcReasons, "" for any other: whoever made the label, it is
// kept as long as the backup.
func gcReason(label string) string {
	if i := slices.Index(GcReasons[:], label); i >= 0 {
		return GcReasons[i]
	}
	return ""
}
