package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// metadataValid: velero-backup.json is this backup's and records that it came to
// an end with something to restore. A PartiallyFailed one passes with a note:
// it says itself what it lacks.
func metadataValid() Check {
	return Check{
		Name:  "metadata_valid",
		asks:  func(in Input) bool { _, exists := in.Files[store.MetadataFile]; return exists },
		reads: func(Input) []string { return []string{store.MetadataFile} },
		Find: func(in Input) []report.Finding {
			f := in.Files[store.MetadataFile]
			if f.Unreadable != nil {
				return nil
			}
			wrong := []string{}
			if f.Fault != nil {
				wrong = append(wrong, fmt.Sprintf("%s cannot be read: %v", store.MetadataFile, f.Fault))
			} else {
				wrong = inspectMetadata(in.Backup, in.Metadata)
			}
			var found []report.Finding
			for _, message := range wrong {
				found = append(found, report.Finding{Object: in.objectKey(store.MetadataFile), Message: message})
			}
			return found
		},
		note: func(in Input) string {
			if in.phase() != velerov1.BackupPhasePartiallyFailed {
				return ""
			}
			s := in.Metadata.Status
			return fmt.Sprintf("backup is PartiallyFailed with %d errors and %d warnings: its contents are checked, its results list what is missing", s.Errors, s.Warnings)
		},
	}
}

func inspectMetadata(backup string, b *velerov1.Backup) (wrong []string) {
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if b.APIVersion != velerov1.APIVersion || b.Kind != "Backup" {
		add("object is a %q of %q, want a Backup of %s", b.Kind, b.APIVersion, velerov1.APIVersion)
		return wrong
	}
	if b.Name != backup {
		add("object is backup %q in the folder of backup %q", b.Name, backup)
	}
	s := b.Status
	switch {
	case s.Phase == velerov1.BackupPhaseFailed, s.Phase == velerov1.BackupPhaseFailedValidation:
		reason := cmp.Or(s.FailureReason, strings.Join(s.ValidationErrors, "; "), "no reason given")
		add("backup did not complete: phase %s: %s", s.Phase, reason)
	case !slices.Contains(phases(), s.Phase):
		add("phase %q is not a phase of a Backup", s.Phase)
	case !s.Phase.Finished():
		add("backup did not complete: it was left in phase %s", s.Phase)
	case s.StartTimestamp == nil || s.CompletionTimestamp == nil:
		add("backup is %s without a start time and a completion time", s.Phase)
	case s.CompletionTimestamp.Before(s.StartTimestamp):
		add("backup completed at %s, before it started at %s", s.CompletionTimestamp.UTC(), s.StartTimestamp.UTC())
	}
	if !expiresInTime(b) {
		add("backup expires at %s, which is not its TTL of %s after its start at %s", s.Expiration.UTC(), b.Spec.TTL.Duration, s.StartTimestamp.UTC())
	}
	if v := s.FormatVersion; v != "" && !strings.HasPrefix(v, "1.") {
		add("format version %q is unknown", v)
	}
	return wrong
}

// expirySlack is what Velero may take between reckoning the expiration and
// noting the start, which it does one right after the other (v1.18.1,
// pkg/controller/backup_controller.go).
const expirySlack = time.Hour

// expiresInTime reports whether the expiration is the backup's own. Another one
// has Velero delete the backup too early, or never. That the time has come is
// nothing against a backup: it can be restored until it is deleted.
func expiresInTime(b *velerov1.Backup) bool {
	ttl, start, expires := b.Spec.TTL.Duration, b.Status.StartTimestamp, b.Status.Expiration
	if ttl == 0 || start == nil || expires == nil {
		return true
	}
	return expires.Sub(start.Add(ttl)).Abs() <= expirySlack
}

func phases() []velerov1.BackupPhase {
	return []velerov1.BackupPhase{
		velerov1.BackupPhaseNew, velerov1.BackupPhaseQueued, velerov1.BackupPhaseReadyToStart, velerov1.BackupPhaseFailedValidation,
		velerov1.BackupPhaseInProgress, velerov1.BackupPhaseWaitingForPluginOperations,
		velerov1.BackupPhaseWaitingForPluginOperationsPartiallyFailed, velerov1.BackupPhaseFinalizing,
		velerov1.BackupPhaseFinalizingPartiallyFailed, velerov1.BackupPhaseCompleted, velerov1.BackupPhasePartiallyFailed,
		velerov1.BackupPhaseFailed, velerov1.BackupPhaseDeleting,
	}
}
