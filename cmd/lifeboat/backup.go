package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/backup"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

func newBackup(stdin io.Reader) *cobra.Command {
	return cli.Group("backup", "Make, list, verify and delete backups",
		newBackupCreate(), newBackupGet(), newBackupDescribe(), newBackupVerify(), newBackupDelete(stdin))
}

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
		Long: `Back up the objects of a cluster, straight from the API server into the location.

Without filters everything the cluster can list and create is taken. With
namespaces selected, cluster-scoped objects are taken only as far as the selected
ones need them. Data of volumes is not included; each claim and volume is listed
as such.

With --encrypt-to the objects are encrypted, and only the holder of an identity can
verify them in full or restore them; Velero cannot.

The backup exists when the command ends with status 0, or with 3 when something
that was selected could not be read (the backup is then PartiallyFailed).
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
	c.Flags().Var(order{&f.order}, "ordered-resources", "objects that come first of their resource: 'pods=ns1/a,ns1/b;persistentvolumes=x'")
	c.Flags().DurationVar(&f.ttl, "ttl", backup.DefaultTTL, "how long the backup is kept")
	c.Flags().StringToStringVar(&f.labels, "labels", nil, "labels of the backup, `key=value,…`; velero.io/schedule-name=S makes it one of schedule S")
	f.recipients.Add(c)
	cli.AddOutput(c, &f.out)
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
	return backup.Job{
		Name: name, Cluster: client, Filter: f.filter.Filter, Order: f.order, TTL: f.ttl, Labels: f.labels, Recipients: recipients,
		UID: string(uuid.NewUUID()), Now: time.Now,
	}, nil
}

func (f *createFlags) run(c *cobra.Command, name string) error {
	job, err := f.job(name)
	if err != nil {
		return err
	}
	progress := cli.NewProgress(c.ErrOrStderr())
	job.Progress = func(p backup.Progress) {
		progress.Show("backing up %s: %d items, %s", p.Resource, p.Items, size(p.Bytes))
	}
	prepared, err := job.Prepare(c.Context())
	if err != nil {
		return err
	}
	// Not before the cluster has agreed: a mistake leaves no folder behind.
	if job.Store, err = f.loc.Open(c.Context(), true); err != nil {
		return err
	}
	result, err := job.Execute(c.Context(), prepared)
	progress.Done()
	if err != nil {
		return err
	}
	if err := cli.Print(c.OutOrStdout(), f.out, result, func(w io.Writer) error { return printCreated(w, job.Store, result) }); err != nil {
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
	fmt.Fprintf(w, "Backup %s is %s: %d items, %s in %s stored in %s, in %.1f s.\n",
		b.Name, b.Status.Phase, r.Items, size(r.Bytes), size(r.Stored), s, r.Duration.Seconds())
	printList(w, "Missing", r.Errors)
	printList(w, "Warnings", r.Warnings)
	return nil
}

// mostLines is how many lines of a kind a summary shows; JSON output has all.
const mostLines = 20

func printList(w io.Writer, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(w, "%s (%d):\n", title, len(lines))
	for i, l := range lines {
		if i == mostLines {
			fmt.Fprintf(w, "  … and %d more (-o json lists all)\n", len(lines)-i)
			return
		}
		fmt.Fprintf(w, "  %s\n", l)
	}
}

func newBackupGet() *cobra.Command {
	var (
		loc cli.Location
		out cli.Format
	)
	c := &cobra.Command{
		Use: "get [NAME] --location URL", Short: "List the backups of a location", Args: cli.Args(0, 1),
		Long: "List the backups of a location, newest first. Folders that are no complete backup are\nnot listed; a note says how many there are." + "\n" + cli.ExitHelp,
	}
	loc.Add(c)
	cli.AddOutput(c, &out)
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := loc.Open(c.Context(), false)
		if err != nil {
			return err
		}
		if len(args) == 1 {
			b, err := backup.Read(c.Context(), s, args[0])
			if err != nil {
				return err
			}
			return cli.Print(c.OutOrStdout(), out, b, func(w io.Writer) error { return printBackups(w, []backup.Listed{{Name: b.Name, Backup: b}}) })
		}
		all, err := backup.List(c.Context(), s)
		if err != nil {
			return err
		}
		good, note := split(all)
		if note != "" {
			fmt.Fprintln(c.ErrOrStderr(), note)
		}
		if len(good) == 0 && out == cli.Table {
			fmt.Fprintf(c.ErrOrStderr(), "no backups in %s\n", s)
			return nil
		}
		list := backupList{Kind: "BackupList", APIVersion: "velero.io/v1", Items: objects(good)}
		return cli.Print(c.OutOrStdout(), out, list, func(w io.Writer) error { return printBackups(w, good) })
	}
	return c
}

// backupList is what -o json prints, as kubectl would.
type backupList struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Items      []any  `json:"items"`
}

func objects(l []backup.Listed) []any {
	out := make([]any, len(l))
	for i := range l {
		out[i] = l[i].Backup
	}
	return out
}

// split separates backups from folders that are none.
func split(all []backup.Listed) (good []backup.Listed, note string) {
	var bad []string
	for _, l := range all {
		if l.Err != nil {
			bad = append(bad, l.Name)
			continue
		}
		good = append(good, l)
	}
	if len(bad) > 0 {
		note = fmt.Sprintf("note: %d folders are no complete backup and are not listed: %s (lifeboat backup delete removes them)", len(bad), strings.Join(bad, ", "))
	}
	return good, note
}

func printBackups(w io.Writer, l []backup.Listed) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	encrypted := slices.ContainsFunc(l, func(b backup.Listed) bool { return backup.Encrypted(b.Backup) })
	header := "NAME\tSTATUS\tERRORS\tWARNINGS\tITEMS\tCREATED\tEXPIRES"
	if encrypted {
		header += "\tENCRYPTED"
	}
	fmt.Fprintln(t, header)
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
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\t%s", b.Name, st.Phase, st.Errors, st.Warnings, items, b.Started().UTC().Format(time.DateTime), expires)
		if encrypted {
			fmt.Fprintf(t, "\t%s", cmp.Or(b.Backup.Annotations[api.AnnotationEncryption], "no"))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

func newBackupDelete(stdin io.Reader) *cobra.Command {
	var (
		loc     cli.Location
		confirm bool
	)
	c := &cobra.Command{
		Use: "delete NAME --location URL", Short: "Delete a backup, or what an interrupted one left", Args: cli.Args(1, 1),
		Long: `Delete all files of a backup, its commit marker first. At a terminal you are asked,
unless --confirm is given.

A bucket whose lock still holds the commit marker refuses, and nothing is deleted
then. A bucket with versioning keeps what is deleted as older versions, until a
rule of the bucket removes them.
` + cli.ExitHelp,
	}
	loc.Add(c)
	c.Flags().BoolVar(&confirm, "confirm", false, "do not ask")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := store.CheckName(args[0]); err != nil {
			return cli.Usage("backup %w", err)
		}
		s, err := loc.Open(c.Context(), false)
		if err != nil {
			return err
		}
		if !confirm && !agreed(stdin, c.ErrOrStderr(), fmt.Sprintf("Delete backup %s from %s?", args[0], s)) {
			return fmt.Errorf("backup %s was not deleted", args[0])
		}
		n, err := store.DeleteBackup(c.Context(), s, args[0])
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: %s in %s (lifeboat backup get lists them)", backup.ErrNoBackup, args[0], s)
		}
		fmt.Fprintf(c.OutOrStdout(), "Backup %s is deleted: %d files.\n", args[0], n)
		return nil
	}
	return c
}

// agreed asks at a terminal; elsewhere the command itself is the answer.
func agreed(stdin io.Reader, w io.Writer, question string) bool {
	f, ok := stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return true
	}
	fmt.Fprintf(w, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(f).ReadString('\n') // no answer is a no
	return strings.EqualFold(strings.TrimSpace(answer), "y")
}

// size is a number of bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, prefixes := float64(n)/unit, "KMGTPE"
	for i := 0; ; i++ {
		if f < unit || i == len(prefixes)-1 {
			return fmt.Sprintf("%.1f %ciB", f, prefixes[i])
		}
		f /= unit
	}
}
