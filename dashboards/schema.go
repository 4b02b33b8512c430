// Package dashboards makes the Grafana dashboards of Lifeboat. The JSON files
// beside it are made from it (go test ./dashboards -update) and are what users
// import; this package is not linked into any program.
//
// The structs are the part of Grafana's dashboard model that is in use here, as
// Grafana 10 and later read it (schemaVersion 39).
package dashboards

// Dashboard is a dashboard as Grafana imports it.
type Dashboard struct {
	UID           string      `json:"uid"`
	Title         string      `json:"title"`
	Description   string      `json:"description"`
	Tags          []string    `json:"tags"`
	Timezone      string      `json:"timezone"`
	Editable      bool        `json:"editable"`
	SchemaVersion int         `json:"schemaVersion"`
	Version       int         `json:"version"`
	Refresh       string      `json:"refresh"`
	Time          TimeRange   `json:"time"`
	GraphTooltip  int         `json:"graphTooltip"`
	Links         []Link      `json:"links"`
	Annotations   Annotations `json:"annotations"`
	Templating    Templating  `json:"templating"`
	Panels        []Panel     `json:"panels"`
}

// TimeRange is what is shown, in Grafana's words: now-7d.
type TimeRange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Link leads somewhere else: from a dashboard (Type dashboards), or from a
// value (URL).
type Link struct {
	Title       string   `json:"title"`
	Type        string   `json:"type,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	URL         string   `json:"url,omitempty"`
	IncludeVars bool     `json:"includeVars,omitempty"`
	KeepTime    bool     `json:"keepTime,omitempty"`
	TargetBlank bool     `json:"targetBlank,omitempty"`
}

// Annotations are marks in graphs; none are in use.
type Annotations struct {
	List []struct{} `json:"list"`
}

// Templating holds the variables.
type Templating struct {
	List []Variable `json:"list"`
}

// Variable is what the viewer chooses, and queries and links refer to.
type Variable struct {
	Name       string         `json:"name"`
	Label      string         `json:"label"`
	Type       string         `json:"type"` // datasource, query, textbox or constant
	Datasource *Datasource    `json:"datasource,omitempty"`
	Query      any            `json:"query"` // a string, for Type query a VariableQuery
	Definition string         `json:"definition,omitempty"`
	Refresh    int            `json:"refresh,omitempty"` // 1: on load, 2: on change of the time range
	Sort       int            `json:"sort,omitempty"`
	Multi      bool           `json:"multi"`
	IncludeAll bool           `json:"includeAll"`
	AllValue   string         `json:"allValue,omitempty"`
	Current    map[string]any `json:"current"`
	Hide       int            `json:"hide"` // 0: shown, 2: hidden
}

// VariableQuery asks the data source for the values of a variable.
type VariableQuery struct {
	Query string `json:"query"`
	RefID string `json:"refId"`
}

// Datasource names a data source.
type Datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// Panel is a panel, or a row that heads panels.
type Panel struct {
	ID              int              `json:"id"`
	Type            string           `json:"type"`
	Title           string           `json:"title"`
	Description     string           `json:"description,omitempty"`
	Datasource      *Datasource      `json:"datasource,omitempty"`
	GridPos         GridPos          `json:"gridPos"`
	FieldConfig     *FieldConfig     `json:"fieldConfig,omitempty"`
	Options         *Options         `json:"options,omitempty"`
	Targets         []Target         `json:"targets,omitempty"`
	Transformations []Transformation `json:"transformations,omitempty"`
	Collapsed       *bool            `json:"collapsed,omitempty"`
	Panels          []Panel          `json:"panels,omitempty"`
}

// GridPos is where a panel is, in a grid of 24 columns.
type GridPos struct {
	X int `json:"x"`
	Y int `json:"y"`
	W int `json:"w"`
	H int `json:"h"`
}

// Target is a query.
type Target struct {
	RefID        string     `json:"refId"`
	Datasource   Datasource `json:"datasource"`
	Expr         string     `json:"expr"`
	LegendFormat string     `json:"legendFormat,omitempty"`
	Format       string     `json:"format,omitempty"` // table, else time_series
	Instant      bool       `json:"instant"`
	Range        bool       `json:"range"`
}

// FieldConfig says how values look.
type FieldConfig struct {
	Defaults  Field      `json:"defaults"`
	Overrides []Override `json:"overrides"`
}

// Field is how the values of a field look.
type Field struct {
	Unit       string      `json:"unit,omitempty"`
	Decimals   *int        `json:"decimals,omitempty"`
	Min        *float64    `json:"min,omitempty"`
	Max        *float64    `json:"max,omitempty"`
	NoValue    string      `json:"noValue,omitempty"`
	Color      *Color      `json:"color,omitempty"`
	Thresholds *Thresholds `json:"thresholds,omitempty"`
	Mappings   []Mapping   `json:"mappings,omitempty"`
	Links      []Link      `json:"links,omitempty"`
	Custom     *Custom     `json:"custom,omitempty"`
}

// Color says where the color of a value comes from.
type Color struct {
	Mode       string `json:"mode"`
	FixedColor string `json:"fixedColor,omitempty"`
}

// Thresholds color values: each step from its value on.
type Thresholds struct {
	Mode  string `json:"mode"`
	Steps []Step `json:"steps"`
}

// Step is one threshold; the first one has no value.
type Step struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

// Mapping puts words in place of values.
type Mapping struct {
	Type    string           `json:"type"`
	Options map[string]Words `json:"options"`
}

// Words are what is shown in place of a value.
type Words struct {
	Text  string `json:"text,omitempty"`
	Color string `json:"color,omitempty"`
	Index int    `json:"index"`
}

// Custom is what only some kinds of panels know.
type Custom struct {
	DrawStyle       string    `json:"drawStyle,omitempty"`
	LineWidth       int       `json:"lineWidth,omitempty"`
	FillOpacity     int       `json:"fillOpacity,omitempty"`
	ShowPoints      string    `json:"showPoints,omitempty"`
	Stacking        *Stacking `json:"stacking,omitempty"`
	ThresholdsStyle *Mode     `json:"thresholdsStyle,omitempty"`
	LineStyle       *Dash     `json:"lineStyle,omitempty"`
	Align           string    `json:"align,omitempty"`
	CellOptions     *Cell     `json:"cellOptions,omitempty"`
}

// Stacking says whether series are drawn on top of each other.
type Stacking struct {
	Mode  string `json:"mode"`
	Group string `json:"group"`
}

// Mode is a choice.
type Mode struct {
	Mode string `json:"mode"`
}

// Dash is how a line is drawn.
type Dash struct {
	Fill string `json:"fill"`
	Dash []int  `json:"dash,omitempty"`
}

// Cell is how a cell of a table is drawn.
type Cell struct {
	Type string `json:"type"`
	Mode string `json:"mode,omitempty"`
}

// Override changes the look of some fields.
type Override struct {
	Matcher    Matcher    `json:"matcher"`
	Properties []Property `json:"properties"`
}

// Matcher says which.
type Matcher struct {
	ID      string `json:"id"`
	Options string `json:"options"`
}

// Property is one change.
type Property struct {
	ID    string `json:"id"`
	Value any    `json:"value"`
}

// Options are those of a kind of panel.
type Options struct {
	// Of stat and bargauge.
	ColorMode     string  `json:"colorMode,omitempty"`
	GraphMode     string  `json:"graphMode,omitempty"`
	TextMode      string  `json:"textMode,omitempty"`
	DisplayMode   string  `json:"displayMode,omitempty"`
	ReduceOptions *Reduce `json:"reduceOptions,omitempty"`
	// Of table.
	ShowHeader *bool    `json:"showHeader,omitempty"`
	CellHeight string   `json:"cellHeight,omitempty"`
	SortBy     []SortBy `json:"sortBy,omitempty"`
	// Of graphs.
	Legend      *Legend  `json:"legend,omitempty"`
	Tooltip     *Tooltip `json:"tooltip,omitempty"`
	MergeValues *bool    `json:"mergeValues,omitempty"`
	ShowValue   string   `json:"showValue,omitempty"`
	RowHeight   float64  `json:"rowHeight,omitempty"`
	XField      string   `json:"xField,omitempty"`
	Stacking    string   `json:"stacking,omitempty"`
	Orientation string   `json:"orientation,omitempty"`
	// Of text.
	Mode    string `json:"mode,omitempty"`
	Content string `json:"content,omitempty"`
}

// Reduce makes one value of a series.
type Reduce struct {
	Calcs  []string `json:"calcs"`
	Fields string   `json:"fields"`
	Values bool     `json:"values"`
}

// SortBy orders the rows of a table.
type SortBy struct {
	DisplayName string `json:"displayName"`
	Desc        bool   `json:"desc"`
}

// Legend names the series of a graph.
type Legend struct {
	DisplayMode string   `json:"displayMode"`
	Placement   string   `json:"placement"`
	ShowLegend  bool     `json:"showLegend"`
	Calcs       []string `json:"calcs"`
}

// Tooltip is what the pointer shows.
type Tooltip struct {
	Mode string `json:"mode"`
	Sort string `json:"sort"`
}

// Transformation changes the answers of queries before they are drawn: merge,
// organize or groupingToMatrix.
type Transformation struct {
	ID      string         `json:"id"`
	Options map[string]any `json:"options"`
}
