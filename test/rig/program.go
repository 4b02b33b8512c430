package rig

import (
	"os"
	"path/filepath"
	"testing"
)

// buildDigest is set by make to a digest of what the programs are built from. The
// go command sees that tests read it: when a program changes they run again. The
// time of the file, which each build changes, then does not matter.
const buildDigest = "LIFEBOAT_BUILD"

// Program is the path of one of Lifeboat's programs, as `make build` left it.
func Program(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(repoRoot(t), "bin", name)
	if os.Getenv(buildDigest) != "" {
		return path
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("this test runs %s: %v (make build makes it)", name, err)
	}
	return path
}
