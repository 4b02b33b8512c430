package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// wants is what a bad policy says of itself: its comments at the top.
func wants(file []byte) string {
	var out []string
	for line := range strings.Lines(string(file)) {
		comment, ok := strings.CutPrefix(line, "# ")
		if !ok {
			break
		}
		out = append(out, strings.TrimSpace(comment))
	}
	return strings.Join(out, "\n")
}

func TestEachMistakeIsToldWithItsPathItsValueAndWhatIsAllowed(t *testing.T) {
	files, err := filepath.Glob("testdata/invalid/*.yaml")
	require.NoError(t, err)
	require.Greater(t, len(files), 100)
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			file, err := os.ReadFile(path)
			require.NoError(t, err)
			_, err = Load(path)
			var invalid *InvalidError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, wants(file), err.Error())
		})
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	_, err := Load("testdata/many-mistakes.yaml")
	file, readErr := os.ReadFile("testdata/many-mistakes.yaml")
	require.NoError(t, readErr)
	require.Error(t, err)
	assert.Equal(t, wants(file), err.Error())
}

func TestAPolicyHasItsDefaults(t *testing.T) {
	p, err := Parse(strings.NewReader(`
apiVersion: lifeboat.dev/v1alpha1
kind: DrillPolicy
metadata: {name: p}
spec:
  select: {schedules: [nightly]}
  level: kind
  checks:
  - {name: a, http: {namespace: shop, service: web, port: http}}
`))
	require.NoError(t, err)
	printed, err := yaml.Marshal(p)
	require.NoError(t, err)
	assert.YAMLEq(t, `
apiVersion: lifeboat.dev/v1alpha1
kind: DrillPolicy
metadata: {name: p}
spec:
  select: {schedules: [nightly]}
  level: kind
  kubernetesVersion: source
  limits: {timeout: 30m, workloadsReady: 5m, concurrency: 1}
  images: {mode: pull}
  cronJobs: Suspended
  proven: {level: kind}
  checks:
  - {name: a, timeout: 1m, http: {namespace: shop, service: web, port: http, scheme: http, method: GET, path: /}}
`, string(printed))
}

func TestLimitsThatDoNotApplyToALevelAreNoMistake(t *testing.T) {
	for name, tc := range map[string]struct {
		level, limits string
		ready         time.Duration // in effect
	}{
		"integrity, a short timeout":              {"integrity", "{timeout: 3m}", 3 * time.Minute},
		"controlplane, a short timeout":           {"controlplane", "{timeout: 30s}", 30 * time.Second},
		"kind, a short timeout":                   {"kind", "{timeout: 3m}", 3 * time.Minute},
		"kind, a long timeout":                    {"kind", "{timeout: 2h}", 5 * time.Minute},
		"integrity, a time for workloads, longer": {"integrity", "{timeout: 3m, workloadsReady: 20m}", 20 * time.Minute},
		"the default timeout":                     {"controlplane", "{workloadsReady: 45m}", 45 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse(strings.NewReader("apiVersion: lifeboat.dev/v1alpha1\nkind: DrillPolicy\nmetadata: {name: p}\nspec:\n  select: {schedules: [a]}\n  level: " + tc.level + "\n  limits: " + tc.limits + "\n"))
			require.NoError(t, err)
			assert.Equal(t, tc.ready, p.Spec.Limits.WorkloadsReady.Duration)
			assert.Empty(t, p.Spec.ValidateDrill())
		})
	}
	_, err := Parse(strings.NewReader("apiVersion: lifeboat.dev/v1alpha1\nkind: DrillPolicy\nmetadata: {name: p}\nspec:\n  select: {schedules: [a]}\n  level: kind\n  limits: {workloadsReady: 45m}\n"))
	assert.ErrorContains(t, err, "is longer than the whole drill may take, 30m (timeout)")
}

func TestAFileThatIsTooLargeIsRefusedUnread(t *testing.T) {
	_, err := Parse(strings.NewReader("# " + strings.Repeat("x", 2*MaxSize)))
	assert.EqualError(t, err, "the file is larger than 1048576 bytes")
}

func TestAPolicyThatIsNotThereIsNoInvalidOne(t *testing.T) {
	_, err := Load("testdata/no-such.yaml")
	require.ErrorIs(t, err, os.ErrNotExist)
	var invalid *InvalidError
	assert.False(t, errors.As(err, &invalid))
}

func TestPathsInAPolicyAreRelativeToIt(t *testing.T) {
	dir := t.TempDir()
	policy := filepath.Join(dir, "p.yaml")
	require.NoError(t, os.WriteFile(policy, []byte(`
apiVersion: lifeboat.dev/v1alpha1
kind: DrillPolicy
metadata: {name: p}
spec:
  select: {backups: [b]}
  level: kind
  images: {mode: load, archive: images.tar}
  checks:
  - {name: a, job: {manifestFile: job.yaml}}
  - {name: b, sql: {namespace: shop, pod: db, driver: mysql, query: select 1, password: {file: secret}, user: {file: /etc/user}}}
  - {name: c, http: {namespace: shop, service: web, port: 80, headers: {Authorization: {file: token}}}}
`), 0o600))
	job, err := os.ReadFile("testdata/jobs/job.yaml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "job.yaml"), job, 0o600))
	p, err := Load(policy)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, "images.tar"), p.Spec.Images.Archive)
	assert.Equal(t, "Job", p.Spec.Checks[0].Job.Manifest["kind"])
	assert.Empty(t, p.Spec.Checks[0].Job.ManifestFile)
	assert.Equal(t, []string{"busybox:1.36"}, p.Spec.Checks[0].Images())
	assert.Equal(t, filepath.Join(dir, "secret"), p.Spec.Checks[1].SQL.Password.File)
	assert.Equal(t, "/etc/user", p.Spec.Checks[1].SQL.User.File)
	assert.Equal(t, filepath.Join(dir, "token"), p.Spec.Checks[2].HTTP.Headers["Authorization"].File)
}

func TestDurationsAreReadAndPrintedInTheSameWords(t *testing.T) {
	for text, want := range map[string]struct {
		d       time.Duration
		printed string
	}{
		"90s": {90 * time.Second, "1m30s"}, "36h": {36 * time.Hour, "36h"}, "30d": {30 * day, "30d"}, "1d12h": {36 * time.Hour, "36h"},
		"730h": {730 * time.Hour, "730h"}, "8760h": {365 * day, "365d"}, "0s": {0, "0s"}, "0": {0, "0s"}, "1.5d": {36 * time.Hour, "36h"},
		"1h0m30s": {time.Hour + 30*time.Second, "1h0m30s"}, "250ms": {250 * time.Millisecond, "250ms"}, "10h10m": {10*time.Hour + 10*time.Minute, "10h10m"},
	} {
		d, err := ParseDuration(text)
		require.NoError(t, err, text)
		assert.Equal(t, want.d, d.Duration, text)
		assert.Equal(t, want.printed, d.String(), text)
		again, err := ParseDuration(d.String())
		require.NoError(t, err)
		assert.Equal(t, d, again)
		b, err := json.Marshal(d)
		require.NoError(t, err)
		var decoded Duration
		require.NoError(t, json.Unmarshal(b, &decoded))
		assert.Equal(t, d, decoded)
	}
	for _, bad := range []string{"", "d", "-1h", "-1d", "1d-2d", "1h1d", "1e3d", "0x1d", "infd", "1 d", "5", "1w", "999999999d", "106750d999999h"} {
		_, err := ParseDuration(bad)
		assert.EqualError(t, err, "must be a time such as 90s, 36h, 30d or 1d12h, not negative", bad)
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/invalid/*.yaml", "../../deploy/drills/*.yaml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, path := range files {
			file, err := os.ReadFile(path)
			require.NoError(f, err)
			f.Add(string(file))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		once, err := yaml.Marshal(p)
		require.NoError(t, err)
		again, err := Parse(bytes.NewReader(once))
		require.NoError(t, err, "what is printed of a good policy is a good policy:\n%s", once)
		twice, err := yaml.Marshal(again)
		require.NoError(t, err)
		assert.Equal(t, string(once), string(twice))
	})
}
