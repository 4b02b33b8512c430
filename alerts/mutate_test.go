//go:build e2e

package alerts_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/test/part"
	"github.com/lifeboat-backup/lifeboat/test/rig"
)

func TestTheRulesPassTheirTests(t *testing.T) {
	promtool := rig.Promtool(t)
	out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", rulesFile, filepath.Join("examples", "velero.rules.yml")).CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.CommandContext(t.Context(), promtool, append([]string{"test", "rules"}, slices.Sorted(maps.Keys(tests(t)))...)...).CombinedOutput()
	require.NoError(t, err, string(out))
}

// equivalent are mutants that no series can tell from the rule, and why.
var equivalent = map[string]string{
	"cluster:lifeboat_schedules_recoverable:ratio: * between 0 and group by (cluster) (namespace_schedule:lifeboat_rpo_met:bool) becomes /":            "0 times 1 is 0 over 1",
	"LifeboatBackupStuck: * between 900 and group by (cluster, namespace, schedule) (lifeboat_schedule_oldest_active_run_timestamp_seconds) becomes /": "900 times 1 is 900 over 1",
	"LifeboatBackupStuck: > between max by (cluster, namespace, schedule) (lifeboat_schedule_last_success_duration_seconds) and 900 becomes >=":        "at 900 both arms are 900",
	"LifeboatMonitoringWatchdog: 1 becomes 61": "nothing looks at the value",
	"LifeboatMonitoringWatchdog: 1 becomes 0":  "nothing looks at the value",
}

// quick is the time that the tests simulate first. Nearly all mutants are
// dead by then, and those days that some tests take need not be simulated.
const quick = 3 * time.Hour

// TestEveryMutantIsKilled weakens each rule in every way it knows, one at a
// time, and demands that the rule's tests notice. A run takes its part of the changes.
func TestEveryMutantIsKilled(t *testing.T) {
	promtool, taken := rig.Promtool(t), part.Of(t)
	all, every := tests(t), everyRule(t)
	var made []mutant
	var killed []bool
	total := 0
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, r := range every {
		dir := t.TempDir()
		files := testsOf(t, r, all)
		require.NoError(t, promtoolTest(promtool, writeRules(t, dir, "unchanged", withMutant(every, r)), files), "%s itself passes", r.name())
		mutants, err := mutants(r)
		require.NoError(t, err)
		mutants = slices.DeleteFunc(mutants, func(mutant) bool { total++; return !taken.Takes(total - 1) })
		outcomes := make([]bool, len(mutants))
		soon := until(t, files, quick)
		for i, m := range mutants {
			path := writeRules(t, dir, strconv.Itoa(i), withMutant(every, m.rule))
			group.Go(func() error {
				outcomes[i] = kills(promtool, path, soon) || kills(promtool, path, files)
				return nil
			})
		}
		require.NoError(t, group.Wait())
		made, killed = append(made, mutants...), append(killed, outcomes...)
	}
	dead, same := 0, 0
	for i, m := range made {
		switch _, listed := equivalent[m.name]; {
		case killed[i]:
			dead++
			assert.False(t, listed, "is listed as equivalent and was killed: %s", m.name)
		case listed:
			same++
		default:
			t.Errorf("survived: %s\n%s", m.name, m.rule.Expr)
		}
	}
	if taken.Whole() {
		assert.Len(t, equivalent, same, "mutants that are listed as equivalent are made")
	}
	t.Logf("%d mutants of %d rules, part %s taken: %d killed, %d equivalent", total, len(every), taken, dead, same)
	assert.Greater(t, total, 800, "the mutator has lost its teeth")
}

// withMutant is what a rule needs to be tested with: itself and the recordings that
// it reads, and for a recording all recordings, which its tests may read.
func withMutant(every []rule, m rule) []rule {
	var out []rule
	for _, r := range every {
		switch {
		case r.name() == m.name():
			out = append(out, m)
		case r.Record != "" && (m.Record != "" || strings.Contains(m.Expr, r.Record)):
			out = append(out, r)
		}
	}
	return out
}

// testsOf are the tests that look at one rule, and of each what looks at it.
func testsOf(t *testing.T, r rule, all map[string]testFile) []testFile {
	t.Helper()
	var out []testFile
	for _, path := range slices.Sorted(maps.Keys(all)) {
		f := all[path]
		cases := f.Tests
		f.Tests, f.GroupOrder = nil, nil
		for _, c := range cases {
			c.Alerts = slices.DeleteFunc(slices.Clone(c.Alerts), func(a alertTest) bool { return a.Alert != r.Alert })
			c.Exprs = slices.DeleteFunc(slices.Clone(c.Exprs), func(e exprTest) bool { return r.Record == "" || !strings.Contains(e.Expr, r.Record) })
			if len(c.Alerts)+len(c.Exprs) > 0 {
				f.Tests = append(f.Tests, c)
			}
		}
		if len(f.Tests) > 0 {
			out = append(out, f)
		}
	}
	require.NotEmpty(t, out, "%s has tests", r.name())
	return out
}

// until leaves out what tests look at later. Rules come to the same at a time
// whether or not they are looked at later.
func until(t *testing.T, files []testFile, end time.Duration) []testFile {
	t.Helper()
	late := func(at string) bool {
		d, err := model.ParseDuration(at)
		require.NoError(t, err)
		return time.Duration(d) > end
	}
	var out []testFile
	for _, f := range files {
		cases := f.Tests
		f.Tests = nil
		for _, c := range cases {
			c.Alerts = slices.DeleteFunc(slices.Clone(c.Alerts), func(a alertTest) bool { return late(a.EvalTime) })
			c.Exprs = slices.DeleteFunc(slices.Clone(c.Exprs), func(e exprTest) bool { return late(e.EvalTime) })
			if len(c.Alerts)+len(c.Exprs) > 0 {
				f.Tests = append(f.Tests, c)
			}
		}
		if len(f.Tests) > 0 {
			out = append(out, f)
		}
	}
	return out
}

func writeRules(t *testing.T, dir, name string, rules []rule) string {
	t.Helper()
	raw, err := yaml.Marshal(ruleFile{Groups: []group{{Name: "mutant", Rules: rules}}})
	require.NoError(t, err)
	path := filepath.Join(dir, name+".rules.yml")
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	return path
}

// kills says whether one of the tests fails.
func kills(promtool, rulePath string, files []testFile) bool {
	return len(files) > 0 && promtoolTest(promtool, rulePath, files) != nil
}

// promtoolTest runs tests against one rule file.
func promtoolTest(promtool, rulePath string, files []testFile) error {
	var paths []string
	for i, f := range files {
		f.RuleFiles = []string{filepath.Base(rulePath)}
		raw, err := yaml.Marshal(f)
		if err != nil {
			return err
		}
		path := strings.TrimSuffix(rulePath, ".rules.yml") + fmt.Sprintf("-%d_test.yml", i)
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			return err
		}
		paths = append(paths, path)
	}
	return exec.Command(promtool, append([]string{"test", "rules"}, paths...)...).Run()
}
