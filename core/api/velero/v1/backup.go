package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BackupPhase is the phase of a backup. An empty one is New.
//
// +kubebuilder:validation:Enum=New;Queued;ReadyToStart;FailedValidation;InProgress;WaitingForPluginOperations;WaitingForPluginOperationsPartiallyFailed;Finalizing;FinalizingPartiallyFailed;Completed;PartiallyFailed;Failed;Deleting
type BackupPhase string

// The phases of a Backup.
const (
	BackupPhaseNew                                       BackupPhase = "New"
	BackupPhaseQueued                                    BackupPhase = "Queued"
	BackupPhaseReadyToStart                              BackupPhase = "ReadyToStart"
	BackupPhaseFailedValidation                          BackupPhase = "FailedValidation"
	BackupPhaseInProgress                                BackupPhase = "InProgress"
	BackupPhaseWaitingForPluginOperations                BackupPhase = "WaitingForPluginOperations"
	BackupPhaseWaitingForPluginOperationsPartiallyFailed BackupPhase = "WaitingForPluginOperationsPartiallyFailed"
	BackupPhaseFinalizing                                BackupPhase = "Finalizing"
	BackupPhaseFinalizingPartiallyFailed                 BackupPhase = "FinalizingPartiallyFailed"
	BackupPhaseCompleted                                 BackupPhase = "Completed"
	BackupPhasePartiallyFailed                           BackupPhase = "PartiallyFailed"
	BackupPhaseFailed                                    BackupPhase = "Failed"
	BackupPhaseDeleting                                  BackupPhase = "Deleting"
)

// Finished reports whether the phase is one a backup ends in. A bucket holds
// unfinished phases only if the writer was interrupted.
func (p BackupPhase) Finished() bool {
	switch p {
	case BackupPhaseCompleted, BackupPhasePartiallyFailed, BackupPhaseFailed, BackupPhaseFailedValidation:
		return true
	}
	return false
}

// Restorable reports whether a backup in this phase is finished and can be
// restored.
func (p BackupPhase) Restorable() bool {
	return p == BackupPhaseCompleted || p == BackupPhasePartiallyFailed
}

// Backup is one backup; in a bucket it is velero-backup.json.
//
// +kubebuilder:object:root=true
type Backup struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +optional
	Spec BackupSpec `json:"spec,omitempty"`
	// +optional
	Status BackupStatus `json:"status,omitempty"`
}

// BackupList is a list of Backups.
//
// +kubebuilder:object:root=true
type BackupList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Backup `json:"items"`
}

// BackupSpec defines what to back up and how. Resources are selected either by
// includedResources, excludedResources and includeClusterResources, or by the
// four lists that name a scope; never by both.
type BackupSpec struct {
	// Metadata is what the template of a Schedule puts on its backups.
	// +optional
	Metadata Metadata `json:"metadata"`
	// IncludedNamespaces, by name or with the wildcards *, ? and [abc]. None
	// means all; the server then writes ["*"].
	// +optional
	// +nullable
	IncludedNamespaces []string `json:"includedNamespaces,omitempty"`
	// ExcludedNamespaces are left out of the included ones. The server adds those
	// labelled velero.io/exclude-from-backup=true.
	// +optional
	// +nullable
	ExcludedNamespaces []string `json:"excludedNamespaces,omitempty"`
	// IncludedResources of both scopes; none means all.
	// +optional
	// +nullable
	IncludedResources []string `json:"includedResources,omitempty"`
	// ExcludedResources are left out of the included ones. The server adds
	// VolumeSnapshots and VolumeSnapshotContents.
	// +optional
	// +nullable
	ExcludedResources []string `json:"excludedResources,omitempty"`
	// IncludedClusterScopedResources; none means only those that included objects
	// need.
	// +optional
	// +nullable
	IncludedClusterScopedResources []string `json:"includedClusterScopedResources,omitempty"`
	// ExcludedClusterScopedResources are left out of the included ones. The server
	// adds VolumeSnapshotContents.
	// +optional
	// +nullable
	ExcludedClusterScopedResources []string `json:"excludedClusterScopedResources,omitempty"`
	// IncludedNamespaceScopedResources; none means all.
	// +optional
	// +nullable
	IncludedNamespaceScopedResources []string `json:"includedNamespaceScopedResources,omitempty"`
	// ExcludedNamespaceScopedResources are left out of the included ones. The
	// server adds VolumeSnapshots.
	// +optional
	// +nullable
	ExcludedNamespaceScopedResources []string `json:"excludedNamespaceScopedResources,omitempty"`
	// LabelSelector selects objects; none means all. Not together with
	// orLabelSelectors.
	// +optional
	// +nullable
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`
	// OrLabelSelectors select objects that any one of them matches. Not together
	// with labelSelector.
	// +optional
	// +nullable
	OrLabelSelectors []*metav1.LabelSelector `json:"orLabelSelectors,omitempty"`
	// SnapshotVolumes takes snapshots of volumes. If unset, a snapshot is taken of each
	// volume that supports it.
	// +optional
	// +nullable
	SnapshotVolumes *bool `json:"snapshotVolumes,omitempty"`
	// TTL is how long the backup is kept. Unset or 0 is the server's default of
	// 720h, not forever.
	// +optional
	TTL metav1.Duration `json:"ttl,omitempty"`
	// VolumeGroupSnapshotLabelKey is the label whose value groups claims that are
	// snapshotted at one moment; defaults to velero.io/volume-group.
	// +optional
	VolumeGroupSnapshotLabelKey string `json:"volumeGroupSnapshotLabelKey,omitempty"`
	// IncludeClusterResources includes cluster-scoped objects.
	// Unset, they are with all namespaces, and otherwise those that included
	// objects need.
	// +optional
	// +nullable
	IncludeClusterResources *bool `json:"includeClusterResources,omitempty"`
	// Hooks are commands run in pods around their backup.
	// +optional
	Hooks BackupHooks `json:"hooks"`
	// StorageLocation is the name of the BackupStorageLocation to write to;
	// defaults to the one that is marked as default.
	// +optional
	StorageLocation string `json:"storageLocation,omitempty"`
	// VolumeSnapshotLocations are names of VolumeSnapshotLocations, at most one
	// for each provider; default to the only one of a provider, or the server's
	// default.
	// +optional
	VolumeSnapshotLocations []string `json:"volumeSnapshotLocations,omitempty"`
	// DefaultVolumesToFsBackup backs up all volumes of pods as file systems;
	// defaults to the server's setting, false.
	// +optional
	// +nullable
	DefaultVolumesToFsBackup *bool `json:"defaultVolumesToFsBackup,omitempty"`
	// DefaultVolumesToRestic is the former name of defaultVolumesToFsBackup.
	// Deprecated.
	// +optional
	// +nullable
	DefaultVolumesToRestic *bool `json:"defaultVolumesToRestic,omitempty"`
	// OrderedResources gives for a resource the objects to take first, in this
	// order: names, with their namespace before a slash, separated by commas.
	// +optional
	// +nullable
	OrderedResources map[string]string `json:"orderedResources,omitempty"`
	// CSISnapshotTimeout is how long to wait for a CSI snapshot to be made;
	// defaults to 10m.
	// +optional
	CSISnapshotTimeout metav1.Duration `json:"csiSnapshotTimeout,omitempty"`
	// ItemOperationTimeout is how long to wait for operations that go on after
	// objects were taken, such as moving data; defaults to 4h.
	// +optional
	ItemOperationTimeout metav1.Duration `json:"itemOperationTimeout,omitempty"`
	// ResourcePolicy refers to a ConfigMap, the only kind allowed, in the
	// backup's namespace that holds rules for volumes.
	// +optional
	ResourcePolicy *corev1.TypedLocalObjectReference `json:"resourcePolicy,omitempty"`
	// SnapshotMoveData moves the data of snapshots to the storage location;
	// defaults to the server's setting, false.
	// +optional
	// +nullable
	SnapshotMoveData *bool `json:"snapshotMoveData,omitempty"`
	// DataMover moves the data of snapshots; empty is "velero", the built-in one.
	// +optional
	DataMover string `json:"datamover,omitempty"`
	// UploaderConfig tunes the uploader.
	// +optional
	// +nullable
	UploaderConfig *UploaderConfigForBackup `json:"uploaderConfig,omitempty"`
}

// Metadata is what a schedule's template puts on its backups.
type Metadata struct {
	// Labels of the backups. Without any they get those of the Schedule.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
}

// UploaderConfigForBackup tunes the file-system uploader.
type UploaderConfigForBackup struct {
	// ParallelFilesUpload is how many files are sent at a time; 0 is the node's
	// default.
	// +optional
	ParallelFilesUpload int `json:"parallelFilesUpload,omitempty"`
}

// BackupStatus is the result of a backup.
type BackupStatus struct {
	// Version of the backup's format, its major number; formatVersion replaces
	// it. Deprecated.
	// +optional
	Version int `json:"version,omitempty"`
	// FormatVersion of the backup's format: "1.1.0".
	// +optional
	FormatVersion string `json:"formatVersion,omitempty"`
	// Expiration is when the backup may be deleted: its start plus spec.ttl.
	// +optional
	// +nullable
	Expiration *metav1.Time `json:"expiration,omitempty"`
	// Phase is the phase of the backup. An empty one is New.
	// +optional
	Phase BackupPhase `json:"phase,omitempty"`
	// QueuePosition is the place in the queue, from 1; only in phase Queued.
	// +optional
	QueuePosition int `json:"queuePosition,omitempty"`
	// ValidationErrors are the mistakes in the spec.
	// +optional
	// +nullable
	ValidationErrors []string `json:"validationErrors,omitempty"`
	// StartTimestamp is when the backup was begun.
	// +optional
	// +nullable
	StartTimestamp *metav1.Time `json:"startTimestamp,omitempty"`
	// CompletionTimestamp is when it ended, successfully or not.
	// +optional
	// +nullable
	CompletionTimestamp *metav1.Time `json:"completionTimestamp,omitempty"`
	// VolumeSnapshotsAttempted counts snapshots that a provider was asked for.
	// +optional
	VolumeSnapshotsAttempted int `json:"volumeSnapshotsAttempted,omitempty"`
	// VolumeSnapshotsCompleted counts those of them that were made.
	// +optional
	VolumeSnapshotsCompleted int `json:"volumeSnapshotsCompleted,omitempty"`
	// FailureReason is why the backup as a whole failed.
	// +optional
	FailureReason string `json:"failureReason,omitempty"`
	// Warnings counts those in the backup's results.
	// +optional
	Warnings int `json:"warnings,omitempty"`
	// Errors counts those in the backup's results.
	// +optional
	Errors int `json:"errors,omitempty"`
	// Progress counts items while the backup runs.
	// +optional
	// +nullable
	Progress *BackupProgress `json:"progress,omitempty"`
	// CSIVolumeSnapshotsAttempted counts CSI snapshots that were asked for.
	// +optional
	CSIVolumeSnapshotsAttempted int `json:"csiVolumeSnapshotsAttempted,omitempty"`
	// CSIVolumeSnapshotsCompleted counts those of them that were made.
	// +optional
	CSIVolumeSnapshotsCompleted int `json:"csiVolumeSnapshotsCompleted,omitempty"`
	// BackupItemOperationsAttempted counts operations that go on after objects
	// were taken.
	// +optional
	BackupItemOperationsAttempted int `json:"backupItemOperationsAttempted,omitempty"`
	// BackupItemOperationsCompleted counts those of them that ended well.
	// +optional
	BackupItemOperationsCompleted int `json:"backupItemOperationsCompleted,omitempty"`
	// BackupItemOperationsFailed counts those of them that failed.
	// +optional
	BackupItemOperationsFailed int `json:"backupItemOperationsFailed,omitempty"`
	// HookStatus counts hooks.
	// +optional
	// +nullable
	HookStatus *HookStatus `json:"hookStatus,omitempty"`
}

// BackupProgress counts items.
type BackupProgress struct {
	// TotalItems is how many there are to take, as far as known.
	// +optional
	TotalItems int `json:"totalItems,omitempty"`
	// ItemsBackedUp is how many were taken.
	// +optional
	ItemsBackedUp int `json:"itemsBackedUp,omitempty"`
}
