package drilllog_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
)

var (
	night = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	by    = drilllog.Owner{Machine: "m", PID: 7, Instance: "i"}
	first = drilllog.Attempt{Policy: "nightly", Due: night, Backup: "db-1", N: 1}
)

func put(t *testing.T, s store.Store, key, content string) {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), key, strings.NewReader(content)))
}

// The bytes and the keys are a format: verifiers and exporters of other versions
// read them.
func TestRecordsAreWrittenInOneForm(t *testing.T) {
	s := mem.New()
	run := drilllog.Run{Policy: "nightly", Due: night, Began: night.Add(time.Second), By: by, Drills: []drilllog.Pick{{Backup: "db-1", Why: "new"}}}
	claim := drilllog.Claim{Drill: "d1", At: night, Until: night.Add(time.Hour), By: by}
	release := drilllog.Release{At: night, Reason: "stopped", Free: true}
	require.NoError(t, drilllog.WriteRun(t.Context(), s, run))
	require.NoError(t, drilllog.WriteClaim(t.Context(), s, first, claim))
	require.NoError(t, drilllog.WriteRelease(t.Context(), s, first, release))
	const owner = "{\n    \"machine\": \"m\",\n    \"pid\": 7,\n    \"instance\": \"i\"\n  }"
	for key, want := range map[string]string{
		"metadata/lifeboat/ledger/nightly/20261122T030000Z.json": "{\n  \"schema\": \"lifeboat.dev/run/v1alpha1\",\n  \"policy\": \"nightly\",\n  \"due\": \"2026-11-22T03:00:00Z\",\n" +
			"  \"began\": \"2026-11-22T03:00:01Z\",\n  \"by\": " + owner + ",\n  \"drills\": [\n    {\n      \"backup\": \"db-1\",\n      \"why\": \"new\"\n    }\n  ]\n}\n",
		"metadata/lifeboat/ledger/nightly/20261122T030000Z/db-1/1.json": "{\n  \"schema\": \"lifeboat.dev/claim/v1alpha1\",\n  \"drill\": \"d1\",\n  \"at\": \"2026-11-22T03:00:00Z\",\n" +
			"  \"until\": \"2026-11-22T04:00:00Z\",\n  \"by\": " + owner + "\n}\n",
		"metadata/lifeboat/ledger/nightly/20261122T030000Z/db-1/1-released.json": "{\n  \"schema\": \"lifeboat.dev/release/v1alpha1\",\n  \"at\": \"2026-11-22T03:00:00Z\",\n" +
			"  \"reason\": \"stopped\",\n  \"free\": true\n}\n",
	} {
		r, err := s.Get(t.Context(), key)
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		assert.Equal(t, want, string(got), key)
	}
	run.Schema, claim.Schema, release.Schema = drilllog.RunSchema, drilllog.ClaimSchema, drilllog.ReleaseSchema
	gotRun, err := drilllog.ReadRun(t.Context(), s, "nightly", night)
	require.NoError(t, err)
	assert.Equal(t, run, gotRun)
	gotClaim, err := drilllog.ReadClaim(t.Context(), s, first)
	require.NoError(t, err)
	assert.Equal(t, claim, gotClaim)
	gotRelease, err := drilllog.ReadRelease(t.Context(), s, first)
	require.NoError(t, err)
	assert.Equal(t, release, gotRelease)
}

func TestARecordIsWrittenOnce(t *testing.T) {
	s := mem.New()
	require.NoError(t, drilllog.WriteClaim(t.Context(), s, first, drilllog.Claim{Drill: "d1"}))
	assert.ErrorIs(t, drilllog.WriteClaim(t.Context(), s, first, drilllog.Claim{Drill: "d2"}), store.ErrExists)
}

func TestRunsAreListedNewestFirstWithoutThoseOfTheFuture(t *testing.T) {
	s := mem.New()
	for _, name := range []string{"20261120T030000Z", "20261122T030000Z", "20261121T030000Z", "20991121T030000Z", "notes", "20261119T030000Z.bak"} {
		put(t, s, store.Run("nightly", name), "{}")
	}
	put(t, s, first.ClaimKey(), "{}")
	due, err := drilllog.Runs(t.Context(), s, "nightly", night)
	require.NoError(t, err)
	assert.Equal(t, []time.Time{night, night.AddDate(0, 0, -1), night.AddDate(0, 0, -2)}, due)
}

func TestPoliciesAreListedWithoutRunLogs(t *testing.T) {
	s := mem.New()
	put(t, s, store.RunsEpoch("default"), "{}")
	put(t, s, store.Run("nightly", "20261122T030000Z"), "{}")
	put(t, s, store.Attempts("weekly", "20261122T030000Z", "db-1")+"1.json", "{}")
	policies, err := drilllog.Policies(t.Context(), s)
	require.NoError(t, err)
	assert.Equal(t, []string{"nightly", "weekly"}, policies)
	for i := range 100 {
		put(t, s, store.Run(fmt.Sprint("p-", i), "20261122T030000Z"), "{}")
	}
	_, err = drilllog.Policies(t.Context(), s)
	assert.ErrorContains(t, err, "more than 100 policies")
}

func TestAttemptsAreListedWithWhetherTheyWereReleased(t *testing.T) {
	s := mem.New()
	prefix := drilllog.RunPrefix("nightly", night)
	for _, key := range []string{"db-1/1.json", "db-1/1-released.json", "db-1/10.json", "db-1/2.json", "db-2/1.json",
		"db-3/7-released.json", "db-3/01.json", "db-3/0.json", "db-3/x.json", "db-3/1", "db-3/1/1.json", "1.json"} {
		put(t, s, prefix+key, "{}")
	}
	listed := func(backup string, n int, released bool) drilllog.Listed {
		return drilllog.Listed{Attempt: drilllog.Attempt{Policy: "nightly", Due: night, Backup: backup, N: n}, Released: released}
	}
	all, err := drilllog.Attempts(t.Context(), s, "nightly", night, "")
	require.NoError(t, err)
	assert.Equal(t, []drilllog.Listed{listed("db-1", 1, true), listed("db-1", 2, false), listed("db-1", 10, false), listed("db-2", 1, false)}, all)
	one, err := drilllog.Attempts(t.Context(), s, "nightly", night, "db-2")
	require.NoError(t, err)
	assert.Equal(t, []drilllog.Listed{listed("db-2", 1, false)}, one)
}

func TestAMalformedRecordIsNamed(t *testing.T) {
	s := mem.New()
	for name, tc := range map[string]struct{ content, want string }{
		"not JSON":            {"{", "unexpected end"},
		"another schema":      {`{"schema":"lifeboat.dev/run/v9"}`, `schema "lifeboat.dev/run/v9", want "lifeboat.dev/run/v1alpha1"`},
		"not a backup's name": {`{"schema":"lifeboat.dev/run/v1alpha1","drills":[{"backup":"../x"}]}`, `backup name "../x" is not valid`},
		"many values":         {`{"schema":"lifeboat.dev/run/v1alpha1","drills":[` + strings.Repeat("{},", 200_000) + `{}]}`, "values"},
		"too large":           {`{"schema":"` + strings.Repeat("x", 8<<20) + `"}`, "over the limit"},
	} {
		due := night
		put(t, s, drilllog.RunKey("p-"+strings.ReplaceAll(strings.ToLower(name), " ", "-"), due), tc.content)
		_, err := drilllog.ReadRun(t.Context(), s, "p-"+strings.ReplaceAll(strings.ToLower(name), " ", "-"), due)
		assert.ErrorIs(t, err, drilllog.ErrMalformed, name)
		assert.ErrorContains(t, err, tc.want, name)
		assert.ErrorContains(t, err, "malformed metadata/lifeboat/ledger/p-", name)
	}
	put(t, s, first.ClaimKey(), `{"schema":"lifeboat.dev/claim/v1alpha1","drill":"`+strings.Repeat("x", 64<<10)+`"}`)
	_, err := drilllog.ReadClaim(t.Context(), s, first)
	assert.ErrorIs(t, err, drilllog.ErrMalformed)
	_, err = drilllog.ReadRelease(t.Context(), s, first)
	assert.ErrorIs(t, err, store.ErrNotFound)
	assert.NotErrorIs(t, err, drilllog.ErrMalformed)
}

func TestWhatEvidenceCanBeNamed(t *testing.T) {
	for ref, want := range map[drilllog.Ref]bool{
		{Backup: "db-1", Drill: "20261122T030000Z-x"}: true,
		{Backup: "db-1"}:               false,
		{Backup: "DB", Drill: "d"}:     false,
		{Backup: "db-1", Drill: "a/b"}: false,
		{Backup: "..", Drill: "d"}:     false,
		{Backup: "db-1", Drill: "\n"}:  false,
		{Backup: "db-1", Drill: "\\"}:  false,
	} {
		assert.Equal(t, want, ref.Valid(), "%+v", ref)
	}
}
