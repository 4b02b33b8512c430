package bucket

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
)

// Bounds on what is read of the ledger of drills, which grows by some records
// for each run and is not trusted.
const (
	// abandonedFor is how long a drill counts as abandoned.
	abandonedFor = 7 * 24 * time.Hour
	// claimsWithin is how long ago a run was due whose records are read; it
	// leaves a day to drills that are begun late. Runs before it are over.
	claimsWithin = abandonedFor + 24*time.Hour
	maxPolicies  = 100
	maxRuns      = 2500 // of a policy: one every five minutes
	maxClaims    = 20_000
	MaxClaim     = 64 << 10 // bytes
)

// runTime is the form of a run's time in keys, and claimSchema that of a claim
// (docs/adr/0009-a-ledger-of-write-once-records.md).
const (
	RunTime        = "20060102T150405Z"
	ClaimSchema    = "lifeboat.dev/claim/v1alpha1"
	releasedSuffix = "-released.json"
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

func (r drillRun) prefix() string {
	return store.LedgerPrefix + r.policy + "/" + r.due.Format(RunTime) + "/"
}

// drillRuns are those that may have drills under way or abandoned, of all
// policies.
func (l *Location) drillRuns(ctx context.Context, s store.Store, now time.Time) ([]drillRun, error) {
	var out []drillRun
	policies := 0
	for info, err := range s.List(ctx, store.LedgerPrefix, false) {
		if err != nil {
			return nil, err
		}
		policy := strings.TrimSuffix(strings.TrimPrefix(info.Key, store.LedgerPrefix), "/")
		if !info.IsPrefix() || store.CheckName(policy) != nil {
			continue // other ledgers have names that no policy has
		}
		if policies++; policies > maxPolicies {
			return nil, fmt.Errorf("more than %d policies in %s", maxPolicies, store.LedgerPrefix)
		}
		runs, err := l.runsOf(ctx, s, policy, now)
		if err != nil {
			return nil, err
		}
		out = append(out, runs...)
	}
	return out, nil
}

// runsOf are the newest runs of a policy, newest first.
func (l *Location) runsOf(ctx context.Context, s store.Store, policy string, now time.Time) ([]drillRun, error) {
	var due []time.Time
	for info, err := range s.List(ctx, store.LedgerPrefix+policy+"/", false) {
		if err != nil {
			return nil, err
		}
		name, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, store.LedgerPrefix+policy+"/"), ".json")
		at, err := time.Parse(RunTime, name)
		if ok && err == nil && !at.After(now.Add(fact.MaxAhead)) {
			due = append(due, at)
		}
	}
	slices.SortFunc(due, func(a, b time.Time) int { return b.Compare(a) })
	var out []drillRun
	for i, at := range due[:min(len(due), maxRuns)] {
		// The last one may be worked on however long ago it was due.
		if i == 0 || now.Sub(at) <= claimsWithin {
			out = append(out, drillRun{policy: policy, due: at, last: i == 0})
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
		key := run.prefix()
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

// claimsOf are the claims of one run; those known are not read again.
func (l *Location) claimsOf(ctx context.Context, s store.Store, run drillRun, known map[string]claim) (map[string]claim, error) {
	out := map[string]claim{}
	released := map[string]bool{}
	for info, err := range s.List(ctx, run.prefix(), true) {
		if err != nil {
			return nil, err
		}
		backup, file, _ := strings.Cut(strings.TrimPrefix(info.Key, run.prefix()), "/")
		if number, ok := strings.CutSuffix(file, releasedSuffix); ok {
			released[run.prefix()+backup+"/"+number+".json"] = true
			continue
		}
		if _, err := strconv.Atoi(strings.TrimSuffix(file, ".json")); err != nil {
			continue
		}
		if len(out) == maxClaims {
			return nil, fmt.Errorf("more than %d drills in %s", maxClaims, run.prefix())
		}
		c, ok := known[info.Key]
		if !ok {
			if c, err = l.readClaim(ctx, s, info.Key); err != nil {
				return nil, err
			}
			c.Backup = backup
		}
		out[info.Key] = c
	}
	for key := range released {
		if c, ok := out[key]; ok {
			c.Released = true
			out[key] = c
		}
	}
	return out, nil
}

// readClaim reads a record. One that makes no sense, and always will, is none
// that was released.
func (l *Location) readClaim(ctx context.Context, s store.Store, key string) (claim, error) {
	raw, err := l.read(ctx, s, key, MaxClaim)
	var content ContentError
	if err != nil && !errors.As(err, &content) {
		return claim{}, err
	}
	c := claim{}
	if err == nil {
		c, err = decodeClaim(raw)
	}
	if err != nil {
		l.noteUnreadable(key, err)
		return claim{Released: true}, nil
	}
	return c, nil
}

func decodeClaim(raw []byte) (claim, error) {
	var v struct {
		Schema string    `json:"schema"`
		Drill  string    `json:"drill"`
		At     time.Time `json:"at"`
		Until  time.Time `json:"until"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return claim{}, fmt.Errorf("decode: %w", err)
	}
	switch {
	case v.Schema != ClaimSchema:
		return claim{}, fmt.Errorf("schema %.80q, want %q", v.Schema, ClaimSchema)
	case v.Drill == "" || len(v.Drill) > 2*MaxLabel:
		return claim{}, errors.New("it does not name its drill")
	case v.Until.Before(v.At) || v.Until.Sub(v.At) > claimsWithin:
		return claim{}, fmt.Errorf("its drill takes from %s until %s", v.At, v.Until)
	}
	return claim{Drill: v.Drill, At: v.At, Until: v.Until}, nil
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
