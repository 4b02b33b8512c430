//go:build e2e && kind

package kind_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox/kind"
)

func TestAPoolHandsOutReadySandboxesAndLeavesNothing(t *testing.T) {
	s := newSandbox(t)
	failed := func(err error) { t.Error("the pool could not make one:", err) }
	pool := kind.NewPool(s.Choice, s.Dir, 1, failed)
	closed := false
	t.Cleanup(func() {
		if !closed {
			_ = pool.Close(t.Context())
		}
	})
	require.Eventually(t, func() bool { return pool.Ready() == 1 }, 2*time.Minute, 100*time.Millisecond)

	s.Pool = pool
	began := time.Now()
	c := up(t, s)
	assert.Less(t, time.Since(began), 5*time.Second, "it was made, not taken")
	client, err := cluster.FromKubeconfig(c.Kubeconfig, "test")
	require.NoError(t, err)
	_, err = client.Version(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Down(t.Context()))

	require.Eventually(t, func() bool { return pool.Ready() == 1 }, 2*time.Minute, 100*time.Millisecond, "it was not refilled")
	dead := nodeOf(t, s.Dir)
	docker(t, "kill", dead)
	// Refilling takes longer than noticing, so this one is made by Up itself.
	up(t, s)
	left, err := os.ReadDir(s.Dir)
	require.NoError(t, err)
	for _, e := range left {
		assert.NotEqual(t, dead, e.Name()+"-control-plane", "what had died was handed out, or left")
	}
	require.NoError(t, s.Down(t.Context()))

	closed = true
	began = time.Now()
	require.NoError(t, pool.Close(t.Context()))
	assert.Less(t, time.Since(began), bound)
	assertNothingLeft(t, s.Dir)
}
