package dashboards_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/exporter"
)

// dashboard is the part of Grafana's form that the tests look at.
type dashboard struct {
	UID         string  `json:"uid"`
	Title       string  `json:"title"`
	Description string  `json:"description"`
	Timezone    string  `json:"timezone"`
	Editable    bool    `json:"editable"`
	Panels      []panel `json:"panels"`
	Templating  struct {
		List []variable `json:"list"`
	} `json:"templating"`
}

type variable struct {
	Name       string `json:"name"`
	Label      string `json:"label"`
	Type       string `json:"type"`
	Definition string `json:"definition"`
	AllValue   string `json:"allValue"`
}

type panel struct {
	ID          int                      `json:"id"`
	Type        string                   `json:"type"`
	Title       string                   `json:"title"`
	Description string                   `json:"description"`
	Datasource  datasource               `json:"datasource"`
	GridPos     struct{ X, Y, W, H int } `json:"gridPos"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []target `json:"targets"`
}

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type target struct {
	RefID      string     `json:"refId"`
	Datasource datasource `json:"datasource"`
	Expr       string     `json:"expr"`
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	paths, err := filepath.Glob("*.json")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	out := map[string]dashboard{}
	for _, p := range paths {
		raw, err := os.ReadFile(p)
		require.NoError(t, err)
		var d dashboard
		require.NoError(t, json.Unmarshal(raw, &d), p)
		out[p] = d
	}
	return out
}

// chosen is the data source the viewer picks; no other may be written down.
var chosen = datasource{Type: "prometheus", UID: "${datasource}"}

func TestEveryPanelSaysWhatItShowsAndFromWhere(t *testing.T) {
	for path, d := range dashboards(t) {
		assert.Regexp(t, `^[a-z-]+$`, d.UID, path)
		assert.NotEmpty(t, d.Description, path)
		assert.Equal(t, "utc", d.Timezone, path)
		assert.False(t, d.Editable, "%s: changes belong in the repository", path)
		var ids []int
		for _, p := range d.Panels {
			ids = append(ids, p.ID)
			assert.NotEmpty(t, p.Title, path)
			if p.Type == "row" {
				continue
			}
			where := path + ": " + p.Title
			assert.Regexp(t, `^[A-Z].*\.$`, p.Description, where)
			assert.NotEmpty(t, p.FieldConfig.Defaults.Unit, where)
			assert.Equal(t, chosen, p.Datasource, where)
			assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, where)
			require.NotEmpty(t, p.Targets, where)
			for _, target := range p.Targets {
				assert.NotEmpty(t, target.RefID, where)
				assert.Equal(t, chosen, target.Datasource, where)
				assert.NotEmpty(t, target.Expr, where)
			}
		}
		slices.Sort(ids)
		assert.Len(t, slices.Compact(slices.Clone(ids)), len(ids), "%s: each panel has its own id", path)
	}
}

func TestPanelsDoNotCoverEachOther(t *testing.T) {
	for path, d := range dashboards(t) {
		for i, a := range d.Panels {
			for _, b := range d.Panels[i+1:] {
				apart := a.GridPos.X+a.GridPos.W <= b.GridPos.X || b.GridPos.X+b.GridPos.W <= a.GridPos.X ||
					a.GridPos.Y+a.GridPos.H <= b.GridPos.Y || b.GridPos.Y+b.GridPos.H <= a.GridPos.Y
				assert.True(t, apart, "%s: %q and %q", path, a.Title, b.Title)
			}
		}
	}
}

func TestADashboardHasTheVariablesItsQueriesUse(t *testing.T) {
	used := regexp.MustCompile(`\$\{?([a-z]+)\b`)
	for path, d := range dashboards(t) {
		var names []string
		for _, v := range d.Templating.List {
			names = append(names, v.Name)
			assert.NotEmpty(t, v.Label, v.Name)
			if v.Type == "query" {
				assert.Equal(t, ".*", v.AllValue, "%s: All must match series without the label, too", v.Name)
			}
		}
		assert.Equal(t, "datasource", names[0])
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				for _, m := range used.FindAllStringSubmatch(target.Expr, -1) {
					assert.Contains(t, names, m[1], "%s: %s", path, p.Title)
				}
				if strings.Contains(target.Expr, "lifeboat_") || strings.Contains(target.Expr, "velero_") {
					assert.Contains(t, target.Expr, `cluster=~"$cluster",namespace=~"$namespace"`, "%s: %s", path, p.Title)
				}
			}
		}
	}
}

func TestDashboardsUseOnlyWhatTheExporterServes(t *testing.T) {
	metrics := map[string]bool{}
	for _, m := range exporter.Catalog() {
		metrics[m.Name] = true
	}
	name := regexp.MustCompile(`\b(?:lifeboat|velero)_[a-z0-9_]+`)
	for path, d := range dashboards(t) {
		var queries []string
		for _, v := range d.Templating.List {
			queries = append(queries, v.Definition)
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				queries = append(queries, target.Expr)
			}
		}
		for _, q := range queries {
			for _, n := range name.FindAllString(q, -1) {
				assert.True(t, metrics[n], "%s uses %s, which is not in the catalog", path, n)
			}
		}
	}
}

// A value that is withheld must be seen to be missing: a query that puts a zero
// in its place would show a location that cannot be read as one in order.
func TestNoQueryTurnsWhatIsNotKnownIntoZero(t *testing.T) {
	for path, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				assert.NotContains(t, target.Expr, "vector(", "%s: %s", path, p.Title)
			}
		}
	}
}
