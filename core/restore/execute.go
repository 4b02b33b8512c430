package restore

import (
	"context"
	"errors"
	"fmt"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// windowBytes is how much JSON of a backup is in memory at once. Smaller
// backups are read once more after indexing, larger ones once per window.
const windowBytes = 48 << 20

// ReadArchive hands each item of a backup's archive to use, in the archive's
// order. A nil return means that the archive was read to its end and is whole.
func ReadArchive(ctx context.Context, s store.Store, name string, use func(item.Item) error) error {
	r, err := s.Get(ctx, store.Contents(name))
	if err != nil {
		return fmt.Errorf("read the archive of backup %s: %w", name, err)
	}
	defer r.Close()
	for it, err := range archive.NewReader(r, archive.Limits{}).Items() {
		if err != nil {
			return fmt.Errorf("read the archive of backup %s: %w", name, err)
		}
		if err := use(it); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// errEnough ends a pass over the archive that has found all it wants.
var errEnough = errors.New("enough")

// Windows hands the items of the keys, which must be in the archive, to use in
// the order of the keys, at most windowBytes of them at once.
func Windows(ctx context.Context, s store.Store, backup string, steps []plan.Step, use func([]apply.Work) error) error {
	for len(steps) > 0 {
		n, size := 0, 0
		for n < len(steps) && (n == 0 || size+steps[n].Size <= windowBytes) {
			size += steps[n].Size
			n++
		}
		work, err := load(ctx, s, backup, steps[:n])
		if err != nil {
			return err
		}
		if err := use(work); err != nil {
			return err
		}
		steps = steps[n:]
	}
	return nil
}

func load(ctx context.Context, s store.Store, backup string, steps []plan.Step) ([]apply.Work, error) {
	work := make([]apply.Work, len(steps))
	places := make(map[item.Key]int, len(steps))
	for i, step := range steps {
		work[i].Step = step
		if !step.Bare {
			places[step.Key] = i
		}
	}
	if len(places) == 0 {
		return work, nil
	}
	err := ReadArchive(ctx, s, backup, func(it item.Item) error {
		if i, wanted := places[it.Key]; wanted {
			work[i].Item = it
			delete(places, it.Key)
		}
		if len(places) == 0 {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	for key := range places {
		return nil, fmt.Errorf("the archive of backup %s has changed: %s is gone", backup, key)
	}
	return work, nil
}

// Execute carries out a plan. Every step has its change in the result, also
// when an error ends the restore early.
func (j Job) Execute(ctx context.Context, p Prepared) (Result, error) {
	r := Result{Restore: j.Name, Backup: j.Backup, Volumes: p.Plan.Volumes}
	var create []plan.Step
	for _, s := range p.Plan.Steps {
		if s.Action == plan.Create {
			create = append(create, s)
		} else {
			r.Changes = append(r.Changes, decided(s))
		}
	}
	x := executor{job: j, total: len(create), applier: apply.Applier{
		Cluster: j.Cluster, Backup: j.Backup, Restore: j.Name, Workers: j.Workers,
	}, defines: p.Plan.Defines}
	if j.Progress != nil {
		done := 0
		x.applier.Progress = func(c apply.Change) { done++; j.Progress(done, x.total, c) }
	}
	err := Windows(ctx, j.Store, j.Backup, create, func(work []apply.Work) error { return x.run(ctx, work) })
	for _, s := range create[len(x.changes):] {
		x.changes = append(x.changes, apply.Change{Key: s.Key, Outcome: apply.Failed, Reason: "not reached"})
	}
	r.Changes = append(r.Changes, x.changes...)
	r.Changes.Sort()
	return r, err
}

// decided is the change of a step that the plan has settled already.
func decided(s plan.Step) apply.Change {
	outcomes := map[plan.Action]apply.Outcome{plan.Unchanged: apply.Unchanged, plan.Skip: apply.Skipped, plan.Fail: apply.Failed}
	return apply.Change{Key: s.Key, Outcome: outcomes[s.Action], Reason: s.Reason}
}

type executor struct {
	job     Job
	applier apply.Applier
	total   int
	defines map[string]string
	changes apply.ChangeSet // in the order of the create steps
}

// run applies a window: definitions first, and when they are served, the rest.
func (x *executor) run(ctx context.Context, work []apply.Work) error {
	n := 0
	for n < len(work) && work[n].Step.Defining() {
		n++
	}
	changes, err := x.applier.Run(ctx, work[:n])
	x.changes = append(x.changes, changes...)
	if err != nil {
		return x.job.Cluster.Explain(err)
	}
	for i, c := range changes {
		if c.Outcome == apply.Failed {
			continue
		}
		if err := x.applier.Established(ctx, c.Key); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			last := &x.changes[len(x.changes)-len(changes)+i]
			last.Outcome, last.Reason = apply.Failed, "created, but "+err.Error()
		}
	}
	changes, err = x.applier.Run(ctx, work[n:])
	x.changes = append(x.changes, changes...)
	return x.job.Cluster.Explain(err)
}

// Name is the name of a restore that was given none, as Velero makes it.
func Name(backup, timestamp string) string { return api.LabelValue(backup + "-" + timestamp) }
