package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
)

func newBackup(stdin io.Reader) *cobra.Command {
	return cli.Group("backup", "Make, list, verify and delete backups",
		newBackupCreate(), newBackupGet(), newBackupDescribe(), newBackupVerify(), newBackupDelete(stdin))
}
