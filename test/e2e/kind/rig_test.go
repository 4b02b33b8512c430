//go:build e2e && kind

package kind_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox/kind"
)

const (
	// nodeVersion is what `make node-image` makes.
	nodeVersion = "1.34.4"
	nodeImage   = "lifeboat/node:v" + nodeVersion

	clusterLabel = "io.x-k8s.kind.cluster"
	// bound is how long removing a sandbox may take, on a busy machine.
	bound = 45 * time.Second
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(doomedEnv); dir != "" {
		doomed(dir)
	}
	if what := os.Getenv(doomedDrillEnv); what != "" {
		doomedDrill(what)
	}
	os.Exit(m.Run())
}

// docker runs a docker command that must work.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	require.NoError(t, err, "docker %s: %s", strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}

// newSandbox is one in a folder of its own, taken down with the test.
func newSandbox(t *testing.T) *kind.Sandbox {
	t.Helper()
	s := &kind.Sandbox{Choice: kind.Choice{KubernetesVersion: nodeVersion}, Dir: t.TempDir()}
	began := time.Now()
	s.Progress = func(what string) { t.Logf("%5.1fs %s", time.Since(began).Seconds(), what) }
	t.Cleanup(func() { _ = s.Down(context.WithoutCancel(t.Context())) })
	return s
}

func up(t *testing.T, s *kind.Sandbox) sandbox.Cluster {
	t.Helper()
	began := time.Now()
	c, err := s.Up(t.Context())
	require.NoError(t, err)
	t.Logf("%5.1fs up", time.Since(began).Seconds())
	return c
}

// nodeOf is the name of the container of the one sandbox whose files are in dir.
func nodeOf(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	return entries[0].Name() + "-control-plane"
}

// traces is everything a sandbox could leave behind. Others may use the same
// engine: of containers and volumes those count that belong to this node.
type traces struct {
	node    string
	volumes []string
}

// tracesOf is called while the node is there.
func tracesOf(t *testing.T, node string) traces {
	t.Helper()
	volumes := docker(t, "inspect", "--format", `{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{end}}{{end}}`, node)
	return traces{node: node, volumes: strings.Fields(volumes)}
}

func (tr traces) assertGone(t *testing.T) {
	t.Helper()
	assert.NotContains(t, strings.Fields(docker(t, "ps", "--all", "--format", "{{.Names}}")), tr.node, "a container is left")
	left := strings.Fields(docker(t, "volume", "ls", "--quiet"))
	for _, v := range tr.volumes {
		assert.NotContains(t, left, v, "a volume is left")
	}
}

// assertNothingLeft looks for containers with a name of this process, files in
// dir, and docker commands that this process started.
func assertNothingLeft(t *testing.T, dir string) {
	t.Helper()
	assert.Empty(t, sandboxesOf(t, os.Getpid()), "containers are left")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries, "files are left")
	assert.Empty(t, dockerChildren(t), "processes are left")
}

// sandboxesOf are the containers that a process made.
func sandboxesOf(t *testing.T, pid int) []string {
	t.Helper()
	var out []string
	for _, name := range strings.Fields(docker(t, "ps", "--all", "--filter", "label="+clusterLabel, "--format", "{{.Names}}")) {
		if f := strings.Split(name, "-"); len(f) > 3 && f[0] == "lifeboat" && f[2] == strconv.Itoa(pid) {
			out = append(out, name)
		}
	}
	return out
}

// dockerChildren are the docker commands under this process.
func dockerChildren(t *testing.T) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	var out []string
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // gone meanwhile
		}
		head, rest, _ := strings.Cut(string(raw), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(os.Getpid()) && f[0] != "Z" && strings.HasSuffix(head, "(docker") {
			out = append(out, string(raw))
		}
	}
	return out
}

// networks are those of the engine, sorted.
func networks(t *testing.T) []string {
	t.Helper()
	names := strings.Fields(docker(t, "network", "ls", "--format", "{{.ID}}/{{.Name}}"))
	slices.Sort(names)
	return names
}

// kubectl runs kubectl on a node.
func kubectl(t *testing.T, node, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("docker", append([]string{"exec", "--interactive", node, "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "kubectl %s: %s", strings.Join(args, " "), out)
	return string(out)
}

// program compiles one of the programs beside the tests.
func program(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./"+name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

// workload is an image that a pod can run. Its note makes it another image than
// those with other notes.
func workload(t *testing.T, note string) v1.Image {
	t.Helper()
	binary, err := os.ReadFile(program(t, "sleeper"))
	require.NoError(t, err)
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "sleeper", Mode: 0o755, Size: int64(len(binary))}))
	_, err = w.Write(binary)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil })
	require.NoError(t, err)
	img, err := mutate.AppendLayers(empty.Image, layer)
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint = []string{"/sleeper"}
	config.Config.Labels = map[string]string{"note": note}
	img, err = mutate.ConfigFile(img, config)
	require.NoError(t, err)
	return img
}

// intoEngine loads an image into the host's engine, and removes it with the test.
func intoEngine(t *testing.T, ref string, img v1.Image) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	dockerArchive(t, path, ref, img)
	docker(t, "load", "--input", path)
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "--force", ref).Run() })
}

func dockerArchive(t *testing.T, path, ref string, img v1.Image) {
	t.Helper()
	tag, err := name.NewTag(ref)
	require.NoError(t, err)
	require.NoError(t, tarball.WriteToFile(path, tag, img))
}

// ociArchive writes an OCI image layout as a tar, in which the image keeps its
// manifest and so its digest.
func ociArchive(t *testing.T, path, ref string, img v1.Image) {
	t.Helper()
	dir := t.TempDir()
	index, err := layout.Write(dir, empty.Index)
	require.NoError(t, err)
	require.NoError(t, index.AppendImage(img, layout.WithAnnotations(map[string]string{"io.containerd.image.name": ref})))
	file, err := os.Create(path)
	require.NoError(t, err)
	w := tar.NewWriter(file)
	require.NoError(t, w.AddFS(os.DirFS(dir)))
	require.NoError(t, w.Close())
	require.NoError(t, file.Close())
}

// unique is a name that no other test run has.
func unique(prefix string) string {
	return fmt.Sprintf("%s-%d-%d", prefix, os.Getpid(), time.Now().UnixNano())
}
