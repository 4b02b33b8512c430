package report

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // the page's template and style
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// Bounds on what a page shows, so that it stays one that a browser can show:
// the JSON beside it has all.
const (
	maxShown = 2000 // findings of one check
	// maxOpen is how many findings of a check are shown without a click.
	maxOpen = 20
)

// HTML writes the report as one page for people that needs nothing else: no
// script, no font, no image. The same report makes the same bytes. Whatever is
// in the report is shown as text.
func (r Report) HTML() ([]byte, error) {
	var b bytes.Buffer
	err := r.WriteHTML(&b)
	return b.Bytes(), err
}

// WriteHTML writes the page to w. It ends at the first error of w.
func (r Report) WriteHTML(w io.Writer) error {
	t, err := template.New("page").Funcs(pageFuncs()).Parse(pageHTML)
	if err != nil {
		return fmt.Errorf("read the template of the page: %w", err)
	}
	if err := t.Execute(w, newPage(r)); err != nil {
		return fmt.Errorf("write report %s as HTML: %w", r.ID, err)
	}
	return nil
}

// page is what the template shows.
type page struct {
	Report
	CSS template.CSS
	CSP template.HTML // the <meta> element of the content security policy

	Groups, Problems []shown
	Bars             []bar
	Total            float64 // seconds
	Counts           []counter
	SkippedBy        []counter
	Changes          []counter
	Goals            []goal
	Passed, Asks     int // checks
}

// shown is a group cut into what is seen at once, what needs a click, and the
// number of those that only the JSON has.
type shown struct {
	Check      string
	Count      int
	Open, Rest []Finding
	OnlyInJSON int
}

// bar is a stage in the chart. Offset and Width are percentages of the drill.
type bar struct {
	Stage
	Offset, Width string
}

type counter struct {
	Name  string
	Count int
}

// goal is a recovery figure beside its target.
type goal struct {
	Name, Meaning, Value, Target string
	Kept                         bool
	HasTarget                    bool
}

func newPage(r Report) page {
	css := strings.TrimSpace(pageCSS)
	p := page{
		Report: r, CSS: template.CSS(css), CSP: contentPolicy(css),
		Groups: cut(groups(r.Findings)), Problems: cut(groups(r.Environment)),
		Counts: r.Items.counts(), SkippedBy: counted(r.Items.SkippedBy), Changes: counted(r.Changed),
		Goals: r.Recovery.goals(), Asks: len(r.Checks),
	}
	p.Bars, p.Total = bars(r.Stages)
	for _, c := range r.Checks {
		if c.Verdict == Passed {
			p.Passed++
		}
	}
	return p
}

// contentPolicy lets the page apply the one style it brings, named by its
// digest, and nothing else: no script, no request, no form.
func contentPolicy(css string) template.HTML {
	sum := sha256.Sum256([]byte(css))
	return template.HTML(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-` +
		base64.StdEncoding.EncodeToString(sum[:]) + `'; base-uri 'none'; form-action 'none'">`)
}

func cut(all []Group) []shown {
	out := make([]shown, 0, len(all))
	for _, g := range all {
		n := len(g.Findings)
		open := min(n, maxOpen)
		end := min(n, maxShown)
		out = append(out, shown{Check: g.Check, Count: n, Open: g.Findings[:open], Rest: g.Findings[open:end], OnlyInJSON: n - end})
	}
	return out
}

// bars places the stages one after another.
func bars(stages []Stage) ([]bar, float64) {
	total := 0.0
	for _, s := range stages {
		total += max(s.Seconds, 0)
	}
	out := make([]bar, 0, len(stages))
	at := 0.0
	for _, s := range stages {
		width := 0.0
		if total > 0 {
			width = max(s.Seconds, 0) / total * 100
		}
		// What took almost no time has a line all the same.
		out = append(out, bar{Stage: s, Offset: percent(min(at, 99.5)), Width: percent(max(width, 0.5))})
		at += width
	}
	return out, total
}

func percent(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) + "%" }

// counts are the counts of items in words.
func (i Items) counts() []counter {
	return []counter{
		{"in the backup", i.InBackup}, {"expected", i.Expected}, {"restored", i.Restored}, {"equal", i.Equal},
		{"changed by the sandbox's admission", i.Altered}, {"different", i.Different}, {"missing", i.Missing}, {"skipped by rule", i.Skipped},
	}
}

// counted sorts counts, the largest first.
func counted(m map[string]int) []counter {
	out := make([]counter, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, counter{name, m[name]})
	}
	slices.SortStableFunc(out, func(a, b counter) int { return cmp.Compare(b.Count, a.Count) })
	return out
}

func (r *Recovery) goals() []goal {
	if r == nil {
		return nil
	}
	point := newGoal("Recovery point (RPO)", "what would have been lost: the age of the backup when the drill began", r.PointSeconds, r.PointTargetSeconds)
	if r.TimeSeconds == 0 {
		return []goal{point}
	}
	return []goal{point, newGoal("Recovery time (RTO)", "from the beginning of the restore until the last check had passed", r.TimeSeconds, r.TimeTargetSeconds)}
}

func newGoal(name, meaning string, value, target float64) goal {
	g := goal{Name: name, Meaning: meaning, Value: duration(value)}
	if target > 0 {
		g.HasTarget, g.Target, g.Kept = true, duration(target), value <= target
	}
	return g
}

func pageFuncs() template.FuncMap {
	return template.FuncMap{
		"text":     func(s any) string { return Printable(fmt.Sprint(s)) },
		"time":     clock,
		"seconds":  duration,
		"verdict":  func(v Verdict) string { return verdictWord(v) },
		"class":    verdictClass,
		"heading":  Report.heading,
		"asks":     asks,
		"count":    count,
		"took":     func(r Report) string { return duration(r.took().Seconds()) },
		"restored": func(r Report) bool { return r.Items.Expected+r.Items.Skipped > 0 },
	}
}

// verdictClass is the style of a verdict; evidence of others may hold any word.
func verdictClass(v Verdict) string {
	switch v {
	case Passed, Failed:
		return string(v)
	}
	return string(Error)
}

func verdictWord(v Verdict) string {
	switch v {
	case Passed, Failed, Error:
		return strings.ToUpper(string(v))
	}
	return "UNKNOWN"
}

// heading is what the verdict means in one line: no more
// than the level can prove.
func (r Report) heading() string {
	switch {
	case r.Verdict == Failed:
		return "The backup is bad."
	case r.Verdict != Passed:
		return "The drill is inconclusive."
	case r.Level == LevelKind:
		return "The backup restores, and its workloads run."
	case r.Level == LevelControlPlane:
		return "The objects of the backup can be restored."
	}
	return "The backup is intact."
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "not known"
	}
	return t.UTC().Format("2006-01-02 15:04:05") + " UTC"
}

// duration is a number of seconds in the two units that matter.
func duration(s float64) string {
	switch {
	case math.IsNaN(s) || math.IsInf(s, 0) || s < 0:
		return "not known"
	case s < 0.9995:
		return fmt.Sprintf("%.0f ms", s*1000)
	case s < 59.95:
		return fmt.Sprintf("%.1f s", s)
	}
	const day = 24 * 3600
	whole := int64(min(math.Round(s), math.MaxInt32*day))
	switch {
	case whole < 3600:
		return fmt.Sprintf("%d min %02d s", whole/60, whole%60)
	case whole < day:
		return fmt.Sprintf("%d h %02d min", whole/3600, whole%3600/60)
	}
	return fmt.Sprintf("%d d %02d h", whole/day, whole%day/3600)
}
