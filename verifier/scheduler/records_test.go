package scheduler

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
)

func TestARunIsWhatItsFirstRecordSays(t *testing.T) {
	l := records{store: mem.New(), policy: "p"}
	first, err := l.begin(t.Context(), drilllog.Run{Due: night, Drills: []drilllog.Pick{{Backup: "a", Why: "it is new"}}})
	require.NoError(t, err)
	second, err := l.begin(t.Context(), drilllog.Run{Due: night, Drills: []drilllog.Pick{{Backup: "b", Why: "it is new"}}})
	require.NoError(t, err)
	assert.Equal(t, first.Drills, second.Drills)
	last, err := l.last(t.Context(), night)
	require.NoError(t, err)
	assert.Equal(t, second, last)
}

func TestAnAttemptIsWhoeverClaimsItFirst(t *testing.T) {
	l := records{store: mem.New(), policy: "p"}
	mine, err := l.claim(t.Context(), night, "b", 1, drilllog.Claim{Drill: "one"})
	require.NoError(t, err)
	assert.True(t, mine)
	mine, err = l.claim(t.Context(), night, "b", 1, drilllog.Claim{Drill: "two"})
	require.NoError(t, err)
	assert.False(t, mine)
	require.NoError(t, l.release(t.Context(), night, "b", 1, drilllog.Release{At: night, Free: true}))
	attempts, err := l.attempts(t.Context(), night, "b")
	require.NoError(t, err)
	assert.Equal(t, []attempt{{N: 1, Drill: "one", Released: night, Free: true}}, attempts)
}
