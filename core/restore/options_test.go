package restore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/modifier"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/progress"
)

func namespaceItem(name, more string) item.Item {
	return item.Item{
		Key: item.Key{Resource: "namespaces", Name: name}, Version: "v1", Kind: "Namespace",
		Raw: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q%s}}`, name, more),
	}
}

func secret(name, more string) item.Item {
	return item.Item{
		Key: item.Key{Resource: "secrets", Namespace: "shop", Name: name}, Version: "v1", Kind: "Secret",
		Raw: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":%q,"namespace":"shop"%s}}`, name, more),
	}
}

func TestAMappedRestoreReadsTheArchiveUnderTheOldNames(t *testing.T) {
	to := newTarget()
	j := job(written(t, true, namespaceItem("shop", ""), configMap("a"), configMap("c")), to)
	j.Options.NamespaceMapping = map[string]string{"shop": "copy"}
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, r.Changes.Count(apply.Created))
	for _, k := range []item.Key{{Resource: "namespaces", Name: "copy"}, {Resource: "configmaps", Namespace: "copy", Name: "a"}, {Resource: "configmaps", Namespace: "copy", Name: "c"}} {
		assert.Contains(t, to.objects, k)
	}
	assert.Len(t, to.objects, 3)
	r, err = j.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, r.Changes.Count(apply.Unchanged), "a second one changes nothing")
}

func TestAStorageClassThatIsNowhereIsOneClearError(t *testing.T) {
	to := newTarget()
	claim := func(name, class string) item.Item {
		k := item.Key{Resource: "persistentvolumeclaims", Namespace: "shop", Name: name}
		return item.Item{Key: k, Version: "v1", Kind: "PersistentVolumeClaim",
			Raw: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":%q,"namespace":"shop"},"spec":{"storageClassName":%q}}`, name, class)}
	}
	j := job(written(t, true, claim("a", "fast"), claim("b", "slow")), to)
	j.Options.StorageClassMapping = map[string]string{"fast": "nowhere", "slow": "nowhere"}
	_, err := j.Run(t.Context())
	assert.EqualError(t, err, "storage class nowhere, to which others are mapped, is neither in the target cluster nor in the backup (kubectl get storageclasses lists those of the cluster)")
	assert.Empty(t, to.objects)

	to.served = append(to.served, item.Resource{Group: "storage.k8s.io", Version: "v1", Name: "storageclasses", Kind: "StorageClass", Verbs: []string{"create", "list"}})
	k := item.Key{Group: "storage.k8s.io", Resource: "storageclasses", Name: "nowhere"}
	to.objects[k] = item.Item{Key: k, Version: "v1", Kind: "StorageClass", Raw: []byte(`{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"nowhere"}}`)}
	_, err = j.Prepare(t.Context())
	assert.NoError(t, err, "one that the cluster has is found, although the backup holds none")
}

func TestOptionsThatCannotBeMeantAreRefusedBeforeAnythingIsRead(t *testing.T) {
	j := job(nil, newTarget())
	j.Options.ExistingResourcePolicy = "replace"
	_, err := j.Prepare(t.Context())
	assert.EqualError(t, err, `existing resource policy "replace": must be none, update or recreate`)
}

// refusals answers the dry runs of patches.
type refusals struct {
	*fakeTarget
	refuse  func(name string) error
	patched []string
}

func (r *refusals) MergePatch(_ context.Context, _ item.Resource, _, name string, patch []byte, params ...cluster.Param) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(params) == 0 {
		r.patched = append(r.patched, name+" "+string(patch))
	}
	if r.refuse == nil {
		return nil
	}
	return r.refuse(name)
}

func TestAPlanKnowsWhatTheAPIServerWouldRefuse(t *testing.T) {
	invalid := apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "a", nil)
	for name, c := range map[string]struct {
		policy plan.Policy
		err    error
		want   plan.Action
	}{
		"it would do it":                  {plan.PolicyUpdate, nil, plan.Update},
		"it refuses an update":            {plan.PolicyUpdate, invalid, plan.Fail},
		"and the object may be recreated": {plan.PolicyRecreate, invalid, plan.Recreate},
		"a webhook refuses it":            {plan.PolicyRecreate, apierrors.NewForbidden(schema.GroupResource{}, "a", errors.New("no")), plan.Fail},
		"under none nobody is asked":      {plan.PolicyNone, invalid, plan.Skip},
	} {
		to := &refusals{fakeTarget: newTarget(), refuse: func(string) error { return c.err }}
		other := configMap("a")
		other.Raw = bytes.Replace(other.Raw, []byte(`"k":"a"`), []byte(`"k":"z"`), 1)
		to.objects[other.Key] = other
		j := job(written(t, true, configMap("a")), to)
		j.Options.ExistingResourcePolicy = c.policy
		p, err := j.Prepare(t.Context())
		require.NoError(t, err)
		assert.Equal(t, c.want, p.Plan.Steps[0].Action, name)
		assert.Empty(t, to.patched, "only dry runs")
	}
}

func TestAServiceAccountThatHasAllIsNotInThePlanAsAnUpdate(t *testing.T) {
	account := func(more string) item.Item {
		return item.Item{
			Key: item.Key{Resource: "serviceaccounts", Namespace: "shop", Name: "default"}, Version: "v1", Kind: "ServiceAccount",
			Raw: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default","namespace":"shop"}%s}`, more),
		}
	}
	for more, want := range map[string]plan.Action{`,"imagePullSecrets":[{"name":"a"},{"name":"b"}]`: plan.Skip, `,"imagePullSecrets":[{"name":"b"}]`: plan.Update} {
		to := &refusals{fakeTarget: newTarget()}
		to.served = append(to.served, item.Resource{Version: "v1", Name: "serviceaccounts", Kind: "ServiceAccount", Namespaced: true, Verbs: []string{"create", "list", "get"}})
		to.objects[account("").Key] = account(more)
		p, err := job(written(t, true, account(`,"imagePullSecrets":[{"name":"a"}]`)), to).Prepare(t.Context())
		require.NoError(t, err)
		require.Len(t, p.Plan.Steps, 1)
		assert.Equal(t, want, p.Plan.Steps[0].Action, more)
		if want == plan.Skip {
			assert.Equal(t, plan.ReasonDiffers, p.Plan.Steps[0].Reason)
		}
	}
}

// An owner that is recreated has another UID than the one that was seen.
func TestTheUIDOfAnOwnerThatIsMadeAnewIsNotThatOfItsPredecessor(t *testing.T) {
	to := &refusals{fakeTarget: newTarget(), refuse: func(string) error { return apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "a", nil) }}
	owner := configMap("a")
	owner.Raw = bytes.Replace(owner.Raw, []byte(`"name":"a"`), []byte(`"name":"a","uid":"u1"`), 1)
	live := owner
	live.Raw = bytes.Replace(live.Raw, []byte(`"k":"a"`), []byte(`"k":"z"`), 1)
	to.objects[live.Key] = live
	j := job(written(t, true, owner, secret("child", `,"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"a","uid":"u1"}]`)), to)
	j.Options.ExistingResourcePolicy = plan.PolicyRecreate
	p, err := j.Prepare(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, p.Plan.Count(plan.Recreate))
	assert.Empty(t, p.Plan.UIDs)
}

func TestWhatAWebhookRefusedIsTriedAgainWhileThatHelps(t *testing.T) {
	broken := apierrors.NewInternalError(errors.New("failed calling webhook"))
	for name, c := range map[string]struct {
		refused func(name string, n int) error // the n-th creation
		created int
		tries   map[string]int
	}{
		"its server comes with the restore": {
			func(_ string, n int) error {
				if n == 1 {
					return broken
				}
				return nil
			}, 4, map[string]int{"a": 2, "b": 2, "c": 2}},
		"one after the other": {
			func(name string, n int) error {
				if n <= int(name[0]-'a') {
					return broken
				}
				return nil
			}, 4, map[string]int{"a": 1, "b": 2, "c": 3}},
		"never": {func(string, int) error { return broken }, 1, map[string]int{"a": 2, "b": 2, "c": 2}},
		"a refusal for good is one": {func(string, int) error { return apierrors.NewBadRequest("no") }, 1,
			map[string]int{"a": 1, "b": 1, "c": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to, tries := newTarget(), map[string]int{}
				to.create = func(k item.Key) error {
					if k.Resource == "namespaces" {
						return nil
					}
					tries[k.Name]++
					return c.refused(k.Name, tries[k.Name])
				}
				j := job(written(t, true, configMap("a"), configMap("b"), configMap("c")), to)
				last := 0
				j.Progress = func(e progress.Event) { last = max(last, e.Done); assert.LessOrEqual(t, e.Done, e.Total) }
				r, err := j.Run(t.Context())
				require.NoError(t, err)
				assert.Equal(t, c.created, r.Changes.Count(apply.Created), "with the namespace")
				assert.Equal(t, 4-c.created, r.Changes.Count(apply.Failed))
				assert.Len(t, r.Changes, 4, "each has one end")
				assert.Equal(t, c.tries, tries)
				assert.Equal(t, 4, last)
			})
		})
	}
}

func TestARestoreThatIsInterruptedBeforeItTriesAgainEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		to := newTarget()
		to.create = func(k item.Key) error {
			if k.Resource == "namespaces" {
				return nil
			}
			return apierrors.NewInternalError(errors.New("failed calling webhook"))
		}
		time.AfterFunc(time.Second, cancel)
		r, err := job(written(t, true, configMap("a")), to).Run(ctx)
		assert.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, 1, r.Changes.Count(apply.Failed))
	})
}

// ending is a target whose namespace shop is being deleted; look is asked each
// time somebody looks at it.
type ending struct {
	*fakeTarget
	look func(n int) (item.Item, error)
	n    int
}

func (e *ending) Get(ctx context.Context, r item.Resource, namespace, name string) (item.Item, error) {
	if name != "shop" {
		return e.fakeTarget.Get(ctx, r, namespace, name)
	}
	e.n++
	it, err := e.look(e.n)
	if apierrors.IsNotFound(err) {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.objects, item.Key{Resource: "namespaces", Name: "shop"})
	}
	return it, err
}

const deleting = `,"deletionTimestamp":"2026-01-02T03:04:05Z"`

func TestANamespaceThatIsBeingDeletedIsWaitedFor(t *testing.T) {
	gone := apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop")
	lost := &cluster.UnreachableError{Err: errors.New("connection refused")}
	held := item.Item{Kind: "Namespace", Version: "v1", Raw: []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop","finalizers":["mine"]` + deleting + `},"spec":{"finalizers":["kubernetes"]}}`)}
	told := item.Item{Kind: "Namespace", Version: "v1", Raw: []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"` + deleting + `},"spec":{"finalizers":["kubernetes"]},
		"status":{"conditions":[{"type":"A","status":"False","message":"all well"},{"type":"B","status":"True","message":"Some content remains: trees has 1 instance."},{"type":"C","status":"True","message":"In 1 instance."}]}}`)}
	for name, c := range map[string]struct {
		look    func(n int) (item.Item, error)
		warning string
		after   time.Duration
		err     error
	}{
		"it is gone at once": {func(int) (item.Item, error) { return item.Item{}, gone }, "", 0, nil},
		"it is gone after a while": {func(n int) (item.Item, error) {
			if n < 5 {
				return held, nil
			}
			return item.Item{}, gone
		}, "", 4 * awaitPoll, nil},
		"somebody makes it anew": {func(n int) (item.Item, error) {
			if n < 3 {
				return held, nil
			}
			return namespaceItem("shop", ""), nil
		}, "", 2 * awaitPoll, nil},
		"its finalizers hold it": {func(int) (item.Item, error) { return held, nil },
			"namespace shop is still being deleted after 3s: its finalizers: [mine kubernetes]", 3*time.Second + awaitPoll, nil},
		"its controller says what holds it": {func(int) (item.Item, error) { return told, nil },
			"namespace shop is still being deleted after 3s: Some content remains: trees has 1 instance. In 1 instance.", 3*time.Second + awaitPoll, nil},
		"it may not be read": {func(int) (item.Item, error) { return item.Item{}, apierrors.NewBadRequest("no") },
			"namespace shop is still being deleted after 3s: no", 0, nil},
		"the API server is gone": {func(int) (item.Item, error) { return item.Item{}, lost }, "", 0, lost},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := &ending{fakeTarget: newTarget(), look: c.look}
				to.objects[item.Key{Resource: "namespaces", Name: "shop"}] = namespaceItem("shop", deleting)
				j := job(written(t, true, configMap("a")), to)
				j.TerminatingTimeout = 3 * time.Second
				var said []string
				j.Progress = func(e progress.Event) {
					if e.Stage != "" {
						said = append(said, e.Stage)
					}
				}
				began := time.Now()
				r, err := j.Run(t.Context())
				assert.Equal(t, c.after, time.Since(began))
				assert.Contains(t, said, "waiting at most 3s until the namespaces that are being deleted are gone: shop")
				if c.err != nil {
					assert.ErrorIs(t, err, c.err)
					assert.Equal(t, len(r.Changes), r.Changes.Count(apply.Failed))
					return
				}
				require.NoError(t, err)
				if c.warning == "" {
					assert.Empty(t, r.Warnings)
				} else {
					assert.Equal(t, []string{c.warning}, r.Warnings)
				}
			})
		})
	}
}

func TestAnOwnerThatIsNotRestoredIsAWarning(t *testing.T) {
	to := newTarget()
	to.create = func(k item.Key) error {
		if k.Name == "owner" {
			return apierrors.NewBadRequest("no")
		}
		return nil
	}
	owner := configMap("owner")
	owner.Raw = bytes.Replace(owner.Raw, []byte(`"name":"owner"`), []byte(`"name":"owner","uid":"u1"`), 1)
	r, err := job(written(t, true, owner, secret("child", `,"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":"u1"}]`)), to).Run(t.Context())
	require.NoError(t, err)
	const why = "without its owner configmaps shop/owner, which could not be restored"
	assert.Equal(t, []string{"secrets shop/child: " + why}, r.Warnings)
	for _, c := range r.Changes {
		if c.Key.Name == "child" {
			assert.Equal(t, apply.Change{Key: c.Key, Outcome: apply.Created, Reason: "absent in the cluster; " + why}, c)
		}
	}
}

// reviewable is a plan with something of everything.
func reviewable(t testing.TB) File {
	t.Helper()
	modifiers, err := modifier.Parse([]byte("version: v1\nresourceModifierRules:\n- conditions: {groupResource: pods}\n  patches: [{operation: add, path: /spec/x, value: \"true\"}]\n"))
	require.NoError(t, err)
	yes := true
	from := item.Key{Resource: "configmaps", Namespace: "shop", Name: "a"}
	p := Prepared{
		Cluster: "7f6e",
		Options: plan.Options{
			Filter:           filter.Filter{IncludedNamespaces: []string{"shop", "*"}, IncludeClusterResources: &yes, LabelSelector: "a in (b,c)"},
			NamespaceMapping: map[string]string{"shop": "copy"}, StorageClassMapping: map[string]string{"1": "true"},
			PreserveNodePorts: true, StatusResources: []string{"*"}, ExcludedStatusResources: []string{"pods"},
			ExistingResourcePolicy: plan.PolicyRecreate, Modifiers: modifiers,
		},
		Plan: plan.Plan{Backup: "b", Awaits: []string{"shop"}, Volumes: []plan.Volume{{Object: "persistentvolumes a", Note: "none: 1"}}, Steps: []plan.Step{
			{Key: item.Key{Resource: "namespaces", Name: "copy"}, Version: "v1", Kind: "Namespace", Action: plan.Create, Reason: "not in the backup", Stage: 1, Bare: true},
			{Key: item.Key{Resource: "configmaps", Namespace: "copy", Name: "a"}, From: &from, Version: "v1", Held: "v1beta1", Action: plan.Fail, Reason: "a \"quoted\"\nreason: # yes", Stage: 9,
				Aggregated: true, Status: true, Relabel: true, Merge: true, Sum: plan.Digest{1}, Live: plan.Digest{2},
				Owners: []plan.Owner{{Key: from, APIVersion: "v1", Kind: "ConfigMap", Controller: true, BlockOwnerDeletion: true}}},
		}},
	}
	return p.File()
}

func TestAPlanFileIsReadAsItIsWritten(t *testing.T) {
	f := reviewable(t)
	asJSON, err := json.Marshal(f)
	require.NoError(t, err)
	asYAML, err := yaml.Marshal(f)
	require.NoError(t, err)
	for _, text := range [][]byte{asJSON, asYAML} {
		back, err := ReadFile(bytes.NewReader(text))
		require.NoError(t, err)
		again, err := json.Marshal(back)
		require.NoError(t, err)
		assert.JSONEq(t, string(asJSON), string(again))
		assert.Empty(t, plan.Drift(f.Plan, back.Plan))
		assert.Equal(t, f.Options.Filter, back.Options.Filter)
		assert.Equal(t, f.Options.NamespaceMapping, back.Options.NamespaceMapping)
		assert.Equal(t, f.Options.StorageClassMapping, back.Options.StorageClassMapping)
	}
}

func TestWhatIsNoPlanIsRefused(t *testing.T) {
	const head = `"apiVersion":"lifeboat.dev/v1alpha1","kind":"Plan"`
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                    {"", `apiVersion "", kind ""`},
		"another kind":               {`{"apiVersion":"lifeboat.dev/v1alpha1","kind":"Drill"}`, `kind "Drill"`},
		"another version":            {`{"apiVersion":"lifeboat.dev/v2","kind":"Plan"}`, `apiVersion "lifeboat.dev/v2"`},
		"a list":                     {`[]`, "not a plan"},
		"half of one":                {`{` + head + `,"steps":[{`, "not a plan"},
		"a field nobody knows":       {`{` + head + `,"force":true}`, "force"},
		"one in an option":           {`{` + head + `,"options":{"preserveNodePort":true}}`, "preserveNodePort"},
		"one in a step":              {`{` + head + `,"steps":[{"resource":"pods","name":"a","actoin":"create"}]}`, "actoin"},
		"a field twice":              {`{` + head + `,"backup":"a","backup":"b"}`, "backup"},
		"a digest that is none":      {`{` + head + `,"steps":[{"sum":"00"}]}`, "no SHA-256"},
		"modifiers that are wrong":   {`{` + head + `,"options":{"resourceModifiers":{"version":"v1","resourceModifierRules":[{"conditions":{}}]}}}`, "not a plan"},
		"an alias that stands often": {"a: &a [x,x,x,x,x,x,x,x,x]\n" + aliases(), "not a plan"},
	} {
		_, err := ReadFile(strings.NewReader(c.text))
		assert.ErrorContains(t, err, c.want, name)
		assert.ErrorContains(t, err, "not a plan", name)
	}
	_, err := ReadFile(failing{})
	assert.EqualError(t, err, "read the plan: the disk is gone")
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

// aliases is a document that would be of a billion elements.
func aliases() string {
	var b strings.Builder
	for c := 'b'; c < 'k'; c++ {
		fmt.Fprintf(&b, "%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 9), ","))
	}
	return b.String()
}

// FuzzReadFile holds that a plan file is refused or read without harm, and that
// what was read is read again as the same.
func FuzzReadFile(f *testing.F) {
	good := reviewable(f)
	asJSON, err := json.Marshal(good)
	require.NoError(f, err)
	asYAML, err := yaml.Marshal(good)
	require.NoError(f, err)
	for _, seed := range [][]byte{asJSON, asYAML, []byte("apiVersion: lifeboat.dev/v1alpha1\nkind: Plan\n"), []byte("{"), []byte("- a"), []byte("a: &a [*a]")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := ReadFile(bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, write := range []func(any) ([]byte, error){json.Marshal, func(v any) ([]byte, error) { return yaml.Marshal(v) }} {
			out, err := write(read)
			require.NoError(t, err)
			back, err := ReadFile(bytes.NewReader(out))
			require.NoError(t, err, "%s", out)
			first, err := json.Marshal(read)
			require.NoError(t, err)
			second, err := json.Marshal(back)
			require.NoError(t, err)
			require.Equal(t, string(first), string(second))
			require.Empty(t, plan.Drift(plan.Plan{Backup: read.Backup}, plan.Plan{Backup: back.Backup}))
		}
	})
}

func TestAReviewedPlanIsCarriedOutOrNothingIs(t *testing.T) {
	a, c := configMap("a"), configMap("c")
	s := written(t, true, a, c)
	planned := func(t *testing.T, to Cluster) *File {
		p, err := job(s, to).Prepare(t.Context())
		require.NoError(t, err)
		text, err := json.Marshal(p.File())
		require.NoError(t, err)
		f, err := ReadFile(bytes.NewReader(text))
		require.NoError(t, err)
		return &f
	}
	system := namespaceItem("kube-system", `,"uid":"this-cluster"`)

	to := newTarget()
	to.objects[system.Key] = system
	j := job(s, to)
	j.Reviewed = planned(t, to)
	assert.Equal(t, "this-cluster", j.Reviewed.Cluster)
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, r.Changes.Count(apply.Created))

	for name, x := range map[string]struct {
		change func(*fakeTarget)
		words  string
	}{
		"an object was created": {func(f *fakeTarget) { f.objects[a.Key] = a }, "configmaps shop/a: the plan says create; now it is unchanged: exists and is equal"},
		"another cluster":       {func(f *fakeTarget) { f.objects[system.Key] = namespaceItem("kube-system", `,"uid":"another"`) }, "it was made for another cluster"},
	} {
		to := newTarget()
		to.objects[system.Key] = system
		j := job(s, to)
		j.Reviewed = planned(t, to)
		x.change(to)
		before := len(to.objects)
		_, err := j.Run(t.Context())
		assert.ErrorIs(t, err, ErrDrift, name)
		assert.ErrorContains(t, err, x.words, name)
		assert.Len(t, to.objects, before, name)
	}
}

func TestOfManyDifferencesTenAreNamed(t *testing.T) {
	var p plan.Plan
	for i := range 13 {
		p.Steps = append(p.Steps, plan.Step{Key: item.Key{Resource: "configmaps", Namespace: "shop", Name: fmt.Sprintf("c%02d", i)}, Action: plan.Create})
	}
	err := File{}.Check(Prepared{Plan: p})
	assert.ErrorIs(t, err, ErrDrift)
	assert.Equal(t, 10, strings.Count(err.Error(), "configmaps shop/c"))
	assert.ErrorContains(t, err, "c09: ")
	assert.NotContains(t, err.Error(), "c10: ")
	assert.ErrorContains(t, err, "and 3 more")
	assert.NoError(t, File{}.Check(Prepared{}))
}
