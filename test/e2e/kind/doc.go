// Package kind holds tests that need a container engine: drills at level kind.
// They have the build tag e2e.
package kind
