package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// locationFlag is where backups live.
type locationFlag string

func (f *locationFlag) add(c *cobra.Command) {
	c.Flags().StringVar((*string)(f), "location", "", "where the backups are: file:///dir/prefix or s3://bucket/prefix?region=…&endpoint=…&path-style=true (required)")
}

func (f *locationFlag) open(ctx context.Context, create bool) (store.Store, error) {
	if *f == "" {
		return nil, cli.Usage("--location is required: file:///dir/prefix or s3://bucket/prefix")
	}
	if _, err := location.Parse(string(*f)); err != nil {
		return nil, cli.UsageError{Err: err}
	}
	return location.Open(ctx, string(*f), location.Options{Create: create})
}

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
