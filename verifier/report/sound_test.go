package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/verifier/evidence/evidencetest"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

var at = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func passedDrill(level report.Level) report.Report {
	return evidencetest.Complete(report.Report{
		Schema: report.Schema, ID: "d", Level: level, Verdict: report.Passed, Started: at, Finished: at.Add(time.Minute),
		Backup: report.Backup{Name: "b"}, Items: report.Items{InBackup: 5, Expected: 4, Skipped: 1},
	})
}

func TestEvidenceThatShowsNoDrillIsRefused(t *testing.T) {
	for _, level := range []report.Level{report.LevelIntegrity, report.LevelControlPlane, report.LevelKind} {
		require.NoError(t, passedDrill(level).Sound(), level)
	}
	waived := passedDrill(report.LevelKind)
	waived.Items.Equal, waived.Items.Different, waived.Waived = 3, 1, []report.Waived{{}}
	require.NoError(t, waived.Sound(), "a policy may accept a difference")
	early := report.Report{Verdict: report.Failed, Started: at, Finished: at, Stages: []report.Stage{{Name: "integrity"}}, Findings: []report.Finding{{}}}
	require.NoError(t, early.Sound(), "what is damaged is not restored")
	broken := report.Report{Verdict: report.Error, Started: at, Finished: at, Stages: []report.Stage{{Name: "integrity", Error: "no route to host"}}}
	require.NoError(t, broken.Sound(), "a drill that could not read the backup has no checks")

	for name, c := range map[string]struct {
		change func(*report.Report)
		want   string
	}{
		"no verdict":                {func(r *report.Report) { r.Verdict = "" }, "unknown verdict"},
		"no start":                  {func(r *report.Report) { r.Started = time.Time{} }, "when the drill ran"},
		"an end before its start":   {func(r *report.Report) { r.Finished = at.Add(-time.Second) }, "ended before"},
		"no stages":                 {func(r *report.Report) { r.Stages = nil }, "no stages"},
		"no checks":                 {func(r *report.Report) { r.Checks = nil }, "without a check"},
		"a check without an answer": {func(r *report.Report) { r.Checks[0].Verdict = report.Error }, "a check that did not"},
		"a failed check":            {func(r *report.Report) { r.Checks[0].Verdict = report.Failed }, "a check that did not"},
		"findings":                  {func(r *report.Report) { r.Findings = []report.Finding{{}} }, "with findings"},
		"a faulty environment":      {func(r *report.Report) { r.Environment = []report.Finding{{}} }, "with findings"},
		"a timeout":                 {func(r *report.Report) { r.TimedOut = true }, "with findings"},
		"a failed stage":            {func(r *report.Report) { r.Stages[0].Error = "x" }, "a stage that did not"},
		"no digest of the metadata": {func(r *report.Report) { r.Backup.MetadataSHA256 = "" }, "digests"},
		"no digest of the archive":  {func(r *report.Report) { r.Backup.ContentsSHA256 = "" }, "digests"},
		"a digest that is too long": {func(r *report.Report) { r.Backup.ContentsSHA256 += "00" }, "digests"},
		"a digest that is a word":   {func(r *report.Report) { r.Backup.ContentsSHA256 = strings.Repeat("x", 64) }, "digests"},
		"an unknown level":          {func(r *report.Report) { r.Level = "moon" }, "unknown level"},
		"fewer expected than 0":     {func(r *report.Report) { r.Items.Expected = -5 }, "do not add up"},
		"more restored than expected": {func(r *report.Report) {
			r.Items.Restored = r.Items.Expected + 1
		}, "do not add up"},
		"more in the backup than it accounts for": {func(r *report.Report) { r.Items.InBackup++ }, "do not add up"},
		"items that are nowhere":                  {func(r *report.Report) { r.Items.Equal-- }, "do not add up"},
		"another level's stages":                  {func(r *report.Report) { r.Stages = r.Stages[:1] }, "without the stage restore"},
		"a failure without a finding":             {func(r *report.Report) { r.Verdict = report.Failed }, "without a finding"},
		"files of other digests": {func(r *report.Report) {
			r.Backup.Files = []report.File{{Name: "velero-backup.json", SHA256: r.Backup.MetadataSHA256}}
			r.Backup.ContentsSHA256 = strings.Repeat("ab", 32)
		}, "none of its files"},
		"a file that was not read": {func(r *report.Report) {
			r.Backup.Files = []report.File{{SHA256: r.Backup.MetadataSHA256}, {SHA256: r.Backup.ContentsSHA256}, {Name: "b-logs.gz"}}
		}, "did not read"},
	} {
		t.Run(name, func(t *testing.T) {
			r := passedDrill(report.LevelKind)
			c.change(&r)
			assert.ErrorContains(t, r.Sound(), c.want)
		})
	}
}

func TestAFingerprintChangesWithEveryFile(t *testing.T) {
	listing := func() []report.File {
		return []report.File{
			report.NewFile("b.tar.gz", 100, at, `"tag"`), report.NewFile("velero-backup.json", 10, at, `"gat"`),
		}
	}
	same := report.FingerprintOf(listing())
	assert.NotZero(t, same)
	other := listing()
	other[0].SHA256 = "what was read"
	other[0], other[1] = other[1], other[0]
	assert.Equal(t, same, report.FingerprintOf(other), "the order and the digests make no difference")
	for name, change := range map[string]func([]report.File) []report.File{
		"cut":           func(f []report.File) []report.File { f[0].Size--; return f },
		"written again": func(f []report.File) []report.File { f[0].Modified = at.Add(time.Nanosecond); return f },
		"older":         func(f []report.File) []report.File { f[0].Modified = at.Add(-time.Hour); return f },
		"other content": func(f []report.File) []report.File { f[0].ETag = `"other"`; return f },
		"renamed":       func(f []report.File) []report.File { f[0].Name = "b.tar.gz.age"; return f },
		"added":         func(f []report.File) []report.File { return append(f, report.NewFile("b-results.gz", 1, at, "")) },
		"deleted":       func(f []report.File) []report.File { return f[:1] },
		"moved bytes":   func(f []report.File) []report.File { f[0].Name, f[0].ETag = f[0].Name+f[0].ETag, ""; return f },
	} {
		assert.NotEqual(t, same, report.FingerprintOf(change(listing())), name)
	}
	assert.Zero(t, report.FingerprintOf(nil))
	assert.Zero(t, report.FingerprintOf(make([]report.File, report.MaxFiles+1)))
	far := report.NewFile("x", 1, time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), strings.Repeat("x", 1<<20))
	assert.True(t, far.Modified.IsZero(), "JSON holds no such year")
	assert.Len(t, far.ETag, 128)
}

func TestADrillIsOfTheFilesThatAreThere(t *testing.T) {
	a, b := report.Fingerprint{1}, report.Fingerprint{2}
	assert.True(t, report.SameFiles(a, a, at, at.Add(time.Hour)))
	assert.False(t, report.SameFiles(a, b, at, at.Add(-time.Hour)))
	assert.False(t, report.SameFiles(a, report.Fingerprint{}, at, time.Time{}), "not known is not the same")
	assert.True(t, report.SameFiles(report.Fingerprint{}, b, at, at), "evidence of an earlier version")
	assert.False(t, report.SameFiles(report.Fingerprint{}, b, at, at.Add(time.Second)), "and a file written since")
}
