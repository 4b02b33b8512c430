package metrics

import (
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/state"
)

// backupTotal is Velero's count of all backups, and that of restores. It is
// withheld unless every location is known.
func backupTotal(out Samples, in input) {
	total, fresh := 0, !in.known.LedgerAlone() // which says nothing of what exists
	for _, h := range in.known.Homes {
		fresh = fresh && (in.fresh.Cluster || (h.Location >= 0 && in.fresh.Backups[h.Location]))
		total += h.Backups
	}
	out.when(fresh).add(veleroBackupTotal, float64(total))
	if in.known.Kube != nil {
		out.when(in.fresh.Cluster).add(veleroRestoreTotal, float64(len(in.known.Kube.Restores)))
	}
}

// backupSamples are Velero's metrics of one schedule.
func backupSamples(out Samples, s state.Judged) {
	out = out.when(s.Known.Runs)
	if last := s.LastEnded; last != nil {
		out.add(veleroBackupLastStatus, fact.Boolean(s.LastPhase == string(velerov1.BackupPhaseCompleted)), s.Name)
		out.add(veleroBackupItems, float64(last.Items), s.Name)
		out.add(veleroBackupItemErrors, float64(last.Errors), s.Name)
	}
	if s.LastStored != nil {
		out.add(veleroBackupTarballSize, float64(s.LastStored.ArchiveSize), s.Name)
	}
	if s.LastCompleted != nil {
		out.addTime(veleroBackupLastSuccessful, s.LastCompleted.Completed, s.Name)
	}
}
