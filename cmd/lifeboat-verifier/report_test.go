package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence/evidencetest"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// execute runs a command in this process.
func execute(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cli.Run(t.Context(), newRoot(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// drilled is a location with evidence: of the schedule daily a passed drill two
// days ago and a failed one an hour ago, of none an error three hours ago.
func drilled(t *testing.T) (dir string, s store.Store) {
	t.Helper()
	dir = t.TempDir()
	location, err := fs.Open(dir, true)
	require.NoError(t, err)
	t.Cleanup(func() { _ = location.Close() })
	for _, d := range []struct {
		id, backup, schedule string
		verdict              report.Verdict
		ago                  time.Duration
	}{
		{"one", "daily-1", "daily", report.Passed, 48 * time.Hour},
		{"two", "daily-2", "daily", report.Failed, time.Hour},
		{"three", "by-hand", "", report.Error, 3 * time.Hour},
	} {
		started := time.Now().Add(-d.ago).UTC().Truncate(time.Second)
		r := report.Report{
			Schema: report.Schema, ID: d.id, Level: report.LevelControlPlane, Verdict: d.verdict, Summary: "it is " + string(d.verdict),
			Started: started, Finished: started.Add(time.Minute), Backup: report.Backup{Name: d.backup, Schedule: d.schedule},
		}
		if d.verdict == report.Failed {
			r.Findings = []report.Finding{{Check: "items_restored", Object: "configmaps shop/settings", Message: "refused"}}
		}
		require.NoError(t, evidence.Write(t.Context(), location, evidencetest.Complete(r)))
	}
	return dir, location
}

func TestDrillsAreListedNewestFirstAndNarrowedDown(t *testing.T) {
	dir, _ := drilled(t)
	for name, tc := range map[string]struct {
		args []string
		want []string
	}{
		"all":                   {nil, []string{"two", "three", "one"}},
		"of a backup":           {[]string{"--backup", "daily-1"}, []string{"one"}},
		"of a schedule":         {[]string{"--schedule", "daily"}, []string{"two", "one"}},
		"with a verdict":        {[]string{"--verdict", "error"}, []string{"three"}},
		"of late":               {[]string{"--since", "24h"}, []string{"two", "three"}},
		"all conditions hold":   {[]string{"--since", "24h", "--schedule", "daily", "--verdict", "failed"}, []string{"two"}},
		"none is an empty list": {[]string{"--since", "1m"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(t, append([]string{"report", "list", "--location", "file://" + dir, "-o", "json"}, tc.args...)...)
			require.Zero(t, code, stderr)
			var records []evidence.Record
			require.NoError(t, json.Unmarshal([]byte(stdout), &records))
			assert.NotNil(t, records)
			var got []string
			for _, r := range records {
				got = append(got, r.Drill)
			}
			assert.Equal(t, tc.want, got)
		})
	}
	code, stdout, _ := execute(t, "report", "list", "--location", "file://"+dir)
	assert.Zero(t, code)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, lines, 4)
	assert.Regexp(t, `^DRILL +STARTED +TOOK +VERDICT +LEVEL +FINDINGS +SCHEDULE +BACKUP +POLICY$`, lines[0])
	assert.Regexp(t, `^two +.* +1m0s +failed +controlplane +1 +daily +daily-2 +-$`, lines[1])
}

func TestEvidenceThatCannotBeReadIsNamedInAList(t *testing.T) {
	dir, s := drilled(t)
	require.NoError(t, s.Put(t.Context(), store.Evidence("daily-3", "torn"), strings.NewReader("{")))
	code, stdout, stderr := execute(t, "report", "list", "--location", "file://"+dir)
	assert.Equal(t, cli.ExitPartial, code)
	assert.Contains(t, stderr, store.Evidence("daily-3", "torn"))
	assert.Equal(t, 4, strings.Count(stdout, "\n"), "the others are listed")
}

func TestOneReportIsShownInEveryForm(t *testing.T) {
	dir, s := drilled(t)
	location := "--location=file://" + dir
	get := func(args ...string) string {
		code, stdout, stderr := execute(t, append([]string{"report"}, append(args, location)...)...)
		require.Zero(t, code, "%v: %s", args, stderr)
		return stdout
	}
	assert.Contains(t, get("get", "one"), "Drill one of backup daily-1 at level controlplane: passed")
	assert.Contains(t, get("get", "--latest"), "Drill two of backup daily-2")
	assert.Contains(t, get("get", "--latest", "--schedule", "daily"), "Drill two")
	assert.Contains(t, get("get", "--latest", "--backup", "by-hand"), "Drill three")
	assert.Contains(t, get("get", "one", "-o", "yaml"), "verdict: passed")
	var rep report.Report
	require.NoError(t, json.Unmarshal([]byte(get("get", "two", "-o", "json")), &rep))
	assert.Equal(t, "two", rep.ID)
	var suites struct {
		Failures int `xml:"failures,attr"`
	}
	require.NoError(t, xml.Unmarshal([]byte(get("get", "two", "-o", "junit")), &suites))
	assert.Equal(t, 1, suites.Failures)

	page := get("html", "two")
	assert.True(t, strings.HasPrefix(page, "<!doctype html>"))
	assert.Contains(t, page, "configmaps shop/settings")
	require.NoError(t, s.Delete(t.Context(), store.EvidencePage("daily-2", "two")))
	file := filepath.Join(t.TempDir(), "page.html")
	assert.Empty(t, get("html", "--latest", "--backup", "daily-2", "--file", file))
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, page, string(written), "it is created if none is beside the JSON")
}

func TestEvidenceDoesNotSteerTheTerminal(t *testing.T) {
	dir, s := drilled(t)
	at := time.Now().UTC()
	require.NoError(t, evidence.Write(t.Context(), s, evidencetest.Complete(report.Report{
		Schema: report.Schema, ID: "evil", Level: "\x1b[2J", Verdict: report.Failed, Summary: "\x1b]0;title\x07", Started: at, Finished: at,
		Backup: report.Backup{Name: "b", Schedule: "\u202edaily"},
	})))
	for _, args := range [][]string{{"list"}, {"get", "evil"}} {
		code, stdout, _ := execute(t, append([]string{"report"}, append(args, "--location=file://"+dir)...)...)
		assert.Zero(t, code)
		assert.Contains(t, stdout, "evil")
		assert.NotContains(t, stdout, "\x1b")
		assert.NotContains(t, stdout, "\u202e")
	}
}

func TestAWrongQuestionForAReportIsOneClearError(t *testing.T) {
	dir, _ := drilled(t)
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no drill of that id":     {[]string{"get", "four"}, 1, `no such evidence: drill "four"`},
		"no drill of the backup":  {[]string{"get", "--latest", "--backup", "nope"}, 1, "no such evidence"},
		"another backup's drill":  {[]string{"get", "one", "--backup", "by-hand"}, 1, "no such evidence"},
		"neither id nor latest":   {[]string{"get"}, 2, "give the id of a drill or --latest"},
		"both id and latest":      {[]string{"html", "one", "--latest"}, 2, "give the id of a drill or --latest"},
		"a schedule and an id":    {[]string{"get", "one", "--schedule", "daily"}, 2, "--schedule goes with --latest"},
		"a backup and a schedule": {[]string{"get", "--latest", "--schedule", "daily", "--backup", "daily-1"}, 2, "not both"},
		"an unknown verdict":      {[]string{"list", "--verdict", "good"}, 2, "must be passed, failed or error"},
		"a hostile name":          {[]string{"list", "--backup", "../../etc"}, 2, "--backup"},
		"an unknown format":       {[]string{"get", "one", "-o", "xml"}, 2, "must be table, json, yaml or junit"},
		"time to come":            {[]string{"list", "--since", "-1h"}, 2, "must not be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(t, append([]string{"report"}, append(tc.args, "--location=file://"+dir)...)...)
			assert.Equal(t, tc.code, code, stderr)
			assert.Contains(t, stderr, tc.want)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), fmt.Sprintf("one line: %s", stderr))
			assert.Empty(t, stdout)
		})
	}
}
