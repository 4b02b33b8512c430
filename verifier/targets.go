package verifier

import (
	"context"
	"fmt"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/backup"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// The checks of what recovery has to keep to.
const (
	checkRPO = "rpo"
	checkRTO = "rto"
)

// targets holds the drill against the policy's targets.
func (r *run) targets(ctx context.Context) error {
	rec := r.report.Recovery
	if rec == nil {
		rec = &report.Recovery{}
		r.report.Recovery = rec
	}
	t := r.Spec.Targets
	rec.PointTargetSeconds, rec.TimeTargetSeconds = t.RPO.Seconds(), t.RTO.Seconds()
	if len(r.report.Findings)+len(r.report.Environment) == 0 {
		rec.TimeSeconds = r.Now().Sub(r.recovering).Seconds()
	}
	if t.RPO.Duration > 0 {
		newest, err := r.newestPoint(ctx)
		if err != nil {
			return err
		}
		r.record(rpo(r.report.Started.Sub(newest), t.RPO.Duration))
	}
	if t.RTO.Duration > 0 {
		r.record(rto(time.Duration(rec.TimeSeconds*float64(time.Second)), t.RTO.Duration))
	}
	return nil
}

// newestPoint is when the newest backup of the same schedule began: to drill an
// older one does not make what could be recovered any older.
func (r *run) newestPoint(ctx context.Context) (time.Time, error) {
	point := r.report.Backup.Started
	all, err := backup.List(ctx, r.Store)
	if err != nil {
		return time.Time{}, err
	}
	name, found := newest(all, r.report.Backup.Schedule)
	for _, l := range all {
		if found && l.Name == name && l.Backup.Status.StartTimestamp != nil && l.Backup.Status.StartTimestamp.After(point) {
			point = l.Backup.Status.StartTimestamp.Time
		}
	}
	return point, nil
}

func rpo(age, target time.Duration) (report.Check, []report.Finding, []report.Finding) {
	c := report.Check{Name: checkRPO, Verdict: report.Passed, Message: fmt.Sprintf("the newest backup began %s before the drill; at most %s is allowed", age.Round(time.Second), target)}
	if age > target {
		return c, []report.Finding{{Check: checkRPO, Message: c.Message}}, nil
	}
	return c, nil, nil
}

// rto has no answer when not all came up: then there was no recovery.
func rto(took, target time.Duration) (report.Check, []report.Finding, []report.Finding) {
	if took == 0 {
		return report.Check{Name: checkRTO, Verdict: report.Error, Message: "not measured, because not all came up"}, nil, nil
	}
	c := report.Check{Name: checkRTO, Verdict: report.Passed, Message: fmt.Sprintf("recovery took %s; at most %s is allowed", took.Round(100*time.Millisecond), target)}
	if took > target {
		return c, []report.Finding{{Check: checkRTO, Message: c.Message}}, nil
	}
	return c, nil, nil
}
