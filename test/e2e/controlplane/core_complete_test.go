//go:build e2e

package controlplane_test

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/backup"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/spec"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
)

// run makes a backup and returns its result and the keys of what it holds.
func run(t *testing.T, c *cluster.Client, f filter.Filter, o filter.Order) (backup.Result, []item.Key) {
	t.Helper()
	s := mem.New()
	j := backupJob("b", s, c, f)
	j.Object.Spec = spec.Backup{Filter: f, Order: o}.Spec()
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	for _, m := range r.Coverage {
		left := 0
		for _, n := range m.LeftOut {
			left += n
		}
		assert.Equal(t, m.Listed, m.Written+left, "%s: every object has an end", m.Name)
	}
	return r, held(t, s, "b")
}

func names(keys []item.Key) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.String())
	}
	return out
}

func TestWhatIsInNoNamespaceIsTakenAsItIsAskedFor(t *testing.T) {
	_, c := sourceCluster(t)
	yes, no := true, false
	shop := []string{"shop"}
	_, whole := run(t, c, filter.Filter{}, nil)
	_, needed := run(t, c, filter.Filter{IncludedNamespaces: shop}, nil)
	inShop := slices.DeleteFunc(slices.Clone(needed), func(k item.Key) bool { return k.Namespace == "" })
	var all []string // that is in no namespace, of namespaces only shop
	for _, k := range whole {
		if k.Namespace == "" && (k.GroupResource() != "namespaces" || k.Name == "shop") {
			all = append(all, k.String())
		}
	}
	require.Greater(t, len(all), len(clusterScoped(needed)))

	roles := func(k string) bool { return strings.HasPrefix(k, "clusterroles.rbac.authorization.k8s.io ") }
	withRoles := clusterScoped(needed)
	for _, k := range all {
		if roles(k) && !slices.Contains(withRoles, k) {
			withRoles = append(withRoles, k)
		}
	}
	require.Greater(t, len(withRoles), len(clusterScoped(needed)))
	for name, x := range map[string]struct {
		f    filter.Filter
		want []string
	}{
		"all":             {filter.Filter{IncludedNamespaces: shop, IncludeClusterResources: &yes}, all},
		"none":            {filter.Filter{IncludedNamespaces: shop, IncludeClusterResources: &no}, nil},
		"scoped: all":     {filter.Filter{IncludedNamespaces: shop, IncludedClusterScopedResources: []string{"*"}}, all},
		"scoped: by name": {filter.Filter{IncludedNamespaces: shop, IncludedClusterScopedResources: []string{"clusterrole"}}, withRoles},
		"scoped: none":    {filter.Filter{IncludedNamespaces: shop, ExcludedClusterScopedResources: []string{"*"}}, nil},
		"scoped: less":    {filter.Filter{IncludedNamespaces: shop, IncludedClusterScopedResources: []string{"*"}, ExcludedClusterScopedResources: []string{"clusterrole"}}, slices.DeleteFunc(slices.Clone(all), roles)},
	} {
		t.Run(name, func(t *testing.T) {
			r, keys := run(t, c, x.f, nil)
			assert.True(t, r.Complete(), "%v", r.Errors)
			assert.ElementsMatch(t, x.want, clusterScoped(keys))
			var namespaced []item.Key
			for _, k := range keys {
				if k.Namespace != "" {
					namespaced = append(namespaced, k)
				}
			}
			assert.ElementsMatch(t, inShop, namespaced)
		})
	}
	t.Run("nothing said is everything, in one generation and in the other", func(t *testing.T) {
		star := []string{"*"}
		for _, f := range []filter.Filter{
			{IncludedNamespaces: star}, {IncludeClusterResources: &yes}, {IncludedResources: star},
			{IncludedClusterScopedResources: star, IncludedNamespaceScopedResources: star},
		} {
			_, keys := run(t, c, f, nil)
			assert.ElementsMatch(t, whole, keys)
		}
	})
}

func TestSeveralSelectorsTakeTheUnionInOneOrder(t *testing.T) {
	_, c := sourceCluster(t)
	_, a := run(t, c, filter.Filter{LabelSelector: "app=database"}, nil)
	_, b := run(t, c, filter.Filter{LabelSelector: "team=storefront"}, nil)
	union := slices.Clone(a)
	for _, k := range b {
		if !slices.Contains(union, k) {
			union = append(union, k)
		}
	}
	require.Greater(t, len(union), len(a))
	require.Greater(t, len(union), len(b))
	r, keys := run(t, c, filter.Filter{OrLabelSelectors: []string{"app=database", "team=storefront", "team in (storefront)"}}, nil)
	assert.True(t, r.Complete())
	assert.ElementsMatch(t, union, keys)
	_, again := run(t, c, filter.Filter{OrLabelSelectors: []string{"team=storefront", "app=database"}}, nil)
	assert.Equal(t, keys, again, "whatever the order of the selectors")
}

func TestAPodThatALabelSelectsBringsItsClaimAndVolume(t *testing.T) {
	c := emptyCluster(t)
	create(t, c,
		`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"labelled"}}`,
		`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"runner","namespace":"labelled"}}`,
		`{"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"vol"},"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],"hostPath":{"path":"/tmp/x"},"claimRef":{"namespace":"labelled","name":"data"}}}`,
		`{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"data","namespace":"labelled"},"spec":{"storageClassName":"","volumeName":"vol","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}`,
		`{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"unused","namespace":"labelled"},"spec":{"storageClassName":"","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}`,
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"db","namespace":"labelled","labels":{"app":"db"}},"spec":{"serviceAccountName":"runner","containers":[{"name":"c","image":"x"}],"volumes":[{"name":"d","persistentVolumeClaim":{"claimName":"data"}}]}}`,
	)
	for _, f := range []filter.Filter{{LabelSelector: "app=db"}, {OrLabelSelectors: []string{"app=db", "app=other"}}, {IncludedNamespaces: []string{"labelled"}, LabelSelector: "app=db"}} {
		r, keys := run(t, c, f, nil)
		assert.True(t, r.Complete(), "%v", r.Errors)
		assert.ElementsMatch(t, []string{"namespaces labelled", "pods labelled/db", "persistentvolumeclaims labelled/data", "persistentvolumes vol", "serviceaccounts labelled/runner"}, names(keys))
	}
	_, keys := run(t, c, filter.Filter{LabelSelector: "app=db", IncludedNamespaceScopedResources: []string{"pods"}}, nil)
	assert.ElementsMatch(t, []string{"namespaces labelled", "pods labelled/db"}, names(keys), "the claims' resource is not asked for")
}

func TestAClaimIsWrittenAsTheClusterHasIt(t *testing.T) {
	c := emptyCluster(t)
	create(t, c, `{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"copy","namespace":"default","labels":{"velero.io/restore-name":"earlier"}},
		"spec":{"storageClassName":"fast","selector":{"matchLabels":{"a":"b"}},"dataSource":{"apiGroup":"snapshot.storage.k8s.io","kind":"VolumeSnapshot","name":"s"},"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}`)
	there, err := c.Get(t.Context(), item.Resource{Version: "v1", Name: "persistentvolumeclaims", Kind: "PersistentVolumeClaim"}, "default", "copy")
	require.NoError(t, err)
	s := mem.New()
	_, err = backupJob("b", s, c, filter.Filter{IncludedResources: []string{"pvc"}}).Run(t.Context())
	require.NoError(t, err)
	found := 0
	for it, err := range archive.NewReader(bytes.NewReader(raw(t, s, store.Contents("b"))), archive.Limits{}).Items() {
		require.NoError(t, err)
		if it.Key == there.Key {
			found++
			assert.JSONEq(t, string(there.Raw), string(it.Raw))
		}
	}
	assert.Equal(t, 1, found)
}

func TestNamedObjectsComeFirstInTheArchive(t *testing.T) {
	_, c := sourceCluster(t)
	shop := filter.Filter{IncludedNamespaces: []string{"shop"}}
	_, before := run(t, c, shop, nil)
	var configMaps []item.Key
	for _, k := range before {
		if k.GroupResource() == "configmaps" {
			configMaps = append(configMaps, k)
		}
	}
	require.Greater(t, len(configMaps), 3)
	last, second := configMaps[len(configMaps)-1], configMaps[1]
	r, after := run(t, c, shop, filter.Order{"cm": {"shop/" + last.Name, "shop/no-such-thing", "shop/" + second.Name}, "pv": {"pv-retained"}})
	assert.True(t, r.Complete())
	assert.Contains(t, r.Warnings, "configmaps shop/no-such-thing: is in the order and does not exist")
	assert.Contains(t, strings.Join(r.Warnings, "\n"), "persistentvolumes: has an order and is not in the backup: cluster-scoped, and not all namespaces are selected")
	assert.ElementsMatch(t, before, after)
	at := slices.Index(after, last)
	assert.Equal(t, []item.Key{last, second, configMaps[0]}, after[at:at+3])
	assert.Equal(t, slices.Index(before, configMaps[0]), at, "resources keep their order")
	assert.Equal(t, map[string]string{"cm": "shop/" + last.Name + ",shop/no-such-thing,shop/" + second.Name, "pv": "pv-retained"}, r.Backup.Spec.OrderedResources)
}

// as is a client that the API server takes for another user.
func as(t *testing.T, kubeconfig []byte, user string) *cluster.Client {
	t.Helper()
	var k map[string]any
	require.NoError(t, yaml.Unmarshal(kubeconfig, &k))
	for _, u := range k["users"].([]any) {
		u.(map[string]any)["user"].(map[string]any)["as"] = user
	}
	changed, err := yaml.Marshal(k)
	require.NoError(t, err)
	return connect(t, changed)
}

// mayReadAllBut is a role for everything but secrets.
func mayReadAllBut(t *testing.T, c *cluster.Client, excluded string) string {
	t.Helper()
	resources, _, err := c.Resources(t.Context())
	require.NoError(t, err)
	rules := []any{}
	for _, r := range resources {
		if r.GroupResource() != excluded {
			rules = append(rules, map[string]any{"apiGroups": []string{r.Group}, "resources": []string{r.Name}, "verbs": []string{"get", "list"}})
		}
	}
	role, err := json.Marshal(map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": map[string]any{"name": "reader"}, "rules": rules,
	})
	require.NoError(t, err)
	return string(role)
}

// assertMisses holds that the backup is PartiallyFailed by the named objects
// alone, in all places that say so, and Completed without them.
func assertMisses(t *testing.T, c *cluster.Client, without filter.Filter, exclude func(*filter.Filter), object, reason string) {
	t.Helper()
	s := mem.New()
	r, err := backupJob("b", s, c, without).Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, velerov1.BackupPhasePartiallyFailed, r.Backup.Status.Phase)
	require.Len(t, r.Errors, 1, "%v", r.Errors)
	assert.Contains(t, r.Errors[0].String(), object+": ")
	assert.Contains(t, r.Errors[0].String(), reason)
	assert.NotEmpty(t, held(t, s, "b"), "the rest is there")
	read, err := catalog.Read(t.Context(), s, "b")
	require.NoError(t, err)
	assert.Equal(t, velerov1.BackupPhasePartiallyFailed, read.Status.Phase)
	assert.Equal(t, 1, read.Status.Errors)
	assert.Contains(t, string(unzip(t, s, store.Results("b"))), "resource: /"+object+" error: /")

	exclude(&without)
	r, err = backupJob("b", mem.New(), c, without).Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, velerov1.BackupPhaseCompleted, r.Backup.Status.Phase, "%v", r.Errors)
}

func unzip(t *testing.T, s store.Store, key string) []byte {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	z, err := gzip.NewReader(r)
	require.NoError(t, err)
	content, err := io.ReadAll(z)
	require.NoError(t, err)
	return content
}

func TestWhatTheAPIServerCannotGiveIsMissedByNameUnlessItIsExcluded(t *testing.T) {
	plane := emptyPlane(t)
	c := connect(t, plane.Kubeconfig)
	exclude := func(name string) func(*filter.Filter) {
		return func(f *filter.Filter) { f.ExcludedResources = append(slices.Clone(f.ExcludedResources), name) }
	}

	t.Run("a resource that RBAC forbids", func(t *testing.T) {
		create(t, c, mayReadAllBut(t, c, "secrets"),
			`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"reader"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"reader"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"backup"}]}`)
		user := as(t, plane.Kubeconfig, "backup")
		assertMisses(t, user, filter.Filter{}, exclude("secrets"), "secrets", `User "backup" cannot list resource "secrets"`)
	})

	const group = "dead.example.com"
	dead := item.Resource{Group: "apiextensions.k8s.io", Version: "v1", Name: "customresourcedefinitions", Kind: "CustomResourceDefinition"}
	t.Run("custom resources whose conversion webhook does not answer", func(t *testing.T) {
		const version = `{"name":"%s","served":true,"storage":%v,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}`
		create(t, c, fmt.Sprintf(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"gadgets.%s"},"spec":{"group":"%s","scope":"Namespaced",
			"names":{"plural":"gadgets","singular":"gadget","kind":"Gadget"},"versions":[%s,%s]}}`, group, group, fmt.Sprintf(version, "v1", true), fmt.Sprintf(version, "v2", false)))
		gadgets := item.Resource{Group: group, Version: "v1", Name: "gadgets", Kind: "Gadget"}
		require.Eventually(t, func() bool {
			_, err := c.Create(t.Context(), gadgets, "default", fmt.Appendf(nil, `{"apiVersion":"%s/v1","kind":"Gadget","metadata":{"name":"one"}}`, group))
			return err == nil
		}, 30*time.Second, 100*time.Millisecond)
		r, keys := run(t, c, filter.Filter{}, nil)
		require.True(t, r.Complete(), "%v", r.Errors)
		require.Contains(t, names(keys), "gadgets.dead.example.com default/one")

		require.NoError(t, c.MergePatch(t.Context(), dead, "", "gadgets."+group, []byte(
			`{"spec":{"conversion":{"strategy":"Webhook","webhook":{"conversionReviewVersions":["v1"],"clientConfig":{"url":"https://127.0.0.1:1/convert"}}}}}`)))
		require.Eventually(t, func() bool {
			_, err := c.Get(t.Context(), item.Resource{Group: group, Version: "v2", Name: "gadgets"}, "default", "one")
			return err != nil
		}, 30*time.Second, 100*time.Millisecond, "the webhook is asked")
		assertMisses(t, c, filter.Filter{}, exclude("gadgets"), "gadgets."+group, "conversion webhook for dead.example.com/v1, Kind=Gadget failed")
	})

	t.Run("an aggregated API whose service does not exist", func(t *testing.T) {
		create(t, c, `{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1.down.example.com"},
			"spec":{"group":"down.example.com","version":"v1","service":{"namespace":"default","name":"nobody"},"groupPriorityMinimum":100,"versionPriority":10,"insecureSkipTLSVerify":true}}`)
		require.Eventually(t, func() bool {
			_, failures, err := c.Resources(t.Context())
			return err == nil && len(failures) > 0
		}, 30*time.Second, 100*time.Millisecond, "discovery knows of it")
		without := filter.Filter{ExcludedResources: []string{"gadgets"}}
		assertMisses(t, c, without, exclude("*.down.example.com"), "API group down.example.com/v1", "--exclude-resources '*.down.example.com'")

		only, err := backupJob("b", mem.New(), c, filter.Filter{IncludedResources: []string{"configmaps"}}).Run(t.Context())
		require.NoError(t, err)
		assert.True(t, only.Complete(), "what is not asked for is not missed")
		_, err = backupJob("b", mem.New(), c, filter.Filter{IncludedResources: []string{"gauges"}}).Run(t.Context())
		assert.ErrorContains(t, err, "down.example.com/v1 could not be discovered")
	})
}

// The API server forgets the state a list began with when it takes too long,
// and offers to go on with the present one: the answer is real but for its
// moment.
func TestAListThatTheAPIServerCannotFinishAtOneMomentGoesOnAndSaysSo(t *testing.T) {
	from, _ := sourceCluster(t)
	var expired atomic.Int32
	c := proxied(t, from, func(_ int, w http.ResponseWriter, r *http.Request) bool {
		token := r.URL.Query().Get("continue")
		if !strings.HasSuffix(r.URL.Path, "/configmaps") || token == "" || expired.Add(1) > 1 {
			return false
		}
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		var place map[string]any
		if json.Unmarshal(raw, &place) != nil {
			panic(http.ErrAbortHandler)
		}
		place["rv"] = -1 // the newest state
		raw, _ = json.Marshal(place)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusGone)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","metadata":{"continue":%q},"status":"Failure","message":"the provided continue parameter is too old","reason":"Expired","code":410}`,
			base64.RawURLEncoding.EncodeToString(raw))
		return true
	})
	s := mem.New()
	r, err := backupJob("b", s, c, filter.Filter{}).Run(t.Context())
	require.NoError(t, err)
	require.Positive(t, expired.Load(), "the fault never fired")
	assert.True(t, r.Complete(), "%v", r.Errors)
	assert.Contains(t, strings.Join(r.Warnings, "\n"), "configmaps: the list took so long that the API server had forgotten the state it began with")
	m, err := catalog.ReadManifest(t.Context(), s, "b")
	require.NoError(t, err)
	for _, of := range m.Resources {
		assert.Equal(t, of.Name == "configmaps", of.Inconsistent, of.Name)
		if of.Excluded == "" {
			assert.NotEmpty(t, of.ResourceVersion, of.Name)
		}
	}
	_, whole := run(t, connect(t, from.Kubeconfig), filter.Filter{}, nil)
	assert.ElementsMatch(t, whole, held(t, s, "b"), "nothing is missing and nothing twice")
}

// What two backups of one state may differ in. Leases are heartbeats: they are
// the one thing in an idle cluster that does not stand still.
func TestTwoBackupsOfAnUnchangedClusterDifferInTheirMomentsOnly(t *testing.T) {
	_, c := sourceCluster(t)
	still := filter.Filter{ExcludedResources: []string{"leases"}}
	first, second := mem.New(), mem.New()
	day := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for s, at := range map[store.Store]time.Time{first: day, second: day.Add(26*time.Hour + 5*time.Second)} {
		j := backupJob("b", s, c, still)
		j.Now = func() time.Time { return at }
		_, err := j.Run(t.Context())
		require.NoError(t, err)
	}
	keysOfFirst := keys(t, first)
	require.Equal(t, keysOfFirst, keys(t, second))
	for _, key := range keysOfFirst {
		a, b := raw(t, first, key), raw(t, second, key)
		switch key {
		case store.Contents("b"):
			assert.NotEqual(t, a, b)
			assert.Equal(t, untimed(t, a), untimed(t, b), "entries, in their order")
		case store.Metadata("b"):
			assert.Equal(t, withoutMoments(t, a), withoutMoments(t, b))
		case store.Log("b"):
			strip := func(s string) string {
				return strings.ReplaceAll(strings.ReplaceAll(s, "2026-11-22T08:00:00Z", ""), "2026-11-23T10:00:05Z", "")
			}
			assert.Equal(t, strip(string(unzip(t, first, key))), strip(string(unzip(t, second, key))))
		case store.Manifest("b"):
			assertSameManifest(t, first, second)
		default:
			assert.Equal(t, a, b, "%s is the same to the byte", key)
		}
	}
	again := mem.New()
	j := backupJob("b", again, c, still)
	j.Now = func() time.Time { return day }
	_, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, raw(t, first, store.Contents("b")), raw(t, again, store.Contents("b")), "at the same moment, the archive is the same to the byte")
}

func raw(t *testing.T, s store.Store, key string) []byte {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	content, err := io.ReadAll(r)
	require.NoError(t, err)
	return content
}

// untimed lists the entries of an archive with all of their headers but the
// modification time.
func untimed(t *testing.T, archive []byte) (out []string) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	require.NoError(t, err)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return out
		}
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		h.ModTime = time.Time{}
		out = append(out, fmt.Sprintf("%+v %s", *h, content))
	}
}

func withoutMoments(t *testing.T, metadata []byte) velerov1.Backup {
	t.Helper()
	var b velerov1.Backup
	require.NoError(t, json.Unmarshal(metadata, &b))
	b.CreationTimestamp.Reset()
	b.Status.StartTimestamp, b.Status.CompletionTimestamp, b.Status.Expiration = nil, nil, nil
	return b
}

// assertSameManifest compares all but the moment, the digests of the three
// files that hold moments, and the revision at which each list was taken: it
// counts the writes of the whole cluster.
func assertSameManifest(t *testing.T, first, second store.Store) {
	t.Helper()
	var both [2]manifest.Manifest
	for i, s := range []store.Store{first, second} {
		m, err := catalog.ReadManifest(t.Context(), s, "b")
		require.NoError(t, err)
		m.Created = time.Time{}
		for _, file := range []string{"b.tar.gz", "b-logs.gz", store.MetadataFile} {
			require.Contains(t, m.Files, file)
			delete(m.Files, file)
		}
		for k := range m.Resources {
			m.Resources[k].ResourceVersion = ""
		}
		both[i] = m
	}
	assert.Equal(t, both[0], both[1])
}
