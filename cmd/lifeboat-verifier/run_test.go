package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/cmd/internal/web"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/scheduler"
)

var update = flag.Bool("update", false, "write the table of metrics into the document")

func policyFile(t *testing.T, name, spec string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".yaml")
	require.NoError(t, os.WriteFile(path, []byte("apiVersion: lifeboat.dev/v1alpha1\nkind: DrillPolicy\nmetadata: {name: "+name+"}\nspec:\n  select: {schedules: ['*']}\n"+spec), 0o600))
	return path
}

func TestAMistakeInTheFlagsOfRunIsOneClearError(t *testing.T) {
	good := policyFile(t, "good", "  cron: '@daily'\n  location: file:///nowhere\n")
	twin := policyFile(t, "good", "  cron: '@hourly'\n  location: file:///nowhere\n")
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no policy":           {nil, "--policy is required"},
		"no such file":        {[]string{"--policy", "/nowhere.yaml"}, "--policy /nowhere.yaml"},
		"a mistake in it":     {[]string{"--policy", policyFile(t, "odd", "  cron: never\n")}, "cron"},
		"two of one name":     {[]string{"--policy", good, "--policy", twin}, "is already used by"},
		"no cron":             {[]string{"--policy", policyFile(t, "odd", "  location: file:///x\n")}, "spec.cron is required"},
		"no location":         {[]string{"--policy", policyFile(t, "odd", "  cron: '@daily'\n")}, "spec.location is required (or set --location or $LIFEBOAT_LOCATION)"},
		"an invalid location": {[]string{"--policy", good, "--location", "/var/backups"}, "file://"},
		"no address":          {[]string{"--policy", good, "--listen", "localhost"}, "host:port"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(t, append([]string{"run"}, tc.args...)...)
			assert.Equal(t, cli.ExitUsage, code, stderr)
			assert.Contains(t, stderr, tc.want)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			assert.Empty(t, stdout)
		})
	}
	code, _, stderr := execute(t, "run", "--policy", good)
	assert.Equal(t, cli.ExitError, code)
	assert.Contains(t, stderr, "/nowhere", "a location that is not there is named")
}

func TestTheExitStatusOfOneRunIsThatOfItsWorstOutcome(t *testing.T) {
	one := []string{"db-1"}
	status := func(all ...scheduler.Outcome) (out []scheduler.Status) {
		for _, o := range all {
			out = append(out, scheduler.Status{Outcome: o})
		}
		return out
	}
	assert.NoError(t, outcomes(nil))
	assert.NoError(t, outcomes(status(scheduler.Outcome{Drills: one, Passed: one}, scheduler.Outcome{})))
	failed, inconclusive := cli.Status(cli.ExitFailed), cli.Status(cli.ExitError)
	for name, tc := range map[string]struct {
		outcome scheduler.Outcome
		want    error
	}{
		"a failed drill":          {scheduler.Outcome{Drills: one, Failed: one}, failed},
		"a missed target":         {scheduler.Outcome{Targets: one}, failed},
		"an inconclusive drill":   {scheduler.Outcome{Drills: one, Inconclusive: one}, inconclusive},
		"a backup not found":      {scheduler.Outcome{Drills: one, Passed: one, Missing: []string{"backup golden"}}, inconclusive},
		"a backup not readable":   {scheduler.Outcome{Unread: one}, inconclusive},
		"missing, but one failed": {scheduler.Outcome{Failed: one, Missing: one, Inconclusive: one}, failed},
	} {
		assert.Equal(t, tc.want, outcomes(status(scheduler.Outcome{Drills: one, Passed: one}, tc.outcome, scheduler.Outcome{})), name)
	}
	assert.Equal(t, failed, outcomes(status(scheduler.Outcome{Missing: one}, scheduler.Outcome{Failed: one})))
}

func TestAProcessIsKnownToHaveEndedOnlyOnThisMachine(t *testing.T) {
	me := self()
	other := func(change func(*drilllog.Owner)) drilllog.Owner {
		o := me
		change(&o)
		return o
	}
	const unused = 1 << 30 // more than any system numbers
	assert.False(t, hasEnded(me, me))
	assert.True(t, hasEnded(other(func(o *drilllog.Owner) { o.Instance = "before" }), me), "its number is this process's now")
	assert.True(t, hasEnded(other(func(o *drilllog.Owner) { o.Instance, o.PID = "x", unused }), me))
	assert.False(t, hasEnded(other(func(o *drilllog.Owner) { o.Instance, o.PID = "x", os.Getppid() }), me), "it lives")
	assert.False(t, hasEnded(other(func(o *drilllog.Owner) { o.Instance, o.PID, o.Machine = "x", unused, "elsewhere" }), me))
}

func statuses() []scheduler.Status {
	now := time.Date(2026, 11, 22, 3, 20, 0, 0, time.UTC)
	return []scheduler.Status{
		{
			Policy: "nightly", Location: "s3://backups/prod", Cron: "0 3 * * *", Level: report.LevelControlPlane,
			Next: now.Add(24 * time.Hour), LastDue: now.Add(-20 * time.Minute), Read: now, Seconds: 61.5,
			Running:   []scheduler.Running{{Backup: "shop-1", Drill: "d", Why: "newest of schedule shop, not proven", Stage: "restore", Detail: "10 of 20", Since: now.Add(-70 * time.Second), StageSince: now.Add(-9 * time.Second)}},
			Missing:   []string{"schedule web-*"},
			Outcome:   scheduler.Outcome{Targets: []string{"schedule shop: the newest backup, shop-1, began 3h0m0s ago; at most 2h is allowed"}},
			Conflicts: []string{"0123456789abcdef"},
			Totals:    map[scheduler.Total]int{{Level: report.LevelControlPlane, Verdict: report.Passed}: 3, {Level: report.LevelControlPlane, Verdict: scheduler.Unproven}: 1},
			Recent: []evidence.Record{
				{Backup: "db-1", Drill: "20261122T030004Z-5f2c9a01", Level: report.LevelControlPlane, Verdict: report.Failed, Findings: 2, Started: now.Add(-20 * time.Minute), Finished: now.Add(-19 * time.Minute)},
				{Backup: `"><script>alert(1)</script>`, Drill: "../../x", Level: "\u202e", Verdict: "<b>", Started: now, Finished: now},
			},
		},
		{Policy: "monthly", Location: "s3://backups/prod", Cron: "0 5 1 * *", Level: report.LevelKind, Err: errors.New("no such bucket"), LastEnded: now},
	}
}

func TestMetricsSayWhetherTheVerifierDoesItsWork(t *testing.T) {
	c := collector{statuses}
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(c))
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	assert.Empty(t, problems)
	const want = `
# HELP lifeboat_verifier_damaged_records Records of the drill log that this verifier found malformed or implausible since it started, at most 100. They have no effect; the log and the status page name them.
# TYPE lifeboat_verifier_damaged_records gauge
lifeboat_verifier_damaged_records{policy="monthly"} 0
lifeboat_verifier_damaged_records{policy="nightly"} 0
# HELP lifeboat_verifier_drills_total Drills that this verifier finished since it started. verdict="none" counts drills that left no evidence: the backup was deleted or could not be decrypted, or the report could not be written.
# TYPE lifeboat_verifier_drills_total counter
lifeboat_verifier_drills_total{level="controlplane",policy="nightly",verdict="error"} 0
lifeboat_verifier_drills_total{level="controlplane",policy="nightly",verdict="failed"} 0
lifeboat_verifier_drills_total{level="controlplane",policy="nightly",verdict="none"} 1
lifeboat_verifier_drills_total{level="controlplane",policy="nightly",verdict="passed"} 3
lifeboat_verifier_drills_total{level="kind",policy="monthly",verdict="error"} 0
lifeboat_verifier_drills_total{level="kind",policy="monthly",verdict="failed"} 0
lifeboat_verifier_drills_total{level="kind",policy="monthly",verdict="none"} 0
lifeboat_verifier_drills_total{level="kind",policy="monthly",verdict="passed"} 0
# HELP lifeboat_verifier_last_drill_duration_seconds Duration of the last drill that this verifier finished. Absent until there is one.
# TYPE lifeboat_verifier_last_drill_duration_seconds gauge
lifeboat_verifier_last_drill_duration_seconds{policy="nightly"} 61.5
# HELP lifeboat_verifier_last_run_timestamp_seconds When the last run of this verifier ended: every backup that it chose was drilled or given up. Absent until there is one.
# TYPE lifeboat_verifier_last_run_timestamp_seconds gauge
lifeboat_verifier_last_run_timestamp_seconds{policy="monthly"} 1.7953176e+09
# HELP lifeboat_verifier_location_up 1 if the location of the policy could be used at the last attempt, else 0.
# TYPE lifeboat_verifier_location_up gauge
lifeboat_verifier_location_up{policy="monthly"} 0
lifeboat_verifier_location_up{policy="nightly"} 1
# HELP lifeboat_verifier_missing_backups Number of named backups and schedule patterns that the last run did not find in the location, and of backups that it could not read.
# TYPE lifeboat_verifier_missing_backups gauge
lifeboat_verifier_missing_backups{policy="monthly"} 0
lifeboat_verifier_missing_backups{policy="nightly"} 1
# HELP lifeboat_verifier_next_run_timestamp_seconds When the next run of the policy is due. In the past if a run is late. Absent until the location was read.
# TYPE lifeboat_verifier_next_run_timestamp_seconds gauge
lifeboat_verifier_next_run_timestamp_seconds{policy="nightly"} 1.795404e+09
# HELP lifeboat_verifier_running_drills Drills in progress in this verifier.
# TYPE lifeboat_verifier_running_drills gauge
lifeboat_verifier_running_drills{policy="monthly"} 0
lifeboat_verifier_running_drills{policy="nightly"} 1
`
	var names []string
	for _, m := range metricTable() {
		names = append(names, m.Name)
	}
	assert.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(want), names...))
}

// The table is made by
// go test ./cmd/lifeboat-verifier -run TestTheDocumentHasEveryMetricOfRun -update.
func TestTheDocumentHasEveryMetricOfRun(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "metrics.md")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	const begin, end = "<!-- verifier: begin -->\n", "<!-- verifier: end -->\n"
	head, rest, ok := strings.Cut(string(raw), begin)
	require.True(t, ok)
	table, tail, ok := strings.Cut(rest, end)
	require.True(t, ok)
	var want strings.Builder
	want.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, m := range metricTable() {
		kind := "gauge"
		if m.Type == prometheus.CounterValue {
			kind = "counter"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", m.Name, kind, strings.Join(m.Labels, ", "), m.Help)
	}
	fmt.Fprintf(&want, "| `%s` | gauge | version, goversion | %s |\n", buildInfo, buildInfoHelp)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(head+begin+want.String()+end+tail), 0o644))
		return
	}
	assert.Equal(t, want.String(), table, "run it with -update")
}

// server serves a scheduler of one policy whose location holds evidence. It
// does not run.
func server(t *testing.T) (*httptest.Server, store.Store) {
	t.Helper()
	_, location := drilled(t)
	h, err := newHandler(&scheduler.Scheduler{
		Jobs: []scheduler.Job{{Policy: policy.Policy{Metadata: policy.Metadata{Name: "nightly"}}, Store: location}},
		Now:  time.Now, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	s := httptest.NewServer(new(web.Config).NewServer(h, slog.New(slog.DiscardHandler)).Handler)
	t.Cleanup(s.Close)
	return s, location
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(body)
}

func TestPagesOfDrillsAreServedFromTheirJSON(t *testing.T) {
	s, location := server(t)
	require.NoError(t, location.Delete(t.Context(), store.EvidencePage("daily-2", "two")))
	require.NoError(t, location.Put(t.Context(), store.EvidencePage("daily-2", "two"), strings.NewReader("<script>planted</script>")))
	res, body := get(t, s.URL+"/drills/daily-2/two.html")
	assert.Equal(t, http.StatusOK, res.StatusCode)
	assert.Contains(t, body, "configmaps shop/settings")
	assert.NotContains(t, body, "planted", "a page that was put beside the JSON is not served")
	assert.Contains(t, res.Header.Get("Content-Type"), "text/html")
	assert.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))

	require.NoError(t, location.Put(t.Context(), store.Evidence("daily-3", "torn"), strings.NewReader("{")))
	for path, want := range map[string]int{
		"/drills/daily-2/one.html":                     http.StatusNotFound,
		"/drills/daily-2/two.json":                     http.StatusNotFound,
		"/drills/..%2F..%2Fbackups/two.html":           http.StatusNotFound,
		"/drills/daily-2/..%2F..%2Fdaily-1%2Fone.html": http.StatusNotFound,
		"/drills/daily-3/torn.html":                    http.StatusBadGateway,
		"/other":                                       http.StatusNotFound,
		"/metrics":                                     http.StatusOK,
		"/healthz":                                     http.StatusOK,
		"/readyz":                                      http.StatusServiceUnavailable,
		"/-/healthy":                                   http.StatusOK,
		"/-/ready":                                     http.StatusServiceUnavailable,
		"/":                                            http.StatusOK,
	} {
		res, body := get(t, s.URL+path)
		assert.Equal(t, want, res.StatusCode, path+": "+body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/", nil)
	require.NoError(t, err)
	res, err = http.DefaultClient.Do(req)
	require.NoError(t, err)
	res.Body.Close()
	assert.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
}

func TestReadinessIsThatEveryLocationCanBeRead(t *testing.T) {
	good := scheduler.Status{Policy: "good", Read: time.Now()}
	assert.NoError(t, ready([]scheduler.Status{good}))
	assert.EqualError(t, ready([]scheduler.Status{good, {Policy: "new"}}), "policy new: its location was not read yet")
	assert.EqualError(t, ready([]scheduler.Status{good, {Policy: "bad", Read: time.Now(), Err: errors.New("no such bucket")}}), "policy bad: no such bucket")
}

func TestTheStatusPageShowsWhatIsGoingOn(t *testing.T) {
	w := httptest.NewRecorder()
	template, err := statusTemplate()
	require.NoError(t, err)
	statusPage(w, template, statuses(), time.Date(2026, 11, 22, 3, 20, 0, 0, time.UTC))
	page := w.Body.String()
	for _, want := range []string{
		"nightly", "in 1 d<", "shop-1", "restore", "10 of 20", "9 s", ">1 min<", "schedule web-*", "no such bucket", "at most 2h is allowed", "0123456789abcdef",
		`<a href="/drills/db-1/20261122T030004Z-5f2c9a01.html">2026-11-22 03:00:00</a>`, "not known yet",
	} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, "<script>")
	assert.NotContains(t, page, "\u202e")
	assert.Equal(t, 1, strings.Count(page, `href="/drills/`), "an invalid name gets no link")
}
