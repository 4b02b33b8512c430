// Package v1 holds the types of the API group velero.io/v1. They are our own:
// the field names and rules are those of the custom resource definitions of
// Velero v1.18.1, and the definitions in core/api/crds are generated from them.
//
// The comments give the defaults that a server applies; an API server fills in
// none. No kind has a status subresource: a user who can write an object can
// write its status. Durations are written as Go writes them ("1h30m0s").
//
// +groupName=velero.io
// +kubebuilder:object:generate=true
package v1
