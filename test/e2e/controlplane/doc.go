// Package controlplane holds tests that need a real API server: the sandbox of
// level controlplane. They have the build tag e2e.
package controlplane
