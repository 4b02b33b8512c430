// Package v2alpha1 holds the types of the API group velero.io/v2alpha1, by which
// the data of volume snapshots is moved to and from a storage location. The
// rules of package v1 apply to it too.
//
// +groupName=velero.io
// +kubebuilder:object:generate=true
package v2alpha1
