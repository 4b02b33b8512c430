package scheduler

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Backup is a backup that could be drilled, as far as choosing goes.
type Backup struct {
	Name      string
	Schedule  string // label velero.io/schedule-name; "" for one made manually, or damaged
	Started   time.Time
	Completed time.Time // zero if that is unknown
	// MetadataSHA256 and Files identify the bytes that a drill must be about.
	MetadataSHA256 string
	Files          report.Fingerprint
	Modified       time.Time // the newest modification time of the files
}

// pick chooses what a run of a policy drills, in the order in which it does: of
// each schedule the newest backup, unless it is proven; the backups that the
// policy names, always; older ones as samples. missing names what the policy
// asks for and the location does not have.
//
// A backup is proven by a passed drill of this policy, of the very bytes that
// lie there, thorough and young enough, until a later drill of them fails.
//
// It is pure. Backups and records are newest first.
func pick(p policy.Policy, backups []Backup, records []evidence.Record, now time.Time) (picks []drilllog.Pick, missing []string) {
	c := chooser{policy: p, history: histories(backups, records), now: now}
	schedules, missing := matching(p.Spec.Select.Schedules, backups)
	for _, name := range schedules {
		of := slices.DeleteFunc(slices.Clone(backups), func(b Backup) bool { return b.Schedule != name })
		if newest := of[0]; !c.proven(newest) {
			c.take(newest, fmt.Sprintf("newest of schedule %s, not proven", name))
		}
	}
	for _, name := range p.Spec.Select.Backups {
		i := slices.IndexFunc(backups, func(b Backup) bool { return b.Name == name })
		if i < 0 {
			missing = append(missing, "backup "+name)
			continue
		}
		c.take(backups[i], "named by the policy")
	}
	for _, name := range schedules {
		of := slices.DeleteFunc(slices.Clone(backups), func(b Backup) bool { return b.Schedule != name })
		c.sample(of)
	}
	return c.picks, missing
}

// matching are the schedules that have backups and match a pattern, by name,
// and the patterns that match none.
func matching(patterns []string, backups []Backup) (schedules, missing []string) {
	for _, pattern := range patterns {
		found := false
		for _, b := range backups {
			if ok, err := path.Match(pattern, b.Schedule); b.Schedule == "" || err != nil || !ok {
				continue
			}
			found = true
			if !slices.Contains(schedules, b.Schedule) {
				schedules = append(schedules, b.Schedule)
			}
		}
		if !found {
			missing = append(missing, "schedule "+pattern)
		}
	}
	slices.Sort(schedules)
	return schedules, missing
}

// histories are the drills of each backup, newest first: only of its very bytes.
func histories(backups []Backup, records []evidence.Record) map[string][]evidence.Record {
	byName := make(map[string]Backup, len(backups))
	for _, b := range backups {
		byName[b.Name] = b
	}
	out := map[string][]evidence.Record{}
	for _, r := range records {
		// A drill that never came to read the metadata cannot say which bytes it
		// is about.
		if r.MetadataSHA256 == "" || ofBytes(r, byName[r.Backup]) {
			out[r.Backup] = append(out[r.Backup], r)
		}
	}
	return out
}

// ofBytes reports whether a drill was of the bytes of a backup.
func ofBytes(r evidence.Record, b Backup) bool {
	return r.MetadataSHA256 == b.MetadataSHA256 && report.SameFiles(r.Files, b.Files, r.Finished, b.Modified)
}

// chooser is a choice in progress.
type chooser struct {
	policy  policy.Policy
	history map[string][]evidence.Record
	now     time.Time
	picks   []drilllog.Pick
}

func (c *chooser) take(b Backup, why string) {
	if !c.taken(b.Name) {
		c.picks = append(c.picks, drilllog.Pick{Backup: b.Name, Why: why})
	}
}

func (c *chooser) taken(name string) bool {
	return slices.ContainsFunc(c.picks, func(p drilllog.Pick) bool { return p.Backup == name })
}

// level is what counts as proven.
func (c *chooser) level() report.Level {
	return cmp.Or(c.policy.Spec.Proven.Level, c.policy.Spec.Level)
}

func (c *chooser) proven(b Backup) bool {
	longest := c.policy.Spec.Proven.MaxAge.Duration
	for _, r := range c.history[b.Name] {
		switch {
		case r.Verdict == report.Failed:
			return false
		case r.Verdict == report.Passed && r.MetadataSHA256 != "" && r.Policy == c.policy.Metadata.Name && r.Level.Proves(c.level()):
			return longest <= 0 || c.now.Sub(r.Finished) <= longest
		}
	}
	return false
}

// drilled is when a backup was last drilled, at the level or above, whatever
// came of it; the zero time for never.
func (c *chooser) drilled(b Backup) time.Time {
	for _, r := range c.history[b.Name] {
		if r.Level.Proves(c.level()) {
			return r.Finished
		}
	}
	return time.Time{}
}

// sample takes older backups of a schedule: those that were never drilled, the
// one farthest in time from any that was first, so that samples spread over all
// there is; then those drilled longest ago.
func (c *chooser) sample(of []Backup) {
	for range c.policy.Spec.Select.Older {
		var known, never, before []Backup
		for i, b := range of {
			taken, drilled := c.taken(b.Name), !c.drilled(b).IsZero()
			if taken || drilled {
				known = append(known, b)
			}
			switch {
			case taken || i == 0: // the newest is no older one
			case drilled:
				before = append(before, b)
			default:
				never = append(never, b)
			}
		}
		switch {
		case len(never) > 0:
			c.take(farthest(never, known), "older, never drilled")
		case len(before) > 0:
			b := slices.MinFunc(before, func(a, b Backup) int { return c.drilled(a).Compare(c.drilled(b)) })
			c.take(b, "older, drilled longest ago")
		default:
			return
		}
	}
}

// farthest is the candidate whose nearest of the others is farthest away; the
// newest of equals, and of all when there are no others.
func farthest(candidates, others []Backup) Backup {
	distance := func(b Backup) time.Duration {
		nearest := time.Duration(1<<63 - 1)
		for _, o := range others {
			nearest = min(nearest, b.Started.Sub(o.Started).Abs())
		}
		return nearest
	}
	// MaxFunc returns the first of equals, and the newest is first.
	return slices.MaxFunc(candidates, func(a, b Backup) int { return cmp.Compare(distance(a), distance(b)) })
}
