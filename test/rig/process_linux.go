package rig

import "syscall"

// endWithParent makes the kernel kill a server whose test process died before
// its cleanup ran.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
