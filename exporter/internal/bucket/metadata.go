package bucket

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

func (l *Location) readBackup(ctx context.Context, s store.Store, info store.Info) (fact.Backup, error) {
	raw, err := l.read(ctx, s, info.Key, MaxMetadata)
	if err != nil {
		return fact.Backup{}, err
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(info.Key, store.BackupsPrefix), "/")
	b, err := DecodeBackup(raw)
	if err != nil {
		return fact.Backup{}, ContentError{err}
	}
	if b.Name != name {
		return fact.Backup{}, ContentError{fmt.Errorf("it says it is backup %.80q", b.Name)}
	}
	if time.Until(b.Start) > fact.MaxAhead || time.Until(b.Completed) > fact.MaxAhead {
		// It may be this clock that is wrong, so it is looked at again.
		return fact.Backup{}, fmt.Errorf("it lies in the future: started %s, completed %s", b.Start, b.Completed)
	}
	return b, nil
}

// DecodeBackup reads a velero-backup.json.
func DecodeBackup(raw []byte) (fact.Backup, error) {
	var v velerov1.Backup
	if err := json.Unmarshal(raw, &v); err != nil {
		return fact.Backup{}, fmt.Errorf("decode: %w", err)
	}
	b := fact.BackupOf(v)
	sum := sha256.Sum256(raw)
	b.MetadataSHA256 = hex.EncodeToString(sum[:])
	switch {
	case len(b.Schedule) > MaxLabel:
		return fact.Backup{}, fmt.Errorf("its label %s is %d characters long; at most %d are allowed", api.LabelScheduleName, len(b.Schedule), MaxLabel)
	case b.Start.IsZero():
		return fact.Backup{}, errors.New("it does not say when it was started")
	case b.Phase == velerov1.BackupPhaseCompleted && b.Completed.IsZero():
		return fact.Backup{}, errors.New("it is Completed and does not say when")
	}
	return b, nil
}
