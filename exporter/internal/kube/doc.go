// Package kube watches the objects of velero.io in one namespace and keeps what the metrics
// need to know of them.
package kube
