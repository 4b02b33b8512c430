//go:build e2e

package alerting_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// environment is what all scenarios stand on.
type environment struct {
	t            *testing.T // of the whole, which ends last
	binary       string
	s3           rig.S3Server
	inbox        *rig.Inbox
	alertmanager string // URL
	targets      string // path of the file of targets
	prometheus   string // URL
	cluster      *cluster.Client
	kubeconfig   string // path

	mu        sync.Mutex // guards exporters
	exporters map[string]target
}

// target is one exporter, as Prometheus is told of it.
type target struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

func newEnvironment(t *testing.T) *environment {
	t.Helper()
	e := &environment{t: t, binary: rig.BuildExporter(t), s3: rig.S3(t), inbox: rig.NewInbox(t), exporters: map[string]target{}}
	dir := t.TempDir()
	e.targets = filepath.Join(dir, "targets.json")
	plane := rig.ControlPlane(t, func(c *sandbox.ControlPlane) { c.Controllers = "none" })
	e.kubeconfig = filepath.Join(dir, "kubeconfig")
	require.NoError(t, os.WriteFile(e.kubeconfig, plane.Kubeconfig, 0o600))
	var err error
	e.cluster, err = cluster.FromKubeconfig(plane.Kubeconfig, "lifeboat-e2e")
	require.NoError(t, err)
	rig.InstallCRDs(t, e.cluster)
	config := filepath.Join(dir, "alertmanager.yml")
	require.NoError(t, os.WriteFile(config, hurriedRouting(t, e.inbox.URL), 0o600))
	e.alertmanager = rig.Alertmanager(t, config)
	return e
}

// hurriedRouting is our Alertmanager configuration with its times divided, and
// with its receivers delivering to us, what is resolved included.
func hurriedRouting(t *testing.T, inbox string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "alerts", "alertmanager.yml"))
	require.NoError(t, err)
	var config map[string]any
	require.NoError(t, yaml.Unmarshal(raw, &config))
	hurryRoute(config["route"].(map[string]any))
	var receivers []any
	for _, r := range list(config["receivers"]) {
		receivers = append(receivers, map[string]any{
			"name":            r.(map[string]any)["name"],
			"webhook_configs": []any{map[string]any{"url": inbox, "send_resolved": true}},
		})
	}
	require.NotEmpty(t, receivers)
	config["receivers"] = receivers
	out, err := yaml.Marshal(config)
	require.NoError(t, err)
	return out
}

func hurryRoute(route map[string]any) {
	c := compressor{}
	for _, field := range []string{"group_wait", "group_interval", "repeat_interval"} {
		if route[field] != nil {
			route[field] = c.divided(text(route[field]), compression, 100*time.Millisecond)
		}
	}
	for _, child := range list(route["routes"]) {
		hurryRoute(child.(map[string]any))
	}
}

// startPrometheus starts a Prometheus with our rules and those in more files. It
// watches the exporters that are shown to it.
func (e *environment) startPrometheus(more ...string) {
	e.t.Helper()
	e.change(func() {})
	raw, err := os.ReadFile(filepath.Join(root, "alerts", "lifeboat.rules.yml"))
	require.NoError(e.t, err)
	hurried, err := compressor{floor: 3 * interval}.file(raw)
	require.NoError(e.t, err)
	rulesFile := filepath.Join(e.t.TempDir(), "lifeboat.rules.yml")
	require.NoError(e.t, os.WriteFile(rulesFile, hurried, 0o600))
	e.prometheus = rig.Prometheus(e.t, rig.PrometheusConfig{
		Job: "lifeboat-exporter", Targets: e.targets, RuleFiles: append([]string{rulesFile}, more...), Alertmanager: e.alertmanager, Interval: interval,
	})
}

// show makes an exporter a target, hide makes it none: the way service discovery
// does when a Service appears and is deleted.
func (e *environment) show(w *world) {
	e.change(func() {
		e.exporters[w.name] = target{[]string{w.exporter.Address}, map[string]string{"cluster": w.name, "namespace": "velero"}}
	})
}

func (e *environment) hide(w *world) {
	e.change(func() { delete(e.exporters, w.name) })
}

func (e *environment) change(do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	do()
	all := []target{}
	for _, one := range e.exporters {
		all = append(all, one)
	}
	raw, err := json.Marshal(all)
	require.NoError(e.t, err)
	// Prometheus must not see half a file.
	half := e.targets + ".half"
	require.NoError(e.t, os.WriteFile(half, raw, 0o600))
	require.NoError(e.t, os.Rename(half, e.targets))
}

// awaitQuiet waits until Prometheus has looked at a world a few times, and
// requires that it finds nothing wrong with it.
func (e *environment) awaitQuiet(t *testing.T, w *world, meanwhile *turns) {
	t.Helper()
	selector := `{cluster="` + w.name + `"}`
	require.True(t, await(t, patient, meanwhile, func() bool {
		return e.value(t, "min(count_over_time(lifeboat_exporter_build_info"+selector+"[5m]))") >= quiet
	}), "the exporter is scraped")
	assert.Empty(t, e.everFired(t, w), "nothing is wrong yet")
}

// everFired are the names of the alerts that have fired in a world.
func (e *environment) everFired(t *testing.T, w *world) []string {
	t.Helper()
	var names []string
	query := `count by (alertname) (last_over_time(ALERTS{alertstate="firing",cluster="` + w.name + `"}[1h]))`
	for _, r := range e.ask(t, query) {
		names = append(names, r.Metric["alertname"])
	}
	return names
}

// awaitNotification waits until Alertmanager has delivered an alert in a state.
func (e *environment) awaitNotification(t *testing.T, w *world, status string, labels map[string]string, since time.Time, meanwhile *turns) rig.Notification {
	t.Helper()
	var found rig.Notification
	arrived := await(t, patient+longWait/compression, meanwhile, func() bool {
		for _, n := range e.inbox.Of(labels) {
			if n.Status == status && n.Received.After(since) {
				found = n
				return true
			}
		}
		return false
	})
	if !arrived {
		require.FailNow(t, "not delivered", "%s %v\ndelivered of this world:\n%s\nserved:\n%s", status, labels, e.delivered(w), w.served(t))
	}
	return found
}

// delivered is what was delivered of a world, a line each.
func (e *environment) delivered(w *world) string {
	var lines []string
	for _, n := range e.inbox.Of(map[string]string{"cluster": w.name}) {
		lines = append(lines, n.String())
	}
	return strings.Join(lines, "\n")
}

// suppressed reports whether Alertmanager holds an alert back because of another.
func (e *environment) suppressed(t *testing.T, w *world, alert string) bool {
	t.Helper()
	type held struct {
		Status struct {
			State       string
			InhibitedBy []string
		}
	}
	filter := url.Values{"filter": {"cluster=" + w.name, "alertname=" + alert}}
	for _, a := range fetch[[]held](t, e.alertmanager+"/api/v2/alerts?"+filter.Encode()) {
		if a.Status.State == "suppressed" && len(a.Status.InhibitedBy) > 0 {
			return true
		}
	}
	return false
}

// sample is one of an instant vector.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

// ask evaluates a query now.
func (e *environment) ask(t *testing.T, query string) []sample {
	t.Helper()
	return get[struct{ Result []sample }](t, e.prometheus, "query", url.Values{"query": {query}}).Result
}

// value is that of a query with one result; 0 without one.
func (e *environment) value(t *testing.T, query string) float64 {
	t.Helper()
	for _, s := range e.ask(t, query) {
		return valueOf(t, s)
	}
	return 0
}

func valueOf(t *testing.T, s sample) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s.Value[1].(string), 64)
	require.NoError(t, err)
	return v
}

// get asks Prometheus and decodes the data of its answer.
func get[T any](t *testing.T, base, path string, query url.Values) T {
	t.Helper()
	answer := fetch[struct {
		Status, Error string
		Data          T
	}](t, base+"/api/v1/"+path+"?"+query.Encode())
	require.Equal(t, "success", answer.Status, "%s %s: %s", path, query.Get("query"), answer.Error)
	return answer.Data
}

// fetch decodes what a URL answers.
func fetch[T any](t *testing.T, from string) T {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, from, nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	var answer T
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer), from)
	return answer
}
