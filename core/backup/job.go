// Package backup makes a backup of a cluster in a location, and lists, reads
// and deletes the backups a location holds.
//
// A backup streams: objects flow from the API server's lists into the archive
// and on into the store. What grows with the number of objects is the index of
// items for the manifest. Everything is written before velero-backup.json, and
// what an interrupted backup wrote is removed; where even that fails, what
// stays has no velero-backup.json and is no backup.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/version"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/collect"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/progress"
	"github.com/lifeboat-backup/lifeboat/core/seal"
	"github.com/lifeboat-backup/lifeboat/core/spec"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Cluster is what a backup asks of a cluster; *cluster.Client is one.
type Cluster interface {
	collect.Source
	Version(ctx context.Context) (version.Info, error)
	Explain(err error) error
}

// Job is one backup to be made. Object, Open and Cluster are required.
type Job struct {
	// Object is the Backup to make, as a user or a schedule wrote it. Its spec says
	// what is backed up (spec.ReadBackup). Its metadata and spec are stored as they
	// are; the job sets the status and adds what Velero's server adds.
	Object velerov1.Backup
	// Open opens the location. It is called once, after the cluster has accepted
	// the backup, so that a mistake leaves no folder behind.
	Open    func(ctx context.Context) (store.Store, error)
	Cluster Cluster
	// Data saves the data of volumes; nil is ObjectsOnly.
	Data Data
	// Recipients are who can read the tarball; without any it is not encrypted.
	Recipients seal.Recipients
	// Now returns the time, for everything that is recorded.
	Now func() time.Time
	// Progress, when set, receives each item that is written, by Run's goroutine.
	Progress progress.Sink
}

// Problem is something that was selected and is not in the backup. In JSON it is
// a string.
type Problem = collect.Problem

// Result is a backup that was made.
type Result struct {
	Backup   velerov1.Backup     `json:"backup"`
	Items    int                 `json:"items"`
	Bytes    int64               `json:"bytes"`  // JSON of the items
	Stored   int64               `json:"stored"` // size of the tarball
	Errors   []Problem           `json:"errors,omitempty"`
	Warnings []string            `json:"warnings,omitempty"`
	Coverage []manifest.Resource `json:"coverage"`
	Duration time.Duration       `json:"-"`
}

// Complete reports whether everything that was selected is in the backup.
func (r Result) Complete() bool { return r.Backup.Status.Phase == velerov1.BackupPhaseCompleted }

// prepared is a backup that the cluster has accepted.
type prepared struct {
	started    time.Time
	version    version.Info
	collection *collect.Collection
}

// Run makes the backup. After an error there is no backup: what was written has been
// removed, or the error says what could not be. A backup that lacks something
// that was selected is made, is PartiallyFailed and is not an error. A spec that
// is invalid or asks for more than a backup holds is a spec.Problems.
func (j Job) Run(ctx context.Context) (Result, error) {
	p, err := j.prepare(ctx)
	if err != nil {
		return Result{}, err
	}
	s, err := j.Open(ctx)
	if err != nil {
		return Result{}, err
	}
	w, err := store.Begin(ctx, s, j.Object.Name)
	if err != nil {
		return Result{}, err
	}
	result, err := j.write(ctx, w, p)
	if err != nil {
		return Result{}, errors.Join(fmt.Errorf("backup %s was not made: %w", j.Object.Name, err), w.Abort(ctx))
	}
	result.Duration = j.Now().Sub(p.started)
	return result, nil
}

// prepare does everything that can fail before anything is written.
func (j Job) prepare(ctx context.Context) (prepared, error) {
	if err := store.CheckName(j.Object.Name); err != nil {
		return prepared{}, fmt.Errorf("backup %w", err)
	}
	settings, err := spec.ReadBackup(j.Object.Spec)
	if err != nil {
		return prepared{}, fmt.Errorf("backup %s: %w", j.Object.Name, err)
	}
	p := prepared{started: j.Now()}
	if p.version, err = j.Cluster.Version(ctx); err != nil {
		return prepared{}, j.Cluster.Explain(err)
	}
	if p.collection, err = collect.Begin(ctx, j.Cluster, settings.Filter, settings.Order); err != nil {
		return prepared{}, j.Cluster.Explain(err)
	}
	return p, nil
}

func (j Job) write(ctx context.Context, w *store.Writer, p prepared) (Result, error) {
	r := newRecord(j.Object, p.started, j.Now)
	if err := r.seal(j.Recipients); err != nil {
		return Result{}, err
	}
	contents, err := j.writeContents(ctx, w, p.collection, r)
	if err != nil {
		return Result{}, errOr(ctx.Err(), err) // whichever side noticed first
	}
	r.files[r.contents()] = contents
	r.conclude(p.collection)
	if (len(r.items) == 0 || !p.collection.Listed()) && len(r.errors) > 0 {
		return Result{}, fmt.Errorf("nothing could be read from the cluster: %s%s", shorten(r.errors), tenantHint(r.errors))
	}
	if !p.collection.Matched() && len(r.errors) == 0 {
		return Result{}, errNothing
	}
	b := j.object(r, p.started, p.version)
	if err := r.writeCompanions(ctx, w); err != nil {
		return Result{}, err
	}
	metadata, err := encodeBackup(b)
	if err != nil {
		return Result{}, err
	}
	if err := r.writeManifest(ctx, w, metadata, j.Now()); err != nil {
		return Result{}, err
	}
	if err := w.Commit(ctx, metadata); err != nil {
		return Result{}, err
	}
	return Result{
		Backup: b, Items: len(r.items), Bytes: r.bytes, Stored: contents.Size,
		Errors: r.errors, Warnings: r.warnings, Coverage: r.coverage,
	}, nil
}

// errNothing is the error of a backup whose filter selects nothing: a typing error,
// most likely, that would otherwise make empty backups every night.
var errNothing = filter.NoMatch(errors.New("the filter selects nothing in the cluster"))

// tenantHint is the next step for someone who has rights in some namespaces only.
func tenantHint(problems []Problem) string {
	if slices.ContainsFunc(problems, func(p Problem) bool { return p.Object == "namespaces" && apierrors.IsForbidden(p.Err) }) {
		return " (with rights in some namespaces only, name them: --include-namespaces)"
	}
	return ""
}

// shorten joins problems, the first few of them.
func shorten(problems []Problem) string {
	const most = 3
	messages := make([]string, len(problems))
	for i, p := range problems {
		messages[i] = p.String()
	}
	if len(messages) <= most {
		return strings.Join(messages, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(messages[:most], "; "), len(messages)-most)
}

// writeContents streams the collection into the tarball.
func (j Job) writeContents(ctx context.Context, w *store.Writer, c *collect.Collection, r *record) (manifest.Digest, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pr, pw := io.Pipe()
	type stored struct {
		digest manifest.Digest
		err    error
	}
	done := make(chan stored, 1)
	go func() {
		size, sum, err := w.Put(ctx, r.contents(), pr)
		pr.CloseWithError(errOr(err, io.ErrClosedPipe)) // frees an archiver that still writes
		done <- stored{manifest.Digest{Size: size, SHA256: sum}, err}
	}()
	archiveErr := j.sealed(pw, func(w io.Writer) error { return j.archive(ctx, w, c, r) })
	pw.CloseWithError(archiveErr) // nil is the end of the file
	s := <-done
	switch {
	case archiveErr != nil && !errors.Is(archiveErr, s.err):
		return manifest.Digest{}, archiveErr
	case s.err != nil:
		return manifest.Digest{}, s.err
	}
	return s.digest, archiveErr
}

func errOr(err, fallback error) error {
	if err != nil {
		return err
	}
	return fallback
}

func (j Job) archive(ctx context.Context, w io.Writer, c *collect.Collection, r *record) error {
	a := archive.NewWriter(w, archive.Options{ModTime: r.started})
	v := volumes{place: map[item.Key]int{}}
	for it, err := range c.Items(ctx) {
		if err != nil {
			return j.Cluster.Explain(err)
		}
		added, err := j.add(a, it, r)
		if err == nil && added {
			err = v.note(it)
		}
		if err != nil {
			return err
		}
	}
	items, err := j.saveData(ctx, v, r)
	if err != nil {
		return err
	}
	for _, it := range items {
		if _, err := j.add(a, it, r); err != nil {
			return err
		}
	}
	return a.Close()
}

// add writes an item into the archive. It returns false for one that the
// archive cannot hold.
func (j Job) add(a *archive.Writer, it item.Item, r *record) (bool, error) {
	digest, err := a.Add(it)
	var refused *archive.EntryError
	switch {
	case errors.As(err, &refused):
		r.refuse(it.Key, refused.Err)
		return false, nil
	case err != nil:
		return false, fmt.Errorf("write %s: %w", it.Key, err)
	}
	r.add(it, digest)
	j.Progress.Report(progress.Event{Object: it.Key, Done: len(r.items), Bytes: r.bytes})
	return true, nil
}
