package collect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/needs"
)

var allVerbs = []string{"list", "create", "get", "delete"}

func resource(group, version, name, kind string, namespaced bool) item.Resource {
	return item.Resource{Group: group, Version: version, Name: name, Singular: strings.ToLower(kind), Kind: kind, Namespaced: namespaced, Verbs: allVerbs}
}

var served = []item.Resource{
	resource("", "v1", "configmaps", "ConfigMap", true),
	resource("", "v1", "namespaces", "Namespace", false),
	resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true),
	resource("", "v1", "persistentvolumes", "PersistentVolume", false),
	resource("", "v1", "pods", "Pod", true),
	resource("", "v1", "serviceaccounts", "ServiceAccount", true),
	resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false),
	resource("example.com", "v1", "widgets", "Widget", true),
	resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", false),
	resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false),
	resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", true),
	resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", false),
	resource("snapshot.storage.k8s.io", "v1", "volumesnapshotclasses", "VolumeSnapshotClass", false),
	resource("snapshot.storage.k8s.io", "v1", "volumesnapshotcontents", "VolumeSnapshotContent", false),
	resource("snapshot.storage.k8s.io", "v1", "volumesnapshots", "VolumeSnapshot", true),
}

// fake is a cluster of served resources.
type fake struct {
	failures []cluster.GroupFailure
	objects  []item.Item
	listErr  map[string]error // by resource, or "resource namespace"
	getErr   map[string]error // by key
	expired  map[string]bool
}

// has adds an object written as "resource namespace/name" with more JSON.
func (f *fake) has(gr, name, more string) *fake {
	i := slices.IndexFunc(served, func(r item.Resource) bool { return r.GroupResource() == gr })
	r := served[i]
	k := item.Key{Group: r.Group, Resource: r.Name, Name: name}
	if ns, n, found := strings.Cut(name, "/"); found {
		k.Namespace, k.Name = ns, n
	}
	meta := fmt.Sprintf(`"name":%q,"namespace":%q`, k.Name, k.Namespace)
	if m, rest, found := strings.Cut(more, "|"); found {
		meta, more = meta+","+m, rest
	}
	if more != "" {
		more = "," + more
	}
	raw := fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{%s}%s}`, r.APIVersion(), r.Kind, meta, more)
	f.objects = append(f.objects, item.Item{Key: k, Version: r.Version, Kind: r.Kind, Raw: []byte(raw)})
	return f
}

func (f *fake) Resources(context.Context) ([]item.Resource, []cluster.GroupFailure, error) {
	return served, f.failures, nil
}

func (f *fake) List(ctx context.Context, r item.Resource, o cluster.ListOptions, info *cluster.ListInfo) iter.Seq2[item.Item, error] {
	return func(yield func(item.Item, error) bool) {
		selector, err := labels.Parse(o.LabelSelector)
		if err != nil {
			yield(item.Item{}, err)
			return
		}
		for _, it := range f.objects {
			u, _ := it.Object()
			if it.Key.GroupResource() != r.GroupResource() || o.Namespace != "" && it.Key.Namespace != o.Namespace || !selector.Matches(labels.Set(u.GetLabels())) {
				continue
			}
			if ctx.Err() != nil {
				yield(item.Item{}, ctx.Err())
				return
			}
			if !yield(it, nil) {
				return
			}
		}
		info.ResourceVersion, info.Expired = "9", f.expired[r.GroupResource()]
		if err := errors.Join(f.listErr[r.GroupResource()], f.listErr[r.GroupResource()+" "+o.Namespace]); err != nil {
			yield(item.Item{}, err)
		}
	}
}

func (f *fake) Get(_ context.Context, r item.Resource, namespace, name string) (item.Item, error) {
	k := item.Key{Group: r.Group, Resource: r.Name, Namespace: namespace, Name: name}
	if err := f.getErr[k.String()]; err != nil {
		return item.Item{}, err
	}
	for _, it := range f.objects {
		if it.Key == k {
			return it, nil
		}
	}
	return item.Item{}, apierrors.NewNotFound(schema.GroupResource{Group: r.Group, Resource: r.Name}, name)
}

func collected(t *testing.T, f *fake, filter filter.Filter) (keys []string, c *Collection, err error) {
	t.Helper()
	return inOrder(t, f, filter, nil)
}

func inOrder(t *testing.T, f *fake, only filter.Filter, o filter.Order) (keys []string, c *Collection, err error) {
	t.Helper()
	c, err = Begin(t.Context(), f, only, o)
	if err != nil {
		return nil, nil, err
	}
	for it, err := range c.Items(t.Context()) {
		if err != nil {
			return keys, c, err
		}
		keys = append(keys, it.Key.String())
	}
	return keys, c, nil
}

// town has two namespaces, of which shop needs something of every kind.
func town() *fake {
	return new(fake).
		has("namespaces", "shop", `"labels":{"team":"a"}|`).
		has("namespaces", "web", "").
		has("configmaps", "shop/plain", `"labels":{"app":"x"}|`).
		has("configmaps", "web/plain", "").
		has("persistentvolumeclaims", "shop/data", `"spec":{"volumeName":"vol"}`).
		has("persistentvolumeclaims", "shop/lost", `"spec":{"volumeName":"gone"}`).
		has("persistentvolumes", "vol", "").
		has("persistentvolumes", "other", "").
		has("pods", "shop/app", `"spec":{"priorityClassName":"high"}`).
		has("serviceaccounts", "shop/sa", "").
		has("customresourcedefinitions.apiextensions.k8s.io", "widgets.example.com", "").
		has("customresourcedefinitions.apiextensions.k8s.io", "others.example.com", "").
		has("widgets.example.com", "shop/w", "").
		has("clusterrolebindings.rbac.authorization.k8s.io", "binds-sa", `"roleRef":{"name":"bound"},"subjects":[{"kind":"ServiceAccount","namespace":"shop","name":"sa"}]`).
		has("clusterrolebindings.rbac.authorization.k8s.io", "binds-other", `"roleRef":{"name":"unbound"},"subjects":[{"kind":"User","name":"sa"},{"kind":"ServiceAccount","namespace":"web","name":"sa"}]`).
		has("clusterroles.rbac.authorization.k8s.io", "bound", "").
		has("clusterroles.rbac.authorization.k8s.io", "unbound", "").
		has("clusterroles.rbac.authorization.k8s.io", "by-rolebinding", "").
		has("rolebindings.rbac.authorization.k8s.io", "shop/rb", `"roleRef":{"kind":"ClusterRole","name":"by-rolebinding"}`).
		has("rolebindings.rbac.authorization.k8s.io", "shop/local", `"roleRef":{"kind":"Role","name":"unbound"}`).
		has("priorityclasses.scheduling.k8s.io", "high", "").
		has("priorityclasses.scheduling.k8s.io", "low", "")
}

var shopNeeds = []string{
	"configmaps shop/plain",
	"namespaces shop",
	"persistentvolumeclaims shop/data",
	"persistentvolumeclaims shop/lost",
	"pods shop/app",
	"serviceaccounts shop/sa",
	"widgets.example.com shop/w",
	"rolebindings.rbac.authorization.k8s.io shop/rb",
	"rolebindings.rbac.authorization.k8s.io shop/local",
	// and then what these need
	"persistentvolumes vol",
	"customresourcedefinitions.apiextensions.k8s.io widgets.example.com",
	"clusterroles.rbac.authorization.k8s.io by-rolebinding",
	"priorityclasses.scheduling.k8s.io high",
	"clusterrolebindings.rbac.authorization.k8s.io binds-sa",
	"clusterroles.rbac.authorization.k8s.io bound",
}

func TestEverythingIsTakenInTheOrderOfDiscovery(t *testing.T) {
	f := town()
	keys, c, err := collected(t, f, filter.Filter{})
	require.NoError(t, err)
	var want []string
	for _, r := range served {
		for _, it := range f.objects {
			if it.Key.GroupResource() == r.GroupResource() {
				want = append(want, it.Key.String())
			}
		}
	}
	assert.Equal(t, want, keys)
	assert.Empty(t, c.Problems())
	for _, r := range c.Report() {
		assert.Equal(t, r.Listed, r.Written, r.Name)
		if r.Excluded == "" {
			assert.Equal(t, "9", r.ResourceVersion, r.Name)
		}
	}
}

func TestASelectedNamespaceBringsWhatItNeedsAndNothingElse(t *testing.T) {
	keys, c, err := collected(t, town(), filter.Filter{IncludedNamespaces: []string{"shop"}})
	require.NoError(t, err)
	assert.Equal(t, shopNeeds, keys)
	assert.Empty(t, c.Problems())

	keys, _, err = collected(t, town(), filter.Filter{ExcludedNamespaces: []string{"w*"}})
	require.NoError(t, err)
	assert.Equal(t, shopNeeds, keys, "the same by exclusion")
}

func TestFiltersByResourceAndLabel(t *testing.T) {
	for name, c := range map[string]struct {
		f    filter.Filter
		want []string
	}{
		"one resource brings the namespaces it is in": {
			filter.Filter{IncludedResources: []string{"pods"}},
			[]string{"namespaces shop", "pods shop/app", "priorityclasses.scheduling.k8s.io high"},
		},
		"custom resources bring their definition": {
			filter.Filter{IncludedResources: []string{"widgets"}, IncludedNamespaces: []string{"shop"}},
			[]string{"namespaces shop", "widgets.example.com shop/w", "customresourcedefinitions.apiextensions.k8s.io widgets.example.com"},
		},
		"what is excluded by name is not brought either": {
			filter.Filter{IncludedResources: []string{"widgets", "persistentvolumeclaims"}, ExcludedResources: []string{"customresourcedefinitions", "pv", "persistentvolumes", "ns", "namespaces"}},
			nil, // error: pv and ns are short names nobody serves here
		},
		"a label": {
			filter.Filter{LabelSelector: "app=x"},
			[]string{"configmaps shop/plain", "namespaces shop"},
		},
		"a label that only a namespace has": {
			filter.Filter{LabelSelector: "team=a"},
			[]string{"namespaces shop"},
		},
		"a label that nothing has": {filter.Filter{LabelSelector: "no=thing"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			keys, _, err := collected(t, town(), c.f)
			if c.want == nil {
				assert.ErrorContains(t, err, `no resource is named "pv", "ns"`)
				return
			}
			require.NoError(t, err)
			assert.ElementsMatch(t, c.want, keys)
		})
	}
	keys, _, err := collected(t, town(), filter.Filter{IncludedResources: []string{"widgets", "persistentvolumeclaims"}, ExcludedResources: []string{"customresourcedefinitions", "persistentvolumes", "namespaces"}})
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"widgets.example.com shop/w", "persistentvolumeclaims shop/data", "persistentvolumeclaims shop/lost"}, keys)
}

func TestWhatIsLeftOutIsCountedWithItsReason(t *testing.T) {
	const mark = `"labels":{"velero.io/exclude-from-backup":"true"}|`
	f := town().
		has("configmaps", "shop/hidden", mark).
		has("configmaps", "shop/not-hidden", `"labels":{"velero.io/exclude-from-backup":"false"}|`).
		has("configmaps", "shop/dying", `"deletionTimestamp":"2026-01-02T03:04:05Z"|`).
		has("configmaps", "shop/talks-of-it", `"data":{"x":"\"deletionTimestamp\" velero.io/exclude-from-backup"}`).
		has("namespaces", "scratch", mark).
		has("configmaps", "scratch/one", "").
		has("pods", "scratch/two", "")
	for _, filter := range []filter.Filter{{}, {IncludedNamespaces: []string{"shop", "web", "scratch"}}} {
		keys, c, err := collected(t, f, filter)
		require.NoError(t, err)
		assert.Subset(t, keys, []string{"configmaps shop/not-hidden", "configmaps shop/talks-of-it"})
		for _, gone := range []string{"configmaps shop/hidden", "configmaps shop/dying", "namespaces scratch", "configmaps scratch/one", "pods scratch/two"} {
			assert.NotContains(t, keys, gone)
		}
		left := map[string]int{}
		for _, r := range c.Report() {
			written := 0
			for _, k := range keys {
				if strings.HasPrefix(k, r.Name+" ") {
					written++
				}
			}
			assert.Equal(t, written, r.Written, r.Name)
			sum := r.Written
			for why, n := range r.LeftOut {
				left[why] += n
				sum += n
			}
			assert.Equal(t, r.Listed, sum, "%s: every object has an end", r.Name)
		}
		assert.Equal(t, 2, left[leftByLabel], "a ConfigMap and a Namespace")
		assert.Equal(t, 1, left[leftDeleting])
	}
}

func TestARelatedObjectThatIsLeftOutIsCountedToo(t *testing.T) {
	f := town()
	f.objects = slices.DeleteFunc(f.objects, func(it item.Item) bool { return it.Key.Name == "vol" })
	f.has("persistentvolumes", "vol", `"deletionTimestamp":"2026-01-02T03:04:05Z"|`)
	keys, c, err := collected(t, f, filter.Filter{IncludedNamespaces: []string{"shop"}})
	require.NoError(t, err)
	assert.NotContains(t, keys, "persistentvolumes vol")
	i := c.choice("persistentvolumes")
	assert.Equal(t, map[string]int{leftDeleting: 1}, c.Report()[i].LeftOut)
}

func forbidden(r string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: r}, "", errors.New("user may not"))
}

func TestAResourceThatTheServerRefusesIsAProblemAndTheRestGoesOn(t *testing.T) {
	for name, err := range map[string]error{
		"403": forbidden("pods"), "500": apierrors.NewInternalError(errors.New("etcd is full")), "no list": fmt.Errorf("list pods: %w", cluster.ErrMalformed),
	} {
		f := town()
		f.listErr = map[string]error{"pods": err}
		keys, c, got := collected(t, f, filter.Filter{})
		require.NoError(t, got, name)
		assert.Len(t, keys, len(f.objects), "%s: what was listed before the refusal is kept", name)
		require.Len(t, c.Problems(), 1, name)
		assert.Equal(t, "pods", c.Problems()[0].Object, name)
		assert.ErrorIs(t, c.Problems()[0].Err, err, name)
		assert.NotEmpty(t, c.Report()[c.choice("pods")].Error, name)
	}
}

func TestALostServerEndsTheWalk(t *testing.T) {
	lost := &cluster.UnreachableError{Err: errors.New("connection refused")}
	f := town()
	f.listErr = map[string]error{"serviceaccounts": lost}
	_, _, err := collected(t, f, filter.Filter{})
	assert.ErrorIs(t, err, lost)

	f = town()
	f.getErr = map[string]error{"persistentvolumes vol": lost}
	_, _, err = collected(t, f, filter.Filter{IncludedNamespaces: []string{"shop"}})
	assert.ErrorIs(t, err, lost)

	f = town()
	f.listErr = map[string]error{"namespaces": lost}
	_, _, err = collected(t, f, filter.Filter{})
	assert.ErrorIs(t, err, lost)
}

func TestARelatedObjectThatMayNotBeReadIsAProblem(t *testing.T) {
	f := town()
	f.getErr = map[string]error{"persistentvolumes vol": forbidden("persistentvolumes")}
	f.listErr = map[string]error{needs.ClusterRoleBindings: forbidden(needs.ClusterRoleBindings)}
	keys, c, err := collected(t, f, filter.Filter{IncludedNamespaces: []string{"shop"}})
	require.NoError(t, err)
	assert.NotContains(t, keys, "persistentvolumes vol")
	assert.Equal(t, []string{"persistentvolumes vol", needs.ClusterRoleBindings}, objects(c.Problems()))
}

func objects(ps []Problem) []string {
	var out []string
	for _, p := range ps {
		out = append(out, p.Object)
	}
	return out
}

func TestWhoMayNotListNamespacesGetsTheRest(t *testing.T) {
	f := town()
	f.listErr = map[string]error{"namespaces": forbidden("namespaces")}
	_, c, err := collected(t, f, filter.Filter{})
	require.NoError(t, err)
	assert.Equal(t, []string{"namespaces"}, objects(c.Problems()), "said once")
}

func TestNamespacesThatDoNotExistAreProblems(t *testing.T) {
	keys, c, err := collected(t, town(), filter.Filter{IncludedNamespaces: []string{"web", "nowhere", "n-*"}})
	require.NoError(t, err)
	assert.Contains(t, keys, "namespaces web")
	assert.Equal(t, []string{"namespace nowhere", "namespace n-*"}, objects(c.Problems()))

	_, _, err = collected(t, town(), filter.Filter{IncludedNamespaces: []string{"nowhere"}})
	assert.ErrorContains(t, err, "[nowhere]")
}

func TestAGroupThatCannotBeDiscoveredIsAProblemUnlessItIsNotWanted(t *testing.T) {
	down := []cluster.GroupFailure{{GroupVersion: "metrics.example.com/v1", Err: errors.New("its server is down")}}
	for name, c := range map[string]struct {
		f       filter.Filter
		problem bool
	}{
		"everything is wanted":     {filter.Filter{}, true},
		"everything by a star":     {filter.Filter{IncludedResources: []string{"*"}}, true},
		"the group is excluded":    {filter.Filter{ExcludedResources: []string{"*.metrics.example.com"}}, false},
		"something else is wanted": {filter.Filter{IncludedResources: []string{"pods"}}, false},
		"the group is wanted":      {filter.Filter{IncludedResources: []string{"*.metrics.example.com"}}, true},
	} {
		f := town()
		f.failures = down
		_, got, err := collected(t, f, c.f)
		require.NoError(t, err, name)
		assert.Equal(t, c.problem, len(got.Problems()) == 1, name)
		if c.problem {
			assert.Equal(t, "API group metrics.example.com/v1", got.Problems()[0].Object)
			assert.ErrorContains(t, got.Problems()[0].Err, "--exclude-resources '*.metrics.example.com'")
		}
	}
	f := town()
	f.failures = down
	_, _, err := collected(t, f, filter.Filter{IncludedResources: []string{"gauges"}})
	assert.ErrorContains(t, err, `no resource is named "gauges"`)
	assert.ErrorContains(t, err, "metrics.example.com/v1 could not be discovered", "it may be in there")
}

func TestAListOfTwoStatesIsAWarning(t *testing.T) {
	f := town()
	f.expired = map[string]bool{"configmaps": true}
	_, c, err := collected(t, f, filter.Filter{IncludedNamespaces: []string{"*"}})
	require.NoError(t, err)
	assert.Empty(t, c.Problems())
	assert.Equal(t, []string{"configmaps"}, objects(c.Warnings()))
	assert.True(t, c.Report()[c.choice("configmaps")].Inconsistent)
}

func TestTheWalkEndsWithItsContextWhereverItIs(t *testing.T) {
	total := len(town().objects)
	for stop := range total {
		ctx, cancel := context.WithCancel(t.Context())
		c, err := Begin(ctx, town(), filter.Filter{}, nil)
		require.NoError(t, err)
		n := 0
		var last error
		for _, err := range c.Items(ctx) {
			if last = err; err != nil {
				break
			}
			if n++; n > stop {
				cancel()
			}
		}
		cancel()
		assert.ErrorIs(t, last, context.Canceled, "cancelled after %d of %d", stop+1, total)
	}
}

func TestAReaderMayStopAnywhere(t *testing.T) {
	for stop := range len(shopNeeds) {
		c, err := Begin(t.Context(), town(), filter.Filter{IncludedNamespaces: []string{"shop"}}, nil)
		require.NoError(t, err)
		n := 0
		for _, err := range c.Items(t.Context()) {
			require.NoError(t, err)
			if n++; n > stop {
				break
			}
		}
		assert.Equal(t, stop+1, n)
	}
}

func TestSelect(t *testing.T) {
	pods, nodes := resource("", "v1", "pods", "Pod", true), resource("", "v1", "nodes", "Node", false)
	readOnly := resource("metrics.k8s.io", "v1", "pods", "PodMetrics", true)
	readOnly.Verbs = []string{"list", "get"}
	reviews := resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false)
	reviews.Verbs = []string{"create"}
	namespaces := resource("", "v1", "namespaces", "Namespace", false)
	events, newEvents := resource("", "v1", "events", "Event", true), resource("events.k8s.io", "v1", "events", "Event", true)
	all := []item.Resource{pods, nodes, readOnly, reviews, namespaces, events, newEvents}
	reasons := func(f filter.Filter) []string {
		var out []string
		f, _ = f.Resolved(all)
		for _, ch := range Select(f, all) {
			out = append(out, ch.Excluded)
		}
		return out
	}
	assert.Equal(t, []string{"", "", notCreatable, notListable, "", "", "the same objects as events"}, reasons(filter.Filter{}))
	assert.Equal(t, []string{"", clusterScoped, notCreatable, notListable, "", "", "the same objects as events"}, reasons(filter.Filter{IncludedNamespaces: []string{"a"}}))
	assert.Equal(t, []string{"", notIncluded, notCreatable, notListable, notIncluded, notIncluded, "the same objects as events"}, reasons(filter.Filter{IncludedResources: []string{"po", "pod"}}))
	assert.Equal(t, []string{isExcluded, "", notCreatable, notListable, isExcluded, "", "the same objects as events"}, reasons(filter.Filter{ExcludedResources: []string{"pods", "namespaces"}}))
	assert.Equal(t, "", Select(filter.Filter{}, []item.Resource{newEvents})[0].Excluded, "alone it is taken")
}
