//go:build unix && !linux

package sandbox

import "syscall"

// ownGroup puts a child into a process group of its own, so that it can be
// killed with its children. That it ends with this process is up to its stdin.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

func groupAlive(pid int) bool {
	return syscall.Kill(-pid, 0) == nil
}

// inUse is unknown on this system. The lock shows that the owner has ended, and a
// control plane ends within seconds of its owner.
func inUse(string) bool { return false }
