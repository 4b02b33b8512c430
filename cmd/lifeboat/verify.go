package main

import "github.com/spf13/cobra"

func newBackupVerify() *cobra.Command { return &cobra.Command{Use: "verify"} }
