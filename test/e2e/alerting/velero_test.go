//go:build e2e

package alerting_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// What is in this file does to the API server and the bucket what Velero v1.18.1
// does: its controllers, its server, and a person with kubectl.

// ttl of backups, where a scenario is not about it: Velero's default.
const ttl = 720 * time.Hour

// kinds are the resources that are written, by kind.
var kinds = map[string]item.Resource{
	"Namespace":             {Version: "v1", Name: "namespaces", Kind: "Namespace"},
	"Schedule":              velerosKind("schedules", "Schedule"),
	"Backup":                velerosKind("backups", "Backup"),
	"Restore":               velerosKind("restores", "Restore"),
	"BackupStorageLocation": velerosKind("backupstoragelocations", "BackupStorageLocation"),
	"BackupRepository":      velerosKind("backuprepositories", "BackupRepository"),
	"DeleteBackupRequest":   velerosKind("deletebackuprequests", "DeleteBackupRequest"),
}

func velerosKind(plural, kind string) item.Resource {
	return item.Resource{Group: velerov1.GroupVersion.Group, Version: velerov1.GroupVersion.Version, Name: plural, Kind: kind, Namespaced: true}
}

// installVelero makes the world's namespace and its default location, and
// returns the flags of an exporter that watches it beside the bucket.
func (w *world) installVelero(t *testing.T, location string) []string {
	t.Helper()
	w.create(t, "Namespace", corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.name}})
	w.create(t, "BackupStorageLocation", velerov1.BackupStorageLocation{
		ObjectMeta: metav1.ObjectMeta{Name: location},
		Spec: velerov1.BackupStorageLocationSpec{
			Provider: "aws", Default: true, AccessMode: velerov1.BackupStorageLocationAccessModeReadWrite,
			ObjectStorage: &velerov1.ObjectStorageLocation{Bucket: w.s3.Bucket, Prefix: location},
			// It is not validated again, except where a scenario is about that.
			ValidationFrequency: &metav1.Duration{Duration: time.Hour},
		},
		Status: velerov1.BackupStorageLocationStatus{
			Phase: velerov1.BackupStorageLocationPhaseAvailable, LastValidationTime: moment(time.Now()), LastSyncedTime: moment(time.Now()),
		},
	})
	return []string{w.location(location), "--kubeconfig=" + w.env.kubeconfig, "--namespace=" + w.name}
}

func moment(t time.Time) *metav1.Time { return &metav1.Time{Time: t} }

// create makes an object and returns the API server's copy.
func (w *world) create(t *testing.T, kind string, object any) []byte {
	t.Helper()
	raw, err := json.Marshal(object)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(raw, &fields))
	r := kinds[kind]
	fields["apiVersion"], fields["kind"] = r.APIVersion(), kind
	raw, err = json.Marshal(fields)
	require.NoError(t, err)
	namespace := ""
	if r.Namespaced {
		namespace = w.name
	}
	stored, err := w.env.cluster.Create(t.Context(), r, namespace, raw, cluster.StrictFields())
	require.NoError(t, err, string(raw))
	return stored
}

// patch changes an object, as kubectl patch --type merge does.
func (w *world) patch(t *testing.T, kind, name string, patch any) {
	t.Helper()
	raw, err := json.Marshal(patch)
	require.NoError(t, err)
	require.NoError(t, w.env.cluster.MergePatch(t.Context(), kinds[kind], w.name, name, raw))
}

// fields is a patch, or a part of one.
type fields map[string]any

func (w *world) delete(t *testing.T, kind, name string) {
	t.Helper()
	require.NoError(t, w.env.cluster.Delete(t.Context(), kinds[kind], w.name, name, metav1.DeleteOptions{}))
}

// annotations of a Schedule.
type annotations map[string]string

// schedule makes a Schedule that Velero has accepted.
func (w *world) schedule(t *testing.T, name, expr string, targets annotations) {
	t.Helper()
	w.create(t, "Schedule", velerov1.Schedule{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: targets},
		Spec: velerov1.ScheduleSpec{
			Schedule: expr,
			Template: velerov1.BackupSpec{IncludedNamespaces: []string{name}, TTL: metav1.Duration{Duration: ttl}, StorageLocation: "main"},
		},
		Status: velerov1.ScheduleStatus{Phase: velerov1.SchedulePhaseEnabled},
	})
}

// run is what Velero does in one run of a schedule, or for one backup made by
// hand when there is none.
func (w *world) run(t *testing.T, b backup) {
	t.Helper()
	w.begin(t, b)
	w.finish(t, b)
}

// begin makes the Backup, which is under way from then on.
func (w *world) begin(t *testing.T, b backup) {
	t.Helper()
	b = b.defaulted()
	w.note(b)
	o := velerov1.Backup{ObjectMeta: metav1.ObjectMeta{
		Name: b.name,
		Annotations: map[string]string{
			api.AnnotationSourceGitVersion: "v1.34.4", api.AnnotationSourceMajor: "1", api.AnnotationSourceMinor: "34", api.AnnotationResourceTimeout: "10m0s",
		},
		Labels: map[string]string{api.LabelStorageLocation: b.in},
	}}
	o.Spec.IncludedNamespaces = []string{"shop"}
	o.Spec.StorageLocation, o.Spec.TTL = b.in, metav1.Duration{Duration: b.ttl}
	o.Status = velerov1.BackupStatus{
		Version: 1, FormatVersion: "1.1.0", Phase: velerov1.BackupPhaseInProgress,
		StartTimestamp: moment(b.started), Expiration: moment(b.started.Add(b.ttl)),
	}
	if b.schedule != "" {
		o.Labels[api.LabelScheduleName] = b.schedule
	}
	w.create(t, "Backup", o)
	if b.schedule != "" {
		w.patch(t, "Schedule", b.schedule, fields{"status": fields{"lastBackup": b.started.UTC().Format(time.RFC3339)}})
	}
}

// finish ends the Backup: its files are written, the marker last, and then the
// API server is told. One that Failed leaves no files.
func (w *world) finish(t *testing.T, b backup) {
	t.Helper()
	b = b.defaulted()
	stored, err := w.env.cluster.Get(t.Context(), kinds["Backup"], w.name, b.name)
	require.NoError(t, err)
	var o velerov1.Backup
	require.NoError(t, json.Unmarshal(stored.Raw, &o))
	o.Status.Phase, o.Status.CompletionTimestamp = b.phase, moment(time.Now())
	o.Status.Progress = &velerov1.BackupProgress{TotalItems: 120, ItemsBackedUp: 120}
	o.Status.Warnings = b.warnings
	if b.phase.Restorable() {
		w.upload(t, b, o)
	}
	w.patch(t, "Backup", b.name, fields{"status": o.Status})
}

// upload writes the files of a backup.
func (w *world) upload(t *testing.T, b backup, o velerov1.Backup) {
	t.Helper()
	s := w.open(t, b.in)
	put := func(key string, content []byte) {
		require.NoError(t, s.Put(t.Context(), key, bytes.NewReader(content)))
	}
	put(store.Contents(b.name), make([]byte, b.size))
	put(store.VolumeInfo(b.name), zipped(t, b.volumes))
	raw, err := json.Marshal(o)
	require.NoError(t, err)
	put(store.Metadata(b.name), raw)
}

// volume is what Velero records of one (pkg volume, volumes_information.go).
type volume struct {
	PVC          string  `json:"pvcName"`
	PV           string  `json:"pvName"`
	Method       string  `json:"backupMethod,omitempty"`
	Skipped      bool    `json:"skipped"`
	SkippedWhy   string  `json:"skippedReason,omitempty"`
	Result       string  `json:"result,omitempty"`
	FileSystemOf *pvInfo `json:"pvbInfo,omitempty"`
}

type pvInfo struct {
	Size  int64  `json:"size"`
	Added int64  `json:"incrementalSize"`
	Phase string `json:"Phase"`
}

// saved is a volume whose files were backed up, skipped is one left out.
func saved(size int64) volume {
	return volume{PVC: "data", PV: fmt.Sprintf("pv-%d", size), Method: "PodVolumeBackup", Result: "succeeded", FileSystemOf: &pvInfo{size, size / 10, "Completed"}}
}

func skipped() volume {
	return volume{PVC: "cache", PV: "pv-cache", Skipped: true, SkippedWhy: "no applicable volume policy"}
}

func zipped(t *testing.T, content any) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	require.NoError(t, json.NewEncoder(z).Encode(content))
	require.NoError(t, z.Close())
	return b.Bytes()
}

// expire removes backups the way garbage collection does: files and object.
func (w *world) expire(t *testing.T, names ...string) {
	t.Helper()
	w.expired = true
	for _, name := range names {
		w.remove(t, "main", name)
		w.delete(t, "Backup", name)
		w.live = slices.DeleteFunc(slices.Clone(w.live), func(n string) bool { return n == name })
	}
}
