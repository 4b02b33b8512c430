package fact

import (
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
)

// Newest is the first of a sorted list that is wanted.
func Newest(backups []Backup, wanted func(Backup) bool) (Backup, bool) {
	for _, b := range backups {
		if wanted(b) {
			return b, true
		}
	}
	return Backup{}, false
}

func Finished(b Backup) bool { return b.Phase.Finished() }

func Completed(b Backup) bool { return b.Phase == velerov1.BackupPhaseCompleted }
