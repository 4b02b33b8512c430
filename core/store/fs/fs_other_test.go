//go:build !linux

package fs_test

// limitFiles is for a test that Linux alone has.
func limitFiles() {}
