// Package field runs the field cases: public bug reports and accidents, reduced to
// small inputs, each in a folder of its own. README.md describes how to write one.
// The tests have the build tag e2e.
package field
