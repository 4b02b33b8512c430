// Package apply carries out the steps of a plan in a cluster and reports for each
// what became of it.
//
// It changes nothing that the plan does not name, and an object that has
// changed since the plan was made is left alone.
package apply

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// Cluster is the target as applying needs it; *cluster.Client is one.
type Cluster interface {
	Create(ctx context.Context, r item.Resource, namespace string, object []byte, params ...cluster.Param) ([]byte, error)
	Get(ctx context.Context, r item.Resource, namespace, name string) (item.Item, error)
	MergePatch(ctx context.Context, r item.Resource, namespace, name string, patch []byte, params ...cluster.Param) error
	Delete(ctx context.Context, r item.Resource, namespace, name string, o metav1.DeleteOptions) error
}

// DefaultWorkers is how many requests are under way at once.
const DefaultWorkers = 32

// Applier carries out steps. Cluster, Backup and Restore are required. It
// remembers the UIDs of owners from one Run to the next.
type Applier struct {
	Cluster Cluster
	Backup  string // names for the labels of restored objects
	Restore string
	Options plan.Options
	Workers int // 0 = DefaultWorkers
	// Defines are the group-resources of definitions that the same restore
	// creates; an API server may need a moment to serve them.
	Defines map[string]string
	// UIDs are those of owners that the target has.
	UIDs map[item.Key]string
	// Digests asks for Change.Made.
	Digests bool
	// Hide keeps values of objects out of the reasons of changes: the backup is
	// encrypted, and what reports a restore or a drill is not.
	Hide bool
	// DryRun is for TryCreation: nothing is kept, so no object appears meanwhile that
	// another one needs.
	DryRun bool
	// Progress, when set, is called after each step, by one goroutine at a time.
	Progress func(Change)

	mu           sync.Mutex  // guards the fields below, and UIDs
	ownerless    []plan.Step // created before their owners
	removals     time.Time   // when waiting for removals ends; zero until a step waits
	reservations time.Time   // when waiting for the volume controller ends; likewise
	incomplete   []incomplete
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
	var progress sync.Mutex
	return a.each(ctx, len(work), func(ctx context.Context, i int) error {
		change, err := a.step(ctx, work[i])
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

// each calls do for the numbers below n, several at once, until one fails.
func (a *Applier) each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	workers := a.Workers
	if workers == 0 {
		workers = DefaultWorkers
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for i := range n {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error { return do(gctx, i) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// step carries out one step. An error means that no further step can succeed;
// what goes wrong with this one alone is in the change.
func (a *Applier) step(ctx context.Context, w Work) (Change, error) {
	if w.Step.Gives() {
		if change, err := a.giveVolume(ctx, w); err != nil || change.Outcome != "" {
			return change, err
		}
	}
	switch {
	case w.Step.Gives() && w.Step.Volume.Only:
		return done(w, Updated, w.Step.Reason)
	case w.Step.Action == plan.Fail && !w.Step.Relabel:
		return done(w, Failed, w.Step.Reason)
	case w.Step.Action == plan.Update, w.Step.Action == plan.Label, w.Step.Relabel:
		return a.update(ctx, w)
	case w.Step.Action == plan.Recreate:
		return a.recreate(ctx, w)
	}
	return a.create(ctx, w)
}

// done is the change of a step that has come to its end.
func done(w Work, o Outcome, reason string) (Change, error) {
	return Change{Key: w.Step.Key, Outcome: o, Reason: reason}, nil
}

// ended distinguishes an error that ends the restore from one of this step alone: then
// the change says what became of the step.
func (a *Applier) ended(ctx context.Context, w Work, err error, otherwise string) (Change, error) {
	switch {
	case ctx.Err() != nil:
		return unanswered(w, context.Cause(ctx))
	case cluster.Unreachable(err):
		return unanswered(w, err)
	}
	return Change{Key: w.Step.Key, Outcome: Failed, Reason: otherwise + a.words(w, err), Later: mayPass(err)}, nil
}

// mayPass reports whether a refusal may be over when the rest of the backup is
// restored: a webhook that could not be called, whose server is in the backup
// too.
func mayPass(err error) bool { return apierrors.IsInternalError(err) || apierrors.IsTimeout(err) }

// create makes the object.
func (a *Applier) create(ctx context.Context, w Work) (Change, error) {
	owners := a.references(w.Step)
	p, err := a.post(ctx, w, owners)
	if ctx.Err() == nil && apierrors.IsAlreadyExists(err) {
		live, readErr := a.read(ctx, resourceOf(w.Step), w.Step)
		switch {
		case apierrors.IsNotFound(readErr): // gone by now
		case readErr != nil:
			return a.ended(ctx, w, readErr, "exists, and cannot be read: ")
		case live.GetDeletionTimestamp() == nil:
			return a.existing(ctx, w, live, p.tries, p.withheld)
		default:
			if change, err := a.awaitRemoval(ctx, w, string(live.GetUID()), "is being deleted"); err != nil || change.Outcome != "" {
				return change, err
			}
		}
		p, err = a.post(ctx, w, owners)
	}
	if err != nil {
		return a.ended(ctx, w, err, "")
	}
	w.Step.Reason += p.note
	if err := a.noteCreatedIncomplete(w, p.answer, p.withheld); err != nil {
		return done(w, Failed, err.Error())
	}
	return a.created(ctx, w, p.answer, len(owners))
}

// created ends a step whose object has been made, with so many of its owners.
func (a *Applier) created(ctx context.Context, w Work, object []byte, owners int) (Change, error) {
	if err := a.noteOwner(w.Step, object); err != nil {
		return done(w, Failed, err.Error())
	}
	if owners < len(w.Step.Owners) {
		a.noteOwnerless(w.Step)
	}
	change := Change{Key: w.Step.Key, Outcome: Created, Reason: w.Step.Reason}
	if err := a.inspect(&change, w, object); err != nil {
		return done(w, Failed, err.Error())
	}
	if managers := managersOf(w); managers != nil {
		note, err := a.manage(ctx, w.Step, managers, decoded(object))
		if err != nil {
			return unanswered(w, err)
		}
		w.Step.Reason += note
		change.Reason += note
	}
	if w.Step.Status {
		after, err := a.restoreStatus(ctx, w)
		change.Outcome, change.Reason, change.Later = after.Outcome, after.Reason, after.Later
		return change, err
	}
	return change, nil
}

// restoreStatus writes the status that the backup holds. Where the kind has no
// subresource for it, status is a field as any other. A refusal does not undo
// the object.
func (a *Applier) restoreStatus(ctx context.Context, w Work) (Change, error) {
	u, err := w.Item.Object()
	if err != nil {
		return done(w, Failed, err.Error())
	}
	patch, err := json.Marshal(map[string]any{"status": u.Object["status"]})
	if err != nil {
		return done(w, Failed, err.Error())
	}
	r := resourceOf(w.Step)
	for _, name := range []string{w.Step.Name + "/status", w.Step.Name} {
		// Its definition is served by now, so what is not found is no subresource.
		_, err = a.try(ctx, item.Resource{}, func() error {
			return a.Cluster.MergePatch(ctx, r, w.Step.Namespace, name, patch, fields(w.Step)...)
		})
		if !apierrors.IsNotFound(err) {
			break
		}
	}
	if err == nil {
		return done(w, Created, w.Step.Reason+"; its status is restored")
	}
	change, fatal := a.ended(ctx, w, err, "")
	if fatal == nil {
		change.Outcome, change.Later = Created, false
		change.Reason = w.Step.Reason + "; its status could not be restored: " + change.Reason
	}
	return change, fatal
}

// unanswered is what becomes of a step whose request has no answer, and of
// those after it.
func unanswered(w Work, err error) (Change, error) {
	return Change{Key: w.Step.Key, Outcome: Failed, Reason: "no answer, so it may have been done or not: " + cluster.Reason(err)}, err
}

func resourceOf(s plan.Step) item.Resource {
	return item.Resource{Group: s.Group, Version: s.Version, Name: s.Resource, Kind: s.Kind, Namespaced: s.Namespace != ""}
}

// fields asks for a refusal of unknown fields where the version is not the one
// that the backup holds.
func fields(s plan.Step) []cluster.Param {
	if s.Held == "" {
		return nil
	}
	return []cluster.Param{cluster.StrictFields()}
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
		if !cluster.Sleep(ctx, backoff.Step()) {
			return tries, err
		}
	}
}

func (a *Applier) worthRetrying(r item.Resource, err error) bool {
	_, defined := a.Defines[r.GroupResource()]
	appears := !a.DryRun && (defined && apierrors.IsNotFound(err) || classUnseen(err))
	return appears || apierrors.IsConflict(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) ||
		cluster.Unreachable(err)
}

// classUnseen reports whether admission has refused a pod because of its missing
// PriorityClass. It looks only into what it has watched so far, so it may not
// know one that was made a moment ago (Kubernetes v1.34, plugin Priority).
func classUnseen(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "no PriorityClass with name")
}

// existing says what it means that an object the plan creates is there: made
// by a controller since, by another client, or by an earlier try of this
// request whose answer got lost.
func (a *Applier) existing(ctx context.Context, w Work, live *unstructured.Unstructured, tries int, withheld map[string]any) (Change, error) {
	switch {
	case w.Step.Bare:
		return done(w, Unchanged, "exists by now")
	case tries > 1 && live.GetLabels()[api.LabelRestoreName] == api.LabelValue(a.Restore):
		raw, err := json.Marshal(live.Object)
		if err != nil {
			return done(w, Failed, err.Error())
		}
		a.noteIncomplete(w, withUID(withheld, string(live.GetUID())))
		return a.created(ctx, w, raw, 0) // how many it has is unknown
	}
	a.noteUID(w.Step, string(live.GetUID()))
	digest, err := a.Options.LiveDigest(live.DeepCopy(), heldAPIVersion(w.Step))
	if err != nil {
		return done(w, Failed, err.Error())
	}
	if digest == w.Step.Digest {
		change, err := done(w, Unchanged, "exists by now and is equal")
		if a.Digests {
			change.Made = &digest
		}
		return change, err
	}
	if w.Step.GroupResource() == "serviceaccounts" {
		w.Step.Merge = true
		change, err := a.change(ctx, w, live)
		if err == nil {
			change.Reason = "made by a controller first; " + change.Reason
		}
		return change, err
	}
	return done(w, Skipped, plan.ReasonDiffers)
}

// read is the object of a step as the cluster has it.
func (a *Applier) read(ctx context.Context, r item.Resource, s plan.Step) (*unstructured.Unstructured, error) {
	live, err := a.Cluster.Get(ctx, r, s.Namespace, s.Name)
	if err != nil {
		return nil, err
	}
	return live.Object()
}

// heldAPIVersion is the one at which the backup holds the item.
func heldAPIVersion(s plan.Step) string {
	version := s.Version
	if s.Held != "" {
		version = s.Held
	}
	return item.Resource{Group: s.Group, Version: version}.APIVersion()
}
