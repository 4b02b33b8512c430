//go:build e2e && kind

package kind_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/test/part"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox/kind"
)

func TestASandboxIsAClusterWhileItIsUpAndNothingAfter(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("KUBECONFIG", "")
	before := networks(t)
	s := newSandbox(t)
	c := up(t, s)
	assert.Equal(t, "v"+nodeVersion, c.Version)
	assert.Equal(t, nodeImage, c.NodeImage)
	assert.Regexp(t, `^https://127\.0\.0\.1:\d+$`, c.Server)
	client, err := cluster.FromKubeconfig(c.Kubeconfig, "test")
	require.NoError(t, err)
	info, err := client.Version(t.Context())
	require.NoError(t, err)
	assert.Equal(t, c.Version, info.GitVersion)
	_, err = s.Up(t.Context())
	require.ErrorIs(t, err, sandbox.ErrUp)

	node := nodeOf(t, s.Dir)
	private, err := os.Stat(filepath.Join(s.Dir, strings.TrimSuffix(node, "-control-plane")))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), private.Mode().Perm(), "others could read the kubeconfig")

	path, err := s.MakeVolume(t.Context(), "pvc-1")
	require.NoError(t, err)
	assert.Contains(t, docker(t, "exec", node, "stat", "--format", "%a", path), "777")
	assert.NotContains(t, docker(t, "exec", node, "findmnt", "--noheadings", "--output", "FSTYPE", "--target", path), "tmpfs", "volumes would lie in memory")

	traces := tracesOf(t, node)
	require.NotEmpty(t, traces.volumes)
	began := time.Now()
	require.NoError(t, s.Down(t.Context()))
	t.Logf("%5.1fs down", time.Since(began).Seconds())
	traces.assertGone(t)
	assertNothingLeft(t, s.Dir)
	assert.Equal(t, before, networks(t))
	left, err := os.ReadDir(home)
	require.NoError(t, err)
	assert.Empty(t, left, "the user's kubeconfig was touched")
	_, err = client.Version(t.Context())
	assert.Error(t, err, "something still answers")
	require.NoError(t, s.Down(t.Context()), "Down is idempotent")
	_, err = s.MakeVolume(t.Context(), "pvc-1")
	assert.EqualError(t, err, "sandbox is not up")
}

// phases are what Up says it is doing, in its order.
var phases = []string{
	"checking the container engine",
	"creating a cluster of",
	"Ensuring node image",
	"Preparing nodes",
	"Writing configuration",
	"Starting control-plane",
	"Installing StorageClass",
	"waiting until the node is ready",
	"waiting until the cluster's DNS answers",
}

func TestAStartThatIsCancelledLeavesNothing(t *testing.T) {
	for _, phase := range part.Some(t, phases) {
		t.Run("while "+phase, func(t *testing.T) {
			before := networks(t)
			s := newSandbox(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			stop := errors.New("the user has seen enough")
			var at time.Time
			s.Progress = func(what string) {
				if strings.HasPrefix(what, phase) {
					at = time.Now()
					cancel(stop)
				}
			}
			_, err := s.Up(ctx)
			require.ErrorIs(t, err, stop)
			require.False(t, at.IsZero(), "there is no such phase")
			took := time.Since(at)
			t.Logf("%5.1fs until all was gone", took.Seconds())
			assert.Less(t, took, bound)
			assertNothingLeft(t, s.Dir)
			assert.Equal(t, before, networks(t))
		})
	}
}

func TestATimeLimitWithinAPhaseLeavesNothing(t *testing.T) {
	s := newSandbox(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // kubeadm runs then
	defer cancel()
	began := time.Now()
	_, err := s.Up(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(began), 5*time.Second+bound)
	assertNothingLeft(t, s.Dir)
}

func TestTwoSandboxesAtOnceDoNotMeet(t *testing.T) {
	var group sync.WaitGroup
	dir := t.TempDir()
	clusters := make([]sandbox.Cluster, 2)
	sandboxes := make([]*kind.Sandbox, 2)
	for i := range sandboxes {
		sandboxes[i] = &kind.Sandbox{Choice: kind.Choice{KubernetesVersion: nodeVersion}, Dir: dir}
		t.Cleanup(func() { _ = sandboxes[i].Down(context.WithoutCancel(t.Context())) })
		group.Go(func() {
			var err error
			clusters[i], err = sandboxes[i].Up(t.Context())
			assert.NoError(t, err)
		})
	}
	group.Wait()
	assert.NotEqual(t, clusters[0].Server, clusters[1].Server)
	require.NoError(t, sandboxes[0].Down(t.Context()))
	client, err := cluster.FromKubeconfig(clusters[1].Kubeconfig, "test")
	require.NoError(t, err)
	_, err = client.Version(t.Context())
	require.NoError(t, err, "one took the other with it")
	require.NoError(t, sandboxes[1].Down(t.Context()))
	assertNothingLeft(t, dir)
}

func TestANodeThatEndedOnItsOwnIsSaid(t *testing.T) {
	for what, end := range map[string][]string{
		"killed":  {"kill"},
		"removed": {"rm", "--force", "--volumes"},
	} {
		t.Run(what, func(t *testing.T) {
			s := newSandbox(t)
			up(t, s)
			node := nodeOf(t, s.Dir)
			traces := tracesOf(t, node)
			docker(t, append(end, node)...)
			err := s.Down(t.Context())
			require.ErrorIs(t, err, sandbox.ErrDied)
			traces.assertGone(t)
			assertNothingLeft(t, s.Dir)
		})
	}
}

func TestDownCleansUpWithAContextThatIsDone(t *testing.T) {
	s := newSandbox(t)
	up(t, s)
	traces := tracesOf(t, nodeOf(t, s.Dir))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, s.Down(ctx))
	traces.assertGone(t)
	assertNothingLeft(t, s.Dir)
}
