// Command docker runs a command where a Docker daemon is there:
//
//	go run ./test/rig/docker -- make node-image
//
// A daemon that answers already is used and left alone. Where none does, this
// command installs Debian's docker.io with apt if dockerd is missing, starts a
// dockerd for the time of the command, and stops it after that. That daemon
// keeps its images in .cache/docker of the repository, has a socket of its own
// (the command finds it in DOCKER_HOST) and no default bridge. On hosts without
// CAP_SYS_RESOURCE it runs containers through
// tools/nodeimage/runtime.
//
// What it changes on the host and does not take back: the packages, the sysctl
// fs.inotify.max_user_instances when it is below 512, and what dockerd itself
// sets (IP forwarding, chains of iptables).
//
// It exits with the status of the command.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func main() {
	// The kernel ends the daemon when the thread that started it ends: see
	// daemon.start.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "rig:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return errors.New("usage: go run ./test/rig/docker -- COMMAND [ARGUMENT...]")
	}
	if err := raiseInotify("/proc/sys/fs/inotify/max_user_instances"); err != nil {
		return err
	}
	env := os.Environ()
	if !answers(ctx, env) {
		if err := install(ctx); err != nil {
			return err
		}
	}
	if !answers(ctx, env) { // the package starts one where systemd runs
		d, err := newDaemon(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.stop()) }()
		if err := d.start(ctx); err != nil {
			return err
		}
		env = append(env, "DOCKER_HOST="+d.host())
	}
	return command(ctx, env, args)
}

// command runs until the command ends. A signal is handed on, once.
func command(ctx context.Context, env, args []string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Minute
	return cmd.Run()
}

// answers reports whether the docker program finds a daemon.
func answers(ctx context.Context, env []string) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}")
	cmd.Env = env
	return cmd.Run() == nil
}
