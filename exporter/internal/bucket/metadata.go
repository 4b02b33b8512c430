package bucket

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

func (l *Location) readBackup(ctx context.Context, s store.Store, info store.Info) (fact.Backup, error) {
	name, _, _ := strings.Cut(strings.TrimPrefix(info.Key, store.BackupsPrefix), "/")
	e := catalog.ReadEntry(ctx, s, name)
	if errors.Is(e.Err, catalog.ErrDamaged) {
		return fact.Backup{}, ContentError{e.Err}
	}
	if e.Err != nil {
		return fact.Backup{}, e.Err
	}
	b, err := factOf(e)
	if err != nil {
		return fact.Backup{}, ContentError{err}
	}
	if time.Until(b.Start) > fact.MaxAhead || time.Until(b.Completed) > fact.MaxAhead {
		// It may be this clock that is wrong, so it is looked at again.
		return fact.Backup{}, clockError{fmt.Errorf("it lies in the future: started %s, completed %s", b.Start, b.Completed)}
	}
	return b, nil
}

// factOf returns what is kept of a backup, or why its metadata cannot be used.
func factOf(e catalog.Entry) (fact.Backup, error) {
	b := fact.BackupOf(e.Backup)
	b.MetadataSHA256 = e.MetadataSHA256
	switch {
	case len(b.Schedule) > MaxLabel:
		return fact.Backup{}, fmt.Errorf("its label %s is %d characters long; at most %d are allowed", api.LabelScheduleName, len(b.Schedule), MaxLabel)
	case len(b.UID) > maxName || len(b.Phase) > maxName:
		return fact.Backup{}, fmt.Errorf("its UID has %d characters and its phase %d; at most %d are allowed", len(b.UID), len(b.Phase), maxName)
	case b.Start.IsZero():
		return fact.Backup{}, errors.New("it does not say when it was started")
	case b.Phase == velerov1.BackupPhaseCompleted && b.Completed.IsZero():
		return fact.Backup{}, errors.New("it is Completed and does not say when")
	}
	return b, nil
}
