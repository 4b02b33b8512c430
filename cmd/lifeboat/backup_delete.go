package main

import (
	"bufio"
	"fmt"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

func newBackupDelete(stdin io.Reader) *cobra.Command {
	var (
		loc     cli.Location
		confirm bool
	)
	c := &cobra.Command{
		Use: "delete NAME --location URL", Short: "Delete a backup, or the files of an interrupted one", Args: cli.Args(1, 1),
		Long: `Delete all files of a backup, its commit marker first. At a terminal, the command
asks for confirmation unless --confirm is given.

If a lock of the bucket still protects the commit marker, the command fails and
nothing is deleted. A bucket with versioning keeps deleted files as older versions
until a lifecycle rule removes them.
` + cli.ExitHelp,
	}
	loc.Add(c)
	c.Flags().BoolVar(&confirm, "confirm", false, "do not ask for confirmation")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := store.CheckName(args[0]); err != nil {
			return cli.Usage("backup %w", err)
		}
		s, err := loc.Open(c.Context(), false)
		if err != nil {
			return err
		}
		if !confirm && !confirmed(stdin, c.ErrOrStderr(), fmt.Sprintf("Delete backup %s from %s?", args[0], s)) {
			return fmt.Errorf("backup %s was not deleted", args[0])
		}
		n, err := store.DeleteBackup(c.Context(), s, args[0])
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: %s in %s (lifeboat backup get lists them)", catalog.ErrNoBackup, args[0], s)
		}
		cli.Printf(c.OutOrStdout(), "Backup %s deleted: %d files.\n", args[0], n)
		return nil
	}
	return c
}

// confirmed asks at a terminal; without one, running the command is the confirmation.
func confirmed(stdin io.Reader, w io.Writer, question string) bool {
	f, ok := stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return true
	}
	cli.Printf(w, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(f).ReadString('\n') // no answer is a no
	return strings.EqualFold(strings.TrimSpace(answer), "y")
}
