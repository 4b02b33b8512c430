package picture

import (
	"cmp"
	"fmt"
	"html"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/dashboards"
)

func stat(panel dashboards.Panel, answers [][]Series, now time.Time) (body, background string) {
	l := lookOf(panel, "")
	text, color := l.NoValue, ""
	if len(answers[0]) > 0 {
		text, color = l.words(answers[0][0].last(), now)
	}
	h := panel.GridPos.H*unitHigh - 36
	if panel.Options.ColorMode == "background" && color != "" {
		return fmt.Sprintf("<div class=big style='height:%dpx;color:#fff'>%s</div>", h, html.EscapeString(text)), "background:" + color
	}
	return fmt.Sprintf("<div class=big style='height:%dpx;color:%s'>%s</div>", h, cmp.Or(color, "#9fa7b3"), html.EscapeString(text)), ""
}

// line is a series with its name and look, in a panel.
type line struct {
	name  string
	color string
	look  look
	Series
}

func lines(panel dashboards.Panel, answers [][]Series) []line {
	var out []line
	for i, series := range answers {
		for _, s := range series {
			name := legend(panel.Targets[i].LegendFormat, s.Labels)
			out = append(out, line{name: name, look: lookOf(panel, name), Series: s})
		}
	}
	slices.SortStableFunc(out, func(a, b line) int { return cmp.Compare(a.name, b.name) })
	for i := range out {
		out[i].color = palette[i%len(palette)]
	}
	return out
}

func empty(panel dashboards.Panel, h int) string {
	return fmt.Sprintf("<div class=big style='height:%dpx;font-size:14px;color:#9fa7b3'>%s</div>", h, cmp.Or(panel.FieldConfig.Defaults.NoValue, "No data"))
}

const axis = 70

func (p Page) graph(panel dashboards.Panel, answers [][]Series, b box) string {
	all := lines(panel, answers)
	if len(all) == 0 {
		return empty(panel, b.h)
	}
	custom := panel.FieldConfig.Defaults.Custom
	stack := custom.Stacking != nil
	if stack {
		pile(all)
	}
	low, high := scale(all, panel.FieldConfig.Defaults)
	legendRows := legendHigh(all, b.w)
	plot := box{b.w - axis - 14, b.h - 26 - legendRows*18}
	at := func(pt Point) (x, y float64) {
		return axis + float64(plot.w)*(1-p.Now.Sub(pt.At).Seconds()/p.Span.Seconds()), 6 + float64(plot.h)*(1-(pt.Value-low)/(high-low))
	}
	var out strings.Builder
	fmt.Fprintf(&out, "<svg width=%d height=%d>", b.w, b.h-legendRows*18)
	p.axes(&out, lookOf(panel, ""), plot, low, high)
	step := p.Span / time.Duration(max(b.w/2, 1))
	for _, l := range slices.Backward(all) {
		for _, run := range runs(l.Points, 2*max(step, time.Minute)) {
			var path strings.Builder
			for _, pt := range run {
				x, y := at(pt)
				fmt.Fprintf(&path, "%.0f,%.1f ", x, y)
			}
			first, _ := at(run[0])
			last, _ := at(run[len(run)-1])
			if stack {
				fmt.Fprintf(&out, "<polygon points='%.0f,%d %s%.0f,%d' fill='%s' fill-opacity=.8 />", first, 6+plot.h, path.String(), last, 6+plot.h, l.color)
			}
			fmt.Fprintf(&out, "<polyline points='%s' fill=none stroke='%s' stroke-width=1.5 stroke-dasharray='%s'/>", path.String(), l.color, l.look.dash)
		}
	}
	out.WriteString("</svg>" + legendHTML(all))
	return out.String()
}

// pile puts each line on top of those before it.
func pile(all []line) {
	under := map[time.Time]float64{}
	for i := range all {
		points := slices.Clone(all[i].Points)
		for j := range points {
			under[points[j].At] += points[j].Value
			points[j].Value = under[points[j].At]
		}
		all[i].Points = points
	}
}

func scale(all []line, f dashboards.Field) (low, high float64) {
	high = math.Inf(-1)
	for _, l := range all {
		for _, pt := range l.Points {
			if !math.IsNaN(pt.Value) {
				low, high = min(low, pt.Value), max(high, pt.Value)
			}
		}
	}
	if f.Max != nil {
		return low, *f.Max
	}
	if !(high > low) {
		return low, low + 1
	}
	return low, high * 1.05
}

// runs are points without a gap between them.
func runs(points []Point, gap time.Duration) [][]Point {
	var out [][]Point
	for i, pt := range points {
		if i == 0 || pt.At.Sub(points[i-1].At) > gap {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], pt)
	}
	return out
}

func (p Page) axes(out *strings.Builder, l look, plot box, low, high float64) {
	for i := range 5 {
		v := low + (high-low)*float64(i)/4
		y := 6 + float64(plot.h)*(1-float64(i)/4)
		fmt.Fprintf(out, "<line x1=%d x2=%d y1=%.0f y2=%.0f stroke='#2a2d34'/><text x=%d y=%.0f text-anchor=end>%s</text>", axis, axis+plot.w, y, y, axis-6, y+4, l.number(v, p.Now))
	}
	p.times(out, plot)
}

func (p Page) times(out *strings.Builder, plot box) {
	for i := 0; i < 5; i++ {
		format := "01-02 15:04"
		at := p.Now.Add(-p.Span + p.Span*time.Duration(i)/5)
		if p.Span <= 24*time.Hour {
			format = "15:04"
		}
		fmt.Fprintf(out, "<text x=%d y=%d>%s</text>", axis+plot.w*i/5, plot.h+20, at.Format(format))
	}
}

func legendHigh(all []line, w int) int {
	total := 0
	for _, l := range all {
		total += 30 + 7*len(l.name)
	}
	return min(total/w+1, 4)
}

func legendHTML(all []line) string {
	var out strings.Builder
	out.WriteString("<div style='padding:0 8px;line-height:17px;font-size:11px'>")
	for _, l := range all {
		fmt.Fprintf(&out, "<span style='margin-right:12px;white-space:nowrap'><b style='color:%s'>&#9473;</b> %s</span> ", l.color, html.EscapeString(l.name))
	}
	return out.String() + "</div>"
}

func (p Page) timeline(panel dashboards.Panel, answers [][]Series, b box) string {
	all := lines(panel, answers)
	if len(all) == 0 {
		return empty(panel, b.h)
	}
	const names = 190
	plot := box{b.w - names - 14, b.h - 30}
	high := float64(plot.h) / float64(len(all))
	x := func(at time.Time) float64 {
		return names + float64(plot.w)*(1-p.Now.Sub(at).Seconds()/p.Span.Seconds())
	}
	step := max(p.Span/time.Duration(max(b.w/2, 1)), time.Minute)
	var out strings.Builder
	fmt.Fprintf(&out, "<svg width=%d height=%d>", b.w, b.h)
	for i, l := range all {
		y := 4 + float64(i)*high
		fmt.Fprintf(&out, "<text x=%d y=%.0f text-anchor=end>%s</text>", names-8, y+high/2+4, html.EscapeString(l.name))
		for _, run := range runs(l.Points, 2*step) {
			for len(run) > 0 {
				n := 1
				for n < len(run) && run[n].Value == run[0].Value {
					n++
				}
				text, color := l.look.words(run[0].Value, p.Now)
				from, to := x(run[0].At), x(run[n-1].At.Add(step))
				fmt.Fprintf(&out, "<rect x=%.0f y=%.1f width=%.1f height=%.1f fill='%s'/>", from, y+high*.1, max(min(to, float64(b.w-14))-from, 1), high*.8, cmp.Or(color, "#555"))
				if to-from > float64(9*len(text)) {
					fmt.Fprintf(&out, "<text x=%.0f y=%.0f style='fill:#fff'>%s</text>", from+6, y+high/2+4, text)
				}
				run = run[n:]
			}
		}
	}
	axes := p
	var times strings.Builder
	axes.times(&times, box{plot.w, plot.h})
	fmt.Fprintf(&out, "<g transform='translate(%d,2)'>%s</g></svg>", names-axis, times.String())
	return out.String()
}

func barGauge(panel dashboards.Panel, answers [][]Series, b box, now time.Time) string {
	all := lines(panel, answers)
	if len(all) == 0 {
		return empty(panel, b.h)
	}
	_, high := scale(all, panel.FieldConfig.Defaults)
	each := min((b.h-6)/len(all), 40)
	var out strings.Builder
	for _, l := range all {
		text, color := l.look.words(l.last(), now)
		share := max(min(l.last()/high, 1), 0)
		fmt.Fprintf(&out, "<div style='height:%dpx;display:flex;align-items:center;padding:0 8px'><span style='width:180px;text-align:right;margin-right:8px;white-space:nowrap;overflow:hidden'>%s</span>"+
			"<span style='flex:1;background:#22252b;height:70%%'><i style='display:block;height:100%%;width:%.1f%%;background:%s'></i></span><span style='width:90px;margin-left:8px;color:%s'>%s</span></div>",
			each, html.EscapeString(l.name), 100*share, color, color, html.EscapeString(text))
	}
	return out.String()
}

// matrix are the values by the labels that a groupingToMatrix names.
func matrix(panel dashboards.Panel, answers [][]Series) (rows, cols []string, cells map[[2]string]float64) {
	o := panel.Transformations[0].Options
	cells = map[[2]string]float64{}
	for _, s := range answers[0] {
		r, c := s.Labels[fmt.Sprint(o["rowField"])], s.Labels[fmt.Sprint(o["columnField"])]
		rows, cols = append(rows, r), append(cols, c)
		cells[[2]string{r, c}] = s.last()
	}
	slices.Sort(rows)
	slices.Sort(cols)
	return slices.Compact(rows), slices.Compact(cols), cells
}

func barChart(panel dashboards.Panel, answers [][]Series, b box) string {
	rows, cols, cells := matrix(panel, answers)
	if len(rows) == 0 {
		return empty(panel, b.h)
	}
	high := 1.0
	for _, r := range rows {
		sum := 0.0
		for _, c := range cols {
			sum += cells[[2]string{r, c}]
		}
		high = max(high, sum)
	}
	const names = 120
	each := float64(b.h-44) / float64(len(rows))
	l := lookOf(panel, "")
	var out strings.Builder
	fmt.Fprintf(&out, "<svg width=%d height=%d>", b.w, b.h-20)
	for i, r := range rows {
		x := float64(names)
		fmt.Fprintf(&out, "<text x=%d y=%.0f text-anchor=end>%s</text>", names-8, (float64(i)+.5)*each+4, html.EscapeString(r))
		for j, c := range cols {
			w := cells[[2]string{r, c}] / high * float64(b.w-names-20)
			fmt.Fprintf(&out, "<rect x=%.1f y=%.1f width=%.1f height=%.1f fill='%s'/>", x, float64(i)*each+each*.15, w, each*.7, palette[j%len(palette)])
			x += w
		}
	}
	for i := range 5 {
		fmt.Fprintf(&out, "<text x=%d y=%d>%s</text>", names+(b.w-names-60)*i/4, b.h-26, l.number(high*float64(i)/4, time.Time{}))
	}
	out.WriteString("</svg>")
	legends := make([]line, len(cols))
	for j, c := range cols {
		legends[j] = line{name: c, color: palette[j%len(palette)]}
	}
	return out.String() + legendHTML(legends)
}

// cell is one value of a table: words, or a number.
type cell struct {
	text   string
	number float64
	isText bool
}

func table(panel dashboards.Panel, answers [][]Series, now time.Time) string {
	if panel.Transformations[0].ID == "groupingToMatrix" {
		return matrixTable(panel, answers, now)
	}
	rows := merged(answers)
	columns := fields(panel, rows)
	sortRows(panel, columns, rows)
	var out strings.Builder
	out.WriteString("<table><tr>")
	for _, c := range columns {
		fmt.Fprintf(&out, "<th>%s", html.EscapeString(lookOf(panel, c).name))
	}
	for _, row := range rows {
		out.WriteString("<tr>")
		for _, c := range columns {
			v, ok := row[c]
			out.WriteString(td(lookOf(panel, c), v, ok, now))
		}
	}
	if len(rows) == 0 {
		fmt.Fprintf(&out, "<tr><td colspan=%d>%s", len(columns)+1, panel.FieldConfig.Defaults.NoValue)
	}
	return out.String() + "</table>"
}

func td(l look, v cell, ok bool, now time.Time) string {
	if !ok {
		return "<td>"
	}
	text, color := v.text, ""
	if v.isText {
		for _, m := range l.Mappings {
			color = named[m.Options[v.text].Color]
		}
	} else {
		text, color = l.words(v.number, now)
	}
	text = html.EscapeString(text)
	if len(l.Links) > 0 && color == "" {
		text = "<a>" + text + "</a>"
	}
	switch l.cell {
	case "color-background":
		return fmt.Sprintf("<td style='background:%s;color:#fff'>%s", color, text)
	case "color-text":
		return fmt.Sprintf("<td style='color:%s'>%s", color, text)
	case "gauge":
		return fmt.Sprintf("<td><span class=bar><i style='width:%.0f%%;background:%s'></i></span><span style='color:%s'>%s</span>", 100*max(min(v.number, 1), 0), color, color, text)
	}
	return "<td>" + text
}

// merged joins the answers by the labels that all of them have.
func merged(answers [][]Series) []map[string]cell {
	var common []string
	for i, series := range answers {
		have := map[string]bool{}
		for _, s := range series {
			for name := range s.Labels {
				have[name] = true
			}
		}
		if i == 0 {
			common = slices.Sorted(maps.Keys(have))
		} else if len(series) > 0 {
			common = slices.DeleteFunc(common, func(name string) bool { return !have[name] })
		}
	}
	index := map[string]int{}
	var rows []map[string]cell
	for i, series := range answers {
		for j, s := range series {
			var key strings.Builder
			for _, name := range common {
				key.WriteString(s.Labels[name] + "\x00")
			}
			if len(answers) == 1 {
				fmt.Fprint(&key, j)
			}
			at, ok := index[key.String()]
			if !ok {
				at = len(rows)
				index[key.String()] = at
				rows = append(rows, map[string]cell{})
			}
			for name, value := range s.Labels {
				rows[at][name] = cell{text: value, isText: true}
			}
			field := fmt.Sprintf("Value #%c", 'A'+i)
			if len(answers) == 1 {
				field = "Value"
			}
			rows[at][field] = cell{number: s.last()}
		}
	}
	return rows
}

// fields are the columns in their order, those that nothing has left out.
func fields(panel dashboards.Panel, rows []map[string]cell) []string {
	organize := panel.Transformations[len(panel.Transformations)-1].Options
	excluded, _ := organize["excludeByName"].(map[string]any)
	index, _ := organize["indexByName"].(map[string]any)
	have := map[string]bool{}
	for _, row := range rows {
		for name := range row {
			if excluded[name] != true {
				have[name] = true
			}
		}
	}
	if len(rows) == 0 {
		for name := range index {
			have[name] = true
		}
	}
	place := func(name string) float64 {
		if v, ok := index[name].(float64); ok {
			return v
		}
		return 99
	}
	return slices.SortedFunc(maps.Keys(have), func(a, b string) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b))
	})
}

func sortRows(panel dashboards.Panel, columns []string, rows []map[string]cell) {
	for _, by := range panel.Options.SortBy {
		for _, c := range columns {
			if lookOf(panel, c).name != by.DisplayName {
				continue
			}
			slices.SortStableFunc(rows, func(a, b map[string]cell) int {
				order := cmp.Or(cmp.Compare(a[c].number, b[c].number), cmp.Compare(a[c].text, b[c].text))
				if by.Desc {
					return -order
				}
				return order
			})
		}
	}
}

func matrixTable(panel dashboards.Panel, answers [][]Series, now time.Time) string {
	rows, cols, cells := matrix(panel, answers)
	var out strings.Builder
	fmt.Fprintf(&out, "<table><tr><th>%s", panel.FieldConfig.Overrides[0].Properties[0].Value)
	for _, c := range cols {
		out.WriteString("<th>" + html.EscapeString(c))
	}
	for _, r := range rows {
		out.WriteString("<tr><td>" + html.EscapeString(r))
		for _, c := range cols {
			v, ok := cells[[2]string{r, c}]
			out.WriteString(td(lookOf(panel, c), cell{number: v}, ok, now))
		}
	}
	return out.String() + "</table>"
}
