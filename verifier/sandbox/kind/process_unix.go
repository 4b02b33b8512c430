//go:build unix

package kind

import (
	"os"
	"path/filepath"
	"syscall"
)

// ownGroup puts a command into a process group of its own.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// freeDisk is what an unprivileged process could still write, in bytes; 0 if
// it is unknown.
func freeDisk(path string) uint64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0
	}
	return uint64(s.Bavail) * uint64(s.Bsize) //nolint:unconvert // Bavail is an int64 on some systems
}

// inotifyInstances counts those of root's processes, as far as this process may
// look: the limit is one of each user, and nodes run as root.
func inotifyInstances() int {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0
	}
	used := 0
	for _, process := range processes {
		info, err := os.Stat(process)
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
			continue
		}
		links, _ := filepath.Glob(process + "/fd/*") // fails for a bad pattern only
		for _, link := range links {
			if to, err := os.Readlink(link); err == nil && to == "anon_inode:inotify" {
				used++
			}
		}
	}
	return used
}
