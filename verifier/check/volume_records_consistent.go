package check

import (
	"fmt"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/volume"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// volumeRecordsConsistent: what the backup records of its volumes agrees with
// itself and with the tarball, and every volume whose data it claims to hold
// has the identifier that a restore needs to find the data.
//
// Data that could not be saved is no finding in a PartiallyFailed backup,
// which says so itself; in a Completed one it is.
func volumeRecordsConsistent() Check {
	return Check{
		Name: "volume_records_consistent",
		asks: func(in Input) bool {
			return in.has(store.VolumeInfo) || in.has(store.PodVolumeBackups) || in.has(store.VolumeSnapshots)
		},
		needs: func(in Input) []string {
			return append(needs(store.Metadata, store.Contents)(in), in.present(store.VolumeInfo, store.PodVolumeBackups, store.VolumeSnapshots)...)
		},
		Find: func(in Input) []report.Finding {
			v := newVolumes(in)
			if in.has(store.VolumeInfo) {
				v.infos()
				v.unrecorded()
			}
			v.podVolumeBackups()
			v.snapshots()
			return v.found
		},
	}
}

// volumes gathers findings about one backup's volumes.
type volumes struct {
	in    Input
	items map[item.Key]bool
	found []report.Finding
}

func newVolumes(in Input) *volumes {
	v := &volumes{in: in, items: map[item.Key]bool{}}
	for _, it := range in.Archive.Items {
		if it.Group == "" && (it.Resource == "persistentvolumes" || it.Resource == "persistentvolumeclaims") {
			v.items[it.Key] = true
		}
	}
	return v
}

func pvKey(name string) item.Key { return item.Key{Resource: "persistentvolumes", Name: name} }

func pvcKey(namespace, name string) item.Key {
	return item.Key{Resource: "persistentvolumeclaims", Namespace: namespace, Name: name}
}

func (v *volumes) add(object, format string, args ...any) {
	v.found = append(v.found, report.Finding{Object: object, Message: fmt.Sprintf(format, args...)})
}

// failed notes data that was not saved, unless the backup admits to failures.
func (v *volumes) failed(object, format string, args ...any) {
	if v.in.phase() == velerov1.BackupPhaseCompleted {
		v.add(object, "backup is Completed, but "+format, args...)
	}
}

func (v *volumes) infos() {
	podVolumes := v.podVolumesByHandle()
	for i, info := range v.in.VolumeInfos {
		object := infoObject(i, info)
		if info.PVName != "" && !v.items[pvKey(info.PVName)] {
			v.add(object, "volume is recorded, but the tarball does not hold %s", pvKey(info.PVName))
		}
		if info.Skipped {
			continue
		}
		if info.Result == volume.ResultFailed {
			v.failed(object, "according to its record, saving the volume failed")
			continue
		}
		if info.PVCName != "" && info.BackupMethod != volume.NativeSnapshot && !v.items[pvcKey(info.PVCNamespace, info.PVCName)] {
			v.add(object, "volume is recorded, but the tarball does not hold %s", pvcKey(info.PVCNamespace, info.PVCName))
		}
		if wrong := inspectInfo(info); wrong != "" {
			v.add(object, "%s", wrong)
		}
		if p := info.PVBInfo; p != nil && p.SnapshotHandle != "" && v.in.has(store.PodVolumeBackups) && !podVolumes[keyOf(*p)] {
			v.add(object, "no PodVolumeBackup of volume %s of pod %s/%s with snapshot %s is recorded", p.VolumeName, p.PodNamespace, p.PodName, p.SnapshotHandle)
		}
	}
}

// infoObject calls a record by the volume it is about.
func infoObject(i int, info volume.Info) string {
	switch {
	case info.PVName != "":
		return pvKey(info.PVName).String()
	case info.PVCName != "":
		return pvcKey(info.PVCNamespace, info.PVCName).String()
	case info.PVBInfo != nil:
		return "pods " + info.PVBInfo.PodNamespace + "/" + info.PVBInfo.PodName
	}
	return fmt.Sprintf("volume record %d", i)
}

// inspectInfo reports what a record lacks that a restore of the data needs, or "".
func inspectInfo(info volume.Info) string {
	none := func(what string) string { return "volume is recorded as saved, but without " + what }
	switch info.BackupMethod {
	case volume.PodVolumeBackup:
		switch p := info.PVBInfo; {
		case p == nil || p.SnapshotHandle == "":
			return none("the ID of its snapshot in the repository")
		case p.Phase != string(velerov1.PodVolumeBackupPhaseCompleted):
			return fmt.Sprintf("volume is recorded as saved, but its PodVolumeBackup is in phase %q", p.Phase)
		}
	case volume.CSISnapshot:
		if info.SnapshotDataMoved {
			if m := info.SnapshotDataMovementInfo; m == nil || m.SnapshotHandle == "" {
				return none("the ID of its snapshot in the repository")
			}
		} else if c := info.CSISnapshotInfo; c == nil || c.SnapshotHandle == "" {
			return none("the handle of its CSI snapshot")
		}
	case volume.NativeSnapshot:
		if n := info.NativeSnapshotInfo; n == nil || n.SnapshotHandle == "" {
			return none("the ID of its snapshot")
		}
	default:
		return fmt.Sprintf("volume is recorded as saved by an unknown method %q", info.BackupMethod)
	}
	return ""
}

// unrecorded finds bound volumes of the tarball that have no record: Velero
// restores such a volume by its reclaim policy alone, empty or bound to the
// old disk.
func (v *volumes) unrecorded() {
	recorded := map[string]bool{}
	for _, info := range v.in.VolumeInfos {
		recorded[info.PVName] = true
	}
	for pv, claim := range v.in.Archive.Claims {
		if !recorded[pv] && v.items[claim] {
			v.failed(pvKey(pv).String(), "the tarball holds this volume and its claim, and no record says whether its data was saved")
		}
	}
}

// podVolume names one volume of a pod and the snapshot of its data.
type podVolume struct{ namespace, pod, volume, snapshot string }

func keyOf(p volume.PodVolumeInfo) podVolume {
	return podVolume{p.PodNamespace, p.PodName, p.VolumeName, p.SnapshotHandle}
}

func (v *volumes) podVolumesByHandle() map[podVolume]bool {
	known := map[podVolume]bool{}
	for _, p := range v.in.PodVolumeBackups {
		known[podVolume{p.Spec.Pod.Namespace, p.Spec.Pod.Name, p.Spec.Volume, p.Status.SnapshotID}] = true
	}
	return known
}

func (v *volumes) podVolumeBackups() {
	recorded := map[podVolume]bool{}
	for _, info := range v.in.VolumeInfos {
		if info.PVBInfo != nil {
			recorded[keyOf(*info.PVBInfo)] = true
		}
	}
	for _, p := range v.in.PodVolumeBackups {
		object := fmt.Sprintf("podvolumebackups.velero.io %s/%s", p.Namespace, p.Name)
		if p.Labels[api.LabelBackupName] != api.LabelValue(v.in.Backup) {
			v.add(object, "PodVolumeBackup belongs to backup %q", p.Labels[api.LabelBackupName])
		}
		if uid := p.Labels[api.LabelBackupUID]; uid != string(v.in.Metadata.UID) {
			v.add(object, "PodVolumeBackup belongs to the backup with UID %q, this backup has UID %q", uid, v.in.Metadata.UID)
		}
		switch {
		case p.Status.Phase != velerov1.PodVolumeBackupPhaseCompleted:
			v.failed(object, "this PodVolumeBackup is in phase %q: %s", p.Status.Phase, p.Status.Message)
		case p.Status.SnapshotID == "":
			v.add(object, "PodVolumeBackup is Completed without the ID of a snapshot: a restore would skip the volume silently")
		case v.in.has(store.VolumeInfo) && !recorded[podVolume{p.Spec.Pod.Namespace, p.Spec.Pod.Name, p.Spec.Volume, p.Status.SnapshotID}]:
			v.failed(object, "the records of volumes do not name this PodVolumeBackup with snapshot %s", p.Status.SnapshotID)
		}
	}
}

func (v *volumes) snapshots() {
	for _, s := range v.in.Snapshots {
		object := pvKey(s.Spec.PersistentVolumeName).String()
		if s.Spec.BackupName != v.in.Backup {
			v.add(object, "snapshot belongs to backup %q", s.Spec.BackupName)
		}
		switch {
		case s.Status.Phase != volume.SnapshotPhaseCompleted:
			v.failed(object, "its snapshot is in phase %q", s.Status.Phase)
		case s.Status.ProviderSnapshotID == "":
			v.add(object, "snapshot is Completed without an ID")
		}
	}
}
