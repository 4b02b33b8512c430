// Command lifeboat-verifier proves that backups can be restored, or finds why not.
package main

import (
	"os"
	_ "time/tzdata" // CRON_TZ works where the image has no time zones

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
)

func main() {
	cli.LimitMemory()
	os.Exit(cli.Main(newRoot(), os.Args[1:], os.Stdout, os.Stderr))
}

func newRoot() *cobra.Command {
	root := cli.Group("lifeboat-verifier", "Prove that backups can be restored",
		newDrill(),
		newRun(),
		newPolicy(),
		newReport(),
		newCleanup(),
		cli.NewVersion("lifeboat-verifier"),
	)
	root.Long = `Lifeboat-verifier restores backups, created by Lifeboat or Velero, into ephemeral
clusters and compares the restored objects with the backup. It needs the location,
not the source cluster. It writes only evidence, below metadata/lifeboat/drills/,
and the record of scheduled runs, below metadata/lifeboat/ledger/.
` + cli.ExitHelp
	return root
}
