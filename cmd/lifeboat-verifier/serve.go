package main

import (
	"context"
	_ "embed" // the status page
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/cmd/internal/web"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/scheduler"
)

//go:embed status.html
var statusHTML string

//go:embed status.css
var statusCSS string

// newHandler serves a status page, the evidence, metrics, and whether the process is
// alive and ready.
func newHandler(s *scheduler.Scheduler) (http.Handler, error) {
	page, err := statusTemplate()
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{s.Status}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError, EnableOpenMetrics: true})
	mux.Handle("GET /metrics", web.Bounded(metrics, web.MetricsLimits()))
	web.Health(mux, func() error { return ready(s.Status()) })
	pages := http.NewServeMux()
	pages.HandleFunc("GET /drills/{backup}/{file}", func(w http.ResponseWriter, r *http.Request) { evidencePage(w, r, s.Jobs) })
	pages.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { statusPage(w, page, s.Status(), time.Now().UTC()) })
	mux.Handle("/", web.Bounded(pages, web.PageLimits()))
	return mux, nil
}

// ready reports whether the location of every policy could be read at the last
// attempt.
func ready(all []scheduler.Status) error {
	for _, s := range all {
		switch {
		case s.Err != nil:
			return fmt.Errorf("policy %s: %w", s.Policy, s.Err)
		case s.Read.IsZero():
			return fmt.Errorf("policy %s: its location was not read yet", s.Policy)
		}
	}
	return nil
}

// drillFile is the file of a drill's page.
var drillFile = regexp.MustCompile(`^([0-9A-Za-z][0-9A-Za-z-]{0,99})\.html$`)

// evidencePage serves the page of a drill, from the first location that has it.
func evidencePage(w http.ResponseWriter, r *http.Request, jobs []scheduler.Job) {
	m := drillFile.FindStringSubmatch(r.PathValue("file"))
	backup := r.PathValue("backup")
	if m == nil || store.CheckName(backup) != nil {
		http.NotFound(w, r)
		return
	}
	web.Evidence(w, r, func(ctx context.Context) (report.Report, error) {
		for _, j := range jobs {
			rep, err := drilllog.ReadEvidence(ctx, j.Store, drilllog.Ref{Backup: backup, Drill: m[1]})
			if !errors.Is(err, drilllog.ErrNoEvidence) {
				return rep, err
			}
		}
		return report.Report{}, drilllog.ErrNoEvidence
	})
}

func statusTemplate() (*template.Template, error) {
	t, err := template.New("status").Funcs(statusFuncs()).Parse(statusHTML)
	if err != nil {
		return nil, fmt.Errorf("read the template of the status page: %w", err)
	}
	return t, nil
}

// statusView is what the template shows.
type statusView struct {
	web.Style
	Now      time.Time
	Version  string
	Policies []scheduler.Status
}

func statusPage(w http.ResponseWriter, page *template.Template, all []scheduler.Status, now time.Time) {
	var b strings.Builder
	if err := page.Execute(&b, statusView{web.NewStyle(statusCSS), now, cli.Version(), all}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	web.WritePage(w, http.StatusOK, []byte(b.String()))
}

func statusFuncs() template.FuncMap {
	return template.FuncMap{
		"text": func(v any) string { return report.Printable(fmt.Sprint(v)) },
		"at":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
		"in":   func(now, t time.Time) string { return web.Distance(t.Sub(now)) },
		"ago":  func(now, t time.Time) string { return web.Distance(now.Sub(t)) },
		"took": func(r evidence.Record) string {
			return r.Finished.Sub(r.Started).Round(100 * time.Millisecond).String()
		},
		"class": func(v report.Verdict) string {
			if v == report.Passed || v == report.Failed {
				return string(v)
			}
			return string(report.Error)
		},
		"link": func(r evidence.Record) string {
			if store.CheckName(r.Backup) != nil || !drillFile.MatchString(r.Drill+".html") {
				return ""
			}
			return "/drills/" + r.Backup + "/" + r.Drill + ".html"
		},
	}
}
