package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/test/rig"
)

// shown are the metrics the demo prints; claims are made of some of them.
var shown = []string{
	"velero_backup_last_successful_timestamp", "velero_backup_total", "velero_backup_items_total",
	"lifeboat_schedule_recovery_point_timestamp_seconds", "lifeboat_drill_last_result",
	"lifeboat_drill_proven_recovery_point_timestamp_seconds",
}

// measured asks the exporter for the metrics of the good and the bad location.
func (d *demo) measured(ctx context.Context) error {
	began := time.Now()
	good, err := d.scrape(ctx, d.location())
	if err != nil {
		return err
	}
	bad, err := d.scrape(ctx, d.sabotaged())
	if err != nil {
		return err
	}
	took := time.Since(began)
	const proven = `lifeboat_drill_proven_recovery_point_timestamp_seconds{schedule="` + schedule + `"}`
	result := func(of string) string {
		return `lifeboat_drill_last_result{result="` + of + `",schedule="` + schedule + `"}`
	}
	d.claim("the metrics say that the backup is proven", good[result("passed")] == "1" && good[proven] != "" &&
		good[`velero_backup_last_successful_timestamp{schedule="`+schedule+`"}`] != "", took,
		"passed=%s, proven recovery point at %s", good[result("passed")], good[proven])
	d.claim("and that the sabotaged one is bad", bad[result("failed")] == "1" && bad[proven] == "", 0,
		"failed=%s, no proven recovery point", bad[result("failed")])
	return nil
}

// scrape runs the exporter on a location until it has read it, and returns its
// samples by series.
func (d *demo) scrape(ctx context.Context, location string) (map[string]string, error) {
	d.say("What Prometheus sees of %s", filepath.Base(location))
	args := []string{"--location", "file://" + location, "--web.listen-address", "127.0.0.1:0"}
	fmt.Fprintf(d.out, "$ lifeboat-exporter %s\n", strings.Join(args, " "))
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	server, err := rig.StartServer(ctx, exec.Command(filepath.Join(d.bin, "lifeboat-exporter"), args...))
	if err != nil {
		return nil, err
	}
	samples, err := waitForSamples(ctx, server.URL("/metrics"))
	if err == nil {
		err = server.Stop()
	}
	server.Kill()
	for _, line := range samples.lines {
		fmt.Fprintln(d.out, line)
	}
	return samples.values, err
}

type samples struct {
	values map[string]string // by series
	lines  []string          // those to show
}

// waitForSamples asks until the exporter has read its location once.
func waitForSamples(ctx context.Context, url string) (samples, error) {
	for {
		s, err := get(ctx, url)
		if err == nil && s.values["velero_backup_total"] != "" {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return s, fmt.Errorf("the exporter does not answer with backups: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func get(ctx context.Context, url string) (samples, error) {
	s := samples{values: map[string]string{}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return s, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(io.LimitReader(resp.Body, 10<<20))
	for lines.Scan() {
		line := lines.Text()
		i := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || i < 0 {
			continue
		}
		s.values[line[:i]] = line[i+1:]
		for _, name := range shown {
			if strings.HasPrefix(line, name+"{") || strings.HasPrefix(line, name+" ") {
				s.lines = append(s.lines, line)
			}
		}
	}
	return s, lines.Err()
}
