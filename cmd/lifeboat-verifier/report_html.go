package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
)

func newReportHTML() *cobra.Command {
	var o one
	var file string
	c := &cobra.Command{
		Use:   "html " + oneUse + " [--file F]",
		Short: "Write the page of one drill",
		Long: `Write the page of one drill: a single HTML file without scripts. It is rendered
from the JSON, so it does not need the page in the location.
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
			return os.WriteFile(file, page, 0o600) // as the evidence that it is made from
		},
	}
	o.add(c)
	c.Flags().StringVar(&file, "file", "", "`file` to write (default: standard output)")
	return c
}
