package restore

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// settle asks the API server, by dry runs, what it would say to each update, so
// that the plan knows what cannot be updated and what needs no update.
func (j Job) settle(ctx context.Context, p *Prepared, seen plan.Observed) error {
	var updates []plan.Step
	places := map[item.Key]int{}
	for i, s := range p.Plan.Steps {
		if s.Action == plan.Update && len(s.Owners) == 0 && (s.Volume == nil || !s.Volume.Only) {
			updates, places[s.Key] = append(updates, s), i
		}
	}
	if len(updates) > 0 {
		j.stage("asking the API server what it would say to %d updates", len(updates))
	}
	a := j.applier(*p)
	err := Windows(ctx, j.Store, j.Backup, updates, func(work []apply.Work) error {
		return tryAll(ctx, a, work, func(k item.Key, needed bool, refusal plan.Refusal) {
			s := &p.Plan.Steps[places[k]]
			switch {
			case !needed && s.Gives():
				s.Volume.Only = true
			case !needed:
				s.Action, s.Reason = plan.Skip, plan.ReasonDiffers
			case refusal.Words != "":
				j.Options.Refused(s, seen.Existing[k], refusal)
			}
		})
	})
	for _, s := range p.Plan.Steps {
		if s.Action == plan.Recreate {
			delete(p.Plan.UIDs, s.Key) // it gets another
		}
	}
	return err
}

// tryAll tries updates, several at once; decided is called once for each.
func tryAll(ctx context.Context, a *apply.Applier, work []apply.Work, decided func(k item.Key, needed bool, refusal plan.Refusal)) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(apply.DefaultWorkers)
	for _, w := range work {
		g.Go(func() error {
			needed, refusal, err := a.Try(gctx, w)
			if err == nil {
				decided(w.Step.Key, needed, refusal)
			}
			return err
		})
	}
	return g.Wait()
}
