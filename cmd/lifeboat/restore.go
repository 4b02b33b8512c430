package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/apply"
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
	fl.StringVar(&f.policy, "existing-resource-policy", "none", "what to do with objects that exist and differ: none, update, or recreate where an update is impossible")
	fl.StringSliceVar(&f.namespaces, "namespace-mappings", nil, "namespaces to restore under another name: `old:new`,…")
	fl.StringSliceVar(&f.storageClasses, "storage-class-mappings", nil, "storage classes to replace: `old:new`,…")
	fl.BoolVar(&f.options.PreserveNodePorts, "preserve-nodeports", false, "keep node ports that were allocated, too")
	fl.StringSliceVar(&f.options.StatusResources, "status-include-resources", nil, "`resources` whose status is restored (* for all)")
	fl.StringSliceVar(&f.options.ExcludedStatusResources, "status-exclude-resources", nil, "`resources` whose status is not restored")
	fl.StringVar(&f.modifiers, "resource-modifier-file", "", "`file` with Velero's resource modifiers, or a ConfigMap that holds them")
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

// read makes options of the flags, or says all that is wrong with them.
func (f *restoreFlags) read() (plan.Options, error) {
	if f.planned != nil {
		return *f.planned, errors.Join(f.planned.Check()...)
	}
	o := f.options
	o.Filter, o.ExistingResourcePolicy = f.filter.Filter, plan.Policy(f.policy)
	var errs []error
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
		if !ok || from == "" || to == "" {
			return nil, fmt.Errorf("%q is not old:new", p)
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

func newRestore() *cobra.Command {
	return cli.Group("restore", "Restore a backup", newRestoreCreate())
}

func newRestoreCreate() *cobra.Command {
	var (
		f       restoreFlags
		waiting time.Duration
		file    string
	)
	c := &cobra.Command{
		Use:   "create [NAME] --from-backup BACKUP --location URL",
		Short: "Restore a backup into a cluster",
		Long: `Restore the objects of a backup. Objects that exist are left alone and reported,
unless --existing-resource-policy says otherwise; lifeboat plan shows beforehand
what would happen. Every item ends as created, updated, unchanged, skipped or
failed, with the reason.

With --plan a plan that was reviewed is carried out, and nothing when the plan
does not hold any more. The plan says what is restored and how; only the
location, the cluster and the output are given with it.

Data of volumes is not restored; each claim and volume is listed as such.
` + cli.ExitHelp,
		Example: `  lifeboat restore create --from-backup nightly --location file:///var/backups/prod
  lifeboat restore create --from-backup nightly --namespace-mappings shop:shop-copy --location file:///var/backups/prod
  lifeboat plan --from-backup nightly --location file:///var/backups/prod -o json > plan.json
  lifeboat restore create --plan plan.json --location file:///var/backups/prod`,
		Args: cli.Args(0, 1),
	}
	f.add(c)
	c.Flags().DurationVar(&waiting, "terminating-resource-timeout", restore.DefaultTerminatingTimeout, "how long to wait for namespaces that are being deleted")
	c.Flags().StringVar(&file, "plan", "", "carry out the plan in this `file`, as lifeboat plan --output json wrote it")
	c.RunE = func(c *cobra.Command, args []string) error {
		reviewed, err := f.reviewed(c, file)
		if err != nil {
			return err
		}
		name := restore.Name(f.from, timestamp(time.Now()))
		if len(args) == 1 {
			name = args[0]
		}
		job, err := f.job(c, name)
		if err != nil {
			return err
		}
		job.TerminatingTimeout, job.Reviewed = waiting, reviewed
		return f.run(c, job)
	}
	return c
}

func (f *restoreFlags) run(c *cobra.Command, job restore.Job) error {
	progress := cli.NewProgress(c.ErrOrStderr())
	job.Stage = progress.Stage
	job.Progress = func(done, total int, ch apply.Change) {
		progress.Show("restoring %d of %d: %s", done, total, ch.Key)
	}
	result, runErr := job.Run(c.Context())
	progress.Done()
	if result.Changes == nil && runErr != nil {
		return runErr // nothing was begun
	}
	if err := cli.Print(c.OutOrStdout(), f.out, result, func(w io.Writer) error { return printRestored(w, result) }); err != nil {
		return err
	}
	switch {
	case runErr != nil:
		return runErr
	case !result.Complete():
		return cli.Status(cli.ExitPartial)
	}
	return nil
}

// reviewed reads a plan file and takes backup and options from it. Flags that
// say what the plan says are refused.
func (f *restoreFlags) reviewed(c *cobra.Command, file string) (*restore.File, error) {
	if file == "" {
		return nil, nil
	}
	beside := 1 // the plan itself
	for _, name := range besidePlan {
		if c.Flags().Changed(name) {
			beside++
		}
	}
	if c.Flags().NFlag() > beside {
		return nil, cli.Usage("beside --plan only --%s may be given: the plan says the rest (make a new plan with the other flags)", strings.Join(besidePlan, ", --"))
	}
	r, err := os.Open(file)
	if err != nil {
		return nil, cli.UsageError{Err: err}
	}
	defer r.Close()
	p, err := restore.ReadFile(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	f.planned = &p.Options
	f.from = p.Backup
	return &p, nil
}

// besidePlan are the flags that go with --plan.
var besidePlan = []string{"location", "identity", "kubeconfig", "context", "output", "terminating-resource-timeout"}

func printRestored(w io.Writer, r restore.Result) error {
	ch := r.Changes
	fmt.Fprintf(w, "Restore %s of backup %s: %d created, %d updated, %d unchanged, %d skipped, %d failed, in %.1f s.\n", r.Restore, r.Backup,
		ch.Count(apply.Created), ch.Count(apply.Updated), ch.Count(apply.Unchanged), ch.Count(apply.Skipped), ch.Count(apply.Failed), r.Duration.Seconds())
	var failed []string
	skipped := map[string]int{}
	for _, c := range ch {
		switch c.Outcome {
		case apply.Failed:
			failed = append(failed, fmt.Sprintf("%s: %s", c.Key, c.Reason))
		case apply.Skipped:
			skipped[c.Reason]++
		}
	}
	printList(w, "Failed", failed)
	printList(w, "Skipped", counted(skipped))
	printList(w, "Volumes", volumes(r.Volumes))
	printList(w, "Warnings", r.Warnings)
	return nil
}

func counted(m map[string]int) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%d %s", m[k], k))
	}
	return out
}

func volumes(vs []plan.Volume) []string {
	var out []string
	for _, v := range vs {
		out = append(out, v.Object+": "+v.Note)
	}
	return out
}

func newPlan() *cobra.Command {
	var f restoreFlags
	c := &cobra.Command{
		Use:   "plan --from-backup BACKUP --location URL",
		Short: "Show what a restore would do; changes nothing",
		Long:  "Show what restore create would do with each item of a backup in this cluster, and why.\nNothing is changed. Status 3 says that some items cannot be restored.\n" + cli.ExitHelp,
		Args:  cli.Args(0, 0),
	}
	f.add(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		job, err := f.job(c, "plan")
		if err != nil {
			return err
		}
		progress := cli.NewProgress(c.ErrOrStderr())
		job.Stage = progress.Stage
		prepared, err := job.Prepare(c.Context())
		progress.Done()
		if err != nil {
			return err
		}
		p := prepared.Plan
		file := prepared.File()
		for _, warning := range prepared.Warnings {
			fmt.Fprintln(c.ErrOrStderr(), "warning:", warning)
		}
		if err := cli.Print(c.OutOrStdout(), f.out, file, func(w io.Writer) error { return printPlan(w, p) }); err != nil {
			return err
		}
		if p.Count(plan.Fail) > 0 {
			return cli.Status(cli.ExitPartial)
		}
		return nil
	}
	return c
}

func printPlan(w io.Writer, p plan.Plan) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ACTION\tRESOURCE\tNAMESPACE\tNAME\tREASON")
	for _, s := range p.Steps {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", s.Action, s.GroupResource(), s.Namespace, s.Name, s.Reason)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	skipped := map[string]int{}
	for _, s := range p.Steps {
		if s.Action == plan.Skip {
			skipped[s.Reason]++
		}
	}
	printList(w, "\nSkipped", counted(skipped))
	printList(w, "\nVolumes", volumes(p.Volumes))
	if len(p.Awaits) > 0 {
		printList(w, "\nNamespaces that are being deleted and have to be gone first", p.Awaits)
	}
	changes := ""
	if n := p.Count(plan.Update); n > 0 {
		changes += fmt.Sprintf(", update %d", n)
	}
	if n := p.Count(plan.Recreate); n > 0 {
		changes += fmt.Sprintf(", delete and create anew %d", n)
	}
	fmt.Fprintf(w, "\nA restore of %s would create %d%s, leave %d unchanged, skip %d; %d cannot be restored.\n",
		p.Backup, p.Count(plan.Create), changes, p.Count(plan.Unchanged)+p.Count(plan.Label), p.Count(plan.Skip), p.Count(plan.Fail))
	return nil
}
