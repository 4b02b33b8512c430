package check

import (
	"fmt"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// operationsAgree: the asynchronous operations of the backup are as many as it
// counts, and in a Completed backup each has come to a good end. Velero counts
// those it records and makes a backup PartiallyFailed when one fails or takes
// too long; a PartiallyFailed one may have been given up with some in progress
// (v1.18.1, pkg/controller/backup_operations_controller.go).
func operationsAgree() Check {
	return Check{
		Name:  "operations_agree",
		asks:  func(in Input) bool { return in.has(store.ItemOperations) && in.succeeded() },
		needs: needs(store.Metadata, store.ItemOperations),
		Find: func(in Input) []report.Finding {
			var found []report.Finding
			add := func(format string, args ...any) {
				found = append(found, report.Finding{Object: in.objectKey(in.fileName(store.ItemOperations)), Message: fmt.Sprintf(format, args...)})
			}
			if counted := in.Metadata.Status.BackupItemOperationsAttempted; counted != len(in.Operations) {
				add("%d operations are recorded, the backup counts %d", len(in.Operations), counted)
			}
			for _, o := range in.Operations {
				if phase := o.Status.Phase; in.phase() == velerov1.BackupPhaseCompleted && phase != operationCompleted {
					add("backup is Completed, but its operation on %s is in phase %q", o.Spec.ResourceIdentifier.key(), phase)
				}
			}
			return found
		},
	}
}

// operationCompleted is the phase of an operation that came to a good end
// (Velero v1.18.1, pkg/itemoperation).
const operationCompleted = "Completed"
