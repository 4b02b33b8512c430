package rig

import (
	"os"
	"syscall"
)

// endWithParent makes the kernel kill a server whose parent died before it stopped
// the server.
func endWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }

// pause stops a process where it is, resume lets it go on.
func pause(p *os.Process) error  { return p.Signal(syscall.SIGSTOP) }
func resume(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
