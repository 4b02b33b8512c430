package exporter

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/exporter/internal/fact"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

var documentedChecks = regexp.MustCompile(`(?m)^\tcase "([a-z_]+)":$`)

func TestWhyADrillDidNotPass(t *testing.T) {
	found := func(checks ...string) report.Report {
		r := report.Report{Verdict: report.Failed}
		for _, c := range checks {
			r.Findings = append(r.Findings, report.Finding{Check: c})
		}
		return r
	}
	for name, tc := range map[string]struct {
		report report.Report
		want   string
	}{
		"it passed":                                       {report.Report{Verdict: report.Passed}, ""},
		"a file is damaged":                               {found("archive_readable"), "integrity"},
		"a digest is wrong":                               {found("items_digests"), "integrity"},
		"the API server refused an object":                {found("items_restored"), "restore"},
		"an object differs":                               {found("items_equal"), "missing_items"},
		"the data of a volume is not there":               {found("volume_data_restored"), "missing_items"},
		"a workload does not start":                       {found("workloads_ready"), "ready"},
		"a webhook does not answer":                       {found("webhooks_answer"), "ready"},
		"the policy's own check failed":                   {found("orders-are-there"), "check"},
		"recovery took too long":                          {found("rto"), "check"},
		"what came first is the cause":                    {found("workloads_ready", "items_restored", "orders-are-there"), "restore"},
		"it does not say":                                 {found(), "check"},
		"its time ran out":                                {report.Report{Verdict: report.Error, TimedOut: true}, "timeout"},
		"it could not run":                                {report.Report{Verdict: report.Error}, "infra"},
		"its time ran out after the backup was found bad": {report.Report{Verdict: report.Failed, TimedOut: true, Findings: []report.Finding{{Check: "items_equal"}}}, "missing_items"},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tc.want, fact.ReasonOf(tc.report)) })
	}
}

// The reports are those that verifier/report shows as samples.
func TestWhyTheSampleDrillsDidNotPass(t *testing.T) {
	for name, want := range map[string]string{
		"passed-integrity": "", "passed-controlplane": "", "passed-kind": "", "failed-one": "restore", "error-images": "infra",
	} {
		raw, err := os.Open(filepath.Join("..", "verifier", "report", "testdata", name+".json"))
		require.NoError(t, err)
		defer raw.Close()
		r, err := report.Decode(raw)
		require.NoError(t, err)
		d := fact.DrillOf(r)
		assert.Equal(t, want, d.Reason, name)
		assert.Equal(t, r.Level, d.Level, name)
	}
}

func TestChecksOfFilesAreOneAndThoseOfThePolicyAreBounded(t *testing.T) {
	checks := []report.Check{
		{Name: "files_present", Verdict: report.Passed}, {Name: "items_digests", Verdict: report.Failed}, {Name: "counts_agree", Verdict: report.Passed},
		{Name: "items_equal", Verdict: report.Passed}, {Name: "rto", Verdict: report.Error},
	}
	for i := range 10 {
		checks = append(checks, report.Check{Name: fmt.Sprintf("own-%d", i), Kind: "http", Verdict: report.Passed})
	}
	checks = append(checks,
		report.Check{Name: "own-3", Kind: "http", Verdict: report.Failed},
		report.Check{Name: "rpo", Kind: "sql", Verdict: report.Failed},
		report.Check{Name: "integrity", Kind: "sql", Verdict: report.Passed},
		report.Check{Name: "not a word\n", Kind: "sql", Verdict: report.Passed},
		report.Check{Name: "of_a_later_version", Verdict: report.Passed})
	got, asked := fact.BoundChecks(checks)
	want := []fact.Check{{Name: "integrity", Result: report.Failed, BuiltIn: true}, {Name: "items_equal", Result: report.Passed, BuiltIn: true}}
	for i := range 8 {
		want = append(want, fact.Check{Name: fmt.Sprintf("own-%d", i), Result: report.Passed, BuiltIn: false})
	}
	want[5].Result = report.Failed
	want = append(want, fact.Check{Name: "other", Result: report.Failed, BuiltIn: false})
	assert.Equal(t, want, got)
	assert.Equal(t, fact.CheckCounts{Passed: 16, Failed: 3, Skipped: 1, Merged: 6}, asked)
}

// The names of built-in checks are listed once more here, because the exporter
// may not import who makes them.
func TestEveryBuiltInCheckThatIsDocumentedIsKnown(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "verifier", "report", "asks.go"))
	require.NoError(t, err)
	names := documentedChecks.FindAllStringSubmatch(string(doc), -1)
	require.Len(t, names, 26)
	values := map[string]bool{}
	for _, m := range names {
		assert.NotEmpty(t, fact.FoldedCheck(m[1]), m[1])
		values[fact.FoldedCheck(m[1])] = true
	}
	assert.LessOrEqual(t, len(values), 16)
}

func TestATargetThatMakesNoSenseIsNone(t *testing.T) {
	for _, seconds := range []float64{-1, 0, 1e300} {
		d := fact.DrillOf(report.Report{Recovery: &report.Recovery{TimeTargetSeconds: seconds}, PolicySchedule: "now and then"})
		assert.Zero(t, d.RTOTarget)
		assert.True(t, d.Cron.IsZero())
	}
	assert.Equal(t, 90*time.Second, fact.DrillOf(report.Report{Recovery: &report.Recovery{TimeTargetSeconds: 90}}).RTOTarget)
}
