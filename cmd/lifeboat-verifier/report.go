package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
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
	c.Long = `Every drill leaves its evidence in the location: JSON, JUnit and a page for
people. These commands read it; they change nothing.
` + cli.ExitHelp
	return c
}

// narrow chooses drills by what their records say. Empty fields choose all.
type narrow struct {
	backup, schedule, verdict string
	since                     time.Duration
}

func (n *narrow) addWhat(c *cobra.Command) {
	c.Flags().StringVar(&n.backup, "backup", "", "drills of the backup of this `name`")
	c.Flags().StringVar(&n.schedule, "schedule", "", "drills of backups of this `schedule`")
}

func (n *narrow) add(c *cobra.Command) {
	n.addWhat(c)
	c.Flags().StringVar(&n.verdict, "verdict", "", "drills with this `verdict`: passed, failed or error")
	c.Flags().DurationVar(&n.since, "since", 0, "drills that started within this time, as 24h")
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
		return cli.Usage("--since %s: it must not be negative", n.since)
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

// records are those the user wants, newest first. What cannot be read is named
// on stderr, and counted.
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
		fmt.Fprintln(stderr, "left out:", strings.ReplaceAll(u.Err.Error(), "\n", "; "))
	}
	now := time.Now()
	return slices.DeleteFunc(all, func(r evidence.Record) bool { return !n.holds(r, now) }), len(unreadable), nil
}

func newReportList() *cobra.Command {
	var loc cli.Location
	var n narrow
	var out cli.Format
	c := &cobra.Command{
		Use:   "list --location URL [--backup B] [--schedule S] [--verdict V] [--since 24h]",
		Short: "List the drills of a location, newest first",
		Long: `List the drills whose evidence lies in the location, newest first. Evidence that
cannot be read is named on standard error, and the exit status is then 3.
` + cli.ExitHelp,
		Example: `  lifeboat-verifier report list --location file:///var/backups/prod --since 24h
  lifeboat-verifier report list --location 's3://backups/prod?region=eu-central-1' --verdict failed -o json`,
		Args: cli.Args(0, 0),
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := n.check(); err != nil {
			return err
		}
		s, err := loc.Open(c.Context(), false)
		if err != nil {
			return err
		}
		records, unreadable, err := n.records(c.Context(), s, c.ErrOrStderr())
		if err != nil {
			return err
		}
		if len(records) == 0 {
			records = []evidence.Record{} // an empty list, not null
			fmt.Fprintf(c.ErrOrStderr(), "no such drills in %s\n", s)
		}
		if err := cli.Print(c.OutOrStdout(), out, records, printable(func(w io.Writer) error { return printRecords(w, records) })); err != nil {
			return err
		}
		if unreadable > 0 {
			return cli.Status(cli.ExitPartial)
		}
		return nil
	}
	loc.Add(c)
	n.add(c)
	cli.AddOutput(c, &out)
	return c
}

func printRecords(w io.Writer, records []evidence.Record) error {
	if len(records) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DRILL\tSTARTED\tTOOK\tVERDICT\tLEVEL\tFINDINGS\tSCHEDULE\tBACKUP\tPOLICY")
	for _, r := range records {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", r.Drill, r.Started.UTC().Format(time.DateTime), r.Finished.Sub(r.Started).Round(100*time.Millisecond),
			r.Verdict, r.Level, r.Findings, dash(r.Schedule), r.Backup, dash(r.Policy))
	}
	return t.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
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
		return cli.Usage("give the id of a drill or --latest (report list shows what there is)")
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
		return report.Report{}, fmt.Errorf("%w in %s (lifeboat-verifier report list shows what there is)", drilllog.ErrNoEvidence, s)
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
	return report.Report{}, fmt.Errorf("%w: drill %.80q in %s (lifeboat-verifier report list shows what there is)", drilllog.ErrNoEvidence, drill, s)
}

// junit is the output format that only reports have.
const junit cli.Format = "junit"

// reportFormat is cli.Format, and junit.
type reportFormat struct{ cli.Format }

// Type is what help texts show for the value.
func (f *reportFormat) Type() string { return "table|json|yaml|junit" }

// Set checks the value of the flag.
func (f *reportFormat) Set(s string) error {
	if cli.Format(s) == junit {
		f.Format = junit
		return nil
	}
	if f.Format.Set(s) != nil {
		return errors.New("must be table, json, yaml or junit")
	}
	return nil
}

func newReportGet() *cobra.Command {
	var o one
	out := reportFormat{cli.Table}
	c := &cobra.Command{
		Use:   "get " + oneUse,
		Short: "Show the evidence of one drill",
		Long:  "Show the evidence of one drill.\n" + cli.ExitHelp,
		Example: `  lifeboat-verifier report get 20261122T030004Z-5f2c9a01 --location file:///var/backups/prod
  lifeboat-verifier report get --latest --schedule nightly --location file:///var/backups/prod -o junit`,
		Args: cli.Args(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			rep, err := o.find(c.Context(), args, c.ErrOrStderr())
			if err != nil {
				return err
			}
			if out.Format == junit {
				return write(c.OutOrStdout(), rep.JUnit)
			}
			return cli.Print(c.OutOrStdout(), out.Format, rep, printable(func(w io.Writer) error { return printReport(w, rep) }))
		},
	}
	o.add(c)
	c.Flags().VarP(&out, "output", "o", "output format")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml", "junit"}, cobra.ShellCompDirectiveNoFileComp)) // fails only for an unknown flag
	return c
}

func newReportHTML() *cobra.Command {
	var o one
	var file string
	c := &cobra.Command{
		Use:   "html " + oneUse + " [--file F]",
		Short: "Write the page of one drill",
		Long: `Write the page of one drill: one file, without script, that needs nothing else.
It is made from the JSON, also where no page lies beside it.
` + cli.ExitHelp,
		Example: `  lifeboat-verifier report html --latest --backup shop-20261122 --location file:///var/backups/prod --file drill.html`,
		Args:    cli.Args(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			rep, err := o.find(c.Context(), args, c.ErrOrStderr())
			if err != nil {
				return err
			}
			if file == "" {
				return write(c.OutOrStdout(), rep.HTML)
			}
			page, err := rep.HTML()
			if err != nil {
				return err
			}
			return os.WriteFile(file, page, 0o644)
		},
	}
	o.add(c)
	c.Flags().StringVar(&file, "file", "", "`file` to write (default: standard output)")
	return c
}

// printable keeps what others wrote into evidence from steering the terminal.
func printable(table func(io.Writer) error) func(io.Writer) error {
	return func(w io.Writer) error {
		var b strings.Builder
		if err := table(&b); err != nil {
			return err
		}
		_, err := io.WriteString(w, report.Printable(b.String()))
		return err
	}
}

func write(w io.Writer, encode func() ([]byte, error)) error {
	b, err := encode()
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}
