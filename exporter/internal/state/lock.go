package state

import (
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

// CountLocked counts the Completed backups that are kept until they expire. It
// is known when all of them were asked.
func CountLocked(backups []fact.Backup) (locked int, known bool) {
	asked := 0
	for i := range backups {
		b := &backups[i]
		if !recoverable(*b) || !b.InLocation {
			continue
		}
		if !b.LockAsked {
			return 0, false
		}
		asked++
		if !b.Expires.IsZero() && !b.LockedUntil.Before(b.Expires) {
			locked++
		}
	}
	return locked, asked > 0
}
