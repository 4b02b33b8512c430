package scheduler

import (
	"context"
	"errors"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
)

// records are those of one policy in a drill log. Each is written once, and the
// store accepts a key only once: that is what makes two verifiers on one
// location agree.
type records struct {
	store  store.Store
	policy string
}

// last returns the newest run that was due at now or before; nil if there is
// none. Runs of the future, written by a clock that was wrong, are ignored; one
// whose record is malformed has nothing left to do.
func (l records) last(ctx context.Context, now time.Time) (*drilllog.Run, error) {
	due, err := drilllog.Runs(ctx, l.store, l.policy, now)
	if err != nil || len(due) == 0 {
		return nil, err
	}
	r, err := drilllog.ReadRun(ctx, l.store, l.policy, due[0])
	if errors.Is(err, drilllog.ErrMalformed) {
		return &drilllog.Run{Policy: l.policy, Due: due[0]}, nil
	}
	return &r, err
}

// begin records a run, unless there is a record of it: then that one counts.
func (l records) begin(ctx context.Context, r drilllog.Run) (*drilllog.Run, error) {
	r.Policy = l.policy
	err := drilllog.WriteRun(ctx, l.store, r)
	if errors.Is(err, store.ErrExists) {
		r, err = drilllog.ReadRun(ctx, l.store, l.policy, r.Due)
	}
	if err != nil {
		return nil, err
	}
	return &r, nil
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
func (l records) attempts(ctx context.Context, due time.Time, backup string) ([]attempt, error) {
	listed, err := drilllog.Attempts(ctx, l.store, l.policy, due, backup)
	if err != nil {
		return nil, err
	}
	out := make([]attempt, len(listed))
	for i, a := range listed {
		if out[i], err = l.attempt(ctx, a); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// attempt joins a claim with its release and with the evidence of its drill, if
// there are any.
func (l records) attempt(ctx context.Context, listed drilllog.Listed) (attempt, error) {
	c, err := drilllog.ReadClaim(ctx, l.store, listed.Attempt)
	if err != nil {
		return attempt{}, err
	}
	a := attempt{N: listed.N, Drill: c.Drill, By: c.By, Until: c.Until}
	if listed.Released {
		r, err := drilllog.ReadRelease(ctx, l.store, listed.Attempt)
		if err != nil {
			return attempt{}, err
		}
		a.Released, a.Free = r.At, r.Free
	}
	ref := drilllog.Ref{Backup: listed.Backup, Drill: c.Drill}
	if !ref.Valid() {
		return a, nil // no drill of a verifier; it runs out of time
	}
	rep, err := drilllog.ReadEvidence(ctx, l.store, ref)
	if err != nil && !errors.Is(err, drilllog.ErrNoEvidence) {
		return a, err
	}
	a.Verdict, a.Finished = rep.Verdict, rep.Finished
	return a, nil
}
