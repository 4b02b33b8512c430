package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// fake is an API server that keeps what is created, by key.
type fake struct {
	mu      sync.Mutex
	objects map[item.Key][]byte
	order   []string
	// create, when set, is asked first for each creation; n counts those of the
	// key, from 1. It may keep the object and lose the answer.
	create  func(k item.Key, n int, keep func()) error
	get     func(k item.Key) ([]byte, error)
	patches map[item.Key]string
	tries   map[item.Key]int
}

func newFake() *fake {
	return &fake{objects: map[item.Key][]byte{}, tries: map[item.Key]int{}, patches: map[item.Key]string{}}
}

func (f *fake) Create(_ context.Context, r item.Resource, namespace string, object []byte, _ ...cluster.Param) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var o struct{ Metadata struct{ Name string } }
	if err := json.Unmarshal(object, &o); err != nil {
		return nil, err
	}
	k := item.Key{Group: r.Group, Resource: r.Name, Namespace: namespace, Name: o.Metadata.Name}
	f.tries[k]++
	keep := func() {
		f.objects[k] = object
		f.order = append(f.order, k.String())
	}
	if f.create != nil {
		if err := f.create(k, f.tries[k], keep); err != nil {
			return nil, err
		}
	}
	if f.objects[k] != nil {
		return nil, apierrors.NewAlreadyExists(schema.GroupResource{Resource: r.Name}, k.Name)
	}
	keep()
	return object, nil
}

func (f *fake) Get(_ context.Context, r item.Resource, namespace, name string) (item.Item, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := item.Key{Group: r.Group, Resource: r.Name, Namespace: namespace, Name: name}
	raw := f.objects[k]
	if f.get != nil {
		var err error
		if raw, err = f.get(k); err != nil {
			return item.Item{}, err
		}
	}
	if raw == nil {
		err := apierrors.NewNotFound(schema.GroupResource{Resource: r.Name}, name)
		return item.Item{}, err
	}
	return item.Item{Key: k, Version: r.Version, Kind: r.Kind, Raw: raw}, nil
}

func (f *fake) MergePatch(_ context.Context, r item.Resource, namespace, name string, patch []byte, _ ...cluster.Param) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.patches[item.Key{Group: r.Group, Resource: r.Name, Namespace: namespace, Name: name}] = string(patch)
	return nil
}

func (f *fake) Delete(_ context.Context, r item.Resource, namespace, name string, _ metav1.DeleteOptions) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := item.Key{Group: r.Group, Resource: r.Name, Namespace: namespace, Name: name}
	if f.objects[k] == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: r.Name}, name)
	}
	delete(f.objects, k)
	return nil
}

// work makes a step that creates an object, with its true digest.
func work(t *testing.T, stage int, resource, kind, namespace, name, more string) Work {
	t.Helper()
	if more != "" {
		more = "," + more
	}
	raw := fmt.Sprintf(`{"apiVersion":"v1","kind":%q,"metadata":{"name":%q,"namespace":%q}%s}`, kind, name, namespace, more)
	it := item.Item{Key: item.Key{Resource: resource, Namespace: namespace, Name: name}, Version: "v1", Kind: kind, Raw: []byte(raw)}
	digest, err := plan.DigestOf(it)
	require.NoError(t, err)
	return Work{Step: plan.Step{Key: it.Key, Version: "v1", Kind: kind, Action: plan.Create, Reason: "absent", Stage: stage, Digest: digest}, Item: it}
}

func configMap(t *testing.T, name string) Work {
	return work(t, 1, "configmaps", "ConfigMap", "shop", name, `"data":{"a":"b"}`)
}

func applier(f *fake) *Applier { return &Applier{Cluster: f, Backup: "b", Restore: "r"} }

func TestStagesComeOneAfterTheOther(t *testing.T) {
	f := newFake()
	var all []Work
	for stage := range 3 {
		for i := range 40 {
			all = append(all, work(t, stage, "configmaps", "ConfigMap", "shop", fmt.Sprintf("s%d-%02d", stage, i), ""))
		}
	}
	done := 0
	a := applier(f)
	a.Progress = func(Change) { done++ }
	changes, err := a.Run(t.Context(), all)
	require.NoError(t, err)
	assert.Equal(t, 120, changes.Count(Created))
	assert.Equal(t, 120, done)
	for i, key := range f.order {
		assert.Equal(t, fmt.Sprintf("configmaps shop/s%d", i/40), key[:len("configmaps shop/s0")])
	}
}

func TestWhatBecomesOfAStep(t *testing.T) {
	gr := schema.GroupResource{Resource: "configmaps"}
	key := item.Key{Resource: "configmaps", Namespace: "shop", Name: "a"}
	lost := &cluster.UnreachableError{Err: errors.New("connection reset by peer")}
	for name, c := range map[string]struct {
		prepare func(*fake)
		want    Outcome
		reason  string
		tries   int
	}{
		"it is made":                     {nil, Created, "absent", 1},
		"the API server refuses it":      {refusing(apierrors.NewBadRequest("data is too long")), Failed, "data is too long", 1},
		"a quota is full":                {refusing(apierrors.NewForbidden(gr, "a", errors.New("exceeded quota"))), Failed, `configmaps "a" is forbidden: exceeded quota`, 1},
		"a webhook does not answer":      {refusing(apierrors.NewInternalError(errors.New("failed calling webhook"))), Failed, "Internal error occurred: failed calling webhook", 1},
		"the server is busy for a while": {failing(3, apierrors.NewTooManyRequests("later", 1), false), Created, "absent", 4},
		"the server stays busy":          {failing(99, apierrors.NewTooManyRequests("later", 1), false), Failed, "later", 5},
		"a quota counts concurrently":    {failing(2, apierrors.NewConflict(gr, "a", errors.New("quota was updated")), false), Created, "absent", 3},
		"a connection is lost before":    {failing(1, lost, false), Created, "absent", 2},
		"an answer is lost":              {failing(1, lost, true), Created, "absent", 2},
		"somebody made an equal one": {func(f *fake) {
			f.objects[key] = []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop","uid":"1"},"data":{"a":"b"}}`)
		}, Unchanged, "exists by now and is equal", 1},
		"somebody made another": {func(f *fake) {
			f.objects[key] = []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"},"data":{"a":"c"}}`)
		}, Skipped, plan.ReasonDiffers, 1},
		"another that this restore did not make, although it tried twice": {func(f *fake) {
			f.objects[key] = []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop","labels":{"velero.io/restore-name":"other"}},"data":{"a":"c"}}`)
			failing(1, lost, false)(f)
		}, Skipped, plan.ReasonDiffers, 2},
		"one that is being deleted is gone after a while": {func(f *fake) {
			going(f, key)
			polls := 0
			f.get = func(item.Key) ([]byte, error) {
				if polls++; polls > 20 {
					delete(f.objects, key)
				}
				return f.objects[key], nil
			}
		}, Created, "absent", 2},
		"one that is being deleted stays": {func(f *fake) { going(f, key) }, Failed,
			"is being deleted and still exists after 1m0s; finalizers: [example.com/hold] (restore again when it is gone)", 1},
		"it exists and may not be read": {func(f *fake) {
			f.objects[key] = []byte(`{}`)
			f.get = func(item.Key) ([]byte, error) { return nil, apierrors.NewForbidden(gr, "a", errors.New("no")) }
		}, Failed, `exists, and cannot be read: configmaps "a" is forbidden: no`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // waits between tries take no time
				f := newFake()
				if c.prepare != nil {
					c.prepare(f)
				}
				changes, err := applier(f).Run(t.Context(), []Work{configMap(t, "a")})
				require.NoError(t, err)
				later := strings.Contains(c.reason, "webhook")
				assert.Equal(t, ChangeSet{{Key: key, Outcome: c.want, Reason: c.reason, Later: later}}, changes)
				assert.Equal(t, c.tries, f.tries[key])
			})
		})
	}
}

// going puts an object that a finalizer holds into the cluster.
func going(f *fake, k item.Key) {
	f.objects[k] = fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":%q,"uid":"1",
		"deletionTimestamp":"2026-01-01T00:00:00Z","finalizers":["example.com/hold"]},"data":{"a":"b"}}`, k.Name, k.Namespace)
}

func TestObjectsThatCannotGoDelayARestoreTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		var work []Work
		for i := range 3 * DefaultWorkers {
			work = append(work, configMap(t, fmt.Sprint("a", i)))
			going(f, work[i].Step.Key)
		}
		began := time.Now()
		changes, err := applier(f).Run(t.Context(), work)
		require.NoError(t, err)
		assert.Equal(t, len(work), changes.Count(Failed))
		assert.Less(t, time.Since(began), removalTimeout+10*time.Second)
	})
}

func refusing(err error) func(*fake) { return failing(99, err, false) }

// failing fails the first n creations, which may take effect all the same.
func failing(n int, err error, takesEffect bool) func(*fake) {
	return func(f *fake) {
		f.create = func(_ item.Key, try int, keep func()) error {
			if try > n {
				return nil
			}
			if takesEffect {
				keep()
			}
			return err
		}
	}
}

func TestALostServerEndsTheRestoreAndEveryStepIsAccountedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		lost := &cluster.UnreachableError{Err: errors.New("connection refused")}
		f.create = func(k item.Key, _ int, _ func()) error {
			if k.Name > "c-20" {
				return lost
			}
			return nil
		}
		var all []Work
		for i := range 100 {
			w := configMap(t, fmt.Sprintf("c-%02d", i))
			w.Step.Stage = i / 50
			all = append(all, w)
		}
		changes, err := applier(f).Run(t.Context(), all)
		require.ErrorIs(t, err, lost)
		require.Len(t, changes, 100)
		for i, c := range changes {
			assert.Equal(t, all[i].Step.Key, c.Key)
			switch {
			case i <= 20:
				assert.Equal(t, Created, c.Outcome)
			default:
				assert.Equal(t, Failed, c.Outcome)
				assert.Contains(t, c.Reason, "connection refused")
			}
		}
		assert.Contains(t, changes[99].Reason, "not reached: ")
	})
}

func TestAnInterruptedRestoreAccountsForEveryStep(t *testing.T) {
	f := newFake()
	ctx, cancel := context.WithCancel(t.Context())
	f.create = func(k item.Key, _ int, _ func()) error {
		if k.Name == "c-30" {
			cancel()
		}
		return nil
	}
	var all []Work
	for i := range 100 {
		w := configMap(t, fmt.Sprintf("c-%02d", i))
		w.Step.Stage = i
		all = append(all, w)
	}
	changes, err := applier(f).Run(ctx, all)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 31, changes.Count(Created))
	assert.Equal(t, 69, changes.Count(Failed))
}

func TestWhatIsPosted(t *testing.T) {
	f := newFake()
	w := work(t, 1, "pods", "Pod", "shop", "p", `"status":{"phase":"Running"},"spec":{"nodeName":"n"}`)
	bare := Work{Step: plan.Step{Key: item.Key{Resource: "namespaces", Name: "shop"}, Version: "v1", Kind: "Namespace", Bare: true}}
	_, err := applier(f).Run(t.Context(), []Work{bare, w})
	require.NoError(t, err)
	assert.JSONEq(t, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}`, string(f.objects[bare.Step.Key]))
	assert.JSONEq(t, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"shop","labels":{"velero.io/backup-name":"b","velero.io/restore-name":"r"}},"spec":{}}`, string(f.objects[w.Step.Key]))

	changes, err := applier(f).Run(t.Context(), []Work{bare})
	require.NoError(t, err)
	assert.Equal(t, Unchanged, changes[0].Outcome, "a namespace that is there by now")
}

func TestAnItemThatCannotBeReadFailsAlone(t *testing.T) {
	f := newFake()
	bad := configMap(t, "bad")
	bad.Item.Raw = []byte("{")
	changes, err := applier(f).Run(t.Context(), []Work{bad, configMap(t, "good")})
	require.NoError(t, err)
	assert.Equal(t, Failed, changes[0].Outcome)
	assert.Equal(t, Created, changes[1].Outcome)
}

func TestAServiceAccountThatAControllerMadeIsCompleted(t *testing.T) {
	key := item.Key{Resource: "serviceaccounts", Namespace: "shop", Name: "default"}
	const live = `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default","namespace":"shop","uid":"made-by-a-controller","labels":{"mine":"cluster"}},"imagePullSecrets":[{"name":"a"}]}`
	for name, c := range map[string]struct {
		backup, patch, later string
		want                 Outcome
	}{
		"with what the backup has more": {
			`"metadata":{"name":"default","namespace":"shop","labels":{"mine":"backup","team":"x"},"annotations":{"role":"y"}},"imagePullSecrets":[{"name":"a"},{"name":"b"}],"secrets":[{"name":"kept"},{"name":"default-token-x2b4z"}],"automountServiceAccountToken":false`,
			`{"metadata":{"labels":{"team":"x"},"annotations":{"role":"y"}},"secrets":[{"name":"kept"}],"automountServiceAccountToken":false}`,
			`{"metadata":{"uid":"made-by-a-controller"},"imagePullSecrets":[{"name":"a"},{"name":"b"}]}`, Updated,
		},
		"with nothing when the backup has nothing more": {`"metadata":{"name":"default","namespace":"shop"}`, "", "", Unchanged},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.objects[key] = []byte(live)
			it := item.Item{Key: key, Version: "v1", Kind: "ServiceAccount", Raw: []byte(`{"apiVersion":"v1","kind":"ServiceAccount",` + c.backup + `}`)}
			a := applier(f)
			changes, err := a.Run(t.Context(), []Work{{Step: plan.Step{Key: key, Version: "v1", Kind: "ServiceAccount"}, Item: it}})
			require.NoError(t, err)
			assert.Equal(t, c.want, changes[0].Outcome, changes[0].Reason)
			if c.patch == "" {
				assert.Empty(t, f.patches)
				return
			}
			assert.JSONEq(t, c.patch, f.patches[key])
			require.NoError(t, a.Complete(t.Context(), plan.RoundOthers, func(s plan.Step, reason string) { t.Error(s.Key, reason) }))
			assert.JSONEq(t, c.later, f.patches[key], "pull secrets come after the pods that had none")
		})
	}
}

func TestADefinitionIsWaitedFor(t *testing.T) {
	const established = `{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1","metadata":{"name":"widgets.example.com"},
		"spec":{"group":"example.com","scope":"Cluster","names":{"plural":"widgets"},"versions":[{"name":"v1","served":true},{"name":"v0","served":false}]},
		"status":{"conditions":[{"type":"NamesAccepted","status":"True"},{"type":"Established","status":"True"}]}}`
	const fresh = `{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1","metadata":{"name":"widgets.example.com"},"spec":{}}`
	key := item.Key{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: "widgets.example.com"}
	notServed := &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonNotFound, Code: 404, Details: &metav1.StatusDetails{}}}
	noObject := apierrors.NewNotFound(schema.GroupResource{Group: "example.com", Resource: "widgets"}, probe)

	synctest.Test(t, func(t *testing.T) {
		f, looks := newFake(), 0
		f.get = func(k item.Key) ([]byte, error) {
			looks++
			switch {
			case k != key && looks < 12:
				return nil, notServed
			case k != key:
				return nil, noObject
			case looks < 5:
				return []byte(fresh), nil
			}
			return []byte(established), nil
		}
		assert.NoError(t, applier(f).Established(t.Context(), key))
		assert.GreaterOrEqual(t, looks, 12)
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.get = func(item.Key) ([]byte, error) { return []byte(fresh), nil }
		err := applier(f).Established(t.Context(), key)
		assert.False(t, cluster.Unreachable(err))
		assert.ErrorContains(t, err, "not established after 1m0s")
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		var lost error = &cluster.UnreachableError{Err: errors.New("connection refused")}
		f.get = func(item.Key) ([]byte, error) { return nil, lost }
		assert.Equal(t, lost, applier(f).Established(t.Context(), key))
	})
}

func TestObjectsOfANewDefinitionAreTriedAgainWhenTheyAreNotServedYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		failing(2, apierrors.NewNotFound(schema.GroupResource{}, ""), false)(f)
		a := applier(f)
		a.Defines = map[string]string{"configmaps": "d"}
		changes, err := a.Run(t.Context(), []Work{configMap(t, "a")})
		require.NoError(t, err)
		assert.Equal(t, Created, changes[0].Outcome)
	})
}

func TestTheDigestOfAChangeIsThatOfTheObjectAsItWasMade(t *testing.T) {
	f := newFake()
	w, bare := configMap(t, "a"), Work{Step: plan.Step{Key: item.Key{Resource: "namespaces", Name: "shop"}, Version: "v1", Kind: "Namespace", Bare: true}}
	a := applier(f)
	a.Digests = true
	changes, err := a.Run(t.Context(), []Work{bare, w})
	require.NoError(t, err)
	assert.Nil(t, changes[0].Made, "a bare namespace is not from the backup")
	require.NotNil(t, changes[1].Made)
	assert.Equal(t, w.Step.Digest, *changes[1].Made)

	changes, err = a.Run(t.Context(), []Work{w})
	require.NoError(t, err)
	assert.Equal(t, Unchanged, changes[0].Outcome)
	assert.Equal(t, w.Step.Digest, *changes[0].Made, "what is there and equal counts as well")

	changes, err = applier(f).Run(t.Context(), []Work{configMap(t, "b")})
	require.NoError(t, err)
	assert.Nil(t, changes[0].Made, "nobody asked")
}
