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
	asked := ask{steps: map[item.Key]*plan.Step{}}
	for i := range p.Plan.Steps {
		if s := &p.Plan.Steps[i]; s.Action == plan.Update && len(s.Owners) == 0 && (s.Volume == nil || !s.Volume.Only) {
			asked.add(s)
		}
	}
	if len(asked.about) > 0 {
		j.stage("asking the API server what it would say to %d updates", len(asked.about))
	}
	a := j.applier(*p)
	err := asked.all(ctx, j, func(ctx context.Context, s *plan.Step, w apply.Work) error {
		needed, refusal, err := a.Try(ctx, w)
		switch {
		case err != nil:
			return err
		case !needed && s.Gives():
			s.Volume.Only = true
		case !needed:
			s.Action, s.Reason = plan.Skip, plan.ReasonDiffers
		case refusal.Words != "":
			j.Options.Refused(s, seen.Existing[s.Key], refusal)
		}
		return nil
	})
	for _, s := range p.Plan.Steps {
		if s.Action == plan.Recreate {
			delete(p.Plan.UIDs, s.Key) // it gets another
		}
	}
	return err
}

// tryCreations asks the API server, by dry runs, what it would say to each
// creation that does not depend on another step.
func (j Job) tryCreations(ctx context.Context, p *Prepared, seen plan.Observed) error {
	ahead := p.Plan.Ahead(seen)
	asked := ask{steps: map[item.Key]*plan.Step{}}
	for i := range p.Plan.Steps {
		s := &p.Plan.Steps[i]
		if s.Action != plan.Create && s.Action != plan.Recreate {
			continue
		}
		if s.Untried = ahead.Blocker(*s); s.Untried == "" {
			asked.add(s)
		}
	}
	if len(asked.about) > 0 {
		j.stage("asking the API server what it would say to %d creations", len(asked.about))
	}
	a := j.applier(*p)
	a.DryRun = true
	return asked.all(ctx, j, func(ctx context.Context, s *plan.Step, w apply.Work) error {
		got, err := a.TryCreation(ctx, w, ahead)
		if err == nil && got.Refusal != "" {
			s.RefusedCreation(got.Refusal)
		}
		s.Untried = got.Untried
		return err
	})
}

// ask is what the API server is asked about.
type ask struct {
	about []plan.Step
	steps map[item.Key]*plan.Step // in the plan
}

func (a *ask) add(s *plan.Step) {
	a.about = append(a.about, *s)
	a.steps[s.Key] = s
}

// all calls one for each step, several at once, each with its own step of the
// plan.
func (a *ask) all(ctx context.Context, j Job, one func(ctx context.Context, s *plan.Step, w apply.Work) error) error {
	return Windows(ctx, j.Store, j.Backup, a.about, func(work []apply.Work) error {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(apply.DefaultWorkers)
		for _, w := range work {
			g.Go(func() error { return one(gctx, a.steps[w.Step.Key], w) })
		}
		return g.Wait()
	})
}
