package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// reasonChanged is why an object is left alone that differs from the one when
// the plan was made.
const reasonChanged = "has changed since the plan was made; left alone (make a new plan)"

// update changes an object that the cluster has.
func (a *Applier) update(ctx context.Context, w Work) (Change, error) {
	live, err := a.read(ctx, resourceOf(w.Step), w.Step)
	switch {
	case apierrors.IsNotFound(err):
		return done(w, Failed, "is gone since the plan was made (make a new plan)")
	case err != nil:
		return a.ended(ctx, w, err, "cannot be read: ")
	case live.GetDeletionTimestamp() != nil:
		return done(w, Failed, fmt.Sprintf("is being deleted since the plan was made; finalizers: %v (make a new plan)", live.GetFinalizers()))
	}
	digest, err := a.Options.LiveDigest(live.DeepCopy(), heldAPIVersion(w.Step))
	if err != nil {
		return done(w, Failed, err.Error())
	}
	want := w.Step.Live
	if w.Step.Action == plan.Label {
		want = w.Step.Digest
	}
	if digest != want {
		return done(w, Failed, reasonChanged)
	}
	a.noteUID(w.Step, string(live.GetUID()))
	if w.Step.Relabel {
		return a.relabel(ctx, w, live)
	}
	return a.change(ctx, w, live)
}

// change patches the live object into the wanted one.
func (a *Applier) change(ctx context.Context, w Work, live *unstructured.Unstructured) (Change, error) {
	ownerless := len(a.references(w.Step)) < len(w.Step.Owners)
	patch, later, err := a.patch(w, live.DeepCopy())
	if err != nil {
		return done(w, Failed, err.Error())
	}
	a.noteIncomplete(w, withUID(later, string(live.GetUID())))
	switch {
	case w.Step.Completes:
		return done(w, Updated, w.Step.Reason)
	case patch == nil && later == nil && w.Step.Merge:
		return done(w, Unchanged, "has all that the backup has")
	}
	if err := a.send(ctx, w, live, patch); err != nil {
		return a.notUpdated(ctx, w, err)
	}
	if ownerless {
		a.noteOwnerless(w.Step)
	}
	if w.Step.Action == plan.Label {
		return done(w, Unchanged, w.Step.Reason)
	}
	note, err := a.manage(ctx, w.Step, managersOf(w), nil)
	switch {
	case err != nil:
		return unanswered(w, err)
	case w.Step.Merge:
		return done(w, Updated, "completed with what the backup has more"+note)
	}
	return done(w, Updated, w.Step.Reason+note)
}

func (a *Applier) notUpdated(ctx context.Context, w Work, err error) (Change, error) {
	if apierrors.IsConflict(err) {
		return done(w, Failed, reasonChanged)
	}
	return a.ended(ctx, w, err, "cannot be updated: ")
}

// relabel writes the labels of the restore on an object that cannot be
// updated, as Velero does; the step has failed all the same.
func (a *Applier) relabel(ctx context.Context, w Work, live *unstructured.Unstructured) (Change, error) {
	if err := a.send(ctx, w, live, nil); err != nil {
		return a.notUpdated(ctx, w, err)
	}
	return done(w, Failed, w.Step.Reason)
}

// patch is what has to change now, and what later, when the objects are restored
// that it would change or refuse; nil for nothing.
func (a *Applier) patch(w Work, live *unstructured.Unstructured) (now, later map[string]any, err error) {
	if w.Step.Action == plan.Label {
		return nil, nil, nil
	}
	want, err := a.wanted(w)
	if err != nil {
		return nil, nil, err
	}
	groupResource := w.Step.GroupResource()
	switch {
	case w.Step.Add:
		return plan.SubjectsPatch(want, live), nil, nil
	case w.Step.Completes:
		return nil, plan.Withhold(want, groupResource, a.Backup), nil
	}
	fields, incomplete := want.DeepCopy(), live.GetAnnotations()[api.AnnotationIncomplete] != ""
	var patch map[string]any
	if w.Step.Merge {
		patch = plan.MergePatch(want, live)
	} else if patch, err = a.Options.Patch(want, live); err != nil {
		return nil, nil, err
	}
	patch, later = plan.Postpone(patch, fields, groupResource, incomplete)
	if w.Step.Merge {
		return patch, later, nil
	}
	if refs := a.references(w.Step); len(refs) > 0 {
		if patch == nil {
			patch = map[string]any{}
		}
		meta, _ := patch["metadata"].(map[string]any)
		if meta == nil {
			meta = map[string]any{}
		}
		meta["ownerReferences"] = refs
		patch["metadata"] = meta
	}
	return patch, later, nil
}

// send sends a patch for the object as it was read, once more when an answer
// got lost. What only adds (Merge) is sent for whatever the object is by now.
func (a *Applier) send(ctx context.Context, w Work, live *unstructured.Unstructured, patch map[string]any, params ...cluster.Param) error {
	params = append(params, fields(w.Step)...)
	pin := live
	if w.Step.Merge {
		pin = nil
	}
	sealed, err := plan.Sealed(patch, w.Step, pin, a.Backup, a.Restore)
	if err != nil {
		return err
	}
	r := resourceOf(w.Step)
	var conflict error
	tries, err := a.try(ctx, r, func() error {
		err := a.Cluster.MergePatch(ctx, r, w.Step.Namespace, w.Step.Name, sealed, params...)
		if conflict = nil; pin != nil && apierrors.IsConflict(err) {
			conflict, err = err, nil // to try again would not help
		}
		return err
	})
	if conflict != nil && !(tries > 1 && a.isWanted(ctx, w)) {
		return conflict
	}
	return err
}

// isWanted reports whether the object is what the step makes of it: the answer
// to an earlier try may have got lost.
func (a *Applier) isWanted(ctx context.Context, w Work) bool {
	live, err := a.read(ctx, resourceOf(w.Step), w.Step)
	if err != nil {
		return false
	}
	digest, err := a.Options.LiveDigest(live, heldAPIVersion(w.Step))
	return err == nil && digest == w.Step.Digest
}

// Try asks the API server what it would say to an update; needed is false when
// there is nothing to change.
func (a *Applier) Try(ctx context.Context, w Work) (needed bool, refusal plan.Refusal, err error) {
	live, err := a.read(ctx, resourceOf(w.Step), w.Step)
	if apierrors.IsNotFound(err) {
		return true, plan.Refusal{}, nil // gone since it was listed: the restore will say so
	}
	if err != nil {
		return true, plan.Refusal{}, err
	}
	patch, later, err := a.patch(w, live.DeepCopy())
	if err != nil {
		return true, plan.Refusal{Words: err.Error()}, nil //nolint:nilerr // the refusal is the answer
	}
	if patch == nil && later == nil {
		return false, plan.Refusal{}, nil
	}
	patch = plan.Joined(patch, later)
	err = a.send(ctx, w, live, patch, cluster.DryRun())
	switch {
	case err == nil, apierrors.IsConflict(err), dryRunUnsupported(err):
		return true, plan.Refusal{}, nil
	case ctx.Err() != nil, cluster.Unreachable(err):
		return true, plan.Refusal{}, err
	}
	return true, plan.Refusal{Words: a.words(w, err), Invalid: apierrors.IsInvalid(err)}, nil
}
