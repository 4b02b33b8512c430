package rig

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// VelerosBackup is the backup in the bucket that SmallBucket unpacks.
const VelerosBackup = "notes-1h-20261122084242"

// SmallBucket unpacks the bucket in test/fixtures that Velero v1.18.1 wrote,
// and returns the folder that is its location.
func SmallBucket(t testing.TB) string {
	t.Helper()
	return UnpackBucket(t, filepath.Join(repoRoot(t), "test", "fixtures", "velero-v1.18.1", "bucket-small.tar.gz"))
}

// UnpackBucket unpacks an archive of a bucket with the prefix
// backups-bucket/prod, and returns the folder that is its location.
func UnpackBucket(t testing.TB, archive string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unpack(archive, dir); err != nil {
		t.Fatalf("unpack %s: %v", archive, err)
	}
	return filepath.Join(dir, "backups-bucket", "prod")
}

func unpack(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg || strings.HasPrefix(filepath.Base(h.Name), ".") {
			continue
		}
		if err := root.MkdirAll(filepath.Dir(h.Name), 0o755); err != nil {
			return err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := root.WriteFile(h.Name, content, 0o644); err != nil {
			return err
		}
	}
}
