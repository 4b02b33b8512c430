//go:build !linux

package rig

import (
	"errors"
	"os"
	"syscall"
)

func endWithParent(*syscall.SysProcAttr) {}

var errNoPause = errors.New("processes are paused on Linux only")

// pause stops a process where it is, resume lets it go on.
func pause(*os.Process) error  { return errNoPause }
func resume(*os.Process) error { return errNoPause }
