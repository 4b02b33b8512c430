//go:build e2e

package sabotage

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/test/part"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/check"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// reports is where the table and the JSON are left.
const reports = "../../.cache/reports"

// Each case is drilled by the built program at the levels that need no container
// engine. A run may take a part of those that need a cluster.
func TestEverySabotageIsCaughtAndNoHealthyBackupIsBlamed(t *testing.T) {
	server := rig.S3(t)
	sources := NewSources(t, keys(t))
	cases := append(All(), Hostile(t)...)
	taken := part.Of(t)
	at := levels(cases, taken)
	results := make([]Result, len(cases))
	t.Run("case", func(t *testing.T) {
		for i, c := range cases {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				results[i] = drillAt(t, sources, c, server, at[i]...)
			})
		}
	})
	t.Logf("part %s taken", taken)
	record(t, "sabotage", results)
	if slices.ContainsFunc(results, func(r Result) bool { return len(r.Seen) == 0 }) {
		return // a part of the corpus was asked for (go test -run), which says nothing of the checks
	}
	needed := Needed(results)
	for _, c := range check.All() {
		assert.NotEmpty(t, needed[c.Name], "no case needs the check %s", c.Name)
	}
	if !taken.Whole() {
		return
	}
	for _, name := range []string{"items_restored", "items_equal"} {
		assert.NotEmpty(t, needed[name], "no case needs the check %s", name)
	}
}

func keys(t *testing.T) Keys {
	t.Helper()
	one, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	other, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return Keys{Recipient: one.Recipient().String(), Identity: one.String(), Other: other.String()}
}

// drillAt drills a case at levels, and says what is not as it should be.
func drillAt(t *testing.T, sources *Sources, c Case, server rig.S3Server, levels ...report.Level) Result {
	t.Helper()
	r := Result{Case: c}
	for _, level := range levels {
		s := sources.Drill(t, c, server).Run(t, level, c.Want.NoEvidence)
		r.Seen = append(r.Seen, s)
		if o := c.Want.Judge(s); !o.Good() {
			t.Errorf("%s at %s: want %s (%+v), got %s: %s; findings %+v", o, level, c.Want.At(level), c.Want.Finding, s.Verdict, s.Summary, s.Findings)
		}
	}
	return r
}

// record leaves the table and the JSON, and prints the totals.
func record(t *testing.T, name string, results []Result) {
	t.Helper()
	require.NoError(t, os.MkdirAll(reports, 0o755))
	table, err := os.Create(filepath.Join(reports, name+".md"))
	require.NoError(t, err)
	defer table.Close()
	data, err := os.Create(filepath.Join(reports, name+".json"))
	require.NoError(t, err)
	defer data.Close()
	require.NoError(t, Write(table, results))
	require.NoError(t, Encode(data, results))
	t.Log(Sum(results))
}
