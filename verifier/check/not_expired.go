package check

import (
	"fmt"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// notExpired: the backup will still be there when it is needed. One that has
// expired may be whole, but Velero removes it the next time it looks. Asked
// only when the Input says what time it is.
func notExpired() Check {
	return Check{
		Name: "not_expired",
		asks: func(in Input) bool {
			return !in.Now.IsZero() && in.Metadata != nil && in.Metadata.Status.Expiration != nil
		},
		Find: func(in Input) []report.Finding {
			expires := in.Metadata.Status.Expiration.UTC()
			if expires.After(in.Now) {
				return nil
			}
			return []report.Finding{{Object: in.objectKey(store.MetadataFile), Message: fmt.Sprintf(
				"backup expired at %s: Velero deletes it the next time it looks for such, so nobody can count on it", expires.Format(time.RFC3339))}}
		},
	}
}
