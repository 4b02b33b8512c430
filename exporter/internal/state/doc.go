// Package state joins what the sources hold into the state of each schedule: deadlines, proof,
// phases. It is pure: the moment is an argument.
package state
