package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"github.com/lifeboat-backup/lifeboat/core/store"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/api"
)

func newBackupGet() *cobra.Command {
	var (
		loc   cli.Location
		which choice
		out   cli.Format
	)
	c := &cobra.Command{
		Use: "get [NAME…] [--selector LABELS] --location URL", Short: "List the backups of a location", Args: cobra.ArbitraryArgs,
		Long: "List the backups of a location, newest first, or those that are named. Incomplete\nbackups are skipped and named in a note." + "\n" + cli.ExitHelp,
	}
	loc.Add(c)
	which.addSelector(c)
	cli.AddOutput(c, &out)
	c.RunE = func(c *cobra.Command, names []string) error {
		match, err := which.matcher()
		if err != nil {
			return err
		}
		s, err := loc.Open(c.Context(), false)
		if err != nil {
			return err
		}
		if len(names) > 0 {
			return getNamed(c, s, names, match, out)
		}
		all, err := catalog.List(c.Context(), s)
		if err != nil {
			return err
		}
		good, notes := split(all)
		for _, note := range notes {
			cli.Printf(c.ErrOrStderr(), "note: %s\n", note)
		}
		if good = labelled(good, match); len(good) == 0 && out == cli.Table {
			cli.Printf(c.ErrOrStderr(), "no backups%s in %s\n", map[bool]string{true: " with these labels"}[which.selector != ""], s)
			return nil
		}
		return printEntries(c, out, good)
	}
	return c
}

// getNamed prints the backups of these names; the error lists those that cannot be
// read.
func getNamed(c *cobra.Command, s store.Store, names []string, match labels.Selector, out cli.Format) error {
	var found []catalog.Entry
	var errs []error
	for _, n := range names {
		b, err := catalog.Read(c.Context(), s, n)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, catalog.Entry{Name: b.Name, Backup: b})
	}
	found = labelled(found, match)
	switch {
	case len(found) == 0:
		return errors.Join(errs...)
	case len(names) == 1:
		return cli.Print(c.OutOrStdout(), out, found[0].Backup, func(w io.Writer) error { return printBackups(w, found) })
	}
	return errors.Join(append(errs, printEntries(c, out, found))...)
}

func printEntries(c *cobra.Command, out cli.Format, entries []catalog.Entry) error {
	list := backupList{Kind: "BackupList", APIVersion: "velero.io/v1", Items: objects(entries)}
	return cli.Print(c.OutOrStdout(), out, list, func(w io.Writer) error { return printBackups(w, entries) })
}

// backupList is what -o json prints, as kubectl would.
type backupList struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Items      []any  `json:"items"`
}

func objects(l []catalog.Entry) []any {
	out := make([]any, len(l))
	for i := range l {
		out[i] = l[i].Backup
	}
	return out
}

// split separates backups from incomplete ones.
func split(all []catalog.Entry) (good []catalog.Entry, notes []string) {
	var incomplete, foreign []string
	for _, l := range all {
		switch {
		case l.Err == nil:
			good = append(good, l)
		case store.CheckName(l.Name) == nil:
			incomplete = append(incomplete, l.Name)
		default:
			foreign = append(foreign, strconv.Quote(l.Name))
		}
	}
	if len(incomplete) > 0 {
		notes = append(notes, fmt.Sprintf("skipped %s: %s (lifeboat backup delete removes them)", plural(len(incomplete), "incomplete backup"), strings.Join(incomplete, ", ")))
	}
	if len(foreign) > 0 {
		notes = append(notes, fmt.Sprintf("skipped %s that no backup can have: %s (remove them from the location by other means)", plural(len(foreign), "folder name"), strings.Join(foreign, ", ")))
	}
	return good, notes
}

func printBackups(w io.Writer, l []catalog.Entry) error {
	t := cli.NewColumns(w)
	encrypted := slices.ContainsFunc(l, func(b catalog.Entry) bool { return catalog.Encrypted(b.Backup) })
	header := []any{"NAME", "STATUS", "ERRORS", "WARNINGS", "ITEMS", "CREATED", "EXPIRES"}
	if encrypted {
		header = append(header, "ENCRYPTED")
	}
	t.Row(header...)
	for _, b := range l {
		st := b.Backup.Status
		items := "-"
		if st.Progress != nil {
			items = fmt.Sprint(st.Progress.ItemsBackedUp)
		}
		expires := "never"
		if st.Expiration != nil {
			expires = st.Expiration.UTC().Format(time.DateTime)
		}
		row := []any{b.Name, st.Phase, st.Errors, st.Warnings, items, b.Started().UTC().Format(time.DateTime), expires}
		if encrypted {
			row = append(row, cmp.Or(b.Backup.Annotations[api.AnnotationEncryption], "no"))
		}
		t.Row(row...)
	}
	return t.Flush()
}
