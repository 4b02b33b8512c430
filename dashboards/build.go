package dashboards

import "strings"

const (
	schemaVersion = 39
	columns       = 24
	notKnown      = "not known"
)

// tag finds the dashboards of Lifeboat among others.
const tag = "lifeboat"

// The colors of a verdict.
const (
	good    = "green"
	bad     = "red"
	worse   = "dark-red"
	warn    = "orange"
	neutral = "blue"
	unknown = "purple"
	quiet   = "text"
)

var chosen = Datasource{Type: "prometheus", UID: "${datasource}"}

func ptr[T any](v T) *T { return &v }

// section is a row and the panels below it.
type section struct {
	title  string
	panels []Panel
}

func dashboard(uid, title, description, from string, variables []Variable, sections ...section) Dashboard {
	return Dashboard{
		UID: uid, Title: title, Description: description, Tags: []string{tag, "backup"}, Timezone: "utc",
		SchemaVersion: schemaVersion, Version: 1, Refresh: "1m", Time: TimeRange{From: from, To: "now"}, GraphTooltip: 1,
		Links:       []Link{{Title: "Lifeboat", Type: "dashboards", Tags: []string{tag}, IncludeVars: true, KeepTime: true}},
		Annotations: Annotations{List: []struct{}{}},
		Templating:  Templating{List: variables},
		Panels:      layout(sections),
	}
}

// layout places panels from left to right, in lines as high as the highest.
func layout(sections []section) []Panel {
	var out []Panel
	y := 0
	add := func(p Panel) {
		p.ID = len(out) + 1
		out = append(out, p)
	}
	for _, s := range sections {
		add(Panel{Type: "row", Title: s.title, GridPos: GridPos{Y: y, W: columns, H: 1}, Collapsed: ptr(false)})
		y++
		x, height := 0, 0
		for _, p := range s.panels {
			if x+p.GridPos.W > columns {
				x, y, height = 0, y+height, 0
			}
			p.GridPos.X, p.GridPos.Y = x, y
			x, height = x+p.GridPos.W, max(height, p.GridPos.H)
			add(p)
		}
		y += height
	}
	return out
}

// ask is a query; its refId is its place among those of the panel.
func ask(expr, legend string) Target {
	return Target{Datasource: chosen, Expr: expr, LegendFormat: legend, Range: true}
}

func (t Target) now() Target {
	t.Instant, t.Range = true, false
	return t
}

func (t Target) table() Target {
	t = t.now()
	t.Format = "table"
	return t
}

func panel(kind, title, description, unit string, w, h int, targets []Target) Panel {
	for i := range targets {
		targets[i].RefID = string(rune('A' + i))
	}
	return Panel{
		Type: kind, Title: title, Description: description, Datasource: ptr(chosen), GridPos: GridPos{W: w, H: h},
		FieldConfig: &FieldConfig{Defaults: Field{Unit: unit, NoValue: notKnown}, Overrides: []Override{}},
		Options:     &Options{}, Targets: targets,
	}
}

var lastValue = &Reduce{Calcs: []string{"lastNotNull"}}

// stat is one number, of now.
func stat(title, description, unit string, w int, expr string) Panel {
	p := panel("stat", title, description, unit, w, 4, []Target{ask(expr, title).now()})
	p.Options.ColorMode, p.Options.GraphMode, p.Options.ReduceOptions = "value", "none", lastValue
	return p.steps(Step{Color: quiet})
}

// steps colors values from the first step's color on.
func (p Panel) steps(steps ...Step) Panel {
	d := &p.FieldConfig.Defaults
	d.Thresholds = &Thresholds{Mode: "absolute", Steps: steps}
	d.Color = &Color{Mode: "thresholds"}
	return p
}

func from(value float64, color string) Step { return Step{Color: color, Value: &value} }

// alarm makes the whole panel red from 1 on, and green below.
func (p Panel) alarm(color string) Panel {
	p.Options.ColorMode = "background"
	return p.steps(Step{Color: good}, from(1, color))
}

// words puts words in place of numbers.
func (p Panel) words(options map[string]Words) Panel {
	p.FieldConfig.Defaults.Mappings = []Mapping{{Type: "value", Options: options}}
	return p
}

func (p Panel) none(text string) Panel {
	p.FieldConfig.Defaults.NoValue = text
	return p
}

func (p Panel) linked(links ...Link) Panel {
	p.FieldConfig.Defaults.Links = links
	return p
}

var listLegend = &Legend{DisplayMode: "list", Placement: "bottom", ShowLegend: true, Calcs: []string{}}

// graph is lines over time.
func graph(title, description, unit string, w int, targets ...Target) Panel {
	p := panel("timeseries", title, description, unit, w, 8, targets)
	p.FieldConfig.Defaults.Min = ptr(0.0)
	p.FieldConfig.Defaults.Color = &Color{Mode: "palette-classic"}
	p.FieldConfig.Defaults.Custom = &Custom{DrawStyle: "line", LineWidth: 1, FillOpacity: 5, ShowPoints: "never"}
	p.Options.Legend, p.Options.Tooltip = listLegend, &Tooltip{Mode: "multi", Sort: "desc"}
	return p
}

// upTo fixes the top of the scale.
func (p Panel) upTo(top float64) Panel {
	p.FieldConfig.Defaults.Max = &top
	return p
}

// stacked draws series on top of each other.
func (p Panel) stacked() Panel {
	p.FieldConfig.Defaults.Custom.Stacking = &Stacking{Mode: "normal", Group: "A"}
	p.FieldConfig.Defaults.Custom.FillOpacity = 40
	return p
}

// dashed draws what a series is compared with: those whose legend matches.
func (p Panel) dashed(legend string) Panel {
	return p.override("byRegexp", legend,
		Property{"custom.lineStyle", Dash{Fill: "dash", Dash: []int{8, 6}}}, Property{"custom.fillOpacity", 0})
}

func (p Panel) override(matcher, options string, properties ...Property) Panel {
	p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, Override{Matcher{matcher, options}, properties})
	return p
}

// timeline shows in which state something was.
func timeline(title, description string, w, h int, states map[string]Words, targets ...Target) Panel {
	p := panel("state-timeline", title, description, "none", w, h, targets).words(states)
	p.FieldConfig.Defaults.Custom = &Custom{FillOpacity: 75}
	p.Options.MergeValues, p.Options.ShowValue, p.Options.RowHeight = ptr(true), "auto", 0.8
	p.Options.Legend, p.Options.Tooltip = listLegend, &Tooltip{Mode: "single", Sort: "none"}
	return p.steps(Step{Color: quiet})
}

// bars are one bar for each series, of now.
func bars(title, description, unit string, w, h int, targets ...Target) Panel {
	for i := range targets {
		targets[i] = targets[i].now()
	}
	p := panel("bargauge", title, description, unit, w, h, targets)
	p.FieldConfig.Defaults.Min = ptr(0.0)
	p.Options.DisplayMode, p.Options.Orientation, p.Options.ReduceOptions = "gradient", "horizontal", lastValue
	return p.steps(Step{Color: neutral})
}

// column is a column of a table: a label, or the value of a query.
type column struct {
	field, name, unit string
	properties        []Property
}

// label is a column of a label's values.
func label(name, title string, properties ...Property) column {
	return column{field: name, name: title, properties: properties}
}

// value is a column of the values of the query with the given refId.
func value(refID, title, unit string, properties ...Property) column {
	return column{field: "Value #" + refID, name: title, unit: unit, properties: properties}
}

// table is one row for each set of labels that the queries have in common.
// What is no column is left out.
func table(title, description, unit string, w, h int, shown []column, hidden []string, targets ...Target) Panel {
	for i := range targets {
		targets[i] = targets[i].table()
	}
	p := panel("table", title, description, unit, w, h, targets)
	p.Options.ShowHeader, p.Options.CellHeight = ptr(true), "sm"
	excluded := map[string]any{"Time": true}
	for _, name := range hidden {
		excluded[name] = true
	}
	index := map[string]any{}
	for i, c := range shown {
		field := c.field
		if len(targets) == 1 {
			field, _, _ = strings.Cut(field, " #") // Grafana numbers values only when there are several
		}
		index[field] = i
		properties := []Property{{"displayName", c.name}}
		if c.unit != "" {
			properties = append(properties, Property{"unit", c.unit})
		}
		p = p.override("byName", field, append(properties, c.properties...)...)
	}
	if len(targets) > 1 {
		p.Transformations = append(p.Transformations, Transformation{"merge", map[string]any{}})
	}
	p.Transformations = append(p.Transformations, Transformation{"organize", map[string]any{
		"excludeByName": excluded, "indexByName": index, "renameByName": map[string]any{},
	}})
	return p
}

func (p Panel) sorted(by string, desc bool) Panel {
	p.Options.SortBy = []SortBy{{by, desc}}
	return p
}

// matrix is one row for each value of one label and one column for each value
// of another.
func matrix(kind, title, description, unit string, w, h int, row, col string, target Target) Panel {
	p := panel(kind, title, description, unit, w, h, []Target{target.table()})
	p.Transformations = []Transformation{{"groupingToMatrix", map[string]any{
		"rowField": row, "columnField": col, "valueField": "Value", "emptyValue": "null",
	}}}
	return p.override("byName", row+`\`+col, Property{"displayName", strings.ToUpper(row[:1]) + row[1:]})
}

// text is Markdown.
func text(title, description string, w, h int, content string) Panel {
	return Panel{
		Type: "text", Title: title, Description: description, GridPos: GridPos{W: w, H: h},
		Options: &Options{Mode: "markdown", Content: content},
	}
}

// What a cell of a table looks like.
var (
	filledCell = Property{"custom.cellOptions", Cell{Type: "color-background", Mode: "basic"}}
	textCell   = Property{"custom.cellOptions", Cell{Type: "color-text"}}
	gaugeCell  = Property{"custom.cellOptions", Cell{Type: "gauge", Mode: "basic"}}
)

// shareCells are bars that are full, and red, when a target is used up.
func shareCells() []Property {
	return []Property{
		gaugeCell, {"min", 0}, {"max", 1}, {"decimals", 0},
		{"color", Color{Mode: "thresholds"}},
		{"thresholds", Thresholds{"absolute", []Step{{Color: good}, from(0.8, warn), from(1, bad)}}},
	}
}

func mapped(options map[string]Words) Property {
	return Property{"mappings", []Mapping{{Type: "value", Options: options}}}
}

func links(links ...Link) Property { return Property{"links", links} }

func width(pixels int) Property { return Property{"custom.width", pixels} }
