//go:build unix && !linux

package main

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent has nothing to offer here: the child ends because its stdin
// does.
func dieWithParent() *syscall.SysProcAttr {
	return nil
}

func executable() (string, error) {
	return os.Executable()
}

func replaceDescriptor(with, fd int) error {
	return unix.Dup2(with, fd)
}
