package apply

import (
	"cmp"
	"slices"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// Outcome is what became of one item.
type Outcome string

// Every item of a restore ends as one of these.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
	Skipped   Outcome = "skipped"
	Failed    Outcome = "failed"
)

// Change is one item, what became of it, and why.
type Change struct {
	item.Key
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason"`
	// Made is the digest of the object as the API server answered its creation,
	// or as it was found to be unchanged, before controllers could change it; only
	// with Applier.Digests, or if it is Altered.
	Made *plan.Digest `json:"-"`
	// Altered are the fields in which the API server made the object otherwise than
	// the restore asked for.
	Altered []plan.Alteration `json:"altered,omitempty"`
	// Computed are differences in what admission computes for every pod; they do not
	// count when objects are compared.
	Computed []plan.Alteration `json:"computed,omitempty"`
	// Late says that it was created after the policies and webhooks of the backup.
	Late bool `json:"-"`
	// Later says that the API server may accept the item when the rest of the
	// backup is restored.
	Later bool `json:"-"`
}

// ChangeSet is the outcome of a restore.
type ChangeSet []Change

// Count says how many items ended that way.
func (c ChangeSet) Count(o Outcome) int {
	n := 0
	for _, ch := range c {
		if ch.Outcome == o {
			n++
		}
	}
	return n
}

// Sort orders the changes by key.
func (c ChangeSet) Sort() {
	slices.SortFunc(c, func(a, b Change) int { return cmp.Or(item.Compare(a.Key, b.Key), cmp.Compare(a.Outcome, b.Outcome)) })
}
