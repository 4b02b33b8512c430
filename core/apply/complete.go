package apply

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// incomplete is an object that still has to get what was withheld (plan.Withhold).
type incomplete struct {
	step     plan.Step
	patch    map[string]any
	managers plan.Managers
}

func (a *Applier) noteIncomplete(w Work, patch map[string]any) {
	if len(patch) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.incomplete = append(a.incomplete, incomplete{w.Step, patch, managersOf(w)})
}

// noteCreatedIncomplete notes what an object still has to get that the API server
// answered to have made.
func (a *Applier) noteCreatedIncomplete(w Work, answer []byte, withheld map[string]any) error {
	if len(withheld) == 0 {
		return nil
	}
	var o struct{ Metadata struct{ UID string } }
	if err := json.Unmarshal(answer, &o); err != nil {
		return fmt.Errorf("read the answer to the creation of %s: %w", w.Step.Key, err)
	}
	a.noteIncomplete(w, withUID(withheld, o.Metadata.UID))
	return nil
}

// Incomplete are the steps whose objects still have to get what was withheld.
func (a *Applier) Incomplete() []plan.Step {
	out := make([]plan.Step, len(a.incomplete)) // no Run is under way
	for i, in := range a.incomplete {
		out[i] = in.step
	}
	return out
}

// Complete gives the objects what was withheld that is due before a round, and
// calls report for each that stays without it. The error is one after which
// nothing more can be done.
func (a *Applier) Complete(ctx context.Context, before plan.Round, report func(s plan.Step, reason string)) error {
	var due, rest []incomplete // no Run is under way
	for _, i := range a.incomplete {
		if i.step.Completed() <= before {
			due = append(due, i)
		} else {
			rest = append(rest, i)
		}
	}
	reasons, reached := make([]string, len(due)), make([]bool, len(due))
	err := a.each(ctx, len(due), func(ctx context.Context, i int) (err error) {
		reasons[i], err = a.complete(ctx, due[i])
		reached[i] = err == nil
		return err
	})
	for i, reason := range reasons {
		switch {
		case !reached[i]:
			rest = append(rest, due[i])
		case reason != "":
			report(due[i].step, reason)
		}
	}
	a.incomplete = rest
	return err
}

func (a *Applier) complete(ctx context.Context, i incomplete) (string, error) {
	body, err := json.Marshal(i.patch)
	if err != nil {
		return "", err
	}
	s, r := i.step, resourceOf(i.step)
	_, err = a.try(ctx, r, func() error { return a.Cluster.MergePatch(ctx, r, s.Namespace, s.Name, body) })
	if err == nil {
		_, err := a.manage(ctx, s, i.managers, nil)
		return "", err
	}
	reason := fmt.Sprintf("is incomplete, since the fields that were withheld cannot be set: %s (restore again)", a.words(Work{Step: s}, err))
	if ctx.Err() != nil || cluster.Unreachable(err) {
		return reason, err
	}
	return reason, nil
}

// withUID makes a patch one for the object with the UID and no other.
func withUID(patch map[string]any, uid string) map[string]any {
	if len(patch) == 0 || uid == "" {
		return patch
	}
	meta, _ := patch["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		patch["metadata"] = meta
	}
	meta["uid"] = uid
	return patch
}
