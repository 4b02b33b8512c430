package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/filter"
)

// filterFlags are Velero's flags for what a backup or restore takes.
type filterFlags struct{ filter.Filter }

func (f *filterFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringSliceVar(&f.IncludedNamespaces, "include-namespaces", nil, "namespaces to take, wildcards allowed (default: all)")
	fl.StringSliceVar(&f.ExcludedNamespaces, "exclude-namespaces", nil, "namespaces to leave out")
	fl.StringSliceVar(&f.IncludedResources, "include-resources", nil, "resources to take: plural, kind or short name, with .group if need be (default: all)")
	fl.StringSliceVar(&f.ExcludedResources, "exclude-resources", nil, "resources to leave out")
	fl.StringVarP(&f.LabelSelector, "selector", "l", "", "take only objects with these labels")
}

func (f *filterFlags) check() error {
	if err := f.Filter.Check(); err != nil {
		return cli.UsageError{Err: errors.Join(err)}
	}
	return nil
}
