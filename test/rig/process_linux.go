package rig

import (
	"os"
	"syscall"
)

// endWithParent makes the kernel kill a server whose test process died before
// its cleanup ran.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// pause stops a process where it is, resume lets it go on.
func pause(p *os.Process) error  { return p.Signal(syscall.SIGSTOP) }
func resume(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
