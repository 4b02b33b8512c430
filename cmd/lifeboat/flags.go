package main

import (
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/filter"
)

// filterFlags are Velero's flags for what a backup or restore takes.
type filterFlags struct{ filter.Filter }

func (f *filterFlags) add(c *cobra.Command) {
	fl := c.Flags()
	cli.ListVar(fl, &f.IncludedNamespaces, "include-namespaces", "namespaces to include, wildcards allowed (default: all)")
	cli.ListVar(fl, &f.ExcludedNamespaces, "exclude-namespaces", "namespaces to exclude")
	cli.ListVar(fl, &f.IncludedResources, "include-resources", "resources to include: plural, kind or short name, optionally with .group (default: all)")
	cli.ListVar(fl, &f.ExcludedResources, "exclude-resources", "resources to exclude")
	flag := fl.VarPF(optionalBool{&f.IncludeClusterResources}, "include-cluster-resources", "", "include all cluster-scoped objects (true) or none (false); by default, all if all namespaces are included")
	flag.NoOptDefVal = "true"
	cli.TextVarP(fl, &f.LabelSelector, "selector", "l", "include only objects with these labels")
	fl.Var(orSelectors{&f.OrLabelSelectors}, "or-selector", `include only objects that match one of these label selectors, separated by " or "`)
}

// addScoped adds what only a backup takes.
func (f *filterFlags) addScoped(c *cobra.Command) {
	fl := c.Flags()
	const instead = "; cannot be used with --include-resources, --exclude-resources, --include-cluster-resources"
	cli.ListVar(fl, &f.IncludedClusterScopedResources, "include-cluster-scoped-resources", "cluster-scoped resources to include, * for all"+instead)
	cli.ListVar(fl, &f.ExcludedClusterScopedResources, "exclude-cluster-scoped-resources", "cluster-scoped resources to exclude, * for all"+instead)
	cli.ListVar(fl, &f.IncludedNamespaceScopedResources, "include-namespace-scoped-resources", "namespaced resources to include, * for all"+instead)
	cli.ListVar(fl, &f.ExcludedNamespaceScopedResources, "exclude-namespace-scoped-resources", "namespaced resources to exclude, * for all"+instead)
}

func (f *filterFlags) check() error {
	if err := f.Filter.Check(); err != nil {
		return cli.UsageError{Err: errors.Join(err)}
	}
	return nil
}

// optionalBool is a flag that is true, false or not given.
type optionalBool struct{ to **bool }

func (o optionalBool) Type() string { return "bool" }

func (o optionalBool) String() string {
	if o.to == nil || *o.to == nil {
		return ""
	}
	return strconv.FormatBool(**o.to)
}

func (o optionalBool) Set(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("must be true or false")
	}
	*o.to = &b
	return nil
}

// orSelectors is a flag of label selectors of which one has to be satisfied.
type orSelectors struct{ to *[]string }

func (o orSelectors) Type() string   { return "selectors" }
func (o orSelectors) String() string { return "" }

func (o orSelectors) Set(s string) (err error) {
	*o.to, err = filter.ParseSelectors(s)
	return err
}

// order is a flag of which objects come first.
type order struct{ to *filter.Order }

func (o order) Type() string   { return "order" }
func (o order) String() string { return "" }

func (o order) Set(s string) (err error) {
	*o.to, err = filter.ParseOrder(s)
	return err
}
