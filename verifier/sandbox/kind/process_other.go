//go:build !unix

package kind

import "syscall"

func ownGroup() *syscall.SysProcAttr { return nil }

func freeDisk(string) uint64 { return 0 }

func inotifyInstances() int { return 0 }
