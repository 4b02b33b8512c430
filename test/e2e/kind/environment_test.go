//go:build e2e && kind

package kind_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/verifier/sandbox/kind"
)

// derived makes an image of another with changes, and removes it with the test.
func derived(t *testing.T, of string, changes ...string) string {
	t.Helper()
	ref := unique("lifeboat-test/node")
	id := docker(t, "create", "--network", "none", of)
	defer docker(t, "rm", "--force", "--volumes", id)
	args := []string{"commit"}
	for _, c := range changes {
		args = append(args, "--change", c)
	}
	docker(t, append(args, id, ref)...)
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "--force", ref).Run() })
	return ref
}

func TestAnImageThatIsNoUseIsSaidInASentence(t *testing.T) {
	intoEngine(t, "lifeboat-test/workload:1", workload(t, "no node"))
	broken := derived(t, nodeImage, `ENTRYPOINT ["/bin/false", "/sbin/init"]`)
	for _, tc := range []struct {
		name   string
		choice kind.Choice
		want   string
	}{
		{"of another kind", kind.Choice{NodeImage: derived(t, nodeImage, "LABEL dev.lifeboat.node.kind=v0.1.0")}, "was made for kind v0.1.0, and this program has kind 0.33.0: rebuild it with `make node-image`"},
		{"no node image", kind.Choice{NodeImage: "lifeboat-test/workload:1"}, "lifeboat-test/workload:1 is not a kind node image (its entrypoint is \"/sleeper\"): name one of kindest/node, or make one with `make node-image`"},
		{"one that cannot be had", kind.Choice{NodeImage: "localhost:9/node:v1"}, "node image localhost:9/node:v1 is not available locally and cannot be pulled; make one without any registry with `make node-image` (available locally: "},
		{"one that does not boot", kind.Choice{NodeImage: broken}, "create a kind cluster of " + broken + ": the node image does not boot on this host: could not find a log line that matches"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSandbox(t)
			s.Choice = tc.choice
			began := time.Now()
			_, err := s.Up(t.Context())
			require.ErrorContains(t, err, tc.want)
			t.Logf("%5.1fs: %v", time.Since(began).Seconds(), err)
			assertNothingLeft(t, s.Dir)
		})
	}
}

func TestWithoutAnEngineOneSentenceSaysSo(t *testing.T) {
	for what, tc := range map[string]struct{ name, value, want string }{
		"no socket":  {"DOCKER_HOST", "unix:///nowhere/docker.sock", "the container engine cannot be reached; start it, look at DOCKER_HOST and `docker context ls`, and see that this user may use it: docker "},
		"no port":    {"DOCKER_HOST", "tcp://127.0.0.1:9", "the container engine cannot be reached"},
		"no command": {"PATH", t.TempDir(), "there is no docker command in PATH: install the Docker CLI and engine, or drill at level controlplane, which needs neither"},
	} {
		t.Run(what, func(t *testing.T) {
			s := newSandbox(t)
			t.Setenv(tc.name, tc.value)
			_, err := s.Up(t.Context())
			require.ErrorContains(t, err, tc.want)
			assert.Equal(t, 1, strings.Count(err.Error(), "the container engine")+strings.Count(err.Error(), "no docker command"))
		})
	}
}
