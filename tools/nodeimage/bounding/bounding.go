// Package bounding looks at the capability bounding set of this process, which
// no process on the machine can leave.
package bounding

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// sysResource is the bit of CAP_SYS_RESOURCE, see linux/capability.h.
const sysResource = 24

// LacksSysResource reports whether CAP_SYS_RESOURCE is out of reach here: then no
// container can be given it, and every privileged one asks for it.
func LacksSysResource() (bool, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false, err
	}
	return lacks(string(status))
}

// lacks reads /proc/PID/status, see proc_pid_status(5).
func lacks(status string) (bool, error) {
	for line := range strings.Lines(status) {
		if hex, ok := strings.CutPrefix(line, "CapBnd:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			if err != nil {
				return false, fmt.Errorf("capability bounding set: %w", err)
			}
			return set&(1<<sysResource) == 0, nil
		}
	}
	return false, errors.New("/proc/self/status names no capability bounding set")
}
