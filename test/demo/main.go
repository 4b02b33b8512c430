// Command demo shows the main job on clusters of its own: objects of a real API
// server are backed up, lost with their cluster, restored into a new one and
// drilled; a drill of a sabotaged copy fails; the metrics say so. It calls the same
// programs a user would, checks every claim it prints by itself, and fails if
// one is untrue. Nothing is left behind.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	bin := flag.String("bin", "bin", "folder of the programs")
	objects := flag.Int("objects", 2000, "objects in the cluster, at least")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, *bin, *objects, os.Stdout))
}

// claim is one line of the table at the end: what is claimed, what was seen,
// and whether that bears it out.
type claim struct {
	what, seen string
	took       time.Duration
	holds      bool
}

type demo struct {
	bin     string
	dir     string // everything is in here
	objects int
	out     io.Writer
	claims  []claim
}

func run(ctx context.Context, bin string, objects int, out io.Writer) int {
	dir, err := os.MkdirTemp("", "lifeboat-demo-")
	if err != nil {
		fmt.Fprintln(out, "error:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if bin, err = filepath.Abs(bin); err != nil {
		fmt.Fprintln(out, "error:", err)
		return 1
	}
	d := &demo{bin: bin, dir: dir, objects: objects, out: out}
	err = d.story(ctx)
	holds := d.table()
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(out, "interrupted")
		return 130
	case err != nil:
		fmt.Fprintln(out, "error:", err)
		return 1
	case !holds:
		fmt.Fprintln(out, "A claim above is untrue.")
		return 1
	}
	fmt.Fprintln(out, "Every claim was checked and holds.")
	return 0
}

// claim records what was seen; it is printed at once and again in the table.
func (d *demo) claim(what string, holds bool, took time.Duration, format string, args ...any) {
	c := claim{what: what, seen: fmt.Sprintf(format, args...), took: took, holds: holds}
	d.claims = append(d.claims, c)
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, "\n== "+format+"\n", args...) }

func (d *demo) table() bool {
	holds := len(d.claims) > 0
	fmt.Fprintln(d.out)
	t := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLAIM\tSEEN\tSECONDS\tTRUE")
	for _, c := range d.claims {
		truth := "yes"
		if !c.holds {
			truth, holds = "NO", false
		}
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%s\n", c.what, c.seen, c.took.Seconds(), truth)
	}
	_ = t.Flush() // to a terminal or a pipe: nothing more can be said there
	return holds
}
