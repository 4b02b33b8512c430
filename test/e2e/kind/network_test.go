//go:build e2e && kind

package kind_test

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASandboxStartsAlthoughTheLastUserOfTheNetworkTakesItAway(t *testing.T) {
	s := newSandbox(t)
	over := make(chan struct{})
	taken := make(chan int, 1)
	go func() {
		n := 0
		// The first time kind itself may not have looked for it yet.
		for n < 3 {
			select {
			case <-over:
				taken <- n
				return
			default:
			}
			if exec.Command("docker", "network", "rm", "kind").Run() == nil {
				n++
			}
		}
		taken <- n
	}()
	_, err := s.Up(t.Context())
	close(over)
	t.Logf("the network was taken away %d times", <-taken)
	require.NoError(t, err)
	require.NoError(t, s.Down(t.Context()))
	assertNothingLeft(t, s.Dir)
}
