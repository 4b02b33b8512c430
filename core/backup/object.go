package backup

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/version"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
)

// What Velero v1.18.1 writes into each Backup when nothing is said. We take no
// snapshots and wait for nothing; zero would read as "give up at once".
const (
	resourceTimeout      = 10 * time.Minute
	csiSnapshotTimeout   = 10 * time.Minute
	itemOperationTimeout = 4 * time.Hour
	volumeGroupLabel     = "velero.io/volume-group"
)

// namespace is where Velero keeps its objects when nothing is said.
const namespace = "velero"

// What Velero v1.18 leaves out of every backup, and says so in its spec.
const (
	snapshots        = "volumesnapshots.snapshot.storage.k8s.io"
	snapshotContents = "volumesnapshotcontents.snapshot.storage.k8s.io"
)

// object is the Backup as velero-backup.json holds it.
func (j Job) object(r *record, started time.Time, info version.Info) velerov1.Backup {
	ttl := j.TTL
	if ttl == 0 {
		ttl = DefaultTTL
	}
	b := velerov1.Backup{
		TypeMeta: metav1.TypeMeta{Kind: "Backup", APIVersion: velerov1.APIVersion},
		ObjectMeta: metav1.ObjectMeta{
			Name: j.Name, Namespace: namespace, UID: types.UID(j.UID), CreationTimestamp: metav1.NewTime(started.UTC().Truncate(time.Second)),
			Labels: j.labels(),
			Annotations: map[string]string{
				api.AnnotationSourceGitVersion: info.GitVersion,
				api.AnnotationSourceMajor:      info.Major,
				api.AnnotationSourceMinor:      info.Minor,
				api.AnnotationResourceTimeout:  resourceTimeout.String(),
				api.AnnotationManifest:         manifest.Schema,
			},
		},
		Spec: j.spec(r.marked, ttl),
		Status: velerov1.BackupStatus{
			Version: 1, FormatVersion: archive.FormatVersion, Phase: velerov1.BackupPhaseCompleted,
			StartTimestamp: timeOf(started), CompletionTimestamp: timeOf(j.Now()), Expiration: timeOf(started.Add(ttl)),
			Warnings: len(r.warnings), Errors: len(r.errors),
			Progress:   &velerov1.BackupProgress{TotalItems: len(r.items), ItemsBackedUp: len(r.items)},
			HookStatus: &velerov1.HookStatus{},
		},
	}
	if r.key != nil {
		b.Annotations[api.AnnotationEncryption] = api.EncryptionAge
	}
	if len(r.errors) > 0 {
		b.Status.Phase = velerov1.BackupPhasePartiallyFailed
	}
	r.logf("info", "%s: %d items, %d errors, %d warnings", b.Status.Phase, len(r.items), len(r.errors), len(r.warnings))
	return b
}

// spec is what was asked for, as Velero's server completes it: namespaces that
// carry the label which excludes them are among the excluded ones, and so are
// the resources that are left out of every backup.
func (j Job) spec(marked []string, ttl time.Duration) velerov1.BackupSpec {
	no := false
	f := j.Filter
	s := velerov1.BackupSpec{
		IncludedNamespaces:               f.IncludedNamespaces,
		ExcludedNamespaces:               with(f.ExcludedNamespaces, marked...),
		IncludedResources:                f.IncludedResources,
		ExcludedResources:                f.ExcludedResources,
		IncludeClusterResources:          f.IncludeClusterResources,
		IncludedClusterScopedResources:   f.IncludedClusterScopedResources,
		ExcludedClusterScopedResources:   f.ExcludedClusterScopedResources,
		IncludedNamespaceScopedResources: f.IncludedNamespaceScopedResources,
		ExcludedNamespaceScopedResources: f.ExcludedNamespaceScopedResources,
		LabelSelector:                    selector(f.LabelSelector),
		OrderedResources:                 j.Order.Spec(),

		TTL: metav1.Duration{Duration: ttl}, StorageLocation: "default",
		SnapshotVolumes: &no, DefaultVolumesToFsBackup: &no, SnapshotMoveData: &no,
		CSISnapshotTimeout:          metav1.Duration{Duration: csiSnapshotTimeout},
		ItemOperationTimeout:        metav1.Duration{Duration: itemOperationTimeout},
		VolumeGroupSnapshotLabelKey: volumeGroupLabel,
	}
	for _, or := range f.OrLabelSelectors {
		s.OrLabelSelectors = append(s.OrLabelSelectors, selector(or))
	}
	if len(s.IncludedNamespaces) == 0 {
		s.IncludedNamespaces = []string{"*"}
	}
	if f.ByResource() {
		s.ExcludedResources = with(s.ExcludedResources, snapshots, snapshotContents)
	} else {
		s.ExcludedNamespaceScopedResources = with(s.ExcludedNamespaceScopedResources, snapshots)
		s.ExcludedClusterScopedResources = with(s.ExcludedClusterScopedResources, snapshotContents)
	}
	return s
}

// with is a copy of a list with more names at its end, each once.
func with(list []string, more ...string) []string {
	out := slices.Clone(list)
	for _, n := range more {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// selector is a label selector that filter.Check has accepted, nil for none.
func selector(text string) *metav1.LabelSelector {
	if text == "" {
		return nil
	}
	s, _ := filter.LabelSelector(text)
	return s
}

func (j Job) labels() map[string]string {
	labels := map[string]string{api.LabelStorageLocation: "default"}
	for k, v := range j.Labels {
		labels[k] = v
	}
	return labels
}

func timeOf(t time.Time) *metav1.Time {
	m := metav1.NewTime(t.UTC().Truncate(time.Second))
	return &m
}

func encodeBackup(b velerov1.Backup) ([]byte, error) {
	out, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode backup %s: %w", b.Name, err)
	}
	return out, nil
}
