package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/backup"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/progress"
	"github.com/lifeboat-backup/lifeboat/core/spec"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// createFlags are those of backup create.
type createFlags struct {
	cluster    clusterFlags
	loc        cli.Location
	filter     filterFlags
	order      filter.Order
	ttl        time.Duration
	labels     map[string]string
	recipients cli.Recipients
	out        cli.Format
}

func newBackupCreate() *cobra.Command {
	var f createFlags
	c := &cobra.Command{
		Use:   "create NAME --location URL",
		Short: "Back up a cluster's objects",
		Long: `Back up the objects of a cluster directly from the API server to the location.

Without filters, the backup contains every object that the cluster can list and
create. If namespaces are selected, it contains only those cluster-scoped objects
that the selected ones need. Data of volumes is not included; each claim and volume
is reported.

With --encrypt-to, the objects are encrypted. Only the holder of an identity can
restore them or verify them in full; Velero cannot read them.

The backup exists if the command exits with status 0, or with 3 if a selected object
could not be read (the backup is then PartiallyFailed).
` + cli.ExitHelp,
		Example: `  lifeboat backup create nightly --location file:///var/backups/prod
  lifeboat backup create shop --include-namespaces shop --location 's3://backups/prod?region=eu-central-1'`,
		Args: cli.Args(1, 1),
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.add(c)
	return c
}

func (f *createFlags) add(c *cobra.Command) {
	f.cluster.add(c)
	f.loc.Add(c)
	f.filter.add(c)
	f.filter.addScoped(c)
	c.Flags().Var(order{&f.order}, "ordered-resources", "objects to back up first of their resource: 'pods=ns1/a,ns1/b;persistentvolumes=x'")
	cli.DurationVar(c.Flags(), &f.ttl, "ttl", spec.DefaultTTL, "how long the backup is kept")
	c.Flags().StringToStringVar(&f.labels, "labels", nil, "labels of the backup, `key=value,…`; velero.io/schedule-name=S makes it a backup of schedule S")
	f.recipients.Add(c)
	cli.AddOutput(c, &f.out)
	cli.AcceptWait(c)
	cli.AcceptNoVolumes(c, "snapshot-volumes", "default-volumes-to-fs-backup", "default-volumes-to-restic", "snapshot-move-data")
}

// job checks the flags and opens the cluster, not yet the location.
func (f *createFlags) job(name string) (backup.Job, error) {
	recipients, err := f.recipients.Read()
	if err := errors.Join(checkCreate(name, f.ttl, f.labels), f.filter.check(), f.loc.Check(), err); err != nil {
		return backup.Job{}, err
	}
	client, err := f.cluster.open()
	if err != nil {
		return backup.Job{}, err
	}
	return backup.Job{Object: f.object(name), Cluster: client, Recipients: recipients, Now: time.Now}, nil
}

// object is the Backup that the flags describe. Its spec sets snapshotVolumes to
// false, so that Velero does not look for snapshots.
func (f *createFlags) object(name string) velerov1.Backup {
	s := spec.Backup{Filter: f.filter.Filter, Order: f.order, TTL: f.ttl}.Spec()
	s.SnapshotVolumes = new(bool)
	return velerov1.Backup{ObjectMeta: metav1.ObjectMeta{Name: name, UID: uuid.NewUUID(), Labels: f.labels}, Spec: s}
}

func (f *createFlags) run(c *cobra.Command, name string) error {
	job, err := f.job(name)
	if err != nil {
		return err
	}
	line := cli.NewProgress(c.ErrOrStderr())
	job.Progress = func(e progress.Event) {
		line.Show("backing up %s: %d items, %s", e.Object.GroupResource(), e.Done, size(e.Bytes))
	}
	var location store.Store
	job.Open = func(ctx context.Context) (s store.Store, err error) {
		location, err = f.loc.Open(ctx, true)
		return location, err
	}
	result, err := job.Run(c.Context())
	line.Done()
	if err != nil {
		return err
	}
	if err := cli.Print(c.OutOrStdout(), f.out, result, func(w io.Writer) error { return printCreated(w, location, result) }); err != nil {
		return err
	}
	if !result.Complete() {
		return cli.Status(cli.ExitPartial)
	}
	return nil
}

func checkCreate(name string, ttl time.Duration, labels map[string]string) error {
	if err := store.CheckName(name); err != nil {
		return cli.Usage("backup %w", err)
	}
	if ttl <= 0 {
		return cli.Usage("--ttl %s: must be longer than 0", ttl)
	}
	for k, v := range labels {
		if wrong := slices.Concat(validation.IsQualifiedName(k), validation.IsValidLabelValue(v)); len(wrong) > 0 {
			return cli.Usage("--labels %s=%s: %s", k, v, strings.Join(wrong, "; "))
		}
	}
	return nil
}

func printCreated(w io.Writer, s store.Store, r backup.Result) error {
	b := r.Backup
	cli.Printf(w, "Backup %s is %s: %d items, %s; %s stored in %s, in %.1f s.\n",
		b.Name, b.Status.Phase, r.Items, size(r.Bytes), size(r.Stored), s, r.Duration.Seconds())
	printList(w, "Missing", sentences(r.Errors))
	printList(w, "Warnings", r.Warnings)
	return nil
}

func sentences(problems []backup.Problem) []string {
	out := make([]string, len(problems))
	for i, p := range problems {
		out[i] = p.String()
	}
	return out
}
