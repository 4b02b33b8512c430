package volume

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
)

func podVolume(namespace, pod, volume, claim, snapshot string, phase velerov1.PodVolumeBackupPhase) velerov1.PodVolumeBackup {
	b := velerov1.PodVolumeBackup{}
	b.Spec.Pod, b.Spec.Volume, b.Spec.UploaderType = corev1.ObjectReference{Namespace: namespace, Name: pod}, volume, "kopia"
	b.Status.Phase, b.Status.SnapshotID, b.Status.Progress.TotalBytes = phase, snapshot, 7
	if claim != "" {
		b.Annotations = map[string]string{"velero.io/pvc-name": claim}
	}
	return b
}

func TestEachVolumeOfABackupHasOneOutcome(t *testing.T) {
	got := DataOf([]Info{
		{PVCNamespace: "a", PVCName: "db", BackupMethod: PodVolumeBackup, Result: ResultSucceeded, PVBInfo: &PodVolumeInfo{SnapshotHandle: "s1", PodNamespace: "a"}},
		{PVCNamespace: "a", PVCName: "moved", BackupMethod: CSISnapshot, SnapshotDataMoved: true, SnapshotDataMovementInfo: &SnapshotDataMovementInfo{SnapshotHandle: "s3", Size: 9}},
		{PVCNamespace: "a", PVCName: "csi", BackupMethod: CSISnapshot, CSISnapshotInfo: &CSISnapshotInfo{Size: 5}},
		{PVCNamespace: "a", PVCName: "left", Skipped: true, SkippedReason: "by policy"},
		{PVCNamespace: "a", PVCName: "broken", BackupMethod: PodVolumeBackup, Result: ResultFailed},
	}, []velerov1.PodVolumeBackup{
		podVolume("a", "db-0", "data", "db", "s1", velerov1.PodVolumeBackupPhaseCompleted),
		podVolume("a", "db-0", "cache", "", "s2", velerov1.PodVolumeBackupPhaseCompleted),
		podVolume("a", "db-0", "none", "", "", velerov1.PodVolumeBackupPhaseCompleted),
		podVolume("a", "db-0", "stuck", "", "s4", velerov1.PodVolumeBackupPhaseInProgress),
	})
	type line struct {
		name, repository, snapshot string
		outcome                    Outcome
		size                       int64
		reason                     string
	}
	var lines []line
	for _, d := range got {
		lines = append(lines, line{d.Name(), d.Repository, d.Snapshot, d.Outcome, d.Size, d.Reason})
	}
	assert.Equal(t, []line{
		{"a/broken", "", "", OutcomeFailed, 0, ""},
		{"a/csi", "", "", OutcomeSaved, 5, ""},
		{"a/db", "a", "s1", OutcomeSaved, 7, ""},
		{"a/db-0:cache", "a", "s2", OutcomeSaved, 7, ""},
		{"a/db-0:none", "a", "", OutcomeEmpty, 7, ""},
		{"a/db-0:stuck", "a", "s4", OutcomeFailed, 7, "its phase is InProgress"},
		{"a/left", "", "", OutcomeSkipped, 0, "by policy"},
		{"a/moved", "a", "s3", OutcomeSaved, 9, ""},
	}, lines)
	assert.False(t, got[1].InRepository(), "a snapshot of a provider is not in a repository")
	assert.True(t, got[7].InRepository(), "moved data is")
}
