package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

func newReport() *cobra.Command {
	c := cli.Group("report", "List and show the evidence of drills", newReportList(), newReportGet(), newReportHTML())
	c.Long = `Every drill leaves its evidence in the location: JSON, JUnit and an HTML page.
These commands read it and change nothing.
` + cli.ExitHelp
	return c
}

// narrow selects drills by their records. Empty fields select all.
type narrow struct {
	backup, schedule, verdict string
	since                     time.Duration
}

func (n *narrow) addWhat(c *cobra.Command) {
	cli.TextVarP(c.Flags(), &n.backup, "backup", "", "drills of the backup of this `name`")
	cli.TextVarP(c.Flags(), &n.schedule, "schedule", "", "drills of backups of this `schedule`")
}

func (n *narrow) add(c *cobra.Command) {
	n.addWhat(c)
	cli.TextVarP(c.Flags(), &n.verdict, "verdict", "", "drills with this `verdict`: passed, failed or error")
	cli.DurationVar(c.Flags(), &n.since, "since", 0, "drills that started within this time, such as 24h")
	verdicts := []string{string(report.Passed), string(report.Failed), string(report.Error)}
	_ = c.RegisterFlagCompletionFunc("verdict", cobra.FixedCompletions(verdicts, cobra.ShellCompDirectiveNoFileComp)) // fails only for an unknown flag
}

func (n *narrow) check() error {
	if n.backup != "" {
		if err := store.CheckName(n.backup); err != nil {
			return cli.Usage("--backup: %w", err)
		}
	}
	if n.since < 0 {
		return cli.Usage("--since %s: must not be negative", n.since)
	}
	switch report.Verdict(n.verdict) {
	case "", report.Passed, report.Failed, report.Error:
		return nil
	}
	return cli.Usage("--verdict %q: must be passed, failed or error", n.verdict)
}

func (n *narrow) holds(r evidence.Record, now time.Time) bool {
	return (n.backup == "" || r.Backup == n.backup) &&
		(n.schedule == "" || r.Schedule == n.schedule) &&
		(n.verdict == "" || string(r.Verdict) == n.verdict) &&
		(n.since == 0 || now.Sub(r.Started) <= n.since)
}

// records returns the drills that match, newest first. What cannot be read is
// named on stderr, and counted.
func (n *narrow) records(ctx context.Context, s store.Store, stderr io.Writer) ([]evidence.Record, int, error) {
	x := evidence.Index{Store: s}
	list := x.List
	if n.backup != "" {
		list = func(ctx context.Context) ([]evidence.Record, []evidence.Unreadable, error) {
			return x.OfBackup(ctx, n.backup)
		}
	}
	all, unreadable, err := list(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, u := range unreadable {
		cli.Printf(stderr, "skipping: %s\n", strings.ReplaceAll(u.Err.Error(), "\n", "; "))
	}
	now := time.Now()
	return slices.DeleteFunc(all, func(r evidence.Record) bool { return !n.holds(r, now) }), len(unreadable), nil
}

// one chooses the evidence of one drill: by its id, or the newest.
type one struct {
	loc    cli.Location
	what   narrow
	latest bool
}

const oneUse = "(DRILL | --latest [--backup B | --schedule S]) --location URL"

func (o *one) add(c *cobra.Command) {
	o.loc.Add(c)
	o.what.addWhat(c)
	c.Flags().BoolVar(&o.latest, "latest", false, "the newest drill, of a backup or schedule if one is named")
}

func (o *one) check(args []string) error {
	switch {
	case o.latest == (len(args) == 1):
		return cli.Usage("give the id of a drill or --latest (see report list)")
	case o.what.backup != "" && o.what.schedule != "":
		return cli.Usage("give --backup or --schedule, not both")
	case o.what.schedule != "" && !o.latest:
		return cli.Usage("--schedule goes with --latest")
	}
	return o.what.check()
}

// find reads the report.
func (o *one) find(ctx context.Context, args []string, stderr io.Writer) (report.Report, error) {
	if err := o.check(args); err != nil {
		return report.Report{}, err
	}
	s, err := o.loc.Open(ctx, false)
	if err != nil {
		return report.Report{}, err
	}
	if !o.latest {
		return byID(ctx, s, o.what.backup, args[0])
	}
	records, _, err := o.what.records(ctx, s, stderr)
	if err != nil {
		return report.Report{}, err
	}
	if len(records) == 0 {
		return report.Report{}, fmt.Errorf("%w in %s (see lifeboat-verifier report list)", drilllog.ErrNoEvidence, s)
	}
	return drilllog.ReadEvidence(ctx, s, records[0].Ref())
}

func byID(ctx context.Context, s store.Store, backup, drill string) (report.Report, error) {
	for e, err := range drilllog.Evidence(ctx, s, backup) {
		if err != nil {
			return report.Report{}, err
		}
		if e.Drill == drill {
			return drilllog.ReadEvidence(ctx, s, e.Ref)
		}
	}
	return report.Report{}, fmt.Errorf("%w: drill %.80q in %s (see lifeboat-verifier report list)", drilllog.ErrNoEvidence, drill, s)
}

func write(w io.Writer, encode func() ([]byte, error)) error {
	b, err := encode()
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}
