package restore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"io"
	"iter"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/progress"
	"github.com/lifeboat-backup/lifeboat/core/seal"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
)

// target is a cluster that keeps what is created.
type fakeTarget struct {
	mu       sync.Mutex
	served   []item.Resource
	failures []cluster.GroupFailure
	objects  map[item.Key]item.Item
	create   func(item.Key) error
}

func newTarget() *fakeTarget {
	t := &fakeTarget{objects: map[item.Key]item.Item{}}
	for name, kind := range map[string]string{"namespaces": "Namespace", "configmaps": "ConfigMap", "secrets": "Secret"} {
		t.served = append(t.served, item.Resource{Version: "v1", Name: name, Kind: kind, ShortNames: []string{kind[:2] + "x"}, Namespaced: kind != "Namespace", Verbs: []string{"create", "list", "get"}})
	}
	return t
}

func (f *fakeTarget) Explain(err error) error { return err }

func (f *fakeTarget) AllVersions(context.Context) ([]item.Resource, []cluster.GroupFailure, error) {
	return f.served, f.failures, nil
}

func (f *fakeTarget) List(_ context.Context, r item.Resource, _ cluster.ListOptions, _ *cluster.ListInfo) iter.Seq2[item.Item, error] {
	return func(yield func(item.Item, error) bool) {
		for k, it := range f.objects {
			if k.Resource == r.Name && !yield(it, nil) {
				return
			}
		}
	}
}

func (f *fakeTarget) Create(_ context.Context, r item.Resource, namespace string, object []byte, _ ...cluster.Param) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var o struct{ Metadata struct{ Name string } }
	_ = json.Unmarshal(object, &o)
	k := item.Key{Resource: r.Name, Namespace: namespace, Name: o.Metadata.Name}
	if f.create != nil {
		if err := f.create(k); err != nil {
			return nil, err
		}
	}
	f.objects[k] = item.Item{Key: k, Version: r.Version, Kind: r.Kind, Raw: object}
	return object, nil
}

func (f *fakeTarget) Get(_ context.Context, r item.Resource, namespace, name string) (item.Item, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if it, ok := f.objects[item.Key{Resource: r.Name, Namespace: namespace, Name: name}]; ok {
		return it, nil
	}
	return item.Item{}, apierrors.NewNotFound(schema.GroupResource{Resource: r.Name}, name)
}

func (f *fakeTarget) MergePatch(context.Context, item.Resource, string, string, []byte, ...cluster.Param) error {
	return nil
}

func (f *fakeTarget) Delete(context.Context, item.Resource, string, string, metav1.DeleteOptions) error {
	return nil
}

func configMap(name string) item.Item {
	return item.Item{
		Key: item.Key{Resource: "configmaps", Namespace: "shop", Name: name}, Version: "v1", Kind: "ConfigMap",
		Raw: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":"shop"},"data":{"k":%q}}`, name, name),
	}
}

// written puts a backup into a store; manifested says that it has a manifest.
func written(t *testing.T, manifested bool, items ...item.Item) store.Store {
	t.Helper()
	s := mem.New()
	var b bytes.Buffer
	w := archive.NewWriter(&b, archive.Options{})
	m := manifest.Manifest{Schema: manifest.Schema, Backup: "b"}
	for _, it := range items {
		d, err := w.Add(it)
		require.NoError(t, err)
		m.Items = append(m.Items, manifest.Item{Key: it.Key, Version: it.Version, Kind: it.Kind, Digest: manifest.Digest(d)})
	}
	require.NoError(t, w.Close())
	sum := sha256.Sum256(b.Bytes())
	m.Files = map[string]manifest.Digest{"b.tar.gz": {Size: int64(b.Len()), SHA256: hex.EncodeToString(sum[:])}}
	put(t, s, store.Contents("b"), b.Bytes())
	annotations := "{}"
	if manifested {
		var e bytes.Buffer
		require.NoError(t, m.Encode(&e))
		put(t, s, store.Manifest("b"), e.Bytes())
		annotations = fmt.Sprintf(`{%q:%q}`, api.AnnotationManifest, manifest.Schema)
	}
	put(t, s, store.Metadata("b"), fmt.Appendf(nil, `{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":"b","annotations":%s},"status":{"phase":"Completed"}}`, annotations))
	return s
}

// sealed is such a backup, with a manifest, encrypted to the identity.
func sealed(t *testing.T, to *age.X25519Identity, items ...item.Item) store.Store {
	t.Helper()
	s := written(t, true, items...)
	m, err := catalog.ReadManifest(t.Context(), s, "b")
	require.NoError(t, err)
	key := manifest.Key(bytes.Repeat([]byte{7}, manifest.KeySize))
	recipients := seal.Recipients{to.Recipient()}
	m.DigestKey, err = recipients.Wrap(key)
	require.NoError(t, err)
	for i := range m.Items {
		m.Items[i].Digest = manifest.Digest{SHA256: key.Digest(m.Items[i].SHA256)}
	}
	r, err := s.Get(t.Context(), store.Contents("b"))
	require.NoError(t, err)
	var e, out bytes.Buffer
	w, err := recipients.Encrypt(&out)
	require.NoError(t, err)
	_, err = io.Copy(w, r)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	delete(m.Files, "b.tar.gz")
	sum := sha256.Sum256(out.Bytes())
	m.Files["b-lifeboat-contents.tar.gz.age"] = manifest.Digest{Size: int64(out.Len()), SHA256: hex.EncodeToString(sum[:])}
	require.NoError(t, m.Encode(&e))
	for _, key := range []string{store.Contents("b"), store.Manifest("b"), store.Metadata("b")} {
		require.NoError(t, s.Delete(t.Context(), key))
	}
	put(t, s, store.Manifest("b"), e.Bytes())
	put(t, s, store.SealedContents("b"), out.Bytes())
	put(t, s, store.Metadata("b"), fmt.Appendf(nil, `{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":"b","annotations":{%q:%q,%q:%q}},"status":{"phase":"Completed"}}`,
		api.AnnotationManifest, manifest.Schema, api.AnnotationEncryption, api.EncryptionAge))
	return s
}

func identity(t *testing.T) *age.X25519Identity {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return i
}

func TestAnEncryptedBackupIsRestoredByItsIdentity(t *testing.T) {
	i, to := identity(t), newTarget()
	j := job(sealed(t, i, configMap("a"), configMap("c")), to)
	j.Identities = seal.Identities{i}
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, r.Changes.Count(apply.Created), "two and their namespace")
	assert.Empty(t, r.Warnings)
	assert.Len(t, to.objects, 3)
}

func TestAnEncryptedBackupThatCannotBeReadInFullIsNotRestored(t *testing.T) {
	i := identity(t)
	items := []item.Item{configMap("a"), configMap("b")}
	forged := configMap("b")
	forged.Raw = bytes.Replace(forged.Raw, []byte(`"k":"b"`), []byte(`"k":"x"`), 1)
	replaced := func(t *testing.T, s store.Store, change func([]byte) []byte) {
		r, err := s.Get(t.Context(), store.SealedContents("b"))
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, s.Delete(t.Context(), store.SealedContents("b")))
		put(t, s, store.SealedContents("b"), change(content))
	}
	for name, x := range map[string]struct {
		with   seal.Identities
		change func(*testing.T, store.Store)
		want   string
	}{
		"without an identity":     {nil, func(*testing.T, store.Store) {}, "backup b cannot be read: it is encrypted and no identity was given (--identity FILE)"},
		"with another's identity": {seal.Identities{identity(t)}, func(*testing.T, store.Store) {}, "encrypted to other recipients than the identities given"},
		"with another's identity and no manifest": {seal.Identities{identity(t)}, func(t *testing.T, s store.Store) {
			require.NoError(t, s.Delete(t.Context(), store.Manifest("b")))
		}, "encrypted to other recipients than the identities given"},
		"a bit was flipped": {seal.Identities{i}, func(t *testing.T, s store.Store) {
			replaced(t, s, func(b []byte) []byte { b[len(b)-20] ^= 1; return b })
		}, "damaged or was altered"},
		"it was cut": {seal.Identities{i}, func(t *testing.T, s store.Store) {
			replaced(t, s, func(b []byte) []byte { return b[:len(b)-20] })
		}, "damaged or was altered"},
		"it is gone": {seal.Identities{i}, func(t *testing.T, s store.Store) {
			require.NoError(t, s.Delete(t.Context(), store.SealedContents("b")))
		}, "not found"},
		"somebody encrypted other items to the recipients": {seal.Identities{i}, func(t *testing.T, s store.Store) {
			r, err := sealed(t, i, configMap("a"), forged).Get(t.Context(), store.SealedContents("b"))
			require.NoError(t, err)
			b, err := io.ReadAll(r)
			require.NoError(t, err)
			replaced(t, s, func([]byte) []byte { return b })
		}, "digest of configmaps shop/b differs"},
		"a plain tarball was laid beside it": {nil, func(t *testing.T, s store.Store) {
			r, err := written(t, true, forged).Get(t.Context(), store.Contents("b"))
			require.NoError(t, err)
			require.NoError(t, s.Put(t.Context(), store.Contents("b"), r))
		}, "no identity was given"},
	} {
		t.Run(name, func(t *testing.T) {
			s, to := sealed(t, i, items...), newTarget()
			x.change(t, s)
			j := job(s, to)
			j.Identities = x.with
			_, err := j.Run(t.Context())
			assert.ErrorContains(t, err, x.want)
			assert.Empty(t, to.objects)
		})
	}
}

func put(t *testing.T, s store.Store, key string, content []byte) {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), key, bytes.NewReader(content)))
}

func job(s store.Store, c Cluster) Job {
	return Job{Name: "r", Backup: "b", Store: s, Cluster: c, Now: time.Now}
}

func TestARestoreMakesWhatTheBackupHolds(t *testing.T) {
	for _, manifested := range []bool{true, false} {
		to := newTarget()
		r, err := job(written(t, manifested, configMap("a"), configMap("c")), to).Run(t.Context())
		require.NoError(t, err)
		assert.True(t, r.Complete())
		assert.Empty(t, r.Warnings)
		assert.Equal(t, 3, r.Changes.Count(apply.Created), "two and their namespace")
		assert.Len(t, to.objects, 3)
	}
}

func TestWhoeverAsksLearnsWhatEachObjectWasMadeInto(t *testing.T) {
	to := newTarget()
	j := job(written(t, true, configMap("a"), configMap("c")), to)
	for _, outcome := range []apply.Outcome{apply.Created, apply.Unchanged} {
		j.Digests = true
		p, err := j.Prepare(t.Context())
		require.NoError(t, err)
		r, err := j.Execute(t.Context(), p)
		require.NoError(t, err)
		digests := map[item.Key]plan.Digest{}
		for _, s := range p.Plan.Steps {
			digests[s.Key] = s.Digest
		}
		for _, c := range r.Changes {
			if c.GroupResource() == "namespaces" {
				continue
			}
			assert.Equal(t, outcome, c.Outcome)
			require.NotNil(t, c.Made, c.Key)
			assert.Equal(t, digests[c.Key], *c.Made)
		}
	}
	r, err := job(written(t, true, configMap("a")), newTarget()).Run(t.Context())
	require.NoError(t, err)
	for _, c := range r.Changes {
		assert.Nil(t, c.Made, "it costs a reading of each answer")
	}
}

func TestOnlyAFinishedBackupIsRestored(t *testing.T) {
	for _, phase := range []string{"", "New", "InProgress", "Finalizing", "Failed", "FailedValidation", "Deleting"} {
		s := written(t, false, configMap("a"))
		require.NoError(t, s.Delete(t.Context(), store.Metadata("b")))
		put(t, s, store.Metadata("b"), fmt.Appendf(nil, `{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":"b"},"status":{"phase":%q}}`, phase))
		_, err := job(s, newTarget()).Prepare(t.Context())
		assert.ErrorContains(t, err, "only a backup that is Completed or PartiallyFailed", phase)
	}
}

func TestNamesOfAFilterAreFoundInTheBackupAndTheTarget(t *testing.T) {
	s := written(t, false, configMap("a"))
	for name, c := range map[string]struct {
		f     filter.Filter
		want  string // part of the error
		taken bool   // whether the config map is restored
	}{
		"by its name": {filter.Filter{IncludedResources: []string{"configmaps"}}, "", true},
		"by a short name the backup does not know":    {filter.Filter{IncludedResources: []string{"Cox"}}, "", true},
		"excluded by such a name":                     {filter.Filter{ExcludedResources: []string{"cox"}}, "holds nothing that the filter selects", false},
		"something only the target has":               {filter.Filter{IncludedResources: []string{"secrets"}}, `no resource named "secrets"`, false},
		"excluding something only the target has":     {filter.Filter{ExcludedResources: []string{"secrets"}}, "", true},
		"something nobody has":                        {filter.Filter{IncludedResources: []string{"configmaps", "gadgets"}}, `no resource named "gadgets"`, false},
		"excluding something nobody has (a misprint)": {filter.Filter{ExcludedResources: []string{"configmapz"}}, `no resource named "configmapz"`, false},
		"everything":       {filter.Filter{IncludedResources: []string{"*"}}, "", true},
		"by scope":         {filter.Filter{IncludedClusterScopedResources: []string{"nodes"}}, "not by scope", false},
		"a wrong selector": {filter.Filter{LabelSelector: "a in ("}, "label selector", false},
	} {
		target := newTarget()
		for i := range target.served {
			target.served[i].ShortNames[0] = string(bytes.ToLower([]byte(target.served[i].ShortNames[0])))
		}
		j := job(s, target)
		j.Options.Filter = c.f
		p, err := j.Prepare(t.Context())
		if c.want != "" {
			assert.ErrorContains(t, err, c.want, name)
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, c.taken, p.Plan.Count(plan.Create) > 0, name)
	}
}

func TestAGroupTheTargetCannotDescribeIsTheReasonOfAFailure(t *testing.T) {
	widget := item.Item{Key: item.Key{Group: "example.com", Resource: "widgets", Name: "w"}, Version: "v1", Kind: "Widget", Raw: []byte(`{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"}}`)}
	to := newTarget()
	to.failures = []cluster.GroupFailure{{GroupVersion: "example.com/v1", Err: errors.New("its server is down")}}
	r, err := job(written(t, true, widget), to).Run(t.Context())
	require.NoError(t, err)
	assert.False(t, r.Complete())
	assert.Contains(t, r.Changes[0].Reason, "its server is down")
}

func TestTheArchiveIsComparedWithTheManifestItemByItem(t *testing.T) {
	a, b, c := configMap("a"), configMap("b"), configMap("c")
	other := configMap("b")
	other.Raw = bytes.Replace(other.Raw, []byte(`"k":"b"`), []byte(`"k":"x"`), 1)
	good := written(t, true, a, b, c)
	for name, x := range map[string]struct {
		items []item.Item
		want  string
	}{
		"an item has changed": {[]item.Item{a, other, c}, "digest of configmaps shop/b differs"},
		"one is missing":      {[]item.Item{a, c}, "found configmaps shop/c where the manifest lists configmaps shop/b"},
		"the last is missing": {[]item.Item{a, b}, "1 items are missing, the first is configmaps shop/c"},
		"one is too many":     {[]item.Item{a, b, c, configMap("d")}, "configmaps shop/d is not in the manifest"},
		"they changed places": {[]item.Item{b, a, c}, "found configmaps shop/b where the manifest lists configmaps shop/a"},
	} {
		s := written(t, false, x.items...)
		m, err := good.Get(t.Context(), store.Manifest("b"))
		require.NoError(t, err)
		require.NoError(t, s.Put(t.Context(), store.Manifest("b"), m))
		to := newTarget()
		_, err = job(s, to).Run(t.Context())
		assert.ErrorIs(t, err, ErrDigestMismatch, name)
		assert.ErrorContains(t, err, x.want, name)
		assert.ErrorContains(t, err, "lifeboat backup verify b", name)
		assert.Empty(t, to.objects, name)
	}
}

func TestAnArchiveThatWasPackedAgainIsNotTheOneThatWasWritten(t *testing.T) {
	s := written(t, true, configMap("a"))
	require.NoError(t, s.Delete(t.Context(), store.Contents("b")))
	var b bytes.Buffer
	w := archive.NewWriter(&b, archive.Options{ModTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	_, err := w.Add(configMap("a"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	put(t, s, store.Contents("b"), b.Bytes())
	_, err = job(s, newTarget()).Prepare(t.Context())
	assert.ErrorIs(t, err, ErrDigestMismatch)
	assert.ErrorContains(t, err, "digest of the file differs")
}

func TestAnArchiveThatChangesBetweenPlanAndRestoreIsNoticed(t *testing.T) {
	s := written(t, false, configMap("a"), configMap("b"))
	to := newTarget()
	p, err := job(s, to).Prepare(t.Context())
	require.NoError(t, err)
	for name, items := range map[string][]item.Item{
		"changed after the plan was made: the digest of configmaps shop/a differs": {func() item.Item {
			it := configMap("a")
			it.Raw = bytes.Replace(it.Raw, []byte(`"k":"a"`), []byte(`"k":"z"`), 1)
			return it
		}(), configMap("b")},
		"changed after the plan was made: configmaps shop/b is missing": {configMap("a")},
	} {
		r, err := job(written(t, false, items...), to).Execute(t.Context(), p)
		assert.ErrorContains(t, err, name)
		assert.ErrorContains(t, err, "restore r is not complete")
		assert.Equal(t, len(r.Changes), r.Changes.Count(apply.Failed))
		assert.Empty(t, to.objects)
	}
}

func TestEveryStepHasItsEndWhenARestoreEndsEarly(t *testing.T) {
	var items []item.Item
	for i := range 50 {
		items = append(items, configMap(fmt.Sprintf("c%02d", i)))
	}
	to := newTarget()
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	to.create = func(item.Key) error {
		if n++; n == 10 {
			cancel()
		}
		return ctx.Err()
	}
	j := job(written(t, true, items...), to)
	j.Workers = 1
	last := 0
	j.Progress = func(e progress.Event) {
		if e.Stage != "" {
			return
		}
		assert.Equal(t, last+1, e.Done)
		assert.Equal(t, 51, e.Total)
		last = e.Done
	}
	r, err := j.Run(ctx)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Len(t, r.Changes, 51)
	assert.Equal(t, 9, r.Changes.Count(apply.Created))
	assert.Equal(t, 42, r.Changes.Count(apply.Failed))
}

func TestARestoreIsNamedAfterItsBackup(t *testing.T) {
	assert.Equal(t, "b-20260102030405", Name("b", "20260102030405"))
	assert.Len(t, Name(string(bytes.Repeat([]byte("b"), 100)), "20260102030405"), 63)
}
