//go:build e2e

// Package alerting_test drives every alert to firing and back: causes on a real
// bucket and a real control plane, seen by the built exporter, judged by a real
// Prometheus, delivered by a real Alertmanager.
package alerting_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/test/rig"
)

const (
	// interval between scrapes and between evaluations. Scrapes may take as long,
	// and dozens of exporters share few processors.
	interval = 2 * time.Second
	often    = 50 * time.Millisecond
	// patient is how long anything may take, beyond what an alert waits for.
	patient = 90 * time.Second
	// quiet is how many scrapes a healthy world must stay without an alert.
	quiet = 5
)

// recorded is the table of a run that is kept; -record replaces it.
const recorded = "results/alerts.md"

const recordedHead = `# One run of TestEveryAlert

Made by ` + "`go test -tags e2e -run TestEveryAlert ./test/e2e/alerting -record`; [README](../README.md) explains it. Do not edit.\n\n"

var record = flag.Bool("record", false, "replace "+recorded+" by the table of this run")

// scenario is one way to make one alert fire.
type scenario struct {
	alert string
	// what happens, in a few words; they tell scenarios of one alert apart.
	what string
	// labels the notification has, beyond the alert's name and the cluster.
	labels map[string]string
	// also are the alerts that the same cause makes fire.
	also []string
	// healthy makes a world in which no alert fires, and says with which flags
	// the exporter watches it.
	healthy func(t *testing.T, w *world) (flags []string)
	// routine, if there is one, goes on every few seconds while all is well, and
	// again after the cure; n counts its turns.
	routine func(t *testing.T, w *world, n int)
	// always says that the routine does not pause for the cause.
	always bool
	cause  func(t *testing.T, w *world)
	cure   func(t *testing.T, w *world)
	// holdsBack is the alert, of a cause that follows, that is not to be delivered
	// while this one fires. Such a scenario has no cure.
	holdsBack string
	follows   func(t *testing.T, w *world)
}

// routineEvery is the time between two turns of a routine.
const routineEvery = 2 * time.Second

func (s scenario) name() string { return slug(strings.TrimPrefix(s.alert, "Lifeboat") + " " + s.what) }

// slug makes a name that labels, prefixes and namespaces may have.
func slug(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, s)
	return strings.Trim(s[:min(len(s), 60)], "-")
}

// outcome is what was seen of a scenario: a row of the report.
type outcome struct {
	alert, what, receiver string
	fired, resolved       time.Duration
}

func TestEveryAlertHasAScenario(t *testing.T) {
	covered := map[string]bool{watchdog: true}
	for _, s := range scenarios() {
		covered[s.alert] = true
	}
	names := map[string]bool{}
	for _, s := range append(scenarios(), inhibitions()...) {
		assert.False(t, names[s.name()], "two scenarios are called %s", s.name())
		names[s.name()] = true
	}
	var alerts []string
	for _, r := range ourRules(t) {
		if r.Alert != "" {
			alerts = append(alerts, r.Alert)
		}
	}
	assert.ElementsMatch(t, alerts, slices.Collect(maps.Keys(covered)))
}

// watchdog fires always.
const watchdog = "LifeboatMonitoringWatchdog"

func ourRules(t *testing.T) []rule {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "alerts", "lifeboat.rules.yml"))
	require.NoError(t, err)
	return rules(t, raw)
}

func TestEveryAlertFiresIsDeliveredAndResolves(t *testing.T) {
	env := newEnvironment(t)
	env.startPrometheus()
	seen := &report{}
	together(t, append(scenarios(), inhibitions()...), func(t *testing.T, s scenario) {
		w := begin(t, env, s)
		if s.holdsBack != "" {
			holdBack(t, env, w, s)
			return
		}
		seen.add(play(t, env, w, s))
	})
	seen.add(heartbeat(t, env))
	if !t.Failed() {
		seen.write(t)
	}
}

// together runs a subtest for each scenario, all at once: they wait for most of
// their time, and more of them than there are processors.
func together(t *testing.T, table []scenario, run func(*testing.T, scenario)) {
	t.Helper()
	var all sync.WaitGroup
	for _, s := range table {
		all.Go(func() {
			t.Run(s.name(), func(t *testing.T) { run(t, s) })
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// begin makes the world of a scenario and lets Prometheus see it.
func begin(t *testing.T, env *environment, s scenario) *world {
	w := env.world(s.name())
	w.watch(t, s.healthy(t, w)...)
	env.show(w)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the exporter said:\n%s", w.exporter.Log())
		}
		if testing.Verbose() {
			t.Logf("delivered:\n%s", env.delivered(w))
		}
	})
	return w
}

// play makes the cause and the cure, and waits for what Alertmanager delivers of
// each.
func play(t *testing.T, env *environment, w *world, s scenario) outcome {
	routine := &turns{w: w, routine: s.routine}
	env.awaitQuiet(t, w, routine)
	labels := maps.Clone(s.labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels["alertname"], labels["cluster"] = s.alert, w.name

	during := routine
	if !s.always {
		during = nil
	}
	caused := time.Now()
	s.cause(t, w)
	fired := env.awaitNotification(t, w, "firing", labels, caused, during)
	assertReadable(t, fired)

	cured := time.Now()
	s.cure(t, w)
	resolved := env.awaitNotification(t, w, "resolved", labels, cured, routine)

	allowed := append([]string{s.alert}, s.also...)
	if w.expired {
		// A backup's files are deleted before its object is, and half an hour of
		// patience with that has become some seconds.
		allowed = append(allowed, "LifeboatBackupDataMissing")
	}
	for _, name := range env.everFired(t, w) {
		assert.Contains(t, allowed, name, "%s fires of a cause that is not its own", name)
	}
	return outcome{s.alert, s.what, fired.Receiver, fired.Received.Sub(caused), resolved.Received.Sub(cured)}
}

// turns take a routine on, between looks at something else.
type turns struct {
	w       *world
	routine func(*testing.T, *world, int)
	taken   int
	last    time.Time
}

// take is called often, and has its turn when it is time.
func (r *turns) take(t *testing.T) {
	t.Helper()
	if r == nil || r.routine == nil || time.Since(r.last) < routineEvery {
		return
	}
	r.taken++
	r.last = time.Now()
	r.routine(t, r.w, r.taken)
}

// await looks until it sees what it looks for, or limit has passed.
func await(t *testing.T, limit time.Duration, meanwhile *turns, seen func() bool) bool {
	t.Helper()
	tick := time.NewTicker(often)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); <-tick.C {
		if seen() {
			return true
		}
		meanwhile.take(t)
	}
	return false
}

// holdBack makes the cause of an alert, and when that is delivered the cause of
// another one, which Alertmanager has to keep to itself.
func holdBack(t *testing.T, env *environment, w *world, s scenario) {
	env.awaitQuiet(t, w, nil)
	caused := time.Now()
	s.cause(t, w)
	env.awaitNotification(t, w, "firing", map[string]string{"alertname": s.alert, "cluster": w.name}, caused, nil)
	s.follows(t, w)
	require.True(t, await(t, patient, nil, func() bool { return env.suppressed(t, w, s.holdsBack) }),
		"%s is held back\ndelivered:\n%s\nserved:\n%s", s.holdsBack, env.delivered(w), w.served(t))
	assert.Empty(t, env.inbox.Of(map[string]string{"alertname": s.holdsBack, "cluster": w.name}))
}

// heartbeat is the outcome of the alert that fires always: it was delivered
// again and again, to the receiver that misses it when it is not.
func heartbeat(t *testing.T, env *environment) outcome {
	t.Helper()
	beats := env.inbox.Of(map[string]string{"alertname": watchdog})
	require.GreaterOrEqual(t, len(beats), quiet)
	for _, n := range beats {
		require.Equal(t, "lifeboat-heartbeat", n.Receiver)
		require.Equal(t, "firing", n.Status)
	}
	return outcome{alert: watchdog, what: fmt.Sprintf("always; %d times", len(beats)), receiver: beats[0].Receiver, fired: beats[0].Received.Sub(beats[0].StartsAt)}
}

// assertReadable checks what a person gets to read.
func assertReadable(t *testing.T, n rig.Notification) {
	t.Helper()
	assert.NotEmpty(t, n.Labels["severity"])
	for _, name := range []string{"summary", "description", "runbook_url"} {
		assert.NotEmpty(t, n.Annotations[name], name)
		assert.NotContains(t, n.Annotations[name], "<no value>", name)
		assert.NotContains(t, n.Annotations[name], "<error", name)
		assert.NotContains(t, n.Annotations[name], "{{", name)
	}
}

// report collects outcomes.
type report struct {
	mu   sync.Mutex
	rows []outcome
}

func (r *report) add(o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, o)
}

// write writes the table to .cache/reports/alerts.md, and with -record to results.
func (r *report) write(t *testing.T) {
	t.Helper()
	slices.SortFunc(r.rows, func(a, b outcome) int { return strings.Compare(a.alert+a.what, b.alert+b.what) })
	var b strings.Builder
	b.WriteString("| alert | cause | fired after | delivered to | resolved after |\n|---|---|---|---|---|\n")
	for _, o := range r.rows {
		resolved := "never"
		if o.resolved > 0 {
			resolved = fmt.Sprintf("%.1f s", o.resolved.Seconds())
		}
		fmt.Fprintf(&b, "| %s | %s | %.1f s | %s | %s |\n", o.alert, o.what, o.fired.Seconds(), o.receiver, resolved)
	}
	dir := filepath.Join(root, ".cache", "reports")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.md"), []byte(b.String()), 0o644))
	if *record {
		require.NoError(t, os.WriteFile(recorded, []byte(recordedHead+b.String()), 0o644))
	}
	t.Log("\n" + b.String())
}
