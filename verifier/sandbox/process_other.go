//go:build !unix

package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// The control plane itself runs on Unix only; here the package only compiles,
// for the programs that import it.

func ownGroup() *syscall.SysProcAttr { return nil }

func killGroup(p *os.Process) { _ = p.Kill() }

func groupAlive(int) bool { return false }

// Alive returns true for every process: on this system it is unknown.
func Alive(int) bool { return true }

func ours(fs.FileInfo) bool { return false }

func inUse(string) bool { return true }

// LockDir fails with errors.ErrUnsupported: this system has no such locks.
func LockDir(string) (*os.File, error) { return nil, errors.ErrUnsupported }
