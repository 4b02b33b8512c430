package exporter

import (
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
)

// backupTotal is Velero's count of all backups, and that of restores. It is
// withheld unless every location is known.
func backupTotal(out *samples, state State, k knowledge) {
	total := 0
	out.stale = state.ledgerAlone() // which says nothing of what exists
	for _, h := range state.Homes {
		out.stale = out.stale || !(k.cluster || (h.Location >= 0 && k.backups[h.Location]))
		total += h.Backups
	}
	out.add(veleroBackupTotal, float64(total))
	if state.Kube != nil {
		out.stale = !k.cluster
		out.add(veleroRestoreTotal, float64(len(state.Kube.Restores)))
	}
	out.stale = false
}

// backupSamples are Velero's metrics of one schedule.
func backupSamples(out *samples, s ScheduleState, k knowledge) {
	out.stale = !k.runs(s)
	if last, ok := newest(s.Backups, finished); ok {
		out.add(veleroBackupLastStatus, boolean(lastPhase(s) == string(velerov1.BackupPhaseCompleted)), s.Name)
		out.add(veleroBackupItems, float64(last.Items), s.Name)
		out.add(veleroBackupItemErrors, float64(last.Errors), s.Name)
	}
	if last, ok := newest(s.Backups, func(b Backup) bool { return finished(b) && b.InLocation }); ok {
		out.add(veleroBackupTarballSize, float64(last.ArchiveSize), s.Name)
	}
	if success, ok := newest(s.Backups, func(b Backup) bool { return completed(b) && !b.gone }); ok {
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
