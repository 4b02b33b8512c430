package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// BackupRepositoryPhase is the state of a repository. An empty one is
// New.
//
// +kubebuilder:validation:Enum=New;Ready;NotReady
type BackupRepositoryPhase string

// The phases of a BackupRepository.
const (
	BackupRepositoryPhaseNew      BackupRepositoryPhase = "New"
	BackupRepositoryPhaseReady    BackupRepositoryPhase = "Ready"
	BackupRepositoryPhaseNotReady BackupRepositoryPhase = "NotReady"
)

// BackupRepositoryMaintenanceResult is how maintenance of a repository ended.
//
// +kubebuilder:validation:Enum=Succeeded;Failed
type BackupRepositoryMaintenanceResult string

// How maintenance of a repository ended.
const (
	BackupRepositoryMaintenanceSucceeded BackupRepositoryMaintenanceResult = "Succeeded"
	BackupRepositoryMaintenanceFailed    BackupRepositoryMaintenanceResult = "Failed"
)

// BackupRepository is where the data of the volumes of one namespace is kept in
// one location.
//
// +kubebuilder:object:root=true
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Repository Type",type="string",JSONPath=".spec.repositoryType"
type BackupRepository struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +optional
	Spec BackupRepositorySpec `json:"spec,omitempty"`
	// +optional
	Status BackupRepositoryStatus `json:"status,omitempty"`
}

// BackupRepositoryList is a list of BackupRepositories.
//
// +kubebuilder:object:root=true
type BackupRepositoryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BackupRepository `json:"items"`
}

// BackupRepositorySpec identifies a repository and defines its maintenance.
type BackupRepositorySpec struct {
	// VolumeNamespace is the namespace whose volumes it holds.
	VolumeNamespace string `json:"volumeNamespace"`
	// BackupStorageLocation is the name of the location it is in.
	BackupStorageLocation string `json:"backupStorageLocation"`
	// RepositoryType is its format: kopia, restic, or empty.
	// +optional
	// +kubebuilder:validation:Enum=kopia;restic;""
	RepositoryType string `json:"repositoryType"`
	// ResticIdentifier is where a repository of restic is. Deprecated.
	// +optional
	ResticIdentifier string `json:"resticIdentifier,omitempty"`
	// MaintenanceFrequency is how often it is cleaned up. The server writes 1h
	// for kopia, and 168h where the format recommends nothing.
	MaintenanceFrequency metav1.Duration `json:"maintenanceFrequency"`
	// RepositoryConfig are settings of its format.
	// +optional
	// +nullable
	RepositoryConfig map[string]string `json:"repositoryConfig,omitempty"`
}

// BackupRepositoryStatus is the state of a repository.
type BackupRepositoryStatus struct {
	// Phase is the state of the repository. An empty one is New.
	// +optional
	Phase BackupRepositoryPhase `json:"phase,omitempty"`
	// Message is why it is not ready.
	// +optional
	Message string `json:"message,omitempty"`
	// LastMaintenanceTime is when maintenance last succeeded, or else when the
	// repository was made ready.
	// +optional
	// +nullable
	LastMaintenanceTime *metav1.Time `json:"lastMaintenanceTime,omitempty"`
	// RecentMaintenance are the last three times that maintenance was tried, the
	// newest last.
	// +optional
	RecentMaintenance []BackupRepositoryMaintenanceStatus `json:"recentMaintenance,omitempty"`
}

// BackupRepositoryMaintenanceStatus is one time that maintenance was tried.
type BackupRepositoryMaintenanceStatus struct {
	// Result is how it ended.
	// +optional
	Result BackupRepositoryMaintenanceResult `json:"result,omitempty"`
	// StartTimestamp is when it was begun.
	// +optional
	// +nullable
	StartTimestamp *metav1.Time `json:"startTimestamp,omitempty"`
	// CompleteTimestamp is when it ended.
	// +optional
	// +nullable
	CompleteTimestamp *metav1.Time `json:"completeTimestamp,omitempty"`
	// Message is why it failed.
	// +optional
	Message string `json:"message,omitempty"`
}
