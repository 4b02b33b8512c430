//go:build unix

package kind

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeDocker puts a docker command into PATH that does what no engine can be made
// to do on demand. It notes what it was asked in the file it returns.
func fakeDocker(t *testing.T, script string) (asked string) {
	t.Helper()
	dir := t.TempDir()
	asked = filepath.Join(dir, "asked")
	text := "#!/bin/sh\necho \"$*\" >>" + asked + "\n" + script + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker"), []byte(text), 0o700))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return asked
}

// healthy answers what preflight and the choice of an image ask.
const healthy = `case "$1 $2" in
"version "*) echo 1.41 linux; exit;;
"info "*) echo '{}'; exit;;
"context "*) echo tcp://elsewhere:2376; exit;;
"ps "*) exit;;
"image ls") echo lifeboat/node:v1.34.4; exit;;
"image inspect") echo "Error: No such image: $5" >&2; exit 1;;
esac
`

func TestAnEngineThatHangsIsNotWaitedForLongerThanTheCallerWants(t *testing.T) {
	for what, script := range map[string]string{
		"asked how it is":         "exec sleep 60",
		"pulling the node image":  healthy + "exec sleep 60",
		"listing what was left":   strings.Replace(healthy, `"ps "*) exit`, `"ps "*) exec sleep 60`, 1),
		"listing its node images": strings.Replace(healthy, `echo lifeboat/node:v1.34.4; exit`, `exec sleep 60`, 1),
	} {
		t.Run(what, func(t *testing.T) {
			fakeDocker(t, script)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			s := &Sandbox{Choice: Choice{KubernetesVersion: "1.36.2"}, Dir: t.TempDir()}
			began := time.Now()
			_, err := s.Up(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Less(t, time.Since(began), 5*time.Second)
			left, err := os.ReadDir(s.Dir)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}

// equipped has a node image too.
var equipped = strings.Replace(healthy, `echo "Error: No such image: $5" >&2; exit 1`, `echo '{"Config": {"Entrypoint": ["/sbin/init"]}}'; exit`, 1)

func TestASandboxThatDoesNotStartIsGivenUpInTime(t *testing.T) {
	fakeDocker(t, equipped+`[ "$1 $2" = "network inspect" ] && exec sleep 60; exit 0`)
	s := &Sandbox{Choice: Choice{KubernetesVersion: "1.34.4"}, Dir: t.TempDir(), StartTimeout: 500 * time.Millisecond}
	began := time.Now()
	_, err := s.Up(t.Context())
	require.ErrorContains(t, err, "not ready after 500ms")
	assert.Less(t, time.Since(began), 10*time.Second)
}

func TestANetworkThatIsTakenAwayIsMadeAgainSomeTimes(t *testing.T) {
	for said, want := range map[string]int{
		"docker: Error response from daemon: network kind not found.":         mostStarts,
		"docker: Error response from daemon: no space left on device.":        1,
		"docker: Error response from daemon: network kind-of-blue not found.": 1,
	} {
		asked := fakeDocker(t, equipped+`[ "$1" = run ] && { echo "`+said+`" >&2; exit 125; }; exit 0`)
		_, err := (&Sandbox{Choice: Choice{KubernetesVersion: "1.34.4"}, Dir: t.TempDir()}).Up(t.Context())
		require.ErrorContains(t, err, said)
		raw, err := os.ReadFile(asked)
		require.NoError(t, err)
		assert.Equal(t, want, strings.Count("\n"+string(raw), "\nrun "), said)
	}
}

func TestAPatchThatKindDoesNotPublishIsSaidWithWhatIsAtHand(t *testing.T) {
	fakeDocker(t, healthy+`echo "Error response from daemon: manifest for kindest/node:v1.36.9 not found: manifest unknown" >&2; exit 1`)
	_, err := (&Sandbox{Choice: Choice{Source: "v1.36.9-gke.100"}, Dir: t.TempDir()}).Up(t.Context())
	require.EqualError(t, err, "kindest/node:v1.36.9 does not exist: kind does not publish an image of each patch of Kubernetes; name one that it does (https://hub.docker.com/r/kindest/node/tags) with --kubernetes-version, or make one with `make node-image` (available locally: lifeboat/node:v1.34.4): docker pull: Error response from daemon: manifest for kindest/node:v1.36.9 not found: manifest unknown")
}

func TestASandboxIsGoneOnlyWhenItsNameCouldBeTaken(t *testing.T) {
	n, ok := parseName("lifeboat-0a1b2c3d-4711-1795377600-abcdef")
	require.True(t, ok)
	count := filepath.Join(t.TempDir(), "count")
	// The engine is still at what a killed command asked it for: the container
	// cannot be seen, then it can, then it is gone.
	asked := fakeDocker(t, `n=$(cat `+count+` 2>/dev/null || echo 0)
case "$1" in
ps) [ "$n" = 2 ] && echo 0123; exit 0;;
rm) exit 0;;
create) echo $((n+1)) >`+count+`
	[ "$n" -ge 2 ] && { echo 4567; exit 0; }
	echo 'Error response from daemon: Conflict. The container name "/x" is already in use by container "0123".' >&2; exit 1;;
esac`)
	require.NoError(t, vacate(t.Context(), n, "lifeboat/node:v1.34.4"))
	raw, err := os.ReadFile(asked)
	require.NoError(t, err)
	said := string(raw)
	assert.Equal(t, 3, strings.Count(said, "create --pull never --name "+n.node()), said)
	assert.Contains(t, said, "rm --force --volumes 0123\n", "what came late")
	assert.True(t, strings.HasSuffix(said, "rm --force --volumes 4567\n"), "what took the name")
}

func TestARemovalThatDoesNotEndIsGivenUpWithItsContext(t *testing.T) {
	n, ok := parseName("lifeboat-0a1b2c3d-4711-1795377600-abcdef")
	require.True(t, ok)
	fakeDocker(t, `[ "$1" = create ] && { echo "the name is already in use" >&2; exit 1; }; exit 0`)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	err := vacate(ctx, n, "lifeboat/node:v1.34.4")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "remove sandbox "+n.String())
}
