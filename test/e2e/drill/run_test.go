//go:build e2e

package drill

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// patience is how long a test waits for drills of small backups.
const patience = 3 * time.Minute

// twoSchedules is a location with a backup of Velero's schedule notes-1h and one
// of another, orders-1d.
func twoSchedules(t *testing.T) (dir string, backups []string) {
	t.Helper()
	dir = rig.SmallBucket(t)
	const twin = "orders-1d-20261122084242"
	from := filepath.Join(dir, store.BackupPrefix(rig.VelerosBackup))
	files, err := os.ReadDir(from)
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, store.BackupPrefix(twin)), 0o755))
	for _, f := range files {
		content := contents(t, dir, store.BackupPrefix(rig.VelerosBackup)+f.Name())
		switch f.Name() {
		case store.MetadataFile:
			content = bytes.ReplaceAll(content, []byte("notes-1h"), []byte("orders-1d"))
		case filepath.Base(store.PodVolumeBackups(rig.VelerosBackup)): // they name the backup
			content = zipped(t, bytes.ReplaceAll(unzipped(t, content), []byte("notes-1h"), []byte("orders-1d")))
		}
		replace(t, dir, store.BackupPrefix(twin)+strings.ReplaceAll(f.Name(), rig.VelerosBackup, twin), content)
	}
	return dir, []string{rig.VelerosBackup, twin}
}

func unzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	require.NoError(t, err)
	out, err := io.ReadAll(z)
	require.NoError(t, err)
	return out
}

func zipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(b)
	require.NoError(t, errors.Join(err, z.Close()))
	return out.Bytes()
}

func policyFile(t *testing.T, cron, more string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nightly.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`apiVersion: lifeboat.dev/v1alpha1
kind: DrillPolicy
metadata:
  name: nightly
spec:
  select:
    schedules: ["notes-*", "orders-*"]
  cron: "`+cron+`"
`+more), 0o600))
	return path
}

// daemon is a `lifeboat-verifier run` that serves its status page.
type daemon struct {
	*rig.Server
	temp string
}

func startDaemon(t *testing.T, url, policy, temp string) *daemon {
	t.Helper()
	cmd := command(t, context.WithoutCancel(t.Context()), temp, "lifeboat-verifier", "run", "--policy", policy, "--location", url, "--listen", "127.0.0.1:0")
	return &daemon{Server: rig.Serve(t, cmd), temp: temp}
}

// end sends a signal and returns how the daemon ended.
func (d *daemon) end(s os.Signal) (code int, took time.Duration, log string) {
	code, took = d.End(s)
	return code, took, d.Log()
}

func (d *daemon) get(t *testing.T, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL(path), nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

// ledger lists the files of the ledger that match a pattern below a run.
func ledger(t *testing.T, dir, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, store.LedgerPrefix, "nightly", pattern))
	require.NoError(t, err)
	return files
}

// verdicts are those of the evidence there is, by backup.
func verdicts(t *testing.T, url string) map[string][]report.Verdict {
	t.Helper()
	s, err := location.Open(t.Context(), url, location.Options{})
	require.NoError(t, err)
	records, unreadable, err := (&evidence.Index{Store: s}).List(t.Context())
	require.NoError(t, err)
	require.Empty(t, unreadable)
	out := map[string][]report.Verdict{}
	for _, r := range records {
		out[r.Backup] = append(out[r.Backup], r.Verdict)
	}
	return out
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, patience, 20*time.Millisecond, what)
}

func (d *daemon) leavesNothing(t *testing.T) {
	t.Helper()
	assert.Empty(t, entries(t, d.temp), "no folder is left")
	assert.Empty(t, processesIn(t, d.temp), "no process is left")
}

func TestADaemonThatIsKilledGoesOnWhereItWas(t *testing.T) {
	dir, backups := twoSchedules(t)
	url, temp := "file://"+dir, t.TempDir()
	policy := policyFile(t, "@every 12h", "")
	d := startDaemon(t, url, policy, temp)
	eventually(t, "the second drill is under way", func() bool {
		return len(evidenceOf(t, dir)) == 1 && len(ledger(t, dir, "*/*/1.json")) == 2 && len(entries(t, temp)) > 0
	})
	_, _, log := d.end(syscall.SIGKILL)
	assert.Len(t, evidenceOf(t, dir), 1)

	d = startDaemon(t, url, policy, temp)
	eventually(t, log, func() bool { return len(evidenceOf(t, dir)) == 2 })
	eventually(t, "the run ends", func() bool {
		_, metrics := d.get(t, "/metrics")
		return strings.Contains(metrics, `lifeboat_verifier_last_run_timestamp_seconds{policy="nightly"}`)
	})
	for _, b := range backups {
		assert.Equal(t, []report.Verdict{report.Passed}, verdicts(t, url)[b], "each is drilled to its end once: %s", b)
	}
	assert.Len(t, ledger(t, dir, "*.json"), 1, "one run")
	assert.Len(t, ledger(t, dir, "*/*/1.json"), 2)
	assert.Len(t, ledger(t, dir, "*/*/2.json"), 1, "only what was lost was tried again")

	code, body := d.get(t, "/")
	assert.Equal(t, http.StatusOK, code)
	links := regexp.MustCompile(`href="(/drills/[^"]+)"`).FindAllStringSubmatch(body, -1)
	require.Len(t, links, 2)
	code, body = d.get(t, links[0][1])
	assert.Equal(t, http.StatusOK, code)
	assert.Contains(t, body, "The objects of the backup can be restored.")
	_, metrics := d.get(t, "/metrics")
	assert.Contains(t, metrics, `lifeboat_verifier_drills_total{level="controlplane",policy="nightly",verdict="passed"} 1`)
	assert.Contains(t, metrics, `lifeboat_verifier_location_up{policy="nightly"} 1`)
	for _, path := range []string{"/healthz", "/readyz"} {
		code, body = d.get(t, path)
		assert.Equal(t, http.StatusOK, code, body)
	}
	code, took, log := d.end(syscall.SIGTERM)
	assert.Zero(t, code, log)
	assert.Less(t, took, 5*time.Second)
	d.leavesNothing(t)
}

func TestTwoDaemonsOnOneLocationDrillNothingTwice(t *testing.T) {
	dir, backups := twoSchedules(t)
	url := "file://" + dir
	policy := policyFile(t, "@every 12h", "")
	one, two := startDaemon(t, url, policy, t.TempDir()), startDaemon(t, url, policy, t.TempDir())
	for _, d := range []*daemon{one, two} {
		eventually(t, "both end the run", func() bool {
			_, metrics := d.get(t, "/metrics")
			return strings.Contains(metrics, `lifeboat_verifier_last_run_timestamp_seconds{policy="nightly"}`)
		})
	}
	for _, b := range backups {
		assert.Equal(t, []report.Verdict{report.Passed}, verdicts(t, url)[b], b)
	}
	assert.Len(t, ledger(t, dir, "*.json"), 1, "one run")
	for _, d := range []*daemon{one, two} {
		code, _, log := d.end(syscall.SIGTERM)
		assert.Zero(t, code, log)
		d.leavesNothing(t)
	}
}

func TestTwoDaemonsShareABucket(t *testing.T) {
	bucket := rig.S3(t)
	dir, backups := twoSchedules(t)
	url := bucket.URL("prod")
	require.NoError(t, os.CopyFS(filepath.Join(bucket.Dir, bucket.Bucket, "prod"), os.DirFS(dir)))
	policy := policyFile(t, "@every 12h", "  level: integrity\n")
	one, two := startDaemon(t, url, policy, t.TempDir()), startDaemon(t, url, policy, t.TempDir())
	for _, d := range []*daemon{one, two} {
		eventually(t, "both end the run", func() bool {
			_, metrics := d.get(t, "/metrics")
			return strings.Contains(metrics, `lifeboat_verifier_last_run_timestamp_seconds{policy="nightly"}`)
		})
	}
	for _, b := range backups {
		assert.Equal(t, []report.Verdict{report.Passed}, verdicts(t, url)[b], b)
	}
	one.end(syscall.SIGTERM)
	two.end(syscall.SIGTERM)
}

func TestDowntimeIsCaughtUpByOneRun(t *testing.T) {
	dir, backups := twoSchedules(t)
	due := time.Now().UTC().AddDate(0, 0, -5).Truncate(time.Hour)
	record, err := json.Marshal(map[string]any{"schema": "lifeboat.dev/run/v1alpha1", "policy": "nightly", "due": due, "drills": []any{}})
	require.NoError(t, err)
	key := store.Run("nightly", due.Format("20060102T150405Z"))
	require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, key)), 0o755))
	replace(t, dir, key, record)
	d := startDaemon(t, "file://"+dir, policyFile(t, "0 * * * *", "  level: integrity\n"), t.TempDir())
	eventually(t, "what was missed is made up for", func() bool { return len(evidenceOf(t, dir)) == len(backups) })
	eventually(t, "the run ends", func() bool {
		_, metrics := d.get(t, "/metrics")
		return strings.Contains(metrics, `lifeboat_verifier_last_run_timestamp_seconds{policy="nightly"}`)
	})
	assert.LessOrEqual(t, len(ledger(t, dir, "*.json")), 3, "five days of hours are one run, and one more if an hour just struck")
	code, _, log := d.end(syscall.SIGTERM)
	assert.Zero(t, code, log)
}

func TestADaemonThatIsStoppedGivesItsDrillUp(t *testing.T) {
	dir, _ := twoSchedules(t)
	url, temp := "file://"+dir, t.TempDir()
	policy := policyFile(t, "@every 12h", "")
	d := startDaemon(t, url, policy, temp)
	eventually(t, "a sandbox is there", func() bool { return len(entries(t, temp)) > 0 })
	code, took, log := d.end(syscall.SIGTERM)
	assert.Zero(t, code, log)
	assert.Less(t, took, 10*time.Second)
	d.leavesNothing(t)
	assert.Empty(t, evidenceOf(t, dir), "a drill that was given up says nothing")
	assert.Len(t, ledger(t, dir, "*/*/1-released.json"), 1)

	o := run(t, t.Context(), "lifeboat-verifier", "run", "--policy", policy, "--location", url, "--once")
	assert.Zero(t, o.code, o.stderr)
	assert.Len(t, evidenceOf(t, dir), 2, "the next one does what is left at once, and ends")
	assert.Empty(t, entries(t, o.temp))
	o = run(t, t.Context(), "lifeboat-verifier", "run", "--policy", policy, "--location", url, "--once")
	assert.Zero(t, o.code, o.stderr)
	assert.Len(t, evidenceOf(t, dir), 2, "nothing is due")
}

func TestOnceSaysWhatItFoundInItsExitStatus(t *testing.T) {
	dir, backups := twoSchedules(t)
	b := contents(t, dir, store.Contents(backups[1]))
	replace(t, dir, store.Contents(backups[1]), b[:len(b)/2])
	o := run(t, t.Context(), "lifeboat-verifier", "run", "--policy", policyFile(t, "@daily", "  level: integrity\n"), "--location", "file://"+dir, "--once")
	assert.Equal(t, 4, o.code, o.stderr)
	got := verdicts(t, "file://"+dir)
	assert.Equal(t, []report.Verdict{report.Passed}, got[backups[0]])
	assert.Equal(t, []report.Verdict{report.Failed}, got[backups[1]])
}
