package apply

import (
	"context"
	"encoding/json"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// managersOf are those to whom a step gives fields, nil if there are none.
func managersOf(w Work) plan.Managers {
	managers, err := plan.ManagersOf(w.Item)
	if err != nil {
		return nil // unlikely: the object has been decoded before
	}
	return managers
}

// manage gives the fields that a restore has written to those who manage them in
// the backup. live is the object as it was written, nil to read it. An API server
// does not accept the record of managers with the object itself (apimachinery,
// managedfields: what a create adds is its writer's), so this costs a request,
// only for objects that were applied on the server.
//
// It returns what to add to the reason of the change: a refusal does not undo
// the object. The error is one after which nothing more can be done.
func (a *Applier) manage(ctx context.Context, s plan.Step, managers plan.Managers, live *unstructured.Unstructured) (note string, err error) {
	if managers == nil {
		return "", nil
	}
	backoff := retries()
	for {
		err := a.giveBack(ctx, s, managers, live)
		switch {
		case err == nil:
			return "", nil
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case cluster.Unreachable(err):
			return "", err
		case !apierrors.IsConflict(err) || backoff.Steps <= 1 || !cluster.Sleep(ctx, backoff.Step()):
			return "; its field managers could not be restored: " + a.words(Work{Step: s}, err), nil
		}
		live = nil // a controller has changed it meanwhile
	}
}

// giveBack tries it once.
func (a *Applier) giveBack(ctx context.Context, s plan.Step, managers plan.Managers, live *unstructured.Unstructured) error {
	r := resourceOf(s)
	if live == nil {
		var err error
		if live, err = a.read(ctx, r, s); err != nil {
			return err
		}
	}
	patch, err := managers.GiveBack(live, cluster.FieldManager, heldAPIVersion(s), s.APIVersion())
	if err != nil || patch == nil {
		return err
	}
	var conflict error
	_, err = a.try(ctx, r, func() error {
		err := a.Cluster.MergePatch(ctx, r, s.Namespace, s.Name, patch)
		if conflict = nil; apierrors.IsConflict(err) {
			conflict, err = err, nil // the same patch would conflict again
		}
		return err
	})
	if err != nil {
		return err
	}
	return conflict
}

// decoded is the answer to a write, nil if it is not an object.
func decoded(answer []byte) *unstructured.Unstructured {
	var u unstructured.Unstructured
	if err := json.Unmarshal(answer, &u.Object); err != nil {
		return nil
	}
	return &u
}
