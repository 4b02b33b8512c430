package verifier

import (
	"context"
	"fmt"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/backup"
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
	all, err := backup.List(ctx, s)
	if err != nil {
		return "", err
	}
	name, ok := newest(all, c.Schedule)
	switch {
	case ok:
		return name, nil
	case c.Schedule != "":
		return "", fmt.Errorf("%s has no restorable backup of schedule %q", s, c.Schedule)
	}
	return "", fmt.Errorf("%s has no restorable backup", s)
}

// newest is the first backup of a list, newest first, that claims to be
// restorable; any schedule if none is named.
func newest(all []backup.Listed, schedule string) (string, bool) {
	for _, l := range all {
		if l.Err != nil || schedule != "" && l.Backup.Labels[api.LabelScheduleName] != schedule {
			continue
		}
		if l.Backup.Status.Phase.Restorable() {
			return l.Name, true
		}
	}
	return "", false
}
