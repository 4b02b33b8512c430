package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// suite stays at bookworm: its systemd is the last that runs on cgroup v1.
const suite = "bookworm"

// packages are what a node needs besides Debian's minimum.
var packages = [...]string{
	"systemd", "mount", "util-linux", "iproute2", "iptables", "nftables", "bash", "procps", "hostname",
	"containerd", "runc", "containernetworking-plugins", "conntrack", "ethtool", "kmod",
}

// debian provides an archive of a fresh Debian with the packages. It is kept in
// the cache: the node's own files change more often than Debian.
func (b *builder) debian(ctx context.Context) (string, error) {
	list := strings.Join(packages[:], ",")
	sum := sha256.Sum256([]byte(suite + list + runtime.GOARCH + b.mirror))
	archive := filepath.Join(b.cache, fmt.Sprintf("debian-%x.tar", sum[:6]))
	if _, err := os.Stat(archive); err == nil {
		return archive, nil
	}
	if err := debootstrapThere(ctx); err != nil {
		return "", err
	}
	b.say("installing Debian %s packages", suite)
	dir, err := os.MkdirTemp(b.cache, "debian-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	args := []string{"--variant=minbase", "--include=" + list, suite, filepath.Join(dir, "root")}
	if b.mirror != "" {
		args = append(args, b.mirror)
	}
	if err := isolated(ctx, filepath.Join(b.cache, "debootstrap.log"), "debootstrap", args...); err != nil {
		return "", err
	}
	half := archive + ".part"
	defer os.Remove(half)
	if out, err := exec.CommandContext(ctx, "tar", "--numeric-owner", "--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*",
		"-C", filepath.Join(dir, "root"), "-cf", half, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("tar: %w: %s", err, out)
	}
	return archive, os.Rename(half, archive)
}

// debootstrapThere installs debootstrap where apt can, or says in one line what
// is missing.
func debootstrapThere(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("debootstrap has to run as root: sudo make node-image")
	}
	if _, err := exec.LookPath("debootstrap"); err == nil {
		return nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return errors.New("debootstrap is missing, and there is no apt-get to install it with")
	}
	cmd := exec.CommandContext(ctx, apt, "install", "--yes", "--no-install-recommends", "debootstrap")
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get install debootstrap (apt-get update may help): %w: %s", err, lastLine(out))
	}
	return nil
}

// isolated runs a program in mount and process namespaces of its own: when it
// ends, whichever way, none of its mounts and processes is left.
func isolated(ctx context.Context, log, name string, args ...string) error {
	f, err := os.Create(log)
	if err != nil {
		return err
	}
	defer f.Close()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(log)
		return fmt.Errorf("%s: %w: %s (see %s)", name, err, lastLine(said), log)
	}
	return nil
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
