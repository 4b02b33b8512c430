package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// kubeletRoot is where kind configures the kubelet to put pods (its setting
// cgroupRoot); the kubelet ends when it is not there.
const kubeletRoot = "kubelet"

// cgroups makes the kubelet's root cgroups on cgroup v1. On v2 that has to wait
// until systemd has moved this process out of the root: see delegate.
func cgroups() error {
	if unified("/sys/fs/cgroup") {
		return nil
	}
	fmt.Println("node: this host has a cgroup v1 hierarchy")
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer f.Close()
	hierarchies, err := cgroupMounts(f)
	if err != nil {
		return err
	}
	if err := syscall.Mount("", "/sys/fs/cgroup", "", syscall.MS_PRIVATE|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("keep the mounts of /sys/fs/cgroup private: %w", err)
	}
	for _, h := range hierarchies {
		for _, name := range []string{kubeletRoot, kubeletRoot + ".slice"} {
			if err := pin(h, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// cgroupMounts are the mount points of cgroup v1 hierarchies in a mountinfo
// (proc_pid_mountinfo(5)).
func cgroupMounts(mountinfo io.Reader) ([]string, error) {
	var points []string
	s := bufio.NewScanner(mountinfo)
	for s.Scan() {
		mount, kind, ok := strings.Cut(s.Text(), " - ")
		fields := strings.Fields(mount)
		if ok && len(fields) > 4 && strings.HasPrefix(kind, "cgroup ") {
			points = append(points, fields[4])
		}
	}
	return points, s.Err()
}

// pin makes a cgroup and mounts it onto itself: systemd removes empty cgroups
// that it did not make, but not one that is busy.
func pin(hierarchy, name string) error {
	dir := filepath.Join(hierarchy, name)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} { // empty in a new cpuset, which then takes no process
		value, err := os.ReadFile(filepath.Join(hierarchy, file))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), value, 0o644)
		}
		if err != nil {
			return err
		}
	}
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("pin %s: %w", dir, err)
	}
	return nil
}

func unified(root string) bool {
	_, err := os.Stat(filepath.Join(root, "cgroup.controllers"))
	return err == nil
}

// delegate makes the kubelet's root cgroups on cgroup v2, with all controllers
// handed down. It does nothing on v1.
func delegate(root string) error {
	if !unified(root) {
		return nil
	}
	dirs := []string{root, filepath.Join(root, kubeletRoot), filepath.Join(root, kubeletRoot+".slice")}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		available, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
		if err != nil {
			return err
		}
		for _, c := range strings.Fields(string(available)) {
			// One by one: a controller that cannot be handed down must not keep the
			// others back. The kubelet says itself which one it misses.
			if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0o644); err != nil {
				fmt.Fprintf(os.Stderr, "node: %s does not hand down %s: %v\n", dir, c, err)
			}
		}
	}
	return nil
}
