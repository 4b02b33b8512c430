package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PodVolumeBackupPhase is where a file-system backup of one volume is in its
// life.
type PodVolumeBackupPhase string

// The phases of a PodVolumeBackup. An empty one is New.
const (
	PodVolumeBackupPhaseNew        PodVolumeBackupPhase = "New"
	PodVolumeBackupPhaseAccepted   PodVolumeBackupPhase = "Accepted"
	PodVolumeBackupPhasePrepared   PodVolumeBackupPhase = "Prepared"
	PodVolumeBackupPhaseInProgress PodVolumeBackupPhase = "InProgress"
	PodVolumeBackupPhaseCanceling  PodVolumeBackupPhase = "Canceling"
	PodVolumeBackupPhaseCanceled   PodVolumeBackupPhase = "Canceled"
	PodVolumeBackupPhaseCompleted  PodVolumeBackupPhase = "Completed"
	PodVolumeBackupPhaseFailed     PodVolumeBackupPhase = "Failed"
)

// PodVolumeBackup is the file-system backup of one volume of a pod. In a
// bucket a list of them, without kind and apiVersion, is
// <backup>-podvolumebackups.json.gz.
type PodVolumeBackup struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              PodVolumeBackupSpec   `json:"spec,omitempty"`
	Status            PodVolumeBackupStatus `json:"status,omitempty"`
}

// PodVolumeBackupSpec says which volume is backed up, where and to where.
type PodVolumeBackupSpec struct {
	Node string `json:"node"`
	// Pod holds at least the namespace and name.
	Pod    corev1.ObjectReference `json:"pod"`
	Volume string                 `json:"volume"` // by its name in the pod
	// BackupStorageLocation is the name of the location that holds the data.
	BackupStorageLocation string            `json:"backupStorageLocation"`
	RepoIdentifier        string            `json:"repoIdentifier"`
	UploaderType          string            `json:"uploaderType,omitempty"` // "kopia", "restic" or ""
	Tags                  map[string]string `json:"tags,omitempty"`
	UploaderSettings      map[string]string `json:"uploaderSettings,omitempty"`
	Cancel                bool              `json:"cancel,omitempty"`
}

// PodVolumeBackupStatus is what became of it. Without a SnapshotID there is
// nothing to restore.
type PodVolumeBackupStatus struct {
	Phase               PodVolumeBackupPhase      `json:"phase,omitempty"`
	Path                string                    `json:"path,omitempty"`
	SnapshotID          string                    `json:"snapshotID,omitempty"`
	Message             string                    `json:"message,omitempty"`
	StartTimestamp      *metav1.Time              `json:"startTimestamp,omitempty"`
	CompletionTimestamp *metav1.Time              `json:"completionTimestamp,omitempty"`
	Progress            DataMoveOperationProgress `json:"progress,omitempty"`
	IncrementalBytes    int64                     `json:"incrementalBytes,omitempty"`
	AcceptedTimestamp   *metav1.Time              `json:"acceptedTimestamp,omitempty"`
}

// DataMoveOperationProgress is how far copying has come, in bytes.
type DataMoveOperationProgress struct {
	TotalBytes int64 `json:"totalBytes,omitempty"`
	BytesDone  int64 `json:"bytesDone,omitempty"`
}
