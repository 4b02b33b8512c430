package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/volume"
	"github.com/lifeboat-backup/lifeboat/core/volume/kopia"
)

func newVolumes() *cobra.Command {
	return cli.Group("volumes", "List and extract the data of volumes in a backup, without a cluster",
		newVolumesList(), newVolumesExtract())
}

// volumeFlags select a backup and the password of its repositories.
type volumeFlags struct {
	loc      cli.Location
	backup   string
	password cli.RepoPassword
}

func (f *volumeFlags) add(c *cobra.Command) {
	f.loc.Add(c)
	c.Flags().StringVar(&f.backup, "from-backup", "", "`name` of the backup (required)")
	f.password.Add(c)
}

func (f *volumeFlags) readPassword() (string, error) {
	password, err := f.password.Read()
	return cmp.Or(password, kopia.StaticPassword), err
}

// open reads the records of the backup's volumes.
func (f *volumeFlags) open(ctx context.Context) (store.Store, []volume.Data, error) {
	if f.backup == "" {
		return nil, nil, cli.Usage("--from-backup is required (lifeboat backup get lists backups)")
	}
	if err := store.CheckName(f.backup); err != nil {
		return nil, nil, cli.Usage("--from-backup: %w", err)
	}
	s, err := f.loc.Open(ctx, false)
	if err != nil {
		return nil, nil, err
	}
	if _, err := catalog.Read(ctx, s, f.backup); err != nil {
		return nil, nil, err
	}
	all, err := catalog.Volumes(ctx, s, f.backup)
	return s, all, err
}

// explained adds the next step to an error of a repository.
func explained(err error, password string) error {
	switch {
	case errors.Is(err, kopia.ErrPassword) && password == "":
		return fmt.Errorf("%w (name the file with the password: --repo-password-file)", err)
	case errors.Is(err, kopia.ErrPassword):
		return fmt.Errorf("%w (it is in the file of --repo-password-file, %s)", err, password)
	case errors.Is(err, kopia.ErrNoRepository):
		return fmt.Errorf("%w (is kopia/ of the bucket below this location?)", err)
	}
	return err
}

// listedVolume is one line of volumes ls.
type listedVolume struct {
	volume.Data
	Name  string `json:"name"`
	Files *int64 `json:"files,omitempty"` // of a snapshot that could be opened
	Error string `json:"error,omitempty"` // why it could not
}

func newVolumesList() *cobra.Command {
	var (
		f   volumeFlags
		out cli.Format
	)
	c := &cobra.Command{
		Use: "ls --from-backup NAME --location URL", Aliases: []string{"list", "get"}, Short: "List the volumes of a backup and how their data was saved", Args: cli.Args(0, 0),
		Long: `List each volume that a backup records: how its data was saved, its size, and whether
the snapshot can be found in the repository. No file is read; lifeboat volumes extract
reads files. The status is 3 if a snapshot cannot be found.
` + cli.ExitHelp,
	}
	f.add(c)
	cli.AddOutput(c, &out)
	c.RunE = func(c *cobra.Command, _ []string) error {
		password, err := f.readPassword()
		if err != nil {
			return err
		}
		s, all, err := f.open(c.Context())
		if err != nil {
			return err
		}
		list, err := lookUp(c.Context(), s, all, password, string(f.password))
		if err != nil {
			return err
		}
		if err := cli.Print(c.OutOrStdout(), out, list, func(w io.Writer) error { return printVolumes(w, f.backup, list) }); err != nil {
			return err
		}
		for _, v := range list {
			if v.Error != "" {
				return cli.Status(cli.ExitPartial)
			}
		}
		return nil
	}
	return c
}

// lookUp finds the snapshots of volumes.
func lookUp(ctx context.Context, s store.Store, all []volume.Data, password, from string) ([]listedVolume, error) {
	repos := kopia.NewRepositories(s, password)
	defer repos.Close(ctx)
	list := make([]listedVolume, 0, len(all))
	for _, d := range all {
		v := listedVolume{Data: d, Name: d.Name()}
		if d.InRepository() {
			snap, err := snapshotOf(ctx, repos, d)
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case err != nil:
				v.Error = explained(err, from).Error()
			default:
				v.Files = &snap.Files
			}
		}
		list = append(list, v)
	}
	return list, nil
}

func snapshotOf(ctx context.Context, repos *kopia.Repositories, d volume.Data) (*kopia.Snapshot, error) {
	r, err := repos.Get(ctx, d.Repository)
	if err != nil {
		return nil, err
	}
	return r.Snapshot(ctx, d.Snapshot)
}

func printVolumes(w io.Writer, backup string, list []listedVolume) error {
	if len(list) == 0 {
		cli.Printf(w, "Backup %s records no volume.\n", backup)
		return nil
	}
	t := cli.NewColumns(w)
	t.Row("VOLUME", "METHOD", "OUTCOME", "SIZE", "FILES")
	var problems []string
	for _, v := range list {
		files := "-"
		if v.Files != nil {
			files = fmt.Sprint(*v.Files)
		}
		method := string(v.Method)
		if method == "" {
			method = "-"
		}
		if v.Moved {
			method += " (moved)"
		}
		t.Row(v.Name, method, v.Outcome, size(v.Size), files)
		for _, problem := range []string{v.Reason, v.Error} {
			if problem != "" {
				problems = append(problems, v.Name+": "+problem)
			}
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	printList(w, "\nRemarks", problems)
	return nil
}

func newVolumesExtract() *cobra.Command {
	var (
		f               volumeFlags
		claim, from, to string
	)
	c := &cobra.Command{
		Use: "extract --from-backup NAME --claim NAMESPACE/NAME --to DIR --location URL", Short: "Extract files of a volume from a backup", Args: cli.Args(0, 0),
		Long: `Extract the files of a volume from the kopia repository of a backup, without a
cluster. Owners are set if the command runs as root. Entries that cannot be files
(names with a slash, duplicates) are not written; they are listed, and the status is 3.

  lifeboat volumes extract --from-backup B --claim shop/data --path etc/app.conf --to out
  lifeboat volumes extract --from-backup B --claim shop/data --to - | tar -tv
` + cli.ExitHelp,
	}
	f.add(c)
	c.Flags().StringVar(&claim, "claim", "", "the volume: `namespace/name` of the claim, or namespace/pod:volume for a volume of a pod (required)")
	c.Flags().StringVar(&from, "path", "", "extract only this `path` within the volume (default: everything)")
	c.Flags().StringVar(&to, "to", "", "`directory` to extract to, which must be empty or absent; - writes a tar archive to standard output (required)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case claim == "":
			return cli.Usage("--claim is required: namespace/name (lifeboat volumes ls lists volumes)")
		case to == "":
			return cli.Usage("--to is required: a directory, or - for a tar archive on standard output")
		}
		password, err := f.readPassword()
		if err != nil {
			return err
		}
		s, all, err := f.open(c.Context())
		if err != nil {
			return err
		}
		d, err := chosen(all, claim, f.backup)
		if err != nil {
			return err
		}
		return extract(c, s, d, extraction{password: password, passwordFile: string(f.password), from: from, to: to})
	}
	return c
}

// chosen is the volume that a user names.
func chosen(all []volume.Data, name, backup string) (volume.Data, error) {
	for _, d := range all {
		switch {
		case d.Name() != name:
		case d.InRepository():
			return d, nil
		case d.Outcome == volume.OutcomeEmpty:
			return d, fmt.Errorf("volume %s of backup %s is empty: there is nothing to extract", name, backup)
		default:
			why := "its data is not in a repository"
			if d.Method != "" {
				why += " (method " + string(d.Method) + ")"
			}
			if d.Reason != "" {
				why += ": " + d.Reason
			}
			return d, fmt.Errorf("volume %s of backup %s cannot be extracted: %s", name, backup, why)
		}
	}
	return volume.Data{}, cli.Usage("--claim: backup %s has no volume %s (lifeboat volumes ls lists volumes)", backup, name)
}

type extraction struct {
	password, passwordFile string
	from, to               string
}

func extract(c *cobra.Command, s store.Store, d volume.Data, x extraction) error {
	ctx := c.Context()
	r, err := kopia.Open(ctx, s, d.Repository, x.password)
	if err != nil {
		return explained(err, x.passwordFile)
	}
	defer func() { _ = r.Close(ctx) }() // it was only read
	snap, err := r.Snapshot(ctx, d.Snapshot)
	if err != nil {
		return err
	}
	entry, err := r.Find(ctx, snap, x.from)
	if errors.Is(err, os.ErrNotExist) {
		return cli.Usage("--path: volume %s has no %q", d.Name(), "/"+strings.Trim(path.Clean("/"+x.from), "/"))
	}
	if err != nil {
		return err
	}
	var done kopia.Extracted
	if x.to == "-" {
		done, err = r.Tar(ctx, snap, entry, cli.Raw(c.OutOrStdout()))
	} else {
		done, err = extractTo(c, r, snap, entry, x.to)
	}
	return conclude(c.ErrOrStderr(), d, x.to, done, err)
}

func extractTo(c *cobra.Command, r *kopia.Repository, snap *kopia.Snapshot, entry kopia.Entry, to string) (kopia.Extracted, error) {
	root, err := emptyDirectory(to)
	if err != nil {
		return kopia.Extracted{}, err
	}
	defer root.Close()
	progress := cli.NewProgress(c.ErrOrStderr())
	defer progress.Done()
	return r.Extract(c.Context(), snap, entry, root, func(done kopia.Extracted) {
		progress.Show("%d of %d files, %s of %s", done.Files, snap.Files, size(done.Bytes), size(snap.Bytes))
	})
}

// emptyDirectory opens a directory that has nothing in it, and makes it if it is
// absent.
func emptyDirectory(to string) (*os.Root, error) {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return nil, cli.Usage("--to: %w", err)
	}
	root, err := os.OpenRoot(to)
	if err != nil {
		return nil, cli.Usage("--to: %w", err)
	}
	dir, err := root.Open(".")
	if err == nil {
		var names []string
		names, err = dir.Readdirnames(1)
		if err = errors.Join(ignoreEnd(err), dir.Close()); err == nil && len(names) > 0 {
			err = fmt.Errorf("%s is not empty: it contains %s", to, names[0])
		}
	}
	if err != nil {
		root.Close()
		return nil, cli.Usage("--to: %w", err)
	}
	return root, nil
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// conclude prints what was extracted. It goes to standard error: standard output may
// be the archive.
func conclude(w io.Writer, d volume.Data, to string, done kopia.Extracted, err error) error {
	var usage cli.UsageError
	if errors.As(err, &usage) {
		return err
	}
	if err != nil {
		return fmt.Errorf("volume %s: %w (%d files are complete in %s)", d.Name(), err, done.Files, to)
	}
	cli.Printf(w, "Volume %s: %s of %d files, %d directories and %d symbolic links extracted to %s.\n", d.Name(), size(done.Bytes), done.Files, done.Directories, done.Links, to)
	if done.Unset > 0 {
		cli.Printf(w, "The owner, mode or time of %d entries was not set: an owner needs root, and the file system must support it.\n", done.Unset)
	}
	if len(done.Refused) == 0 {
		return nil
	}
	var lines []string
	for _, b := range done.Refused {
		lines = append(lines, b.Error())
	}
	printList(w, "Refused", lines)
	return cli.Status(cli.ExitPartial)
}
