package main

import (
	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
)

func newPolicy() *cobra.Command {
	return cli.Group("policy", "Work with drill policies", newPolicyCheck())
}
