//go:build pictures

// Package picture_test makes the pictures in docs/images: go test -tags pictures
// ./tools/picture -dir docs/images. A made-up world is watched by the real
// exporter for 14 days of a synctest bubble's time, what it served is given to a
// real Prometheus with the real rules, and the dashboards ask that.
package picture_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/dashboards"
	"github.com/lifeboat-backup/lifeboat/exporter"
	"github.com/lifeboat-backup/lifeboat/tools/picture"
)

var (
	dir  = flag.String("dir", "", "where the pictures go")
	kept = flag.String("data", "", "folder that keeps what Prometheus is given, so that pictures can be drawn again within half an hour")
)

const (
	root    = "../.."
	span    = 14 * day
	scrape  = 30 * time.Minute // before the last day, in which it is interval
	largest = 250 << 10        // bytes of a picture
)

// spans are how much of the time each dashboard shows.
var spans = map[string]time.Duration{"lifeboat-drills": span, "lifeboat-exporter": day}

func TestPictures(t *testing.T) {
	require.NotEmpty(t, *dir, "-dir says where the pictures go")
	data := *kept
	if data == "" {
		data = filepath.Join(t.TempDir(), "data")
	}
	rules := filepath.Join(root, "alerts", "lifeboat.rules.yml")
	if _, err := os.Stat(data); err != nil {
		history(t, data, rules)
	}
	p := startPrometheus(t, data, hurried(t, rules))
	defer p.stop()
	require.Eventually(t, func() bool {
		s, err := p.Instant(`count(ALERTS{alertname=~"Lifeboat(DrillFailed|RPOBreached|BackupOverdue)",alertstate="firing"}) > 2 unless count(ALERTS{alertstate="pending"})`, time.Now())
		return err == nil && len(s) > 0
	}, time.Minute, time.Second)
	for _, d := range dashboards.All() {
		draw(t, picture.Page{Dashboard: fromFile(t, d.File()), Values: values(d),
			Now: time.Now().UTC(), Span: spanOf(d), Ask: p})
	}
}

// history fills a folder with what a Prometheus would have, had it been there.
func history(t *testing.T, data, rules string) {
	end := time.Now().UTC().Truncate(time.Minute)
	scraped := filepath.Join(t.TempDir(), "scraped.om")
	watch(t, newWorld(t, end), scraped)
	t.Log("watched until", end)
	promtool(t, "tsdb", "create-blocks-from", "--max-block-duration=960h", "openmetrics", scraped, data)
	// The second pass has the recordings of the first one to go by.
	for range 2 {
		p := startPrometheus(t, data, "")
		promtool(t, "tsdb", "create-blocks-from", "--max-block-duration=960h", "rules", "--url="+p.url, "--start="+end.Add(-span).Format(time.RFC3339), "--end="+end.Format(time.RFC3339),
			"--eval-interval=1h", "--output-dir="+data, rules)
		p.stop()
		t.Log("recorded", time.Now().UTC())
	}
}

func values(d dashboards.Dashboard) map[string]string {
	out := map[string]string{"__rate_interval": "20m"}
	if d.UID == "lifeboat-schedule" {
		out["schedule"] = "db-daily"
	}
	return out
}

func spanOf(d dashboards.Dashboard) time.Duration {
	if s, ok := spans[d.UID]; ok {
		return s
	}
	return 7 * day
}

func fromFile(t *testing.T, name string) (d dashboards.Dashboard) {
	raw, err := os.ReadFile(filepath.Join("../../dashboards", name))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &d))
	return d
}

// watch has an exporter watch the world until its end, and writes down what it
// serves.
func watch(t *testing.T, w *world, path string) {
	file, err := os.Create(path)
	require.NoError(t, err)
	out := bufio.NewWriter(file)
	wanted := used(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(w.end.Add(-span).Sub(time.Now())) // the bubble's time
		ctx, cancel := context.WithCancel(t.Context())
		e := exporter.New(w.config(), slog.New(slog.DiscardHandler), w.sources())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		registry := prometheus.NewRegistry()
		registry.MustRegister(e)
		time.Sleep(time.Minute)
		for !time.Now().After(w.end) {
			families, err := registry.Gather()
			require.NoError(t, err)
			write(out, families, wanted, time.Now())
			left := w.end.Sub(time.Now())
			if left > 0 {
				left = min(left, map[bool]time.Duration{true: interval, false: scrape}[left <= day])
			}
			time.Sleep(max(left, time.Second))
		}
		cancel()
		require.NoError(t, <-done)
	})
	fmt.Fprintln(out, "# EOF")
	require.NoError(t, out.Flush())
	require.NoError(t, file.Close())
}

// used are the metrics that dashboards and rules ask for; the rest is left out.
func used(t *testing.T) map[string]bool {
	raw, err := os.ReadFile(filepath.Join(root, "alerts", "lifeboat.rules.yml"))
	require.NoError(t, err)
	all := string(raw)
	for _, d := range dashboards.All() {
		for _, q := range d.Queries(nil) {
			all += " " + q.Expr
		}
	}
	out := map[string]bool{}
	for _, name := range regexp.MustCompile(`\b(lifeboat|velero)_[a-z0-9_]+`).FindAllString(all, -1) {
		out[strings.TrimSuffix(name, "_bucket")] = true
	}
	return out
}

// target are the labels that Prometheus gives what it scrapes.
const target = `cluster="prod",namespace="velero",job="lifeboat-exporter",instance="10.0.3.17:9808"`

// write writes samples as OpenMetrics, without types, which promtool does not
// need. What the process and Prometheus add is made up.
func write(out io.Writer, families []*dto.MetricFamily, wanted map[string]bool, at time.Time) {
	n := 0
	put := func(name string, labels []*dto.LabelPair, more string, v float64) {
		n++
		var all strings.Builder
		for _, l := range labels {
			fmt.Fprintf(&all, "%s=%q,", l.GetName(), l.GetValue())
		}
		fmt.Fprintf(out, "%s{%s%s%s} %s %d\n", name, all.String(), more, target, strconv.FormatFloat(v, 'g', -1, 64), at.Unix())
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch h := m.GetHistogram(); {
			case !wanted[f.GetName()]:
				n++
			case h != nil:
				for _, b := range h.GetBucket() {
					put(f.GetName()+"_bucket", m.GetLabel(), fmt.Sprintf("le=%q,", strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64)), float64(b.GetCumulativeCount()))
				}
				put(f.GetName()+"_bucket", m.GetLabel(), `le="+Inf",`, float64(h.GetSampleCount()))
			default:
				v := m.GetGauge().GetValue() + m.GetCounter().GetValue()
				if f.GetName() == "lifeboat_exporter_collector_duration_seconds" && m.GetLabel()[0].GetValue() == "kube" {
					v /= 1e5 // see ListKube
				}
				put(f.GetName(), m.GetLabel(), "", v)
			}
		}
	}
	put("scrape_samples_scraped", nil, "", float64(n+90))
	put("scrape_duration_seconds", nil, "", 0.004*vary(at.String()))
	put("process_resident_memory_bytes", nil, "", 46*mib*vary(at.String()))
	put("up", nil, "", 1)
}

// hurried are the rules without waiting times: what is over the line fires.
func hurried(t *testing.T, path string) string {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "rules.yml")
	require.NoError(t, os.WriteFile(out, regexp.MustCompile(`(?m)^(\s+for:) .*$`).ReplaceAll(raw, []byte("$1 1s")), 0o600))
	return out
}

func promtool(t *testing.T, args ...string) {
	out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput()
	require.NoError(t, err, string(out))
}

// server is a Prometheus.
type server struct {
	url  string
	stop func()
}

func startPrometheus(t *testing.T, data, rules string) server {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	config := "global: {evaluation_interval: 2s}\n"
	if rules != "" {
		config += fmt.Sprintf("rule_files: [%q]\n", rules)
	}
	path := filepath.Join(t.TempDir(), "prometheus.yml")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	cmd := exec.Command("prometheus", "--config.file="+path, "--storage.tsdb.path="+data, "--storage.tsdb.retention.time=90d",
		"--query.lookback-delta=65m", "--web.listen-address="+address)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	s := server{url: "http://" + address, stop: func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}}
	require.Eventually(t, func() bool {
		res, err := http.Get(s.url + "/-/ready")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	}, time.Minute, 100*time.Millisecond, log.String)
	return s
}

func (s server) Instant(query string, at time.Time) ([]picture.Series, error) {
	return s.ask("query", url.Values{"query": {query}, "time": {unix(at)}})
}

func (s server) Range(query string, from, to time.Time, step time.Duration) ([]picture.Series, error) {
	return s.ask("query_range", url.Values{"query": {query}, "start": {unix(from)}, "end": {unix(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', 0, 64)}})
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func (s server) ask(path string, values url.Values) ([]picture.Series, error) {
	res, err := http.PostForm(s.url+"/api/v1/"+path, values)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var answer struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
				Values [][2]any
			}
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Error != "" {
		return nil, fmt.Errorf("%s: %s %w", values.Get("query"), answer.Error, err)
	}
	var out []picture.Series
	for _, r := range answer.Data.Result {
		series := picture.Series{Labels: r.Metric}
		if r.Values == nil {
			r.Values = [][2]any{r.Value}
		}
		for _, pair := range r.Values {
			v, err := strconv.ParseFloat(pair[1].(string), 64)
			if err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
				series.Points = append(series.Points, picture.Point{At: time.UnixMilli(int64(1000 * pair[0].(float64))), Value: v})
			}
		}
		if len(series.Points) > 0 {
			out = append(out, series)
		}
	}
	return out, nil
}

// draw has Chromium take a picture of the page.
func draw(t *testing.T, p picture.Page) {
	html, err := p.HTML()
	require.NoError(t, err)
	page := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, os.WriteFile(page, []byte(html), 0o600))
	out, err := filepath.Abs(filepath.Join(*dir, "dashboard-"+strings.TrimPrefix(p.Dashboard.UID, "lifeboat-")+".png"))
	require.NoError(t, err)
	said, err := exec.CommandContext(t.Context(), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir="+t.TempDir(),
		fmt.Sprintf("--window-size=%d,%d", picture.Width, p.Height()), "--screenshot="+out, "file://"+page).CombinedOutput()
	require.NoError(t, err, string(said))
	shrink(t, out)
	info, err := os.Stat(out)
	require.NoError(t, err, string(said))
	t.Logf("%s: %d KiB", out, info.Size()>>10)
	if info.Size() > largest {
		t.Errorf("%s has %d bytes, more than %d", out, info.Size(), largest)
	}
}

// shrink gives a picture no more colors than one byte can tell apart: those that
// are used most, and for the others the nearest of those.
func shrink(t *testing.T, path string) {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	full, err := png.Decode(bytes.NewReader(raw))
	require.NoError(t, err)
	b := full.Bounds()
	used := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(full.At(x, y)).(color.RGBA) }
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			used[at(x, y)]++
		}
	}
	byUse := slices.SortedFunc(maps.Keys(used), func(a, b color.RGBA) int {
		return cmp.Or(used[b]-used[a], cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	var palette color.Palette
	for _, c := range byUse[:min(len(byUse), 128)] {
		palette = append(palette, c)
	}
	index := map[color.RGBA]uint8{}
	for _, c := range byUse {
		index[c] = uint8(palette.Index(c))
	}
	small := image.NewPaletted(b, palette)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			small.SetColorIndex(x, y, index[at(x, y)])
		}
	}
	var out bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small))
	require.NoError(t, os.WriteFile(path, out.Bytes(), 0o644))
}
