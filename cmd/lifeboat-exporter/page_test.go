package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/web"
	"github.com/lifeboat-backup/lifeboat/exporter"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var noon = time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)

// aBadDay is a status with a schedule for each word.
func aBadDay() exporter.Status {
	ago := func(h float64) time.Time { return noon.Add(-time.Duration(h * float64(time.Hour))) }
	drill := func(backup string, h float64, verdict, reason string) *exporter.DrillStatus {
		id := ago(h).Format("20060102T150405Z") + "-5f2c9a01"
		return &exporter.DrillStatus{ID: id, Backup: backup, Level: "kind", Verdict: verdict, Reason: reason, Policy: "nightly", Started: ago(h + 0.1), Finished: ago(h),
			Location: "default", Evidence: "metadata/lifeboat/drills/" + backup + "/" + id + ".json", Page: "metadata/lifeboat/drills/" + backup + "/" + id + ".html"}
	}
	one := func(name string, word exporter.Health, severity exporter.Severity, why, runbook string, age, target, provenAge float64) exporter.ScheduleStatus {
		s := exporter.ScheduleStatus{
			Name: name, Status: word, Severity: severity, Why: why, Runbook: runbook, Location: "default", Cron: "0 2 * * *",
			RPOTargetSeconds: target * 3600, LastResult: "Completed", NextRun: noon.Add(14 * time.Hour), DrillResult: "passed",
			ProvenTargetSeconds: 102 * 3600, SuccessDeadline: noon.Add(20 * time.Hour), Backups: map[string]int{"Completed": 29, "Failed": 1},
			Newest: &exporter.BackupStatus{Name: name + "-20261122020000", Phase: "Completed", Started: ago(age), Completed: ago(age - 0.2)},
		}
		if age > 0 {
			s.AgeSeconds, s.RecoveryPoint, s.RecoveryBackup = age*3600, ago(age), name+"-20261122020000"
			s.RPODeadline = s.RecoveryPoint.Add(time.Duration(target * float64(time.Hour)))
		}
		if provenAge > 0 {
			s.ProvenAgeSeconds, s.ProvenRecoveryPoint, s.VerifiedBackups = provenAge*3600, ago(provenAge), 12
			s.LastDrill = drill(name+"-20261121020000", provenAge-1, "passed", "")
			s.ProvenDeadline, s.DrillDeadline = noon.Add(68*time.Hour), noon.Add(21*time.Hour)
		}
		return s
	}
	never := one("billing", exporter.Never, exporter.Critical, "No existing backup has succeeded, and the age in its target is exceeded.", "LifeboatRPOBreached", 0, 54, 0)
	never.LastResult, never.DrillResult, never.Newest, never.NextRun, never.Backups = "Failed", "none", nil, ago(3), map[string]int{"Failed": 4}
	breach := one("orders-hourly", exporter.Breach, exporter.Critical, "A restore now would lose more than the target allows.", "LifeboatRPOBreached", 3.5, 2.5, 34)
	breach.LastResult, breach.ConsecutiveFailures, breach.Cron = "PartiallyFailed", 3, "@every 1h"
	breach.Newest.Phase, breach.Newest.Errors, breach.Newest.Warnings = "PartiallyFailed", 2, 1
	unproven := one("shop-daily", exporter.Unproven, exporter.Critical, "A drill failed: a backup cannot be restored as it is.", "LifeboatDrillFailed", 10, 54, 58)
	unproven.DrillResult, unproven.LastDrill = "failed", drill("shop-daily-20261122020000", 9, "failed", "ready")
	overdue := one("wiki-daily", exporter.Overdue, exporter.Warning, "A run was due, and no backup that started since has succeeded.", "LifeboatBackupOverdue", 47, 54, 71)
	overdue.NextRun = ago(10)
	undrilled := one("logs-weekly", exporter.Unproven, exporter.Warning, "No backup was ever drilled.", "LifeboatNeverDrilled", 82, 342, 0)
	undrilled.DrillResult = "none"
	unknown := one("edge-daily", exporter.Unknown, exporter.Warning, "Its location or its cluster cannot be read. The values are from the last successful read.", "LifeboatExporterSourceDown", 11, 54, 35)
	unknown.LastResult, unknown.Location = "", "edge"
	paused := one("legacy", exporter.Paused, exporter.Info, "It is paused: no run will start.", "LifeboatSchedulePaused", 30, 0, 31)
	paused.Paused, paused.NextRun = true, time.Time{}
	yes := true
	return exporter.Status{
		Schema: exporter.StatusSchema, At: noon, Version: "v0.4.0",
		Schedules: []exporter.ScheduleStatus{never, breach, unproven, unknown, overdue, undrilled, paused, one("db-daily", exporter.OK, exporter.Fine, "", "", 10, 54, 34), one("web-daily", exporter.OK, exporter.Fine, "", "", 9.5, 54, 33)},
		ByHand:    map[string]int{"Completed": 2},
		Sources: []exporter.SourceStatus{
			{Source: "kube", Up: true, LastAttempt: noon, LastSuccess: ago(0.002)},
			{Source: "bucket", Location: "default", Up: true, LastSuccess: ago(0.01)}, {Source: "drills", Location: "default", Up: true, LastSuccess: ago(0.01)},
			{Source: "bucket", Location: "edge", LastAttempt: ago(0.01), LastSuccess: ago(2), Error: "list backups in s3://edge/prod: dial tcp 10.4.0.7:9000: connect: no route to host"},
			{Source: "drills", Location: "edge", Up: true, LastSuccess: ago(0.01)},
		},
		Locations: []exporter.LocationStatus{
			{Name: "default", Available: &yes, LastScan: ago(0.01), Backups: 214, Drills: 88, Incomplete: 1, DrillsActive: 1, AccessMode: "ReadWrite"},
			{Name: "edge", LastScan: ago(0.01), Backups: 30, Drills: 12, Unreadable: 2, DrillsAbandoned: 1, AccessMode: "ReadOnly", Message: "read only since 2026-11-20"},
		},
	}
}

func rendered(t *testing.T, s exporter.Status, one bool) string {
	t.Helper()
	page, err := pageTemplate()
	require.NoError(t, err)
	out, err := render(page, s, one)
	require.NoError(t, err)
	return out
}

// The page is looked at after go test ./cmd/lifeboat-exporter -run TestThePageIsAsRecorded -update.
func TestThePageIsAsRecorded(t *testing.T) {
	for name, got := range map[string]string{
		"status.html": rendered(t, aBadDay(), false),
		"empty.html":  rendered(t, exporter.Status{At: noon, Version: "v0.4.0", Sources: []exporter.SourceStatus{{Source: "bucket", Location: "default"}}}, false),
	} {
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, string(want), got, "%s; run it with -update, and look at the page", path)
	}
}

// texts are the texts of the elements that have a class.
func texts(t *testing.T, page, class string) []string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	var out []string
	for n := range root.Descendants() {
		for _, a := range n.Attr {
			if a.Key == "class" && strings.Contains(" "+a.Val+" ", " "+class+" ") && n.FirstChild != nil {
				out = append(out, n.FirstChild.Data)
			}
		}
	}
	return out
}

func TestThePageShowsSchedulesInTheOrderOfTheStatus(t *testing.T) {
	page := rendered(t, aBadDay(), false)
	assert.Equal(t, []string{"billing", "orders-hourly", "shop-daily", "edge-daily", "wiki-daily", "logs-weekly", "legacy", "db-daily", "web-daily"}, texts(t, page, "name"))
	for _, want := range []string{
		"140 % of 2 h 30 min", "10 h old", `href="https://github.com/lifeboat-backup/lifeboat/blob/main/docs/runbooks/LifeboatDrillFailed.md"`,
		"/evidence?backup=shop-daily-20261122020000&amp;drill=20261122T030000Z-5f2c9a01&amp;location=default", "no route to host",
		`href="/metrics"`, `href="/api/v1/status"`, `href="/-/healthy"`, `href="/-/ready"`, "due 3 h ago",
	} {
		assert.Contains(t, page, want)
	}
}

func TestThePageNeedsNothingButItself(t *testing.T) {
	root, err := html.Parse(strings.NewReader(rendered(t, aBadDay(), false)))
	require.NoError(t, err)
	for n := range root.Descendants() {
		assert.NotContains(t, []string{"script", "link", "img", "iframe", "form", "object"}, n.Data)
		for _, a := range n.Attr {
			assert.NotContains(t, []string{"src", "style", "onclick", "onload"}, a.Key, "%s", n.Data)
		}
	}
}

func TestWhatALocationHoldsIsShownAsText(t *testing.T) {
	const evil = `"><script>alert(1)</script>` + "\u202e"
	s := aBadDay()
	s.Schedules = s.Schedules[2:3]
	o := &s.Schedules[0]
	o.Name, o.Location, o.Cron, o.RecoveryBackup, o.LastResult, o.Newest.Name, o.Newest.Phase = evil, evil, evil, evil, evil, evil, evil
	o.LastDrill = &exporter.DrillStatus{ID: evil, Backup: evil, Level: evil, Verdict: evil, Policy: evil, Location: "javascript:alert(1)//" + evil, Page: evil, Finished: noon}
	o.Backups = map[string]int{evil: 1}
	s.Sources[3].Error, s.Sources[3].Location, s.Locations[0].Name, s.Locations[0].Message = evil, evil, evil, evil
	for _, one := range []bool{true, false} {
		page := rendered(t, s, one)
		root, err := html.Parse(strings.NewReader(page))
		require.NoError(t, err)
		for n := range root.Descendants() {
			assert.NotEqual(t, "script", n.Data)
			for _, a := range n.Attr {
				assert.False(t, a.Key == "href" && strings.HasPrefix(a.Val, "javascript:"), a.Val)
			}
		}
		assert.NotContains(t, page, "\u202e")
	}
}

// fixed serves a status and the evidence of one drill.
func fixed(t *testing.T) *httptest.Server {
	t.Helper()
	page, err := pageTemplate()
	require.NoError(t, err)
	read := reports{
		"default": func(_ context.Context, backup, drill string) (report.Report, error) {
			if backup != "shop-1" || drill != "d" {
				return report.Report{}, drilllog.ErrNoEvidence
			}
			return report.Report{Schema: report.Schema, ID: drill, Verdict: report.Failed, Summary: "The backup is bad: it <sank>", Backup: report.Backup{Name: backup}}, nil
		},
		"edge": func(context.Context, string, string) (report.Report, error) {
			return report.Report{}, errors.New("no route to host")
		},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, r *http.Request) { statusJSON(w, r, aBadDay()) })
	mux.HandleFunc("GET /evidence", func(w http.ResponseWriter, r *http.Request) { evidencePage(w, r, read) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { statusPage(w, r, page, aBadDay()) })
	server := httptest.NewServer(web.Secured(mux))
	t.Cleanup(server.Close)
	return server
}

func TestOneScheduleCanBeAskedFor(t *testing.T) {
	p := served(fixed(t))
	code, body := p.get(t, "/api/v1/status?schedule=db-daily")
	assert.Equal(t, http.StatusOK, code)
	var s exporter.Status
	require.NoError(t, json.Unmarshal([]byte(body), &s))
	require.Len(t, s.Schedules, 1)
	assert.Equal(t, "db-daily", s.Schedules[0].Name)

	code, body = p.get(t, "/?schedule=db-daily")
	assert.Equal(t, http.StatusOK, code)
	assert.Equal(t, []string{"db-daily"}, texts(t, body, "name"))
	assert.Contains(t, body, "<details open>")

	for _, path := range []string{"/api/v1/status?schedule=nobody", "/?schedule=nobody", "/?schedule="} {
		code, body = p.get(t, path)
		assert.Equal(t, http.StatusNotFound, code, path)
		assert.Contains(t, strings.ToLower(body), "no schedule", path)
	}
}

func TestTheEvidenceOfADrillIsOneClickAway(t *testing.T) {
	p := served(fixed(t))
	code, body := p.get(t, "/evidence?location=default&backup=shop-1&drill=d")
	assert.Equal(t, http.StatusOK, code)
	assert.Contains(t, body, "it &lt;sank&gt;")
	for path, want := range map[string]int{
		"/evidence?location=default&backup=shop-1&drill=e": http.StatusNotFound,
		"/evidence?location=nowhere&backup=shop-1&drill=d": http.StatusNotFound,
		"/evidence": http.StatusNotFound,
		"/evidence?location=edge&backup=shop-1&drill=d": http.StatusBadGateway,
	} {
		code, _ = p.get(t, path)
		assert.Equal(t, want, code, path)
	}
}

func TestWhatALocationFailsItsSourcesByIsSaidOnce(t *testing.T) {
	got := down([]exporter.SourceStatus{
		{Source: "kube", Up: true}, {Source: "bucket", Location: "a", Error: "gone"}, {Source: "drills", Location: "a", Error: "gone"},
		{Source: "bucket", Location: "b", Error: "gone"}, {Source: "drills", Location: "b", Error: "denied"},
	})
	var names []string
	for _, s := range got {
		names = append(names, s.Source+" "+s.Location)
	}
	assert.Equal(t, []string{"bucket and drills a", "bucket b", "drills b"}, names)
}

func TestBrowsersAreToldToShowAndNothingMore(t *testing.T) {
	res, err := http.Get(fixed(t).URL + "/")
	require.NoError(t, err)
	defer res.Body.Close()
	for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Content-Type": "text/html; charset=utf-8"} {
		assert.Equal(t, want, res.Header.Get(header), header)
	}
}
