package rig

import (
	"os"
	"path/filepath"
	"testing"
)

// Program is the path of one of Lifeboat's programs, as `make build` left it.
func Program(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(repoRoot(t), "bin", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("this test runs %s: %v (make build makes it)", name, err)
	}
	return path
}
