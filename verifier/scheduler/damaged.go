package scheduler

import (
	"context"
	"slices"
	"time"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

// damaged names a record that has no effect, once.
func (k *keeper) damaged(err error) {
	name := err.Error()
	first := false
	k.note(func(s *state) {
		if !slices.Contains(s.damaged, name) && len(s.damaged) < maxDamaged {
			s.damaged, first = append(s.damaged, name), true
		}
	})
	if first {
		k.log.Error("record of the drill log is damaged and has no effect (delete it)", "err", err)
	}
}

// complete makes a run of a record that this process did not write. Whoever may
// write to the location can write one, so it must not be able to cancel drills: if
// the record is damaged, this verifier chooses in its place; if it leaves out what
// the policy must drill, that is added.
func (k *keeper) complete(ctx context.Context, r *drilllog.Run, lost bool) (*drilllog.Run, error) {
	switch {
	case lost:
		return k.choose(ctx, r.Due)
	case r.By.Instance == k.By.Instance:
		return r, nil
	}
	f, err := k.read(ctx)
	if err != nil {
		return nil, err
	}
	added := leftOut(k.Policy, f.backups, f.records, *r)
	if len(added) == 0 {
		return r, nil
	}
	names := make([]string, len(added))
	for i, p := range added {
		names[i] = p.Backup
	}
	k.log.Warn("record of the run leaves out backups that the policy selects, drilling them too", "due", r.Due, "by", r.By.Machine, "backups", names)
	out := *r
	out.Drills = slices.Concat(r.Drills, added)
	return &out, nil
}

// leftOut are the backups that a run had to drill when it began, that its record
// does not name, and that are not proven since. Samples may differ, and backups
// that were not complete then are of the next run. It is pure.
func leftOut(p policy.Policy, backups []Backup, records []evidence.Record, r drilllog.Run) []drilllog.Pick {
	there := slices.DeleteFunc(slices.Clone(backups), func(b Backup) bool { return later(b.Started, b.Completed).After(r.Began) })
	p.Spec.Select.Older = 0
	picks, _ := pick(p, there, records, r.Began)
	return slices.DeleteFunc(picks, func(p drilllog.Pick) bool {
		return slices.ContainsFunc(r.Drills, func(o drilllog.Pick) bool { return o.Backup == p.Backup })
	})
}

// completed is when a backup ended, zero if that is unknown.
func completed(b velerov1.Backup) time.Time {
	if t := b.Status.CompletionTimestamp; t != nil {
		return t.Time
	}
	return time.Time{}
}
