// Package picture draws a dashboard for the documentation: from the dashboard's
// own JSON and the answers of a Prometheus, without Grafana. It knows what these
// dashboards use and no more, and looks like Grafana only as far as is needed to
// see what a panel is for.
package picture

import (
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/dashboards"
)

// Page is what a picture is drawn of.
type Page struct {
	Dashboard dashboards.Dashboard
	// Values are those of the variables; what is not named is All.
	Values map[string]string
	// Now ends the time shown, which begins Span earlier.
	Now  time.Time
	Span time.Duration
	Ask  Asker
}

// Asker asks a Prometheus. The two differ in whether one value is answered or
// many.
type Asker interface {
	Instant(query string, at time.Time) ([]Series, error)
	Range(query string, from, to time.Time, step time.Duration) ([]Series, error)
}

// Series is a series and its values.
type Series struct {
	Labels map[string]string
	Points []Point
}

// Point is a value at a time.
type Point struct {
	At    time.Time
	Value float64
}

func (s Series) last() float64 { return s.Points[len(s.Points)-1].Value }

// The size of the page, in pixels.
const (
	Width     = 1500
	heading   = 84
	unitWidth = float64(Width-16) / 24
	unitHigh  = 34
)

// Height is how high the page is.
func (p Page) Height() int {
	bottom := 0
	for _, panel := range p.Dashboard.Panels {
		bottom = max(bottom, panel.GridPos.Y+panel.GridPos.H)
	}
	return heading + bottom*unitHigh + 8
}

const style = `<style>
body{margin:0;background:#111217;color:#ccccdc;font:12px "DejaVu Sans",sans-serif;position:relative}
.p{position:absolute;background:#181b1f;border:1px solid #2a2d34;border-radius:2px;overflow:hidden;box-sizing:border-box}
.t{height:24px;line-height:24px;padding:0 8px;font-weight:bold;font-size:12px;white-space:nowrap;overflow:hidden}
.row{position:absolute;font-size:15px;font-weight:bold;line-height:34px;padding-left:10px}
.big{display:flex;align-items:center;justify-content:center;font-size:26px;font-weight:bold;white-space:nowrap}
table{border-collapse:collapse;width:100%}th{text-align:left;color:#6e9fff;font-weight:normal;border-bottom:1px solid #2a2d34;padding:4px 8px;white-space:nowrap}
td{padding:5px 6px;border-bottom:1px solid #22252b;white-space:nowrap}a{color:#6e9fff;text-decoration:none}
.bar{position:relative;background:#22252b;height:15px;width:56px;display:inline-block;vertical-align:middle;margin-right:6px}.bar i{position:absolute;left:0;top:0;bottom:0}
.v{display:inline-block;border:1px solid #2a2d34;border-radius:2px;margin-right:10px;background:#181b1f}.v b{background:#22252b;color:#6e9fff;padding:4px 8px;font-weight:normal;display:inline-block}.v span{padding:4px 8px;display:inline-block}
pre{background:#22252b;padding:8px;margin:8px}ul{margin:6px}svg text{fill:#9fa7b3;font:11px "DejaVu Sans",sans-serif}
</style>`

// HTML draws the page.
func (p Page) HTML() (string, error) {
	var out strings.Builder
	fmt.Fprintf(&out, "<!doctype html><meta charset=utf-8><title>%s</title>%s<body style='height:%dpx'>", html.EscapeString(p.Dashboard.Title), style, p.Height())
	fmt.Fprintf(&out, "<div style='padding:12px 16px 8px;font-size:19px'>%s <span style='font-size:12px;color:#9fa7b3;float:right'>%s to %s UTC</span></div><div style='padding:0 16px'>",
		html.EscapeString(p.Dashboard.Title), p.Now.Add(-p.Span).Format("2006-01-02 15:04"), p.Now.Format("2006-01-02 15:04"))
	for _, v := range p.Dashboard.Templating.List {
		if v.Hide == 0 {
			fmt.Fprintf(&out, "<span class=v><b>%s</b><span>%s</span></span>", html.EscapeString(v.Label), html.EscapeString(p.chosen(v)))
		}
	}
	out.WriteString("</div>")
	for _, panel := range p.Dashboard.Panels {
		body, err := p.panel(panel)
		if err != nil {
			return "", fmt.Errorf("panel %q of %s: %w", panel.Title, p.Dashboard.UID, err)
		}
		out.WriteString(body)
	}
	return out.String(), nil
}

func (p Page) chosen(v dashboards.Variable) string {
	switch value, ok := p.Values[v.Name]; {
	case ok:
		return value
	case v.Type == "datasource":
		return "Prometheus"
	case v.Type == "textbox":
		return fmt.Sprint(v.Query)
	}
	return "All"
}

// box is where a panel is, in pixels, without its title.
type box struct{ w, h int }

func (p Page) panel(panel dashboards.Panel) (string, error) {
	g := panel.GridPos
	x, y := 8+int(float64(g.X)*unitWidth), heading+g.Y*unitHigh
	if panel.Type == "row" {
		return fmt.Sprintf("<div class=row style='left:%dpx;top:%dpx'>&#9662; %s</div>", x, y, html.EscapeString(panel.Title)), nil
	}
	w, h := int(float64(g.W)*unitWidth)-6, g.H*unitHigh-6
	body, background, err := p.body(panel, box{w - 2, h - 26})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("<div class=p style='left:%dpx;top:%dpx;width:%dpx;height:%dpx;%s'><div class=t>%s</div>%s</div>", x, y, w, h, background, html.EscapeString(panel.Title), body), nil
}

// body is the inside of a panel, and its background if that says something.
func (p Page) body(panel dashboards.Panel, b box) (body, background string, err error) {
	if panel.Type == "text" {
		return markdown(p.Dashboard.Substitute(panel.Options.Content, p.Values)), "", nil
	}
	answers, err := p.answers(panel, b)
	if err != nil {
		return "", "", err
	}
	switch panel.Type {
	case "stat":
		body, background = stat(panel, answers, p.Now)
		return body, background, nil
	case "table":
		return table(panel, answers, p.Now), "", nil
	case "timeseries":
		return p.graph(panel, answers, b), "", nil
	case "state-timeline":
		return p.timeline(panel, answers, b), "", nil
	case "bargauge":
		return barGauge(panel, answers, b, p.Now), "", nil
	case "barchart":
		return barChart(panel, answers, b), "", nil
	}
	return "", "", fmt.Errorf("no way to draw a %s", panel.Type)
}

// answers are the series of each query, in the order of the queries.
func (p Page) answers(panel dashboards.Panel, b box) ([][]Series, error) {
	step := max(p.Span/time.Duration(max(b.w/2, 1)), time.Minute)
	out := make([][]Series, len(panel.Targets))
	for i, t := range panel.Targets {
		query := p.Dashboard.Substitute(t.Expr, p.Values)
		var err error
		if t.Instant {
			out[i], err = p.Ask.Instant(query, p.Now)
		} else {
			out[i], err = p.Ask.Range(query, p.Now.Add(-p.Span), p.Now, step)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func markdown(text string) string {
	var out strings.Builder
	code := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch item, isItem := strings.CutPrefix(line, "- "); {
		case strings.HasPrefix(line, "```"):
			code = !code
			out.WriteString(map[bool]string{true: "<pre>", false: "</pre>"}[code])
		case code:
			out.WriteString(html.EscapeString(line) + "\n")
		case isItem:
			name, rest, _ := strings.Cut(strings.TrimPrefix(item, "["), "](")
			_, rest, _ = strings.Cut(rest, ")")
			out.WriteString("<ul><li><a>" + html.EscapeString(name) + "</a>" + html.EscapeString(rest) + "</ul>")
		}
	}
	return out.String()
}
