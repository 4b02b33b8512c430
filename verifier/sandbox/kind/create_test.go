package kind

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFailuresThatAreKnownAreSaidWithWhatMendsThem(t *testing.T) {
	failed := errors.New(`command "docker run" failed with error: exit status 125`)
	for output, want := range map[string]string{
		"docker: Error response from daemon: OCI runtime create failed: unable to start container process: unable to apply caps: operation not permitted": "this host grants CAP_SYS_RESOURCE to no process: run the engine with an OCI runtime that leaves this capability out",
		"Failed to create inotify object: too many open files":    "sysctl fs.inotify.max_user_instances=1024",
		"mkdir /var/lib/docker/overlay2: no space left on device": "make room, for instance with docker system prune",
	} {
		err := explain(failed, output)
		assert.ErrorContains(t, err, want)
		assert.ErrorIs(t, err, failed)
	}
	assert.Equal(t, failed, explain(failed, "something new"))
}

func TestTheEndOfALogIsWholeLines(t *testing.T) {
	assert.Equal(t, "short", end(" short\n"))
	long := end(strings.Repeat("0123456789\n", 1000) + "last")
	assert.LessOrEqual(t, len(long), maxLog)
	assert.True(t, strings.HasPrefix(long, "0123456789\n") && strings.HasSuffix(long, "\nlast"))
}
