package main

import (
	"crypto/sha256"
	_ "embed" // the status page
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/evidence"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/scheduler"
)

const (
	headerTimeout = 5 * time.Second
	writeTimeout  = time.Minute
	idleTimeout   = 2 * time.Minute
	inFlight      = 4
)

//go:embed status.html
var statusHTML string

//go:embed status.css
var statusCSS string

func newServer(s *scheduler.Scheduler) (*http.Server, error) {
	handler, err := newHandler(s)
	if err != nil {
		return nil, err
	}
	return &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout}, nil
}

func serve(server *http.Server, l net.Listener) error {
	if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the status page: %w", err)
	}
	return nil
}

func newHandler(s *scheduler.Scheduler) (http.Handler, error) {
	page, err := statusTemplate()
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{s.Status}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError, MaxRequestsInFlight: inFlight, EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { readyz(w, s.Status()) })
	mux.HandleFunc("GET /drills/{backup}/{file}", func(w http.ResponseWriter, r *http.Request) { evidencePage(w, r, s.Jobs) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { statusPage(w, page, s.Status(), time.Now().UTC()) })
	return cli.Secured(mux), nil
}

// readyz answers 200 when the location of every policy could be read at the last
// attempt.
func readyz(w http.ResponseWriter, all []scheduler.Status) {
	for _, s := range all {
		switch {
		case s.Err != nil:
			http.Error(w, fmt.Sprintf("not ready: policy %s: %s", s.Policy, s.Err), http.StatusServiceUnavailable)
			return
		case s.Read.IsZero():
			http.Error(w, fmt.Sprintf("not ready: policy %s: its location was not read yet", s.Policy), http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ready")
}

// drillFile is the file of a drill's page.
var drillFile = regexp.MustCompile(`^([0-9A-Za-z][0-9A-Za-z-]{0,99})\.html$`)

// evidencePage serves the page of a drill, rendered from the JSON: the page in the
// location may have been written by anyone.
func evidencePage(w http.ResponseWriter, r *http.Request, jobs []scheduler.Job) {
	m := drillFile.FindStringSubmatch(r.PathValue("file"))
	backup := r.PathValue("backup")
	if m == nil || store.CheckName(backup) != nil {
		http.NotFound(w, r)
		return
	}
	for _, j := range jobs {
		rep, err := drilllog.ReadEvidence(r.Context(), j.Store, drilllog.Ref{Backup: backup, Drill: m[1]})
		if errors.Is(err, drilllog.ErrNoEvidence) {
			continue
		}
		if err != nil {
			http.Error(w, "read evidence: "+err.Error(), http.StatusBadGateway)
			return
		}
		page, err := rep.HTML()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page) // the client has gone
		return
	}
	http.NotFound(w, r)
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
	CSS      template.CSS
	CSP      template.HTML
	Now      time.Time
	Version  string
	Policies []scheduler.Status
}

func statusPage(w http.ResponseWriter, page *template.Template, all []scheduler.Status, now time.Time) {
	css := strings.TrimSpace(statusCSS)
	sum := sha256.Sum256([]byte(css))
	csp := template.HTML(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-` +
		base64.StdEncoding.EncodeToString(sum[:]) + `'; base-uri 'none'; form-action 'none'">`)
	var b strings.Builder
	if err := page.Execute(&b, statusView{template.CSS(css), csp, now, cli.Version(), all}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(b.String())) // the client has gone
}

func statusFuncs() template.FuncMap {
	return template.FuncMap{
		"text": func(v any) string { return report.Printable(fmt.Sprint(v)) },
		"at":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
		"in":   func(now, t time.Time) string { return distance(t.Sub(now)) },
		"ago":  func(now, t time.Time) string { return distance(now.Sub(t)) },
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

// distance is a time span in the one or two units that matter to a reader.
func distance(d time.Duration) string {
	switch {
	case d < time.Second:
		return "0 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %02d h", int(d.Hours())/24, int(d.Hours())%24)
}
