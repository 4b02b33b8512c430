package dashboards

const (
	runbooksURL = "https://github.com/lifeboat-backup/lifeboat/blob/main/docs/runbooks"
	// exporterURL is where a port forward of the exporter's port is.
	exporterURL = "http://localhost:9808"
)

// common are the variables of every dashboard, in the order in which they
// depend on each other, and then those given.
func common(more ...Variable) []Variable {
	return append([]Variable{
		{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus", Current: map[string]any{}, Refresh: 1},
		several("cluster", "Cluster", "lifeboat_exporter_build_info", "cluster"),
		several("namespace", "Namespace", `lifeboat_exporter_build_info{cluster=~"$cluster"}`, "namespace"),
	}, more...)
}

var (
	schedulesVariable = several("schedule", "Schedule", "lifeboat_schedule_info{"+ofTarget+"}", "schedule")
	locationsVariable = several("location", "Location", "lifeboat_location_last_scan_timestamp_seconds{"+ofTarget+"}", "backup_location_name")
	// The exporter's own page is opened by the viewer's browser, and the
	// runbooks may be kept elsewhere.
	exporterVariable = Variable{
		Name: "exporter", Label: "Exporter URL", Type: "textbox", Query: exporterURL,
		Current: map[string]any{"text": exporterURL, "value": exporterURL},
	}
	runbooksVariable = Variable{
		Name: "runbooks", Label: "Runbooks", Type: "constant", Query: runbooksURL, Hide: 2,
		Current: map[string]any{"text": runbooksURL, "value": runbooksURL},
	}
)

// oneSchedule lets the viewer choose one schedule, not several.
func oneSchedule() Variable {
	v := schedulesVariable
	v.Multi, v.IncludeAll, v.AllValue, v.Current = false, false, "", map[string]any{}
	return v
}

// several are the values of a label, of which any number may be chosen. All
// matches series without the label, too.
func several(name, title, series, label string) Variable {
	definition := "label_values(" + series + ", " + label + ")"
	return Variable{
		Name: name, Label: title, Type: "query", Datasource: &chosen, Query: VariableQuery{Query: definition, RefID: name}, Definition: definition,
		Refresh: 2, Sort: 1, Multi: true, IncludeAll: true, AllValue: ".*",
		Current: map[string]any{"text": []string{"All"}, "value": []string{"$__all"}},
	}
}

// The places that values lead to.
var (
	toRunbook  = Link{Title: "Runbook", URL: "${runbooks}/${__data.fields.runbook}.md", TargetBlank: true}
	toEvidence = Link{Title: "Evidence: what the exporter knows of this schedule", URL: "${exporter}/api/v1/status?schedule=${__data.fields.schedule}", TargetBlank: true}
	toSchedule = Link{Title: "This schedule", URL: "/d/lifeboat-schedule?var-schedule=${__data.fields.schedule}&" + carried}
	toDrills   = Link{Title: "Its drills", URL: "/d/lifeboat-drills?var-schedule=${__data.fields.schedule}&" + carried}
)

// carried are the variables and the time range that a link takes along.
const carried = "${datasource:queryparam}&${cluster:queryparam}&${namespace:queryparam}&${__url_time_range}"
