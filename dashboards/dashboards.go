package dashboards

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
)

// All returns the dashboards, in the order in which one looks at them.
func All() []Dashboard {
	return []Dashboard{Recoverable(), Schedule(), Drills(), Storage(), Exporter()}
}

// File is the name of the dashboard's file.
func (d Dashboard) File() string { return d.UID + ".json" }

// JSON is the content of the dashboard's file.
func (d Dashboard) JSON() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("encode dashboard %s: %w", d.UID, err)
	}
	return out.Bytes(), nil
}

// Query is a query of a dashboard, with values in place of its variables.
type Query struct {
	// Panel is its title, or variable NAME for the query behind a variable.
	Panel, RefID, Expr string
}

// Queries returns the queries of the panels as Grafana would ask them. Variables
// that values does not name match everything.
func (d Dashboard) Queries(values map[string]string) []Query {
	var out []Query
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			out = append(out, Query{p.Title, t.RefID, d.Substitute(t.Expr, values)})
		}
	}
	return out
}

// Substitute puts values in place of the variables in a query, .* for those
// that have none. Grafana's own $__rate_interval is __rate_interval, else 5m.
func (d Dashboard) Substitute(expr string, values map[string]string) string {
	pairs := []string{"$__rate_interval", cmp.Or(values["__rate_interval"], "5m")}
	for _, v := range d.Templating.List {
		value, ok := values[v.Name]
		if !ok {
			value = ".*"
		}
		pairs = append(pairs, "$"+v.Name, value, "${"+v.Name+"}", value)
	}
	return strings.NewReplacer(pairs...).Replace(expr)
}
