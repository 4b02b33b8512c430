package verifier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
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
	e, err := catalog.Newest(ctx, s, b.Schedule)
	if err != nil && !errors.Is(err, catalog.ErrNoBackup) {
		return time.Time{}, err
	}
	if start := e.Backup.Status.StartTimestamp; start != nil && start.After(b.Started) {
		return start.Time, nil
	}
	return b.Started, nil
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

// WaivesRPO reports whether a policy accepts a missed target of the recovery point.
func WaivesRPO(waivers []policy.Waiver) bool {
	return slices.ContainsFunc(waivers, func(w policy.Waiver) bool { return w.Accepts(checkRPO, "") })
}
