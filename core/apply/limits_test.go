package apply

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// slow is an API server whose answers take a second, or what the func fields
// say. Run it in a bubble of synctest.
type slow struct {
	create func(ctx context.Context, k item.Key) error
	get    func(k item.Key) (item.Item, error)
	patch  func(k item.Key) error

	under, most atomic.Int32 // requests under way
	mu          sync.Mutex
	begun       map[item.Key]time.Time // of the latest try
	ended       map[item.Key]time.Time
	tries       map[item.Key]int
}

func newSlow() *slow {
	return &slow{begun: map[item.Key]time.Time{}, ended: map[item.Key]time.Time{}, tries: map[item.Key]int{}}
}

func (s *slow) Create(ctx context.Context, r item.Resource, namespace string, object []byte, _ ...cluster.Param) ([]byte, error) {
	u, err := item.Item{Raw: object}.Object()
	if err != nil {
		return nil, err
	}
	k := item.Key{Group: r.Group, Resource: r.Name, Namespace: namespace, Name: u.GetName()}
	n := s.under.Add(1)
	defer s.under.Add(-1)
	s.mu.Lock()
	s.most.Store(max(s.most.Load(), n))
	s.tries[k]++
	s.begun[k] = time.Now()
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended[k] = time.Now()
	}()
	if s.create != nil {
		return object, s.create(ctx, k)
	}
	<-time.After(time.Second)
	return object, nil
}

func (s *slow) Get(_ context.Context, r item.Resource, namespace, name string) (item.Item, error) {
	return s.get(item.Key{Group: r.Group, Resource: r.Name, Namespace: namespace, Name: name})
}

func (s *slow) MergePatch(_ context.Context, r item.Resource, namespace, name string, _ []byte, _ ...cluster.Param) error {
	return s.patch(item.Key{Group: r.Group, Resource: r.Name, Namespace: namespace, Name: name})
}

func (s *slow) Delete(context.Context, item.Resource, string, string, metav1.DeleteOptions) error {
	return errors.New("nothing is deleted")
}

func many(t *testing.T, n, stages int) []Work {
	t.Helper()
	var all []Work
	for i := range n {
		w := configMap(t, fmt.Sprintf("c-%03d", i))
		w.Step.Stage = i * stages / n
		all = append(all, w)
	}
	return all
}

func TestNoStepBeginsBeforeAllOfTheStageBeforeHaveEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow()
		s.create = func(_ context.Context, k item.Key) error {
			<-time.After(time.Duration(k.Name[len(k.Name)-1]) * time.Millisecond) // each takes its own time
			if k.Name == "c-013" {
				return apierrors.NewBadRequest("a refusal is no reason to begin earlier")
			}
			return nil
		}
		all := many(t, 60, 3)
		changes, err := (&Applier{Cluster: s, Restore: "r", Workers: 7}).Run(t.Context(), all)
		require.NoError(t, err)
		assert.Equal(t, 59, changes.Count(Created))
		for _, early := range all {
			for _, late := range all {
				if early.Step.Stage < late.Step.Stage {
					require.False(t, s.begun[late.Step.Key].Before(s.ended[early.Step.Key]), "%s began before the end of %s", late.Step.Key, early.Step.Key)
				}
			}
		}
	})
}

func TestRequestsUnderWayAreBounded(t *testing.T) {
	for workers, most := range map[int]int32{0: DefaultWorkers, 1: 1, 5: 5} {
		synctest.Test(t, func(t *testing.T) {
			s := newSlow()
			began := time.Now()
			changes, err := (&Applier{Cluster: s, Restore: "r", Workers: workers}).Run(t.Context(), many(t, 100, 1))
			require.NoError(t, err)
			assert.Equal(t, 100, changes.Count(Created))
			assert.Equal(t, most, s.most.Load(), "workers %d", workers)
			assert.Equal(t, time.Duration((100+most-1)/most)*time.Second, time.Since(began), "all workers have work, workers %d", workers)
		})
	}
}

func TestProgressIsToldByOneGoroutineAtATime(t *testing.T) {
	var inside, most atomic.Int32
	told := map[item.Key]Outcome{} // no lock
	a := applier(newFake())
	a.Progress = func(c Change) {
		most.Store(max(most.Load(), inside.Add(1)))
		for range 20 {
			runtime.Gosched() // whoever may come in does
		}
		told[c.Key] = c.Outcome
		inside.Add(-1)
	}
	all := many(t, 300, 2)
	_, err := a.Run(t.Context(), all)
	require.NoError(t, err)
	assert.Len(t, told, len(all))
	assert.EqualValues(t, 1, most.Load())
}

func TestWhatAMomentMayChangeIsTriedAgainForThreeSeconds(t *testing.T) {
	gr := schema.GroupResource{Resource: "configmaps"}
	for name, c := range map[string]struct {
		err   error
		tries int
	}{
		"a conflict":                          {apierrors.NewConflict(gr, "a", errors.New("quota")), 5},
		"too many requests":                   {apierrors.NewTooManyRequests("later", 1), 5},
		"an unavailable service":              {apierrors.NewServiceUnavailable("starting"), 5},
		"a server that asks to come back":     {apierrors.NewServerTimeout(gr, "create", 1), 5},
		"a priority class not seen yet":       {apierrors.NewForbidden(gr, "a", errors.New("no PriorityClass with name crew was found")), 5},
		"but not a refusal":                   {apierrors.NewForbidden(gr, "a", errors.New("no")), 1},
		"nor an object that is not valid":     {apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "a", field.ErrorList{field.Required(field.NewPath("data"), "")}), 1},
		"nor what no definition here defines": {apierrors.NewNotFound(gr, ""), 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSlow()
				s.create = func(context.Context, item.Key) error { return c.err }
				began := time.Now()
				a := &Applier{Cluster: s, Restore: "r", Defines: map[string]string{"trees.orchard.example.com": "trees"}}
				changes, err := a.Run(t.Context(), many(t, 1, 1))
				require.NoError(t, err)
				assert.Equal(t, Failed, changes[0].Outcome)
				assert.Equal(t, cluster.Reason(c.err), changes[0].Reason, "the server's words")
				assert.Equal(t, c.tries, s.tries[changes[0].Key])
				if took := time.Since(began); c.tries > 1 {
					assert.InDelta(t, 3.0, took.Seconds(), 0.4)
				} else {
					assert.Zero(t, took)
				}
			})
		})
	}
}

func TestARestoreThatIsInterruptedBetweenTwoTriesEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newSlow()
		s.create = func(context.Context, item.Key) error { return apierrors.NewServiceUnavailable("starting") }
		time.AfterFunc(100*time.Millisecond, cancel)
		began := time.Now()
		changes, err := (&Applier{Cluster: s, Restore: "r"}).Run(ctx, many(t, 3, 3))
		assert.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, 100*time.Millisecond, time.Since(began))
		assert.Equal(t, "no answer, so it may have been done or not: context canceled", changes[0].Reason)
		assert.Equal(t, "not reached: context canceled", changes[1].Reason)
		assert.Equal(t, "not reached: context canceled", changes[2].Reason)
		assert.Equal(t, 3, changes.Count(Failed))
	})
}

func TestARestoreThatIsInterruptedDuringARequestSaysThatItMayHaveBeenDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newSlow()
		s.create = func(ctx context.Context, k item.Key) error {
			if k.Name == "c-000" {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		time.AfterFunc(time.Second, cancel)
		all := many(t, 4, 1)
		changes, err := (&Applier{Cluster: s, Restore: "r", Workers: 2}).Run(ctx, all)
		assert.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, Created, changes[0].Outcome, "what has its answer keeps it")
		for i, c := range changes[1:] {
			assert.Equal(t, all[i+1].Step.Key, c.Key)
			assert.Equal(t, Failed, c.Outcome)
			assert.Contains(t, c.Reason, "context canceled")
		}
		assert.Contains(t, changes[1].Reason, "may have been done")
	})
}

func TestAnInterruptedRestoreBeginsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := newFake()
	changes, err := applier(f).Run(ctx, many(t, 5, 2))
	assert.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, f.objects)
	assert.Equal(t, 5, changes.Count(Failed))
	for _, c := range changes {
		assert.Equal(t, "not reached: context canceled", c.Reason)
	}
}

func TestNothingToDoIsNoError(t *testing.T) {
	changes, err := applier(newFake()).Run(t.Context(), nil)
	assert.NoError(t, err)
	assert.Empty(t, changes)
}

func account(more string) item.Item {
	k := item.Key{Resource: "serviceaccounts", Namespace: "shop", Name: "default"}
	return item.Item{Key: k, Version: "v1", Kind: "ServiceAccount", Raw: []byte(`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default","namespace":"shop"` + more + `}`)}
}

// completing restores a service account that a controller has made already.
func completing(t *testing.T, backup, live item.Item, patch func(item.Key) error) (Change, error) {
	t.Helper()
	s := newSlow()
	s.create = func(context.Context, item.Key) error {
		return apierrors.NewAlreadyExists(schema.GroupResource{Resource: "serviceaccounts"}, "default")
	}
	s.get = func(item.Key) (item.Item, error) { return live, nil }
	s.patch = patch
	digest, err := plan.DigestOf(backup)
	require.NoError(t, err)
	changes, err := (&Applier{Cluster: s, Backup: "b", Restore: "r"}).Run(t.Context(), []Work{{Step: plan.Step{Key: backup.Key, Version: "v1", Kind: "ServiceAccount", Digest: digest}, Item: backup}})
	require.Len(t, changes, 1)
	return changes[0], err
}

func TestWhetherCompletingAServiceAccountSucceeds(t *testing.T) {
	gr := schema.GroupResource{Resource: "serviceaccounts"}
	lost := &cluster.UnreachableError{Err: errors.New("connection refused")}
	for name, c := range map[string]struct {
		errs    []error
		outcome Outcome
		reason  string
		err     error
	}{
		"it does":                     {nil, Updated, "made by a controller first; completed with what the backup has more", nil},
		"it does the second time":     {[]error{apierrors.NewConflict(gr, "default", errors.New("changed"))}, Updated, "made by a controller first; completed with what the backup has more", nil},
		"it is refused":               {[]error{apierrors.NewForbidden(gr, "default", errors.New("no patch for you"))}, Failed, `made by a controller first; cannot be updated: serviceaccounts "default" is forbidden: no patch for you`, nil},
		"the API server is gone then": {[]error{lost, lost, lost, lost, lost}, Failed, "no answer, so it may have been done or not: " + lost.Error(), lost},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				change, err := completing(t, account(`},"imagePullSecrets":[{"name":"p"}]`), account(`}`), func(item.Key) error {
					tries++
					if tries <= len(c.errs) {
						return c.errs[tries-1]
					}
					return nil
				})
				assert.Equal(t, c.outcome, change.Outcome)
				assert.Equal(t, c.reason, change.Reason)
				assert.Equal(t, c.err, err)
			})
		})
	}
}

func TestTheClustersServiceAccountKeepsItsValues(t *testing.T) {
	a := &Applier{Backup: "b", Restore: "r"}
	for name, c := range map[string]struct{ backup, live, patch string }{
		"a label and an annotation that both have": {
			`,"labels":{"x":"backup"},"annotations":{"y":"backup"}}`, `,"labels":{"x":"cluster"},"annotations":{"y":"cluster"}}`, ``},
		"whether tokens are mounted": {`},"automountServiceAccountToken":false`, `},"automountServiceAccountToken":true`, ``},
		"what only the cluster has":  {`}`, `,"labels":{"x":"c"}},"imagePullSecrets":[{"name":"c"}],"automountServiceAccountToken":false`, ``},
		"a pull secret that both have": {
			`},"imagePullSecrets":[{"name":"p"},{"name":"q"}]`, `},"imagePullSecrets":[{"name":"c"},{"name":"p"}]`,
			`{"metadata":{},"imagePullSecrets":[{"name":"c"},{"name":"p"},{"name":"q"}]}`},
		"a token that the old cluster made": {`},"secrets":[{"name":"default-token-x2b4z"}]`, `}`, ``},
		"where it says nothing, the backup counts": {
			`},"automountServiceAccountToken":false`, `}`,
			`{"metadata":{},"automountServiceAccountToken":false}`},
		"the labels of an earlier restore in the backup": {`,"labels":{"velero.io/restore-name":"earlier","velero.io/backup-name":"earlier"}}`, `}`, ``},
		"the labels of the restore that made it, which stay": {
			`,"labels":{"x":"b"}}`, `,"labels":{"velero.io/restore-name":"earlier","velero.io/backup-name":"earlier"}}`,
			`{"metadata":{"labels":{"x":"b"}}}`},
	} {
		live, err := account(c.live).Object()
		require.NoError(t, err)
		w := Work{Step: plan.Step{Key: account("}").Key, Version: "v1", Merge: true}, Item: account(c.backup)}
		now, later, err := a.patch(w, live)
		require.NoError(t, err)
		patch := plan.Joined(now, later)
		if c.patch == "" {
			assert.Nil(t, patch, "%s: %s", name, patch)
			continue
		}
		sealed, err := plan.Sealed(patch, w.Step, nil, "b", "r")
		require.NoError(t, err)
		assert.JSONEq(t, c.patch, string(sealed), name)
	}
}

func TestWhatAnEarlierRunMadeAndSomebodyChangedIsNotCalledCreated(t *testing.T) {
	f := newFake()
	w := configMap(t, "a")
	f.objects[w.Step.Key] = []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop","labels":{"velero.io/restore-name":"r"}},"data":{"a":"changed since"}}`)
	changes, err := applier(f).Run(t.Context(), []Work{w})
	require.NoError(t, err)
	assert.Equal(t, ChangeSet{{Key: w.Step.Key, Outcome: Skipped, Reason: plan.ReasonDiffers}}, changes)
}

func TestOnlyServiceAccountsAreCompleted(t *testing.T) {
	f := newFake()
	w := work(t, 1, "secrets", "Secret", "shop", "default", `"data":{"a":"b"}`)
	f.objects[w.Step.Key] = []byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"default","namespace":"shop"}}`)
	changes, err := applier(f).Run(t.Context(), []Work{w})
	require.NoError(t, err)
	assert.Equal(t, ChangeSet{{Key: w.Step.Key, Outcome: Skipped, Reason: plan.ReasonDiffers}}, changes)
	assert.Empty(t, f.patches)
}

func TestAServerThatIsGoneWhenAnObjectIsLookedAtEndsTheRestore(t *testing.T) {
	f := newFake()
	lost := &cluster.UnreachableError{Err: errors.New("connection refused")}
	all := many(t, 4, 4)
	f.objects[all[1].Step.Key] = []byte(`{}`)
	f.get = func(item.Key) ([]byte, error) { return nil, lost }
	changes, err := applier(f).Run(t.Context(), all)
	assert.Equal(t, error(lost), err)
	assert.Equal(t, Created, changes[0].Outcome)
	assert.Contains(t, changes[1].Reason, "may have been done or not: ")
	assert.Contains(t, changes[2].Reason, "not reached: ")
	assert.Equal(t, 3, changes.Count(Failed))
}

var definition = item.Key{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: "trees.orchard.example.com"}

// defining is an API server that holds a definition in the given form and
// answers for its objects as told.
func defining(text string, ask func(r string) error) *slow {
	s := newSlow()
	s.get = func(k item.Key) (item.Item, error) {
		if k == definition {
			return item.Item{Key: k, Version: "v1", Kind: "CustomResourceDefinition", Raw: []byte(text)}, nil
		}
		return item.Item{}, ask(k.String())
	}
	return s
}

func trees(conditions, scope string) string {
	return `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"trees.orchard.example.com"},"spec":{"group":"orchard.example.com","scope":"` + scope +
		`","names":{"plural":"trees"},"versions":[{"name":"v1","served":true},{"name":"v1beta1","served":true},{"name":"v0","served":false}]},"status":{"conditions":[` + conditions + `]}}`
}

const (
	accepted    = `{"type":"NamesAccepted","status":"True"}`
	established = `{"type":"Established","status":"True"}`
	taken       = `{"type":"NamesAccepted","status":"False","message":"\"tr\" is already in use"}`
)

func absent(string) error {
	return apierrors.NewNotFound(schema.GroupResource{Group: "orchard.example.com", Resource: "trees"}, probe)
}

func TestADefinitionThatNeverComesSaysWhatItLacks(t *testing.T) {
	notServed := &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonNotFound, Code: 404, Message: "404 page not found"}}
	for name, c := range map[string]struct {
		text string
		ask  func(string) error
		want string
	}{
		"its names are taken":              {trees(taken+","+established, "Cluster"), absent, `condition NamesAccepted is not met: "tr" is already in use`},
		"it is not established":            {trees(accepted, "Cluster"), absent, "condition Established is not met: the API server has not said so"},
		"it is not established by another": {trees(accepted+`,{"type":"Established","status":"Unknown"}`, "Cluster"), absent, "condition Established is not met"},
		"it is not served":                 {trees(accepted+","+established, "Cluster"), func(string) error { return notServed }, "orchard.example.com/v1 is not served"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				err := (&Applier{Cluster: defining(c.text, c.ask)}).Established(t.Context(), definition)
				require.ErrorContains(t, err, "customresourcedefinitions.apiextensions.k8s.io trees.orchard.example.com is not established after 1m0s: ")
				assert.ErrorContains(t, err, c.want)
				assert.Equal(t, EstablishTimeout, time.Since(began))
			})
		})
	}
}

func TestADefinitionIsThereWhenAllItsServedVersionsAre(t *testing.T) {
	for scope, want := range map[string][]string{
		"Namespaced": {"v1 default/", "v1beta1 default/"},
		"Cluster":    {"v1 /", "v1beta1 /"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var asked []string
			s := &asking{defining(trees(accepted+","+established, scope), absent), func(r item.Resource, namespace string) {
				asked = append(asked, r.Version+" "+namespace+"/")
			}}
			began := time.Now()
			require.NoError(t, (&Applier{Cluster: s}).Established(t.Context(), definition))
			assert.Equal(t, want, asked)
			assert.Zero(t, time.Since(began), "nothing is waited for that is there")
		})
	}
}

// asking tells which objects of the definition are asked for.
type asking struct {
	*slow
	tell func(r item.Resource, namespace string)
}

func (a *asking) Get(ctx context.Context, r item.Resource, namespace, name string) (item.Item, error) {
	if name == probe {
		a.tell(r, namespace)
	}
	return a.slow.Get(ctx, r, namespace, name)
}

func TestAResourceThatMayNotBeReadIsServed(t *testing.T) {
	s := defining(trees(accepted+","+established, "Cluster"), func(string) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "trees"}, probe, errors.New("no"))
	})
	assert.NoError(t, (&Applier{Cluster: s}).Established(t.Context(), definition))
}

func TestAServerThatIsGoneWhileADefinitionIsWaitedForIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := &cluster.UnreachableError{Err: errors.New("connection refused")}
		s := defining(trees(accepted+","+established, "Cluster"), func(string) error { return lost })
		began := time.Now()
		err := (&Applier{Cluster: s}).Established(t.Context(), definition)
		assert.True(t, cluster.Unreachable(err), "%v", err)
		assert.Zero(t, time.Since(began))
	})
}

func TestADefinitionThatIsGoneAgainIsWaitedForAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow()
		s.get = func(k item.Key) (item.Item, error) {
			return item.Item{}, apierrors.NewNotFound(schema.GroupResource{Resource: k.Resource}, k.Name)
		}
		err := (&Applier{Cluster: s}).Established(t.Context(), definition)
		assert.ErrorContains(t, err, `customresourcedefinitions "trees.orchard.example.com" not found`)
		assert.False(t, cluster.Unreachable(err))
	})
}

func TestWaitingForADefinitionEndsWithTheRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(250*time.Millisecond, cancel)
		began := time.Now()
		err := (&Applier{Cluster: defining(trees("", "Cluster"), absent)}).Established(ctx, definition)
		assert.Error(t, err)
		assert.Equal(t, 250*time.Millisecond, time.Since(began))
	})
}

func TestAChangeSetIsCountedAndOrderedByObject(t *testing.T) {
	key := func(resource, namespace, name string) item.Key {
		return item.Key{Resource: resource, Namespace: namespace, Name: name}
	}
	c := ChangeSet{
		{Key: key("pods", "b", "x"), Outcome: Failed}, {Key: key("pods", "a", "z"), Outcome: Created},
		{Key: key("configmaps", "z", "z"), Outcome: Created}, {Key: key("pods", "a", "y"), Outcome: Updated},
	}
	c.Sort()
	assert.Equal(t, ChangeSet{
		{Key: key("configmaps", "z", "z"), Outcome: Created}, {Key: key("pods", "a", "y"), Outcome: Updated},
		{Key: key("pods", "a", "z"), Outcome: Created}, {Key: key("pods", "b", "x"), Outcome: Failed},
	}, c)
	assert.Equal(t, 2, c.Count(Created))
	assert.Equal(t, 0, c.Count(Skipped))
}
