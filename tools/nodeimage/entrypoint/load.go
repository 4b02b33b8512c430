package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const socket = "/run/containerd/containerd.sock"

// load imports and unpacks the images of an archive (- is stdin) with a
// containerd of its own, so that no cluster has to.
func load(ctx context.Context, archive string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	server := exec.Command("/usr/bin/containerd")
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end(server)) }()
	if err := ready(ctx); err != nil {
		return err
	}
	importer := exec.CommandContext(ctx, "ctr", "--namespace", "k8s.io", "images", "import", archive)
	importer.Stdin, importer.Stdout, importer.Stderr = os.Stdin, os.Stderr, os.Stderr
	if err := importer.Run(); err != nil {
		return fmt.Errorf("import %s: %w", archive, err)
	}
	return nil
}

func ready(ctx context.Context) error {
	for {
		if exec.CommandContext(ctx, "ctr", "version").Run() == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("containerd does not answer on %s: %w", socket, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func end(server *exec.Cmd) error {
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return server.Wait()
}
