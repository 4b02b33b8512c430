// Command entrypoint is the first process of a node of the project's own image.
// It makes of a fresh privileged container what systemd and the kubelet expect
// of a machine, and then becomes systemd. What it does depends on the host
// (cgroup version, IPv6, capabilities), so it is done here and not in the image.
//
// It never prints "detected cgroup v1" nor "Reached target Multi-User System":
// kind waits for either in the log, and would go on before systemd runs.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

// run does what the first argument says:
//
//	entrypoint COMMAND...       boot, then become COMMAND
//	entrypoint kubelet-cgroup   before the kubelet starts, on cgroup v2
//	entrypoint load ARCHIVE     when the image is built: import images
func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "kubelet-cgroup":
		return delegate("/sys/fs/cgroup")
	case len(args) == 2 && args[0] == "load":
		return load(ctx, args[1])
	case len(args) > 0 && args[0][0] == '/':
		if err := boot(ctx); err != nil {
			return err
		}
		return fmt.Errorf("run %s: %w", args[0], syscall.Exec(args[0], args, os.Environ()))
	}
	return fmt.Errorf("unknown arguments %q", args)
}
