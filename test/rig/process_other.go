//go:build !linux

package rig

import (
	"errors"
	"os"
	"syscall"
)

func endWithParent() *syscall.SysProcAttr { return nil }

var errNoPause = errors.New("only tests on Linux pause processes")

// pause stops a process where it is, resume lets it go on.
func pause(*os.Process) error  { return errNoPause }
func resume(*os.Process) error { return errNoPause }
