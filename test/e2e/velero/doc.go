// Package velero holds tests on buckets that real versions of Velero wrote. They
// have the build tag e2e.
package velero
