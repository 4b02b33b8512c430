package verifier

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/backup"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// The checks of what recovery has to keep to.
const (
	checkRPO = "rpo"
	checkRTO = "rto"
)

// recoveryPoint holds what would have been lost against the policy's target. It
// needs nothing but the location, so every level asks.
func (r *run) recoveryPoint(ctx context.Context) error {
	target := r.Spec.Targets.RPO
	if target.Duration == 0 {
		return nil
	}
	newest, err := r.newestPoint(ctx)
	if err != nil {
		return err
	}
	r.recovery().PointTargetSeconds = target.Seconds()
	r.record(rpo(r.report.Started.Sub(newest), target.Duration))
	return nil
}

// recoveryTime holds the time until all was up against the policy's target.
func (r *run) recoveryTime() {
	rec, target := r.recovery(), r.Spec.Targets.RTO
	rec.TimeTargetSeconds = target.Seconds()
	down := slices.ContainsFunc(r.report.Findings, func(f report.Finding) bool { return f.Check != checkRPO })
	if !down && len(r.report.Environment) == 0 {
		rec.TimeSeconds = r.Now().Sub(r.recovering).Seconds()
	}
	if target.Duration > 0 {
		r.record(rto(time.Duration(rec.TimeSeconds*float64(time.Second)), target.Duration))
	}
}

func (r *run) recovery() *report.Recovery {
	if r.report.Recovery == nil {
		r.report.Recovery = &report.Recovery{}
	}
	return r.report.Recovery
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
