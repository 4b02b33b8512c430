package picture

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/dashboards"
)

var named = map[string]string{
	"green": "#56a64b", "red": "#e02f44", "dark-red": "#a3122a", "orange": "#ff9830", "blue": "#5794f2", "purple": "#8f5bb0", "text": "#ccccdc",
}

var palette = []string{"#73bf69", "#fade2a", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#96d98d", "#ffa6b0", "#705da0", "#37872d", "#e0b400"}

// look is how the values of a field look, overrides included.
type look struct {
	dashboards.Field
	name, cell, dash string
	width            int
}

// lookOf is the look of a field: the panel's, changed by what matches its name.
func lookOf(panel dashboards.Panel, field string) look {
	l := look{Field: panel.FieldConfig.Defaults, name: field}
	if c := l.Custom; c != nil && c.CellOptions != nil {
		l.cell = c.CellOptions.Type
	}
	for _, o := range panel.FieldConfig.Overrides {
		if o.Matcher.Options == field || o.Matcher.ID == "byRegexp" && regexp.MustCompile(strings.Trim(o.Matcher.Options, "/")).MatchString(field) {
			for _, property := range o.Properties {
				l.set(property)
			}
		}
	}
	return l
}

func (l *look) set(p dashboards.Property) {
	raw, _ := json.Marshal(p.Value) // it came from JSON
	into := map[string]any{
		"displayName": &l.name, "unit": &l.Unit, "mappings": &l.Mappings, "thresholds": &l.Thresholds, "links": &l.Links,
		"min": &l.Min, "max": &l.Max, "decimals": &l.Decimals, "custom.width": &l.width,
	}[p.ID]
	switch {
	case into != nil:
		_ = json.Unmarshal(raw, into)
	case p.ID == "custom.cellOptions":
		var cell dashboards.Cell
		_ = json.Unmarshal(raw, &cell)
		l.cell = cell.Type
	case p.ID == "custom.lineStyle":
		l.dash = "6 4"
	}
}

// words are what is shown for a value, and the color it has, "" for none.
func (l look) words(v float64, now time.Time) (text, color string) {
	for _, m := range l.Mappings {
		if w, ok := m.Options[strconv.FormatFloat(v, 'f', -1, 64)]; ok {
			return w.Text, named[w.Color]
		}
	}
	return l.number(v, now), l.step(v)
}

func (l look) step(v float64) string {
	if l.Thresholds == nil {
		return ""
	}
	color := ""
	for _, s := range l.Thresholds.Steps {
		if s.Value == nil || v >= *s.Value {
			color = named[s.Color]
		}
	}
	return color
}

func (l look) number(v float64, now time.Time) string {
	switch l.Unit {
	case "s":
		return duration(v)
	case "bytes":
		return scaled(v, 1024, []string{"B", "KiB", "MiB", "GiB", "TiB"})
	case "percentunit":
		return digits(100*v, l.Decimals) + "%"
	case "reqps":
		return digits(v, nil) + " req/s"
	case "dateTimeFromNow":
		return fromNow(time.UnixMilli(int64(v)).Sub(now))
	}
	return digits(v, l.Decimals)
}

func digits(v float64, decimals *int) string {
	if decimals != nil {
		return strconv.FormatFloat(v, 'f', *decimals, 64)
	}
	if math.Abs(v) >= 100 || v == math.Trunc(v) {
		return strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func scaled(v, base float64, units []string) string {
	i := 0
	for i < len(units)-1 && math.Abs(v) >= base {
		v /= base
		i++
	}
	return digits(v, nil) + " " + units[i]
}

// lengths of time, in seconds, as Grafana names them.
var lengths = []struct {
	seconds float64
	name    string
}{{31536000, "year"}, {604800, "week"}, {86400, "day"}, {3600, "hour"}, {60, "min"}}

func duration(v float64) string {
	for _, l := range lengths {
		if math.Abs(v) >= l.seconds {
			n := digits(v/l.seconds, nil)
			if n != "1" && l.name != "min" {
				return n + " " + l.name + "s"
			}
			return n + " " + l.name
		}
	}
	if v != 0 && math.Abs(v) < 1 {
		return digits(v*1000, nil) + " ms"
	}
	return digits(v, nil) + " s"
}

func fromNow(d time.Duration) string {
	text := "a few seconds"
	for _, l := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := d.Abs().Round(l.unit) / l.unit; n >= 1 {
			text = fmt.Sprintf("%d %ss", n, l.name)
			if n == 1 {
				text = map[string]string{"day": "a day", "hour": "an hour", "minute": "a minute"}[l.name]
			}
			break
		}
	}
	if d > 0 {
		return "in " + text
	}
	return text + " ago"
}

var labelRE = regexp.MustCompile(`\{\{\s*([a-z_]+)\s*\}\}`)

func legend(format string, labels map[string]string) string {
	return strings.Join(strings.Fields(labelRE.ReplaceAllStringFunc(format, func(m string) string {
		return labels[labelRE.FindStringSubmatch(m)[1]]
	})), " ")
}
