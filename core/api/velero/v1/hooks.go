package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// HookErrorMode is what happens after a hook fails. The backup or restore
// is PartiallyFailed in either mode.
//
// +kubebuilder:validation:Enum=Continue;Fail
type HookErrorMode string

// What happens after a hook fails.
const (
	// HookErrorModeContinue goes on to the next hook.
	HookErrorModeContinue HookErrorMode = "Continue"
	// HookErrorModeFail gives up: a pod is not backed up after a hook before it
	// failed, and later hooks of a restored pod do not run.
	HookErrorModeFail HookErrorMode = "Fail"
)

// HookStatus counts the hooks of a backup or restore.
type HookStatus struct {
	// HooksAttempted are all that were started.
	// +optional
	HooksAttempted int `json:"hooksAttempted,omitempty"`
	// HooksFailed are those of them that failed.
	// +optional
	HooksFailed int `json:"hooksFailed,omitempty"`
}

// BackupHooks are commands run in pods around their backup.
type BackupHooks struct {
	// Resources defines which hooks run for which pods.
	// +optional
	// +nullable
	Resources []BackupResourceHookSpec `json:"resources,omitempty"`
}

// BackupResourceHookSpec selects pods and defines their hooks.
type BackupResourceHookSpec struct {
	// Name of these hooks, for logs.
	Name string `json:"name"`
	// IncludedNamespaces of the pods; none means all.
	// +optional
	// +nullable
	IncludedNamespaces []string `json:"includedNamespaces,omitempty"`
	// ExcludedNamespaces are left out of the included ones.
	// +optional
	// +nullable
	ExcludedNamespaces []string `json:"excludedNamespaces,omitempty"`
	// IncludedResources the hooks are for; none means all. Only pods can have
	// hooks.
	// +optional
	// +nullable
	IncludedResources []string `json:"includedResources,omitempty"`
	// ExcludedResources are left out of the included ones.
	// +optional
	// +nullable
	ExcludedResources []string `json:"excludedResources,omitempty"`
	// LabelSelector selects the pods; none means all.
	// +optional
	// +nullable
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`
	// PreHooks run before the pod is backed up.
	// +optional
	PreHooks []BackupResourceHook `json:"pre,omitempty"`
	// PostHooks run after the pod and what it needs are backed up.
	// +optional
	PostHooks []BackupResourceHook `json:"post,omitempty"`
}

// BackupResourceHook is one hook.
type BackupResourceHook struct {
	// Exec is the command to run.
	Exec *ExecHook `json:"exec"`
}

// ExecHook is a command run in a container.
type ExecHook struct {
	// Container to run in; defaults to the first one of the pod.
	// +optional
	Container string `json:"container,omitempty"`
	// Command and its arguments; no shell is put around them.
	// +kubebuilder:validation:MinItems=1
	Command []string `json:"command"`
	// OnError is what happens if the command fails; defaults to Fail.
	// +optional
	OnError HookErrorMode `json:"onError,omitempty"`
	// Timeout of the command; defaults to 30s.
	// +optional
	Timeout metav1.Duration `json:"timeout,omitempty"`
}

// RestoreHooks are commands and init containers run in pods that are restored.
type RestoreHooks struct {
	// Resources defines which hooks run for which pods.
	// +optional
	Resources []RestoreResourceHookSpec `json:"resources,omitempty"`
}

// RestoreResourceHookSpec selects pods and defines their hooks.
type RestoreResourceHookSpec struct {
	// Name of these hooks, for logs.
	Name string `json:"name"`
	// IncludedNamespaces of the pods, as the backup names them; none means all.
	// +optional
	// +nullable
	IncludedNamespaces []string `json:"includedNamespaces,omitempty"`
	// ExcludedNamespaces are left out of the included ones.
	// +optional
	// +nullable
	ExcludedNamespaces []string `json:"excludedNamespaces,omitempty"`
	// IncludedResources the hooks are for; none means all. Only pods can have
	// hooks.
	// +optional
	// +nullable
	IncludedResources []string `json:"includedResources,omitempty"`
	// ExcludedResources are left out of the included ones.
	// +optional
	// +nullable
	ExcludedResources []string `json:"excludedResources,omitempty"`
	// LabelSelector selects the pods; none means all.
	// +optional
	// +nullable
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`
	// PostHooks run when the pod is restored.
	// +optional
	PostHooks []RestoreResourceHook `json:"postHooks,omitempty"`
}

// RestoreResourceHook is one hook: a command, or init containers.
type RestoreResourceHook struct {
	// Exec is a command to run in the restored pod.
	// +optional
	Exec *ExecRestoreHook `json:"exec,omitempty"`
	// Init are init containers to put into the pod before it is restored.
	// +optional
	Init *InitRestoreHook `json:"init,omitempty"`
}

// ExecRestoreHook is a command run in a container of a restored pod.
type ExecRestoreHook struct {
	// Container to run in; defaults to the first one of the pod.
	// +optional
	Container string `json:"container,omitempty"`
	// Command and its arguments; no shell is put around them.
	// +kubebuilder:validation:MinItems=1
	Command []string `json:"command"`
	// OnError is what happens if the command fails; unset is Continue.
	// +optional
	OnError HookErrorMode `json:"onError,omitempty"`
	// ExecTimeout of the command; defaults to 30s.
	// +optional
	ExecTimeout metav1.Duration `json:"execTimeout,omitempty"`
	// WaitTimeout is how long to wait for the container to run; 0, the default,
	// waits forever.
	// +optional
	WaitTimeout metav1.Duration `json:"waitTimeout,omitempty"`
	// WaitForReady waits for the container to be ready too, not only to run.
	// +optional
	// +nullable
	WaitForReady *bool `json:"waitForReady,omitempty"`
}

// InitRestoreHook are init containers put into a pod before it is restored.
type InitRestoreHook struct {
	// InitContainers are containers (core/v1) as JSON. They run before the pod's
	// own.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	InitContainers []runtime.RawExtension `json:"initContainers"`
	// Timeout for all of them.
	// +optional
	Timeout metav1.Duration `json:"timeout,omitempty"`
}
