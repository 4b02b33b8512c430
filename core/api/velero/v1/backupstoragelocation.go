package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BackupStorageLocationPhase is the availability of a location at the last
// check. An empty one was not tried yet.
//
// +kubebuilder:validation:Enum=Available;Unavailable
type BackupStorageLocationPhase string

// The phases of a BackupStorageLocation.
const (
	BackupStorageLocationPhaseAvailable   BackupStorageLocationPhase = "Available"
	BackupStorageLocationPhaseUnavailable BackupStorageLocationPhase = "Unavailable"
)

// BackupStorageLocationAccessMode is how a location can be accessed. An
// empty one is ReadWrite.
//
// +kubebuilder:validation:Enum=ReadOnly;ReadWrite
type BackupStorageLocationAccessMode string

// The access modes of a BackupStorageLocation.
const (
	BackupStorageLocationAccessModeReadOnly  BackupStorageLocationAccessMode = "ReadOnly"
	BackupStorageLocationAccessModeReadWrite BackupStorageLocationAccessMode = "ReadWrite"
)

// BackupStorageLocation is a bucket, or a part of one, that backups are in.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=bsl
// +kubebuilder:printcolumn:name="Phase",type="string",JSONPath=".status.phase",description="Whether the location could be reached"
// +kubebuilder:printcolumn:name="Last Validated",type="date",JSONPath=".status.lastValidationTime",description="When the location was last tried"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Default",type="boolean",JSONPath=".spec.default",description="Whether backups that name no location go here"
type BackupStorageLocation struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +optional
	Spec BackupStorageLocationSpec `json:"spec,omitempty"`
	// +optional
	Status BackupStorageLocationStatus `json:"status,omitempty"`
}

// BackupStorageLocationList is a list of BackupStorageLocations.
//
// +kubebuilder:object:root=true
type BackupStorageLocationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BackupStorageLocation `json:"items"`
}

// BackupStorageLocationSpec is where backups are and how to access them.
type BackupStorageLocationSpec struct {
	// Provider of the storage, such as "aws" for S3.
	Provider string `json:"provider"`
	// Config of the provider, such as region and s3Url.
	// +optional
	Config map[string]string `json:"config,omitempty"`
	// Credential is the key of a Secret in the location's namespace that holds
	// the credentials; unset, those of the server are used.
	// +optional
	Credential *corev1.SecretKeySelector `json:"credential,omitempty"`
	// ObjectStorage is the bucket.
	ObjectStorage *ObjectStorageLocation `json:"objectStorage"`
	// Default makes this the location of backups that name no location. At most
	// one location has it.
	// +optional
	Default bool `json:"default,omitempty"`
	// AccessMode is how the location can be accessed; empty is ReadWrite.
	// +optional
	AccessMode BackupStorageLocationAccessMode `json:"accessMode,omitempty"`
	// BackupSyncPeriod is how often Backup objects are made of what the bucket
	// holds. Unset or negative is the server's setting, 1m; 0 is never.
	// +optional
	// +nullable
	BackupSyncPeriod *metav1.Duration `json:"backupSyncPeriod,omitempty"`
	// ValidationFrequency is how often the location is tried. Unset is the
	// server's setting, 1m; 0 is never.
	// +optional
	// +nullable
	ValidationFrequency *metav1.Duration `json:"validationFrequency,omitempty"`
}

// ObjectStorageLocation is a bucket and a place in it.
type ObjectStorageLocation struct {
	// Bucket by its name.
	Bucket string `json:"bucket"`
	// Prefix of all keys; empty is the whole bucket.
	// +optional
	Prefix string `json:"prefix,omitempty"`
	// CACert are certificates (PEM) to check the server's by. Not together with
	// caCertRef.
	// +optional
	CACert []byte `json:"caCert,omitempty"`
	// CACertRef is the key of a Secret in the location's namespace that holds
	// such certificates. Not together with caCert.
	// +optional
	CACertRef *corev1.SecretKeySelector `json:"caCertRef,omitempty"`
}

// BackupStorageLocationStatus is what is known of a location.
type BackupStorageLocationStatus struct {
	// Phase is the availability of the location at the last check.
	// +optional
	Phase BackupStorageLocationPhase `json:"phase,omitempty"`
	// LastSyncedTime is when Backup objects were last made of what it holds.
	// +optional
	// +nullable
	LastSyncedTime *metav1.Time `json:"lastSyncedTime,omitempty"`
	// LastValidationTime is when it was last tried.
	// +optional
	// +nullable
	LastValidationTime *metav1.Time `json:"lastValidationTime,omitempty"`
	// Message is why it is unavailable.
	// +optional
	Message string `json:"message,omitempty"`
	// LastSyncedRevision is no longer used. Deprecated.
	// +optional
	LastSyncedRevision string `json:"lastSyncedRevision,omitempty"`
	// AccessMode is no longer used: see the access mode of the spec. Deprecated.
	// +optional
	AccessMode BackupStorageLocationAccessMode `json:"accessMode,omitempty"`
}
