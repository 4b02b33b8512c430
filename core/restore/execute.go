package restore

import (
	"context"
	"fmt"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"maps"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/progress"
)

// Execute carries out a plan. Every step has its change in the result, also
// when an error ends the restore early.
func (j Job) Execute(ctx context.Context, p Prepared) (Result, error) {
	j.Store = catalog.Readable(j.Store, p.Metadata, j.Identities)
	r := Result{Restore: j.Name, Backup: j.Backup, Volumes: p.Plan.Volumes, Warnings: p.Warnings}
	act := make([]plan.Step, 0, len(p.Plan.Steps))
	r.Changes = make(apply.ChangeSet, 0, len(p.Plan.Steps))
	for _, s := range p.Plan.Steps {
		if s.Acts() {
			act = append(act, s)
		} else {
			r.Changes = append(r.Changes, j.decided(s))
		}
	}
	x := executor{job: j, applier: j.applier(p), steps: act, data: p.Plan.Data, incomplete: map[item.Key]string{}}
	done := 0
	x.applier.Progress = func(c apply.Change) {
		done = min(done+1, len(act))
		j.Progress.Report(progress.Event{Object: c.Key, Done: done, Total: len(act)})
	}
	err := x.execute(ctx, p.Plan.Awaits)
	x.failIncomplete()
	if err == nil {
		err = x.explainAltered(ctx)
	} else {
		x.warnIncomplete()
	}
	r.Changes = append(r.Changes, x.changes...)
	r.Changes = append(r.Changes, notReached(act, x.changes)...)
	r.Changes.Sort()
	r.Warnings = append(r.Warnings, x.warnings...)
	if err != nil {
		err = fmt.Errorf("restore %s is not complete: %w", j.Name, j.Cluster.Explain(err))
	}
	return r, err
}

// notReached are the changes of the steps that none was made for.
func notReached(steps []plan.Step, made apply.ChangeSet) apply.ChangeSet {
	if len(made) == len(steps) {
		return nil
	}
	reached := make(map[item.Key]bool, len(made))
	for _, c := range made {
		reached[c.Key] = true
	}
	var out apply.ChangeSet
	for _, s := range steps {
		if !reached[s.Key] {
			out = append(out, apply.Change{Key: s.Key, Outcome: apply.Failed, Reason: "not reached"})
		}
	}
	return out
}

func (j Job) applier(p Prepared) *apply.Applier {
	return &apply.Applier{
		Cluster: j.Cluster, Backup: j.Backup, Restore: j.Name, Options: p.Options, Workers: j.Workers, Digests: j.Digests, Hide: catalog.Encrypted(p.Metadata),
		Defines: maps.Clone(p.Plan.Defines), UIDs: maps.Clone(p.Plan.UIDs),
	}
}

// decided is the change of a step that the plan has settled already.
func (j Job) decided(s plan.Step) apply.Change {
	outcomes := map[plan.Action]apply.Outcome{plan.Unchanged: apply.Unchanged, plan.Skip: apply.Skipped, plan.Fail: apply.Failed}
	c := apply.Change{Key: s.Key, Outcome: outcomes[s.Action], Reason: s.Reason}
	if j.Digests && c.Outcome == apply.Unchanged {
		c.Made = &s.Digest
	}
	return c
}

// executor carries out the acting steps of a plan.
type executor struct {
	job      Job
	applier  *apply.Applier
	steps    []plan.Step
	changes  apply.ChangeSet // of the steps reached so far
	warnings []string
	data     []plan.DataStep // of claims that have not been created yet
	ready    []plan.DataStep // of claims that have
	// incomplete says why an object did not get what was withheld.
	incomplete map[item.Key]string
}

func (x *executor) execute(ctx context.Context, awaits []string) error {
	if err := x.await(ctx, awaits); err != nil {
		return err
	}
	err := Windows(ctx, x.job.Store, x.job.Backup, x.steps, func(work []apply.Work) error {
		changes, err := x.run(ctx, work)
		x.changes = append(x.changes, changes...)
		return err
	})
	if err != nil {
		return err
	}
	if err := x.complete(ctx, plan.RoundLast); err != nil {
		return err
	}
	if err := x.retryRefused(ctx); err != nil {
		return err
	}
	if err := x.complete(ctx, plan.RoundLast); err != nil { // what was retried
		return err
	}
	if err := x.restoreData(ctx); err != nil {
		return err
	}
	return x.setOwners(ctx)
}

// run applies a window, round by round: definitions first; when they are served,
// the rest; what may make pods when the claims have their data; and when the pods
// are there, what was withheld lest it change them. It returns one change per step
// that was reached.
func (x *executor) run(ctx context.Context, work []apply.Work) (apply.ChangeSet, error) {
	var all apply.ChangeSet
	for _, part := range parts(work) {
		if part[0].Step.NeedsData() {
			if err := x.restoreData(ctx); err != nil {
				return all, err
			}
		}
		if err := x.complete(ctx, part[0].Step.Round()); err != nil {
			return all, err
		}
		changes, err := x.applier.Run(ctx, part)
		if err == nil && part[0].Step.Defining() {
			err = x.established(ctx, changes)
		}
		x.noteClaims(changes)
		all = append(all, changes...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// parts divides a window, which is ordered by stage, where something has to
// happen before it goes on.
func parts(work []apply.Work) [][]apply.Work {
	var out [][]apply.Work
	for start, i := 0, 1; i <= len(work); i++ {
		if i == len(work) || work[i].Step.Round() != work[start].Step.Round() {
			out = append(out, work[start:i])
			start = i
		}
	}
	return out
}

// retryWait is the time before what was refused is tried again.
const retryWait = 2 * time.Second

// retryRefused retries what could not be created because a webhook did not answer: its
// server may be among what was restored since. It goes on while that helps.
func (x *executor) retryRefused(ctx context.Context) error {
	for {
		later, places := x.retryable()
		if len(later) == 0 {
			return nil
		}
		x.job.stage("trying %d items again that a webhook did not answer for", len(later))
		if !cluster.Sleep(ctx, retryWait) {
			return ctx.Err()
		}
		helped := false
		err := Windows(ctx, x.job.Store, x.job.Backup, later, func(work []apply.Work) error {
			changes, err := x.run(ctx, work)
			for _, c := range changes {
				helped = helped || c.Outcome != apply.Failed
				c.Late = true
				x.changes[places[c.Key]] = c
			}
			return err
		})
		if err != nil || !helped {
			return err
		}
	}
}

// retryable are the steps that are worth another try, and where their changes are.
func (x *executor) retryable() ([]plan.Step, map[item.Key]int) {
	places := map[item.Key]int{}
	for i, c := range x.changes {
		if c.Later {
			places[c.Key] = i
		}
	}
	var steps []plan.Step
	for _, s := range x.steps {
		if _, wanted := places[s.Key]; wanted {
			steps = append(steps, s)
		}
	}
	return steps, places
}

// complete gives what was created so far the fields that were withheld and are due
// before a round.
func (x *executor) complete(ctx context.Context, before plan.Round) error {
	return x.applier.Complete(ctx, before, func(s plan.Step, reason string) { x.incomplete[s.Key] = reason })
}

// warnIncomplete names what a restore that ended early has left without what was
// withheld: a namespace does not refuse pods, a class is no default.
func (x *executor) warnIncomplete() {
	for _, s := range x.applier.Incomplete() {
		what := strings.Join(s.Withheld, ", ")
		if what == "" { // an update
			what = "all its fields"
		}
		x.warnings = append(x.warnings, fmt.Sprintf("%s: is without %s, since the restore ended early (restore again)", s.Key, what))
	}
}

// failIncomplete makes a failure of what did not get what was withheld.
func (x *executor) failIncomplete() {
	for i := range x.changes {
		if c := &x.changes[i]; x.incomplete[c.Key] != "" && c.Outcome != apply.Failed {
			c.Outcome, c.Reason = apply.Failed, string(c.Outcome)+", but "+x.incomplete[c.Key]
		}
	}
}

// setOwners gives what was created before its owner the reference to it.
func (x *executor) setOwners(ctx context.Context) error {
	reasons := map[item.Key]string{}
	err := x.applier.Own(ctx, func(s plan.Step, reason string) { reasons[s.Key] = reason })
	for i := range x.changes {
		if reason := reasons[x.changes[i].Key]; reason != "" {
			x.changes[i].Reason += "; " + reason
			x.warnings = append(x.warnings, x.changes[i].Key.String()+": "+reason)
		}
	}
	return err
}

// waiters is for how many definitions at once the API server is asked.
const waiters = 8

// established waits for the definitions that were created. One that never is
// has failed; the error says that the API server cannot be asked any more.
func (x *executor) established(ctx context.Context, changes apply.ChangeSet) error {
	errs := make([]error, len(changes))
	var g errgroup.Group
	g.SetLimit(waiters)
	for i, c := range changes {
		if c.Outcome != apply.Failed {
			g.Go(func() error { errs[i] = x.applier.Established(ctx, c.Key); return nil })
		}
	}
	_ = g.Wait() // the errors are in errs
	for i, err := range errs {
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case cluster.Unreachable(err):
			return err
		}
		changes[i].Outcome, changes[i].Reason = apply.Failed, "created, but "+err.Error()
		// Its objects are refused; there is no point in trying again.
		maps.DeleteFunc(x.applier.Defines, func(_, definition string) bool { return definition == changes[i].Name })
	}
	return nil
}

// Name is the name of a restore that was given none, as Velero makes it.
func Name(backup, timestamp string) string { return api.LabelValue(backup + "-" + timestamp) }
