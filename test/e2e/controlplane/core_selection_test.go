//go:build e2e

package controlplane_test

import (
	"archive/tar"
	"bytes"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/restore"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/test/rig"
)

// held are the items of a backup, by its manifest.
func held(t *testing.T, s store.Store, name string) []item.Key {
	t.Helper()
	m, err := catalog.ReadManifest(t.Context(), s, name)
	require.NoError(t, err)
	var out []item.Key
	for _, it := range m.Items {
		out = append(out, it.Key)
	}
	return out
}

func clusterScoped(keys []item.Key) []string {
	var out []string
	for _, k := range keys {
		if k.Namespace == "" {
			out = append(out, k.String())
		}
	}
	return out
}

func TestABackupOfANamespaceHoldsItAndWhatItNeeds(t *testing.T) {
	_, from := sourceCluster(t)
	s := mem.New()
	r, err := backupJob("shop", s, from, filter.Filter{IncludedNamespaces: []string{"shop", "orchard"}}).Run(t.Context())
	require.NoError(t, err)
	require.True(t, r.Complete(), "%v", r.Errors)

	keys := held(t, s, "shop")
	assert.ElementsMatch(t, []string{
		"namespaces orchard", "namespaces shop",
		"persistentvolumes pv-deleted", "persistentvolumes pv-retained",
		"priorityclasses.scheduling.k8s.io shop-critical", "storageclasses.storage.k8s.io shop-fast",
		"customresourcedefinitions.apiextensions.k8s.io trees.orchard.example.com",
		"clusterrolebindings.rbac.authorization.k8s.io orchard:keeper:checkout",
		"clusterroles.rbac.authorization.k8s.io orchard:keeper",
	}, clusterScoped(keys))
	var want, got []string
	for k := range snapshot(t, from) { // without a filter: the whole cluster
		if k.Namespace == "shop" || k.Namespace == "orchard" {
			want = append(want, k.String())
		}
	}
	for _, k := range keys {
		if k.Namespace != "" {
			got = append(got, k.String())
		}
	}
	assert.ElementsMatch(t, want, got)
}

func TestABackupByLabelHoldsWhatHasItAndItsNamespaces(t *testing.T) {
	_, from := sourceCluster(t)
	s := mem.New()
	_, err := backupJob("labelled", s, from, filter.Filter{LabelSelector: "app=database"}).Run(t.Context())
	require.NoError(t, err)
	var got []string
	for _, k := range held(t, s, "labelled") {
		got = append(got, k.String())
	}
	assert.ElementsMatch(t, []string{
		"namespaces shop", "persistentvolumeclaims shop/data-database-0", "persistentvolumes pv-deleted",
		"services shop/database", "statefulsets.apps shop/database", "storageclasses.storage.k8s.io shop-fast",
	}, got)
}

func TestAResourceNobodyServesIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	_, from := sourceCluster(t)
	s := mem.New()
	_, err := backupJob("b", s, from, filter.Filter{IncludedResources: []string{"gadgets", "pods"}, ExcludedResources: []string{"gizmos"}}).Run(t.Context())
	assert.ErrorContains(t, err, `no resource is named "gadgets", "gizmos"`)
	assert.Empty(t, keys(t, s))
}

func TestARestoreTakesWhatItIsTold(t *testing.T) {
	_, from := sourceCluster(t)
	to := emptyCluster(t)
	s := mem.New()
	_, err := backupJob("whole", s, from, filter.Filter{}).Run(t.Context())
	require.NoError(t, err)
	_, err = backupJob("trees", s, from, filter.Filter{IncludedNamespaces: []string{"orchard"}, ExcludedResources: []string{"crd"}}).Run(t.Context())
	require.NoError(t, err)

	run := func(t *testing.T, from string, f filter.Filter) restore.Result {
		t.Helper()
		j := restoreJob("r", from, s, to)
		j.Options.Filter = f
		r, err := j.Run(t.Context())
		require.NoError(t, err)
		assertAccounted(t, manifestOf(t, s, from), r.Changes)
		return r
	}
	made := func(r restore.Result) []string {
		var out []string
		for _, c := range r.Changes {
			if c.Outcome == apply.Created {
				out = append(out, c.Key.String())
			}
		}
		return out
	}

	t.Run("a filter that names nothing is refused", func(t *testing.T) {
		for _, f := range []filter.Filter{
			{IncludedResources: []string{"gadgets"}}, {ExcludedResources: []string{"gadgets"}},
			{IncludedResources: []string{"componentstatuses"}}, // the target has it, the backup does not
		} {
			j := restoreJob("r", "whole", s, to)
			j.Options.Filter = f
			_, err := j.Run(t.Context())
			assert.ErrorContains(t, err, "holds no resource named")
		}
		j := restoreJob("r", "trees", s, to)
		j.Options.Filter = filter.Filter{ExcludedResources: []string{"ingresses"}} // only the target has it
		_, err := j.Prepare(t.Context())
		assert.NoError(t, err)
	})
	t.Run("objects that are not served fail with the reason", func(t *testing.T) {
		r := run(t, "trees", filter.Filter{})
		assert.False(t, r.Complete())
		c := changeOf(r.Changes, in("orchard", "trees.orchard.example.com", "pear"))
		assert.Equal(t, apply.Failed, c.Outcome)
		assert.Equal(t, "the target cluster does not serve trees.orchard.example.com, and the backup does not define it", c.Reason)
		assert.Equal(t, apply.Created, changeOf(r.Changes, in("orchard", "configmaps", "planting-plan")).Outcome)
	})
	t.Run("by resource, cluster-scoped, with the definition it needs", func(t *testing.T) {
		r := run(t, "whole", filter.Filter{IncludedResources: []string{"Climate"}})
		assert.Equal(t, []string{
			"customresourcedefinitions.apiextensions.k8s.io climates.orchard.example.com",
			"climates.orchard.example.com temperate", "climates.orchard.example.com tropical.example.com",
		}, made(r))
	})
	t.Run("a definition that is excluded by name stays excluded", func(t *testing.T) {
		r := run(t, "whole", filter.Filter{IncludedResources: []string{"trees"}, ExcludedResources: []string{"crds"}})
		assert.Empty(t, made(r))
		assert.Equal(t, 4, r.Changes.Count(apply.Failed))
	})
	t.Run("by label, with the namespace", func(t *testing.T) {
		r := run(t, "whole", filter.Filter{IncludedNamespaces: []string{"shop"}, LabelSelector: "app=database"})
		assert.ElementsMatch(t, []string{
			"namespaces shop", "persistentvolumeclaims shop/data-database-0", "services shop/database", "statefulsets.apps shop/database", "storageclasses.storage.k8s.io shop-fast",
		}, made(r))
		assert.Equal(t, []plan.Volume{
			{Object: "persistentvolumeclaims shop/data-database-0", Note: "data not included in the backup"},
			{Object: "persistentvolumes pv-deleted", Note: "data not included in the backup"},
		}, r.Volumes)
		assert.Equal(t, "storefront", field(t, to, in("", "namespaces", "shop"), "v1", "metadata", "labels", "team"), "the namespace is that of the backup")
	})
	t.Run("by namespace", func(t *testing.T) {
		r := run(t, "whole", filter.Filter{IncludedNamespaces: []string{"orch*"}})
		assert.Equal(t, 0, r.Changes.Count(apply.Failed), "%v", outcomes(r.Changes, apply.Failed))
		for _, c := range r.Changes {
			if c.Outcome == apply.Created {
				assert.True(t, c.Namespace == "orchard" || c.Name == "trees.orchard.example.com", c.Key)
			}
		}
		assert.Equal(t, apply.Created, changeOf(r.Changes, in("orchard", "trees.orchard.example.com", "pear")).Outcome)
	})
	t.Run("a namespace that the backup does not hold is made", func(t *testing.T) {
		_, err := backupJob("without-namespaces", s, from, filter.Filter{IncludedNamespaces: []string{"guarded"}, ExcludedResources: []string{"namespaces"}}).Run(t.Context())
		require.NoError(t, err)
		r := run(t, "without-namespaces", filter.Filter{})
		assert.Equal(t, apply.Change{Key: in("", "namespaces", "guarded"), Outcome: apply.Created, Reason: "not in the backup; restored items are in it"}, changeOf(r.Changes, in("", "namespaces", "guarded")))
		assert.Contains(t, made(r), "configmaps guarded/behind-the-webhook")
	})
}

func TestALimitRangeDoesNotChangeOrRefusePodsThatWereThereBefore(t *testing.T) {
	_, from := sourceCluster(t)
	create(t, from,
		`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"late-limits"}}`,
		`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"runner","namespace":"late-limits"}}`,
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"greedy","namespace":"late-limits"},"spec":{"serviceAccountName":"runner","containers":[{"name":"c","image":"x","resources":{"limits":{"memory":"8Gi"},"requests":{"memory":"8Gi"}}}]}}`,
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"modest","namespace":"late-limits"},"spec":{"serviceAccountName":"runner","containers":[{"name":"c","image":"x"}]}}`,
		`{"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"late","namespace":"late-limits"},"spec":{"limits":[{"type":"Container","max":{"memory":"1Gi"},"default":{"memory":"64Mi"}}]}}`,
	)
	s := mem.New()
	_, err := backupJob("b", s, from, filter.Filter{IncludedNamespaces: []string{"late-limits"}}).Run(t.Context())
	require.NoError(t, err)
	to := emptyCluster(t)
	r, err := restoreJob("r", "b", s, to).Run(t.Context())
	require.NoError(t, err)
	assert.Empty(t, outcomes(r.Changes, apply.Failed))
	assertEqualClusters(t, from, to, r.Changes)
	assert.Equal(t, map[string]any{}, field(t, to, in("late-limits", "pods", "modest"), "v1", "spec", "containers").([]any)[0].(map[string]any)["resources"])
}

func TestABackupThatIsNotWhatWasWrittenIsNotRestored(t *testing.T) {
	_, from := sourceCluster(t)
	s := mem.New()
	_, err := backupJob("b", s, from, small).Run(t.Context())
	require.NoError(t, err)
	to := emptyCluster(t)
	before := len(snapshot(t, to))

	for name, x := range map[string]struct {
		change func(t *testing.T, s store.Store)
		want   string
	}{
		"an item was changed": {func(t *testing.T, s store.Store) {
			rewrite(t, s, func(name string, content []byte) []byte {
				return bytes.ReplaceAll(content, []byte("only when the webhook configuration comes later"), []byte("only when the webhook configuration came sooner"))
			})
		}, "digest of "},
		"an item was taken out": {func(t *testing.T, s store.Store) {
			rewrite(t, s, func(name string, content []byte) []byte {
				if strings.Contains(name, "/behind-the-webhook.json") {
					return nil
				}
				return content
			})
		}, "where the manifest lists"},
		"the last items were taken out": {func(t *testing.T, s store.Store) {
			cut := false
			rewrite(t, s, func(name string, content []byte) []byte {
				if cut = cut || strings.HasPrefix(name, "resources/serviceaccounts/"); cut {
					return nil
				}
				return content
			})
		}, "items are missing"},
		"it was packed again": {func(t *testing.T, s store.Store) {
			rewrite(t, s, func(_ string, content []byte) []byte { return content })
		}, "digest of the file differs"},
		"the archive is gone": {func(t *testing.T, s store.Store) { require.NoError(t, s.Delete(t.Context(), store.Contents("b"))) }, "not found"},
		"the archive is cut": {func(t *testing.T, s store.Store) {
			replace(t, s, store.Contents("b"), func(b []byte) []byte { return b[:len(b)/2] })
		}, "truncated"},
		"one bit of the archive is flipped": {func(t *testing.T, s store.Store) {
			replace(t, s, store.Contents("b"), func(b []byte) []byte { b[len(b)/2] ^= 4; return b })
		}, "nothing has been restored"},
		"the manifest is damaged": {func(t *testing.T, s store.Store) {
			replace(t, s, store.Manifest("b"), func(b []byte) []byte { return b[:len(b)/2] })
		}, "manifest"},
		"the volume records are damaged": {func(t *testing.T, s store.Store) {
			replace(t, s, store.VolumeInfo("b"), func(b []byte) []byte { return []byte("no gzip") })
		}, "volume records"},
		"the metadata is of another backup": {func(t *testing.T, s store.Store) {
			replace(t, s, store.Metadata("b"), func(b []byte) []byte { return bytes.Replace(b, []byte(`"name": "b"`), []byte(`"name": "c"`), 1) })
		}, `"c"`},
		"the backup is not finished": {func(t *testing.T, s store.Store) {
			replace(t, s, store.Metadata("b"), func(b []byte) []byte { return bytes.Replace(b, []byte("Completed"), []byte("InProgress"), 1) })
		}, "InProgress"},
	} {
		t.Run(name, func(t *testing.T) {
			damaged := mem.New()
			copyStore(t, s, damaged)
			x.change(t, damaged)
			r, err := restoreJob("r", "b", damaged, to).Run(t.Context())
			require.ErrorContains(t, err, x.want)
			assert.Empty(t, r.Changes)
		})
	}
	assert.Equal(t, before, len(snapshot(t, to)), "nothing was restored")

	t.Run("a lost manifest is a warning", func(t *testing.T) {
		lost := mem.New()
		copyStore(t, s, lost)
		require.NoError(t, lost.Delete(t.Context(), store.Manifest("b")))
		p, err := restoreJob("r", "b", lost, to).Prepare(t.Context())
		require.NoError(t, err)
		require.Len(t, p.Warnings, 1)
		assert.Contains(t, p.Warnings[0], "manifest")
	})
}

func manifestOf(t *testing.T, s store.Store, name string) []manifest.Item {
	t.Helper()
	m, err := catalog.ReadManifest(t.Context(), s, name)
	require.NoError(t, err)
	return m.Items
}

func copyStore(t *testing.T, from, to store.Store) {
	t.Helper()
	for info, err := range from.List(t.Context(), "", true) {
		require.NoError(t, err)
		r, err := from.Get(t.Context(), info.Key)
		require.NoError(t, err)
		require.NoError(t, to.Put(t.Context(), info.Key, r))
	}
}

func replace(t *testing.T, s store.Store, key string, change func([]byte) []byte) {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	content, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, s.Delete(t.Context(), key))
	require.NoError(t, s.Put(t.Context(), key, bytes.NewReader(change(content))))
}

// rewrite packs the archive of backup b again, each file as change makes it;
// nil takes it out.
func rewrite(t *testing.T, s store.Store, change func(name string, content []byte) []byte) {
	t.Helper()
	replace(t, s, store.Contents("b"), func(old []byte) []byte {
		z, err := gzip.NewReader(bytes.NewReader(old))
		require.NoError(t, err)
		var out bytes.Buffer
		gz, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
		require.NoError(t, err)
		in, w := tar.NewReader(z), tar.NewWriter(gz)
		for {
			h, err := in.Next()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			content, err := io.ReadAll(in)
			require.NoError(t, err)
			if content = change(h.Name, content); content == nil {
				continue
			}
			h.Size = int64(len(content))
			require.NoError(t, w.WriteHeader(h))
			_, err = w.Write(content)
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		require.NoError(t, gz.Close())
		return out.Bytes()
	})
}

func TestABackupThatVeleroMadeIsListedPlannedAndRestored(t *testing.T) {
	s, err := fs.Open(rig.SmallBucket(t), false)
	require.NoError(t, err)
	all, err := catalog.List(t.Context(), s)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.NoError(t, all[0].Err)
	assert.Equal(t, rig.VelerosBackup, all[0].Name)
	items, err := catalog.Items(t.Context(), s, rig.VelerosBackup, manifest.Manifest{})
	require.NoError(t, err)
	assert.Len(t, items, all[0].Backup.Status.Progress.ItemsBackedUp)

	to := emptyCluster(t)
	p, err := restoreJob("r", rig.VelerosBackup, s, to).Prepare(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"persistentvolumeclaims notes/notes: cannot bind until there is a volume for it, since no storage class makes one"}, p.Warnings, "Velero writes no manifest")
	assert.Len(t, p.Plan.Steps, len(items))
	r, err := restoreJob("r", rig.VelerosBackup, s, to).Execute(t.Context(), p)
	require.NoError(t, err)
	assert.Len(t, r.Changes, len(items), "every item is accounted for")
	assert.Empty(t, outcomes(r.Changes, apply.Failed))
	for _, c := range r.Changes {
		t.Logf("%-9s %s: %s", c.Outcome, c.Key, c.Reason)
	}
	for _, k := range []item.Key{in("", "namespaces", "notes"), in("notes", "deployments.apps", "notes"), in("notes", "configmaps", "settings"), in("notes", "persistentvolumeclaims", "notes")} {
		assert.Equal(t, apply.Created, changeOf(r.Changes, k).Outcome, k)
	}
	assert.True(t, slices.ContainsFunc(r.Volumes, func(v plan.Volume) bool { return strings.Contains(v.Note, "PodVolumeBackup") }), "%v", r.Volumes)
	again, err := restoreJob("r2", rig.VelerosBackup, s, to).Run(t.Context())
	require.NoError(t, err)
	assert.Zero(t, again.Changes.Count(apply.Created)+again.Changes.Count(apply.Updated)+again.Changes.Count(apply.Failed))
}
