package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/test/rig"
)

// runAsExporter makes the test binary the exporter itself, so that a test has a
// process to send signals to.
const runAsExporter = "LIFEBOAT_TEST_RUN_AS_EXPORTER"

func TestMain(m *testing.M) {
	if os.Getenv(runAsExporter) != "" {
		main()
	}
	os.Exit(m.Run())
}

// process is an exporter that runs.
type process struct{ *rig.Server }

func start(t *testing.T, args ...string) process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), self, append([]string{"--web.listen-address=127.0.0.1:0", "--refresh-interval=1s"}, args...)...)
	// The race detector would make the end of the process take a second.
	cmd.Env = append(os.Environ(), runAsExporter+"=1", "GORACE=atexit_sleep_ms=0")
	return process{rig.Serve(t, cmd)}
}

// served is a page of a test as if a process served it.
func served(s *httptest.Server) process {
	return process{&rig.Server{Address: s.Listener.Addr().String()}}
}

func (p process) get(t *testing.T, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL(path), nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

// metrics waits until the exporter serves a line.
func (p process) metrics(t *testing.T, line string) string {
	t.Helper()
	var body string
	require.Eventually(t, func() bool {
		_, body = p.get(t, "/metrics")
		return strings.Contains(body, line)
	}, 20*time.Second, 50*time.Millisecond, line)
	return body
}

// end sends a signal and returns how the process ended, and its log.
func (p process) end(sig os.Signal) (code int, took time.Duration, log string) {
	code, took = p.End(sig)
	return code, took, p.Log()
}

func writeBackup(t *testing.T, dir, name, scheduleName string, started time.Time) {
	t.Helper()
	s, err := fs.Open(dir, true)
	require.NoError(t, err)
	defer s.Close()
	b := velerov1.Backup{}
	b.APIVersion, b.Kind, b.Name = velerov1.APIVersion, "Backup", name
	b.Labels = map[string]string{api.LabelScheduleName: scheduleName}
	b.Status = velerov1.BackupStatus{
		Phase: velerov1.BackupPhaseCompleted, StartTimestamp: &metav1.Time{Time: started}, CompletionTimestamp: &metav1.Time{Time: started.Add(time.Minute)},
	}
	raw, err := json.Marshal(b)
	require.NoError(t, err)
	require.NoError(t, s.Put(t.Context(), store.Contents(name), strings.NewReader("archive")))
	require.NoError(t, s.Put(t.Context(), store.Metadata(name), bytes.NewReader(raw)))
}

func TestTheExporterServesWhatALocationHolds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "backups")
	writeBackup(t, dir, "db-1", "db", time.Now().Add(-time.Hour))
	p := start(t, "--location", "prod=file://"+dir, "--schedule", "db=0 2 * * *", "--schedule", "never=CRON_TZ=Europe/Berlin 5,35 3 * * *")

	body := p.metrics(t, `lifeboat_exporter_source_up{backup_location_name="prod",source="drills"} 1`)
	for _, want := range []string{
		`lifeboat_schedule_last_backup_phase{phase="Completed",schedule="db"} 1`,
		`lifeboat_schedule_last_backup_phase{phase="None",schedule="never"} 1`,
		`lifeboat_schedule_info{backup_location_name="prod",cron="CRON_TZ=Europe/Berlin 5,35 3 * * *",schedule="never",timezone="Europe/Berlin"} 1`,
		`lifeboat_location_available{backup_location_name="prod"} 1`,
		"velero_backup_total 1", "velero_backup_last_successful_timestamp{", "lifeboat_exporter_build_info{", "go_goroutines", "process_start_time_seconds",
	} {
		assert.Contains(t, body, want)
	}

	writeBackup(t, dir, "db-2", "db", time.Now())
	p.metrics(t, "velero_backup_total 2")

	for path, want := range map[string]string{
		"/-/healthy": "healthy", "/-/ready": "ready", "/healthz": "healthy", "/readyz": "ready", "/": `href="/metrics"`, "/?schedule=db": "db", "/api/v1/status": `"schema": "lifeboat.dev/status/v1alpha1"`,
		"/api/v1/status?schedule=db": `"recoveryBackup": "db-2"`,
	} {
		code, body := p.get(t, path)
		assert.Equal(t, http.StatusOK, code, path)
		assert.Contains(t, body, want, path)
	}
	code, _ := p.get(t, "/nothing-here")
	assert.Equal(t, http.StatusNotFound, code)

	exit, took, log := p.end(syscall.SIGTERM)
	assert.Equal(t, cli.ExitOK, exit, log)
	assert.Less(t, took, time.Second)
}

func TestALocationThatIsMissingAtTheStartIsReportedAndMayComeBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "backups")
	p := start(t, "--location", "file://"+dir, "--refresh-timeout=1s")
	body := p.metrics(t, `lifeboat_location_available{backup_location_name="default"} 0`)
	assert.Contains(t, body, `lifeboat_exporter_source_up{backup_location_name="default",source="bucket"} 0`)
	assert.NotContains(t, body, "lifeboat_schedule_")
	code, _ := p.get(t, "/-/ready")
	assert.Equal(t, http.StatusOK, code, "an exporter that is not ready is not scraped, and then nobody is told")

	writeBackup(t, dir, "db-1", "db", time.Now())
	p.metrics(t, `lifeboat_schedule_last_backup_phase{phase="Completed",schedule="db"} 1`)
	exit, _, log := p.end(os.Interrupt)
	assert.Equal(t, cli.ExitOK, exit)
	assert.Contains(t, log, "cannot read the location")
}

// execute runs the command in this process and returns its code and messages.
func execute(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = cli.Run(ctx, newRoot(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestAMistakeInTheFlagsIsOneClearError(t *testing.T) {
	const good = "--location=file:///var/backups"
	web := filepath.Join(t.TempDir(), "web.yml")
	require.NoError(t, os.WriteFile(web, []byte("tls: yes\n"), 0o600))
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"nothing to read":         {nil, "nothing to read: give --location"},
		"a kubeconfig not there":  {[]string{"--kubeconfig=/nowhere/config"}, "--kubeconfig"},
		"no namespace":            {[]string{good, "--namespace="}, "--namespace: it must not be empty"},
		"a ttl of nothing":        {[]string{good, "--server.default-backup-ttl=0s"}, "--server.default-backup-ttl 0s: it must be a second or more"},
		"garbage collected never": {[]string{good, "--server.garbage-collection-frequency=0s"}, "it must be a second or more"},
		"a path for a URL":        {[]string{"--location=/var/backups"}, "does not begin with file:// or s3://"},
		"a name and a path":       {[]string{"--location=prod=/var/backups"}, "does not begin with file:// or s3://"},
		"the same twice":          {[]string{good, good}, "is given twice"},
		"two of one name":         {[]string{"--location=a=file:///x", "--location=a=file:///y"}, `the name "a" is given twice`},
		"schedule without cron":   {[]string{good, "--schedule=db"}, "it must be name=value"},
		"malformed cron":          {[]string{good, "--schedule=db=0 2 * *"}, "expected exactly 5 fields"},
		"cron that is never due":  {[]string{good, "--schedule=db=0 0 30 2 *"}, "matches no date"},
		"a schedule twice":        {[]string{good, "--schedule=db=@daily", "--schedule=db=@hourly"}, `"db" is given twice`},
		"an RPO that is no time":  {[]string{good, "--rpo=db=soon"}, "no duration such as 26h"},
		"an RPO of nothing":       {[]string{good, "--rpo=db=0s"}, "no duration such as 26h"},
		"interval too short":      {[]string{good, "--refresh-interval=1ms"}, "--refresh-interval 1ms: it must be a second or more"},
		"no time for storage":     {[]string{good, "--storage-scan-interval=1ms"}, "--storage-scan-interval 1ms: it must be a second or more"},
		"unknown kind of lock":    {[]string{good, "--object-lock=yes"}, `--object-lock "yes": it must be one of [off report require]`},
		"no schedules allowed":    {[]string{good, "--max-schedules=0"}, "it must be 1 or more"},
		"unknown level of proof":  {[]string{good, "--proven-level=hope"}, "it must be one of [integrity controlplane kind]"},
		"address without port":    {[]string{good, "--web.listen-address=localhost"}, "host:port"},
		"web config that is not":  {[]string{good, "--web.config.file=" + web}, "--web.config.file"},
		"web config not there":    {[]string{good, "--web.config.file=/nowhere/web.yml"}, "--web.config.file /nowhere/web.yml"},
		"proof within no time":    {[]string{good, "--proven-within=-1h"}, "--proven-within -1h0m0s: it must be a second or more"},
		"a ledger at a path":      {[]string{good, "--ledger=/var/ledger"}, "--ledger: "},
		"a ledger without a name": {[]string{good, "--ledger=file:///var/ledger", "--ledger.name=../x"}, "--ledger.name: "},
		"unknown log level":       {[]string{good, "--log.level=loud"}, "debug, info, warn or error"},
		"unknown log format":      {[]string{good, "--log.format=xml"}, "text or json"},
		"unknown flag":            {[]string{good, "--colour"}, "unknown flag: --colour"},
		"an argument":             {[]string{good, "extra"}, "1 arguments"},
		"duration without a unit": {[]string{good, "--refresh-timeout=60"}, "is not a duration: use hours, minutes and seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(t.Context(), tc.args...)
			assert.Equal(t, cli.ExitUsage, code)
			assert.Contains(t, stderr, tc.want)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), "one line: %s", stderr)
			assert.Empty(t, stdout)
		})
	}
}

func TestFlagsCanBeCheckedWithoutServing(t *testing.T) {
	dir := t.TempDir()
	web, kubeconfig := filepath.Join(dir, "web.yml"), filepath.Join(dir, "kubeconfig")
	require.NoError(t, os.WriteFile(web, []byte("http_server_config: {http2: false}\n"), 0o600))
	require.NoError(t, os.WriteFile(kubeconfig, []byte(kubeconfigOf("https://192.0.2.1:6443")), 0o600))
	code, stdout, stderr := execute(t.Context(), "--location=file:///not/there", "--schedule=db=0 2 * * *", "--rpo=db=26h", "--web.config.file", web, "--kubeconfig", kubeconfig, "--config.check")
	assert.Equal(t, cli.ExitOK, code, stderr)
	assert.Equal(t, `location default: file:///not/there
cluster: https://192.0.2.1:6443, namespace velero
schedule db: 0 2 * * *
rpo db: 26h0m0s
web config: `+web+`
addresses: :9808
flags and files are in order; no location was opened, and no cluster asked
`, stdout)

	require.NoError(t, os.WriteFile(kubeconfig, []byte("clusters: ["), 0o600))
	code, _, stderr = execute(t.Context(), "--location=file:///not/there", "--kubeconfig", kubeconfig, "--config.check")
	assert.Equal(t, cli.ExitUsage, code)
	assert.Contains(t, stderr, "--kubeconfig")
}

// kubeconfigOf leads to a server without saying who asks.
func kubeconfigOf(server string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","clusters":[{"name":"c","cluster":{"server":%q}}],"contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}],"current-context":"x","users":[{"name":"u","user":{}}]}`, server)
}

func TestTheHelpShowsTheDefaults(t *testing.T) {
	code, stdout, _ := execute(t.Context(), "--help")
	assert.Equal(t, cli.ExitOK, code)
	lines := strings.Split(stdout, "\n")
	for flag, want := range map[string]string{
		"--refresh-interval": "(default 1m0s)", "--refresh-timeout": "(default 1m0s)", "--proven-level": `(default "controlplane")`, "--proven-within": "else 168h)",
		"--max-schedules": "(default 500)", "--web.listen-address": "(default [:9808])", "--namespace": `(default "velero")`, "--rpo": "(default: two intervals and a grace period)",
		"--ledger.name": `(default "default")`, "--log.level": `(default "info")`, "--log.format": `(default "text")`, "--server.default-backup-ttl": "(default 720h0m0s)",
	} {
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), flag+" ") })
		if assert.GreaterOrEqual(t, i, 0, flag) {
			assert.Contains(t, lines[i], want)
		}
	}
}

// mute is the address of a server that takes connections and never answers, and
// tells of the first one.
func mute(t *testing.T) (address string, connected <-chan struct{}) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	first := make(chan struct{})
	go func() {
		var open []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				for _, c := range open {
					c.Close()
				}
				return
			}
			if open = append(open, c); len(open) == 1 {
				close(first)
			}
		}
	}()
	t.Cleanup(func() { l.Close() })
	return l.Addr().String(), first
}

func TestAnExporterThatIsToldToStopDoesSoWhileItsSourcesHang(t *testing.T) {
	bucket, bucketAsked := mute(t)
	server, serverAsked := mute(t)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, []byte(kubeconfigOf("http://"+server)), 0o600))
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	url := "s3://bucket/prod?region=eu-west-1&endpoint=http://" + bucket
	p := start(t, "--location", url, "--kubeconfig", kubeconfig, "--ledger", url, "--refresh-timeout=10m")
	<-bucketAsked
	<-serverAsked
	code, body := p.get(t, "/-/ready")
	assert.Equal(t, http.StatusServiceUnavailable, code, "no source has been tried to its end")
	assert.Contains(t, body, "not ready")
	code, _ = p.get(t, "/-/healthy")
	assert.Equal(t, http.StatusOK, code, "the process is alive all the same")
	code, body = p.get(t, "/")
	assert.Equal(t, http.StatusOK, code)
	assert.Contains(t, body, "No schedule is known yet.")

	exit, took, log := p.end(syscall.SIGTERM)
	assert.Equal(t, cli.ExitOK, exit, log)
	assert.Less(t, took, 5*time.Second)
}

func TestAnAddressInUseIsAnErrorThatNamesIt(t *testing.T) {
	p := start(t, "--location", "file://"+t.TempDir())
	address := p.Address
	code, _, stderr := execute(t.Context(), "--location=file:///x", "--web.listen-address="+address)
	assert.Equal(t, cli.ExitError, code)
	assert.Contains(t, stderr, "listen on "+address)
	assert.Contains(t, stderr, "address already in use")
}

func TestACommandInterruptedBeforeItServesSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, _, _ := execute(ctx, "--location=file:///x", "--web.listen-address=127.0.0.1:0")
	assert.Equal(t, cli.ExitCancelled, code)
}

func TestALocationMayHaveANameAndAURLMayHoldEqualsSigns(t *testing.T) {
	got, err := parseLocations([]string{"s3://bucket/prod?region=eu-west-1"})
	require.NoError(t, err)
	assert.Equal(t, []namedURL{{"default", "s3://bucket/prod?region=eu-west-1"}}, got)
	got, err = parseLocations([]string{"s3://bucket/prod?region=eu-west-1", "file:///backups"})
	require.NoError(t, err)
	assert.Equal(t, []namedURL{{"s3://bucket/prod", "s3://bucket/prod?region=eu-west-1"}, {"file:///backups", "file:///backups"}}, got)
	got, err = parseLocations([]string{"near=file:///a=b", "far=s3://bucket?region=eu-west-1"})
	require.NoError(t, err)
	assert.Equal(t, []namedURL{{"near", "file:///a=b"}, {"far", "s3://bucket?region=eu-west-1"}}, got)
}

func TestTheNameOfAScheduleIsThatOfTheLabelOfItsBackups(t *testing.T) {
	long := strings.Repeat("x", 80)
	got, err := parseSchedules([]string{long + "=@daily"})
	require.NoError(t, err)
	assert.Contains(t, got, api.LabelValue(long))
	assert.Len(t, api.LabelValue(long), 63)
}
