package check

import (
	"fmt"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// resultsReadable: the errors and warnings can be read and are as many as the
// backup counts. Operations that end later may add to the counts, so with any
// of them only the file is looked at.
func resultsReadable() Check {
	return Check{
		Name:  "results_readable",
		asks:  func(in Input) bool { return in.has(store.Results) },
		reads: needs(store.Results, store.Metadata),
		Find: func(in Input) []report.Finding {
			name := in.fileName(store.Results)
			f := in.Files[name]
			switch {
			case f.Unreadable != nil:
				return nil
			case f.Fault != nil:
				return []report.Finding{{Object: in.objectKey(name), Message: fmt.Sprintf("results cannot be read: %v", f.Fault)}}
			case in.Metadata == nil || in.Metadata.Status.BackupItemOperationsAttempted > 0:
				return nil
			}
			var found []report.Finding
			compare := func(what string, listed, counted int) {
				if listed != counted {
					found = append(found, report.Finding{Object: in.objectKey(name), Message: fmt.Sprintf("results list %d %s, the backup counts %d", listed, what, counted)})
				}
			}
			compare("errors", in.Results.Errors.count(), in.Metadata.Status.Errors)
			compare("warnings", in.Results.Warnings.count(), in.Metadata.Status.Warnings)
			return found
		},
	}
}
