package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PodVolumeBackupPhase is where a file-system backup of one volume is in its
// life. An empty one is New.
//
// +kubebuilder:validation:Enum=New;Accepted;Prepared;InProgress;Canceling;Canceled;Completed;Failed
type PodVolumeBackupPhase string

// The phases of a PodVolumeBackup.
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
//
// +kubebuilder:object:root=true
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.phase",description="Where the backup of the volume is in its life"
// +kubebuilder:printcolumn:name="Started",type="date",JSONPath=".status.startTimestamp",description="When copying was begun"
// +kubebuilder:printcolumn:name="Bytes Done",type="integer",format="int64",JSONPath=".status.progress.bytesDone",description="Bytes that were copied"
// +kubebuilder:printcolumn:name="Total Bytes",type="integer",format="int64",JSONPath=".status.progress.totalBytes",description="Bytes there are to copy"
// +kubebuilder:printcolumn:name="Incremental Bytes",type="integer",format="int64",JSONPath=".status.incrementalBytes",priority=10,description="Bytes that the last backup of the volume did not have"
// +kubebuilder:printcolumn:name="Storage Location",type="string",JSONPath=".spec.backupStorageLocation",description="The location that holds the data"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="When the PodVolumeBackup was made"
// +kubebuilder:printcolumn:name="Node",type="string",JSONPath=".spec.node",description="The node it runs on"
// +kubebuilder:printcolumn:name="Uploader",type="string",JSONPath=".spec.uploaderType",description="What copies the data"
type PodVolumeBackup struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +optional
	Spec PodVolumeBackupSpec `json:"spec,omitempty"`
	// +optional
	Status PodVolumeBackupStatus `json:"status,omitempty"`
}

// PodVolumeBackupList is a list of PodVolumeBackups.
//
// +kubebuilder:object:root=true
type PodVolumeBackupList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PodVolumeBackup `json:"items"`
}

// PodVolumeBackupSpec is a volume to back up, its node and its destination.
type PodVolumeBackupSpec struct {
	// Node that the pod is on.
	Node string `json:"node"`
	// Pod holds at least the namespace and name.
	Pod corev1.ObjectReference `json:"pod"`
	// Volume by its name in the pod.
	Volume string `json:"volume"`
	// BackupStorageLocation is the name of the location that holds the data.
	BackupStorageLocation string `json:"backupStorageLocation"`
	// RepoIdentifier is where the repository of the data is.
	RepoIdentifier string `json:"repoIdentifier"`
	// UploaderType is what copies the data: kopia, restic, or empty for the
	// server's default, kopia.
	// +optional
	// +kubebuilder:validation:Enum=kopia;restic;""
	UploaderType string `json:"uploaderType"`
	// Tags are put on the snapshot in the repository.
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
	// UploaderSettings tune the uploader.
	// +optional
	// +nullable
	UploaderSettings map[string]string `json:"uploaderSettings,omitempty"`
	// Cancel asks to give up.
	// +optional
	Cancel bool `json:"cancel,omitempty"`
}

// PodVolumeBackupStatus is the result of the backup of a volume. Without a SnapshotID there is
// nothing to restore.
type PodVolumeBackupStatus struct {
	// Phase is where it is in its life. An empty one is New.
	// +optional
	Phase PodVolumeBackupPhase `json:"phase,omitempty"`
	// Path of the volume on the node.
	// +optional
	Path string `json:"path,omitempty"`
	// SnapshotID is the data's name in the repository; empty for a volume without
	// any file.
	// +optional
	SnapshotID string `json:"snapshotID,omitempty"`
	// Message explains the phase, such as why it failed.
	// +optional
	Message string `json:"message,omitempty"`
	// StartTimestamp is when copying was begun.
	// +optional
	// +nullable
	StartTimestamp *metav1.Time `json:"startTimestamp,omitempty"`
	// CompletionTimestamp is when it ended, successfully or not.
	// +optional
	// +nullable
	CompletionTimestamp *metav1.Time `json:"completionTimestamp,omitempty"`
	// Progress of copying.
	// +optional
	Progress DataMoveOperationProgress `json:"progress,omitempty"`
	// IncrementalBytes are those that the last backup of the volume did not have.
	// +optional
	IncrementalBytes int64 `json:"incrementalBytes,omitempty"`
	// AcceptedTimestamp is when a node took it on.
	// +optional
	// +nullable
	AcceptedTimestamp *metav1.Time `json:"acceptedTimestamp,omitempty"`
}
