package scheduler

import (
	"fmt"
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/verifier"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Outcome is the result of the last run of a policy, as its location shows it: of
// whatever verifier drilled, and also if nothing was due.
type Outcome struct {
	Due time.Time // when that run was due
	// Drills are the backups that the run chose, Passed those of them that are
	// proven.
	Drills, Passed []string
	// Failed and Inconclusive are the backups of the run whose newest drill has
	// that verdict, or that have no drill. Backups that were deleted since are in
	// no list.
	Failed, Inconclusive []string
	// Missing names what the policy selects and the location does not hold.
	Missing []string
	// Unread are backups that could not be read and may be newer than those that
	// were chosen. Older ones are not here.
	Unread []string
	// Targets are the targets of the policy that are missed, each a sentence.
	Targets []string
}

// good reports whether nothing was missed, missing or inconclusive.
func (o Outcome) good() bool {
	return len(o.Failed)+len(o.Inconclusive)+len(o.Missing)+len(o.Unread)+len(o.Targets) == 0
}

// headline is the message of the line in the log that every run ends with. drilled
// is how many drills this process ran for it.
func (o Outcome) headline(drilled int) string {
	switch {
	case drilled > 0:
		return "run ended"
	case len(o.Drills) > 0:
		return "nothing is due: the last run is done"
	case len(o.Missing) > 0:
		return "nothing to drill: the location does not hold what the policy selects"
	case len(o.Unread) > 0:
		return "nothing to drill, but a backup could not be read"
	}
	return "nothing to drill: every selected backup is proven"
}

// unread is a backup that could not be read.
type unread struct {
	err string
	// modified is when its metadata was written, zero if unknown.
	modified time.Time
}

// outcome is pure. Backups and records are newest first.
func outcome(p policy.Policy, run drilllog.Run, f found, now time.Time) Outcome {
	c := chooser{policy: p, history: histories(f.backups, f.records), now: now}
	o := Outcome{Due: run.Due}
	for _, pick := range run.Drills {
		o.Drills = append(o.Drills, pick.Backup)
		i := slices.IndexFunc(f.backups, func(b Backup) bool { return b.Name == pick.Backup })
		if i < 0 {
			continue
		}
		switch c.verdict(f.backups[i]) {
		case report.Passed:
			o.Passed = append(o.Passed, pick.Backup)
		case report.Failed:
			o.Failed = append(o.Failed, pick.Backup)
		default:
			o.Inconclusive = append(o.Inconclusive, pick.Backup)
		}
	}
	_, o.Missing = pick(p, f.backups, f.records, now)
	schedules, _ := matching(p.Spec.Select.Schedules, f.backups)
	o.Targets = missedTargets(p.Spec, schedules, f.backups, now)
	for _, u := range f.unread {
		if mayBeNewest(u, schedules, f.backups) {
			o.Unread = append(o.Unread, u.err)
		}
	}
	return o
}

// verdict is the result of a backup's drills: of this policy at the level that it
// asks for, or a failure in any drill. "" if there is none.
func (c *chooser) verdict(b Backup) report.Verdict {
	for _, r := range c.history[b.Name] {
		own := r.Policy == c.policy.Metadata.Name
		switch {
		case r.Verdict == report.Failed:
			return report.Failed
		case own && r.Verdict == report.Passed && !r.Level.Proves(c.level()):
			// It proves less than the policy asks for.
		case own:
			return r.Verdict
		}
	}
	return ""
}

// missedTargets asks the target of the recovery point of each schedule, as each
// drill of its backups does: a schedule without new backups has no new drills.
func missedTargets(s policy.Spec, schedules []string, backups []Backup, now time.Time) []string {
	target := s.Targets.RPO.Duration
	if target == 0 || verifier.WaivesRPO(s.Waivers) {
		return nil
	}
	var missed []string
	for _, name := range schedules {
		newest := backups[slices.IndexFunc(backups, func(b Backup) bool { return b.Schedule == name })]
		if age := now.Sub(newest.Started); age > target {
			missed = append(missed, fmt.Sprintf("schedule %s: the newest backup, %s, began %s ago; at most %s is allowed (spec.targets.rpo)",
				name, newest.Name, age.Round(time.Second), s.Targets.RPO))
		}
	}
	return missed
}

// mayBeNewest reports whether a backup that could not be read may be the newest of
// a schedule: it may, unless each schedule has a backup that began after the
// metadata of the other was written.
func mayBeNewest(u unread, schedules []string, backups []Backup) bool {
	if u.modified.IsZero() {
		return true
	}
	return slices.ContainsFunc(schedules, func(name string) bool {
		newest := backups[slices.IndexFunc(backups, func(b Backup) bool { return b.Schedule == name })]
		return !newest.Started.After(u.modified)
	})
}
