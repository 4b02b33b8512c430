package verifier

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/backup"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// The checks of the targets of recovery.
const (
	checkRPO = "rpo"
	checkRTO = "rto"
)

// recoveryPoint checks what would have been lost against the policy's target. It
// needs only the location, so every level does it.
func (r *run) recoveryPoint(ctx context.Context) error {
	target := r.Spec.Targets.RPO.Duration
	if target == 0 {
		return nil
	}
	newest, err := newestPoint(ctx, r.Store, r.report.Backup)
	if err != nil {
		return err
	}
	r.report = withRecovery(r.report, func(rec *report.Recovery) { rec.PointTargetSeconds = target.Seconds() })
	r.record(rpo(r.report.Started.Sub(newest), target))
	return nil
}

// timeRecovery adds how long recovery took to a report, if everything came up. A
// backup that is too old is restored all the same, so a missed RPO does not count.
func timeRecovery(rep report.Report, took, target time.Duration) report.Report {
	down := slices.ContainsFunc(rep.Findings, func(f report.Finding) bool { return f.Check != checkRPO })
	return withRecovery(rep, func(rec *report.Recovery) {
		rec.TimeTargetSeconds = target.Seconds()
		if !down && len(rep.Environment) == 0 {
			rec.TimeSeconds = took.Seconds()
		}
	})
}

func withRecovery(rep report.Report, change func(*report.Recovery)) report.Report {
	var rec report.Recovery
	if rep.Recovery != nil {
		rec = *rep.Recovery
	}
	change(&rec)
	rep.Recovery = &rec
	return rep
}

// newestPoint returns when the newest backup of the same schedule began: a drill
// of an older one does not make what could be recovered older.
func newestPoint(ctx context.Context, s store.Store, b report.Backup) (time.Time, error) {
	point := b.Started
	all, err := backup.List(ctx, s)
	if err != nil {
		return time.Time{}, err
	}
	name, found := newest(all, b.Schedule)
	for _, l := range all {
		if found && l.Name == name && l.Backup.Status.StartTimestamp != nil && l.Backup.Status.StartTimestamp.After(point) {
			point = l.Backup.Status.StartTimestamp.Time
		}
	}
	return point, nil
}

func rpo(age, target time.Duration) answer {
	a := passing(checkRPO, fmt.Sprintf("the newest backup began %s before the drill; at most %s is allowed", age.Round(time.Second), target))
	if age > target {
		a.findings = []report.Finding{{Check: checkRPO, Message: a.Message}}
	}
	return a
}

// rto has no answer if not everything came up: then there was no recovery.
func rto(took, target time.Duration) answer {
	if took == 0 {
		return answer{Check: report.Check{Name: checkRTO, Verdict: report.Error, Message: "not measured: not everything came up"}}
	}
	a := passing(checkRTO, fmt.Sprintf("recovery took %s; at most %s is allowed", took.Round(100*time.Millisecond), target))
	if took > target {
		a.findings = []report.Finding{{Check: checkRTO, Message: a.Message}}
	}
	return a
}
