package verifier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/verifier/probe"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
	"github.com/lifeboat-backup/lifeboat/verifier/workload"
)

const (
	// defaultReady is how long workloads have, from the end of the restore.
	defaultReady = 5 * time.Minute
	// lookEvery is the time between two looks at the sandbox.
	lookEvery = time.Second
	// patience is how long a state that waiting cannot fix has to last until it is
	// accepted: a controller that is still starting may create what is missing.
	patience = 10 * time.Second
	// calm is how long everything has to be up until it is accepted: a program
	// that crashes often does so in its first seconds.
	calm = 5 * time.Second
	// maxLogs bounds of how many containers the log is read.
	maxLogs = 20
)

// workloads waits until all that was restored runs, or is known not to.
func (r *run) workloads(ctx context.Context, missing map[string]string) error {
	limit := cmp.Or(r.Spec.Limits.WorkloadsReady.Duration, defaultReady)
	var err error
	if r.secrets, err = secretValues(ctx, r.cluster); err != nil {
		return err
	}
	d, err := r.await(ctx, limit, missing)
	if err != nil {
		return err
	}
	r.facts.idle = d.Idle
	// Logs may hold anything: those of an encrypted backup stay out of the
	// evidence, which is not encrypted.
	if !r.encrypted() {
		addLogs(ctx, r.cluster, d.Problems)
	}
	findings, environment := workload.Settle(d.Problems)
	for _, name := range workload.Checks() {
		a := passing(name, countReady(name, d, limit))
		a.findings, a.environment = findingsOf(name, findings), findingsOf(name, environment)
		r.record(a)
	}
	r.record(volumeData(r.prepared.Plan.Volumes))
	return nil
}

// await looks at the sandbox again and again. It ends when nothing has been
// wrong for a while, when what is wrong has not been mendable for a while, or
// with the limit.
func (r *run) await(ctx context.Context, limit time.Duration, missing map[string]string) (workload.Decision, error) {
	volumes, err := newProvisioner(ctx, r.Sandbox.(sandbox.Runner), r.cluster)
	if err != nil {
		return workload.Decision{}, err
	}
	in := workload.Input{Restored: restored(r.prepared.Plan, r.result.Changes), Missing: missing, StandsIn: standsIn(r.Spec.Images)}
	began := r.Now()
	var up, stuck lasting
	for {
		if in.State, err = workload.Gather(ctx, r.cluster, in.Restored); err != nil {
			return workload.Decision{}, err
		}
		if r.encrypted() {
			in.State.LeaveOutAnswers()
		}
		if err = errors.Join(volumes.provide(ctx, in.Claims), in.Call(ctx, r.cluster)); err != nil {
			return workload.Decision{}, err
		}
		in.Refused, in.Now = volumes.refused, r.Now()
		d := workload.Decide(in)
		upFor, stuckFor := up.when(len(d.Problems) == 0, in.Now), stuck.when(len(d.Problems) > 0 && d.Settled(), in.Now)
		if upFor >= calm || stuckFor >= patience || in.Now.Sub(began) >= limit {
			return d, nil
		}
		r.progress("workloads", waitingFor(d))
		if !cluster.Sleep(ctx, lookEvery) {
			return workload.Decision{}, ctx.Err()
		}
	}
}

func waitingFor(d workload.Decision) string {
	if len(d.Problems) == 0 {
		return "everything is up; checking that it stays up"
	}
	return fmt.Sprintf("%d things are not up yet", len(d.Problems))
}

// lasting measures for how long a condition has held.
type lasting struct{ since time.Time }

// when returns 0 while the condition does not hold.
func (l *lasting) when(so bool, now time.Time) time.Duration {
	switch {
	case !so:
		l.since = time.Time{}
		return 0
	case l.since.IsZero():
		l.since = now
	}
	return now.Sub(l.since)
}

// restored are the objects that the sandbox has as the backup has them.
func restored(p plan.Plan, changes apply.ChangeSet) map[item.Key]bool {
	planned := make(map[item.Key]bool, len(p.Steps))
	for _, s := range p.Steps {
		planned[s.Key] = !s.Bare
	}
	out := map[item.Key]bool{}
	for _, c := range changes {
		switch c.Outcome {
		case apply.Created, apply.Updated, apply.Unchanged:
			if planned[c.Key] {
				out[c.Key] = true
			}
		}
	}
	return out
}

// countReady describes how many objects of a check are ready.
func countReady(name string, d workload.Decision, limit time.Duration) string {
	wrong, running := 0, 0
	for _, p := range d.Problems {
		if p.Check == name && p.Class == workload.Running {
			running++
		} else if p.Check == name {
			wrong++
		}
	}
	n := d.Asked[name]
	out := fmt.Sprintf("%d of %d", max(n-wrong, 0), n)
	if running > 0 {
		out += fmt.Sprintf("; %d of them Jobs that still ran after %s", running, limit)
	}
	return out
}

// addLogs adds the last lines of logs to problems.
func addLogs(ctx context.Context, c *cluster.Client, problems []workload.Problem) {
	read := 0
	for i := range problems {
		p := &problems[i]
		if p.Log == nil || read == maxLogs {
			continue
		}
		read++
		if lines := strings.TrimSpace(workload.LastLines(ctx, c, *p.Log)); lines != "" {
			p.Message += "; its last lines: " + lines
		}
	}
}

const checkVolumeData = "volume_data_restored"

// volumeData reports which claims got an empty volume although the backup has
// their data.
func volumeData(volumes []plan.Volume) answer {
	var findings []report.Finding
	for _, v := range volumes {
		if v.Method != "" && strings.HasPrefix(v.Object, "persistentvolumeclaims ") {
			findings = append(findings, report.Finding{
				Check: checkVolumeData, Object: v.Object,
				Message: fmt.Sprintf("volume data not restored: the backup has it (%s), and this version restores objects only", v.Method),
			})
		}
	}
	a := passing(checkVolumeData, fmt.Sprintf("%d claims have data in the backup", len(findings)))
	a.findings = findings
	return a
}

// userChecks asks the questions of the policy.
func (r *run) userChecks(ctx context.Context) (bool, error) {
	o := probe.Options{Now: r.Now, Progress: func(check string, attempt int) { r.progress("checks", fmt.Sprintf("%s, attempt %d", check, attempt)) }}
	for _, result := range probe.Run(ctx, r.cluster, r.Spec.Checks, o) {
		r.record(answer{result.Check, result.Findings, result.Environment})
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	target := r.Spec.Targets.RTO.Duration
	r.report = timeRecovery(r.report, r.Now().Sub(r.began), target)
	if target > 0 {
		r.record(rto(time.Duration(r.report.Recovery.TimeSeconds*float64(time.Second)), target))
	}
	return false, nil
}
