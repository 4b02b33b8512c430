// Package restore brings a backup back: it reads the whole archive once to
// index and check it, looks at the target cluster, makes a plan, and carries
// out exactly that plan.
//
// Nothing is extracted to disk. The objects themselves are read again from the
// location, in windows of bounded size, so memory grows with the index of
// items only. A damaged archive is refused before anything is changed.
package restore

import (
	"context"
	"errors"
	"fmt"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"iter"
	"strings"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/progress"
	"github.com/lifeboat-backup/lifeboat/core/seal"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/volume"
)

// DefaultTerminatingTimeout is Velero's terminating-resource-timeout.
const DefaultTerminatingTimeout = 10 * time.Minute

// Cluster is the target of a restore; *cluster.Client is one.
type Cluster interface {
	apply.Cluster
	AllVersions(ctx context.Context) ([]item.Resource, []cluster.GroupFailure, error)
	List(ctx context.Context, r item.Resource, o cluster.ListOptions, info *cluster.ListInfo) iter.Seq2[item.Item, error]
	Explain(err error) error
}

// Job is one restore. Name, Backup, Store and Cluster are required.
type Job struct {
	Name    string
	Backup  string
	Store   store.Store
	Cluster Cluster
	Options plan.Options
	// Identities decrypt an encrypted backup.
	Identities seal.Identities
	// Reviewed, when set, is the plan that Run carries out; its options are those
	// of the job.
	Reviewed *File
	// TryCreations asks the API server about each creation by a dry run when the
	// plan is made. It costs about as much as the restore.
	TryCreations bool
	Workers      int // 0 = apply.DefaultWorkers
	// Digests asks for apply.Change.Made.
	Digests bool
	// TerminatingTimeout bounds the wait for namespaces that are being deleted,
	// 0 is DefaultTerminatingTimeout.
	TerminatingTimeout time.Duration
	// Data restores the data of claims; nil restores none.
	Data Data
	// Record asks Run to write Velero's files about the restore into the location
	// of the backup. If they cannot be written the restore has a warning.
	Record bool
	// Now returns the time, for durations and the log.
	Now func() time.Time
	// Progress, when set, receives each stage, and each step of Execute that acts
	// on the cluster.
	Progress progress.Sink
	// Warn, when set, receives each warning of Prepare, before anything is changed.
	Warn func(warning string)
}

// Prepared is a plan with what it was made from.
type Prepared struct {
	Metadata velerov1.Backup
	Options  plan.Options
	Cluster  string // UID of the target's namespace kube-system
	Entries  []plan.Entry
	Plan     plan.Plan
	// Warnings say what could not be checked.
	Warnings []string
}

// Result is what a restore did.
type Result struct {
	Restore  string          `json:"restore"`
	Backup   string          `json:"backup"`
	Changes  apply.ChangeSet `json:"changes"`
	Volumes  []plan.Volume   `json:"volumes,omitempty"`
	Warnings []string        `json:"warnings,omitempty"`
	Duration time.Duration   `json:"-"`
}

// Complete reports whether nothing failed.
func (r Result) Complete() bool { return r.Changes.Count(apply.Failed) == 0 }

// Prepare reads the backup, looks at the cluster and makes the plan. It
// changes nothing.
func (j Job) Prepare(ctx context.Context) (Prepared, error) {
	j.Options.Types = cluster.NewBuiltIn
	if err := errors.Join(j.Options.Check()...); err != nil {
		return Prepared{}, err
	}
	metadata, err := catalog.Read(ctx, j.Store, j.Backup)
	if err != nil {
		return Prepared{}, err
	}
	if err := errors.Join(restorable(metadata), catalog.CheckReadable(metadata, j.Identities)); err != nil {
		return Prepared{}, err
	}
	j.Store = catalog.Readable(j.Store, metadata, j.Identities)
	t, err := discover(ctx, j.Cluster)
	if err != nil {
		return Prepared{}, j.Cluster.Explain(err)
	}
	j.stage("reading backup %s", j.Backup)
	names, err := j.resolve(ctx, t.resources)
	if err != nil {
		return Prepared{}, err
	}
	entries, warnings, err := j.index(ctx, metadata, names.options)
	if err != nil {
		return Prepared{}, err
	}
	if err := errors.Join(j.Options.Mismatches(entries, names.resources)...); err != nil {
		return Prepared{}, filter.NoMatch(fmt.Errorf("backup %s %w (lifeboat backup describe %s --details lists what it holds)", j.Backup, err, j.Backup))
	}
	if len(entries) == 0 {
		warnings = append(warnings, fmt.Sprintf("backup %s is empty: it holds no items", j.Backup))
	}
	if lacks := j.lacks(ctx, metadata); lacks != "" {
		warnings = append([]string{lacks}, warnings...)
	}
	if j.Warn != nil {
		for _, w := range warnings {
			j.Warn(w)
		}
	}
	p := Prepared{Metadata: metadata, Options: j.Options, Entries: plan.ComeAlong(entries), Warnings: warnings}
	if err := j.plan(ctx, t, &p); err != nil {
		return Prepared{}, err
	}
	return p, nil
}

func (j Job) stage(format string, args ...any) {
	j.Progress.Report(progress.Event{Stage: fmt.Sprintf(format, args...)})
}

// plan looks at the target and makes the plan.
func (j Job) plan(ctx context.Context, t target, p *Prepared) error {
	j.stage("looking at what the cluster has of %d items", len(p.Entries))
	seen, err := t.observe(ctx, j.Cluster, p.Entries, j.Options)
	if err == nil {
		p.Cluster, err = clusterID(ctx, j.Cluster)
	}
	if err != nil {
		return j.Cluster.Explain(err)
	}
	if len(seen.Unseen) > 0 {
		p.Warnings = append(p.Warnings, "no permission to read in the target cluster: "+strings.Join(seen.Unseen, "; "))
	}
	if missing := j.Options.MissingStorageClasses(p.Entries, seen); len(missing) > 0 {
		return filter.NoMatch(fmt.Errorf("storage class %s, to which others are mapped, is neither in the target cluster nor in the backup (kubectl get storageclasses lists those of the cluster)", strings.Join(missing, ", ")))
	}
	if missing := j.Options.MissingNamespaces(p.Entries, seen); len(missing) > 0 {
		return filter.NoMatch(fmt.Errorf("namespace %s, which the filter excludes, is neither in backup %s nor in the target cluster", filter.Quoted(missing), j.Backup))
	}
	p.Plan = j.Options.Build(j.Backup, p.Entries, seen)
	p.Warnings = append(p.Warnings, p.Plan.Warnings...)
	err = j.settle(ctx, p, seen)
	if err == nil && j.TryCreations {
		err = j.tryCreations(ctx, p, seen)
	}
	if err != nil {
		return j.Cluster.Explain(err)
	}
	return nil
}

// restorable rejects unfinished backups.
func restorable(b velerov1.Backup) error {
	if b.Status.Phase.Restorable() {
		return nil
	}
	return fmt.Errorf("backup %s is %s: only a backup that is Completed or PartiallyFailed can be restored", b.Name, b.Status.Phase)
}

// namedErrors is how many errors of a backup a warning names.
const namedErrors = 3

// lacks is a warning about a backup that recorded errors when it was made, "" for
// others.
func (j Job) lacks(ctx context.Context, b velerov1.Backup) string {
	if b.Status.Phase != velerov1.BackupPhasePartiallyFailed && b.Status.Errors == 0 {
		return ""
	}
	text := fmt.Sprintf("backup %s is %s and may lack objects: it recorded %d errors when it was made", j.Backup, b.Status.Phase, b.Status.Errors)
	listed, err := catalog.Errors(ctx, j.Store, j.Backup)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && len(listed) == 0:
		return text
	case err != nil:
		return text + ", which cannot be read: " + err.Error()
	}
	more := ""
	if n := len(listed) - namedErrors; n > 0 {
		listed, more = listed[:namedErrors], fmt.Sprintf("; and %d more (%s lists all)", n, store.Results(j.Backup))
	}
	return text + ": " + strings.Join(listed, "; ") + more
}

// index reads the archive to its end: what it holds, and that it is whole and,
// where the backup has a manifest, what was written.
func (j Job) index(ctx context.Context, metadata velerov1.Backup, o plan.Options) ([]plan.Entry, []string, error) {
	data, err := j.volumeData(ctx)
	if err != nil {
		return nil, nil, err
	}
	digests, warnings, err := j.digests(ctx, metadata)
	if err != nil {
		return nil, nil, err
	}
	o.VolumeData = data
	x := indexer{options: o, digests: digests}
	file, err := reading{store: j.Store, backup: j.Backup, use: x.use, bad: x.bad}.read(ctx)
	if err == nil {
		err = digests.end(file)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: nothing has been restored (lifeboat backup verify %s shows details)", err, j.Backup)
	}
	return x.refused.apply(x.entries, o), warnings, nil
}

// volumeData reads how the data of each volume was saved. Backups made
// before Velero 1.13 have no such record.
func (j Job) volumeData(ctx context.Context) (map[string]plan.VolumeData, error) {
	r, err := j.Store.Get(ctx, store.VolumeInfo(j.Backup))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the volume records: %w", err)
	}
	defer r.Close()
	infos, err := volume.DecodeInfos(r)
	if err != nil {
		return nil, fmt.Errorf("read the volume records %s: %w", store.VolumeInfo(j.Backup), err)
	}
	data := map[string]plan.VolumeData{}
	for _, i := range infos {
		if i.PVName != "" && i.BackupMethod != "" {
			data[i.PVName] = plan.VolumeData{Method: string(i.BackupMethod), Handle: i.Handle()}
		}
	}
	return data, nil
}

// Run prepares a plan and executes it. Where a reviewed one does not hold any
// more the error is ErrDrift, and nothing has been changed.
func (j Job) Run(ctx context.Context) (Result, error) {
	started := j.Now()
	p, err := j.Prepare(ctx)
	if err == nil && j.Reviewed != nil {
		err = j.Reviewed.Check(p)
	}
	if err != nil {
		return Result{}, err
	}
	r, err := j.Execute(ctx, p)
	r.Duration = j.Now().Sub(started)
	if j.Record {
		if err := j.record(ctx, p.Plan, r, err); err != nil {
			r.Warnings = append(r.Warnings, err.Error())
		}
	}
	return r, err
}
