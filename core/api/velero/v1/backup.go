// Package v1 holds the types of the API group velero.io/v1 that Lifeboat
// reads and writes. They are our own: the field names and rules are those of
// the custom resource definitions of Velero v1.18.1.
package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// APIVersion is what every object of this package says of itself.
const APIVersion = "velero.io/v1"

// BackupPhase is where a backup is in its life.
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
// unfinished phases only when whoever wrote them stopped half-way.
func (p BackupPhase) Finished() bool {
	switch p {
	case BackupPhaseCompleted, BackupPhasePartiallyFailed, BackupPhaseFailed, BackupPhaseFailedValidation:
		return true
	}
	return false
}

// Restorable reports whether the phase says that the backup came to an end with
// something to restore.
func (p BackupPhase) Restorable() bool {
	return p == BackupPhaseCompleted || p == BackupPhasePartiallyFailed
}

// Backup stands for one backup; in a bucket it is velero-backup.json.
type Backup struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              BackupSpec   `json:"spec,omitempty"`
	Status            BackupStatus `json:"status,omitempty"`
}

// BackupSpec says what to back up and how. Hooks and the volume settings are
// carried so that nothing Velero wrote is lost on the way.
type BackupSpec struct {
	Metadata                         Metadata                          `json:"metadata"`
	IncludedNamespaces               []string                          `json:"includedNamespaces,omitempty"`
	ExcludedNamespaces               []string                          `json:"excludedNamespaces,omitempty"`
	IncludedResources                []string                          `json:"includedResources,omitempty"`
	ExcludedResources                []string                          `json:"excludedResources,omitempty"`
	IncludedClusterScopedResources   []string                          `json:"includedClusterScopedResources,omitempty"`
	ExcludedClusterScopedResources   []string                          `json:"excludedClusterScopedResources,omitempty"`
	IncludedNamespaceScopedResources []string                          `json:"includedNamespaceScopedResources,omitempty"`
	ExcludedNamespaceScopedResources []string                          `json:"excludedNamespaceScopedResources,omitempty"`
	LabelSelector                    *metav1.LabelSelector             `json:"labelSelector,omitempty"`
	OrLabelSelectors                 []*metav1.LabelSelector           `json:"orLabelSelectors,omitempty"`
	SnapshotVolumes                  *bool                             `json:"snapshotVolumes,omitempty"`
	TTL                              metav1.Duration                   `json:"ttl,omitempty"`
	VolumeGroupSnapshotLabelKey      string                            `json:"volumeGroupSnapshotLabelKey,omitempty"`
	IncludeClusterResources          *bool                             `json:"includeClusterResources,omitempty"`
	Hooks                            BackupHooks                       `json:"hooks"`
	StorageLocation                  string                            `json:"storageLocation,omitempty"`
	VolumeSnapshotLocations          []string                          `json:"volumeSnapshotLocations,omitempty"`
	DefaultVolumesToFsBackup         *bool                             `json:"defaultVolumesToFsBackup,omitempty"`
	DefaultVolumesToRestic           *bool                             `json:"defaultVolumesToRestic,omitempty"`
	OrderedResources                 map[string]string                 `json:"orderedResources,omitempty"`
	CSISnapshotTimeout               metav1.Duration                   `json:"csiSnapshotTimeout,omitempty"`
	ItemOperationTimeout             metav1.Duration                   `json:"itemOperationTimeout,omitempty"`
	ResourcePolicy                   *corev1.TypedLocalObjectReference `json:"resourcePolicy,omitempty"`
	SnapshotMoveData                 *bool                             `json:"snapshotMoveData,omitempty"`
	DataMover                        string                            `json:"datamover,omitempty"`
	UploaderConfig                   *UploaderConfigForBackup          `json:"uploaderConfig,omitempty"`
}

// Metadata is what a schedule's template puts on its backups.
type Metadata struct {
	Labels map[string]string `json:"labels,omitempty"`
}

// UploaderConfigForBackup tunes the file-system uploader.
type UploaderConfigForBackup struct {
	ParallelFilesUpload int `json:"parallelFilesUpload,omitempty"`
}

// BackupHooks are commands run in pods around their backup.
type BackupHooks struct {
	Resources []BackupResourceHookSpec `json:"resources,omitempty"`
}

// BackupResourceHookSpec says for which pods hooks run.
type BackupResourceHookSpec struct {
	Name               string                `json:"name"`
	IncludedNamespaces []string              `json:"includedNamespaces,omitempty"`
	ExcludedNamespaces []string              `json:"excludedNamespaces,omitempty"`
	IncludedResources  []string              `json:"includedResources,omitempty"`
	ExcludedResources  []string              `json:"excludedResources,omitempty"`
	LabelSelector      *metav1.LabelSelector `json:"labelSelector,omitempty"`
	PreHooks           []BackupResourceHook  `json:"pre,omitempty"`
	PostHooks          []BackupResourceHook  `json:"post,omitempty"`
}

// BackupResourceHook is one hook.
type BackupResourceHook struct {
	Exec *ExecHook `json:"exec"`
}

// ExecHook is a command run in a container.
type ExecHook struct {
	Container string          `json:"container,omitempty"`
	Command   []string        `json:"command"`
	OnError   string          `json:"onError,omitempty"`
	Timeout   metav1.Duration `json:"timeout,omitempty"`
}

// BackupStatus is what became of a backup.
type BackupStatus struct {
	Version                       int             `json:"version,omitempty"`
	FormatVersion                 string          `json:"formatVersion,omitempty"`
	Expiration                    *metav1.Time    `json:"expiration,omitempty"`
	Phase                         BackupPhase     `json:"phase,omitempty"`
	QueuePosition                 int             `json:"queuePosition,omitempty"`
	ValidationErrors              []string        `json:"validationErrors,omitempty"`
	StartTimestamp                *metav1.Time    `json:"startTimestamp,omitempty"`
	CompletionTimestamp           *metav1.Time    `json:"completionTimestamp,omitempty"`
	VolumeSnapshotsAttempted      int             `json:"volumeSnapshotsAttempted,omitempty"`
	VolumeSnapshotsCompleted      int             `json:"volumeSnapshotsCompleted,omitempty"`
	FailureReason                 string          `json:"failureReason,omitempty"`
	Warnings                      int             `json:"warnings,omitempty"`
	Errors                        int             `json:"errors,omitempty"`
	Progress                      *BackupProgress `json:"progress,omitempty"`
	CSIVolumeSnapshotsAttempted   int             `json:"csiVolumeSnapshotsAttempted,omitempty"`
	CSIVolumeSnapshotsCompleted   int             `json:"csiVolumeSnapshotsCompleted,omitempty"`
	BackupItemOperationsAttempted int             `json:"backupItemOperationsAttempted,omitempty"`
	BackupItemOperationsCompleted int             `json:"backupItemOperationsCompleted,omitempty"`
	BackupItemOperationsFailed    int             `json:"backupItemOperationsFailed,omitempty"`
	HookStatus                    *HookStatus     `json:"hookStatus,omitempty"`
}

// BackupProgress counts items.
type BackupProgress struct {
	TotalItems    int `json:"totalItems,omitempty"`
	ItemsBackedUp int `json:"itemsBackedUp,omitempty"`
}

// HookStatus counts hooks.
type HookStatus struct {
	HooksAttempted int `json:"hooksAttempted,omitempty"`
	HooksFailed    int `json:"hooksFailed,omitempty"`
}
