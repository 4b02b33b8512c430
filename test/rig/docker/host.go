package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// install installs Debian's Docker if it is missing.
func install(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("no Docker daemon answers, and starting one needs root")
	}
	if there("dockerd") && there("docker") {
		return nil
	}
	if !there("apt-get") {
		return errors.New("no Docker daemon answers, dockerd is missing, and there is no apt-get to install docker.io with")
	}
	fmt.Fprintln(os.Stderr, "rig: installing docker.io")
	if err := apt(ctx, "install"); err == nil {
		return nil
	}
	// The package lists may be missing or old.
	if out, err := exec.CommandContext(ctx, "apt-get", "update").CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get update: %w: %s", err, lastLine(out))
	}
	return apt(ctx, "install")
}

func apt(ctx context.Context, verb string) error {
	cmd := exec.CommandContext(ctx, "apt-get", verb, "--yes", "--no-install-recommends", "docker.io", "iptables")
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s docker.io: %w: %s", verb, err, lastLine(out))
	}
	return nil
}

func there(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// enoughInotify is what kind's documentation asks for; a node takes 26 instances.
const enoughInotify = 512

// raiseInotify sees to it that the nodes of a test run do not exhaust the
// instances that one user may have, and says so when it changes the host.
func raiseInotify(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	now, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if now >= enoughInotify {
		return nil
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(enoughInotify)), 0o644); err != nil {
		return fmt.Errorf("fs.inotify.max_user_instances is %d, clusters need %d: %w", now, enoughInotify, err)
	}
	fmt.Fprintf(os.Stderr, "rig: raised fs.inotify.max_user_instances from %d to %d\n", now, enoughInotify)
	return nil
}
