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
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"

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
	// Progress, when set, is called after each step, from many goroutines.
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
			if err != nil {
				return err
			}
			changes[i] = change
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
	err = a.create(ctx, r, w.Step.Namespace, object)
	switch {
	case err == nil:
		return done(Created, w.Step.Reason)
	case ctx.Err() != nil:
		return Change{}, ctx.Err()
	case cluster.Unreachable(err):
		return Change{}, err
	case apierrors.IsAlreadyExists(err):
		return a.existing(ctx, r, w)
	}
	return done(Failed, cluster.Reason(err))
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
// concurrently, a server that asks to come back.
var retries = wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.3, Steps: 5}

func (a *Applier) create(ctx context.Context, r item.Resource, namespace string, object []byte) error {
	backoff := retries
	for {
		_, err := a.Cluster.Create(ctx, r, namespace, object)
		if err == nil || !worthRetrying(err) || backoff.Steps <= 1 {
			return err
		}
		if !sleep(ctx, backoff.Step()) {
			return err
		}
	}
}

func worthRetrying(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err)
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
func (a *Applier) existing(ctx context.Context, r item.Resource, w Work) (Change, error) {
	live, err := a.Cluster.Get(ctx, r, w.Step.Namespace, w.Step.Name)
	switch {
	case ctx.Err() != nil:
		return Change{}, ctx.Err()
	case cluster.Unreachable(err):
		return Change{}, err
	case err != nil:
		return Change{Key: w.Step.Key, Outcome: Failed, Reason: "exists, and cannot be read: " + cluster.Reason(err)}, nil
	}
	if w.Step.Bare {
		return Change{Key: w.Step.Key, Outcome: Unchanged, Reason: "exists by now"}, nil
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

// mergeServiceAccount adds the labels, annotations, image pull secrets and
// whether to mount tokens of the backup to a service account, what the cluster
// has keeping its value (after Velero v1.18,
// pkg/restore/merge_service_account.go).
func (a *Applier) mergeServiceAccount(ctx context.Context, r item.Resource, w Work, live item.Item) (Change, error) {
	change := Change{Key: w.Step.Key, Outcome: Updated, Reason: "made by a controller first; completed with what the backup has more"}
	patch, err := a.serviceAccountPatch(w.Item, live)
	if err == nil {
		err = a.Cluster.MergePatch(ctx, r, w.Step.Namespace, w.Step.Name, patch)
	}
	switch {
	case ctx.Err() != nil:
		return Change{}, ctx.Err()
	case err != nil && cluster.Unreachable(err):
		return Change{}, err
	case err != nil:
		change.Outcome, change.Reason = Failed, "made by a controller first, and cannot be completed: "+cluster.Reason(err)
	}
	return change, nil
}

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
	plan.Mark(want, a.Backup, a.Restore)
	patch := map[string]any{
		"metadata": map[string]any{
			"labels":      missing(want.GetLabels(), have.GetLabels()),
			"annotations": missing(want.GetAnnotations(), have.GetAnnotations()),
		},
		"imagePullSecrets": union(list(have, "imagePullSecrets"), list(want, "imagePullSecrets")),
	}
	// Ours: without it an account that must not be mounted would be.
	const automount = "automountServiceAccountToken"
	if value, set := want.Object[automount]; set && have.Object[automount] == nil {
		patch[automount] = value
	}
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
	for _, e := range append(a, b...) {
		if key := fmt.Sprint(e); !seen[key] {
			seen[key] = true
			out = append(out, e)
		}
	}
	return out
}
