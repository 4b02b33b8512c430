package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

const twoVersions = `"spec":{"group":"example.com","names":{"plural":"widgets"},"versions":[{"name":"v1"},{"name":"v1beta1"}]}`

// exists notes that the target holds the items as they are.
func exists(t *testing.T, o *Observed, items ...item.Item) {
	t.Helper()
	for _, it := range items {
		d, err := DigestOf(it)
		require.NoError(t, err)
		o.Existing[it.Key] = Live{Digest: d}
	}
}

func TestItemsWaitForTheEndOfANamespaceThatIsBeingDeleted(t *testing.T) {
	namespace, equalOne, other, absent := object(t, ns, ""), object(t, config, `"data":{"a":"b"}`), object(t, "v1 Secret secrets shop/other", ""), object(t, "v1 Pod pods shop/absent", "")
	elsewhere := object(t, "v1 ConfigMap configmaps calm/c", "")
	seen := everything()
	exists(t, &seen, namespace, equalOne, object(t, "v1 Namespace namespaces calm", ""))
	seen.Existing[other.Key] = Live{Digest: Digest{9}}
	seen.Terminating = map[string]bool{"shop": true}
	const reason = "absent once namespace shop, which is being deleted, is gone"
	assert.Equal(t, []string{
		"create namespaces shop: " + reason,
		"create secrets shop/other: " + reason,
		"create configmaps calm/c: absent in the cluster",
		"create configmaps shop/settings: " + reason,
		"create pods shop/absent: " + reason,
	}, steps(Options{}.Build("b", entries(t, filter.Filter{}, namespace, equalOne, other, absent, elsewhere), seen)), "what is there now will be gone in a moment")
	assert.Equal(t, []string{"shop"}, Options{}.Build("b", entries(t, filter.Filter{}, namespace, equalOne), seen).Awaits)

	left := filter.Filter{IncludedNamespaces: []string{"calm"}}
	p := Options{}.Build("b", entries(t, left, namespace, equalOne, elsewhere), seen)
	assert.Empty(t, p.Awaits, "what nobody asked for is not waited for: %v", steps(p))
}

func TestADefinitionHelpsOnlyWhenTheTargetGetsIt(t *testing.T) {
	definition, old := object(t, crd, twoVersions), object(t, "example.com/v1beta1 Widget widgets shop/old", "")
	namespace := object(t, ns, "")
	all := entries(t, filter.Filter{}, definition, old, namespace)

	absent := everything()
	p := Options{}.Build("b", all, absent)
	assert.Equal(t, map[string]string{"widgets.example.com": "widgets.example.com"}, p.Defines)
	assert.Contains(t, steps(p), "create widgets.example.com shop/old: absent in the cluster; defined by widgets.example.com")

	different := everything()
	different.Existing[definition.Key] = Live{Digest: Digest{9}}
	different.Served["widgets.example.com"] = []string{"v1"}
	p = Options{}.Build("b", all, different)
	assert.Empty(t, p.Defines, "the definition in the cluster is left alone")
	assert.Contains(t, steps(p), "create widgets.example.com shop/old: absent in the cluster, which serves widgets.example.com at v1 and not at v1beta1")

	same := everything()
	exists(t, &same, definition)
	p = Options{}.Build("b", all, same)
	assert.Contains(t, steps(p), "unchanged customresourcedefinitions.apiextensions.k8s.io widgets.example.com: exists and is equal")
	assert.Contains(t, steps(p), "create widgets.example.com shop/old: absent in the cluster; defined by widgets.example.com", "made a moment ago: discovery may not know it yet")
}

func TestWhatAnAggregatedServerHoldsFailsForWantOfThatServer(t *testing.T) {
	pool, other := object(t, "calico.example.com/v3 Pool pools a", ""), object(t, "unknown.example.com/v1 Thing things a", "")
	e := entries(t, filter.Filter{}, pool, other)
	e = append(e, Entry{Key: item.Key{Group: "apiregistration.k8s.io", Resource: "apiservices", Name: "v3.calico.example.com"}, Version: "v1", Aggregates: "calico.example.com/v3"})
	p := Options{}.Build("b", e, everything())
	assert.Contains(t, steps(p), "fail pools.calico.example.com a: the target cluster does not serve pools.calico.example.com; it needs the API server behind v3.calico.example.com to run")
	for _, s := range p.Steps {
		assert.Equal(t, s.Resource == "pools", s.Aggregated, s.Key)
	}
}

func TestADefinitionThatTheFilterLeavesOutComesOnlyForWhatIsRestored(t *testing.T) {
	definition, custom := object(t, crd, twoVersions), object(t, widget, "")
	p := Options{}.Build("b", entries(t, filter.Filter{IncludedNamespaces: []string{"other"}}, definition, custom), everything())
	assert.Equal(t, 2, p.Count(Skip), "%v", steps(p))
	assert.Empty(t, p.Defines)
}

func TestNamespacesAreMadeForWhatIsMadeInThem(t *testing.T) {
	namespace, settings := object(t, ns, `"metadata":{"labels":{"team":"x"}}`), object(t, config, "")

	excluded := Options{}.Build("b", entries(t, filter.Filter{ExcludedResources: []string{"namespaces"}}, namespace, settings), everything())
	assert.Equal(t, "create namespaces shop: absent in the cluster; restored items are in it", steps(excluded)[0])
	assert.False(t, excluded.Steps[0].Bare, "the backup's has the labels")

	seen := everything()
	seen.Existing[namespace.Key] = Live{Digest: Digest{9}}
	there := Options{}.Build("b", entries(t, filter.Filter{ExcludedResources: []string{"namespaces"}}, namespace, settings), seen)
	assert.Equal(t, "skip namespaces shop: "+leaveExcluded, steps(there)[0], "one that is there is not made")
	differs := Options{}.Build("b", entries(t, filter.Filter{}, namespace, settings), seen)
	assert.Equal(t, "skip namespaces shop: "+ReasonDiffers, steps(differs)[0])

	bare := Options{}.Build("b", entries(t, filter.Filter{}, settings), everything())
	assert.Equal(t, Step{Key: namespace.Key, Version: "v1", Kind: "Namespace", Stage: 1, Bare: true, Action: Create, Reason: "not in the backup; restored items are in it"}, bare.Steps[0])
	assert.False(t, bare.Steps[1].Bare)

	noNamespace := Options{}.Build("b", entries(t, filter.Filter{}, object(t, "storage.k8s.io/v1 StorageClass storageclasses fast", "")), everything())
	assert.Len(t, noNamespace.Steps, 1, "what is in no namespace needs none")

	seen = everything()
	exists(t, &seen, settings)
	unchanged := Options{}.Build("b", entries(t, filter.Filter{}, settings), seen)
	assert.Len(t, unchanged.Steps, 1, "where nothing is made, none is needed")
}

func TestVolumesThatNobodyAskedForAreNotSpokenOf(t *testing.T) {
	claim := object(t, "v1 PersistentVolumeClaim persistentvolumeclaims shop/data", "")
	for _, f := range []filter.Filter{{IncludedResources: []string{"pods"}}, {ExcludedResources: []string{"persistentvolumeclaims"}}} {
		assert.Empty(t, Options{}.Build("b", entries(t, f, claim), everything()).Volumes)
	}
	deleted := object(t, "v1 PersistentVolume persistentvolumes pv", `"spec":{"persistentVolumeReclaimPolicy":"Delete"}`)
	assert.Equal(t, []Volume{{Object: "persistentvolumeclaims shop/data", Note: "data not included in the backup"}, {Object: "persistentvolumes pv", Note: "data not included in the backup"}},
		Options{}.Build("b", entries(t, filter.Filter{}, deleted, claim), everything()).Volumes, "those that a rule leaves out are")
}

func TestAStepKnowsItsItem(t *testing.T) {
	it := object(t, "apps/v1 Deployment deployments shop/web", `"spec":{"replicas":1}`)
	e := entries(t, filter.Filter{}, it)[0]
	s := Options{}.Build("nightly", []Entry{e}, everything()).Steps[1]
	assert.Equal(t, Step{Key: it.Key, Version: "v1", Kind: "Deployment", Action: Create, Reason: "absent in the cluster", Stage: s.Stage, Size: e.Size, Sum: e.Sum, Digest: e.Digest}, s)
	assert.Equal(t, "apps/v1", s.APIVersion())
	assert.Equal(t, "nightly", Options{}.Build("nightly", nil, Observed{}).Backup)
}

// Whatever a backup holds and a target is like: each item has one step, no
// namespace is missing or there twice, and the order of the archive is of no
// importance.
func TestAPlanAccountsForEveryItemInAnyOrder(t *testing.T) {
	resources := slices.Concat(first, slices.Concat(last...), ordinary)
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		var all []Entry
		defined := false
		seen := Observed{Served: map[string][]string{}, Existing: map[item.Key]Live{}, Terminating: map[string]bool{}}
		for i := range 60 {
			e := entry(resources[r.IntN(len(resources))], "", fmt.Sprintf("x%d", i))
			switch {
			case e.Key.Resource == "namespaces" && e.Key.Group == "":
				e.Key.Name = fmt.Sprintf("ns-%d", i%6)
			case r.IntN(3) > 0:
				e.Key.Namespace = fmt.Sprintf("ns-%d", r.IntN(9))
			}
			e.Leave = []string{"", "", "", leaveFiltered, leaveExcluded, leaveFinished}[r.IntN(6)]
			if e.Key.Resource == "namespaces" && e.Leave == leaveFinished {
				e.Leave = ""
			}
			if e.Key.Resource == "customresourcedefinitions" && !defined {
				defined = true
				e.Defines = "trees.orchard.example.com"
			}
			if e.Key.Resource == "persistentvolumes" || e.Key.Resource == "persistentvolumeclaims" {
				e.Volume = "note"
			}
			if slices.ContainsFunc(all, func(o Entry) bool { return o.Key == e.Key }) {
				continue
			}
			all = append(all, e)
			if r.IntN(4) > 0 {
				seen.Served[e.Key.GroupResource()] = []string{[]string{"v1", "v1", "v2"}[r.IntN(3)]}
			}
			if r.IntN(3) == 0 {
				seen.Existing[e.Key] = Live{Digest: Digest{byte(r.IntN(2))}}
			}
		}
		seen.Served["namespaces"] = []string{"v1"}
		seen.Existing[item.Key{Resource: "namespaces", Name: "ns-7"}] = Live{Digest: Digest{}}
		seen.Terminating["ns-7"] = true

		before := slices.Clone(all)
		p := Options{}.Build("b", all, seen)
		require.Equal(t, before, all, "the entries are only read")
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		shuffled := Options{}.Build("b", all, seen)
		require.Equal(t, steps(p), steps(shuffled), "seed %d", seed)
		require.Equal(t, p.Volumes, shuffled.Volumes, "seed %d", seed)

		count := map[item.Key]int{}
		made := map[string]bool{}
		for _, s := range p.Steps {
			count[s.Key]++
			made[s.Name] = made[s.Name] || s.GroupResource() == "namespaces" && s.Action == Create
			require.NotEmpty(t, s.Reason, s.Key)
		}
		for _, e := range all {
			require.Equal(t, 1, count[e.Key], "%s (seed %d)", e.Key, seed)
		}
		for _, s := range p.Steps {
			if s.Action != Create || s.Namespace == "" {
				continue
			}
			key := item.Key{Resource: "namespaces", Name: s.Namespace}
			_, there := seen.Existing[key]
			there = there && !seen.Terminating[s.Namespace]
			require.NotEqual(t, there, made[s.Namespace], "%s (seed %d)", s.Key, seed)
			require.LessOrEqual(t, count[key], 1, "%s is there twice (seed %d)", key, seed)
		}
		require.Equal(t, len(p.Steps), p.Count(Create)+p.Count(Update)+p.Count(Unchanged)+p.Count(Skip)+p.Count(Fail))
	}
}

func TestATargetIsAskedForTheVersionsThatTheBackupHolds(t *testing.T) {
	beta := entry("trees.orchard.example.com", "shop", "b")
	beta.Version = "v1beta1"
	assert.Equal(t, map[string][]string{
		"namespaces": {"v1"}, "pods": {"v1"}, "trees.orchard.example.com": {"v1", "v1beta1"},
	}, Resources([]Entry{entry("pods", "shop", "a"), entry("pods", "shop", "b"), entry("trees.orchard.example.com", "shop", "a"), beta}))
	assert.Equal(t, map[string][]string{"namespaces": {"v1"}}, Resources(nil), "namespaces are always looked at")
}

// As with Velero: whatever the policy, what the cluster has keeps its value.
func TestAServiceAccountThatDiffersIsCompletedUnderEveryPolicy(t *testing.T) {
	const account = "v1 ServiceAccount serviceaccounts shop/default"
	ours := object(t, account, `"imagePullSecrets":[{"name":"pull"}]`)
	for _, policy := range []Policy{"", PolicyNone, PolicyUpdate, PolicyRecreate} {
		seen := everything()
		exists(t, &seen, object(t, account, ""), object(t, ns, ""))
		p := Options{ExistingResourcePolicy: policy}.Build("b", entries(t, filter.Filter{}, ours), seen)
		require.Len(t, p.Steps, 1)
		assert.Equal(t, Update, p.Steps[0].Action, policy)
		assert.True(t, p.Steps[0].Merge)
		assert.Equal(t, seen.Existing[ours.Key].Digest, p.Steps[0].Live, "what it was made for")
	}
}

func TestWhatOnlyComesAlongIsNotChanged(t *testing.T) {
	items := []item.Item{
		object(t, ns, ""), object(t, "v1 Pod pods shop/web", `"spec":{"priorityClassName":"high","serviceAccountName":"runner"}`),
		object(t, "scheduling.k8s.io/v1 PriorityClass priorityclasses high", `"value":5`), object(t, "scheduling.k8s.io/v1 PriorityClass priorityclasses low", `"value":1`),
		object(t, "v1 ServiceAccount serviceaccounts shop/runner", `"imagePullSecrets":[{"name":"a"}]`),
		object(t, "rbac.authorization.k8s.io/v1 ClusterRoleBinding clusterrolebindings runs", `"roleRef":{"kind":"ClusterRole","name":"run"},"subjects":[{"kind":"ServiceAccount","namespace":"shop","name":"runner"}]`),
		object(t, "rbac.authorization.k8s.io/v1 ClusterRoleBinding clusterrolebindings other", `"roleRef":{"kind":"ClusterRole","name":"run"},"subjects":[{"kind":"ServiceAccount","namespace":"web","name":"runner"}]`),
		object(t, "rbac.authorization.k8s.io/v1 ClusterRole clusterroles run", ""),
	}
	for name, c := range map[string]struct {
		filter  filter.Filter
		action  Action
		reasons map[int]string // by item
	}{
		"a namespace": {filter.Filter{IncludedNamespaces: []string{"shop"}}, Skip, map[int]string{
			2: "exists and differs from the backup; left alone (the filter does not select it; pods shop/web needs it)",
			3: leaveFiltered, 6: leaveFiltered,
			5: "absent in the cluster; serviceaccounts shop/runner needs it",
			7: "absent in the cluster; clusterrolebindings.rbac.authorization.k8s.io runs needs it",
		}},
		"a namespace and nothing that is in none": {filter.Filter{IncludedNamespaces: []string{"shop"}, IncludeClusterResources: new(bool)}, Skip, map[int]string{
			2: leaveExcluded, 5: leaveExcluded, 7: leaveExcluded,
		}},
		"without the class": {filter.Filter{IncludedNamespaces: []string{"shop"}, ExcludedResources: []string{"priorityclasses.scheduling.k8s.io"}}, Skip, map[int]string{
			2: leaveExcluded, 5: "absent in the cluster; serviceaccounts shop/runner needs it",
		}},
		"everything": {filter.Filter{}, Update, map[int]string{2: "exists and differs from the backup", 3: "absent in the cluster"}},
	} {
		t.Run(name, func(t *testing.T) {
			seen := everything()
			seen.Existing[items[2].Key] = Live{Digest: Digest{1}}
			p := Options{ExistingResourcePolicy: PolicyUpdate}.Build("b", entries(t, c.filter, items...), seen)
			assert.Equal(t, c.action, stepOf(t, p, items[2].Key).Action)
			for i, want := range c.reasons {
				assert.Equal(t, want, stepOf(t, p, items[i].Key).Reason, items[i].Key)
			}
		})
	}
}
