package bucket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
)

// Limits of what is read of the drill log, which grows by some records for each
// run and is untrusted. Package drilllog has those of its listings and records.
const (
	// abandonedFor is how long a drill counts as abandoned.
	abandonedFor = 7 * 24 * time.Hour
	// claimsWithin is how long ago a run was due whose records are read; it
	// leaves a day to drills that begin late. Runs before it are over.
	claimsWithin = abandonedFor + 24*time.Hour
	maxRuns      = 2500 // of a policy: one every five minutes
	maxClaims    = 20_000
)

// claim is a scheduled drill that was begun.
type claim struct {
	Backup   string
	Drill    string
	At       time.Time
	Until    time.Time // when it is over for certain
	Released bool      // given up without evidence
}

// claimed are the claims of one run. Over says that there will be no more.
type claimed struct {
	claims map[string]claim // by key
	over   bool
}

// ListClaims implements ClaimLister. What has evidence is known from the last
// ListDrills, which has to come before. Records are written once, so each is
// read once; a run that is over is not listed again.
func (l *Location) ListClaims(ctx context.Context, now time.Time) (fact.Claims, error) {
	s, err := l.opened(ctx)
	if err != nil {
		return fact.Claims{}, err
	}
	runs, err := l.drillRuns(ctx, s, now)
	if err != nil {
		l.release()
		return fact.Claims{}, fmt.Errorf("list drills under way in %s: %w", s, err)
	}
	if err := l.readClaims(ctx, s, runs, now); err != nil {
		l.release()
		return fact.Claims{}, fmt.Errorf("read drills under way in %s: %w", s, err)
	}
	var all []claim
	for _, run := range l.claims {
		all = slices.AppendSeq(all, maps.Values(run.claims))
	}
	return countClaims(all, l.newestEvidence(), now), nil
}

// drillRun is one run of a policy; last says that no other was due after it.
type drillRun struct {
	policy string
	due    time.Time
	last   bool
}

func (r drillRun) key() string { return drilllog.RunKey(r.policy, r.due) }

// drillRuns are the runs of all policies that may have drills in progress or
// abandoned, newest first for each policy.
func (l *Location) drillRuns(ctx context.Context, s store.Store, now time.Time) ([]drillRun, error) {
	policies, err := drilllog.Policies(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []drillRun
	for _, policy := range policies {
		due, err := drilllog.Runs(ctx, s, policy, now.Add(fact.MaxAhead))
		if err != nil {
			return nil, err
		}
		for i, at := range due[:min(len(due), maxRuns)] {
			// The last one may be in progress however long ago it was due.
			if i == 0 || now.Sub(at) <= claimsWithin {
				out = append(out, drillRun{policy: policy, due: at, last: i == 0})
			}
		}
	}
	return out, nil
}

// readClaims brings l.claims up to date. What was read before an error is kept,
// so that the next time goes on there.
func (l *Location) readClaims(ctx context.Context, s store.Store, runs []drillRun, now time.Time) error {
	if l.claims == nil {
		l.claims = map[string]claimed{}
	}
	listed := map[string]bool{}
	total := 0
	for _, run := range runs {
		key := run.key()
		known := l.claims[key]
		if !known.over {
			claims, err := l.claimsOf(ctx, s, run, known.claims)
			if err != nil {
				return err
			}
			known = claimed{claims: claims, over: !run.last && !anyUnderWay(claims, now)}
			l.claims[key] = known
		}
		listed[key] = true
		if total += len(known.claims); total > maxClaims {
			return fmt.Errorf("more than %d drills", maxClaims)
		}
	}
	maps.DeleteFunc(l.claims, func(key string, _ claimed) bool { return !listed[key] })
	return nil
}

func anyUnderWay(claims map[string]claim, now time.Time) bool {
	for _, c := range claims {
		if now.Before(c.Until) {
			return true
		}
	}
	return false
}

// claimsOf returns the claims of one run by key. Known ones are not read again.
func (l *Location) claimsOf(ctx context.Context, s store.Store, run drillRun, known map[string]claim) (map[string]claim, error) {
	attempts, err := drilllog.Attempts(ctx, s, run.policy, run.due, "")
	if err != nil {
		return nil, err
	}
	out := make(map[string]claim, len(attempts))
	for _, a := range attempts {
		key := a.ClaimKey()
		c, ok := known[key]
		if !ok {
			if c, err = l.readClaim(ctx, s, a.Attempt); err != nil {
				return nil, err
			}
		}
		c.Released = c.Released || a.Released
		out[key] = c
	}
	return out, nil
}

// readClaim reads a record. A malformed one counts as released: nothing can be
// reported of its drill, now or later.
func (l *Location) readClaim(ctx context.Context, s store.Store, a drilllog.Attempt) (claim, error) {
	c, err := drilllog.ReadClaim(ctx, s, a)
	if err == nil {
		err = checkClaim(c, a)
	}
	switch {
	case errors.Is(err, drilllog.ErrMalformed):
		l.noteUnreadable(a.ClaimKey(), err)
		return claim{Released: true}, nil
	case err != nil:
		return claim{}, err
	}
	return claim{Backup: a.Backup, Drill: c.Drill, At: c.At, Until: c.Until}, nil
}

func checkClaim(c drilllog.Claim, a drilllog.Attempt) error {
	switch {
	case !(drilllog.Ref{Backup: a.Backup, Drill: c.Drill}).Valid():
		return fmt.Errorf("%w: it does not name its drill", drilllog.ErrMalformed)
	case c.Until.Before(c.At) || c.Until.Sub(c.At) > claimsWithin:
		return fmt.Errorf("%w: its drill takes from %s until %s", drilllog.ErrMalformed, c.At, c.Until)
	}
	return nil
}

// newestEvidence is the newest drill of each backup that left evidence; names of
// drills sort by time.
func (l *Location) newestEvidence() map[string]string {
	out := map[string]string{}
	for key := range l.drills.entries {
		if backup, drill, ok := store.SplitEvidence(key); ok {
			out[backup] = max(out[backup], drill)
		}
	}
	return out
}

// countClaims is pure. A drill is settled when it was given back, or when it or
// a later one of the same backup has left evidence: a policy may have removed
// its own since, and a later drill removes what a killed one left.
func countClaims(all []claim, evidence map[string]string, now time.Time) fact.Claims {
	var n fact.Claims
	for _, c := range all {
		switch {
		case c.Released || cmp.Compare(evidence[c.Backup], c.Drill) >= 0:
		case now.Before(c.Until):
			n.Active++
		case now.Sub(c.Until) <= abandonedFor:
			n.Abandoned++
		}
	}
	return n
}
