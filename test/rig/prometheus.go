package rig

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Where the programs come from: `make prometheus` unpacks Debian's package of
// Prometheus and builds Alertmanager, and make puts their folders into PATH.
const (
	debianPrometheus = "make prometheus, or apt-get install prometheus"
	alertmanagerHint = "make prometheus"
)

// Promtool returns the path of promtool. The test fails, and is not skipped,
// when there is none: an alert nobody tests is no alert.
func Promtool(t testing.TB) string { return program(t, "promtool", debianPrometheus) }

// Amtool returns the path of amtool, which checks Alertmanager's configuration.
func Amtool(t testing.TB) string {
	return program(t, "amtool", alertmanagerHint)
}

// Kubectl returns the path of kubectl.
func Kubectl(t testing.TB) string { return program(t, "kubectl", "make kubectl") }

func program(t testing.TB, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not in PATH: %s", name, install)
	}
	return path
}

// PrometheusConfig says what a Prometheus scrapes and evaluates.
type PrometheusConfig struct {
	// Job and Target are what it scrapes: host:port.
	Job, Target string
	// Targets is the path of a file of targets in JSON (file_sd_config), in place
	// of Target. Changes of it are followed.
	Targets string
	// RuleFiles are absolute paths.
	RuleFiles []string
	// Alertmanager is the URL of the one it sends alerts to; "" is none.
	Alertmanager string
	// Interval is the time between scrapes, and between evaluations.
	Interval time.Duration
}

func (c PrometheusConfig) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "global: {scrape_interval: %[1]s, scrape_timeout: %[1]s, evaluation_interval: %[1]s}\n", c.Interval)
	b.WriteString("rule_files:\n")
	for _, path := range c.RuleFiles {
		fmt.Fprintf(&b, "- %q\n", path)
	}
	if c.Alertmanager != "" {
		fmt.Fprintf(&b, "alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}\n", strings.TrimPrefix(c.Alertmanager, "http://"))
	}
	fmt.Fprintf(&b, "scrape_configs:\n- job_name: %s\n", c.Job)
	if c.Targets != "" {
		fmt.Fprintf(&b, "  file_sd_configs: [{files: [%q], refresh_interval: %s}]\n", c.Targets, c.Interval)
	} else {
		fmt.Fprintf(&b, "  static_configs: [{targets: [%q]}]\n", c.Target)
	}
	return b.String()
}

// Prometheus starts a Prometheus on a port of the loopback interface, waits
// until it is ready, and returns its URL. It ends with the test, and its data
// with it.
func Prometheus(t testing.TB, c PrometheusConfig) (url string) {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte(c.yaml()), 0o600); err != nil {
		t.Fatal(err)
	}
	return daemon(t, program(t, "prometheus", debianPrometheus),
		"--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		// What Alertmanager held back, be it resolved by now, is told to it again.
		"--rules.alert.resend-delay="+c.Interval.String())
}

// daemon starts one of Prometheus' programs on a port of the loopback interface,
// waits until it is ready, and returns its URL. It ends with the test.
func daemon(t testing.TB, path string, args ...string) (url string) {
	t.Helper()
	address, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(path, append(args, "--web.listen-address="+address)...)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = endWithParent()
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", filepath.Base(path), err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in its log
	}()
	t.Cleanup(func() { stopDaemon(t, cmd, ended, &log) })
	url = "http://" + address
	awaitDaemon(t, url+"/-/ready", filepath.Base(path), ended)
	return url
}

// daemonStopTimeout is how long a program may take to end when it is asked to.
const daemonStopTimeout = 10 * time.Second

// stopDaemon ends a program and shows its log if the test failed.
func stopDaemon(t testing.TB, cmd *exec.Cmd, ended <-chan struct{}, log *bytes.Buffer) {
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-ended:
	case <-time.After(daemonStopTimeout):
		_ = cmd.Process.Kill()
		<-ended
	}
	if t.Failed() {
		t.Logf("log of %s:\n%s", filepath.Base(cmd.Path), log)
	}
}

func awaitDaemon(t testing.TB, url, name string, ended <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	for {
		if answers(ctx, url) {
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended before it was ready", name)
		case <-ctx.Done():
			t.Fatalf("%s was not ready within %s", name, readyTimeout)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body) // so that the connection is used again
	return res.StatusCode == http.StatusOK
}
