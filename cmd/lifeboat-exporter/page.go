package main

import (
	"context"
	_ "embed" // the status page
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/cmd/internal/web"
	"github.com/lifeboat-backup/lifeboat/exporter"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// runbooks is where the page on what to do about an alert is.
const runbooks = "https://github.com/lifeboat-backup/lifeboat/blob/main/docs/runbooks/"

// only keeps the schedule that ?schedule= asks for. False says that it is not
// known.
func only(r *http.Request, s exporter.Status) (exporter.Status, bool) {
	if !r.URL.Query().Has("schedule") {
		return s, true
	}
	name := r.URL.Query().Get("schedule")
	s.Schedules = slices.DeleteFunc(s.Schedules, func(o exporter.ScheduleStatus) bool { return o.Name != name })
	return s, len(s.Schedules) > 0
}

// statusJSON answers 404 for a schedule that is not known.
func statusJSON(w http.ResponseWriter, r *http.Request, s exporter.Status) {
	w.Header().Set("Content-Type", "application/json")
	s, known := only(r, s)
	if !known {
		w.WriteHeader(http.StatusNotFound)
		writeJSON(w, map[string]string{"error": fmt.Sprintf("no schedule %q is known", r.URL.Query().Get("schedule"))})
		return
	}
	writeJSON(w, s)
}

func writeJSON(w http.ResponseWriter, v any) {
	_ = cli.Print(w, cli.JSON, v, nil) // the client has gone
}

// reports read the evidence of a drill, by the name of its location.
type reports map[string]func(ctx context.Context, backup, drill string) (report.Report, error)

// evidencePage serves the page of a drill.
func evidencePage(w http.ResponseWriter, r *http.Request, read reports) {
	q := r.URL.Query()
	from, ok := read[q.Get("location")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	web.Evidence(w, r, func(ctx context.Context) (report.Report, error) {
		return from(ctx, q.Get("backup"), q.Get("drill"))
	})
}

func pageTemplate() (*template.Template, error) {
	t, err := template.New("status").Funcs(pageFuncs()).Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("read the template of the status page: %w", err)
	}
	return t, nil
}

// pageView is what the template shows.
type pageView struct {
	exporter.Status
	web.Style
	One  bool // of one schedule
	Down []exporter.SourceStatus
	// Counts are of schedules by severity, worst first.
	Counts []tally
}

type tally struct {
	Severity exporter.Severity
	Count    int
	Words    string
}

func statusPage(w http.ResponseWriter, r *http.Request, page *template.Template, s exporter.Status) {
	code := http.StatusOK
	s, known := only(r, s)
	if !known {
		code = http.StatusNotFound
	}
	out, err := render(page, s, r.URL.Query().Has("schedule"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	web.WritePage(w, code, []byte(out))
}

// render makes the page. The same status makes the same bytes.
func render(page *template.Template, s exporter.Status, one bool) (string, error) {
	v := pageView{Status: s, Style: web.NewStyle(pageCSS), One: one, Counts: tallies(s.Schedules)}
	v.Down = down(s.Sources)
	var b strings.Builder
	err := page.Execute(&b, v)
	return b.String(), err
}

// down are the sources that cannot be read. What a location fails them by alike
// is shown once.
func down(sources []exporter.SourceStatus) []exporter.SourceStatus {
	var out []exporter.SourceStatus
	for _, s := range sources {
		if s.Up {
			continue
		}
		if n := len(out); n > 0 && out[n-1].Location == s.Location && out[n-1].Error == s.Error {
			out[n-1].Source += " and " + s.Source
			continue
		}
		out = append(out, s)
	}
	return out
}

func tallies(schedules []exporter.ScheduleStatus) []tally {
	out := []tally{
		{Severity: exporter.Critical, Words: "need action now"}, {Severity: exporter.Warning, Words: "need a look"},
		{Severity: exporter.Info, Words: "paused or waiting"}, {Severity: exporter.Fine, Words: "in order"},
	}
	for _, s := range schedules {
		for i := range out {
			if out[i].Severity == s.Severity {
				out[i].Count++
			}
		}
	}
	return out
}

func pageFuncs() template.FuncMap {
	return template.FuncMap{
		"text":    func(v any) string { return report.Printable(fmt.Sprint(v)) },
		"at":      func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
		"when":    when,
		"span":    func(seconds float64) string { return web.Distance(time.Duration(seconds * float64(time.Second))) },
		"past":    func(now, t time.Time) bool { return now.After(t) },
		"bar":     newBar,
		"answers": answers,
		"runbook": func(name string) string { return runbooks + name + ".md" },
		"one":     func(name string) string { return "/?" + url.Values{"schedule": {name}}.Encode() },
		"evidence": func(d *exporter.DrillStatus) string {
			return "/evidence?" + url.Values{"location": {d.Location}, "backup": {d.Backup}, "drill": {d.ID}}.Encode()
		},
	}
}

// when is a time as a distance from now.
func when(now, t time.Time) string {
	if now.Before(t) {
		return "in " + web.Distance(t.Sub(now))
	}
	return web.Distance(now.Sub(t)) + " ago"
}

// bar shows an age against the target for it.
type bar struct {
	Width string // percent of the target, at most 100
	Class string
	Text  string
}

// newBar is nil where there is no target to hold the age against.
func newBar(age, target float64) *bar {
	if target <= 0 {
		return nil
	}
	used := age / target
	b := &bar{Width: fmt.Sprintf("%.1f", 100*min(used, 1)), Class: "ok", Text: fmt.Sprintf("%.0f %% of %s", 100*used, web.Distance(time.Duration(target*float64(time.Second))))}
	switch {
	case used > 1:
		b.Class = "critical"
	case used > 0.75:
		b.Class = "warning"
	}
	return b
}

// answers is nil where it is not known whether a location does.
func answers(available *bool) *bar {
	switch {
	case available == nil:
		return nil
	case *available:
		return &bar{Class: "ok", Text: "yes"}
	}
	return &bar{Class: "critical", Text: "no"}
}
