package core_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/lifeboat-backup/lifeboat/"

// pkg is what go list says of a package. Imports are those of its non-test
// files; tests may import what they need.
type pkg struct {
	ImportPath, Dir string
	GoFiles         []string
	Imports, Deps   []string
}

// name is the path below the module.
func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module) }

func (p pkg) in(folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return under(p.name(), f) })
}

func anyUnder(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return under(path, f) })
}

func under(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

// packages are those of the root module.
var packages = sync.OnceValues(func() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports,Deps", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

func list(t *testing.T) []pkg {
	t.Helper()
	all, err := packages()
	require.NoError(t, err)
	require.Greater(t, len(all), 20)
	return all
}

func direct(p pkg) []string { return p.Imports }

func deep(p pkg) []string { return p.Deps }

// The rules on imports. There is no other list: `go test ./core -update` writes
// them into .golangci.yml for golangci-lint's depguard, which editors run too.
//
// Paths that begin with "./" are of this module. A path means itself and all
// below it; one that ends in "$" means itself only.
type rule struct {
	name string // for depguard
	why  string
	// The rule is for the packages of these folders, or for these files; without
	// either, for all packages. It is not for those of not.
	in, files, not []string
	// deny is forbidden but for allow. With stdlib set, everything is forbidden
	// but the standard library and allow.
	deny, allow []string
	stdlib      bool
	// deep means what is imported directly or not. depguard sees direct imports.
	deep bool
}

// pure are the packages that decide and do no IO.
var pure = []string{
	"core/api", "core/filter", "core/item", "core/jsonbound", "core/manifest", "core/modifier", "core/needs", "core/plan", "core/progress", "core/schedule", "core/spec",
	"verifier/report",
}

// impure is what decisions may not depend on.
var impure = []string{
	"os", "net", "log", "k8s.io/client-go", "sigs.k8s.io/controller-runtime", "github.com/aws", "./core/cluster", "./core/store", "./core/location",
}

var rules = []rule{
	{name: "pure", why: "it decides and does no IO", in: pure, deny: impure},
	{name: "pure-files", why: "this file decides and does no IO", deny: impure, files: []string{
		"core/collect/select.go", "core/collect/leave.go",
		"verifier/scheduler/due.go", "verifier/scheduler/pick.go", "verifier/scheduler/attempt.go",
	}},

	{name: "report", why: "a report is read with nothing but the standard library", in: []string{"verifier/report"}, stdlib: true},
	{name: "api", why: "API types need apimachinery and core/v1 only", in: []string{"core/api"}, stdlib: true,
		allow: []string{"k8s.io/api/core/v1", "k8s.io/apimachinery", "./core/api"}},
	{name: "drilllog", why: "the format of drills needs keys, limits and the report only", in: []string{"verifier/drilllog"},
		deny: []string{"./"}, allow: []string{"./core/jsonbound$", "./core/store$", "./verifier/report$"}},
	{name: "archive", why: "archives and stores do not know each other", in: []string{"core/archive"},
		deny: []string{"./"}, allow: []string{"./core/archive", "./core/item"}},
	{name: "store", why: "archives and stores do not know each other", in: []string{"core/store"},
		deny: []string{"./"}, allow: []string{"./core/store"}},

	heavy("client-go", "k8s.io/client-go", "core/cluster"),
	heavy("s3", "github.com/aws", "core/store/s3"),
	heavy("metrics", "github.com/prometheus/client_golang", "exporter", "cmd"),
	{name: "exporter-parts", why: "the facade alone knows Prometheus", in: []string{"exporter/internal"}, deny: []string{"github.com/prometheus/client_golang"}},
	{name: "exporter-fact", why: "facts are what the parts share; they know no part", in: []string{"exporter/internal/fact"}, deny: []string{"./exporter"},
		allow: []string{"./exporter/internal/fact$"}},
	{name: "exporter-sources", why: "sources make facts and know no other part", in: []string{"exporter/internal/bucket", "exporter/internal/kube"},
		deny: []string{"./exporter"}, allow: []string{"./exporter/internal/fact$"}},
	{name: "exporter-state", why: "the state is made of facts alone", in: []string{"exporter/internal/state"},
		deny: append([]string{"./exporter"}, impure...), allow: []string{"./exporter/internal/fact$"}},
	{name: "exporter-prints", why: "metrics and status print a state", in: []string{"exporter/internal/metrics", "exporter/internal/status"},
		deny: []string{"./exporter", "./core/cluster", "./core/location"}, allow: []string{"./exporter/internal/fact$", "./exporter/internal/state$"}},
	heavy("controller-runtime", "sigs.k8s.io/controller-runtime", "core/controller", "cmd/lifeboat"),
	heavy("kind", "sigs.k8s.io/kind", "verifier/sandbox/kind"),
	heavy("kopia", "github.com/kopia/kopia", "core/volume/kopia"),
	heavy("age", "filippo.io/age", "core/seal"),
	heavy("cobra", "github.com/spf13/cobra", "cmd"),
	heavy("csi", "github.com/kubernetes-csi/external-snapshotter", "core/volume/csi"),

	{name: "nested", why: "it belongs to the nested module of the control plane", deep: true,
		deny: []string{"k8s.io/kubernetes", "k8s.io/apiserver", "go.etcd.io/etcd", "./verifier/sandbox/controlplane"}},
	{name: "logger", why: "log/slog is the one logger", deny: []string{"log$", "github.com/sirupsen/logrus", "go.uber.org/zap", "github.com/go-kit/log"}},
	{name: "errors", why: "use fmt.Errorf", deny: []string{"github.com/pkg/errors"}},

	{name: "core", why: "core knows neither exporter nor verifier nor commands", in: []string{"core"},
		deny: []string{"./exporter", "./verifier", "./cmd", "./test"}},
	{name: "reading", why: "core/catalog reads backups; the pipeline writes them", not: []string{"core/backup", "core/controller", "cmd", "test"}, deny: []string{"./core/backup"}},
	{name: "controllers", why: "pipelines do not know controllers", not: []string{"core/controller", "cmd"}, deny: []string{"./core/controller"}},
	{name: "exporter", why: "of the verifier the exporter knows the formats only", in: []string{"exporter"},
		deny: []string{"./verifier"}, allow: []string{"./verifier/drilllog$", "./verifier/report$"}},
	{name: "verifier", why: "the verifier does not know the exporter", in: []string{"verifier"}, deny: []string{"./exporter"}},
	{name: "lifeboat", why: "lifeboat backup verify checks integrity and starts no sandbox", in: []string{"cmd/lifeboat"}, deep: true,
		deny: []string{"./verifier"}, allow: []string{"./verifier/check$", "./verifier/report$"}},
	{name: "commands", why: "nobody imports commands", not: []string{"cmd"}, deny: []string{"./cmd"}},
	{name: "tests", why: "only tests use what is made for tests", not: []string{"test", "tools"}, deny: []string{"./test"}},
}

// heavy is the rule of a dependency that few packages may import.
func heavy(name, path string, importers ...string) rule {
	return rule{name: name, why: "only " + strings.Join(importers, " and ") + " may", not: importers, deny: []string{path}}
}

// expand makes a path of the table an import path.
func expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "./"); ok {
		return strings.TrimSuffix(module+rest, "/")
	}
	return path
}

func matches(imported string, paths []string) bool {
	return slices.ContainsFunc(paths, func(path string) bool {
		if exact, ok := strings.CutSuffix(expand(path), "$"); ok {
			return imported == exact
		}
		return under(imported, expand(path))
	})
}

func (r rule) forbids(imported string) bool {
	thirdParty := strings.Contains(imported, ".")
	return (matches(imported, r.deny) || r.stdlib && thirdParty) && !matches(imported, r.allow)
}

func (r rule) isFor(p pkg) bool {
	return len(r.files) == 0 && (len(r.in) == 0 || p.in(r.in...)) && !p.in(r.not...)
}

func TestPackagesImportWhatTheyMay(t *testing.T) {
	for _, r := range rules {
		for _, p := range list(t) {
			imports := direct
			if r.deep {
				imports = deep
			}
			if r.isFor(p) {
				assert.Empty(t, slices.DeleteFunc(slices.Clone(imports(p)), func(i string) bool { return !r.forbids(i) }), "%s imports: %s", p.name(), r.why)
			}
		}
		for _, file := range r.files {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", file), nil, parser.ImportsOnly)
			require.NoError(t, err)
			for _, i := range f.Imports {
				path, err := strconv.Unquote(i.Path.Value)
				require.NoError(t, err)
				assert.False(t, r.forbids(path), "%s imports %s: %s", file, path, r.why)
			}
		}
	}
}

// A decision that calls another package is as pure as that package.
func TestDecisionsRestOnDecisions(t *testing.T) {
	for _, name := range pure {
		assert.True(t, slices.ContainsFunc(list(t), func(p pkg) bool { return p.name() == name }), "there is no package %s", name)
	}
	for _, p := range list(t) {
		for _, i := range p.Imports {
			if own, ok := strings.CutPrefix(i, module); ok && p.in(pure...) {
				assert.True(t, anyUnder(own, pure...), "%s decides and imports %s, which is not in the list of packages that do", p.name(), own)
			}
		}
	}
}

// A package whose name ends in "test" is made for tests wherever it is.
func TestOnlyTestsImportPackagesForTests(t *testing.T) {
	for _, p := range list(t) {
		for _, i := range p.Imports {
			if strings.HasPrefix(i, module) && strings.HasSuffix(i, "test") && !strings.HasSuffix(p.name(), "test") && !p.in("test") {
				t.Errorf("%s imports %s: only tests use what is made for tests", p.name(), i)
			}
		}
	}
}

// sources parses every non-test file of the module.
func sources(t *testing.T, use func(p pkg, file string, f *ast.File)) {
	t.Helper()
	for _, p := range list(t) {
		for _, file := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			use(p, p.name()+"/"+file, f)
		}
	}
}

func TestNothingHappensBecauseAPackageIsImported(t *testing.T) {
	sources(t, func(_ pkg, file string, f *ast.File) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init function", file)
			}
		}
	})
}

func TestInterfacesAreSmall(t *testing.T) {
	const most = 5
	sources(t, func(_ pkg, file string, f *ast.File) {
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok {
				if i, ok := s.Type.(*ast.InterfaceType); ok && len(i.Methods.List) > most {
					t.Errorf("%s: interface %s has %d methods, at most %d are readable", file, s.Name.Name, len(i.Methods.List), most)
				}
			}
			return true
		})
	})
}

func TestOneLoggerAndItIsHandedIn(t *testing.T) {
	sources(t, func(_ pkg, file string, f *ast.File) {
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "slog" && slices.Contains([]string{"SetDefault", "Default", "Info", "Warn", "Error", "Debug"}, s.Sel.Name) {
					t.Errorf("%s uses slog.%s: loggers are handed in", file, s.Sel.Name)
				}
			}
			return true
		})
	})
}
