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

// JSON is the content of the dashboard's file: compact, so that all five fit into
// one object that kubectl apply can hold, with a line for each object in a list.
func (d Dashboard) JSON() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("encode dashboard %s: %w", d.UID, err)
	}
	// In a text a quote follows a backslash, so this is never one.
	return bytes.ReplaceAll(out.Bytes(), []byte(`},{"`), []byte("},\n{\"")), nil
}

// ConfigMapsFile is the name of the file with a ConfigMap for each dashboard.
const ConfigMapsFile = "configmaps.yaml"

const configMapsHeader = `# Made from dashboards/*.go by go test ./dashboards -update; edit those.
# A ConfigMap for each dashboard, for Grafana's sidecar, which loads ConfigMaps with a
# label (the Helm charts grafana and kube-prometheus-stack have this sidecar):
#
#   kubectl -n monitoring apply -f configmaps.yaml
#
# The same command upgrades them. Change first: the namespace in the command (one that
# the sidecar watches, by default that of Grafana), and the label if your sidecar
# selects another one (sidecar.dashboards.label in the charts).
`

// ConfigMaps are ConfigMaps with all dashboards. Each is far below the 262144 bytes
// that kubectl apply keeps in an annotation of an object.
func ConfigMaps() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(configMapsHeader)
	for i, d := range All() {
		raw, err := d.JSON()
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		fmt.Fprintf(&out, `apiVersion: v1
kind: ConfigMap
metadata:
  name: %s
  labels:
    app.kubernetes.io/part-of: lifeboat
    grafana_dashboard: "1"
data:
  %s: |
`, d.UID, d.File())
		for line := range bytes.Lines(raw) {
			out.WriteString("    ")
			out.Write(line)
		}
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
