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
	"log/slog"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/version"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/collect"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// DefaultTTL is how long a backup is kept when nothing is said, as Velero's.
const DefaultTTL = 720 * time.Hour

// Cluster is what a backup asks of a cluster; *cluster.Client is one.
type Cluster interface {
	collect.Source
	Version(ctx context.Context) (version.Info, error)
	Explain(err error) error
}

// Job is one backup to be made. Name, Store and Cluster are required.
type Job struct {
	Name    string
	Store   store.Store
	Cluster Cluster
	Filter  filter.Filter
	TTL     time.Duration // 0 = DefaultTTL
	Labels  map[string]string
	// UID is the backup object's; Velero identifies backups by it.
	UID string
	// Now tells the time, for everything that is recorded.
	Now func() time.Time
	// Progress, when set, is called from Run's goroutine as items are written.
	Progress func(Progress)
	Log      *slog.Logger // nil = none
}

// Progress is how far a backup has come.
type Progress struct {
	Resource string // being written
	Items    int    // written so far
	Bytes    int64  // of their JSON
}

// Result is a backup that was made.
type Result struct {
	Backup   velerov1.Backup     `json:"backup"`
	Items    int                 `json:"items"`
	Bytes    int64               `json:"bytes"`  // JSON of the items
	Stored   int64               `json:"stored"` // size of the tarball
	Errors   []string            `json:"errors,omitempty"`
	Warnings []string            `json:"warnings,omitempty"`
	Coverage []manifest.Resource `json:"coverage"`
	Duration time.Duration       `json:"-"`
}

// Complete reports whether everything that was selected is in the backup.
func (r Result) Complete() bool { return r.Backup.Status.Phase == velerov1.BackupPhaseCompleted }

// Run makes the backup. After an error there is none: what was written has
// been removed, or the error says what could not be. A backup in which
// something selected is missing is made, is PartiallyFailed and no error.
func (j Job) Run(ctx context.Context) (Result, error) {
	started := j.Now()
	info, collection, err := j.begin(ctx)
	if err != nil {
		return Result{}, err
	}
	w, err := store.Begin(ctx, j.Store, j.Name)
	if err != nil {
		return Result{}, err
	}
	result, err := j.write(ctx, w, started, info, collection)
	if err != nil {
		return Result{}, errors.Join(err, w.Abort(ctx))
	}
	result.Duration = j.Now().Sub(started)
	return result, nil
}

// begin asks all that can be refused before anything is written.
func (j Job) begin(ctx context.Context) (version.Info, *collect.Collection, error) {
	if err := store.CheckName(j.Name); err != nil {
		return version.Info{}, nil, fmt.Errorf("backup %w", err)
	}
	if j.TTL < 0 {
		return version.Info{}, nil, fmt.Errorf("ttl %s is negative", j.TTL)
	}
	info, err := j.Cluster.Version(ctx)
	if err != nil {
		return version.Info{}, nil, j.Cluster.Explain(err)
	}
	collection, err := collect.Begin(ctx, j.Cluster, j.Filter)
	if err != nil {
		return version.Info{}, nil, j.Cluster.Explain(err)
	}
	return info, collection, nil
}

func (j Job) write(ctx context.Context, w *store.Writer, started time.Time, info version.Info, c *collect.Collection) (Result, error) {
	r := newRecord(j.Name, started)
	contents, err := j.writeContents(ctx, w, c, r)
	if err != nil {
		return Result{}, err
	}
	r.files[store.Contents(j.Name)] = contents
	for _, p := range c.Problems() {
		r.problem(p.Object, cluster.Reason(p.Err))
	}
	r.coverage = c.Report()
	if len(r.items) == 0 && len(r.errors) > 0 {
		return Result{}, fmt.Errorf("nothing could be backed up: %s", strings.Join(r.errors, "; "))
	}
	b := j.object(r, started, info)
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
		size, sum, err := w.Put(ctx, store.Contents(j.Name), pr)
		pr.CloseWithError(errOr(err, io.ErrClosedPipe)) // frees an archiver that still writes
		done <- stored{manifest.Digest{Size: size, SHA256: sum}, err}
	}()
	archiveErr := j.archive(ctx, pw, c, r)
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
	for it, err := range c.Items(ctx) {
		if err != nil {
			return j.Cluster.Explain(err)
		}
		digest, err := a.Add(it)
		var refused *archive.EntryError
		switch {
		case errors.As(err, &refused):
			r.problem(it.Key.String(), refused.Err.Error())
			continue
		case err != nil:
			return fmt.Errorf("write %s: %w", it.Key, err)
		}
		if err := r.add(it, digest); err != nil {
			return err
		}
		if j.Progress != nil {
			j.Progress(Progress{Resource: it.Key.GroupResource(), Items: len(r.items), Bytes: r.bytes})
		}
	}
	return a.Close()
}
