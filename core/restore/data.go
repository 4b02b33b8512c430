package restore

import (
	"context"
	"fmt"
	"slices"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// Data restores the data of claims.
type Data interface {
	// Restore returns when the data is in the claims, which the restore has
	// created and no pod of it uses yet. It is called by one goroutine, again for
	// claims that are created late. An error ends the restore before any pod is
	// created that could use the claims.
	Restore(ctx context.Context, steps []plan.DataStep) error
}

// noteClaims notes the data of claims that were created. Data is never written
// into a claim that was there before.
func (x *executor) noteClaims(changes apply.ChangeSet) {
	for _, c := range changes {
		if c.Outcome != apply.Created || c.Resource != "persistentvolumeclaims" {
			continue
		}
		i := slices.IndexFunc(x.data, func(d plan.DataStep) bool { return d.Claim == c.Key })
		if i >= 0 {
			x.ready = append(x.ready, x.data[i])
			x.data = slices.Delete(x.data, i, i+1)
		}
	}
}

// restoreData restores the data of the claims that have been created since the
// last call.
func (x *executor) restoreData(ctx context.Context) error {
	if x.job.Data == nil || len(x.ready) == 0 {
		return nil
	}
	ready := x.ready
	x.ready = nil
	if err := x.job.Data.Restore(ctx, ready); err != nil {
		return fmt.Errorf("restore the data of %d claims: %w", len(ready), err)
	}
	return nil
}
