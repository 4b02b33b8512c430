package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// recreate deletes an object and creates the one of the backup in its place.
// Where that is refused, the one that was there is put back.
func (a *Applier) recreate(ctx context.Context, w Work) (Change, error) {
	was, err := a.read(ctx, resourceOf(w.Step), w.Step)
	switch {
	case apierrors.IsNotFound(err): // an earlier run may have come as far
	case err != nil:
		return a.ended(ctx, w, err, "cannot be read: ")
	default:
		if change, err := a.remove(ctx, w, was.DeepCopy()); err != nil || change.Outcome != "" {
			return change, err
		}
	}
	change, err := a.create(ctx, w)
	switch {
	case change.Outcome == Created:
		change.Outcome = Updated
	case change.Outcome == Failed && err == nil:
		change.Reason = "deleted, and cannot be recreated: " + change.Reason + a.putBack(ctx, w, was)
	}
	return change, err
}

// putBack creates an object again as it was, and says whether it is back.
func (a *Applier) putBack(ctx context.Context, w Work, was *unstructured.Unstructured) string {
	if was == nil {
		return ""
	}
	managers := plan.ManagersIn(was)
	plan.ForRecreation(was)
	object, err := json.Marshal(was.Object)
	var answer []byte
	if err == nil {
		r := resourceOf(w.Step)
		_, err = a.try(ctx, r, func() (err error) {
			answer, err = a.Cluster.Create(ctx, r, w.Step.Namespace, object)
			return err
		})
	}
	if err != nil {
		return "; the one that was there is gone, and cannot be put back: " + a.words(Work{Step: w.Step, Item: item.Item{Raw: object}}, err)
	}
	note, _ := a.manage(ctx, w.Step, managers, decoded(answer)) // the next step finds the API server gone
	return "; the one that was there has been put back" + note
}

const (
	// removalTimeout bounds the wait until objects are gone that the
	// restore creates again: finalizers may hold them forever.
	removalTimeout = time.Minute
	removalPoll    = 100 * time.Millisecond
)

// remove deletes an object that is to be recreated, if it is the one of the
// plan, and waits until it is gone. The change is empty when it is; live is used
// up.
func (a *Applier) remove(ctx context.Context, w Work, live *unstructured.Unstructured) (Change, error) {
	uid := string(live.GetUID())
	digest, err := a.Options.LiveDigest(live, heldAPIVersion(w.Step))
	if err != nil {
		return done(w, Failed, err.Error())
	}
	if digest != w.Step.Live {
		return done(w, Failed, reasonChanged)
	}
	// What it owns stays, and is adopted by its successor or has no owner.
	orphan := metav1.DeletePropagationOrphan
	o := metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(uid), PropagationPolicy: &orphan}
	r := resourceOf(w.Step)
	_, err = a.try(ctx, r, func() error { return a.Cluster.Delete(ctx, r, w.Step.Namespace, w.Step.Name, o) })
	if err != nil && !apierrors.IsNotFound(err) {
		return a.ended(ctx, w, err, "cannot be deleted: ")
	}
	return a.awaitRemoval(ctx, w, uid, "was deleted")
}

// awaitRemoval waits until the object with the UID is gone. The change is empty
// when it is; otherwise it says that the object, in the given state, still exists.
func (a *Applier) awaitRemoval(ctx context.Context, w Work, uid, state string) (Change, error) {
	deadline := a.removalDeadline()
	for {
		live, err := a.read(ctx, resourceOf(w.Step), w.Step)
		switch {
		case apierrors.IsNotFound(err), err == nil && string(live.GetUID()) != uid:
			return Change{}, nil
		case err != nil:
			return a.ended(ctx, w, err, state+", and cannot be read: ")
		case time.Now().After(deadline):
			return done(w, Failed, fmt.Sprintf("%s and still exists after %s; finalizers: %v (restore again when it is gone)", state, removalTimeout, live.GetFinalizers()))
		}
		if !cluster.Sleep(ctx, removalPoll) {
			return unanswered(w, context.Cause(ctx))
		}
	}
}

// removalDeadline is one for all steps, so that many objects that cannot go
// delay a restore no longer than one does.
func (a *Applier) removalDeadline() time.Time {
	return a.deadline(&a.removals, removalTimeout)
}

// deadline sets a deadline of the applier the first time that it is asked for.
func (a *Applier) deadline(at *time.Time, limit time.Duration) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at.IsZero() {
		*at = time.Now().Add(limit)
	}
	return *at
}
