package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// VolumeSnapshotLocationPhase is the availability of a location;
// Velero sets none.
//
// +kubebuilder:validation:Enum=Available;Unavailable
type VolumeSnapshotLocationPhase string

// The phases of a VolumeSnapshotLocation.
const (
	VolumeSnapshotLocationPhaseAvailable   VolumeSnapshotLocationPhase = "Available"
	VolumeSnapshotLocationPhaseUnavailable VolumeSnapshotLocationPhase = "Unavailable"
)

// VolumeSnapshotLocation is where a provider keeps snapshots of volumes.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=vsl
type VolumeSnapshotLocation struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +optional
	Spec VolumeSnapshotLocationSpec `json:"spec,omitempty"`
	// +optional
	Status VolumeSnapshotLocationStatus `json:"status,omitempty"`
}

// VolumeSnapshotLocationList is a list of VolumeSnapshotLocations.
//
// +kubebuilder:object:root=true
type VolumeSnapshotLocationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []VolumeSnapshotLocation `json:"items"`
}

// VolumeSnapshotLocationSpec is a provider and its configuration.
type VolumeSnapshotLocationSpec struct {
	// Provider of the snapshots, such as "aws" for EBS.
	Provider string `json:"provider"`
	// Config of the provider, such as region.
	// +optional
	Config map[string]string `json:"config,omitempty"`
	// Credential is the key of a Secret in the location's namespace that holds
	// the credentials; unset, those of the server are used.
	// +optional
	Credential *corev1.SecretKeySelector `json:"credential,omitempty"`
}

// VolumeSnapshotLocationStatus is what is known of a location.
type VolumeSnapshotLocationStatus struct {
	// Phase is the availability of the location. It is never set.
	// +optional
	Phase VolumeSnapshotLocationPhase `json:"phase,omitempty"`
}
