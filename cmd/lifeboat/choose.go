package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// choice is which backups of a location a command is about: those named, those with
// labels, or all.
type choice struct {
	selector string
	all      bool
}

func (ch *choice) addSelector(c *cobra.Command) {
	cli.TextVarP(c.Flags(), &ch.selector, "selector", "l", "only backups with these labels, such as velero.io/schedule-name=nightly")
}

// matcher checks the selector.
func (ch *choice) matcher() (labels.Selector, error) {
	s, err := labels.Parse(ch.selector)
	if err != nil {
		return nil, cli.Usage("--selector: %w", err)
	}
	return s, nil
}

// check refuses names that no backup can have, and several ways to choose at once.
func (ch *choice) check(names []string) error {
	for _, n := range names {
		if err := store.CheckName(n); err != nil {
			return cli.Usage("backup %w", err)
		}
	}
	ways := 0
	for _, used := range []bool{len(names) > 0, ch.selector != "", ch.all} {
		if used {
			ways++
		}
	}
	if ways != 1 {
		return cli.Usage("give names of backups, or --selector, or --all (lifeboat backup get lists the backups)")
	}
	_, err := ch.matcher()
	return err
}

// names are the backups that labels select, or all, without incomplete ones, which
// may be in progress.
func (ch *choice) names(ctx context.Context, s store.Store) ([]string, error) {
	match, err := ch.matcher()
	if err != nil {
		return nil, err
	}
	entries, err := catalog.List(ctx, s)
	if err != nil {
		return nil, err
	}
	good, _ := split(entries)
	var out []string
	for _, e := range labelled(good, match) {
		out = append(out, e.Name)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w that is selected in %s (lifeboat backup get lists them)", catalog.ErrNoBackup, s)
	}
	return out, nil
}

func labelled(entries []catalog.Entry, match labels.Selector) []catalog.Entry {
	return slices.DeleteFunc(entries, func(e catalog.Entry) bool { return !match.Matches(labels.Set(e.Backup.Labels)) })
}
