package sandbox

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAGroupOfTheDeadIsNotAlive(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "sleep")
	cmd.SysProcAttr = ownGroup()
	require.NoError(t, cmd.Start())
	assert.True(t, groupAlive(cmd.Process.Pid))
	killGroup(cmd.Process)
	// No one waits for it yet: it is a zombie, which takes signals as the living do.
	assert.Eventually(t, func() bool { return !groupAlive(cmd.Process.Pid) }, time.Second, time.Millisecond)
	assert.True(t, Alive(cmd.Process.Pid))
	require.Error(t, cmd.Wait())
	assert.False(t, Alive(cmd.Process.Pid))
}
