package metrics

import (
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
)

// backupTotal is Velero's count of all backups, and that of restores. It is
// withheld unless every location is known.
func backupTotal(out *Samples, known state.State, k state.Freshness) {
	total := 0
	out.stale = known.LedgerAlone() // which says nothing of what exists
	for _, h := range known.Homes {
		out.stale = out.stale || !(k.Cluster || (h.Location >= 0 && k.Backups[h.Location]))
		total += h.Backups
	}
	out.add(veleroBackupTotal, float64(total))
	if known.Kube != nil {
		out.stale = !k.Cluster
		out.add(veleroRestoreTotal, float64(len(known.Kube.Restores)))
	}
	out.stale = false
}

// backupSamples are Velero's metrics of one schedule.
func backupSamples(out *Samples, s state.ScheduleState, k state.Freshness) {
	out.stale = !k.Runs(s)
	if last, ok := fact.Newest(s.Backups, fact.Finished); ok {
		out.add(veleroBackupLastStatus, fact.Boolean(state.LastPhase(s) == string(velerov1.BackupPhaseCompleted)), s.Name)
		out.add(veleroBackupItems, float64(last.Items), s.Name)
		out.add(veleroBackupItemErrors, float64(last.Errors), s.Name)
	}
	if last, ok := fact.Newest(s.Backups, func(b fact.Backup) bool { return fact.Finished(b) && b.InLocation }); ok {
		out.add(veleroBackupTarballSize, float64(last.ArchiveSize), s.Name)
	}
	if success, ok := fact.Newest(s.Backups, func(b fact.Backup) bool { return fact.Completed(b) && !b.Gone }); ok {
		out.addTime(veleroBackupLastSuccessful, success.Completed, s.Name)
	}
}
