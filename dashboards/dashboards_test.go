package dashboards

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/exporter"
)

var update = flag.Bool("update", false, "write the files")

func TestTheFilesAreMadeFromTheSource(t *testing.T) {
	var names []string
	for _, d := range All() {
		made, err := d.JSON()
		require.NoError(t, err)
		if *update {
			require.NoError(t, os.WriteFile(d.File(), made, 0o644))
		}
		committed, err := os.ReadFile(d.File())
		require.NoError(t, err)
		assert.Equal(t, string(made), string(committed), "%s: go test ./dashboards -update", d.File())
		names = append(names, d.File())
	}
	files, err := filepath.Glob("*.json")
	require.NoError(t, err)
	assert.ElementsMatch(t, names, files)
}

// maxApplied is the largest annotation of an object, in which kubectl apply keeps the
// object: https://github.com/kubernetes/apimachinery/blob/v0.34.0/pkg/api/validation/objectmeta.go
const maxApplied = 256 << 10

func TestTheConfigMapsAreTheDashboardsAndCanBeApplied(t *testing.T) {
	made, err := ConfigMaps()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(ConfigMapsFile, made, 0o644))
	}
	raw, err := os.ReadFile(ConfigMapsFile)
	require.NoError(t, err)
	assert.Equal(t, string(made), string(raw), "go test ./dashboards -update")

	all := map[string]string{}
	for document := range strings.SplitSeq(string(raw), "\n---\n") {
		var c struct {
			APIVersion, Kind string
			Metadata         struct {
				Name   string
				Labels map[string]string
			}
			Data map[string]string
		}
		require.NoError(t, yaml.UnmarshalStrict([]byte(document), &c))
		assert.Equal(t, "v1 ConfigMap", c.APIVersion+" "+c.Kind)
		assert.Equal(t, "1", c.Metadata.Labels["grafana_dashboard"])
		require.Len(t, c.Data, 1)
		for name, content := range c.Data {
			assert.Equal(t, c.Metadata.Name+".json", name)
			committed, err := os.ReadFile(name)
			require.NoError(t, err)
			assert.Equal(t, strings.TrimSuffix(string(committed), "\n"), strings.TrimSuffix(content, "\n"), name)
			all[name] = content
		}
	}
	assert.Len(t, all, len(All()))
	// People also make one ConfigMap of all files.
	one, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]string{"name": "lifeboat-dashboards"}, "data": all})
	require.NoError(t, err)
	assert.Less(t, len(one), maxApplied)
}

// committed are the dashboards as their files have them, and nothing in the
// files that the schema does not know.
func committed(t *testing.T) []Dashboard {
	t.Helper()
	var out []Dashboard
	paths, err := filepath.Glob("*.json")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		var d Dashboard
		require.NoError(t, decoder.Decode(&d), path)
		out = append(out, d)
	}
	return out
}

// each calls f for every panel that asks something.
func each(t *testing.T, f func(where string, d Dashboard, p Panel)) {
	for _, d := range committed(t) {
		for _, p := range d.Panels {
			if p.Type != "row" && p.Type != "text" {
				f(d.UID+": "+p.Title, d, p)
			}
		}
	}
}

func TestDashboardsCannotBeChangedByHandAndHaveTheSameClock(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range committed(t) {
		assert.Regexp(t, `^lifeboat-[a-z]+$`, d.UID)
		assert.False(t, seen[d.Title], d.Title)
		seen[d.Title] = true
		assert.Regexp(t, `^[A-Z].*\.$`, d.Description, d.UID)
		assert.Equal(t, "utc", d.Timezone, d.UID)
		assert.False(t, d.Editable, "%s: changes belong in the repository", d.UID)
		assert.Contains(t, d.Tags, tag, d.UID)
		assert.Equal(t, tag, d.Links[0].Tags[0], "%s: from each dashboard to the others", d.UID)
	}
}

// kinds of panels that Grafana 10 brings along.
var kinds = []string{"row", "stat", "table", "timeseries", "state-timeline", "bargauge", "barchart", "text"}

func TestEveryPanelSaysWhatItShowsInWhichUnitAndFromWhere(t *testing.T) {
	for _, d := range committed(t) {
		var ids []int
		for _, p := range d.Panels {
			where := d.UID + ": " + p.Title
			ids = append(ids, p.ID)
			assert.Contains(t, kinds, p.Type, where)
			assert.NotEmpty(t, p.Title, where)
			assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, columns, where)
			assert.Positive(t, p.GridPos.H, where)
			if p.Type != "row" {
				assert.Regexp(t, `^[A-Z].*\.$`, p.Description, where)
			}
		}
		slices.Sort(ids)
		assert.Len(t, slices.Compact(slices.Clone(ids)), len(ids), "%s: each panel has its own id", d.UID)
	}
	each(t, func(where string, _ Dashboard, p Panel) {
		assert.NotEmpty(t, p.FieldConfig.Defaults.Unit, where)
		require.NotNil(t, p.Datasource, where)
		assert.Equal(t, chosen, *p.Datasource, "%s: the data source is the viewer's choice", where)
		require.NotEmpty(t, p.Targets, where)
		for _, target := range p.Targets {
			assert.Equal(t, chosen, target.Datasource, where)
			assert.NotEmpty(t, target.RefID, where)
			assert.NotEmpty(t, target.LegendFormat, "%s: what is a line without a name?", where)
			assert.NotEqual(t, target.Instant, target.Range, where)
		}
	})
}

func TestPanelsDoNotCoverEachOther(t *testing.T) {
	for _, d := range committed(t) {
		for i, a := range d.Panels {
			for _, b := range d.Panels[i+1:] {
				a, b := a.GridPos, b.GridPos
				apart := a.X+a.W <= b.X || b.X+b.W <= a.X || a.Y+a.H <= b.Y || b.Y+b.H <= a.Y
				assert.True(t, apart, "%s: %v and %v", d.UID, a, b)
			}
		}
	}
}

// A graph without one value for each instant, or a table without its columns,
// would be there and show nothing.
func TestEveryQueryOfATableIsAColumn(t *testing.T) {
	each(t, func(where string, _ Dashboard, p Panel) {
		if p.Type != "table" || p.Transformations[0].ID == "groupingToMatrix" {
			return
		}
		var fields, names []string
		for _, o := range p.FieldConfig.Overrides {
			fields = append(fields, o.Matcher.Options)
			names = append(names, o.Properties[0].Value.(string))
		}
		for _, target := range p.Targets {
			assert.Equal(t, "table", target.Format, where)
			field := "Value #" + target.RefID
			if len(p.Targets) == 1 {
				field = "Value"
			}
			if !slices.Contains(hidden(p), field) {
				assert.Contains(t, fields, field, where)
			}
		}
		for _, by := range p.Options.SortBy {
			assert.Contains(t, names, by.DisplayName, where)
		}
	})
}

func hidden(p Panel) []string {
	var out []string
	for _, transformation := range p.Transformations {
		if excluded, ok := transformation.Options["excludeByName"].(map[string]any); ok {
			for name := range excluded {
				out = append(out, name)
			}
		}
	}
	return out
}

var usedRE = regexp.MustCompile(`\$\{?([a-z]+)\b`)

func TestADashboardHasTheVariablesItUsesAndUsesThoseItHas(t *testing.T) {
	for _, d := range committed(t) {
		raw, err := d.JSON()
		require.NoError(t, err)
		var names []string
		for _, v := range d.Templating.List {
			names = append(names, v.Name)
			assert.NotEmpty(t, v.Label, v.Name)
			if v.IncludeAll {
				assert.Equal(t, ".*", v.AllValue, "%s: All must match series without the label, too", v.Name)
			}
		}
		assert.Equal(t, []string{"datasource", "cluster", "namespace"}, names[:3], d.UID)
		used := []string{}
		for _, m := range usedRE.FindAllStringSubmatch(string(raw), -1) {
			if !strings.HasPrefix(m[1], "_") {
				assert.Contains(t, names, m[1], d.UID)
				used = append(used, m[1])
			}
		}
		for _, name := range names {
			assert.Contains(t, used, name, "%s: nothing depends on what the viewer chooses", d.UID)
		}
	}
}

// prometheusOwn are the metrics that Prometheus or the Go runtime adds, and
// their labels.
var prometheusOwn = map[string][]string{
	"up": {"job", "instance"}, "scrape_duration_seconds": {"job", "instance"}, "scrape_samples_scraped": {"job", "instance"},
	"process_resident_memory_bytes": {"job", "instance"},
	"ALERTS":                        {"alertname", "alertstate"}, "ALERTS_FOR_STATE": {"alertname"},
}

// known are the labels of each metric that may be asked for.
func known(t *testing.T) map[string][]string {
	t.Helper()
	out := recorded(t)
	for name, labels := range prometheusOwn {
		out[name] = labels
	}
	for _, m := range exporter.Catalog() {
		out[m.Name] = m.Labels
		if m.Type == exporter.Histogram {
			out[m.Name+"_bucket"] = append([]string{"le"}, m.Labels...)
		}
	}
	return out
}

type rule struct{ Alert, Record, Expr string }

func rules(t *testing.T) []rule {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "alerts", "lifeboat.rules.yml"))
	require.NoError(t, err)
	var file struct{ Groups []struct{ Rules []rule } }
	require.NoError(t, yaml.Unmarshal(raw, &file))
	var out []rule
	for _, g := range file.Groups {
		out = append(out, g.Rules...)
	}
	require.NotEmpty(t, out)
	return out
}

// recorded are the labels of the recording rules, which their names begin with.
func recorded(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, r := range rules(t) {
		if level, _, ok := strings.Cut(r.Record, ":"); ok {
			out[r.Record] = strings.Split(level, "_")
		}
	}
	require.NotEmpty(t, out)
	return out
}

var (
	selectorRE = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_:]*)\{([^}]*)\}`)
	matcherRE  = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`)
	// A grouping directly around a selector.
	groupRE   = regexp.MustCompile(`by \(([a-z_, ]+)\) \((?:[a-z]+\()?([A-Za-z_]+)\{`)
	metricRE  = regexp.MustCompile(`\b(?:[a-z_]+:)?(?:lifeboat|velero)_[a-z0-9_:]+`)
	counterRE = regexp.MustCompile(`\b(rate|increase|irate|deriv|delta)\(([a-zA-Z_]+)\{`)
)

func TestDashboardsAskOnlyForWhatIsServed(t *testing.T) {
	metrics := known(t)
	target := []string{"cluster", "namespace", "instance"}
	each(t, func(where string, _ Dashboard, p Panel) {
		for _, q := range p.Targets {
			selectors := selectorRE.FindAllStringSubmatch(q.Expr, -1)
			require.NotEmpty(t, selectors, where)
			for _, m := range selectors {
				labels, ok := metrics[m[1]]
				assert.True(t, ok, "%s: %s is not in the catalog", where, m[1])
				within := `cluster=~"$cluster"`
				if !strings.HasPrefix(m[1], "cluster:") {
					within += `,namespace=~"$namespace"`
				}
				assert.Contains(t, m[2], within, "%s: %s is asked of one cluster and namespace", where, m[1])
				for _, l := range matcherRE.FindAllStringSubmatch(m[2], -1) {
					assert.Contains(t, append(target, labels...), l[1], "%s: %s", where, m[1])
				}
			}
			for _, name := range metricRE.FindAllString(q.Expr, -1) {
				assert.True(t, slices.ContainsFunc(selectors, func(m []string) bool { return m[1] == name }), "%s: %s without its cluster", where, name)
			}
			for _, m := range groupRE.FindAllStringSubmatch(q.Expr, -1) {
				for _, l := range strings.Split(m[1], ", ") {
					assert.Contains(t, append(target, metrics[m[2]]...), l, "%s: %s", where, m[2])
				}
			}
		}
	})
	for _, d := range committed(t) {
		for _, v := range d.Templating.List {
			for _, name := range metricRE.FindAllString(v.Definition, -1) {
				assert.Contains(t, metrics, name, "%s: variable %s", d.UID, v.Name)
			}
		}
	}
}

func TestOnlyCountersHaveARateAndOnlyGaugesATrend(t *testing.T) {
	types := map[string]exporter.Type{}
	for _, m := range exporter.Catalog() {
		types[m.Name] = m.Type
		if m.Type == exporter.Histogram {
			types[m.Name+"_bucket"] = exporter.Counter
		}
	}
	rates := 0
	each(t, func(where string, _ Dashboard, p Panel) {
		for _, q := range p.Targets {
			for _, m := range counterRE.FindAllStringSubmatch(q.Expr, -1) {
				want := exporter.Counter
				if m[1] == "deriv" || m[1] == "delta" {
					want = exporter.Gauge
				}
				assert.Equal(t, want, types[m[2]], "%s: %s of %s", where, m[1], m[2])
				rates++
			}
		}
	})
	assert.Positive(t, rates)
}

// A value that is withheld must be seen to be missing: a query that puts a
// number in its place would show a location that cannot be read as one in order.
func TestNoQueryTurnsWhatIsNotKnownIntoANumber(t *testing.T) {
	each(t, func(where string, _ Dashboard, p Panel) {
		for _, q := range p.Targets {
			for _, word := range []string{"vector(", "absent(", "absent_over_time(", "clamp_min(", "or on ()", "or 0"} {
				assert.NotContains(t, q.Expr, word, where)
			}
		}
		if p.Type == "stat" {
			assert.NotEmpty(t, p.FieldConfig.Defaults.NoValue, "%s: says that there is no value", where)
		}
	})
}

var (
	dashboardLinkRE = regexp.MustCompile(`^/d/([a-z-]+)\?`)
	linkVariableRE  = regexp.MustCompile(`var-([a-z]+)=`)
	runbookRE       = regexp.MustCompile(`Lifeboat[A-Za-z]+`)
)

// allLinks are those of a panel's values: of the defaults and of overrides.
func allLinks(t *testing.T, p Panel) []Link {
	out := slices.Clone(p.FieldConfig.Defaults.Links)
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if property.ID != "links" {
				continue
			}
			raw, err := json.Marshal(property.Value)
			require.NoError(t, err)
			var found []Link
			require.NoError(t, json.Unmarshal(raw, &found))
			out = append(out, found...)
		}
	}
	return out
}

func TestLinksLeadSomewhere(t *testing.T) {
	// Each alert has a runbook of its name: see package alerts.
	var alerts []string
	for _, r := range rules(t) {
		alerts = append(alerts, r.Alert)
	}
	byUID := map[string]Dashboard{}
	for _, d := range committed(t) {
		byUID[d.UID] = d
	}
	each(t, func(where string, _ Dashboard, p Panel) {
		for _, l := range allLinks(t, p) {
			assert.NotEmpty(t, l.Title, where)
			if m := dashboardLinkRE.FindStringSubmatch(l.URL); m != nil {
				to, ok := byUID[m[1]]
				require.True(t, ok, "%s: %s", where, l.URL)
				for _, v := range linkVariableRE.FindAllStringSubmatch(l.URL, -1) {
					assert.True(t, slices.ContainsFunc(to.Templating.List, func(have Variable) bool { return have.Name == v[1] }), "%s: %s", where, l.URL)
				}
			}
			for _, name := range runbookRE.FindAllString(l.URL, -1) {
				assert.Contains(t, alerts, name, where)
			}
		}
	})
	for _, v := range verdicts {
		if v.runbook != "" {
			assert.Contains(t, alerts, v.runbook)
		}
	}
}

func TestFromNotRecoverableItIsOneClickToTheRunbookAndToTheEvidence(t *testing.T) {
	for _, p := range Recoverable().Panels {
		if p.Title != "Schedules" {
			continue
		}
		var urls []string
		for _, l := range allLinks(t, p) {
			urls = append(urls, l.URL)
		}
		assert.Contains(t, urls, "${runbooks}/${__data.fields.runbook}.md")
		assert.Contains(t, urls, "${exporter}/api/v1/status?schedule=${__data.fields.schedule}")
		for _, v := range verdicts {
			if v.code >= notRecoverable {
				assert.NotEmpty(t, v.runbook, v.words.Text)
				assert.Contains(t, p.Targets[0].Expr, v.runbook)
			}
		}
		return
	}
	t.Fatal("there is no table of schedules")
}

func TestTheSameWordAlwaysHasTheSameCode(t *testing.T) {
	words := map[int]string{}
	for _, v := range verdicts {
		if have, ok := words[v.code]; ok {
			assert.Equal(t, have, v.words.Text)
		}
		words[v.code] = v.words.Text
	}
	assert.Equal(t, "OK", words[0])
}

func TestQueriesHaveValuesInPlaceOfVariables(t *testing.T) {
	for _, d := range All() {
		for _, q := range d.Queries(map[string]string{"schedule": "db"}) {
			assert.NotContains(t, q.Expr, "$", "%s: %s", d.UID, q.Panel)
		}
	}
	d := Schedule()
	assert.Equal(t, `x{cluster=~".*",schedule="db"}[5m]`, d.Substitute(`x{cluster=~"$cluster",schedule="$schedule"}[$__rate_interval]`, map[string]string{"schedule": "db"}))
}
