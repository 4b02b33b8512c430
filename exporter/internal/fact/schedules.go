package fact

import (
	"time"
)

// GcReasons are why garbage collection did not delete a backup: the values of
// Velero's label velero.io/gc-failure (Velero v1.18.1,
// pkg/controller/gc_controller.go), and ours.
var GcReasons = [...]string{"BSLNotFound", "BSLCannotGet", "BSLReadOnly", "ObjectLock"}

// Oldest is the last wanted one of a sorted list that has one.
func Oldest(backups []Backup, wanted func(Backup) bool) Backup {
	i := len(backups) - 1
	for i > 0 && !wanted(backups[i]) {
		i--
	}
	return backups[i]
}

// Took is how long a backup ran; zero when that is not known or is malformed.
func Took(b Backup) time.Duration {
	if b.Completed.IsZero() {
		return 0
	}
	return max(b.Completed.Sub(b.Start), 0)
}
