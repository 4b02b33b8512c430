package drilllog

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// Limits of what a listing returns. More is an error: a location is not to make
// its reader use memory without end.
const (
	maxPolicies = 100
	maxAttempts = 20_000    // of one run
	maxAttempt  = 1_000_000 // the number of one; there are a few
)

const (
	// runTime is the form of a run's time in keys; it sorts by time.
	runTime        = "20060102T150405Z"
	recordSuffix   = ".json"
	releasedSuffix = "-released.json"
)

// RunKey is the key of the record of the run of a policy that was due at a time.
func RunKey(policy string, due time.Time) string { return store.Run(policy, runName(due)) }

// RunPrefix is the prefix of the records of a run's attempts.
func RunPrefix(policy string, due time.Time) string { return policyPrefix(policy) + runName(due) + "/" }

func policyPrefix(policy string) string { return store.LedgerPrefix + policy + "/" }

func runName(due time.Time) string { return due.UTC().Format(runTime) }

// Attempt names one attempt of a run to drill a backup.
type Attempt struct {
	Policy string
	Due    time.Time
	Backup string
	N      int // from 1
}

// ClaimKey is the key of the attempt's Claim.
func (a Attempt) ClaimKey() string { return a.key(recordSuffix) }

// ReleaseKey is the key of the attempt's Release.
func (a Attempt) ReleaseKey() string { return a.key(releasedSuffix) }

func (a Attempt) key(suffix string) string {
	return store.Attempts(a.Policy, runName(a.Due), a.Backup) + strconv.Itoa(a.N) + suffix
}

// Policies lists the policies that have records.
func Policies(ctx context.Context, s store.Store) ([]string, error) {
	var out []string
	for info, err := range s.List(ctx, store.LedgerPrefix, false) {
		if err != nil {
			return nil, fmt.Errorf("list drill records in %s: %w", s, err)
		}
		policy := path.Base(info.Key)
		if !info.IsPrefix() || store.CheckName(policy) != nil {
			continue // a run log: no policy can have its name
		}
		if len(out) == maxPolicies {
			return nil, fmt.Errorf("list drill records in %s: more than %d policies", s, maxPolicies)
		}
		out = append(out, policy)
	}
	return out, nil
}

// Runs lists when the runs of a policy were due that were not due after until,
// newest first.
func Runs(ctx context.Context, s store.Store, policy string, until time.Time) ([]time.Time, error) {
	var out []time.Time
	for info, err := range s.List(ctx, policyPrefix(policy), false) {
		if err != nil {
			return nil, fmt.Errorf("list drill records of policy %s in %s: %w", policy, s, err)
		}
		name, ok := strings.CutSuffix(path.Base(info.Key), recordSuffix)
		due, err := time.Parse(runTime, name)
		if ok && !info.IsPrefix() && err == nil && !due.After(until) {
			out = append(out, due)
		}
	}
	slices.SortFunc(out, func(a, b time.Time) int { return b.Compare(a) })
	return out, nil
}

// Listed is an attempt that was claimed.
type Listed struct {
	Attempt
	Released bool // whether it has a Release
}

// Attempts lists the attempts of a run to drill one backup, or all ("") of its
// backups, by backup and number.
func Attempts(ctx context.Context, s store.Store, policy string, due time.Time, backup string) ([]Listed, error) {
	prefix := RunPrefix(policy, due)
	within := prefix
	if backup != "" {
		within += backup + "/"
	}
	released := map[Attempt]bool{}
	var out []Listed
	for info, err := range s.List(ctx, within, true) {
		if err != nil {
			return nil, fmt.Errorf("list drill records of policy %s in %s: %w", policy, s, err)
		}
		a, release, ok := parseAttempt(strings.TrimPrefix(info.Key, prefix))
		if !ok {
			continue
		}
		if len(out) == maxAttempts || len(released) == maxAttempts {
			return nil, fmt.Errorf("list drill records in %s: more than %d attempts in %s", s, maxAttempts, prefix)
		}
		a.Policy, a.Due = policy, due
		if release {
			released[a] = true
		} else {
			out = append(out, Listed{Attempt: a})
		}
	}
	for i := range out {
		out[i].Released = released[out[i].Attempt]
	}
	slices.SortFunc(out, func(a, b Listed) int { return cmp.Or(cmp.Compare(a.Backup, b.Backup), cmp.Compare(a.N, b.N)) })
	return out, nil
}

// parseAttempt reads what follows RunPrefix in the key of a claim or a release.
func parseAttempt(rest string) (a Attempt, release, ok bool) {
	backup, file, _ := strings.Cut(rest, "/")
	number, release := strings.CutSuffix(file, releasedSuffix)
	if !release {
		number, ok = strings.CutSuffix(file, recordSuffix)
	}
	n, err := strconv.Atoi(number)
	return Attempt{Backup: backup, N: n}, release, (release || ok) && err == nil && n > 0 && n <= maxAttempt && strconv.Itoa(n) == number
}
