package scheduler

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

func TestTheOutcomeOfARun(t *testing.T) {
	b0, b1, shop := made("db", 0), made("db", 1), made("shop", 3)
	drills := func(all ...Backup) (r drilllog.Run) {
		r.Due = night
		for _, b := range all {
			r.Drills = append(r.Drills, drilllog.Pick{Backup: b.Name})
		}
		return r
	}
	weak := func(r *evidence.Record) { r.Level = report.LevelIntegrity }
	other := func(r *evidence.Record) { r.Policy = "q" }
	elsewhere := func(r *evidence.Record) { r.MetadataSHA256 = "other" }
	passed, failed, erred := report.Passed, report.Failed, report.Error
	rpo := func(d time.Duration) func(*policy.Spec) {
		return func(s *policy.Spec) { s.Targets.RPO.Duration = d }
	}
	for name, tc := range map[string]struct {
		run    drilllog.Run
		found  found
		change []func(*policy.Spec)
		want   Outcome
	}{
		"a backup that passed": {run: drills(b0), found: found{backups: []Backup{b0}, records: []evidence.Record{drilled(b0, passed, 0)}},
			want: Outcome{Drills: []string{"db-a"}, Passed: []string{"db-a"}}},
		"a failed one, whoever drilled it": {run: drills(b0), found: found{backups: []Backup{b0}, records: []evidence.Record{drilled(b0, failed, 0, other), drilled(b0, passed, 1)}},
			want: Outcome{Drills: []string{"db-a"}, Failed: []string{"db-a"}}},
		"one that failed and passed since": {run: drills(b0), found: found{backups: []Backup{b0}, records: []evidence.Record{drilled(b0, passed, 0), drilled(b0, failed, 1)}},
			want: Outcome{Drills: []string{"db-a"}, Passed: []string{"db-a"}}},
		"an inconclusive drill": {run: drills(b0), found: found{backups: []Backup{b0}, records: []evidence.Record{drilled(b0, erred, 0)}},
			want: Outcome{Drills: []string{"db-a"}, Inconclusive: []string{"db-a"}}},
		"no evidence at all": {run: drills(b0), found: found{backups: []Backup{b0}},
			want: Outcome{Drills: []string{"db-a"}, Inconclusive: []string{"db-a"}}},
		"a pass that proves less": {run: drills(b0), found: found{backups: []Backup{b0}, records: []evidence.Record{drilled(b0, passed, 0, weak)}},
			want: Outcome{Drills: []string{"db-a"}, Inconclusive: []string{"db-a"}}},
		"a pass of other bytes": {run: drills(b0), found: found{backups: []Backup{b0}, records: []evidence.Record{drilled(b0, passed, 0, elsewhere)}},
			want: Outcome{Drills: []string{"db-a"}, Inconclusive: []string{"db-a"}}},
		"another policy's error does not matter": {run: drills(b0), found: found{backups: []Backup{b0}, records: []evidence.Record{drilled(b0, erred, 0, other), drilled(b0, passed, 1)}},
			want: Outcome{Drills: []string{"db-a"}, Passed: []string{"db-a"}}},
		"a failed backup that was deleted": {run: drills(b1), found: found{backups: []Backup{b0}, records: []evidence.Record{drilled(b1, failed, 0)}},
			want: Outcome{Drills: []string{"db-b"}}},
		"the schedule is gone": {run: drills(), found: found{backups: []Backup{shop}},
			want: Outcome{Missing: []string{"schedule db"}}},
		"a named backup is gone": {run: drills(), found: found{backups: []Backup{b0}}, change: []func(*policy.Spec){func(s *policy.Spec) { s.Select.Backups = []string{"golden"} }},
			want: Outcome{Missing: []string{"backup golden"}}},
		"a location that is empty": {run: drills(), want: Outcome{Missing: []string{"schedule db"}}},
		"the target is met":        {run: drills(), found: found{backups: []Backup{b1}}, change: []func(*policy.Spec){rpo(day)}, want: Outcome{}},
		"the target is missed by the newest": {run: drills(), found: found{backups: []Backup{b1, made("db", 2)}}, change: []func(*policy.Spec){rpo(day - time.Minute)},
			want: Outcome{Targets: []string{"schedule db: the newest backup, db-b, began 24h0m0s ago; at most 23h59m is allowed (spec.targets.rpo)"}}},
		"another schedule's target is not asked": {run: drills(), found: found{backups: []Backup{b0, shop}}, change: []func(*policy.Spec){rpo(day)}, want: Outcome{}},
		"a waived target": {run: drills(), found: found{backups: []Backup{b1}}, change: []func(*policy.Spec){rpo(time.Hour), func(s *policy.Spec) { s.Waivers = []policy.Waiver{{Check: "rpo", Reason: "migration"}} }},
			want: Outcome{}},
		"a backup that cannot be read, and is newer": {run: drills(), found: found{backups: []Backup{b1}, unread: []unread{{"denied", night}}}, want: Outcome{Unread: []string{"denied"}}},
		"one of unknown age":                         {run: drills(), found: found{backups: []Backup{b1}, unread: []unread{{err: "denied"}}}, want: Outcome{Unread: []string{"denied"}}},
		"one that is older, in an archive":           {run: drills(), found: found{backups: []Backup{b0}, unread: []unread{{"archived", night.Add(-day)}}}, want: Outcome{}},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy.Policy{Metadata: policy.Metadata{Name: "p"}, Spec: policy.Spec{Level: report.LevelControlPlane, Select: policy.Select{Schedules: []string{"db"}}}}
			for _, c := range tc.change {
				c(&p.Spec)
			}
			tc.want.Due = night
			assert.Equal(t, tc.want, outcome(p, tc.run, tc.found, night))
		})
	}
}

func TestTheLastLineOfARunSaysWhyNothingWasDrilled(t *testing.T) {
	one := []string{"x"}
	assert.Equal(t, "run ended", Outcome{Drills: one, Missing: one}.headline(1))
	assert.Equal(t, "nothing is due: the last run is done", Outcome{Drills: one}.headline(0))
	assert.Equal(t, "nothing to drill: the location does not hold what the policy selects", Outcome{Missing: one, Unread: one}.headline(0))
	assert.Equal(t, "nothing to drill, but a backup could not be read", Outcome{Unread: one}.headline(0))
	assert.Equal(t, "nothing to drill: every selected backup is proven", Outcome{}.headline(0))
}

func TestPoliciesOfOneNameAreToldFromAPolicyThatWasChanged(t *testing.T) {
	for name, tc := range map[string]struct {
		used [][]string // newest run first
		want []string
	}{
		"no run":                       {nil, nil},
		"the first run":                {[][]string{{"own"}}, nil},
		"always the same":              {[][]string{{"own"}, {"own"}, {"own"}}, nil},
		"changed since the last run":   {[][]string{{"own"}, {"old"}, {"old"}}, nil},
		"two in one run":               {[][]string{{"other", "own"}}, []string{"other"}},
		"two in the run before":        {[][]string{{"own"}, {"other", "own"}}, []string{"other"}},
		"at other times, in turn":      {[][]string{{"own"}, {"other"}, {"third"}, {"own"}}, []string{"other", "third"}},
		"changed and changed back":     {[][]string{{"own"}, {"own"}, {"other"}, {"own"}}, nil},
		"each once, however often":     {[][]string{{"other", "own"}, {"other", "own"}}, []string{"other"}},
		"own is not there, as yet":     {[][]string{{"other"}, {"own"}}, []string{"other"}},
		"own was never there, as yet ": {[][]string{{"other"}, {"third"}}, []string{"other"}},
	} {
		assert.Equal(t, tc.want, foreign("own", tc.used), name)
	}
}

func TestTheDigestOfAPolicyIsThatOfWhatItAsksFor(t *testing.T) {
	a := policy.Spec{Location: "s3://a", Level: report.LevelKind, Images: policy.Images{Archive: "/one/images.tar"}}
	b := a
	b.Location, b.Images.Archive = "s3://b", "/two/images.tar"
	assert.Equal(t, digest(a), digest(b))
	assert.Len(t, digest(a), 16)
	b.Level = report.LevelIntegrity
	assert.NotEqual(t, digest(a), digest(b))
}
