package main

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent makes the kernel kill the child when the thread that starts it
// ends, so that even a SIGKILL of this process leaves no child.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// executable is this very binary, also after its file was replaced.
func executable() (string, error) {
	return "/proc/self/exe", nil
}

func replaceDescriptor(with, fd int) error {
	return unix.Dup3(with, fd, 0)
}
