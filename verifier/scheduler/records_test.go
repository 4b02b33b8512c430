package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

func recordsOf(t *testing.T, s store.Store) records {
	return records{store: s, policy: "p", longest: time.Hour, damaged: func(err error) { t.Error("damaged:", err) }}
}

// Whoever may write to the location knows the keys of tonight's records.
func TestADamagedRecordOfAnAttemptIsNamedAndCountsForNothing(t *testing.T) {
	claim := func(at, until time.Time, drill string) string {
		return fmt.Sprintf(`{"schema":"lifeboat.dev/claim/v1alpha1","drill":%q,"at":%q,"until":%q}`, drill, at.Format(time.RFC3339), until.Format(time.RFC3339))
	}
	for name, content := range map[string]string{
		"nothing":                  "",
		"no claim":                 "{}",
		"cut":                      "{",
		"another schema":           `{"schema":"lifeboat.dev/run/v1alpha1"}`,
		"a claim until the year 9": claim(night, night.AddDate(7000, 0, 0), "d"),
		"a claim made last year":   claim(night.AddDate(-1, 0, 0), night.Add(time.Hour), "d"),
		"a claim made next year":   claim(night.AddDate(1, 0, 0), night.AddDate(1, 0, 0).Add(time.Hour), "d"),
		"an end before the start":  claim(night, night.Add(-time.Minute), "d"),
		"no drill":                 claim(night, night.Add(time.Minute), ""),
		"a drill elsewhere":        claim(night, night.Add(time.Minute), "../../x"),
		"a bomb":                   `{"by":[` + strings.Repeat("{},", 1<<20) + `{}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := mem.New()
			l := recordsOf(t, s)
			var named []string
			l.damaged = func(err error) { named = append(named, err.Error()) }
			require.NoError(t, s.Put(t.Context(), l.key(night, "b", 1).ClaimKey(), strings.NewReader(content)))
			attempts, err := l.attempts(t.Context(), night, "b", night)
			require.NoError(t, err)
			assert.Equal(t, []attempt{{N: 1, Void: true}}, attempts)
			require.Len(t, named, 1)
			assert.Contains(t, named[0], l.key(night, "b", 1).ClaimKey())
			assert.Equal(t, step{Start: 2}, nextStep(attempts, night, night.Add(day), func(drilllog.Owner) bool { return false }))
		})
	}
}

func TestADamagedReleaseReleasesNothingAndDamagedEvidenceAnswersNothing(t *testing.T) {
	s := mem.New()
	l := recordsOf(t, s)
	named := 0
	l.damaged = func(error) { named++ }
	_, err := l.claim(t.Context(), night, "b", 1, drilllog.Claim{Drill: "d", At: night, Until: night.Add(3 * time.Hour)})
	require.NoError(t, err)
	require.NoError(t, s.Put(t.Context(), l.key(night, "b", 1).ReleaseKey(), strings.NewReader("{}")))
	attempts, err := l.attempts(t.Context(), night, "b", night)
	require.NoError(t, err)
	assert.Equal(t, []attempt{{N: 1, Drill: "d", Until: night.Add(time.Hour)}}, attempts, "and no drill of this policy takes longer than its timeout")
	assert.Equal(t, 1, named)
	require.NoError(t, s.Put(t.Context(), store.Evidence("b", "d"), strings.NewReader("{}")))
	attempts, err = l.attempts(t.Context(), night, "b", night)
	require.NoError(t, err)
	assert.Equal(t, []attempt{{N: 1, Drill: "d", Until: night.Add(time.Hour), Verdict: report.Error, Finished: night}}, attempts)
	assert.Equal(t, 3, named)
}

func TestARunIsWhatItsFirstRecordSays(t *testing.T) {
	l := recordsOf(t, mem.New())
	first, err := l.begin(t.Context(), drilllog.Run{Due: night, Began: night, Drills: []drilllog.Pick{{Backup: "a", Why: "it is new"}}})
	require.NoError(t, err)
	second, err := l.begin(t.Context(), drilllog.Run{Due: night, Began: night, Drills: []drilllog.Pick{{Backup: "b", Why: "it is new"}}})
	require.NoError(t, err)
	assert.Equal(t, first.Drills, second.Drills)
	last, lost, err := l.last(t.Context(), night)
	require.NoError(t, err)
	assert.False(t, lost)
	assert.Equal(t, second, last)
}

func TestAnAttemptIsWhoeverClaimsItFirst(t *testing.T) {
	l := recordsOf(t, mem.New())
	mine, err := l.claim(t.Context(), night, "b", 1, drilllog.Claim{Drill: "one", At: night, Until: night.Add(time.Minute)})
	require.NoError(t, err)
	assert.True(t, mine)
	mine, err = l.claim(t.Context(), night, "b", 1, drilllog.Claim{Drill: "two"})
	require.NoError(t, err)
	assert.False(t, mine)
	require.NoError(t, l.release(t.Context(), night, "b", 1, drilllog.Release{At: night, Free: true}))
	attempts, err := l.attempts(t.Context(), night, "b", night)
	require.NoError(t, err)
	assert.Equal(t, []attempt{{N: 1, Drill: "one", Until: night.Add(time.Minute), Released: night, Free: true}}, attempts)
}
