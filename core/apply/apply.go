// Package apply carries out the steps of a plan: it creates objects in a
// cluster and says of each what became of it.
//
// It never changes an object that it did not create, with one exception: the
// service account that a controller makes in a new namespace before we can is
// completed with what the backup has more.
package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// Cluster is the target as applying needs it; *cluster.Client is one.
type Cluster interface {
	Create(ctx context.Context, r item.Resource, namespace string, object []byte) ([]byte, error)
	Get(ctx context.Context, r item.Resource, namespace, name string) (item.Item, error)
	MergePatch(ctx context.Context, r item.Resource, namespace, name string, patch []byte) error
}

// DefaultWorkers is how many requests are under way at once.
const DefaultWorkers = 32

// Applier carries out steps. Cluster, Backup and Restore are required.
type Applier struct {
	Cluster Cluster
	Backup  string // names for the labels of restored objects
	Restore string
	Workers int // 0 = DefaultWorkers
	// Defines are the group-resources of definitions that the same restore
	// creates; an API server may need a moment to serve them.
	Defines map[string]string
	// Progress, when set, is called after each step, by one goroutine at a time.
	Progress func(Change)
}

// Work is a step with the item it needs.
type Work struct {
	Step plan.Step
	Item item.Item // zero for a bare namespace
}

// Run carries out the work, stage by stage; the steps must be ordered by
// stage. It returns one change per step in any case. The error is set when the
// cluster could not be asked any more or ctx is done: the steps that were not
// reached have failed with that reason.
func (a *Applier) Run(ctx context.Context, work []Work) (ChangeSet, error) {
	changes := make(ChangeSet, len(work))
	for start := 0; start < len(work); {
		end := start
		for end < len(work) && work[end].Step.Stage == work[start].Step.Stage {
			end++
		}
		if err := a.stage(ctx, work[start:end], changes[start:end]); err != nil {
			notReached(work, changes, err)
			return changes, err
		}
		start = end
	}
	return changes, nil
}

func notReached(work []Work, changes ChangeSet, err error) {
	for i := range changes {
		if changes[i].Outcome == "" {
			changes[i] = Change{Key: work[i].Step.Key, Outcome: Failed, Reason: "not reached: " + cluster.Reason(err)}
		}
	}
}

// stage carries out steps that do not depend on each other. Results go to
// fixed places, so no lock is needed.
func (a *Applier) stage(ctx context.Context, work []Work, changes ChangeSet) error {
	workers := a.Workers
	if workers == 0 {
		workers = DefaultWorkers
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	var progress sync.Mutex
	for i, w := range work {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			change, err := a.step(gctx, w)
			changes[i] = change
			if err != nil {
				return err
			}
			if a.Progress != nil {
				progress.Lock()
				defer progress.Unlock()
				a.Progress(change)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// step carries out one step. An error means that no further step can succeed;
// what goes wrong with this one alone is in the change.
func (a *Applier) step(ctx context.Context, w Work) (Change, error) {
	done := func(o Outcome, reason string) (Change, error) {
		return Change{Key: w.Step.Key, Outcome: o, Reason: reason}, nil
	}
	object, err := a.object(w)
	if err != nil {
		return done(Failed, err.Error())
	}
	r := resourceOf(w.Step)
	tries, err := a.try(ctx, r, func() error {
		_, err := a.Cluster.Create(ctx, r, w.Step.Namespace, object)
		return err
	})
	switch {
	case err == nil:
		return done(Created, w.Step.Reason)
	case ctx.Err() != nil:
		return unanswered(w, context.Cause(ctx))
	case cluster.Unreachable(err):
		return unanswered(w, err)
	case apierrors.IsAlreadyExists(err):
		return a.existing(ctx, r, w, tries)
	}
	return done(Failed, cluster.Reason(err))
}

// unanswered is what becomes of a step whose request has no answer, and of
// those after it.
func unanswered(w Work, err error) (Change, error) {
	return Change{Key: w.Step.Key, Outcome: Failed, Reason: "no answer, so it may have been done or not: " + cluster.Reason(err)}, err
}

func resourceOf(s plan.Step) item.Resource {
	return item.Resource{Group: s.Group, Version: s.Version, Name: s.Resource, Kind: s.Kind, Namespaced: s.Namespace != ""}
}

// object is what is posted.
func (a *Applier) object(w Work) ([]byte, error) {
	if w.Step.Bare {
		return fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, w.Step.Name), nil
	}
	u, err := w.Item.Object()
	if err != nil {
		return nil, err
	}
	plan.Prepare(u)
	plan.Mark(u, a.Backup, a.Restore)
	return json.Marshal(u.Object)
}

// retries are for answers that a moment may change: a quota that counts
// concurrently, a server that asks to come back, one of several API servers
// that goes away. With five tries they take three seconds.
func retries() wait.Backoff {
	return wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.1, Steps: 5}
}

// try makes a request as often as is worth it and says how often that was.
func (a *Applier) try(ctx context.Context, r item.Resource, request func() error) (tries int, err error) {
	backoff := retries()
	for {
		tries++
		err := request()
		if err == nil || ctx.Err() != nil || !a.worthRetrying(r, err) || backoff.Steps <= 1 {
			return tries, err
		}
		if !sleep(ctx, backoff.Step()) {
			return tries, err
		}
	}
}

func (a *Applier) worthRetrying(r item.Resource, err error) bool {
	_, defined := a.Defines[r.GroupResource()]
	return apierrors.IsConflict(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) ||
		cluster.Unreachable(err) || defined && apierrors.IsNotFound(err)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// existing says what it means that an object the plan creates is there: made
// by a controller since, by somebody else, or by an earlier try of this
// request whose answer got lost.
func (a *Applier) existing(ctx context.Context, r item.Resource, w Work, tries int) (Change, error) {
	live, err := a.Cluster.Get(ctx, r, w.Step.Namespace, w.Step.Name)
	switch {
	case ctx.Err() != nil:
		return unanswered(w, context.Cause(ctx))
	case cluster.Unreachable(err):
		return unanswered(w, err)
	case err != nil:
		return Change{Key: w.Step.Key, Outcome: Failed, Reason: "exists, and cannot be read: " + cluster.Reason(err)}, nil
	}
	if w.Step.Bare {
		return Change{Key: w.Step.Key, Outcome: Unchanged, Reason: "exists by now"}, nil
	}
	if tries > 1 && a.isOurs(live) {
		return Change{Key: w.Step.Key, Outcome: Created, Reason: w.Step.Reason}, nil
	}
	digest, err := plan.DigestOf(live)
	if err != nil {
		return Change{Key: w.Step.Key, Outcome: Failed, Reason: err.Error()}, nil
	}
	if digest == w.Step.Digest {
		return Change{Key: w.Step.Key, Outcome: Unchanged, Reason: "exists by now and is equal"}, nil
	}
	if w.Step.GroupResource() == "serviceaccounts" {
		return a.mergeServiceAccount(ctx, r, w, live)
	}
	return Change{Key: w.Step.Key, Outcome: Skipped, Reason: plan.ReasonDiffers}, nil
}

// isOurs reports whether this restore made the object.
func (a *Applier) isOurs(live item.Item) bool {
	u, err := live.Object()
	return err == nil && u.GetLabels()[api.LabelRestoreName] == api.LabelValue(a.Restore)
}

// mergeServiceAccount adds the labels, annotations, image pull secrets and
// whether to mount tokens of the backup to a service account, what the cluster
// has keeping its value (after Velero v1.18,
// pkg/restore/merge_service_account.go).
func (a *Applier) mergeServiceAccount(ctx context.Context, r item.Resource, w Work, live item.Item) (Change, error) {
	change := Change{Key: w.Step.Key, Outcome: Updated, Reason: "made by a controller first; completed with what the backup has more"}
	patch, err := a.serviceAccountPatch(w.Item, live)
	if err == nil && patch == nil {
		change.Outcome, change.Reason = Unchanged, "made by a controller first; it has all that the backup has"
		return change, nil
	}
	if err == nil {
		_, err = a.try(ctx, r, func() error { return a.Cluster.MergePatch(ctx, r, w.Step.Namespace, w.Step.Name, patch) })
	}
	switch {
	case ctx.Err() != nil:
		return unanswered(w, context.Cause(ctx))
	case cluster.Unreachable(err):
		return unanswered(w, err)
	case err != nil:
		change.Outcome, change.Reason = Failed, "made by a controller first, and cannot be completed: "+cluster.Reason(err)
	}
	return change, nil
}

// serviceAccountPatch is what the backup has more, nil for nothing.
func (a *Applier) serviceAccountPatch(backup, live item.Item) ([]byte, error) {
	want, err := backup.Object()
	if err != nil {
		return nil, err
	}
	have, err := live.Object()
	if err != nil {
		return nil, err
	}
	plan.Prepare(want)
	patch := map[string]any{}
	for _, field := range []string{"imagePullSecrets", "secrets"} {
		if all := union(list(have, field), list(want, field)); len(all) > len(list(have, field)) {
			patch[field] = all
		}
	}
	// Ours: without it an account that must not be mounted would be.
	const automount = "automountServiceAccountToken"
	if value, set := want.Object[automount]; set && have.Object[automount] == nil {
		patch[automount] = value
	}
	labels, annotations := missing(want.GetLabels(), have.GetLabels()), missing(want.GetAnnotations(), have.GetAnnotations())
	if len(patch)+len(labels)+len(annotations) == 0 {
		return nil, nil
	}
	plan.Mark(want, a.Backup, a.Restore)
	patch["metadata"] = map[string]any{"labels": missing(want.GetLabels(), have.GetLabels()), "annotations": annotations}
	return json.Marshal(patch)
}

func missing(want, have map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range want {
		if _, there := have[k]; !there {
			out[k] = v
		}
	}
	return out
}

func list(u *unstructured.Unstructured, field string) []any {
	l, _, _ := unstructured.NestedSlice(u.Object, field)
	return l
}

func union(a, b []any) []any {
	seen := map[string]bool{}
	out := []any{}
	for _, e := range slices.Concat(a, b) {
		if key := fmt.Sprint(e); !seen[key] {
			seen[key] = true
			out = append(out, e)
		}
	}
	return out
}
