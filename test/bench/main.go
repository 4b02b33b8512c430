// Command bench measures Lifeboat end to end, on real parts: an API server with
// its etcd, an S3 server, and the built programs run as a user runs them.
//
// A number of seconds says more about the machine than about Lifeboat, so each
// is measured together with what cannot be avoided, in one run and by turns:
// a backup with the paged LIST of the same resources whose answers are thrown
// away, a restore with the CREATE of the same objects by the same client from
// bodies that are ready. The ratios are recorded as they come out; the command
// fails only when something did not work.
//
//	go run ./test/bench -objects 10000 -out test/bench/results
//	go run ./test/bench -objects 10000 -profile /tmp/profiles
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// config is what the flags say.
type config struct {
	objects    int
	runs       int    // of LIST and backup
	createRuns int    // of CREATE and restore
	bin        string // folder of the programs
	out        string // folder of the results
	profile    string // folder of profiles; "" = measure
	noS3       bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == measureVerb {
		return measureMain(ctx, args[1:], stdout, stderr)
	}
	c, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "error:", err)
		return 2
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	if c.profile != "" {
		err = profile(ctx, c, log)
	} else {
		err = bench(ctx, c, stdout, log)
	}
	if err != nil {
		fmt.Fprintln(stderr, "error:", err)
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&c.objects, "objects", 10000, "objects in the cluster, namespaces included")
	fs.IntVar(&c.runs, "runs", 0, "turns of LIST and backup (default 7; 3 above 20,000 objects)")
	fs.IntVar(&c.createRuns, "create-runs", 0, "turns of CREATE and restore, each into a cluster of its own (default 3; 1 above 20,000 objects)")
	fs.StringVar(&c.bin, "bin", "bin", "folder of lifeboat, lifeboat-verifier and lifeboat-controlplane (make build controlplane)")
	fs.StringVar(&c.out, "out", "", "folder for the results as JSON and Markdown (default: none are kept)")
	fs.StringVar(&c.profile, "profile", "", "instead of measuring, run one backup and one restore in this process and write their CPU profiles into this folder")
	fs.BoolVar(&c.noS3, "no-s3", false, "leave the backups to an S3 server out")
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	c.runs = cmp.Or(c.runs, map[bool]int{false: 7, true: 3}[c.large()])
	c.createRuns = cmp.Or(c.createRuns, map[bool]int{false: 3, true: 1}[c.large()])
	switch {
	case fs.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case c.objects < 1 || c.runs < 1 || c.createRuns < 1:
		return c, errors.New("-objects, -runs and -create-runs must be 1 or more")
	}
	for _, dir := range []*string{&c.bin, &c.out, &c.profile} {
		if *dir == "" {
			continue
		}
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return c, err
		}
		*dir = abs
	}
	return c, nil
}

// large reports whether a run takes minutes: then it is measured less often, and
// neither drilled nor profiled.
func (c config) large() bool { return c.objects > 20_000 }

// command is what makes the run again, without the folders of this machine.
func (c config) command() string {
	s := fmt.Sprintf("go run ./test/bench -objects %d -runs %d -create-runs %d", c.objects, c.runs, c.createRuns)
	if c.noS3 {
		s += " -no-s3"
	}
	return s
}

func (c config) program(name string) string { return filepath.Join(c.bin, name) }
