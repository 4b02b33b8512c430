package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// records are those of one policy in a drill log. Each is written once, and the
// store accepts a key only once: that is what makes two verifiers on one
// location agree. Records are untrusted: one that is malformed, or that no
// verifier would write, is reported to damaged and has no effect.
type records struct {
	store  store.Store
	policy string
	// machine is that of this process, and longest how long a drill may take.
	machine string
	longest time.Duration
	damaged func(error)
}

// maxAhead is how far another clock may be from this one in a record.
const maxAhead = time.Hour

// errImplausible reports a record whose times no verifier writes.
var errImplausible = errors.New("no verifier writes such times")

// last returns the newest run that was due at now or before; nil if there is
// none. Runs of the future are ignored. If the record of the newest is damaged,
// lost is true, and the run has nothing but its time.
func (l records) last(ctx context.Context, now time.Time) (r *drilllog.Run, lost bool, err error) {
	due, err := drilllog.Runs(ctx, l.store, l.policy, now)
	if err != nil || len(due) == 0 {
		return nil, false, err
	}
	run, err := l.run(ctx, due[0], now)
	if isDamage(err) {
		l.damaged(err)
		return &drilllog.Run{Policy: l.policy, Due: due[0]}, true, nil
	}
	return &run, false, err
}

// run reads the record of a run.
func (l records) run(ctx context.Context, due, now time.Time) (drilllog.Run, error) {
	r, err := drilllog.ReadRun(ctx, l.store, l.policy, due)
	if err == nil && !began(r.Began, due, now) {
		err = fmt.Errorf("%s: run began %s: %w", drilllog.RunKey(l.policy, due), r.Began, errImplausible)
	}
	return r, err
}

// began reports whether something of a run can have begun at a time.
func began(at, due, now time.Time) bool {
	return !at.Before(due.Add(-maxAhead)) && !at.After(now.Add(maxAhead))
}

func isDamage(err error) bool {
	return errors.Is(err, drilllog.ErrMalformed) || errors.Is(err, errImplausible)
}

// begin records a run, unless there is a record of it: then that one counts, if
// it is not damaged.
func (l records) begin(ctx context.Context, r drilllog.Run) (*drilllog.Run, error) {
	r.Policy = l.policy
	err := drilllog.WriteRun(ctx, l.store, r)
	if !errors.Is(err, store.ErrExists) {
		return &r, err
	}
	first, err := l.run(ctx, r.Due, r.Began)
	switch {
	case isDamage(err):
		l.damaged(err)
		return &r, nil
	case err != nil:
		return nil, err
	}
	return &first, nil
}

func (l records) key(due time.Time, backup string, n int) drilllog.Attempt {
	return drilllog.Attempt{Policy: l.policy, Due: due, Backup: backup, N: n}
}

// claim records that an attempt begins; false if another verifier was first.
func (l records) claim(ctx context.Context, due time.Time, backup string, n int, c drilllog.Claim) (bool, error) {
	err := drilllog.WriteClaim(ctx, l.store, l.key(due, backup, n), c)
	if errors.Is(err, store.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// release records that an attempt ended without evidence.
func (l records) release(ctx context.Context, due time.Time, backup string, n int, r drilllog.Release) error {
	return drilllog.WriteRelease(ctx, l.store, l.key(due, backup, n), r)
}

// attempts returns the attempts of a run to drill one backup.
func (l records) attempts(ctx context.Context, due time.Time, backup string, now time.Time) ([]attempt, error) {
	listed, err := drilllog.Attempts(ctx, l.store, l.policy, due, backup)
	if err != nil {
		return nil, err
	}
	out := make([]attempt, len(listed))
	for i, a := range listed {
		if out[i], err = l.attempt(ctx, a, now); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// attempt joins a claim with its release and with the evidence of its drill, if
// there are any. A claim that is damaged keeps its number and counts for nothing.
func (l records) attempt(ctx context.Context, listed drilllog.Listed, now time.Time) (attempt, error) {
	c, err := l.readClaim(ctx, listed.Attempt, now)
	if isDamage(err) {
		l.damaged(err)
		return attempt{N: listed.N, Void: true}, nil
	}
	if err != nil {
		return attempt{}, err
	}
	a := attempt{N: listed.N, Drill: c.Drill, By: c.By, Until: earlier(c.Until, c.At.Add(l.longest)), Elsewhere: c.By.Machine != l.machine}
	if listed.Released {
		r, err := drilllog.ReadRelease(ctx, l.store, listed.Attempt)
		switch {
		case isDamage(err):
			l.damaged(err)
		case err != nil:
			return attempt{}, err
		}
		a.Released, a.Free = r.At, r.Free
	}
	rep, err := drilllog.ReadEvidence(ctx, l.store, drilllog.Ref{Backup: listed.Backup, Drill: c.Drill})
	switch {
	case isDamage(err): // it shows no drill, so it answers nothing
		l.damaged(err)
		a.Verdict, a.Finished = report.Error, c.At
	case err != nil && !errors.Is(err, drilllog.ErrNoEvidence):
		return a, err
	default:
		a.Verdict, a.Finished = rep.Verdict, rep.Finished
	}
	return a, nil
}

// readClaim reads a claim that a verifier can have written.
func (l records) readClaim(ctx context.Context, a drilllog.Attempt, now time.Time) (drilllog.Claim, error) {
	c, err := drilllog.ReadClaim(ctx, l.store, a)
	switch {
	case err != nil:
		return c, err
	case !began(c.At, a.Due, now) || c.Until.Before(c.At) || c.Until.Sub(c.At) > policy.MaxTimeout+claimMargin:
		return c, fmt.Errorf("%s: drill from %s until %s: %w", a.ClaimKey(), c.At, c.Until, errImplausible)
	case !(drilllog.Ref{Backup: a.Backup, Drill: c.Drill}).Valid():
		return c, fmt.Errorf("%s: %w: it names no drill: %.80q", a.ClaimKey(), drilllog.ErrMalformed, c.Drill)
	}
	return c, nil
}
