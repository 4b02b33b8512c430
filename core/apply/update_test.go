package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// world is an API server that merges patches, counts resource versions and
// refuses what is meant for another object.
type world struct {
	mu      sync.Mutex
	objects map[string]map[string]any // by "resource namespace/name"
	n       int
	asked   []string // "PATCH configmaps shop/a dryRun=All"
	// before may answer a request itself; after may lose its answer.
	before, after func(request string, n int) error
	bodies        map[string]string
	deleted       []metav1.DeleteOptions
	held          bool // what is deleted stays
	// created, when set, does what the API server does with a new object.
	created      func(object map[string]any)
	subresources bool
}

func newWorld(objects ...string) *world {
	w := &world{objects: map[string]map[string]any{}, bodies: map[string]string{}}
	for _, o := range objects {
		key, text, _ := strings.Cut(o, " = ")
		w.put(key, text)
	}
	return w
}

func (w *world) put(key, text string) {
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		panic(err)
	}
	meta, _ := m["metadata"].(map[string]any)
	w.n++
	meta["resourceVersion"] = strconv.Itoa(w.n)
	if meta["uid"] == nil {
		meta["uid"] = fmt.Sprint("uid-", w.n)
	}
	w.objects[key] = m
}

func (w *world) request(verb, key string, params []cluster.Param, do func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := verb + " " + key
	for _, p := range params {
		r += " " + p.Name + "=" + p.Value
	}
	w.asked = append(w.asked, r)
	n := 0
	for _, a := range w.asked {
		if a == r {
			n++
		}
	}
	if w.before != nil {
		if err := w.before(r, n); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	if w.after != nil {
		return w.after(r, n)
	}
	return nil
}

func nameIn(r item.Resource, namespace, name string) string {
	return r.Name + " " + namespace + "/" + name
}

func (w *world) Create(_ context.Context, r item.Resource, namespace string, object []byte, params ...cluster.Param) (out []byte, err error) {
	var o struct{ Metadata struct{ Name string } }
	if err := json.Unmarshal(object, &o); err != nil {
		return nil, err
	}
	key := nameIn(r, namespace, o.Metadata.Name)
	err = w.request("POST", key, params, func() error {
		if w.objects[key] != nil {
			return apierrors.NewAlreadyExists(schema.GroupResource{Resource: r.Name}, o.Metadata.Name)
		}
		w.put(key, string(object))
		if w.created != nil {
			w.created(w.objects[key])
		}
		out, err = json.Marshal(w.objects[key])
		return err
	})
	return out, err
}

func (w *world) Get(_ context.Context, r item.Resource, namespace, name string) (it item.Item, err error) {
	key := nameIn(r, namespace, name)
	err = w.request("GET", key, nil, func() error {
		if w.objects[key] == nil {
			return apierrors.NewNotFound(schema.GroupResource{Resource: r.Name}, name)
		}
		it = item.Item{Key: item.Key{Group: r.Group, Resource: r.Name, Namespace: namespace, Name: name}, Version: r.Version, Kind: r.Kind}
		it.Raw, err = json.Marshal(w.objects[key])
		return err
	})
	return it, err
}

func (w *world) MergePatch(_ context.Context, r item.Resource, namespace, name string, patch []byte, params ...cluster.Param) error {
	key := nameIn(r, namespace, name)
	return w.request("PATCH", key, params, func() error {
		target := key
		if owner, ok := strings.CutSuffix(key, "/status"); ok && w.subresources {
			target = owner
		}
		old := w.objects[target]
		if old == nil {
			return apierrors.NewNotFound(schema.GroupResource{Resource: r.Name}, name)
		}
		w.bodies[key] = string(patch)
		var p struct {
			Metadata struct{ UID, ResourceVersion string }
		}
		if err := json.Unmarshal(patch, &p); err != nil {
			return err
		}
		meta := old["metadata"].(map[string]any)
		if p.Metadata.UID != "" && p.Metadata.UID != meta["uid"] || p.Metadata.ResourceVersion != "" && p.Metadata.ResourceVersion != meta["resourceVersion"] {
			return apierrors.NewConflict(schema.GroupResource{Resource: r.Name}, name, errors.New("the object has been modified"))
		}
		if slices.Contains(params, cluster.DryRun()) {
			return nil
		}
		text, err := json.Marshal(old)
		if err != nil {
			return err
		}
		merged, err := jsonpatch.MergePatch(text, patch)
		if err != nil {
			return err
		}
		w.put(target, string(merged))
		return nil
	})
}

func (w *world) Delete(_ context.Context, r item.Resource, namespace, name string, o metav1.DeleteOptions) error {
	key := nameIn(r, namespace, name)
	return w.request("DELETE", key, nil, func() error {
		w.deleted = append(w.deleted, o)
		if !w.held {
			delete(w.objects, key)
		}
		return nil
	})
}

func (w *world) writes() []string {
	return slices.DeleteFunc(slices.Clone(w.asked), func(r string) bool { return strings.HasPrefix(r, "GET") })
}

const (
	cmA    = "configmaps shop/a"
	liveA  = cmA + ` = {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop","labels":{"mine":"1"}},"data":{"a":"old","z":"gone"}}`
	marked = `"velero.io/backup-name":"b","velero.io/restore-name":"r"`
)

// changing is a step for the object that the world has now.
func changing(t *testing.T, w *world, action plan.Action) Work {
	t.Helper()
	work := configMap(t, "a")
	raw, err := json.Marshal(w.objects[cmA])
	require.NoError(t, err)
	u, err := item.Item{Raw: raw}.Object()
	require.NoError(t, err)
	work.Step.Live, err = plan.Options{}.LiveDigest(u, "v1")
	require.NoError(t, err)
	work.Step.Action, work.Step.Reason = action, "differs"
	if action == plan.Label {
		work.Step.Digest, work.Step.Live = work.Step.Live, plan.Digest{}
	}
	return work
}

func run(t *testing.T, a *Applier, work ...Work) ChangeSet {
	t.Helper()
	changes, err := a.Run(t.Context(), work)
	require.NoError(t, err)
	return changes
}

func (w *world) applier() *Applier { return &Applier{Cluster: w, Backup: "b", Restore: "r"} }

func (w *world) json(key string) string {
	m := w.objects[key]
	delete(m["metadata"].(map[string]any), "resourceVersion")
	delete(m["metadata"].(map[string]any), "uid")
	b, _ := json.Marshal(m)
	return string(b)
}

func TestAnUpdateMakesTheObjectOfTheBackup(t *testing.T) {
	w := newWorld(liveA)
	changes := run(t, w.applier(), changing(t, w, plan.Update))
	assert.Equal(t, ChangeSet{{Key: configMap(t, "a").Step.Key, Outcome: Updated, Reason: "differs"}}, changes)
	assert.Equal(t, []string{"PATCH " + cmA}, w.writes(), "one request, without a word on fields: it is the version of the backup")
	assert.JSONEq(t, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop","labels":{`+marked+`}},"data":{"a":"b"}}`, w.json(cmA))
}

func TestAnUpdateFromAnItemThatCannotBeReadFailsAlone(t *testing.T) {
	w := newWorld(liveA)
	work := changing(t, w, plan.Update)
	work.Item.Raw = []byte("{")
	changes := run(t, w.applier(), work)
	assert.Equal(t, Failed, changes[0].Outcome)
	assert.Contains(t, changes[0].Reason, "decode")
	assert.Empty(t, w.writes())
	needed, refusal, err := w.applier().Try(t.Context(), work)
	require.NoError(t, err)
	assert.True(t, needed)
	assert.Contains(t, refusal.Words, "decode", "the plan says it already")
}

func TestAnEqualObjectGetsTheLabelsAndNothingElse(t *testing.T) {
	w := newWorld(liveA)
	changes := run(t, w.applier(), changing(t, w, plan.Label))
	assert.Equal(t, Unchanged, changes[0].Outcome)
	assert.JSONEq(t, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop","labels":{"mine":"1",`+marked+`}},"data":{"a":"old","z":"gone"}}`, w.json(cmA))
}

func TestAnObjectThatCannotBeUpdatedGetsTheLabelsAndHasFailed(t *testing.T) {
	w := newWorld(liveA)
	work := changing(t, w, plan.Fail)
	work.Step.Relabel = true
	assert.Equal(t, ChangeSet{{Key: work.Step.Key, Outcome: Failed, Reason: "differs"}}, run(t, w.applier(), work))
	assert.JSONEq(t, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop","labels":{"mine":"1",`+marked+`}},"data":{"a":"old","z":"gone"}}`, w.json(cmA))
}

func TestWhatHasChangedSinceThePlanIsLeftAlone(t *testing.T) {
	for _, action := range []plan.Action{plan.Update, plan.Label, plan.Recreate, plan.Fail} {
		w := newWorld(liveA)
		work := changing(t, w, action)
		work.Step.Relabel = action == plan.Fail
		w.objects[cmA]["data"] = map[string]any{"a": "somebody else's"}
		assert.Equal(t, ChangeSet{{Key: work.Step.Key, Outcome: Failed, Reason: "has changed since the plan was made; left alone (make a new plan)"}}, run(t, w.applier(), work), action)
		assert.Empty(t, w.writes(), action)
	}
	w := newWorld(liveA)
	work := changing(t, w, plan.Update)
	delete(w.objects, cmA)
	assert.Equal(t, ChangeSet{{Key: work.Step.Key, Outcome: Failed, Reason: "is gone since the plan was made (make a new plan)"}}, run(t, w.applier(), work))
	w.before = func(string, int) error { return apierrors.NewBadRequest("not that") }
	assert.Equal(t, ChangeSet{{Key: work.Step.Key, Outcome: Failed, Reason: "cannot be read: not that"}}, run(t, w.applier(), work))
	assert.Empty(t, w.writes())
}

func TestWhatChangesWhileItIsUpdatedIsLeftAlone(t *testing.T) {
	for _, action := range []plan.Action{plan.Update, plan.Label} {
		w := newWorld(liveA)
		work := changing(t, w, action)
		w.before = func(r string, _ int) error {
			if strings.HasPrefix(r, "PATCH") {
				w.put(cmA, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"},"data":{"a":"somebody else's"}}`)
			}
			return nil
		}
		assert.Equal(t, reasonChanged, run(t, w.applier(), work)[0].Reason)
		assert.Equal(t, []string{"PATCH " + cmA}, w.writes(), "to try again would not help")
		assert.Contains(t, w.json(cmA), "somebody else's")
	}
}

func TestTheLostAnswerOfAPatch(t *testing.T) {
	lost := &cluster.UnreachableError{Err: errors.New("connection reset by peer")}
	for name, c := range map[string]struct {
		meanwhile bool
		want      Outcome
		reason    string
	}{
		"it was carried out":               {false, Updated, "differs"},
		"somebody changed the object then": {true, Failed, reasonChanged},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(liveA)
				work := changing(t, w, plan.Update)
				w.after = func(r string, n int) error {
					if !strings.HasPrefix(r, "PATCH") || n > 1 {
						return nil
					}
					if c.meanwhile {
						w.put(cmA, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"},"data":{"a":"somebody else's"}}`)
					}
					return lost
				}
				changes := run(t, w.applier(), work)
				assert.Equal(t, ChangeSet{{Key: work.Step.Key, Outcome: c.want, Reason: c.reason}}, changes)
				assert.Len(t, w.writes(), 2)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(liveA)
		work := changing(t, w, plan.Update)
		w.after = func(r string, n int) error {
			if strings.HasPrefix(r, "PATCH") && n == 1 {
				return lost
			}
			return nil
		}
		w.before = func(r string, n int) error {
			if strings.HasPrefix(r, "GET") && n > 1 {
				return apierrors.NewBadRequest("not that")
			}
			return nil
		}
		assert.Equal(t, Failed, run(t, w.applier(), work)[0].Outcome, "nobody can say that it was carried out")
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(liveA)
		w.before = func(r string, _ int) error {
			if strings.HasPrefix(r, "PATCH") {
				return lost
			}
			return nil
		}
		changes, err := w.applier().Run(t.Context(), []Work{changing(t, w, plan.Update)})
		assert.ErrorIs(t, err, lost)
		assert.Equal(t, Failed, changes[0].Outcome)
	})
}

func TestAtAnotherVersionUnknownFieldsAreRefused(t *testing.T) {
	w := newWorld(liveA)
	work := changing(t, w, plan.Update)
	work.Step.Held = "v1"
	run(t, w.applier(), work)
	assert.Equal(t, []string{"PATCH " + cmA + " fieldValidation=Strict"}, w.writes())

	w = newWorld()
	work = configMap(t, "a")
	work.Step.Held, work.Step.Status = "v1beta1", true
	run(t, w.applier(), work)
	assert.Equal(t, []string{"POST " + cmA + " fieldValidation=Strict", "PATCH " + cmA + "/status fieldValidation=Strict", "PATCH " + cmA + " fieldValidation=Strict"}, w.writes())
}

func TestWhatTheAPIServerWouldSayIsAskedWithoutAChange(t *testing.T) {
	invalid := apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "a", nil)
	denied := apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "a", errors.New("no"))
	for name, c := range map[string]struct {
		err     error
		refusal plan.Refusal
		fatal   bool
	}{
		"it would do it":                   {nil, plan.Refusal{}, false},
		"the object may not become so":     {invalid, plan.Refusal{Words: cluster.Reason(invalid), Invalid: true}, false},
		"somebody may not":                 {denied, plan.Refusal{Words: cluster.Reason(denied)}, false},
		"a webhook does not answer":        {apierrors.NewInternalError(errors.New("failed calling webhook")), plan.Refusal{Words: "Internal error occurred: failed calling webhook"}, false},
		"it has changed since it was read": {apierrors.NewConflict(schema.GroupResource{}, "a", errors.New("changed")), plan.Refusal{}, false},
		"it says nothing":                  {&cluster.UnreachableError{Err: errors.New("connection refused")}, plan.Refusal{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(liveA)
				work := changing(t, w, plan.Update)
				before := w.objects[cmA]
				w.before = func(r string, _ int) error {
					if strings.HasPrefix(r, "PATCH") {
						return c.err
					}
					return nil
				}
				needed, refusal, err := w.applier().Try(t.Context(), work)
				assert.True(t, needed)
				assert.Equal(t, c.refusal, refusal)
				assert.Equal(t, c.fatal, err != nil)
				assert.Equal(t, "PATCH "+cmA+" dryRun=All", w.writes()[0])
				assert.Equal(t, before, w.objects[cmA])
			})
		})
	}
	w := newWorld(cmA + ` = {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"},"data":{"a":"b"}}`)
	needed, refusal, err := w.applier().Try(t.Context(), changing(t, w, plan.Update))
	require.NoError(t, err)
	assert.False(t, needed, "there is nothing to change")
	assert.Zero(t, refusal)
	assert.Empty(t, w.writes())

	needed, refusal, err = newWorld().applier().Try(t.Context(), configMap(t, "a"))
	require.NoError(t, err)
	assert.True(t, needed, "the restore will say that it is gone")
	assert.Zero(t, refusal)
}

func TestAnObjectIsRecreated(t *testing.T) {
	w := newWorld(liveA)
	uid := w.objects[cmA]["metadata"].(map[string]any)["uid"].(string)
	work := changing(t, w, plan.Recreate)
	assert.Equal(t, ChangeSet{{Key: work.Step.Key, Outcome: Updated, Reason: "differs"}}, run(t, w.applier(), work))
	assert.Equal(t, []string{"DELETE " + cmA, "POST " + cmA}, w.writes())
	assert.JSONEq(t, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop","labels":{`+marked+`}},"data":{"a":"b"}}`, w.json(cmA))
	require.Len(t, w.deleted, 1)
	assert.Equal(t, uid, string(*w.deleted[0].Preconditions.UID), "no other than the one that was looked at")
	assert.Equal(t, metav1.DeletePropagationOrphan, *w.deleted[0].PropagationPolicy, "what it owns stays")
}

func TestAnObjectThatIsGoneAlreadyIsRecreated(t *testing.T) {
	w := newWorld(liveA)
	work := changing(t, w, plan.Recreate)
	delete(w.objects, cmA)
	assert.Equal(t, Updated, run(t, w.applier(), work)[0].Outcome)
	assert.Equal(t, []string{"POST " + cmA}, w.writes())
}

func TestWhatPreventsThatAnObjectIsRecreated(t *testing.T) {
	refuse := func(verb string) func(*world) {
		return func(w *world) {
			w.before = func(r string, _ int) error {
				if strings.HasPrefix(r, verb) {
					return apierrors.NewBadRequest("not that")
				}
				return nil
			}
		}
	}
	for name, c := range map[string]struct {
		prepare func(*world)
		reason  string
		there   bool
	}{
		"it may not be read":    {refuse("GET"), "cannot be read: not that", true},
		"it may not be deleted": {refuse("DELETE"), "cannot be deleted: not that", true},
		"it may not be created": {refuse("POST"), "deleted, and cannot be recreated: not that; the one that was there is gone, and cannot be put back: not that", false},
		"a finalizer holds it": {func(w *world) {
			w.held = true
		}, "was deleted and still exists after 1m0s; finalizers: [keep] (restore again when it is gone)", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(strings.Replace(liveA, `"labels"`, `"finalizers":["keep"],"labels"`, 1))
				work := changing(t, w, plan.Recreate)
				c.prepare(w)
				began := time.Now()
				changes := run(t, w.applier(), work)
				assert.Equal(t, ChangeSet{{Key: work.Step.Key, Outcome: Failed, Reason: c.reason}}, changes)
				assert.Equal(t, c.there, w.objects[cmA] != nil)
				assert.Less(t, time.Since(began), 2*time.Minute)
			})
		})
	}
}

func TestWhatCannotBeRecreatedIsPutBackAsItWas(t *testing.T) {
	w := newWorld(liveA)
	was := w.objects[cmA]
	work := changing(t, w, plan.Recreate)
	posts := 0
	w.before = func(r string, _ int) error {
		if strings.HasPrefix(r, "POST") {
			if posts++; posts == 1 {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "a", errors.New("exceeded quota"))
			}
		}
		return nil
	}
	changes := run(t, w.applier(), work)
	assert.Equal(t, Failed, changes[0].Outcome)
	assert.Equal(t, `deleted, and cannot be recreated: configmaps "a" is forbidden: exceeded quota; the one that was there has been put back`, changes[0].Reason)
	now := w.objects[cmA]
	for _, field := range []string{"uid", "resourceVersion"} {
		before, after := was["metadata"].(map[string]any), now["metadata"].(map[string]any)
		assert.NotEqual(t, before[field], after[field], "an API server would refuse the old one")
		delete(before, field)
		delete(after, field)
	}
	assert.Equal(t, was, now)
}

func TestASuccessorThatSomebodyMadeIsNotWaitedFor(t *testing.T) {
	w := newWorld(liveA)
	work := changing(t, w, plan.Recreate)
	w.after = func(r string, _ int) error {
		if strings.HasPrefix(r, "DELETE") {
			w.put(cmA, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"},"data":{"a":"somebody else's"}}`)
		}
		return nil
	}
	changes := run(t, w.applier(), work)
	assert.Equal(t, Skipped, changes[0].Outcome, changes[0].Reason)
	assert.Contains(t, w.json(cmA), "somebody else's")
}

// owned is a step whose object is owned by another one.
func owned(t *testing.T, stage int, name string, owners ...string) Work {
	t.Helper()
	w := configMap(t, name)
	w.Step.Stage = stage
	for _, o := range owners {
		w.Step.Owners = append(w.Step.Owners, plan.Owner{Key: configMap(t, o).Step.Key, APIVersion: "v1", Kind: "ConfigMap"})
	}
	return w
}

func owning(t *testing.T, stage int, name string) Work {
	t.Helper()
	w := configMap(t, name)
	w.Step.Stage, w.Step.Owns = stage, true
	return w
}

func (w *world) owners(name string) []string {
	meta := w.objects["configmaps shop/"+name]["metadata"].(map[string]any)
	refs, _ := meta["ownerReferences"].([]any)
	var out []string
	for _, r := range refs {
		out = append(out, fmt.Sprint(r.(map[string]any)["name"], "=", r.(map[string]any)["uid"]))
	}
	return out
}

func (w *world) uid(name string) string {
	return w.objects["configmaps shop/"+name]["metadata"].(map[string]any)["uid"].(string)
}

// own runs the last part of a restore and returns what it reports.
func own(t *testing.T, a *Applier) []string {
	t.Helper()
	var out []string
	require.NoError(t, a.Own(t.Context(), func(s plan.Step, reason string) { out = append(out, s.Key.Name+": "+reason) }))
	return out
}

func TestAnObjectGetsItsOwnerWhenItIsMade(t *testing.T) {
	w := newWorld()
	a := w.applier()
	run(t, a, owning(t, 0, "owner"), owned(t, 1, "child", "owner"))
	assert.Equal(t, []string{"owner=" + w.uid("owner")}, w.owners("child"))
	assert.Empty(t, own(t, a))
	assert.Equal(t, []string{"POST configmaps shop/owner", "POST configmaps shop/child"}, w.writes(), "no further request")
}

func TestAnObjectGetsAnOwnerThatIsMadeAfterIt(t *testing.T) {
	w := newWorld("configmaps shop/there = " + `{"metadata":{"name":"there","uid":"known"}}`)
	a := w.applier()
	a.UIDs = map[item.Key]string{configMap(t, "there").Step.Key: "known"}
	run(t, a, owned(t, 0, "child", "there", "owner"))
	assert.Equal(t, []string{"there=known"}, w.owners("child"))
	run(t, a, owning(t, 1, "owner")) // in the next window
	assert.Empty(t, own(t, a))
	assert.Equal(t, []string{"there=known", "owner=" + w.uid("owner")}, w.owners("child"))
	asked := len(w.asked)
	assert.Empty(t, own(t, a))
	assert.Len(t, w.asked, asked, "once is enough")
}

func TestAnOwnerThatCouldNotBeMadeIsReported(t *testing.T) {
	w := newWorld()
	w.before = func(r string, _ int) error {
		if r == "POST configmaps shop/owner" {
			return apierrors.NewBadRequest("no")
		}
		return nil
	}
	a := w.applier()
	run(t, a, owned(t, 0, "child", "other", "owner"), owning(t, 1, "other"), owning(t, 1, "owner"), owned(t, 1, "alone", "owner"))
	assert.ElementsMatch(t, []string{
		"child: without its owner configmaps shop/owner, which could not be restored",
		"alone: without its owner configmaps shop/owner, which could not be restored",
	}, own(t, a))
	assert.Equal(t, []string{"other=" + w.uid("other")}, w.owners("child"), "the other one it has")
	assert.Empty(t, w.owners("alone"))
}

func TestAnOwnerThatCannotBeWrittenIsReported(t *testing.T) {
	w := newWorld()
	a := w.applier()
	run(t, a, owned(t, 0, "child", "owner"), owning(t, 1, "owner"))
	w.before = func(string, int) error { return apierrors.NewBadRequest("not that") }
	assert.Equal(t, []string{"child: without its owners: not that"}, own(t, a))

	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.applier()
		run(t, a, owned(t, 0, "child", "owner"), owning(t, 1, "owner"))
		lost := &cluster.UnreachableError{Err: errors.New("connection refused")}
		w.before = func(string, int) error { return lost }
		var reports []string
		err := a.Own(t.Context(), func(s plan.Step, reason string) { reports = append(reports, reason) })
		assert.ErrorIs(t, err, lost)
		assert.Equal(t, []string{"without its owners: connection refused"}, reports)
	})
}

func TestTheUIDOfAnOwnerIsThatOfTheObjectThatIsThere(t *testing.T) {
	for name, prepare := range map[string]func(*world) Work{
		"somebody made an equal one first": func(w *world) Work {
			w.put("configmaps shop/owner", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"owner","namespace":"shop"},"data":{"a":"b"}}`)
			return owning(t, 0, "owner")
		},
		"somebody made another first": func(w *world) Work {
			w.put("configmaps shop/owner", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"owner","namespace":"shop"},"data":{"a":"c"}}`)
			return owning(t, 0, "owner")
		},
		"it is recreated": func(w *world) Work {
			w.put(cmA, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"},"data":{"a":"old"}}`)
			work := changing(t, w, plan.Recreate)
			work.Step.Owns = true
			return work
		},
		"it gets the labels": func(w *world) Work {
			w.put(cmA, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"},"data":{"a":"b"}}`)
			work := changing(t, w, plan.Label)
			work.Step.Owns = true
			return work
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			owner := prepare(w)
			owner.Step.Stage = 0
			run(t, w.applier(), owner, owned(t, 1, "child", owner.Step.Name))
			assert.Equal(t, []string{owner.Step.Name + "=" + w.uid(owner.Step.Name)}, w.owners("child"))
		})
	}
}

func TestTheLostAnswerOfACreationCostsNoOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.after = func(r string, n int) error {
			if strings.HasPrefix(r, "POST") && n == 1 {
				return &cluster.UnreachableError{Err: errors.New("connection reset by peer")}
			}
			return nil
		}
		a := w.applier()
		assert.Equal(t, 2, run(t, a, owned(t, 0, "child", "owner"), owning(t, 1, "owner")).Count(Created))
		assert.Empty(t, own(t, a))
		assert.Equal(t, []string{"owner=" + w.uid("owner")}, w.owners("child"))
	})
}

func TestAnInterruptedRestoreGivesTheOwnersBack(t *testing.T) {
	w := newWorld(cmA + ` = {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"},"data":{"a":"b"}}`)
	work := changing(t, w, plan.Update)
	work.Step.Stage = 0
	work.Step.Owners = owned(t, 0, "a", "known", "late").Step.Owners
	a := w.applier()
	a.UIDs = map[item.Key]string{work.Step.Owners[0].Key: "known-uid"}
	assert.Equal(t, Updated, run(t, a, work, owning(t, 1, "late"))[0].Outcome)
	assert.Equal(t, []string{"known=known-uid"}, w.owners("a"))
	assert.Empty(t, own(t, a))
	assert.Equal(t, []string{"known=known-uid", "late=" + w.uid("late")}, w.owners("a"))

	w = newWorld(cmA + ` = {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"},"data":{"a":"b"}}`)
	work = changing(t, w, plan.Update)
	work.Step.Owners = owned(t, 0, "a", "known").Step.Owners
	a = w.applier()
	a.UIDs = map[item.Key]string{work.Step.Owners[0].Key: "known-uid"}
	run(t, a, work)
	assert.Empty(t, own(t, a))
	assert.Equal(t, []string{"PATCH " + cmA}, w.writes(), "one request where all are known")
}

func TestTheStatusOfTheBackupIsRestored(t *testing.T) {
	for name, c := range map[string]struct {
		subresource bool
		refuse      error
		requests    []string
		reason      string
		status      any
	}{
		"through the subresource": {true, nil, []string{"POST " + cmA, "PATCH " + cmA + "/status"}, "absent; its status is restored", map[string]any{"phase": "Ready"}},
		"as a field where there is none": {false, nil, []string{"POST " + cmA, "PATCH " + cmA + "/status", "PATCH " + cmA},
			"absent; its status is restored", map[string]any{"phase": "Ready"}},
		"a refusal does not undo the object": {true, apierrors.NewBadRequest("not that"), []string{"POST " + cmA, "PATCH " + cmA + "/status"},
			"absent; its status could not be restored: not that", nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.subresources = c.subresource
				w.before = func(r string, _ int) error {
					if strings.HasPrefix(r, "PATCH") {
						return c.refuse
					}
					return nil
				}
				work := work(t, 1, "configmaps", "ConfigMap", "shop", "a", `"status":{"phase":"Ready"}`)
				work.Step.Status = true
				a := w.applier()
				a.Defines = map[string]string{"configmaps": "its definition is restored too"}
				began := time.Now()
				assert.Equal(t, ChangeSet{{Key: work.Step.Key, Outcome: Created, Reason: c.reason}}, run(t, a, work))
				assert.Zero(t, time.Since(began), "a subresource that does not exist is not waited for")
				assert.Equal(t, c.requests, w.writes())
				assert.Equal(t, c.status, w.objects[cmA]["status"])
			})
		})
	}
	w := newWorld()
	work := work(t, 1, "configmaps", "ConfigMap", "shop", "a", `"status":{"phase":"Ready"}`)
	run(t, w.applier(), work)
	assert.Equal(t, []string{"POST " + cmA}, w.writes(), "nobody asked for it")
}

func TestAModifiedObjectIsPosted(t *testing.T) {
	w := newWorld()
	a := w.applier()
	a.Options.NamespaceMapping = map[string]string{"shop": "copy"}
	work := configMap(t, "a")
	from := work.Step.Key
	work.Step.From, work.Step.Namespace = &from, "copy"
	run(t, a, work)
	assert.JSONEq(t, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"copy","labels":{`+marked+`}},"data":{"a":"b"}}`, w.json("configmaps copy/a"))
}

func TestABindingThatIsSharedGetsSubjectsOnly(t *testing.T) {
	const key = "clusterrolebindings /keeper"
	w := newWorld(key + ` = {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"keeper","labels":{"mine":"1"}},"roleRef":{"name":"x"},"subjects":[{"kind":"ServiceAccount","namespace":"quay","name":"a"}]}`)
	k := item.Key{Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings", Name: "keeper"}
	work := Work{
		Step: plan.Step{Key: k, Version: "v1", Kind: "ClusterRoleBinding", Action: plan.Update, Reason: "shared", Add: true},
		Item: item.Item{Key: k, Version: "v1", Kind: "ClusterRoleBinding", Raw: []byte(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"keeper"},"roleRef":{"name":"x"},"subjects":[{"kind":"ServiceAccount","namespace":"quay","name":"a"}]}`)},
	}
	o := plan.Options{NamespaceMapping: map[string]string{"quay": "pier"}, ExistingResourcePolicy: plan.PolicyUpdate}
	raw, err := json.Marshal(w.objects[key])
	require.NoError(t, err)
	u, err := item.Item{Raw: raw}.Object()
	require.NoError(t, err)
	work.Step.Live, err = o.LiveDigest(u, "rbac.authorization.k8s.io/v1")
	require.NoError(t, err)
	a := Applier{Cluster: w, Backup: "b", Restore: "r", Options: o}
	changes, err := a.Run(t.Context(), []Work{work})
	require.NoError(t, err)
	assert.Equal(t, Updated, changes[0].Outcome, changes[0].Reason)
	assert.Equal(t, []any{
		map[string]any{"kind": "ServiceAccount", "namespace": "quay", "name": "a"},
		map[string]any{"kind": "ServiceAccount", "namespace": "pier", "name": "a"},
	}, w.objects[key]["subjects"])
	assert.Equal(t, "1", item.Child(w.objects[key], "metadata", "labels")["mine"])
}
