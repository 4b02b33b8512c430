package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/progress"
	"github.com/lifeboat-backup/lifeboat/core/restore"
)

func newRestore() *cobra.Command {
	return cli.Group("restore", "Restore a backup", newRestoreCreate())
}

func newRestoreCreate() *cobra.Command {
	var (
		f       restoreFlags
		waiting time.Duration
		record  bool
		file    string
	)
	c := &cobra.Command{
		Use:   "create [NAME] --from-backup BACKUP --location URL",
		Short: "Restore a backup into a cluster",
		Long: `Restore the objects of a backup. Existing objects are reported and not changed,
unless --existing-resource-policy allows it; lifeboat plan shows in advance what
would happen. Every item is reported as created, updated, unchanged, skipped or
failed, with the reason.

With --plan, the command carries out a reviewed plan; if the plan no longer applies,
nothing is restored. The plan defines what is restored and how; only the flags for
the location, the cluster and the output can be used with it.

Data of volumes is not restored; each claim and volume is reported.

The log, the errors and warnings, and the list of items are written into the location
below restores/, as Velero does. If it is read-only, the restore has a warning.
` + cli.ExitHelp,
		Example: `  lifeboat restore create --from-backup nightly --location file:///var/backups/prod
  lifeboat restore create --from-backup nightly --namespace-mappings shop:shop-copy --location file:///var/backups/prod
  lifeboat plan --from-backup nightly --location file:///var/backups/prod -o json > plan.json
  lifeboat restore create --plan plan.json --location file:///var/backups/prod`,
		Args: cli.Args(0, 1),
	}
	f.add(c)
	c.Flags().BoolVar(&record, "record", true, "write the record of the restore into the location")
	cli.DurationVar(c.Flags(), &waiting, "terminating-resource-timeout", restore.DefaultTerminatingTimeout, "how long to wait for namespaces that are being deleted")
	cli.TextVarP(c.Flags(), &file, "plan", "", "carry out the reviewed plan in this `file`, written by lifeboat plan --output json")
	cli.AcceptWait(c)
	cli.AcceptNoVolumes(c, "restore-volumes")
	c.RunE = func(c *cobra.Command, args []string) error {
		if f.from == "" && file == "" && len(args) == 1 {
			return cli.Usage("--from-backup is required: did you mean lifeboat restore create --from-backup %s? (an argument is the name of the restore)", args[0])
		}
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
		job.TerminatingTimeout, job.Reviewed, job.Record = waiting, reviewed, record
		return f.run(c, job)
	}
	return c
}

func (f *restoreFlags) run(c *cobra.Command, job restore.Job) error {
	line := cli.NewProgress(c.ErrOrStderr())
	job.Progress = func(e progress.Event) {
		if e.Stage != "" {
			line.Stage(e.Stage)
			return
		}
		line.Show("restoring %d of %d: %s", e.Done, e.Total, e.Object)
	}
	job.Warn = warner(c.ErrOrStderr(), line)
	result, runErr := job.Run(c.Context())
	line.Done()
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

// reviewed reads a plan file and takes backup and options from it. Flags for
// what the plan defines are rejected.
func (f *restoreFlags) reviewed(c *cobra.Command, file string) (*restore.File, error) {
	if file == "" {
		return nil, nil
	}
	beside := 1 // the plan itself
	for _, name := range append([]string{"wait"}, planFlags...) {
		if c.Flags().Changed(name) {
			beside++
		}
	}
	if c.Flags().NFlag() > beside {
		return nil, cli.Usage("with --plan, only --%s can be used: the plan defines the rest (to change it, make a new plan)", strings.Join(planFlags, ", --"))
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

// planFlags are the flags that can be used with --plan.
var planFlags = []string{"location", "identity", "kubeconfig", "context", "output", "record", "terminating-resource-timeout"}

func printRestored(w io.Writer, r restore.Result) error {
	ch := r.Changes
	cli.Printf(w, "Restore %s of backup %s: %d created, %d updated, %d unchanged, %d skipped, %d failed, in %.1f s.\n", r.Restore, r.Backup,
		ch.Count(apply.Created), ch.Count(apply.Updated), ch.Count(apply.Unchanged), ch.Count(apply.Skipped), ch.Count(apply.Failed), r.Duration.Seconds())
	var failed []string
	skipped := named{}
	for _, c := range ch {
		switch c.Outcome {
		case apply.Failed:
			failed = append(failed, fmt.Sprintf("%s: %s", c.Key, c.Reason))
		case apply.Skipped:
			skipped.add(c.Reason, c.Key)
		}
	}
	printList(w, "Failed", failed)
	skipped.print(w, "Skipped")
	printList(w, "Changed by the cluster", altered(ch))
	printList(w, "Volumes", volumes(r.Volumes))
	printList(w, "Warnings", r.Warnings)
	return nil
}

// maxAltered is how many objects are listed that the cluster has changed.
const maxAltered = 50

// altered says which objects the cluster made otherwise than they are in the
// backup.
func altered(ch apply.ChangeSet) []string {
	var out []string
	more, defaulted := 0, 0
	for _, c := range ch {
		text := restore.Altered(c)
		switch {
		case restore.Defaulted(c):
			defaulted++
		case text == "":
		case len(out) == maxAltered:
			more++
		default:
			out = append(out, strings.Replace(text, "created, and changed by the cluster: ", "", 1))
		}
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("%d more objects (--output json lists them all)", more))
	}
	if defaulted > 0 {
		out = append(out, fmt.Sprintf("%d objects have more fields, which the API server fills in by default (--output json lists them)", defaulted))
	}
	return out
}
