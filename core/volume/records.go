// Package volume holds what is recorded about persistent volumes in a backup.
package volume

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// BackupMethod is how a volume's data was saved.
type BackupMethod string

// Velero's backup methods. None at all means that the volume was skipped.
const (
	NativeSnapshot  BackupMethod = "NativeSnapshot"
	PodVolumeBackup BackupMethod = "PodVolumeBackup"
	CSISnapshot     BackupMethod = "CSISnapshot"
)

// Info is what <backup>-volumeinfo.json.gz holds of one volume (Velero
// v1.18.1, internal/volume/volumes_information.go). ReadyToUse and Phase have
// no lower-case name there, and none here.
type Info struct {
	PVCName               string       `json:"pvcName,omitempty"`
	PVCNamespace          string       `json:"pvcNamespace,omitempty"`
	PVName                string       `json:"pvName,omitempty"`
	BackupMethod          BackupMethod `json:"backupMethod,omitempty"`
	SnapshotDataMoved     bool         `json:"snapshotDataMoved"`
	PreserveLocalSnapshot bool         `json:"preserveLocalSnapshot"`
	Skipped               bool         `json:"skipped"`
	SkippedReason         string       `json:"skippedReason,omitempty"`
	StartTimestamp        *metav1.Time `json:"startTimestamp,omitempty"`
	CompletionTimestamp   *metav1.Time `json:"completionTimestamp,omitempty"`
	Result                string       `json:"result,omitempty"` // "succeeded" or "failed"

	CSISnapshotInfo          *CSISnapshotInfo          `json:"csiSnapshotInfo,omitempty"`
	SnapshotDataMovementInfo *SnapshotDataMovementInfo `json:"snapshotDataMovementInfo,omitempty"`
	NativeSnapshotInfo       *NativeSnapshotInfo       `json:"nativeSnapshotInfo,omitempty"`
	PVBInfo                  *PodVolumeInfo            `json:"pvbInfo,omitempty"`
	PVInfo                   *PVInfo                   `json:"pvInfo,omitempty"`
}

// CSISnapshotInfo identifies a CSI snapshot. Sizes are in bytes.
type CSISnapshotInfo struct {
	SnapshotHandle            string `json:"snapshotHandle"`
	Size                      int64  `json:"size"`
	Driver                    string `json:"driver"`
	VSCName                   string `json:"vscName"`
	OperationID               string `json:"operationID,omitempty"`
	ReadyToUse                *bool
	VolumeGroupSnapshotHandle string `json:"volumeGroupSnapshotHandle,omitempty"`
}

// SnapshotDataMovementInfo identifies data that a data mover copied. Sizes are
// in bytes.
type SnapshotDataMovementInfo struct {
	DataMover        string `json:"dataMover"`
	UploaderType     string `json:"uploaderType"`
	RetainedSnapshot string `json:"retainedSnapshot"`
	SnapshotHandle   string `json:"snapshotHandle"`
	OperationID      string `json:"operationID"`
	Size             int64  `json:"size"`
	IncrementalSize  int64  `json:"incrementalSize,omitempty"`
	Phase            string
}

// NativeSnapshotInfo identifies a snapshot made by a provider's plugin.
type NativeSnapshotInfo struct {
	SnapshotHandle string `json:"snapshotHandle"`
	VolumeType     string `json:"volumeType"`
	VolumeAZ       string `json:"volumeAZ"`
	IOPS           string `json:"iops"`
	Phase          string
}

// PodVolumeInfo identifies a file-system backup. Sizes are in bytes.
type PodVolumeInfo struct {
	SnapshotHandle  string `json:"snapshotHandle"`
	Size            int64  `json:"size"`
	IncrementalSize int64  `json:"incrementalSize,omitempty"`
	UploaderType    string `json:"uploaderType"`
	VolumeName      string `json:"volumeName"`
	PodName         string `json:"podName"`
	PodNamespace    string `json:"podNamespace"`
	NodeName        string `json:"nodeName"`
	Phase           string
}

// PVInfo is what a restore needs of a volume that is provisioned anew.
type PVInfo struct {
	ReclaimPolicy string            `json:"reclaimPolicy"`
	Labels        map[string]string `json:"labels"`
}
