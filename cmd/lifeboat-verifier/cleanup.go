package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox/kind"
)

type cleanupFlags struct {
	olderThan time.Duration
	dryRun    bool
	out       cli.Format
}

// cleaned is one thing that a killed drill left.
type cleaned struct {
	Kind   string     `json:"kind"` // kind or controlplane
	Name   string     `json:"name"`
	Made   *time.Time `json:"made,omitempty"`
	Reason string     `json:"reason"`
}

// cleanupResult is what -o json and yaml print.
type cleanupResult struct {
	DryRun  bool      `json:"dryRun"`
	Removed []cleaned `json:"removed"`
}

func newCleanup() *cobra.Command {
	var f cleanupFlags
	c := &cobra.Command{
		Use:   "cleanup [--older-than 24h] [--dry-run]",
		Short: "Remove sandboxes that a killed verifier left behind",
		Long: `Remove the kind clusters and the control planes' folders of drills whose verifier
was killed before it could remove them. Every drill does this when it starts; the
command is for hosts that run no more drills.

A sandbox is removed if its verifier has ended, or if its verifier cannot be
checked (it ran on another machine or in another container) and the sandbox is
older than --older-than. Clusters that no drill created are never removed: the
whole name must match.
` + cli.ExitHelp,
		Example: `  lifeboat-verifier cleanup --dry-run
  lifeboat-verifier cleanup --older-than 2h -o json`,
		Args: cli.Args(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	cli.DurationVar(c.Flags(), &f.olderThan, "older-than", kind.OldEnough, "minimum age for removing a sandbox whose verifier cannot be checked")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "list what would be removed, and remove nothing")
	cli.AddOutput(c, &f.out)
	return c
}

func (f *cleanupFlags) run(c *cobra.Command) error {
	if f.olderThan <= 0 {
		return cli.Usage("--older-than %s: must be longer than 0", f.olderThan)
	}
	removed, err := f.clean(c.Context())
	if err != nil && len(removed) == 0 {
		return err // the search was not complete
	}
	result := cleanupResult{DryRun: f.dryRun, Removed: removed}
	printErr := cli.Print(c.OutOrStdout(), f.out, result, func(w io.Writer) error { return printCleanup(w, result) })
	return errors.Join(err, printErr)
}

// clean removes what it can; the error says what it could not remove.
func (f *cleanupFlags) clean(ctx context.Context) ([]cleaned, error) {
	removed := []cleaned{}
	sweep := sandbox.Sweep
	if f.dryRun {
		sweep = sandbox.Stale
	}
	folders, folderErr := sweep(os.TempDir())
	for _, path := range folders {
		removed = append(removed, cleaned{Kind: "controlplane", Name: filepath.Base(path), Reason: "its verifier has ended without removing it"})
	}
	clusters, kindErr := kind.Sweep(ctx, kind.SweepOptions{OlderThan: f.olderThan, DryRun: f.dryRun})
	for _, l := range clusters {
		removed = append(removed, cleaned{Kind: "kind", Name: l.Name, Made: &l.Made, Reason: l.Reason})
	}
	return removed, errors.Join(folderErr, kindErr)
}

func printCleanup(w io.Writer, r cleanupResult) error {
	if len(r.Removed) == 0 {
		cli.Printf(w, "Nothing to remove.\n")
		return nil
	}
	head := "REMOVED"
	if r.DryRun {
		head = "WOULD REMOVE"
	}
	t := cli.NewColumns(w)
	t.Row(head, "KIND", "WHY")
	for _, c := range r.Removed {
		t.Row(c.Name, c.Kind, c.Reason)
	}
	return t.Flush()
}
