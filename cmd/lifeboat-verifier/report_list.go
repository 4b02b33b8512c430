package main

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
)

func newReportList() *cobra.Command {
	var loc cli.Location
	var n narrow
	var out cli.Format
	c := &cobra.Command{
		Use:   "list --location URL [--backup B] [--schedule S] [--verdict V] [--since 24h]",
		Short: "List the drills of a location, newest first",
		Long: `List the drills whose evidence is in the location, newest first. Unreadable
evidence is named on standard error, and the exit status is then 3.
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
			cli.Printf(c.ErrOrStderr(), "no matching drills in %s\n", s)
		}
		if err := cli.Print(c.OutOrStdout(), out, records, func(w io.Writer) error { return printRecords(w, records) }); err != nil {
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
	t := cli.NewColumns(w)
	t.Row("DRILL", "STARTED", "TOOK", "VERDICT", "LEVEL", "FINDINGS", "SCHEDULE", "BACKUP", "POLICY")
	for _, r := range records {
		t.Row(r.Drill, r.Started.UTC().Format(time.DateTime), r.Finished.Sub(r.Started).Round(100*time.Millisecond),
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
