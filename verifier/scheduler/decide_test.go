package scheduler

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

var night = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// made is a backup of a schedule, days old.
func made(schedule string, days int) Backup {
	name := schedule + "-" + string(rune('a'+days))
	return Backup{Name: name, Schedule: schedule, Started: night.Add(-time.Duration(days) * day), MetadataSHA256: "sum of " + name}
}

// drilled is a drill of a backup, days ago.
func drilled(b Backup, v report.Verdict, days int, change ...func(*evidence.Record)) evidence.Record {
	r := evidence.Record{Backup: b.Name, Policy: "p", Level: report.LevelControlPlane, Verdict: v, Finished: night.Add(-time.Duration(days) * day), MetadataSHA256: b.MetadataSHA256}
	for _, c := range change {
		c(&r)
	}
	return r
}

func TestWhatARunDrills(t *testing.T) {
	p := func(s policy.Select, change ...func(*policy.Spec)) policy.Policy {
		out := policy.Policy{Metadata: policy.Metadata{Name: "p"}, Spec: policy.Spec{Level: report.LevelControlPlane, Select: s}}
		for _, c := range change {
			c(&out.Spec)
		}
		return out
	}
	passed, failed, erred := report.Passed, report.Failed, report.Error
	db := policy.Select{Schedules: []string{"db"}}
	b0, b1, b2, b3, b4 := made("db", 0), made("db", 1), made("db", 2), made("db", 3), made("db", 4)
	shop, hand := made("shop", 0), Backup{Name: "by-hand", Started: night.Add(-9 * day), MetadataSHA256: "h"}
	weak := func(r *evidence.Record) { r.Level = report.LevelIntegrity }
	strong := func(r *evidence.Record) { r.Level = report.LevelKind }
	other := func(r *evidence.Record) { r.Policy = "q" }
	bytes := func(r *evidence.Record) { r.MetadataSHA256 = "other" }
	unread := func(r *evidence.Record) { r.MetadataSHA256 = "" }
	for name, tc := range map[string]struct {
		policy  policy.Policy
		backups []Backup
		records []evidence.Record
		want    []string
		missing []string
	}{
		"the newest of each schedule that matches, by name": {
			p(policy.Select{Schedules: []string{"*"}}), []Backup{shop, b0, b1, hand}, nil, []string{"db-a", "shop-a"}, nil},
		"a question mark stands for one character": {p(policy.Select{Schedules: []string{"d?"}}), []Backup{shop, b0}, nil, []string{"db-a"}, nil},
		"a schedule that two patterns name is one": {p(policy.Select{Schedules: []string{"db", "d*"}}), []Backup{b0}, nil, []string{"db-a"}, nil},
		"a proven newest backup is left alone":     {p(db), []Backup{b0, b1}, []evidence.Record{drilled(b0, passed, 0)}, nil, nil},
		"more than what is asked is proof":         {p(db), []Backup{b0}, []evidence.Record{drilled(b0, passed, 0, strong)}, nil, nil},
		"less than what is asked is none":          {p(db), []Backup{b0}, []evidence.Record{drilled(b0, passed, 0, weak)}, []string{"db-a"}, nil},
		"the level that counts may be a lower one": {p(db, func(s *policy.Spec) { s.Proven.Level = report.LevelIntegrity }), []Backup{b0}, []evidence.Record{drilled(b0, passed, 0, weak)}, nil, nil},
		"a drill of another policy asked other things": {
			p(db), []Backup{b0}, []evidence.Record{drilled(b0, passed, 0, other)}, []string{"db-a"}, nil},
		"a drill of other bytes is of another backup": {p(db), []Backup{b0}, []evidence.Record{drilled(b0, passed, 0, bytes)}, []string{"db-a"}, nil},
		"a drill of unknown bytes proves nothing":     {p(db), []Backup{b0}, []evidence.Record{drilled(b0, passed, 0, unread)}, []string{"db-a"}, nil},
		"a refuted backup is drilled again":           {p(db), []Backup{b0}, []evidence.Record{drilled(b0, failed, 0)}, []string{"db-a"}, nil},
		"a failure of any policy takes the proof back": {
			p(db), []Backup{b0}, []evidence.Record{drilled(b0, failed, 0, other, weak), drilled(b0, passed, 1)}, []string{"db-a"}, nil},
		"an inconclusive drill takes nothing back": {
			p(db), []Backup{b0}, []evidence.Record{drilled(b0, erred, 0), drilled(b0, passed, 1)}, nil, nil},
		"a proof that is too old is none": {
			p(db, func(s *policy.Spec) { s.Proven.MaxAge.Duration = 2 * day }), []Backup{b0}, []evidence.Record{drilled(b0, passed, 3)}, []string{"db-a"}, nil},
		"a proof that is young enough is one": {
			p(db, func(s *policy.Spec) { s.Proven.MaxAge.Duration = 2 * day }), []Backup{b0}, []evidence.Record{drilled(b0, passed, 2)}, nil, nil},
		"a named backup is drilled in every run": {
			p(policy.Select{Backups: []string{"by-hand"}}), []Backup{b0, hand}, []evidence.Record{drilled(hand, passed, 0)}, []string{"by-hand"}, nil},
		"a backup is drilled once, whatever the reasons": {
			p(policy.Select{Schedules: []string{"db"}, Backups: []string{"db-a"}}), []Backup{b0}, nil, []string{"db-a"}, nil},
		"what is not there is named": {
			p(policy.Select{Schedules: []string{"db", "web-*"}, Backups: []string{"gone"}}), []Backup{b0}, nil, []string{"db-a"}, []string{"schedule web-*", "backup gone"}},
		"backups made by hand match no pattern":     {p(policy.Select{Schedules: []string{"*"}}), []Backup{hand}, nil, nil, []string{"schedule *"}},
		"an empty location has nothing of anything": {p(policy.Select{Schedules: []string{"*"}, Older: 3}), nil, nil, nil, []string{"schedule *"}},
		"samples are the farthest from what was drilled": {
			p(policy.Select{Schedules: []string{"db"}, Older: 1}), []Backup{b0, b1, b2, b3, b4}, nil, []string{"db-a", "db-e"}, nil},
		"samples spread": {
			p(policy.Select{Schedules: []string{"db"}, Older: 2}), []Backup{b0, b1, b2, b3, b4}, []evidence.Record{drilled(b0, passed, 0)}, []string{"db-e", "db-c"}, nil},
		"those never drilled come before those drilled long ago": {
			p(policy.Select{Schedules: []string{"db"}, Older: 1}), []Backup{b0, b1, b2}, []evidence.Record{drilled(b0, passed, 0), drilled(b2, passed, 2)}, []string{"db-b"}, nil},
		"then those drilled longest ago": {
			p(policy.Select{Schedules: []string{"db"}, Older: 2}), []Backup{b0, b1, b2, b3},
			[]evidence.Record{drilled(b0, passed, 0), drilled(b2, passed, 1), drilled(b1, erred, 2), drilled(b3, failed, 3)}, []string{"db-d", "db-b"}, nil},
		"there are no more samples than backups": {
			p(policy.Select{Schedules: []string{"db"}, Older: 9}), []Backup{b0, b1}, nil, []string{"db-a", "db-b"}, nil},
		"samples are of each schedule": {
			p(policy.Select{Schedules: []string{"*"}, Older: 1}), []Backup{shop, b0, made("shop", 1), b1}, nil, []string{"db-a", "shop-a", "db-b", "shop-b"}, nil},
		"a drill that proves less is no sample": {
			p(policy.Select{Schedules: []string{"db"}, Older: 1}), []Backup{b0, b1}, []evidence.Record{drilled(b0, passed, 0), drilled(b1, passed, 1, weak)}, []string{"db-b"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			picks, missing := pick(tc.policy, tc.backups, tc.records, night)
			var got []string
			for _, p := range picks {
				got = append(got, p.Backup)
				assert.NotEmpty(t, p.Why)
			}
			assert.Equal(t, tc.want, got)
			assert.Equal(t, tc.missing, missing)
		})
	}
}

func TestWhatARunDoesNextAboutABackup(t *testing.T) {
	dead, alive := drilllog.Owner{Instance: "dead"}, drilllog.Owner{Instance: "alive"}
	ended := func(o drilllog.Owner) bool { return o.Instance == "dead" }
	ago := func(d time.Duration) time.Time { return night.Add(-d) }
	erred := func(n int, d time.Duration) attempt {
		return attempt{N: n, By: alive, Until: night.Add(time.Hour), Verdict: report.Error, Finished: ago(d)}
	}
	for name, tc := range map[string]struct {
		attempts []attempt
		end      time.Duration // from now; 0 is tomorrow
		want     step
	}{
		"nothing was tried":                     {nil, 0, step{Start: 1}},
		"the next run is due":                   {nil, -time.Second, step{Done: true}},
		"it passed":                             {[]attempt{{N: 1, Verdict: report.Passed}}, 0, step{Done: true}},
		"it failed":                             {[]attempt{{N: 1, Verdict: report.Failed}}, 0, step{Done: true}},
		"it passed after an error":              {[]attempt{erred(1, time.Hour), {N: 2, Verdict: report.Passed}}, 0, step{Done: true}},
		"another verifier drills it":            {[]attempt{{N: 1, By: alive, Until: night.Add(time.Minute)}}, 0, step{Wait: night.Add(time.Minute)}},
		"its verifier is known to have ended":   {[]attempt{{N: 1, By: dead, Until: night.Add(time.Hour)}}, 0, step{Start: 2}},
		"its time is over":                      {[]attempt{{N: 1, By: alive, Until: night}}, 0, step{Start: 2}},
		"it was inconclusive a moment ago":      {[]attempt{erred(1, 10*time.Second)}, 0, step{Wait: night.Add(50 * time.Second)}},
		"it was inconclusive a minute ago":      {[]attempt{erred(1, time.Minute)}, 0, step{Start: 2}},
		"the second wait is longer":             {[]attempt{erred(1, 10*time.Minute), erred(2, time.Minute)}, 0, step{Wait: night.Add(4 * time.Minute)}},
		"the third time is the last":            {[]attempt{erred(1, time.Hour), erred(2, time.Hour), erred(3, time.Hour)}, 0, step{Done: true}},
		"crashes are counted, too":              {[]attempt{{N: 1, By: dead}, {N: 2, By: dead}, {N: 3, By: dead}}, 0, step{Done: true}},
		"it was given up when a verifier ended": {[]attempt{{N: 1, By: alive, Until: night.Add(time.Hour), Released: night, Free: true}}, 0, step{Start: 2}},
		"stopping does not use attempts up": {
			[]attempt{{N: 1, Released: night, Free: true}, {N: 2, Released: night, Free: true}, {N: 3, Released: night, Free: true}}, 0, step{Start: 4}},
		"it left no evidence":                     {[]attempt{{N: 1, By: alive, Until: night.Add(time.Hour), Released: ago(time.Second)}}, 0, step{Wait: night.Add(59 * time.Second)}},
		"an error is not tried after the end":     {[]attempt{erred(1, time.Hour)}, -time.Second, step{Done: true}},
		"a drill that goes on past the end stays": {[]attempt{{N: 1, By: alive, Until: night.Add(time.Minute)}}, -time.Second, step{Wait: night.Add(time.Minute)}},
		"attempts in any order":                   {[]attempt{erred(12, time.Hour), erred(2, time.Hour)}, 0, step{Start: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			end := night.Add(day)
			if tc.end != 0 {
				end = night.Add(tc.end)
			}
			assert.Equal(t, tc.want, nextStep(tc.attempts, night, end, ended))
		})
	}
}

func TestWhichRunIsDue(t *testing.T) {
	nightly, err := schedule.Parse("0 3 * * *")
	require.NoError(t, err)
	every, err := schedule.Parse("@every 6h")
	require.NoError(t, err)
	never := time.Time{}
	for name, tc := range map[string]struct {
		cron               schedule.Cron
		last, started, now time.Time
		once               bool
		want               time.Time
	}{
		"a policy that never ran waits for its time": {nightly, never, night.Add(-time.Hour), night.Add(-time.Second), false, never},
		"and runs then":                                 {nightly, never, night.Add(-time.Hour), night, false, night},
		"nothing is due between":                        {nightly, night, night.Add(time.Hour), night.Add(day - time.Second), false, never},
		"a night later the next is":                     {nightly, night, night.Add(time.Hour), night.Add(day), false, night.Add(day)},
		"a week of downtime is one run":                 {nightly, night, night.Add(7*day + time.Hour), night.Add(7*day + time.Hour), false, night.Add(7 * day)},
		"every begins at once":                          {every, never, night, night.Add(500 * time.Millisecond), false, night},
		"with the minute, as its twin beside it":        {every, never, night, night.Add(59 * time.Second), false, night},
		"every counts from the last run, not the start": {every, night, night.Add(5 * time.Hour), night.Add(6 * time.Hour), false, night.Add(6 * time.Hour)},
		"every catches up once, too":                    {every, night, night.Add(20 * time.Hour), night.Add(20 * time.Hour), false, night.Add(18 * time.Hour)},
		"asked once, what never ran runs":               {nightly, never, night.Add(time.Hour), night.Add(time.Hour), true, night.Add(time.Hour)},
		"asked once, what ran tonight does not":         {nightly, night, night.Add(time.Hour), night.Add(time.Hour), true, never},
		"asked once, what was missed runs":              {nightly, night, night.Add(30 * time.Hour), night.Add(30 * time.Hour), true, night.Add(day)},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, dueRun(tc.cron, tc.last, tc.started, tc.now, tc.once))
		})
	}
}
