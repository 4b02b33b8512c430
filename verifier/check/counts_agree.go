package check

import (
	"fmt"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// countsAgree: the tarball holds as many items as the backup says it backed up.
func countsAgree() Check {
	return Check{
		Name: "counts_agree",
		asks: func(in Input) bool { return in.contentsExpected() && in.has(store.Contents) },
		needs: func(in Input) []string {
			return append(needs(store.Metadata, store.Contents)(in), in.present(store.ItemOperations)...)
		},
		Find: func(in Input) []report.Finding {
			p := in.Metadata.Status.Progress
			if p == nil { // versions of Velero before 1.4 do not count
				return nil
			}
			least, most := in.countedItems()
			if wrong := compareCounts(*p, least, most, in.toleratedLosses(), in.phase()); wrong != "" {
				return []report.Finding{{Object: in.objectKey(store.MetadataFile), Message: wrong}}
			}
			return nil
		},
	}
}

// countedItems is how many items Velero counted, judging by the tarball: every
// version of an object is one. Items that operations touched later may have
// been there before or not.
func (in Input) countedItems() (least, most int) {
	later := in.addedLater()
	most = len(in.Archive.Versions) + len(in.Archive.Items)
	least = most
	for _, it := range in.Archive.Items {
		if later(it.Key) {
			least--
		}
	}
	return least, most
}

// compareCounts reports how the counts contradict each other, or "".
func compareCounts(p velerov1.BackupProgress, least, most, tolerated int, phase velerov1.BackupPhase) string {
	switch {
	case p.ItemsBackedUp < least, p.ItemsBackedUp-tolerated > most:
		return fmt.Sprintf("status.progress counts %d items, the tarball holds %d", p.ItemsBackedUp, most)
	case phase == velerov1.BackupPhaseCompleted && p.TotalItems != p.ItemsBackedUp:
		return fmt.Sprintf("backup is Completed, but status.progress counts %d of %d items", p.ItemsBackedUp, p.TotalItems)
	}
	return ""
}
