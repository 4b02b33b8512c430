//go:build e2e && kind

package kind_test

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox/kind"
)

// assertRuns starts a pod of the image as a restored one would be, and waits
// until it runs.
func assertRuns(t *testing.T, node, image string) {
	t.Helper()
	pod := unique("runs")
	kubectl(t, node, fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"namespace":"default"},
		"spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"main","image":%q,"imagePullPolicy":"IfNotPresent"}]}}`, pod, image), "create", "--filename", "-")
	out, err := exec.Command("docker", "exec", node, "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "wait", "--for=condition=Ready", "--timeout=30s", "pod/"+pod).CombinedOutput()
	if err != nil {
		t.Errorf("a pod of %s does not run: %s\n%s", image, out, kubectl(t, node, "", "get", "events", "--field-selector", "involvedObject.name="+pod))
	}
}

// noteOf is the label by which a test distinguishes images.
func noteOf(t *testing.T, node, image string) string {
	t.Helper()
	out := docker(t, "exec", node, "sh", "-c", `digest=$(ctr -n k8s.io images ls | awk -v n="$1" '$1==n{print $3}'); ctr -n k8s.io content get "$digest"`, "sh", image)
	_, config, _ := strings.Cut(out, `"config":`)
	_, digest, _ := strings.Cut(config, `"digest":`)
	digest = strings.Split(digest+`""`, `"`)[1]
	out = docker(t, "exec", node, "ctr", "-n", "k8s.io", "content", "get", digest)
	_, note, _ := strings.Cut(out, `"note":"`)
	note, _, _ = strings.Cut(note, `"`)
	return note
}

func TestImagesComeToTheNodeUnderTheNamesOfTheBackup(t *testing.T) {
	s := newSandbox(t)
	up(t, s)
	node := nodeOf(t, s.Dir)
	host := strings.TrimPrefix(httptestRegistry(t), "http://")
	first, second := workload(t, "first"), workload(t, "second")
	app := unique("app")

	provide := func(t *testing.T, o policy.Images, images ...string) map[string]string {
		t.Helper()
		s.Images = o
		began := time.Now()
		missing, err := s.Provide(t.Context(), images)
		require.NoError(t, err)
		t.Logf("%5.1fs for %d images", time.Since(began).Seconds(), len(images))
		return missing
	}

	t.Run("from the host's engine, by tag", func(t *testing.T) {
		intoEngine(t, app+":v1", first)
		intoEngine(t, "registry.acme.io/team/"+app+":v2", second)
		missing := provide(t, policy.Images{Mode: policy.ImagesLoad}, app+":v1", "registry.acme.io/team/"+app+":v2", "registry.acme.io/team/"+app+":v3")
		assert.Equal(t, map[string]string{
			"registry.acme.io/team/" + app + ":v3": "the host's container engine does not have it (docker pull registry.acme.io/team/" + app + ":v3)",
		}, missing)
		assertRuns(t, node, app+":v1")
		assertRuns(t, node, "docker.io/library/"+app+":v1")
		assertRuns(t, node, "registry.acme.io/team/"+app+":v2")
	})

	t.Run("from the host's engine, by digest", func(t *testing.T) {
		byDigest := push(t, host+"/team/digested:v1", first)
		docker(t, "pull", byDigest)
		t.Cleanup(func() { _ = exec.Command("docker", "rmi", "--force", byDigest).Run() })
		both := strings.Replace(byDigest, "@", ":v1@", 1)
		assert.Empty(t, provide(t, policy.Images{Mode: policy.ImagesLoad}, byDigest, both))
		assertRuns(t, node, byDigest)
		assertRuns(t, node, both)
		assert.NotContains(t, docker(t, "exec", node, "ctr", "-n", "k8s.io", "images", "ls", "-q"), "by-digest", "a name of ours is left")
	})

	t.Run("what the node has is not fetched", func(t *testing.T) {
		assert.Empty(t, provide(t, policy.Images{}, "registry.k8s.io/coredns/coredns:v1.12.1"))
	})

	t.Run("pulled by the node", func(t *testing.T) {
		at := runRegistry(t, node)
		byDigest := push(t, at+"/team/pulled:v1", second)
		byDigest = strings.Replace(byDigest, at, "localhost:5000", 1)
		missing := provide(t, policy.Images{Mode: policy.ImagesPull}, "localhost:5000/team/pulled:v1", byDigest, "localhost:5000/team/pulled:v2", "localhost:9/team/app:v1", "NoImage")
		assertRuns(t, node, "localhost:5000/team/pulled:v1")
		assertRuns(t, node, byDigest)
		assert.Len(t, missing, 3)
		assert.Regexp(t, "^there is no such image: .*not found", missing["localhost:5000/team/pulled:v2"])
		assert.Regexp(t, "^cannot be pulled: .*connection refused", missing["localhost:9/team/app:v1"])
		assert.Regexp(t, "^is not an image reference: ", missing["NoImage"])
	})

	t.Run("from a docker archive", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "images.tar")
		dockerArchive(t, path, app+":archived", first)
		missing := provide(t, policy.Images{Mode: policy.ImagesLoad, Archive: path}, app+":archived", app+":not", "elsewhere/app@sha256:"+strings.Repeat("0", 64))
		assertRuns(t, node, app+":archived")
		assert.Equal(t, map[string]string{
			app + ":not": "the archive " + path + " does not hold it",
			"elsewhere/app@sha256:" + strings.Repeat("0", 64): "the archive " + path + " does not hold it",
		}, missing)
	})

	t.Run("from an OCI archive, by digest", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "images.tar")
		third := workload(t, "third")
		digest, err := third.Digest()
		require.NoError(t, err)
		ociArchive(t, path, "ghcr.io/acme/"+app+":v3", third)
		byDigest := "ghcr.io/acme/" + app + "@" + digest.String()
		assert.Empty(t, provide(t, policy.Images{Mode: policy.ImagesLoad, Archive: path}, byDigest))
		assertRuns(t, node, byDigest)
	})

	t.Run("one that stands in", func(t *testing.T) {
		intoEngine(t, "stand/in:1", workload(t, "stands in"))
		mapping := map[string]string{"registry.acme.io/big/*": "stand/in:1", "docker.io/library/gone:1": "stand/gone:1"}
		digested := "registry.acme.io/big/db@sha256:" + strings.Repeat("ab", 32)
		missing := provide(t, policy.Images{Mode: policy.ImagesSubstitute, Mapping: mapping}, "registry.acme.io/big/web:7", digested, "gone:1")
		assert.Equal(t, map[string]string{"gone:1": "stand/gone:1, its substitute: the host's container engine does not have it (docker pull stand/gone:1)"}, missing)
		assertRuns(t, node, "registry.acme.io/big/web:7")
		assertRuns(t, node, digested)
		assert.Equal(t, "stands in", noteOf(t, node, "registry.acme.io/big/web:7"))
	})

	t.Run("one that stands in for an image of the node", func(t *testing.T) {
		intoEngine(t, app+":v1", second)
		assert.Empty(t, provide(t, policy.Images{Mode: policy.ImagesSubstitute, Mapping: map[string]string{"registry.acme.io/team/" + app + ":v2": "stand/in:2"}}, app+":v1"), "it is there")
		intoEngine(t, "stand/in:2", workload(t, "stands in again"))
		assert.Empty(t, provide(t, policy.Images{Mode: policy.ImagesSubstitute, Mapping: map[string]string{"registry.acme.io/team/" + app + ":v2": "stand/in:2"}}, "registry.acme.io/team/"+app+":v2"))
		assert.Equal(t, "stands in again", noteOf(t, node, "registry.acme.io/team/"+app+":v2"))
	})

	t.Run("a malformed archive breaks the call", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "images.tar")
		require.NoError(t, os.WriteFile(path, []byte("no archive"), 0o600))
		s.Images = policy.Images{Mode: policy.ImagesLoad, Archive: path}
		_, err := s.Provide(t.Context(), []string{"x"})
		assert.ErrorContains(t, err, "archive "+path)
		s.Images.Archive = path + ".gone"
		_, err = s.Provide(t.Context(), []string{"x"})
		assert.ErrorContains(t, err, "open the archive of images")
	})
}

func TestImagesAreForASandboxThatIsUp(t *testing.T) {
	_, err := (&kind.Sandbox{}).Provide(t.Context(), []string{"x"})
	assert.EqualError(t, err, "sandbox is not up")
}

// httptestRegistry is a registry on this machine, where the host's engine can
// reach it.
func httptestRegistry(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return server.URL
}

// runRegistry runs a registry on a node and returns the address at which this
// machine reaches it. On the node it is localhost:5000.
func runRegistry(t *testing.T, node string) string {
	t.Helper()
	docker(t, "cp", program(t, "registry"), node+":/registry")
	docker(t, "exec", "--detach", node, "/registry", ":5000")
	address := docker(t, "inspect", "--format", "{{.NetworkSettings.Networks.kind.IPAddress}}", node) + ":5000"
	ref, err := name.NewRegistry(address, name.Insecure)
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, err := remote.Catalog(t.Context(), ref); return err == nil }, 10*time.Second, 100*time.Millisecond)
	return address
}

// push puts an image into a registry and returns its reference by digest.
func push(t *testing.T, ref string, img v1.Image) string {
	t.Helper()
	tag, err := name.NewTag(ref, name.Insecure)
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag, img))
	digest, err := img.Digest()
	require.NoError(t, err)
	return tag.Context().Name() + "@" + digest.String()
}
