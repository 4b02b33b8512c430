package verifier

import (
	"context"
	"errors"
	"fmt"

	"github.com/lifeboat-backup/lifeboat/core/catalog"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Choice names the backup to drill: one by name, or the newest of a schedule,
// or the newest of all.
type Choice struct {
	Backup   string
	Schedule string
	Latest   bool
}

// Choose resolves a choice to the name of a backup.
func Choose(ctx context.Context, s store.Store, c Choice) (string, error) {
	if c.Backup != "" {
		return c.Backup, store.CheckName(c.Backup)
	}
	e, err := catalog.Newest(ctx, s, c.Schedule)
	switch {
	case errors.Is(err, catalog.ErrNoBackup) && c.Schedule != "":
		return "", fmt.Errorf("%s has no restorable backup of schedule %q", s, c.Schedule)
	case errors.Is(err, catalog.ErrNoBackup):
		return "", fmt.Errorf("%s has no restorable backup", s)
	}
	return e.Name, err
}
