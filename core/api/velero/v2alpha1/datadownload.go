package v2alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
)

// DataDownloadPhase is the phase of a download. An empty one is New.
//
// +kubebuilder:validation:Enum=New;Accepted;Prepared;InProgress;Canceling;Canceled;Completed;Failed
type DataDownloadPhase string

// The phases of a DataDownload.
const (
	DataDownloadPhaseNew        DataDownloadPhase = "New"
	DataDownloadPhaseAccepted   DataDownloadPhase = "Accepted"
	DataDownloadPhasePrepared   DataDownloadPhase = "Prepared"
	DataDownloadPhaseInProgress DataDownloadPhase = "InProgress"
	DataDownloadPhaseCanceling  DataDownloadPhase = "Canceling"
	DataDownloadPhaseCanceled   DataDownloadPhase = "Canceled"
	DataDownloadPhaseCompleted  DataDownloadPhase = "Completed"
	DataDownloadPhaseFailed     DataDownloadPhase = "Failed"
)

// DataDownload puts data that a DataUpload copied into a new volume.
//
// +kubebuilder:object:root=true
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.phase",description="Where the download is in its life"
// +kubebuilder:printcolumn:name="Started",type="date",JSONPath=".status.startTimestamp",description="When copying was begun"
// +kubebuilder:printcolumn:name="Bytes Done",type="integer",format="int64",JSONPath=".status.progress.bytesDone",description="Bytes that were copied"
// +kubebuilder:printcolumn:name="Total Bytes",type="integer",format="int64",JSONPath=".status.progress.totalBytes",description="Bytes there are to copy"
// +kubebuilder:printcolumn:name="Storage Location",type="string",JSONPath=".spec.backupStorageLocation",description="The location that holds the data"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="When the DataDownload was made"
// +kubebuilder:printcolumn:name="Node",type="string",JSONPath=".status.node",description="The node it runs on"
type DataDownload struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +optional
	Spec DataDownloadSpec `json:"spec,omitempty"`
	// +optional
	Status DataDownloadStatus `json:"status,omitempty"`
}

// DataDownloadList is a list of DataDownloads.
//
// +kubebuilder:object:root=true
type DataDownloadList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DataDownload `json:"items"`
}

// DataDownloadSpec is the data to restore and its target volume.
type DataDownloadSpec struct {
	// TargetVolume is the volume to fill.
	TargetVolume TargetVolumeSpec `json:"targetVolume"`
	// BackupStorageLocation is the name of the location that holds the data.
	BackupStorageLocation string `json:"backupStorageLocation"`
	// DataMover copies the data; empty is "velero", the built-in one.
	// +optional
	DataMover string `json:"datamover,omitempty"`
	// SnapshotID is the data's name in the repository.
	SnapshotID string `json:"snapshotID"`
	// SourceNamespace is the namespace that the volume was in when it was backed
	// up.
	SourceNamespace string `json:"sourceNamespace"`
	// DataMoverConfig are settings for the data mover.
	// +optional
	DataMoverConfig map[string]string `json:"dataMoverConfig,omitempty"`
	// Cancel asks to give up.
	// +optional
	Cancel bool `json:"cancel,omitempty"`
	// OperationTimeout is how long each step before the copying may take.
	OperationTimeout metav1.Duration `json:"operationTimeout"`
	// NodeOS is the operating system of the nodes that can mount the volume.
	// +optional
	NodeOS NodeOS `json:"nodeOS,omitempty"`
	// SnapshotSize is how much data there is, in bytes.
	// +optional
	SnapshotSize int64 `json:"snapshotSize,omitempty"`
}

// TargetVolumeSpec names the volume to fill.
type TargetVolumeSpec struct {
	// PVC is the name of the claim.
	PVC string `json:"pvc"`
	// PV is the name of the volume.
	PV string `json:"pv"`
	// Namespace of the claim.
	Namespace string `json:"namespace"`
}

// DataDownloadStatus is the result of a download.
type DataDownloadStatus struct {
	// Phase is the phase of the download. An empty one is New.
	// +optional
	Phase DataDownloadPhase `json:"phase,omitempty"`
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
	Progress velerov1.DataMoveOperationProgress `json:"progress,omitempty"`
	// Node it runs on.
	// +optional
	Node string `json:"node,omitempty"`
	// AcceptedByNode is the node that took it on and prepares it.
	// +optional
	AcceptedByNode string `json:"acceptedByNode,omitempty"`
	// AcceptedTimestamp is when that was.
	// +optional
	// +nullable
	AcceptedTimestamp *metav1.Time `json:"acceptedTimestamp,omitempty"`
}
