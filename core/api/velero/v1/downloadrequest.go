package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DownloadRequestPhase is where a request is. An empty one is New.
//
// +kubebuilder:validation:Enum=New;Processed
type DownloadRequestPhase string

// The phases of a DownloadRequest.
const (
	DownloadRequestPhaseNew       DownloadRequestPhase = "New"
	DownloadRequestPhaseProcessed DownloadRequestPhase = "Processed"
)

// DownloadTargetKind is a file of a backup or restore.
//
// +kubebuilder:validation:Enum=BackupLog;BackupContents;BackupVolumeSnapshots;BackupItemOperations;BackupResourceList;BackupResults;RestoreLog;RestoreResults;RestoreResourceList;RestoreItemOperations;CSIBackupVolumeSnapshots;CSIBackupVolumeSnapshotContents;BackupVolumeInfos;RestoreVolumeInfo
type DownloadTargetKind string

// The files that can be asked for.
const (
	DownloadTargetKindBackupLog                       DownloadTargetKind = "BackupLog"
	DownloadTargetKindBackupContents                  DownloadTargetKind = "BackupContents"
	DownloadTargetKindBackupVolumeSnapshots           DownloadTargetKind = "BackupVolumeSnapshots"
	DownloadTargetKindBackupItemOperations            DownloadTargetKind = "BackupItemOperations"
	DownloadTargetKindBackupResourceList              DownloadTargetKind = "BackupResourceList"
	DownloadTargetKindBackupResults                   DownloadTargetKind = "BackupResults"
	DownloadTargetKindRestoreLog                      DownloadTargetKind = "RestoreLog"
	DownloadTargetKindRestoreResults                  DownloadTargetKind = "RestoreResults"
	DownloadTargetKindRestoreResourceList             DownloadTargetKind = "RestoreResourceList"
	DownloadTargetKindRestoreItemOperations           DownloadTargetKind = "RestoreItemOperations"
	DownloadTargetKindCSIBackupVolumeSnapshots        DownloadTargetKind = "CSIBackupVolumeSnapshots"
	DownloadTargetKindCSIBackupVolumeSnapshotContents DownloadTargetKind = "CSIBackupVolumeSnapshotContents"
	DownloadTargetKindBackupVolumeInfos               DownloadTargetKind = "BackupVolumeInfos"
	DownloadTargetKindRestoreVolumeInfo               DownloadTargetKind = "RestoreVolumeInfo"
)

// DownloadRequest asks the server for a URL by which a file of a backup or
// restore can be fetched.
//
// +kubebuilder:object:root=true
type DownloadRequest struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +optional
	Spec DownloadRequestSpec `json:"spec,omitempty"`
	// +optional
	Status DownloadRequestStatus `json:"status,omitempty"`
}

// DownloadRequestList is a list of DownloadRequests.
//
// +kubebuilder:object:root=true
type DownloadRequestList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DownloadRequest `json:"items"`
}

// DownloadRequestSpec identifies the file.
type DownloadRequestSpec struct {
	// Target is the file.
	Target DownloadTarget `json:"target"`
}

// DownloadTarget is one file of a backup or restore.
type DownloadTarget struct {
	// Kind of the file.
	Kind DownloadTargetKind `json:"kind"`
	// Name of the Backup or Restore, in the request's namespace.
	Name string `json:"name"`
}

// DownloadRequestStatus is the result of a request.
type DownloadRequestStatus struct {
	// Phase is where the request is. An empty one is New.
	// +optional
	Phase DownloadRequestPhase `json:"phase,omitempty"`
	// DownloadURL gives the file to anyone who has it, until expiration.
	// +optional
	DownloadURL string `json:"downloadURL,omitempty"`
	// Expiration is when the URL stops working, 10 minutes after it was made. The
	// server deletes the request then.
	// +optional
	// +nullable
	Expiration *metav1.Time `json:"expiration,omitempty"`
}
