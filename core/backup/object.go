package backup

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/spec"
)

// resourceTimeout is what Velero v1.18.1 notes on each Backup.
const resourceTimeout = 10 * time.Minute

// defaultNamespace is where Velero keeps its objects by default.
const defaultNamespace = "velero"

// object is the Backup as velero-backup.json holds it: the metadata and spec of
// the job's, with what Velero's server adds to them, and the status.
func (j Job) object(r *record, started time.Time, info version.Info) velerov1.Backup {
	b := *j.Object.DeepCopy()
	b.TypeMeta = metav1.TypeMeta{Kind: "Backup", APIVersion: velerov1.APIVersion}
	b.Spec = spec.CompleteBackup(b.Spec, r.marked)
	b.Namespace = r.namespace
	if b.CreationTimestamp.IsZero() {
		b.CreationTimestamp = *timeOf(started)
	}
	b.Labels = merged(b.Labels, map[string]string{api.LabelStorageLocation: api.LabelValue(b.Spec.StorageLocation)})
	delete(b.Annotations, api.AnnotationEncryption)
	b.Annotations = merged(b.Annotations, j.annotations(info))
	b.Status = velerov1.BackupStatus{
		Version: 1, FormatVersion: archive.FormatVersion, Phase: velerov1.BackupPhaseCompleted,
		StartTimestamp: timeOf(started), CompletionTimestamp: timeOf(j.Now()), Expiration: timeOf(started.Add(b.Spec.TTL.Duration)),
		Warnings: len(r.warnings), Errors: len(r.errors),
		Progress:   &velerov1.BackupProgress{TotalItems: len(r.items), ItemsBackedUp: len(r.items)},
		HookStatus: &velerov1.HookStatus{},
	}
	if len(r.errors) > 0 {
		b.Status.Phase = velerov1.BackupPhasePartiallyFailed
	}
	r.log.Logf("info", "%s: %d items, %d errors, %d warnings", b.Status.Phase, len(r.items), len(r.errors), len(r.warnings))
	return b
}

// annotations are those of Velero's server, and ours that say how the backup is
// stored. An annotation of the object that says otherwise would be wrong.
func (j Job) annotations(info version.Info) map[string]string {
	a := map[string]string{
		api.AnnotationSourceGitVersion: info.GitVersion,
		api.AnnotationSourceMajor:      info.Major,
		api.AnnotationSourceMinor:      info.Minor,
		api.AnnotationResourceTimeout:  resourceTimeout.String(),
		api.AnnotationManifest:         manifest.Schema,
	}
	if len(j.Recipients) > 0 {
		a[api.AnnotationEncryption] = api.EncryptionAge
	}
	return a
}

// merged is a map with the entries of both; more wins.
func merged(m, more map[string]string) map[string]string {
	if m == nil {
		return more
	}
	maps.Copy(m, more)
	return m
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
