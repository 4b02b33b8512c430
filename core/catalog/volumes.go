package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/volume"
)

// Volumes reads what a backup records about the data of its volumes. A backup without
// records has none.
func Volumes(ctx context.Context, s store.Store, name string) ([]volume.Data, error) {
	infos, err := records(ctx, s, store.VolumeInfo(name), volume.DecodeInfos)
	if err != nil {
		return nil, err
	}
	backups, err := records[velerov1.PodVolumeBackup](ctx, s, store.PodVolumeBackups(name), volume.DecodePodVolumeBackups)
	if err != nil {
		return nil, err
	}
	return volume.DataOf(infos, backups), nil
}

func records[T any](ctx context.Context, s store.Store, key string, decode func(io.Reader) ([]T, error)) ([]T, error) {
	r, err := s.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	list, err := decode(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return list, nil
}
