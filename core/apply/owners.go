package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// noteOwner remembers the UID of an object that others are owned by.
func (a *Applier) noteOwner(s plan.Step, object []byte) error {
	if !s.Owns {
		return nil
	}
	var o struct{ Metadata struct{ UID string } }
	if err := json.Unmarshal(object, &o); err != nil {
		return fmt.Errorf("read the answer to the creation of %s: %w", s.Key, err)
	}
	a.noteUID(s, o.Metadata.UID)
	return nil
}

func (a *Applier) noteUID(s plan.Step, uid string) {
	if !s.Owns || uid == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.UIDs == nil {
		a.UIDs = map[item.Key]string{}
	}
	a.UIDs[s.Key] = uid
}

// noteOwnerless remembers a step whose object is written without one of its
// owners, for Own.
func (a *Applier) noteOwnerless(s plan.Step) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ownerless = append(a.ownerless, s)
}

// references are the owner references of a step for the owners that the target
// has by now.
func (a *Applier) references(s plan.Step) []any {
	if len(s.Owners) == 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []any
	for _, o := range s.Owners {
		if uid := a.UIDs[o.Key]; uid != "" {
			out = append(out, o.Reference(uid))
		}
	}
	return out
}

// Own gives the objects that were created before their owners the references
// to them, and calls report for each that stays without one. The error is one
// after which nothing more can be done.
func (a *Applier) Own(ctx context.Context, report func(s plan.Step, reason string)) error {
	steps := a.ownerless // no Run is under way
	a.ownerless = nil
	reasons := make([]string, len(steps))
	err := a.each(ctx, len(steps), func(ctx context.Context, i int) (err error) {
		reasons[i], err = a.own(ctx, steps[i])
		return err
	})
	for i, reason := range reasons {
		if reason != "" {
			report(steps[i], reason)
		}
	}
	return err
}

// own writes the owner references of one object and says what is missing.
func (a *Applier) own(ctx context.Context, s plan.Step) (string, error) {
	missing := a.missingOwners(s)
	refs := a.references(s)
	if len(refs) == 0 {
		return missing, nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": refs}})
	if err != nil {
		return "", err
	}
	r := resourceOf(s)
	_, err = a.try(ctx, r, func() error { return a.Cluster.MergePatch(ctx, r, s.Namespace, s.Name, patch) })
	switch {
	case err == nil:
		return missing, nil
	case ctx.Err() != nil, cluster.Unreachable(err):
		return "without its owners: " + a.words(Work{Step: s}, err), err
	}
	return "without its owners: " + a.words(Work{Step: s}, err), nil
}

func (a *Applier) missingOwners(s plan.Step) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for _, o := range s.Owners {
		if a.UIDs[o.Key] == "" {
			out = append(out, o.Key.String())
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "without its owner " + strings.Join(out, ", ") + ", which could not be restored"
}
