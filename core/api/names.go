// Package api names the labels and annotations that Velero and Lifeboat put on
// objects (Velero v1.18.1, pkg/apis/velero/v1/labels_annotations.go).
package api

import (
	"crypto/sha256"
	"encoding/hex"
)

// Labels.
const (
	LabelBackupName        = "velero.io/backup-name"
	LabelBackupUID         = "velero.io/backup-uid"
	LabelRestoreName       = "velero.io/restore-name"
	LabelScheduleName      = "velero.io/schedule-name"
	LabelStorageLocation   = "velero.io/storage-location"
	LabelExcludeFromBackup = "velero.io/exclude-from-backup"
	// LabelGCFailure is the reason why garbage collection could not delete a backup.
	LabelGCFailure = "velero.io/gc-failure"
)

// Annotations.
const (
	AnnotationSourceGitVersion = "velero.io/source-cluster-k8s-gitversion"
	AnnotationSourceMajor      = "velero.io/source-cluster-k8s-major-version"
	AnnotationSourceMinor      = "velero.io/source-cluster-k8s-minor-version"
	AnnotationResourceTimeout  = "velero.io/resource-timeout"
	// AnnotationBackupVolumes and AnnotationBackupVolumesExcludes on a Pod list its
	// volumes, by name, that are included in and excluded from file-system backups.
	AnnotationBackupVolumes         = "backup.velero.io/backup-volumes"
	AnnotationBackupVolumesExcludes = "backup.velero.io/backup-volumes-excludes"
	// AnnotationManifest on a Backup means that a manifest was written with it, of
	// the schema in the value. It shows that a manifest was lost.
	AnnotationManifest = "lifeboat.dev/manifest"
	// AnnotationEncryption on a Backup means that its tarball is encrypted. The
	// value is EncryptionAge.
	AnnotationEncryption = "lifeboat.dev/encryption"
	// AnnotationIncomplete on a restored object means that a restore of the backup
	// in the value (LabelValue) has created it without the fields by which admission
	// changes or refuses other objects, and sets them when these are restored. A
	// restore that was interrupted leaves it.
	AnnotationIncomplete = "lifeboat.dev/incomplete"
	// What is expected of a Schedule's backups, as Go durations: how long after
	// its due time a run may succeed, how old the newest recovery point may
	// become, how long a recovery may take, and how old the newest recovery point
	// that a drill proved may become.
	AnnotationSuccessGrace = "lifeboat.dev/success-grace"
	AnnotationRPO          = "lifeboat.dev/rpo"
	AnnotationRTO          = "lifeboat.dev/rto"
	AnnotationProvenRPO    = "lifeboat.dev/proven-rpo"
)

// EncryptionAge means that the tarball is an age file
// (https://age-encryption.org/v1).
const EncryptionAge = "age"

// LabelValue makes a label value of a name as Velero does: a name of more than 63
// characters is cut to its first 57, followed by 6 hex digits of its SHA-256.
func LabelValue(name string) string {
	const limit, digits = 63, 6
	if len(name) <= limit {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:limit-digits] + hex.EncodeToString(sum[:])[:digits]
}
