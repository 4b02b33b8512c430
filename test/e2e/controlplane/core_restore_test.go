//go:build e2e

package controlplane_test

import (
	"fmt"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/collect"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/restore"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
)

func TestABackupRestoredIntoAnEmptyClusterIsEqual(t *testing.T) {
	_, from := sourceCluster(t)
	to := emptyCluster(t)
	s := mem.New()

	made, err := backupJob("whole", s, from, filter.Filter{}).Run(t.Context())
	require.NoError(t, err)
	require.True(t, made.Complete(), "%v", made.Errors)
	written, err := catalog.ReadManifest(t.Context(), s, "whole")
	require.NoError(t, err)

	first, err := restoreJob("first", "whole", s, to).Run(t.Context())
	require.NoError(t, err)
	assert.Empty(t, outcomes(first.Changes, apply.Failed))
	assertAccounted(t, written.Items, first.Changes)
	t.Logf("%d items: %d created, %d updated, %d unchanged, skipped %v", len(first.Changes), first.Changes.Count(apply.Created),
		first.Changes.Count(apply.Updated), first.Changes.Count(apply.Unchanged), reasons(first.Changes, apply.Skipped))
	assertEqualClusters(t, from, to, first.Changes)

	t.Run("what breaks restores is there", func(t *testing.T) { assertHardObjects(t, from, to, first) })
	t.Run("a second restore changes nothing", func(t *testing.T) { assertNothingLeftToDo(t, s, to, first) })
	t.Run("what differs is left alone and what is gone comes back", func(t *testing.T) { assertLeftAlone(t, s, to) })
	t.Run("a namespace that is being deleted is waited for", func(t *testing.T) { assertTerminating(t, s, to) })
}

// field reads a path of an object of the cluster.
func field(t *testing.T, c *cluster.Client, k item.Key, version string, path ...string) any {
	t.Helper()
	it, err := c.Get(t.Context(), item.Resource{Group: k.Group, Version: version, Name: k.Resource}, k.Namespace, k.Name)
	require.NoError(t, err, k)
	u, err := it.Object()
	require.NoError(t, err)
	v, _, err := unstructured.NestedFieldNoCopy(u.Object, path...)
	require.NoError(t, err)
	return v
}

func in(namespace, resource, name string) item.Key {
	group, plural := item.SplitGroupResource(resource)
	return item.Key{Group: group, Resource: plural, Namespace: namespace, Name: name}
}

func assertHardObjects(t *testing.T, from, to *cluster.Client, r restore.Result) {
	tree := in("orchard", "trees.orchard.example.com", "apple")
	assert.Equal(t, []any{"orchard.example.com/felling-permit"}, field(t, to, tree, "v1", "metadata", "finalizers"))
	owners := field(t, to, tree, "v1", "metadata", "ownerReferences").([]any)
	require.Len(t, owners, 1)
	assert.Equal(t, field(t, to, in("orchard", "configmaps", "planting-plan"), "v1", "metadata", "uid"), owners[0].(map[string]any)["uid"], "the owner's new UID")
	assert.Nil(t, field(t, to, tree, "v1", "status"))
	assert.Equal(t, "first", field(t, to, tree, "v1", "metadata", "labels", "velero.io/restore-name"))
	assert.Equal(t, "whole", field(t, to, tree, "v1", "metadata", "labels", "velero.io/backup-name"))
	assert.Nil(t, field(t, to, in("", "namespaces", "shop"), "v1", "metadata", "labels", "velero.io/restore-name"))

	ports := field(t, to, in("shop", "services", "checkout-node-port"), "v1", "spec", "ports").([]any)
	assert.EqualValues(t, 30080, ports[0].(map[string]any)["nodePort"], "the author asked for it")
	assert.NotZero(t, ports[1].(map[string]any)["nodePort"], "allocated again")
	assert.Equal(t, "None", field(t, to, in("shop", "services", "database"), "v1", "spec", "clusterIP"))
	assert.NotEmpty(t, field(t, to, in("shop", "services", "checkout"), "v1", "spec", "clusterIP"))

	assert.Equal(t, true, field(t, to, in("shop", "configmaps", "sealed-config"), "v1", "immutable"))
	assert.Equal(t, true, field(t, to, in("shop", "secrets", "sealed-secret"), "v1", "immutable"))
	token := in("shop", "secrets", "checkout-token")
	assert.NotEqual(t, field(t, from, token, "v1", "data", "token"), field(t, to, token, "v1", "data", "token"), "a token of the old cluster")

	account := in("shop", "serviceaccounts", "default")
	// Mostly a controller makes it first, and then it is updated.
	assert.Contains(t, []apply.Outcome{apply.Updated, apply.Created}, changeOf(r.Changes, account).Outcome)
	assert.Equal(t, "storefront", field(t, to, account, "v1", "metadata", "labels", "team"))
	assert.Len(t, field(t, to, account, "v1", "imagePullSecrets"), 1)

	for _, k := range []item.Key{
		in("guarded", "configmaps", "behind-the-webhook"), in("", "validatingwebhookconfigurations.admissionregistration.k8s.io", "nobody-answers.example.com"),
		in("limited", "pods", "second"), in("limited", "limitranges", "sizes"), in("limited", "resourcequotas", "budget"),
		in("", "climates.orchard.example.com", "tropical.example.com"), in("shop", "configmaps", "app.config.v1.example.com"),
		in("shop", "jobs.batch", "import"), in("", "persistentvolumes", "pv-retained"), in("shop", "persistentvolumeclaims", "orders"),
	} {
		assert.Equal(t, apply.Created, changeOf(r.Changes, k).Outcome, "%s: %s", k, changeOf(r.Changes, k).Reason)
	}
	for _, k := range []item.Key{in("shop", "pods", "bare-succeeded"), in("", "persistentvolumes", "pv-deleted"), in("shop", "configmaps", "kube-root-ca.crt")} {
		assert.Equal(t, apply.Skipped, changeOf(r.Changes, k).Outcome, "%s: %s", k, changeOf(r.Changes, k).Reason)
	}
	for _, k := range []item.Key{in("shop", "configmaps", "not-in-backups"), in("", "namespaces", "scratch"), in("scratch", "configmaps", "in-an-excluded-namespace")} {
		assert.EqualValues(t, "absent", changeOf(r.Changes, k).Outcome, k)
	}
	noted := map[string]bool{}
	for _, v := range r.Volumes {
		assert.NotEmpty(t, v.Note)
		noted[v.Object] = true
	}
	for _, v := range []string{"persistentvolumes pv-retained", "persistentvolumes pv-deleted", "persistentvolumeclaims shop/orders", "persistentvolumeclaims shop/waiting"} {
		assert.True(t, noted[v], v)
	}
}

func assertNothingLeftToDo(t *testing.T, s store.Store, to *cluster.Client, first restore.Result) {
	before := versions(t, to)
	second, err := restoreJob("second", "whole", s, to).Run(t.Context())
	require.NoError(t, err)
	assert.Empty(t, changedSince(before, versions(t, to)))
	for _, c := range second.Changes {
		assert.Contains(t, []apply.Outcome{apply.Unchanged, apply.Skipped}, c.Outcome, "%s: %s", c.Key, c.Reason)
	}
	for _, c := range first.Changes {
		if again := changeOf(second.Changes, c.Key); c.Outcome == apply.Created {
			assert.Equal(t, apply.Unchanged, again.Outcome, "%s: %s", c.Key, again.Reason)
		}
	}
}

// versions are the resource versions of all objects but those that a control
// plane renews all the time.
func versions(t *testing.T, c *cluster.Client) map[item.Key]string {
	t.Helper()
	out := map[item.Key]string{}
	for k, it := range snapshot(t, c) {
		if k.Resource == "leases" || k.Resource == "events" {
			continue
		}
		u, err := it.Object()
		require.NoError(t, err)
		out[k] = u.GetResourceVersion()
	}
	return out
}

// changedSince lists the objects that are others, gone or new.
func changedSince(before, after map[item.Key]string) []string {
	var out []string
	for k, v := range before {
		if after[k] != v {
			out = append(out, fmt.Sprintf("%s: %q, then %q", k, v, after[k]))
		}
	}
	for k := range after {
		if _, there := before[k]; !there {
			out = append(out, fmt.Sprintf("%s: new", k))
		}
	}
	slices.Sort(out)
	return out
}

func assertLeftAlone(t *testing.T, s store.Store, to *cluster.Client) {
	configMaps := item.Resource{Version: "v1", Name: "configmaps", Kind: "ConfigMap", Namespaced: true}
	changed, gone := in("shop", "configmaps", "prices"), in("shop", "configmaps", "app.config.v1.example.com")
	require.NoError(t, to.MergePatch(t.Context(), configMaps, "shop", changed.Name, []byte(`{"data":{"truth":"another"}}`)))
	require.NoError(t, to.Delete(t.Context(), configMaps, "shop", gone.Name, metav1.DeleteOptions{}))
	before := versions(t, to)

	prepared, err := restoreJob("third", "whole", s, to).Prepare(t.Context())
	require.NoError(t, err)
	assert.Empty(t, changedSince(before, versions(t, to)), "a plan changes nothing")
	assert.Equal(t, 1, prepared.Plan.Count(plan.Create))

	third, err := restoreJob("third", "whole", s, to).Execute(t.Context(), prepared)
	require.NoError(t, err)
	assert.Equal(t, apply.Change{Key: changed, Outcome: apply.Skipped, Reason: plan.ReasonDiffers}, changeOf(third.Changes, changed))
	assert.Equal(t, apply.Created, changeOf(third.Changes, gone).Outcome)
	after := versions(t, to)
	assert.NotEmpty(t, after[gone])
	delete(after, gone)
	assert.Empty(t, changedSince(before, after), "nothing else was touched")
}

func assertTerminating(t *testing.T, s store.Store, to *cluster.Client) {
	namespaces := item.Resource{Version: "v1", Name: "namespaces", Kind: "Namespace"}
	require.NoError(t, to.Delete(t.Context(), namespaces, "", "orchard", metav1.DeleteOptions{}))
	plan1 := in("orchard", "configmaps", "planting-plan")
	require.Eventually(t, func() bool {
		_, err := to.Get(t.Context(), item.Resource{Version: "v1", Name: "configmaps"}, "orchard", plan1.Name)
		return apierrors.IsNotFound(err)
	}, 30*time.Second, 100*time.Millisecond, "what no finalizer holds goes first")

	job := restoreJob("fourth", "whole", s, to)
	job.TerminatingTimeout = time.Second
	r, err := job.Run(t.Context())
	require.NoError(t, err)
	assert.False(t, r.Complete())
	c := changeOf(r.Changes, plan1)
	assert.Equal(t, apply.Failed, c.Outcome)
	assert.Contains(t, c.Reason, "because it is being terminated", "the API server's own words")
	assert.Contains(t, strings.Join(r.Warnings, "\n"), "namespace orchard is still being deleted after 1s: ")
	assert.Contains(t, strings.Join(r.Warnings, "\n"), "orchard.example.com/felling-permit", "what holds it")

	job = restoreJob("fifth", "whole", s, to)
	job.TerminatingTimeout = time.Minute
	tree := item.Resource{Group: "orchard.example.com", Version: "v1", Name: "trees"}
	release := sync.OnceFunc(func() {
		assert.NoError(t, to.MergePatch(t.Context(), tree, "orchard", "apple", []byte(`{"metadata":{"finalizers":null}}`)))
		assert.NoError(t, to.MergePatch(t.Context(), namespaces, "", "orchard", []byte(`{"metadata":{"finalizers":null}}`)))
	})
	time.AfterFunc(2*time.Second, release)
	r, err = job.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, apply.Created, changeOf(r.Changes, plan1).Outcome, "%s %v", changeOf(r.Changes, plan1).Reason, r.Warnings)
}

// reasons counts the changes of an outcome by their reason.
func reasons(cs apply.ChangeSet, o apply.Outcome) map[string]int {
	out := map[string]int{}
	for _, c := range cs {
		if c.Outcome == o {
			out[c.Reason]++
		}
	}
	return out
}

func outcomes(cs apply.ChangeSet, o apply.Outcome) []string {
	var out []string
	for _, c := range cs {
		if c.Outcome == o {
			out = append(out, c.Key.String()+": "+c.Reason)
		}
	}
	return out
}

func changeOf(cs apply.ChangeSet, k item.Key) apply.Change {
	i := slices.IndexFunc(cs, func(c apply.Change) bool { return c.Key == k })
	if i < 0 {
		return apply.Change{Key: k, Outcome: "absent"}
	}
	return cs[i]
}

// assertAccounted holds that every item of the backup has exactly one end, with
// a reason, and that nothing else was done but namespaces made.
func assertAccounted(t *testing.T, items []manifest.Item, cs apply.ChangeSet) {
	t.Helper()
	ends := map[item.Key]int{}
	for _, c := range cs {
		ends[c.Key]++
		assert.NotEmpty(t, c.Reason, c.Key)
		assert.Contains(t, []apply.Outcome{apply.Created, apply.Updated, apply.Unchanged, apply.Skipped, apply.Failed}, c.Outcome, c.Key)
	}
	for _, it := range items {
		assert.Equal(t, 1, ends[it.Key], it.Key)
		delete(ends, it.Key)
	}
	for k := range ends {
		assert.Equal(t, "namespaces", k.GroupResource(), k)
	}
}

// snapshot is every object of a cluster.
func snapshot(t *testing.T, c *cluster.Client) map[item.Key]item.Item {
	t.Helper()
	all, err := collect.Begin(t.Context(), c, filter.Filter{}, nil)
	require.NoError(t, err)
	out := map[item.Key]item.Item{}
	for it, err := range all.Items(t.Context()) {
		require.NoError(t, err)
		out[it.Key] = it
	}
	require.Empty(t, all.Problems())
	return out
}

// assertEqualClusters compares every object that the restore says is there
// with the one it was backed up from.
func assertEqualClusters(t *testing.T, from, to *cluster.Client, cs apply.ChangeSet) {
	t.Helper()
	want, got := snapshot(t, from), snapshot(t, to)
	for _, c := range cs {
		switch c.Outcome {
		case apply.Created, apply.Unchanged, apply.Updated:
		default:
			continue
		}
		a, b := want[c.Key], got[c.Key]
		if !assert.NotEmpty(t, a.Raw, "%s is not in the source", c.Key) || !assert.NotEmpty(t, b.Raw, "%s was %s and is not there", c.Key, c.Outcome) {
			continue
		}
		differences, err := plan.Diff(a, b)
		require.NoError(t, err)
		assert.Empty(t, differences, c.Key)
	}
}
