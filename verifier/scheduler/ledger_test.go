package scheduler

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store/mem"
)

func TestARunIsWhatItsFirstRecordSays(t *testing.T) {
	l := ledger{store: mem.New(), policy: "p"}
	first, err := l.begin(t.Context(), run{Schema: runSchema, Policy: "p", Due: night, Drills: []Pick{{"a", "it is new"}}})
	require.NoError(t, err)
	second, err := l.begin(t.Context(), run{Schema: runSchema, Policy: "p", Due: night, Drills: []Pick{{"b", "it is new"}}})
	require.NoError(t, err)
	assert.Equal(t, first.Drills, second.Drills)
	last, err := l.last(t.Context(), night)
	require.NoError(t, err)
	assert.Equal(t, second, last)
}

func TestAnAttemptIsWhoeverClaimsItFirst(t *testing.T) {
	l := ledger{store: mem.New(), policy: "p"}
	mine, err := l.claim(t.Context(), night, "b", 1, claim{Drill: "one"})
	require.NoError(t, err)
	assert.True(t, mine)
	mine, err = l.claim(t.Context(), night, "b", 1, claim{Drill: "two"})
	require.NoError(t, err)
	assert.False(t, mine)
	require.NoError(t, l.release(t.Context(), night, "b", 1, release{At: night, Free: true}))
	attempts, err := l.attempts(t.Context(), night, "b")
	require.NoError(t, err)
	assert.Equal(t, []attempt{{N: 1, Drill: "one", Released: night, Free: true}}, attempts)
}
