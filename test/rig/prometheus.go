package rig

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// PrometheusConfig says what a Prometheus scrapes and evaluates.
type PrometheusConfig struct {
	// Job and Target are what it scrapes: host:port.
	Job, Target string
	// Targets is the path of a file of targets in JSON (file_sd_config), in place
	// of Target. Changes of it are followed.
	Targets string
	// RuleFiles are absolute paths.
	RuleFiles []string
	// Alertmanager is the URL of the one it sends alerts to; it may be empty.
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

// Monitor is a Prometheus or an Alertmanager.
type Monitor struct {
	*Process
	URL string // http://127.0.0.1:port
}

// StartPrometheus starts a Prometheus with its data in dir, on a free port of the
// loopback interface, and waits until it is ready.
func StartPrometheus(ctx context.Context, dir string, c PrometheusConfig) (*Monitor, error) {
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte(c.yaml()), 0o600); err != nil {
		return nil, fmt.Errorf("configure Prometheus: %w", err)
	}
	return startMonitor(ctx, "prometheus",
		"--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		// Alertmanager is sent again what it held back, even if it is resolved by now.
		"--rules.alert.resend-delay="+c.Interval.String())
}

// StartAlertmanager starts an Alertmanager with its data in dir, without a cluster,
// on a free port of the loopback interface, and waits until it is ready. config is
// the path of its configuration.
func StartAlertmanager(ctx context.Context, dir, config string) (*Monitor, error) {
	return startMonitor(ctx, "alertmanager",
		"--config.file="+config, "--storage.path="+filepath.Join(dir, "data"), "--cluster.listen-address=")
}

func startMonitor(ctx context.Context, program string, args ...string) (*Monitor, error) {
	path, err := Find(program)
	if err != nil {
		return nil, err
	}
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	p, err := startProcess(exec.Command(path, append(args, "--web.listen-address="+address)...), nil)
	if err != nil {
		return nil, err
	}
	m := &Monitor{Process: p, URL: "http://" + address}
	if err := p.await(ctx, func(ctx context.Context) error { return answers(ctx, m.URL+"/-/ready", http.StatusOK) }); err != nil {
		return nil, err
	}
	return m, nil
}

// answers is nil if the server answers with the status; 0 is any.
func answers(ctx context.Context, url string, status int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body) // so that the connection is used again
	if status != 0 && res.StatusCode != status {
		return fmt.Errorf("%s answers %s", url, res.Status)
	}
	return nil
}
