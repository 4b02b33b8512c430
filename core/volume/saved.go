package volume

import (
	"cmp"
	"io"
	"slices"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
)

// UploaderKopia is the uploader that writes to kopia repositories.
const UploaderKopia = "kopia"

// annotationClaim on a PodVolumeBackup names the claim of the volume (Velero v1.18.1,
// pkg/podvolume).
const annotationClaim = "velero.io/pvc-name"

// Outcome is what became of the data of a volume.
type Outcome string

// The outcomes of a volume.
const (
	OutcomeSaved   Outcome = "saved"
	OutcomeEmpty   Outcome = "empty"   // it has no file, so there is no snapshot
	OutcomeSkipped Outcome = "skipped" // by a setting or a policy
	OutcomeFailed  Outcome = "failed"
)

// Data is what a backup records about the data of one volume.
type Data struct {
	// Claim is the PersistentVolumeClaim; it is zero for a volume of a pod that is
	// not a claim.
	Claim Name `json:"claim,omitzero"`
	// Pod and PodVolume are the volume through which a file-system backup read it.
	Pod       Name   `json:"pod,omitzero"`
	PodVolume string `json:"podVolume,omitempty"`
	// Method is how the data was saved; empty if it was not.
	Method BackupMethod `json:"method,omitempty"`
	Moved  bool         `json:"moved,omitempty"` // from a snapshot to the repository
	// Uploader, Repository and Snapshot name the data in a repository: that of the
	// namespace Repository. They are empty for a snapshot of a provider.
	Uploader   string `json:"uploader,omitempty"`
	Repository string `json:"repository,omitempty"`
	Snapshot   string `json:"snapshot,omitempty"`
	// Size is in bytes, as recorded.
	Size    int64   `json:"size"`
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
}

// Name is how a user names the volume: namespace/claim, or namespace/pod:volume.
func (d Data) Name() string {
	if d.Claim != (Name{}) {
		return d.Claim.String()
	}
	return d.Pod.String() + ":" + d.PodVolume
}

// InRepository reports whether the data is in a kopia repository.
func (d Data) InRepository() bool { return d.Uploader == UploaderKopia && d.Snapshot != "" }

// DecodePodVolumeBackups reads <backup>-podvolumebackups.json.gz as DecodeInfos does.
func DecodePodVolumeBackups(r io.Reader) ([]velerov1.PodVolumeBackup, error) {
	return decodeList[velerov1.PodVolumeBackup](r, jsonbound.Limits{Bytes: MaxRecordsSize, Values: MaxRecordsValues})
}

// DataOf joins the two records of the volumes of a backup, which name each volume once
// or twice: infos has those with a PersistentVolume, backups those that a file-system
// backup read. The result is sorted by name.
func DataOf(infos []Info, backups []velerov1.PodVolumeBackup) []Data {
	var out []Data
	read := map[Name]bool{} // claims that a file-system backup read
	for _, b := range backups {
		d := ofPodVolume(b)
		if d.Claim != (Name{}) {
			read[d.Claim] = true
		}
		out = append(out, d)
	}
	for _, i := range infos {
		claim := Name{i.PVCNamespace, i.PVCName}
		if i.BackupMethod == PodVolumeBackup && read[claim] {
			continue
		}
		out = append(out, ofInfo(claim, i))
	}
	slices.SortStableFunc(out, func(a, b Data) int { return cmp.Compare(a.Name(), b.Name()) })
	return out
}

func ofPodVolume(b velerov1.PodVolumeBackup) Data {
	d := Data{
		Pod: Name{b.Spec.Pod.Namespace, b.Spec.Pod.Name}, PodVolume: b.Spec.Volume,
		Method: PodVolumeBackup, Uploader: cmp.Or(b.Spec.UploaderType, UploaderKopia),
		Repository: b.Spec.Pod.Namespace, Snapshot: b.Status.SnapshotID, Size: b.Status.Progress.TotalBytes,
		Reason: b.Status.Message,
	}
	if claim := b.Annotations[annotationClaim]; claim != "" {
		d.Claim = Name{b.Spec.Pod.Namespace, claim}
	}
	switch {
	case b.Status.Phase != velerov1.PodVolumeBackupPhaseCompleted:
		d.Outcome = OutcomeFailed
		if d.Reason == "" {
			d.Reason = "its phase is " + cmp.Or(string(b.Status.Phase), "New")
		}
	case b.Status.SnapshotID == "":
		d.Outcome = OutcomeEmpty
	default:
		d.Outcome = OutcomeSaved
	}
	return d
}

func ofInfo(claim Name, i Info) Data {
	d := Data{Claim: claim, Method: i.BackupMethod, Moved: i.SnapshotDataMoved, Reason: i.SkippedReason}
	switch {
	case i.SnapshotDataMovementInfo != nil:
		m := i.SnapshotDataMovementInfo
		d.Uploader, d.Repository, d.Snapshot, d.Size = cmp.Or(m.UploaderType, UploaderKopia), claim.Namespace, m.SnapshotHandle, m.Size
	case i.PVBInfo != nil:
		p := i.PVBInfo
		d.Pod, d.PodVolume = Name{p.PodNamespace, p.PodName}, p.VolumeName
		d.Uploader, d.Repository, d.Snapshot, d.Size = cmp.Or(p.UploaderType, UploaderKopia), p.PodNamespace, p.SnapshotHandle, p.Size
	case i.CSISnapshotInfo != nil:
		d.Size = i.CSISnapshotInfo.Size
	}
	switch {
	case i.Skipped, i.BackupMethod == "":
		d.Outcome = OutcomeSkipped
	case i.Result == ResultFailed:
		d.Outcome = OutcomeFailed
	default:
		d.Outcome = OutcomeSaved
	}
	return d
}
