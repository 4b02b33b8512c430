package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RestorePhase is the phase of a restore. An empty one is New.
//
// +kubebuilder:validation:Enum=New;FailedValidation;InProgress;WaitingForPluginOperations;WaitingForPluginOperationsPartiallyFailed;Completed;PartiallyFailed;Failed;Finalizing;FinalizingPartiallyFailed
type RestorePhase string

// The phases of a Restore.
const (
	RestorePhaseNew                                       RestorePhase = "New"
	RestorePhaseFailedValidation                          RestorePhase = "FailedValidation"
	RestorePhaseInProgress                                RestorePhase = "InProgress"
	RestorePhaseWaitingForPluginOperations                RestorePhase = "WaitingForPluginOperations"
	RestorePhaseWaitingForPluginOperationsPartiallyFailed RestorePhase = "WaitingForPluginOperationsPartiallyFailed"
	RestorePhaseFinalizing                                RestorePhase = "Finalizing"
	RestorePhaseFinalizingPartiallyFailed                 RestorePhase = "FinalizingPartiallyFailed"
	RestorePhaseCompleted                                 RestorePhase = "Completed"
	RestorePhasePartiallyFailed                           RestorePhase = "PartiallyFailed"
	RestorePhaseFailed                                    RestorePhase = "Failed"
)

// Finished reports whether the phase is one a restore ends in.
func (p RestorePhase) Finished() bool {
	switch p {
	case RestorePhaseCompleted, RestorePhasePartiallyFailed, RestorePhaseFailed, RestorePhaseFailedValidation:
		return true
	}
	return false
}

// ExistingResourcePolicy is what happens to an object that exists in the
// cluster. Values are checked by the server, not by the definition.
type ExistingResourcePolicy string

// What happens to an object that exists in the cluster. Empty means none.
const (
	ExistingResourcePolicyNone   ExistingResourcePolicy = "none"   // it is not changed
	ExistingResourcePolicyUpdate ExistingResourcePolicy = "update" // it is changed to match the backup
)

// Restore is one restore.
//
// +kubebuilder:object:root=true
type Restore struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +optional
	Spec RestoreSpec `json:"spec,omitempty"`
	// +optional
	Status RestoreStatus `json:"status,omitempty"`
}

// RestoreList is a list of Restores.
//
// +kubebuilder:object:root=true
type RestoreList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Restore `json:"items"`
}

// RestoreSpec defines what to restore and how. Exactly one of backupName and
// scheduleName is set, which the server checks.
type RestoreSpec struct {
	// BackupName is the Backup to restore from.
	// +optional
	BackupName string `json:"backupName,omitempty"`
	// ScheduleName is the Schedule whose newest completed Backup to restore from.
	// +optional
	ScheduleName string `json:"scheduleName,omitempty"`
	// IncludedNamespaces, as the backup names them; none means all, and the
	// server then writes ["*"].
	// +optional
	// +nullable
	IncludedNamespaces []string `json:"includedNamespaces,omitempty"`
	// ExcludedNamespaces are left out of the included ones.
	// +optional
	// +nullable
	ExcludedNamespaces []string `json:"excludedNamespaces,omitempty"`
	// IncludedResources; none means all of the backup.
	// +optional
	// +nullable
	IncludedResources []string `json:"includedResources,omitempty"`
	// ExcludedResources are left out of the included ones. The server adds the
	// resources that are never restored.
	// +optional
	// +nullable
	ExcludedResources []string `json:"excludedResources,omitempty"`
	// NamespaceMapping gives namespaces of the backup another name. Those not
	// named keep theirs.
	// +optional
	NamespaceMapping map[string]string `json:"namespaceMapping,omitempty"`
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
	// RestorePVs restores volumes from their snapshots; unset
	// is true.
	// +optional
	// +nullable
	RestorePVs *bool `json:"restorePVs,omitempty"`
	// RestoreStatus selects the resources whose status is restored; unset is
	// none.
	// +optional
	// +nullable
	RestoreStatus *RestoreStatusSpec `json:"restoreStatus,omitempty"`
	// PreserveNodePorts keeps the node ports of Services; unset is false.
	// +optional
	// +nullable
	PreserveNodePorts *bool `json:"preserveNodePorts,omitempty"`
	// IncludeClusterResources includes cluster-scoped objects.
	// Unset, they are with all namespaces, and otherwise those that included
	// objects need.
	// +optional
	// +nullable
	IncludeClusterResources *bool `json:"includeClusterResources,omitempty"`
	// Hooks run in pods that are restored.
	// +optional
	Hooks RestoreHooks `json:"hooks"`
	// ExistingResourcePolicy is what happens to objects that exist in the
	// cluster: none (the default) or update.
	// +optional
	// +nullable
	ExistingResourcePolicy ExistingResourcePolicy `json:"existingResourcePolicy,omitempty"`
	// ItemOperationTimeout is how long to wait for operations that go on after
	// objects were restored, such as moving data; defaults to 4h.
	// +optional
	ItemOperationTimeout metav1.Duration `json:"itemOperationTimeout,omitempty"`
	// ResourceModifier refers to a ConfigMap, the only kind allowed, in the
	// restore's namespace that holds rules by which objects are changed.
	// +optional
	// +nullable
	ResourceModifier *corev1.TypedLocalObjectReference `json:"resourceModifier,omitempty"`
	// UploaderConfig tunes the uploader.
	// +optional
	// +nullable
	UploaderConfig *UploaderConfigForRestore `json:"uploaderConfig,omitempty"`
}

// RestoreStatusSpec selects the resources whose status is restored.
type RestoreStatusSpec struct {
	// IncludedResources; none means all.
	// +optional
	// +nullable
	IncludedResources []string `json:"includedResources,omitempty"`
	// ExcludedResources are left out of the included ones.
	// +optional
	// +nullable
	ExcludedResources []string `json:"excludedResources,omitempty"`
}

// UploaderConfigForRestore tunes the file-system uploader.
type UploaderConfigForRestore struct {
	// WriteSparseFiles leaves holes where a file holds nothing but zeros; unset
	// is false.
	// +optional
	// +nullable
	WriteSparseFiles *bool `json:"writeSparseFiles,omitempty"`
	// ParallelFilesDownload is how many files are fetched at a time; 0 is the
	// number of CPUs.
	// +optional
	ParallelFilesDownload int `json:"parallelFilesDownload,omitempty"`
}

// RestoreStatus is the result of a restore.
type RestoreStatus struct {
	// Phase is the phase of the restore. An empty one is New.
	// +optional
	Phase RestorePhase `json:"phase,omitempty"`
	// ValidationErrors are the mistakes in the spec.
	// +optional
	// +nullable
	ValidationErrors []string `json:"validationErrors,omitempty"`
	// Warnings counts those in the restore's results.
	// +optional
	Warnings int `json:"warnings,omitempty"`
	// Errors counts those in the restore's results.
	// +optional
	Errors int `json:"errors,omitempty"`
	// FailureReason is why the restore as a whole failed.
	// +optional
	FailureReason string `json:"failureReason,omitempty"`
	// StartTimestamp is when the restore was begun.
	// +optional
	// +nullable
	StartTimestamp *metav1.Time `json:"startTimestamp,omitempty"`
	// CompletionTimestamp is when it ended, successfully or not.
	// +optional
	// +nullable
	CompletionTimestamp *metav1.Time `json:"completionTimestamp,omitempty"`
	// Progress counts items while the restore runs.
	// +optional
	// +nullable
	Progress *RestoreProgress `json:"progress,omitempty"`
	// RestoreItemOperationsAttempted counts operations that go on after objects
	// were restored.
	// +optional
	RestoreItemOperationsAttempted int `json:"restoreItemOperationsAttempted,omitempty"`
	// RestoreItemOperationsCompleted counts those of them that ended well.
	// +optional
	RestoreItemOperationsCompleted int `json:"restoreItemOperationsCompleted,omitempty"`
	// RestoreItemOperationsFailed counts those of them that failed.
	// +optional
	RestoreItemOperationsFailed int `json:"restoreItemOperationsFailed,omitempty"`
	// HookStatus counts hooks.
	// +optional
	// +nullable
	HookStatus *HookStatus `json:"hookStatus,omitempty"`
}

// RestoreProgress counts items.
type RestoreProgress struct {
	// TotalItems is how many there are to restore, as far as known.
	// +optional
	TotalItems int `json:"totalItems,omitempty"`
	// ItemsRestored is how many were restored.
	// +optional
	ItemsRestored int `json:"itemsRestored,omitempty"`
}
