package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
)

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
			return cli.Print(c.OutOrStdout(), out.Format, rep, func(w io.Writer) error { return printReport(w, rep) })
		},
	}
	o.add(c)
	c.Flags().VarP(&out, "output", "o", "output format")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml", "junit"}, cobra.ShellCompDirectiveNoFileComp)) // fails only for an unknown flag
	return c
}
