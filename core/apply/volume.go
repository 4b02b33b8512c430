package apply

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// bindTo names the volume that a new claim gets, and the claim that a new volume
// gets, where the plan knows them. What a modifier wrote stays.
func bindTo(u *unstructured.Unstructured, s plan.Step) {
	spec := item.Child(u.Object, "spec")
	if name, _ := spec["volumeName"].(string); s.Volume != nil && spec != nil && name == "" {
		spec["volumeName"] = s.Volume.Name
	}
	if claim := item.Child(spec, "claimRef"); claim != nil && s.ClaimUID != "" {
		claim["uid"] = s.ClaimUID
	}
}

// claimTries is how often a volume is read again that changed in between: its
// controller marks it as Released at about the same time.
const claimTries = 5

// giveVolume reserves the volume of a claim for it, after a claim of that name
// that is being deleted is gone. Only the volume's claimRef changes. The change
// is empty when it is done.
func (a *Applier) giveVolume(ctx context.Context, w Work) (Change, error) {
	if w.Step.Action == plan.Create {
		old, err := a.read(ctx, resourceOf(w.Step), w.Step)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return a.ended(ctx, w, err, "cannot be read: ")
		case old.GetDeletionTimestamp() != nil:
			if change, err := a.awaitRemoval(ctx, w, string(old.GetUID()), "is being deleted"); err != nil || change.Outcome != "" {
				return change, err
			}
		}
	}
	for try := 1; ; try++ {
		err := a.reserve(ctx, w.Step)
		switch {
		case err == nil:
			return Change{}, nil
		case apierrors.IsConflict(err) && try < claimTries && cluster.Sleep(ctx, removalPoll):
			continue
		}
		return a.ended(ctx, w, err, fmt.Sprintf("its volume %s cannot be given back: ", w.Step.Volume.Name))
	}
}

var volumeResource = item.Resource{Version: "v1", Name: "persistentvolumes", Kind: "PersistentVolume"}

// reserve changes the claimRef of a volume if the volume is the one of the plan.
func (a *Applier) reserve(ctx context.Context, s plan.Step) error {
	it, err := a.Cluster.Get(ctx, volumeResource, "", s.Volume.Name)
	if err != nil {
		return err
	}
	live, err := it.Object()
	if err != nil {
		return err
	}
	want := plan.ClaimRef{Namespace: s.Namespace, Name: s.Name, UID: s.Volume.ClaimUID}
	switch has := plan.ClaimRefOf(live); {
	case has == want:
		return nil
	case string(live.GetUID()) != s.Volume.UID, live.GetDeletionTimestamp() != nil, has != s.Volume.Was:
		return fmt.Errorf("it %s", reasonChanged)
	}
	patch, err := claimPatch(live, want)
	if err != nil {
		return err
	}
	var conflict error
	_, err = a.try(ctx, item.Resource{}, func() error {
		err := a.Cluster.MergePatch(ctx, volumeResource, "", s.Volume.Name, patch)
		if conflict = nil; apierrors.IsConflict(err) {
			conflict, err = err, nil // it has to be read again first
		}
		return err
	})
	if err := cmp.Or(err, conflict); err != nil {
		return err
	}
	if phase, _, _ := unstructured.NestedString(live.Object, "status", "phase"); phase == released {
		a.awaitAvailable(ctx, s.Volume.Name)
	}
	return nil
}

// released is the phase of a volume whose claim was deleted.
const released = "Released"

// availableTimeout bounds the wait for the volume controller, for all volumes of
// a restore together.
const availableTimeout = 10 * time.Second

// awaitAvailable waits until the volume controller has seen that a volume is
// reserved. It would not bind a claim that it sees before that until its next
// round, 15 seconds later.
func (a *Applier) awaitAvailable(ctx context.Context, name string) {
	deadline := a.deadline(&a.reservations, availableTimeout)
	for time.Now().Before(deadline) && cluster.Sleep(ctx, removalPoll) {
		it, err := a.Cluster.Get(ctx, volumeResource, "", name)
		if err != nil {
			return
		}
		live, err := it.Object()
		if err != nil {
			return
		}
		if phase, _, _ := unstructured.NestedString(live.Object, "status", "phase"); phase != released {
			return
		}
	}
}

// claimPatch reserves a volume, as it was read, for a claim.
func claimPatch(live *unstructured.Unstructured, claim plan.ClaimRef) ([]byte, error) {
	ref := map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": claim.Namespace, "name": claim.Name,
		"uid": nil, "resourceVersion": nil,
	}
	if claim.UID != "" {
		ref["uid"] = claim.UID
	}
	return json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": string(live.GetUID()), "resourceVersion": live.GetResourceVersion()},
		"spec":     map[string]any{"claimRef": ref},
	})
}
