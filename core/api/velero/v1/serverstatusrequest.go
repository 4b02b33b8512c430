package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ServerStatusRequestPhase is where a request is. An empty one is New.
//
// +kubebuilder:validation:Enum=New;Processed
type ServerStatusRequestPhase string

// The phases of a ServerStatusRequest.
const (
	ServerStatusRequestPhaseNew       ServerStatusRequestPhase = "New"
	ServerStatusRequestPhaseProcessed ServerStatusRequestPhase = "Processed"
)

// ServerStatusRequest asks the server which version it is. The server deletes
// the request one minute after it answered.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=ssr
type ServerStatusRequest struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +optional
	Spec ServerStatusRequestSpec `json:"spec,omitempty"`
	// +optional
	Status ServerStatusRequestStatus `json:"status,omitempty"`
}

// ServerStatusRequestList is a list of ServerStatusRequests.
//
// +kubebuilder:object:root=true
type ServerStatusRequestList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ServerStatusRequest `json:"items"`
}

// ServerStatusRequestSpec is empty.
type ServerStatusRequestSpec struct{}

// ServerStatusRequestStatus is the answer.
type ServerStatusRequestStatus struct {
	// Phase is where the request is. An empty one is New.
	// +optional
	Phase ServerStatusRequestPhase `json:"phase,omitempty"`
	// ProcessedTimestamp is when the server answered.
	// +optional
	// +nullable
	ProcessedTimestamp *metav1.Time `json:"processedTimestamp,omitempty"`
	// ServerVersion is the server's version.
	// +optional
	ServerVersion string `json:"serverVersion,omitempty"`
	// Plugins of the server.
	// +optional
	// +nullable
	Plugins []PluginInfo `json:"plugins,omitempty"`
}

// PluginInfo names a plugin of the server.
type PluginInfo struct {
	// Name such as "velero.io/pod".
	Name string `json:"name"`
	// Kind such as "BackupItemAction".
	Kind string `json:"kind"`
}
