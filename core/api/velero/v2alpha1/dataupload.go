package v2alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
)

// DataUploadPhase is where the upload of a snapshot is in its life. An empty one
// is New.
//
// +kubebuilder:validation:Enum=New;Accepted;Prepared;InProgress;Canceling;Canceled;Completed;Failed
type DataUploadPhase string

// The phases of a DataUpload.
const (
	DataUploadPhaseNew        DataUploadPhase = "New"
	DataUploadPhaseAccepted   DataUploadPhase = "Accepted"
	DataUploadPhasePrepared   DataUploadPhase = "Prepared"
	DataUploadPhaseInProgress DataUploadPhase = "InProgress"
	DataUploadPhaseCanceling  DataUploadPhase = "Canceling"
	DataUploadPhaseCanceled   DataUploadPhase = "Canceled"
	DataUploadPhaseCompleted  DataUploadPhase = "Completed"
	DataUploadPhaseFailed     DataUploadPhase = "Failed"
)

// SnapshotType is the kind of snapshot whose data is moved.
type SnapshotType string

// SnapshotTypeCSI is a VolumeSnapshot.
const SnapshotTypeCSI SnapshotType = "CSI"

// DataUpload copies the data of one volume snapshot to a storage location.
//
// +kubebuilder:object:root=true
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.phase",description="Where the upload is in its life"
// +kubebuilder:printcolumn:name="Started",type="date",JSONPath=".status.startTimestamp",description="When copying was begun"
// +kubebuilder:printcolumn:name="Bytes Done",type="integer",format="int64",JSONPath=".status.progress.bytesDone",description="Bytes that were copied"
// +kubebuilder:printcolumn:name="Total Bytes",type="integer",format="int64",JSONPath=".status.progress.totalBytes",description="Bytes there are to copy"
// +kubebuilder:printcolumn:name="Incremental Bytes",type="integer",format="int64",JSONPath=".status.incrementalBytes",priority=10,description="Bytes that the last upload of the volume did not have"
// +kubebuilder:printcolumn:name="Storage Location",type="string",JSONPath=".spec.backupStorageLocation",description="The location that the data goes to"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="When the DataUpload was made"
// +kubebuilder:printcolumn:name="Node",type="string",JSONPath=".status.node",description="The node it runs on"
type DataUpload struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +optional
	Spec DataUploadSpec `json:"spec,omitempty"`
	// +optional
	Status DataUploadStatus `json:"status,omitempty"`
}

// DataUploadList is a list of DataUploads.
//
// +kubebuilder:object:root=true
type DataUploadList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DataUpload `json:"items"`
}

// DataUploadSpec is a snapshot and its destination.
type DataUploadSpec struct {
	// SnapshotType is the kind of snapshot: CSI.
	SnapshotType SnapshotType `json:"snapshotType"`
	// CSISnapshot is the snapshot, if it is of type CSI.
	// +optional
	// +nullable
	CSISnapshot *CSISnapshotSpec `json:"csiSnapshot"`
	// SourcePVC is the name of the claim that the snapshot is of.
	SourcePVC string `json:"sourcePVC"`
	// DataMover copies the data; empty is "velero", the built-in one.
	// +optional
	DataMover string `json:"datamover,omitempty"`
	// BackupStorageLocation is the name of the location that the data goes to.
	BackupStorageLocation string `json:"backupStorageLocation"`
	// SourceNamespace is the namespace of the claim and of the snapshot.
	SourceNamespace string `json:"sourceNamespace"`
	// DataMoverConfig are settings for the data mover.
	// +optional
	// +nullable
	DataMoverConfig map[string]string `json:"dataMoverConfig,omitempty"`
	// Cancel asks to give up.
	// +optional
	Cancel bool `json:"cancel,omitempty"`
	// OperationTimeout is how long each step before the copying may take.
	OperationTimeout metav1.Duration `json:"operationTimeout"`
}

// CSISnapshotSpec names a VolumeSnapshot.
type CSISnapshotSpec struct {
	// VolumeSnapshot by its name.
	VolumeSnapshot string `json:"volumeSnapshot"`
	// StorageClass of the volume that the snapshot is mounted as.
	StorageClass string `json:"storageClass"`
	// SnapshotClass of the snapshot.
	// +optional
	SnapshotClass string `json:"snapshotClass"`
	// Driver that made the snapshot.
	// +optional
	Driver string `json:"driver,omitempty"`
}

// DataUploadStatus is the result of an upload.
type DataUploadStatus struct {
	// Phase is the phase of the upload. An empty one is New.
	// +optional
	Phase DataUploadPhase `json:"phase,omitempty"`
	// Path of the volume on the node.
	// +optional
	Path string `json:"path,omitempty"`
	// SnapshotID is the data's name in the repository.
	// +optional
	SnapshotID string `json:"snapshotID,omitempty"`
	// DataMoverResult is additional output of the data mover.
	// +optional
	// +nullable
	DataMoverResult *map[string]string `json:"dataMoverResult,omitempty"`
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
	// IncrementalBytes are those that the last upload of the volume did not have.
	// +optional
	IncrementalBytes int64 `json:"incrementalBytes,omitempty"`
	// Node it runs on.
	// +optional
	Node string `json:"node,omitempty"`
	// NodeOS is the operating system of that node.
	// +optional
	NodeOS NodeOS `json:"nodeOS,omitempty"`
	// AcceptedByNode is the node that took it on and prepares it.
	// +optional
	AcceptedByNode string `json:"acceptedByNode,omitempty"`
	// AcceptedTimestamp is when that was.
	// +optional
	// +nullable
	AcceptedTimestamp *metav1.Time `json:"acceptedTimestamp,omitempty"`
}
