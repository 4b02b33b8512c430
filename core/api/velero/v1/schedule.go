package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SchedulePhase is the state of a schedule. An empty one is New.
//
// +kubebuilder:validation:Enum=New;Enabled;FailedValidation
type SchedulePhase string

// The phases of a Schedule.
const (
	SchedulePhaseNew              SchedulePhase = "New"
	SchedulePhaseEnabled          SchedulePhase = "Enabled"
	SchedulePhaseFailedValidation SchedulePhase = "FailedValidation"
)

// Schedule makes a Backup whenever it is due.
//
// +kubebuilder:object:root=true
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.phase",description="Whether the schedule can be followed"
// +kubebuilder:printcolumn:name="Schedule",type="string",JSONPath=".spec.schedule",description="When backups are due"
// +kubebuilder:printcolumn:name="LastBackup",type="date",JSONPath=".status.lastBackup",description="When the last Backup was made"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Paused",type="boolean",JSONPath=".spec.paused"
type Schedule struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +optional
	Spec ScheduleSpec `json:"spec,omitempty"`
	// +optional
	Status ScheduleStatus `json:"status,omitempty"`
}

// ScheduleList is a list of Schedules.
//
// +kubebuilder:object:root=true
type ScheduleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Schedule `json:"items"`
}

// ScheduleSpec defines backups and when to make them.
type ScheduleSpec struct {
	// Template is the spec of the backups.
	Template BackupSpec `json:"template"`
	// Schedule is when backups are due, as a cron expression of five fields, with
	// CRON_TZ= before it or not, or as a descriptor such as "@every 6h".
	Schedule string `json:"schedule"`
	// UseOwnerReferencesInBackup makes the Schedule the owner of its Backup
	// objects, so that they are deleted with it; unset is false.
	// +optional
	// +nullable
	UseOwnerReferencesInBackup *bool `json:"useOwnerReferencesInBackup,omitempty"`
	// Paused makes no backups while it is true.
	// +optional
	Paused bool `json:"paused,omitempty"`
	// SkipImmediately passes over the backup that is due now and waits for the
	// next one; the server sets it to false when it has. Unset is the server's
	// setting, false.
	// +optional
	SkipImmediately *bool `json:"skipImmediately,omitempty"`
}

// ScheduleStatus is the state of a schedule.
type ScheduleStatus struct {
	// Phase is the state of the schedule. An empty one is New.
	// +optional
	Phase SchedulePhase `json:"phase,omitempty"`
	// LastBackup is when the last Backup was made, however it ended.
	// +optional
	// +nullable
	LastBackup *metav1.Time `json:"lastBackup,omitempty"`
	// LastSkipped is when a backup was last passed over.
	// +optional
	// +nullable
	LastSkipped *metav1.Time `json:"lastSkipped,omitempty"`
	// ValidationErrors are the mistakes in the spec.
	// +optional
	ValidationErrors []string `json:"validationErrors,omitempty"`
}
