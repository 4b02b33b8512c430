package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/apply"
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
	out     cli.Format
}

func (f *restoreFlags) add(c *cobra.Command) {
	f.cluster.add(c)
	f.loc.Add(c)
	f.filter.add(c)
	c.Flags().StringVar(&f.from, "from-backup", "", "`name` of the backup (required)")
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
	if err := errors.Join(f.filter.check(), f.loc.Check()); err != nil {
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
	return restore.Job{Name: name, Backup: f.from, Store: s, Cluster: client, Filter: f.filter.Filter, Identities: identities, Now: time.Now}, nil
}

func newRestore() *cobra.Command {
	return cli.Group("restore", "Restore a backup", newRestoreCreate())
}

func newRestoreCreate() *cobra.Command {
	var f restoreFlags
	c := &cobra.Command{
		Use:   "create [NAME] --from-backup BACKUP --location URL",
		Short: "Restore a backup into a cluster",
		Long: `Restore the objects of a backup. Objects that exist are left alone and reported;
lifeboat plan shows beforehand what would happen. Every item ends as created,
updated, unchanged, skipped or failed, with the reason.

Data of volumes is not restored; each claim and volume is listed as such.
` + cli.ExitHelp,
		Example: `  lifeboat restore create --from-backup nightly --location file:///var/backups/prod`,
		Args:    cli.Args(0, 1),
	}
	f.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		name := restore.Name(f.from, timestamp(time.Now()))
		if len(args) == 1 {
			name = args[0]
		}
		job, err := f.job(c, name)
		if err != nil {
			return err
		}
		progress := cli.NewProgress(c.ErrOrStderr())
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
	return c
}

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
		prepared, err := job.Prepare(c.Context())
		if err != nil {
			return err
		}
		p := prepared.Plan
		for _, warning := range prepared.Warnings {
			fmt.Fprintln(c.ErrOrStderr(), "warning:", warning)
		}
		if err := cli.Print(c.OutOrStdout(), f.out, p, func(w io.Writer) error { return printPlan(w, p) }); err != nil {
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
	printList(w, "\nVolumes", volumes(p.Volumes))
	fmt.Fprintf(w, "\nA restore of %s would create %d, leave %d unchanged, skip %d; %d cannot be restored.\n",
		p.Backup, p.Count(plan.Create), p.Count(plan.Unchanged), p.Count(plan.Skip), p.Count(plan.Fail))
	return nil
}
