package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DeleteBackupRequestPhase is where a deletion is. An empty one is New.
//
// +kubebuilder:validation:Enum=New;InProgress;Processed
type DeleteBackupRequestPhase string

// The phases of a DeleteBackupRequest.
const (
	DeleteBackupRequestPhaseNew        DeleteBackupRequestPhase = "New"
	DeleteBackupRequestPhaseInProgress DeleteBackupRequestPhase = "InProgress"
	// DeleteBackupRequestPhaseProcessed is the end of every request; it failed if
	// its status holds errors.
	DeleteBackupRequestPhaseProcessed DeleteBackupRequestPhase = "Processed"
)

// DeleteBackupRequest asks the server to delete a backup with all its data.
//
// +kubebuilder:object:root=true
// +kubebuilder:printcolumn:name="BackupName",type="string",JSONPath=".spec.backupName",description="The backup to delete"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.phase",description="Where the deletion is"
type DeleteBackupRequest struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +optional
	Spec DeleteBackupRequestSpec `json:"spec,omitempty"`
	// +optional
	Status DeleteBackupRequestStatus `json:"status,omitempty"`
}

// DeleteBackupRequestList is a list of DeleteBackupRequests.
//
// +kubebuilder:object:root=true
type DeleteBackupRequestList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DeleteBackupRequest `json:"items"`
}

// DeleteBackupRequestSpec identifies the backup.
type DeleteBackupRequestSpec struct {
	// BackupName is the Backup to delete, in the request's namespace.
	BackupName string `json:"backupName"`
}

// DeleteBackupRequestStatus is the result of a request.
type DeleteBackupRequestStatus struct {
	// Phase is where the deletion is. An empty one is New.
	// +optional
	Phase DeleteBackupRequestPhase `json:"phase,omitempty"`
	// Errors are why it failed. A request in phase Processed without any
	// succeeded.
	// +optional
	// +nullable
	Errors []string `json:"errors,omitempty"`
}
