package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PodVolumeRestorePhase is where the restore of one volume is in its life. An
// empty one is New.
//
// +kubebuilder:validation:Enum=New;Accepted;Prepared;InProgress;Canceling;Canceled;Completed;Failed
type PodVolumeRestorePhase string

// The phases of a PodVolumeRestore.
const (
	PodVolumeRestorePhaseNew        PodVolumeRestorePhase = "New"
	PodVolumeRestorePhaseAccepted   PodVolumeRestorePhase = "Accepted"
	PodVolumeRestorePhasePrepared   PodVolumeRestorePhase = "Prepared"
	PodVolumeRestorePhaseInProgress PodVolumeRestorePhase = "InProgress"
	PodVolumeRestorePhaseCanceling  PodVolumeRestorePhase = "Canceling"
	PodVolumeRestorePhaseCanceled   PodVolumeRestorePhase = "Canceled"
	PodVolumeRestorePhaseCompleted  PodVolumeRestorePhase = "Completed"
	PodVolumeRestorePhaseFailed     PodVolumeRestorePhase = "Failed"
)

// PodVolumeRestore puts the data of a PodVolumeBackup into a volume of a pod.
//
// +kubebuilder:object:root=true
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.phase",description="Where the restore of the volume is in its life"
// +kubebuilder:printcolumn:name="Started",type="date",JSONPath=".status.startTimestamp",description="When copying was begun"
// +kubebuilder:printcolumn:name="Bytes Done",type="integer",format="int64",JSONPath=".status.progress.bytesDone",description="Bytes that were copied"
// +kubebuilder:printcolumn:name="Total Bytes",type="integer",format="int64",JSONPath=".status.progress.totalBytes",description="Bytes there are to copy"
// +kubebuilder:printcolumn:name="Storage Location",type="string",JSONPath=".spec.backupStorageLocation",description="The location that holds the data"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="When the PodVolumeRestore was made"
// +kubebuilder:printcolumn:name="Node",type="string",JSONPath=".status.node",description="The node it runs on"
// +kubebuilder:printcolumn:name="Uploader Type",type="string",JSONPath=".spec.uploaderType",description="What copies the data"
type PodVolumeRestore struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +optional
	Spec PodVolumeRestoreSpec `json:"spec,omitempty"`
	// +optional
	Status PodVolumeRestoreStatus `json:"status,omitempty"`
}

// PodVolumeRestoreList is a list of PodVolumeRestores.
//
// +kubebuilder:object:root=true
type PodVolumeRestoreList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PodVolumeRestore `json:"items"`
}

// PodVolumeRestoreSpec is the data to restore and its target volume.
type PodVolumeRestoreSpec struct {
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
	// SnapshotID is the data's name in the repository.
	SnapshotID string `json:"snapshotID"`
	// SourceNamespace is the namespace that the volume was in when it was backed
	// up.
	SourceNamespace string `json:"sourceNamespace"`
	// UploaderSettings tune the uploader.
	// +optional
	// +nullable
	UploaderSettings map[string]string `json:"uploaderSettings,omitempty"`
	// Cancel asks to give up.
	// +optional
	Cancel bool `json:"cancel,omitempty"`
	// SnapshotSize is how much data there is, in bytes.
	// +optional
	SnapshotSize int64 `json:"snapshotSize,omitempty"`
}

// PodVolumeRestoreStatus is the result of the restore of a volume.
type PodVolumeRestoreStatus struct {
	// Phase is where it is in its life. An empty one is New.
	// +optional
	Phase PodVolumeRestorePhase `json:"phase,omitempty"`
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
	// AcceptedTimestamp is when a node took it on.
	// +optional
	// +nullable
	AcceptedTimestamp *metav1.Time `json:"acceptedTimestamp,omitempty"`
	// Node it runs on.
	// +optional
	Node string `json:"node,omitempty"`
}
