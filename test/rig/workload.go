package rig

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// WorkloadImage builds the program test/rig/workload and puts it into the host's
// engine as an image of nothing but that, without any registry. It returns
// name, under which Provide of a sandbox finds it in mode load. The program is
// at /workload and /bin/sh, and the entrypoint.
func WorkloadImage(t testing.TB, name string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "workload")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "./test/rig/workload")
	build.Dir = repoRoot(t)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "build the workload: %s", out)
	data, err := os.ReadFile(binary)
	require.NoError(t, err)

	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "tmp/", Mode: 0o1777, Typeflag: tar.TypeDir}))
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "workload", Mode: 0o755, Size: int64(len(data))}))
	_, err = w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "bin/sh", Mode: 0o777, Typeflag: tar.TypeSymlink, Linkname: "/workload"}))
	require.NoError(t, w.Close())

	load := exec.Command("docker", "import", "--change", `ENTRYPOINT ["/workload"]`, "-", name)
	load.Stdin = &archive
	out, err = load.CombinedOutput()
	require.NoError(t, err, "docker import: %s", strings.TrimSpace(string(out)))
	return name
}
