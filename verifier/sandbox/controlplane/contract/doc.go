// Package contract holds no code, only tests: of lifeboat-controlplane as its
// parent sees it, through flags, stdin, stdout, signals and what is left behind.
// They are separate from package main, so that the test binary does not link
// Kubernetes a second time.
package contract
