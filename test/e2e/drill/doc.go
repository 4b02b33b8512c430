// Package drill tests drills with the built programs, on control planes. Its tests
// have the build tag e2e.
package drill
