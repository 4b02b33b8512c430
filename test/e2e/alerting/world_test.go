//go:build e2e

package alerting_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence/evidencetest"
	drill "github.com/lifeboat-backup/lifeboat/verifier/report"
)

// world is one cluster with a bucket, and the exporter that watches it. In the
// labels of its metrics the cluster has its name.
type world struct {
	env  *environment
	name string
	// s3 is the server with the world's own bucket.
	s3       rig.S3Server
	exporter *rig.Server
	flags    []string
	// api is the way to the API server, where it can be cut.
	api *rig.Relay
	// made counts the backups made; live are those not deleted, oldest first.
	made    int
	live    []string
	lastRun time.Time
	// expired says that backups were deleted.
	expired bool
	// hasty says that backups are deleted before their time.
	hasty bool
}

func (e *environment) world(name string) *world {
	return &world{env: e, name: name, s3: e.s3.WithBucket(e.t, name)}
}

// main is the URL of the bucket's usual location, as a flag.
func (w *world) main() string { return w.location("main") }

func (w *world) location(name string) string { return "--location=" + name + "=" + w.s3.URL(name) }

// watch starts the exporter, or starts it again where it was, with more flags.
func (w *world) watch(t *testing.T, flags ...string) {
	t.Helper()
	if w.exporter == nil {
		w.flags = append([]string{"--refresh-interval=1s", "--refresh-timeout=3s"}, flags...)
	} else {
		w.flags = append(append(w.flags, flags...), "--web.listen-address="+w.exporter.Address)
	}
	w.exporter = rig.Exporter(w.env.t, w.env.binary, w.flags...)
}

// served is what the exporter says now.
func (w *world) served(t *testing.T) string {
	t.Helper()
	res, err := http.Get("http://" + w.exporter.Address + "/metrics")
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	var ours []string
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "lifeboat_") {
			ours = append(ours, line)
		}
	}
	return strings.Join(ours, "")
}

// files is the folder that a location is on the server's disk.
func (w *world) folder() string { return filepath.Join(w.s3.Dir, w.s3.Bucket) }

func (w *world) open(t *testing.T, locationName string) store.Store {
	t.Helper()
	s, err := location.Open(t.Context(), w.s3.URL(locationName), location.Options{Create: true})
	require.NoError(t, err)
	return s
}

// backup is one that ends in a phase. What is not set has a default.
type backup struct {
	name, schedule string
	phase          velerov1.BackupPhase
	started        time.Time     // now
	in             string        // its location: main
	ttl            time.Duration // ttl
	size           int           // of its archive: 4 KiB
	warnings       int
	volumes        []volume
}

func (b backup) defaulted() backup {
	b.in, b.ttl, b.size = cmp.Or(b.in, "main"), cmp.Or(b.ttl, ttl), cmp.Or(b.size, 4096)
	if b.started.IsZero() {
		b.started = time.Now()
	}
	return b
}

// note remembers that a backup was made.
func (w *world) note(b backup) {
	w.made++
	w.live = append(w.live, b.name)
	w.lastRun = b.started
}

// newest is the name of the backup made last.
func (w *world) newest() string { return w.live[len(w.live)-1] }

// next is the next backup of the schedule shop.
func (w *world) next(phase velerov1.BackupPhase) backup {
	return backup{name: fmt.Sprintf("shop-%d", w.made+1), schedule: "shop", phase: phase, started: time.Now()}
}

// store writes a backup into its location, and nowhere else.
func (w *world) store(t *testing.T, b backup) {
	t.Helper()
	b = b.defaulted()
	w.note(b)
	o := velerov1.Backup{}
	o.APIVersion, o.Kind, o.Name = velerov1.APIVersion, "Backup", b.name
	if b.schedule != "" {
		o.Labels = map[string]string{api.LabelScheduleName: b.schedule}
	}
	o.Status = velerov1.BackupStatus{
		Phase: b.phase, StartTimestamp: moment(b.started), CompletionTimestamp: moment(b.started.Add(time.Second)), Expiration: moment(b.started.Add(b.ttl)),
		Progress: &velerov1.BackupProgress{TotalItems: 120, ItemsBackedUp: 120}, Warnings: b.warnings,
	}
	w.upload(t, b, o)
}

// remove deletes a backup from a location.
func (w *world) remove(t *testing.T, in, name string) {
	t.Helper()
	_, err := store.DeleteBackup(t.Context(), w.open(t, in), name)
	require.NoError(t, err)
}

// put writes any object into the main location.
func (w *world) put(t *testing.T, key, content string) {
	t.Helper()
	require.NoError(t, w.open(t, "main").Put(t.Context(), key, strings.NewReader(content)))
}

// drilled writes the evidence of a drill that has just ended.
func (w *world) drilled(t *testing.T, b backup, verdict drill.Verdict) {
	t.Helper()
	w.evidence(t, b, func(r *drill.Report) { r.Verdict = verdict })
}

// evidence writes the report of a drill that has just ended, as set has made it.
func (w *world) evidence(t *testing.T, b backup, set func(*drill.Report)) {
	t.Helper()
	now := time.Now()
	if b.started.IsZero() {
		b.started = now
	}
	r := drill.Report{
		Schema: drill.Schema, ID: fmt.Sprintf("d%d", now.UnixNano()), Level: drill.LevelControlPlane, Verdict: drill.Passed,
		Backup:  drill.Backup{Name: b.name, Schedule: b.schedule, Started: b.started.Truncate(time.Second)},
		Started: now.Add(-time.Minute), Finished: now,
		Stages: []drill.Stage{{Name: "restore", Seconds: 12}, {Name: "cleanup", Seconds: 1}},
		Items:  drill.Items{Expected: 120, Restored: 120},
	}
	set(&r)
	r, err := evidencetest.Drilled(t.Context(), w.open(t, "main"), r)
	require.NoError(t, err)
	raw, err := r.Encode()
	require.NoError(t, err)
	w.put(t, store.Evidence(b.name, r.ID), string(raw))
}

// claim writes what a verifier writes before it drills a backup
// (docs/adr/0009-a-ledger-of-write-once-records.md).
func (w *world) claim(t *testing.T, backup string, until time.Time) {
	t.Helper()
	now := time.Now().UTC()
	run := store.LedgerPrefix + "nightly/" + now.Format("20060102T150405Z")
	w.put(t, run+".json", "{}")
	w.put(t, run+"/"+backup+"/1.json", fmt.Sprintf(`{"schema":"lifeboat.dev/claim/v1alpha1","drill":"d%d","at":%q,"until":%q}`,
		now.UnixNano(), now.Format(time.RFC3339Nano), until.UTC().Format(time.RFC3339Nano)))
}

// line is the path of a kubeconfig that leads to the API server through w.api.
func (w *world) line(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(w.env.kubeconfig)
	require.NoError(t, err)
	server := regexp.MustCompile(`https://([0-9.:]+)`).FindSubmatch(raw)
	require.NotNil(t, server)
	w.api = rig.NewRelay(w.env.t, string(server[1]))
	path := filepath.Join(w.env.t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(raw, server[1], []byte(w.api.Address)), 0o600))
	return path
}

// admin is whoever set the bucket up.
func (w *world) admin(t *testing.T) *awss3.Client {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(w.s3.Region))
	require.NoError(t, err)
	return awss3.NewFromConfig(cfg, func(o *awss3.Options) { o.BaseEndpoint, o.UsePathStyle = &w.s3.Endpoint, true })
}

// retain locks the files of a backup for two hours.
func (w *world) retain(t *testing.T, b backup) {
	t.Helper()
	for info, err := range w.open(t, "main").List(t.Context(), store.BackupPrefix(b.name), true) {
		require.NoError(t, err)
		_, err = w.admin(t).PutObjectRetention(t.Context(), &awss3.PutObjectRetentionInput{
			Bucket: &w.s3.Bucket, Key: aws.String("main/" + info.Key),
			Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionModeGovernance, RetainUntilDate: aws.Time(time.Now().Add(2 * time.Hour))},
		})
		require.NoError(t, err)
	}
}

// lock turns object lock on for the bucket, with a retention of a day.
func (w *world) lock(t *testing.T) {
	t.Helper()
	_, err := w.admin(t).PutObjectLockConfiguration(t.Context(), &awss3.PutObjectLockConfigurationInput{
		Bucket: &w.s3.Bucket,
		ObjectLockConfiguration: &types.ObjectLockConfiguration{
			ObjectLockEnabled: types.ObjectLockEnabledEnabled,
			Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: aws.Int32(1)}},
		},
	})
	require.NoError(t, err)
}

// takeAway makes the bucket vanish from the server.
func (w *world) takeAway(t *testing.T) {
	t.Helper()
	require.NoError(t, os.Rename(w.folder(), w.folder()+".away"))
}

func (w *world) bringBack(t *testing.T) {
	t.Helper()
	require.NoError(t, os.Rename(w.folder()+".away", w.folder()))
}
