// Command nodeimage builds a node image for kind without any image registry:
// Debian's packages, and Kubernetes, etcd and CoreDNS compiled from their Go
// modules, put together with the project's own entrypoint and units (files,
// entrypoint, runtime, pause). It needs root (debootstrap makes a Debian),
// Debian's archive, the Go module proxy and a Docker daemon.
//
// The image is named after its inputs: the sources in this folder, the package
// list, the versions of Go, kind and the modules. While they do not change the
// image that the daemon has is right, or else the archive of it in the cache.
//
// It prints the reference on stdout and its progress on stderr. When it is
// interrupted it leaves no container, volume, mount or half-written archive.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted:
		fmt.Fprintln(os.Stderr, "node image: interrupted; what was made is removed")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "node image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("nodeimage", flag.ContinueOnError)
	mirror := flags.String("mirror", "", "Debian archive to take packages from (default: debootstrap's)")
	cache := flags.String("cache", "", "folder for what can be used again (default: .cache/node-image of the repository)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	in, err := gatherInputs(ctx)
	if err != nil {
		return err
	}
	if *cache == "" {
		*cache = filepath.Join(in.root, ".cache", "node-image")
	}
	if err := os.MkdirAll(*cache, 0o755); err != nil {
		return err
	}
	b := builder{in: in, cache: *cache, mirror: *mirror, started: time.Now()}
	if err := b.provide(ctx); err != nil {
		return err
	}
	fmt.Println(in.reference())
	return nil
}
