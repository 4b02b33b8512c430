package rig

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// WorkloadImage is BuildWorkloadImage for a test. It returns name.
func WorkloadImage(t testing.TB, name string) string {
	t.Helper()
	require.NoError(t, BuildWorkloadImage(t.Context(), repoRoot(t), t.TempDir(), name))
	return name
}

// BuildWorkloadImage builds the program test/rig/workload of the repository in
// root, with temp for its files, and puts it into the host's engine as an image
// of nothing but that, without any registry. Under name Provide of a sandbox
// finds it in mode load. The program is at /workload and /bin/sh, and the
// entrypoint.
func BuildWorkloadImage(ctx context.Context, root, temp, name string) error {
	binary := filepath.Join(temp, "workload")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "./test/rig/workload")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the workload: %w: %s", err, out)
	}
	archive, err := imageOf(binary)
	if err != nil {
		return err
	}
	load := exec.CommandContext(ctx, "docker", "import", "--change", `ENTRYPOINT ["/workload"]`, "-", name)
	load.Stdin = archive
	if out, err := load.CombinedOutput(); err != nil {
		return fmt.Errorf("docker import: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// imageOf is the file system of the image, as tar.
func imageOf(binary string) (*bytes.Buffer, error) {
	data, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	archive := &bytes.Buffer{}
	w := tar.NewWriter(archive)
	err = errors.Join(
		w.WriteHeader(&tar.Header{Name: "tmp/", Mode: 0o1777, Typeflag: tar.TypeDir}),
		w.WriteHeader(&tar.Header{Name: "bin/sh", Mode: 0o777, Typeflag: tar.TypeSymlink, Linkname: "/workload"}),
		w.WriteHeader(&tar.Header{Name: "workload", Mode: 0o755, Size: int64(len(data))}),
	)
	if err == nil {
		_, err = w.Write(data)
	}
	return archive, errors.Join(err, w.Close())
}
