package exporter

import (
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
)

// backupTotal is Velero's count of all backups. It is withheld unless every
// location is known.
func backupTotal(out *samples, state State, known knowledge) {
	total := 0
	for i, l := range state.Locations {
		out.stale = out.stale || !known.backups[i]
		total += len(l.BackupList)
	}
	out.add(veleroBackupTotal, float64(total))
	out.stale = false
}

// backupSamples are Velero's metrics of one schedule.
func backupSamples(out *samples, s ScheduleState) {
	if last, ok := newest(s.Backups, finished); ok {
		out.add(veleroBackupLastStatus, boolean(completed(last)), s.Name)
		out.add(veleroBackupItems, float64(last.Items), s.Name)
		out.add(veleroBackupItemErrors, float64(last.Errors), s.Name)
		out.add(veleroBackupTarballSize, float64(last.ArchiveSize), s.Name)
	}
	if success, ok := newest(s.Backups, completed); ok {
		out.addTime(veleroBackupLastSuccessful, success.Completed, s.Name)
	}
}

// newest is the first of a sorted list that is wanted.
func newest(backups []Backup, wanted func(Backup) bool) (Backup, bool) {
	for _, b := range backups {
		if wanted(b) {
			return b, true
		}
	}
	return Backup{}, false
}

func finished(b Backup) bool { return b.Phase.Finished() }

func completed(b Backup) bool { return b.Phase == velerov1.BackupPhaseCompleted }
