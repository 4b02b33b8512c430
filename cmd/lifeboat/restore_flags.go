package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/modifier"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/restore"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// restoreFlags are those of restore create and plan.
type restoreFlags struct {
	cluster clusterFlags
	loc     cli.Location
	filter  filterFlags
	from    string
	ids     cli.Identities
	options plan.Options
	policy  string
	// mappings as Velero writes them: old:new
	namespaces, storageClasses []string
	modifiers                  string        // file
	planned                    *plan.Options // of a plan file
	out                        cli.Format
}

func (f *restoreFlags) add(c *cobra.Command) {
	f.cluster.add(c)
	f.loc.Add(c)
	f.filter.add(c)
	fl := c.Flags()
	fl.StringVar(&f.from, "from-backup", "", "`name` of the backup (required)")
	fl.StringVar(&f.policy, "existing-resource-policy", "none", "what to do with existing objects that differ: none, update, or recreate (if an update is impossible)")
	cli.ListVar(fl, &f.namespaces, "namespace-mappings", "namespaces to restore under another name: `old:new`,…")
	cli.ListVar(fl, &f.storageClasses, "storage-class-mappings", "storage classes to replace: `old:new`,…")
	fl.BoolVar(&f.options.PreserveNodePorts, "preserve-nodeports", false, "also keep node ports that the cluster allocated")
	cli.ListVar(fl, &f.options.StatusResources, "status-include-resources", "`resources` whose status is restored (* for all)")
	cli.ListVar(fl, &f.options.ExcludedStatusResources, "status-exclude-resources", "`resources` whose status is not restored")
	cli.TextVarP(fl, &f.modifiers, "resource-modifier-file", "", "`file` with Velero's resource modifiers, or a ConfigMap that holds them")
	f.ids.Add(c)
	cli.AddOutput(c, &f.out)
}

// job checks the flags and opens location and cluster.
func (f *restoreFlags) job(c *cobra.Command, name string) (restore.Job, error) {
	if f.from == "" {
		return restore.Job{}, cli.Usage("--from-backup is required (lifeboat backup get lists the backups)")
	}
	for _, n := range []string{f.from, name} {
		if err := store.CheckName(n); err != nil {
			return restore.Job{}, cli.UsageError{Err: err}
		}
	}
	options, err := f.read()
	if err := errors.Join(err, f.loc.Check()); err != nil {
		return restore.Job{}, err
	}
	identities, err := f.ids.Read()
	if err != nil {
		return restore.Job{}, err
	}
	s, err := f.loc.Open(c.Context(), false)
	if err != nil {
		return restore.Job{}, err
	}
	client, err := f.cluster.open()
	if err != nil {
		return restore.Job{}, err
	}
	return restore.Job{Name: name, Backup: f.from, Store: s, Cluster: client, Options: options, Identities: identities, Now: time.Now}, nil
}

// read makes options of the flags. The error lists all that is wrong with them.
func (f *restoreFlags) read() (plan.Options, error) {
	if f.planned != nil {
		return *f.planned, errors.Join(f.planned.Check()...)
	}
	o := f.options
	var errs []error
	if f.policy = strings.TrimSpace(f.policy); f.policy == "" {
		errs = append(errs, errors.New("--existing-resource-policy is empty: must be none, update or recreate"))
	}
	for flag, m := range map[string]struct {
		pairs []string
		into  *map[string]string
	}{
		"namespace-mappings":     {f.namespaces, &o.NamespaceMapping},
		"storage-class-mappings": {f.storageClasses, &o.StorageClassMapping},
	} {
		var err error
		if *m.into, err = mapping(m.pairs); err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", flag, err))
		}
	}
	o.Filter, o.ExistingResourcePolicy = f.filter.Filter, plan.Policy(f.policy)
	if f.modifiers != "" {
		var err error
		if o.Modifiers, err = readModifiers(f.modifiers); err != nil {
			errs = append(errs, err)
		}
	}
	if errs = append(errs, o.Check()...); len(errs) > 0 {
		return plan.Options{}, cli.UsageError{Err: errors.Join(errs...)}
	}
	return o, nil
}

func readModifiers(file string) (modifier.Rules, error) {
	r, err := os.Open(file)
	if err != nil {
		return modifier.Rules{}, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, modifier.MaxSize+1)) // Parse refuses more than that
	if err != nil {
		return modifier.Rules{}, err
	}
	rules, err := modifier.Parse(data)
	if err != nil {
		return modifier.Rules{}, fmt.Errorf("%s: %w", file, err)
	}
	return rules, nil
}

// mapping reads old:new pairs.
func mapping(pairs []string) (map[string]string, error) {
	var out map[string]string
	for _, p := range pairs {
		from, to, ok := strings.Cut(p, ":")
		from, to = strings.TrimSpace(from), strings.TrimSpace(to)
		if !ok || from == "" || to == "" {
			return nil, fmt.Errorf("%q is not of the form old:new", p)
		}
		if _, twice := out[from]; twice {
			return nil, fmt.Errorf("%q is mapped twice", from)
		}
		if out == nil {
			out = map[string]string{}
		}
		out[from] = to
	}
	return out, nil
}
