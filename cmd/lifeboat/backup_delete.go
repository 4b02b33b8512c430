package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/catalog"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

func newBackupDelete(stdin io.Reader) *cobra.Command {
	var (
		loc     cli.Location
		which   choice
		confirm bool
	)
	c := &cobra.Command{
		Use: "delete (NAME… | --selector LABELS | --all) --location URL", Short: "Delete backups, or the files of an interrupted one", Args: cobra.ArbitraryArgs,
		Long: `Delete all files of the backups, of each its commit marker first. At a terminal, the
command asks for confirmation unless --confirm is given. --selector and --all always
ask or need --confirm, and leave incomplete backups, which may be in progress.

If a lock of the bucket still protects a commit marker, nothing of that backup is
deleted, and the command fails after the others. A bucket with versioning keeps
deleted files as older versions until a lifecycle rule removes them.
` + cli.ExitHelp,
	}
	loc.Add(c)
	which.addSelector(c)
	c.Flags().BoolVar(&which.all, "all", false, "delete all complete backups of the location")
	c.Flags().BoolVar(&confirm, "confirm", false, "do not ask for confirmation")
	cli.AcceptWait(c)
	c.RunE = func(c *cobra.Command, names []string) error {
		if err := which.check(names); err != nil {
			return err
		}
		s, err := loc.Open(c.Context(), false)
		if err != nil {
			return err
		}
		if len(names) == 0 {
			if names, err = which.names(c.Context(), s); err != nil {
				return err
			}
			if !confirm && !terminal(stdin) {
				return cli.Usage("--selector and --all need --confirm; they select %s: %s", plural(len(names), "backup"), strings.Join(names, ", "))
			}
		}
		question := fmt.Sprintf("Delete %s from %s: %s?", plural(len(names), "backup"), s, strings.Join(names, ", "))
		if !confirm && !confirmed(stdin, c.ErrOrStderr(), question) {
			return fmt.Errorf("nothing was deleted: %s", strings.Join(names, ", "))
		}
		return deleteAll(c, s, names)
	}
	return c
}

// deleteAll deletes each backup; one that cannot be deleted does not hold up others.
func deleteAll(c *cobra.Command, s store.Store, names []string) error {
	var errs []error
	for _, name := range names {
		n, err := store.DeleteBackup(c.Context(), s, name)
		switch {
		case c.Context().Err() != nil:
			return c.Context().Err()
		case err != nil:
			errs = append(errs, err)
		case n == 0:
			errs = append(errs, fmt.Errorf("%w: %s in %s (lifeboat backup get lists them)", catalog.ErrNoBackup, name, s))
		default:
			cli.Printf(c.OutOrStdout(), "Backup %s deleted: %d files.\n", name, n)
		}
	}
	return errors.Join(errs...)
}

func terminal(stdin io.Reader) bool {
	f, ok := stdin.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// confirmed asks at a terminal; without one, running the command is the confirmation.
func confirmed(stdin io.Reader, w io.Writer, question string) bool {
	if !terminal(stdin) {
		return true
	}
	cli.Printf(w, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(stdin).ReadString('\n') // no answer is a no
	return strings.EqualFold(strings.TrimSpace(answer), "y")
}
