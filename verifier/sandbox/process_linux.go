package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ownGroup puts a child into a process group of its own, so that it can be
// killed with its children, and makes the kernel kill it when the thread that
// starts it ends.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// inUse tells whether a process works in the directory, as a control plane does
// in its own.
func inUse(dir string) bool {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return true
	}
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err == nil && (cwd == dir || strings.HasPrefix(cwd, dir+"/")) {
			return true
		}
	}
	return false
}
