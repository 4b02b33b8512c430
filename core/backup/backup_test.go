package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/catalog"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/spec"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/core/store/storetest"
	"github.com/lifeboat-backup/lifeboat/core/volume"
)

// fake is a cluster of the given objects.
type fake struct {
	objects []item.Item
	listErr map[string]error
	expired bool
	marked  []string // namespaces with the label that excludes them
}

func (f *fake) Version(context.Context) (version.Info, error) {
	return version.Info{Major: "1", Minor: "34", GitVersion: "v1.34.4"}, nil
}
func (f *fake) Explain(err error) error { return err }

func (f *fake) Resources(context.Context) ([]item.Resource, []cluster.GroupFailure, error) {
	var out []item.Resource
	for _, r := range []item.Resource{{Name: "configmaps", Kind: "ConfigMap", Namespaced: true}, {Name: "namespaces", Kind: "Namespace"}, {Name: "persistentvolumeclaims", Kind: "PersistentVolumeClaim", Namespaced: true}, {Name: "persistentvolumes", Kind: "PersistentVolume"}} {
		r.Version, r.Singular, r.Verbs = "v1", strings.ToLower(r.Kind), []string{"list", "create", "get", "delete"}
		out = append(out, r)
	}
	return out, nil, nil
}

func (f *fake) List(_ context.Context, r item.Resource, o cluster.ListOptions, info *cluster.ListInfo) iter.Seq2[item.Item, error] {
	return func(yield func(item.Item, error) bool) {
		info.Expired = f.expired
		if r.Name == "namespaces" && o.LabelSelector == api.LabelExcludeFromBackup+"=true" {
			for _, n := range f.marked {
				yield(item.Item{Key: item.Key{Resource: r.Name, Name: n}}, nil)
			}
		}
		for _, it := range f.objects {
			u, _ := it.Object()
			labelled := filter.MatchSelector(o.LabelSelector, u.GetLabels())
			if it.Key.Resource == r.Name && (o.Namespace == "" || it.Key.Namespace == o.Namespace) && labelled && !yield(it, nil) {
				return
			}
		}
		if err := f.listErr[r.Name]; err != nil {
			yield(item.Item{}, err)
		}
	}
}

func (f *fake) Get(_ context.Context, r item.Resource, _, name string) (item.Item, error) {
	for _, it := range f.objects {
		if it.Key.Resource == r.Name && it.Key.Name == name {
			return it, nil
		}
	}
	return item.Item{}, errors.New("no such object")
}

func (f *fake) has(resource, kind, namespace, name, more string) *fake {
	raw := fmt.Sprintf(`{"apiVersion":"v1","kind":%q,"metadata":{"name":%q,"namespace":%q}%s}`, kind, name, namespace, more)
	if namespace == "" {
		raw = fmt.Sprintf(`{"apiVersion":"v1","kind":%q,"metadata":{"name":%q}%s}`, kind, name, more)
	}
	f.objects = append(f.objects, item.Item{Key: item.Key{Resource: resource, Namespace: namespace, Name: name}, Version: "v1", Kind: kind, Raw: []byte(raw)})
	return f
}

func town() *fake {
	return new(fake).
		has("namespaces", "Namespace", "", "shop", "").
		has("configmaps", "ConfigMap", "shop", "b", `,"data":{"k":"v"}`).
		has("configmaps", "ConfigMap", "shop", "a", "").
		has("persistentvolumeclaims", "PersistentVolumeClaim", "shop", "data", `,"spec":{"volumeName":"vol"}`).
		has("persistentvolumes", "PersistentVolume", "", "vol", `,"spec":{"persistentVolumeReclaimPolicy":"Retain","claimRef":{"namespace":"shop","name":"data"}}`)
}

var now = time.Date(2026, 11, 22, 8, 42, 42, 500e6, time.FixedZone("CET", 3600))

func job(s store.Store, c Cluster) Job {
	j := Job{Open: at(s), Cluster: c, Now: func() time.Time { return now }}
	j.Object.Name, j.Object.UID = "nightly", "u-1"
	return j.asked(spec.Backup{})
}

// at is a location that is open.
func at(s store.Store) func(context.Context) (store.Store, error) {
	return func(context.Context) (store.Store, error) { return s, nil }
}

// asked is the job with the spec of settings, as the command line writes it.
func (j Job) asked(b spec.Backup) Job {
	j.Object.Spec = b.Spec()
	j.Object.Spec.SnapshotVolumes = new(bool)
	return j
}

func content(t *testing.T, s store.Store, key string) []byte {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return b
}

func unzipped(t *testing.T, s store.Store, key string) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(content(t, s, key)))
	require.NoError(t, err)
	b, err := io.ReadAll(z)
	require.NoError(t, err)
	return string(b)
}

// velerosMetadata is the velero-backup.json in the fixture.
func velerosMetadata(t *testing.T) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "test", "fixtures", "velero-v1.18.1", "bucket-small.tar.gz"))
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		require.NoError(t, err)
		if strings.HasSuffix(h.Name, store.MetadataFile) {
			b, err := io.ReadAll(r)
			require.NoError(t, err)
			return b
		}
	}
}

// paths lists the fields of a JSON object, those of maps left out.
func paths(prefix string, v map[string]any) map[string]any {
	out := map[string]any{}
	for k, e := range v {
		path := prefix + k
		out[path] = e
		if m, ok := e.(map[string]any); ok && k != "labels" && k != "annotations" {
			maps.Copy(out, paths(path+".", m))
		}
	}
	return out
}

func TestVeleroBackupJSONHasTheFieldsThatVeleroWritesAndNoOthers(t *testing.T) {
	s := mem.New()
	j := job(s, town()).asked(spec.Backup{Filter: filter.Filter{IncludedNamespaces: []string{"shop"}}, TTL: 25 * time.Hour})
	_, err := j.Run(t.Context())
	require.NoError(t, err)
	raw := content(t, s, store.Metadata("nightly"))

	var ours, theirs map[string]any
	require.NoError(t, json.Unmarshal(raw, &ours))
	require.NoError(t, json.Unmarshal(velerosMetadata(t), &theirs))
	a, b := paths("", ours), paths("", theirs)
	for path := range b {
		if strings.HasPrefix(path, "metadata.managedFields") || slices.Contains([]string{
			"metadata.resourceVersion", "metadata.generation", // of the cluster it was in
		}, path) {
			continue
		}
		assert.Contains(t, a, path, "Velero writes it")
	}
	for path := range a {
		if slices.Contains([]string{
			"spec.snapshotVolumes", // false: said, since no data is saved
			"status.warnings",      // two: the claim and the volume
		}, path) {
			continue
		}
		assert.Contains(t, b, path, "Velero does not write it")
	}
	for _, same := range []string{"kind", "apiVersion", "spec.metadata", "spec.hooks", "spec.ttl", "spec.csiSnapshotTimeout", "spec.itemOperationTimeout",
		"spec.storageLocation", "spec.volumeGroupSnapshotLabelKey", "spec.excludedClusterScopedResources", "spec.excludedNamespaceScopedResources", "spec.defaultVolumesToFsBackup", "spec.snapshotMoveData", "status.version", "status.formatVersion", "status.phase", "status.hookStatus"} {
		assert.Equal(t, b[same], a[same], same)
	}
	for _, moment := range []string{"metadata.creationTimestamp", "status.startTimestamp", "status.completionTimestamp", "status.expiration"} {
		at, err := time.Parse("2006-01-02T15:04:05Z", a[moment].(string))
		assert.NoError(t, err, "%s is in whole seconds of UTC", moment)
		assert.False(t, at.IsZero())
	}
	assert.Equal(t, "2026-11-23T08:42:42Z", a["status.expiration"])
	assert.Equal(t, map[string]any{"totalItems": 5.0, "itemsBackedUp": 5.0}, a["status.progress"])
	assert.NotContains(t, string(raw), `"0s"`)

	strict := json.NewDecoder(bytes.NewReader(raw))
	strict.DisallowUnknownFields()
	var decoded velerov1.Backup
	require.NoError(t, strict.Decode(&decoded))
	assert.Equal(t, "nightly", decoded.Name)
	assert.NotEmpty(t, decoded.Annotations[api.AnnotationManifest])
}

func TestAFilterStandsInTheBackupAsVeleroWritesIt(t *testing.T) {
	s := mem.New()
	c := town().has("configmaps", "ConfigMap", "shop", "c", `,"metadata":{"name":"c","namespace":"shop","labels":{"a":"b","c":"d"}}`)
	j := job(s, c).asked(spec.Backup{Filter: filter.Filter{ExcludedNamespaces: []string{"tmp-*"}, IncludedResources: []string{"configmaps"}, LabelSelector: "a=b,c in (d,e)"}})
	j.Object.Labels = map[string]string{api.LabelScheduleName: "daily"}
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	b, err := catalog.Read(t.Context(), s, "nightly")
	require.NoError(t, err)
	assert.Equal(t, []string{"*"}, b.Spec.IncludedNamespaces)
	assert.Equal(t, []string{"tmp-*"}, b.Spec.ExcludedNamespaces)
	assert.Equal(t, []string{"configmaps"}, b.Spec.IncludedResources)
	assert.Equal(t, map[string]string{"a": "b"}, b.Spec.LabelSelector.MatchLabels)
	assert.Len(t, b.Spec.LabelSelector.MatchExpressions, 1)
	assert.Equal(t, map[string]string{api.LabelScheduleName: "daily", api.LabelStorageLocation: "default"}, b.Labels)
	assert.Equal(t, []string{"volumesnapshots.snapshot.storage.k8s.io", "volumesnapshotcontents.snapshot.storage.k8s.io"}, b.Spec.ExcludedResources, "as Velero adds them")
	assert.Empty(t, r.Warnings)
	assert.Equal(t, 720*time.Hour, b.Spec.TTL.Duration)
}

func TestEverythingThatWasAskedForStandsInTheSpec(t *testing.T) {
	yes := true
	s := mem.New()
	asked := spec.Backup{Filter: filter.Filter{
		IncludedNamespaces: []string{"shop"}, IncludeClusterResources: &yes,
		OrLabelSelectors: []string{"app=a,tier in (x,y)", "!app"},
	}, Order: filter.Order{"configmaps": {"shop/b", "shop/gone"}, "pv": {"vol"}}}
	_, err := job(s, town()).asked(asked).Run(t.Context())
	assert.EqualError(t, err, `no resource is named "pv" (see: kubectl api-resources)`, "the fake has no short names")
	delete(asked.Order, "pv")
	_, err = job(s, town()).asked(asked).Run(t.Context())
	require.NoError(t, err)
	assert.JSONEq(t, `{"metadata":{}, "hooks":{}, "storageLocation":"default", "ttl":"720h0m0s", "csiSnapshotTimeout":"10m0s", "itemOperationTimeout":"4h0m0s",
		"snapshotVolumes":false, "defaultVolumesToFsBackup":false, "snapshotMoveData":false, "volumeGroupSnapshotLabelKey":"velero.io/volume-group",
		"includedNamespaces":["shop"], "includeClusterResources":true,
		"excludedResources":["volumesnapshots.snapshot.storage.k8s.io","volumesnapshotcontents.snapshot.storage.k8s.io"],
		"orLabelSelectors":[{"matchLabels":{"app":"a"},"matchExpressions":[{"key":"tier","operator":"In","values":["x","y"]}]},{"matchExpressions":[{"key":"app","operator":"DoesNotExist"}]}],
		"orderedResources":{"configmaps":"shop/b,shop/gone"}}`, specOf(t, s))

	s = mem.New()
	c := town().has("namespaces", "Namespace", "", "scratch", "").has("namespaces", "Namespace", "", "lab", `,"metadata":{"name":"lab","labels":{"a":""}}`).
		has("persistentvolumes", "PersistentVolume", "", "labelled", `,"metadata":{"name":"labelled","labels":{"a":""}}`)
	c.marked = []string{"scratch"}
	_, err = job(s, c).asked(spec.Backup{Filter: filter.Filter{
		ExcludedNamespaces: []string{"x"}, LabelSelector: "a",
		IncludedClusterScopedResources: []string{"*"}, ExcludedNamespaceScopedResources: []string{"configmaps"},
	}}).Run(t.Context())
	require.NoError(t, err)
	assert.JSONEq(t, `{"metadata":{}, "hooks":{}, "storageLocation":"default", "ttl":"720h0m0s", "csiSnapshotTimeout":"10m0s", "itemOperationTimeout":"4h0m0s",
		"snapshotVolumes":false, "defaultVolumesToFsBackup":false, "snapshotMoveData":false, "volumeGroupSnapshotLabelKey":"velero.io/volume-group",
		"includedNamespaces":["*"], "excludedNamespaces":["x","scratch"],
		"includedClusterScopedResources":["*"], "excludedClusterScopedResources":["volumesnapshotcontents.snapshot.storage.k8s.io"],
		"excludedNamespaceScopedResources":["configmaps","volumesnapshots.snapshot.storage.k8s.io"],
		"labelSelector":{"matchExpressions":[{"key":"a","operator":"Exists"}]}}`, specOf(t, s))
}

func TestTheObjectOfTheUserIsStoredAsItIs(t *testing.T) {
	s := mem.New()
	j := job(s, town())
	j.Object = velerov1.Backup{
		ObjectMeta: metav1.ObjectMeta{
			Name: "nightly", Namespace: "dr", UID: "u-2", Generation: 3, CreationTimestamp: metav1.NewTime(now.Add(-time.Hour).UTC().Truncate(time.Second)),
			Labels:          map[string]string{"team": "shop", api.LabelStorageLocation: "stale"},
			Annotations:     map[string]string{"note": "x", api.AnnotationEncryption: "rot13"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: velerov1.APIVersion, Kind: "Schedule", Name: "daily", UID: "u-3"}},
		},
		Spec: velerov1.BackupSpec{
			Metadata: velerov1.Metadata{Labels: map[string]string{"a": "b"}}, StorageLocation: "offsite", VolumeSnapshotLocations: []string{"east"},
			IncludedNamespaces: []string{"shop"}, ExcludedResources: []string{"configmaps"},
			CSISnapshotTimeout: metav1.Duration{Duration: time.Minute}, DataMover: "mine", UploaderConfig: &velerov1.UploaderConfigForBackup{ParallelFilesUpload: 2},
		},
		Status: velerov1.BackupStatus{Phase: velerov1.BackupPhaseInProgress, QueuePosition: 1, ValidationErrors: []string{"old"}},
	}
	before := j.Object.DeepCopy()
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, *before, j.Object, "the job does not change it")
	b, err := catalog.Read(t.Context(), s, "nightly")
	require.NoError(t, err)
	assert.Equal(t, velerov1.BackupPhaseCompleted, b.Status.Phase)
	assert.Zero(t, b.Status.QueuePosition)
	assert.Empty(t, b.Status.ValidationErrors)

	want := before
	want.Spec = spec.CompleteBackup(before.Spec, nil)
	want.Labels[api.LabelStorageLocation] = "offsite"
	assert.Equal(t, "x", b.Annotations["note"])
	assert.NotContains(t, b.Annotations, api.AnnotationEncryption, "it is not encrypted")
	want.Annotations, want.Status, want.TypeMeta = b.Annotations, b.Status, b.TypeMeta
	assert.Equal(t, want.CreationTimestamp.UTC(), b.CreationTimestamp.UTC())
	want.CreationTimestamp = b.CreationTimestamp
	assert.Equal(t, *want, b)
	assert.Equal(t, r.Backup.Spec, b.Spec)
	assert.Nil(t, b.Spec.SnapshotVolumes, "what the user left open stays open")
	assert.Contains(t, unzipped(t, s, store.Log("nightly")), " backup=dr/nightly\n")
}

func TestTheLocationIsOpenedOnceTheClusterHasAgreed(t *testing.T) {
	opened := 0
	j := job(nil, town())
	j.Open = func(context.Context) (store.Store, error) { opened++; return nil, errors.New("no such bucket") }
	asked := j.asked(spec.Backup{Filter: filter.Filter{IncludedNamespaces: []string{"nowhere"}}})
	_, err := asked.Run(t.Context())
	require.Error(t, err)
	assert.Zero(t, opened)
	_, err = j.Run(t.Context())
	assert.EqualError(t, err, "no such bucket")
	assert.Equal(t, 1, opened)
}

// interrupted is a store in which the first file is interrupted once something
// of it has arrived.
type interrupted struct {
	store.Store
	cancel context.CancelFunc
}

func (i *interrupted) Put(ctx context.Context, key string, r io.Reader) error {
	_, err := r.Read(make([]byte, 1))
	i.cancel()
	return errors.Join(fmt.Errorf("put %s: %w", key, ctx.Err()), err)
}

func TestAnInterruptedBackupSaysSoWhicheverSideNoticesFirst(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := job(&interrupted{mem.New(), cancel}, town()).Run(ctx)
	assert.EqualError(t, err, "backup nightly was not made: context canceled")
}

// specOf is that of backup nightly, as it stands in velero-backup.json.
func specOf(t *testing.T, s store.Store) string {
	t.Helper()
	var b struct{ Spec json.RawMessage }
	require.NoError(t, json.Unmarshal(content(t, s, store.Metadata("nightly")), &b))
	return string(b.Spec)
}

func TestABackupOfNothingIsNotMade(t *testing.T) {
	for name, f := range map[string]filter.Filter{
		"a label that nothing has":          {LabelSelector: "no=thing"},
		"labels that nothing has":           {OrLabelSelectors: []string{"no=thing", "nor=this"}},
		"of a namespace that is named":      {IncludedNamespaces: []string{"shop"}, LabelSelector: "no=thing"},
		"a resource that the namespace has": {IncludedNamespaces: []string{"shop"}, IncludedResources: []string{"pv"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := mem.New()
			f.IncludedResources, _ = filter.ResolveAll(f.IncludedResources, []item.Resource{{Name: "persistentvolumes", ShortNames: []string{"pv"}}})
			_, err := job(s, town()).asked(spec.Backup{Filter: f}).Run(t.Context())
			var noMatch *filter.NoMatchError
			require.ErrorAs(t, err, &noMatch)
			assert.EqualError(t, err, "backup nightly was not made: the filter selects nothing in the cluster")
			_, err = catalog.Read(t.Context(), s, "nightly")
			assert.ErrorIs(t, err, store.ErrNotFound)
		})
	}
}

func TestALabelSelectorThatSelectsNothingIsAWarning(t *testing.T) {
	r, err := job(mem.New(), town()).asked(spec.Backup{Filter: filter.Filter{OrLabelSelectors: []string{"!app", "app=wbe"}}}).Run(t.Context())
	require.NoError(t, err)
	assert.Contains(t, r.Warnings, `label selector "app=wbe": selects nothing`)
}

func TestTheFilesOfABackup(t *testing.T) {
	s := mem.New()
	r, err := job(s, town()).Run(t.Context())
	require.NoError(t, err)
	assert.True(t, r.Complete())

	assert.JSONEq(t, `{"v1/ConfigMap":["shop/a","shop/b"],"v1/Namespace":["shop"],"v1/PersistentVolume":["vol"],"v1/PersistentVolumeClaim":["shop/data"]}`, unzipped(t, s, store.ResourceList("nightly")))
	assert.Equal(t, "[]\n", unzipped(t, s, store.PodVolumeBackups("nightly")))
	assert.Equal(t, "[]\n", unzipped(t, s, store.ItemOperations("nightly")))
	assert.Equal(t, "[]\n", unzipped(t, s, store.VolumeSnapshots("nightly")))
	infos, err := volume.DecodeInfos(bytes.NewReader(content(t, s, store.VolumeInfo("nightly"))))
	require.NoError(t, err)
	assert.Equal(t, []volume.Info{{PVCName: "data", PVCNamespace: "shop", PVName: "vol", Skipped: true, SkippedReason: volume.ReasonObjectsOnly, PVInfo: &volume.PVInfo{ReclaimPolicy: "Retain"}}}, infos)
	assert.JSONEq(t, `{"errors":{},"warnings":{"cluster":[" resource: /persistentvolumes name: /vol message: /`+volume.ReasonObjectsOnly+`"],
		"namespaces":{"shop":[" resource: /persistentvolumeclaims name: /data message: /`+volume.ReasonObjectsOnly+`"]}}}`, unzipped(t, s, store.Results("nightly")))
	assert.Contains(t, unzipped(t, s, store.Log("nightly")), `level=info msg="Completed: 5 items, 0 errors, 2 warnings" backup=velero/nightly`)

	m, err := catalog.ReadManifest(t.Context(), s, "nightly")
	require.NoError(t, err)
	n := 0
	for info, err := range s.List(t.Context(), "", true) {
		require.NoError(t, err)
		if info.Key == store.Manifest("nightly") {
			continue
		}
		n++
		d := m.Files[strings.TrimPrefix(info.Key, store.BackupPrefix("nightly"))]
		assert.Equal(t, info.Size, d.Size, info.Key)
		assert.Equal(t, sumOf(content(t, s, info.Key)), d.SHA256, info.Key)
	}
	assert.Len(t, m.Files, n)
	i := 0
	for it, err := range archive.NewReader(bytes.NewReader(content(t, s, store.Contents("nightly"))), archive.Limits{}).Items() {
		require.NoError(t, err)
		assert.Equal(t, it.Key, m.Items[i].Key, "in the order of the archive")
		assert.Equal(t, sumOf(it.Raw), m.Items[i].SHA256)
		i++
	}
	assert.Len(t, m.Items, i)
}

func TestAnObjectTheArchiveCannotHoldIsMissedByName(t *testing.T) {
	c := town().has("configmaps", "ConfigMap", "shop", "..", "")
	s := mem.New()
	r, err := job(s, c).Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, velerov1.BackupPhasePartiallyFailed, r.Backup.Status.Phase)
	require.Len(t, r.Errors, 1)
	assert.Contains(t, r.Errors[0].String(), "configmaps shop/..")
	for _, m := range r.Coverage {
		if m.Name == "configmaps" {
			assert.Equal(t, 3, m.Listed)
			assert.Equal(t, 2, m.Written)
			assert.Equal(t, map[string]int{leftByArchive: 1}, m.LeftOut)
		}
	}
}

func TestAListOfTwoStatesIsAWarningOfTheBackup(t *testing.T) {
	c := town()
	c.expired = true
	r, err := job(mem.New(), c).Run(t.Context())
	require.NoError(t, err)
	assert.True(t, r.Complete())
	assert.Contains(t, strings.Join(r.Warnings, "\n"), "configmaps: the list took so long")
}

func TestAClusterThatRefusesEverythingIsOneErrorAndNoBackup(t *testing.T) {
	refused := errors.New("forbidden")
	c := &fake{listErr: map[string]error{"configmaps": refused, "namespaces": refused, "persistentvolumeclaims": refused, "persistentvolumes": refused}}
	s := mem.New()
	_, err := job(s, c).Run(t.Context())
	assert.EqualError(t, err, "backup nightly was not made: nothing could be read from the cluster: namespaces: forbidden; configmaps: forbidden; persistentvolumeclaims: forbidden; and 1 more")
	for info, err := range s.List(t.Context(), "", true) {
		require.NoError(t, err)
		assert.Fail(t, "left behind", info.Key)
	}
}

func TestWhatIsWrongIsSaidBeforeAnythingIsWritten(t *testing.T) {
	for name, change := range map[string]func(*Job){
		"a name":         func(j *Job) { j.Object.Name = "Nightly!" },
		"a negative ttl": func(j *Job) { j.Object.Spec.TTL.Duration = -1 },
		"a label selector": func(j *Job) {
			j.Object.Spec.LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"!": ""}}
		},
		"a resource":        func(j *Job) { j.Object.Spec.IncludedResources = []string{"gadgets"} },
		"a namespace":       func(j *Job) { j.Object.Spec.IncludedNamespaces = []string{"nowhere"} },
		"hooks":             func(j *Job) { j.Object.Spec.Hooks.Resources = []velerov1.BackupResourceHookSpec{{}} },
		"a name that is in": func(j *Job) { _, _ = j.Run(context.Background()) },
	} {
		s := mem.New()
		j := job(s, town())
		change(&j)
		before := 0
		for _, err := range s.List(t.Context(), "", true) {
			require.NoError(t, err)
			before++
		}
		_, err := j.Run(t.Context())
		assert.Error(t, err, name)
		for _, err := range s.List(t.Context(), "", true) {
			require.NoError(t, err)
			before--
		}
		assert.Zero(t, before, name)
	}
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestTheOrderOfTheFilesIsTheDocumentedOne(t *testing.T) {
	s := storetest.Calls(mem.New())
	_, err := job(s, town()).Run(t.Context())
	require.NoError(t, err)
	doc, err := os.ReadFile("../../docs/backup.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(doc), "## The files, in the order they are written")
	require.True(t, found)
	at := 0
	for _, c := range s.Calls() {
		if c.Method != storetest.Put {
			continue
		}
		file := "`" + strings.ReplaceAll(strings.TrimPrefix(c.Key, store.BackupPrefix("nightly")), "nightly", "NAME") + "`"
		next := strings.Index(table[at:], file)
		require.GreaterOrEqual(t, next, 0, "%s is not in docs/backup.md, or not after the one before", file)
		at += next
	}
	assert.Contains(t, string(doc), "\n| "+leftByArchive+" |")
}
