// Package sidecar tests the exporter as a pod runs it: with a token, a
// read-only file system and no rights. Its tests have the build tag e2e.
package sidecar
