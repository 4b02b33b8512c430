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

// forbid fails for every import that match says is forbidden to the package.
func forbid(t *testing.T, why string, imports func(pkg) []string, match func(p pkg, imported string) bool) {
	t.Helper()
	for _, p := range list(t) {
		for _, i := range imports(p) {
			if match(p, i) {
				t.Errorf("%s imports %s: %s", p.name(), strings.TrimPrefix(i, module), why)
			}
		}
	}
}

func direct(p pkg) []string { return p.Imports }

// own are the imports within the module.
func own(p pkg) []string {
	var out []string
	for _, i := range p.Imports {
		if strings.HasPrefix(i, module) {
			out = append(out, strings.TrimPrefix(i, module))
		}
	}
	return out
}

func anyUnder(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return under(path, f) })
}

// impure is what decisions may not depend on.
var impure = []string{
	"os", "net", "log", "k8s.io/client-go", "sigs.k8s.io/controller-runtime", "github.com/aws",
	module + "core/cluster", module + "core/store", module + "core/location",
}

func TestDecisionsImportNoClientNoStoreNoLogNoOS(t *testing.T) {
	pure := []string{"core/item", "core/filter", "core/modifier", "core/plan", "core/schedule", "core/spec", "core/manifest", "verifier/report"}
	for _, name := range pure {
		require.True(t, slices.ContainsFunc(list(t), func(p pkg) bool { return p.name() == name }), "%s is gone: mend this list", name)
	}
	reached := map[string]bool{}
	var reach func(name string)
	reach = func(name string) {
		if reached[name] {
			return
		}
		reached[name] = true
		for _, p := range list(t) {
			if p.name() == name {
				for _, i := range own(p) {
					reach(i)
				}
			}
		}
	}
	for _, name := range pure {
		reach(name)
	}
	forbid(t, "it decides and does no IO", direct, func(p pkg, i string) bool { return reached[p.name()] && anyUnder(i, impure...) })
}

func TestThePureFilesOfCollectAndTheSchedulerImportNoClient(t *testing.T) {
	for _, file := range []string{"collect/select.go", "collect/leave.go", "../verifier/scheduler/due.go", "../verifier/scheduler/pick.go", "../verifier/scheduler/attempt.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, i := range f.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			assert.False(t, anyUnder(path, impure...), "core/%s imports %s", file, path)
		}
	}
}

func TestLeavesStayLeaves(t *testing.T) {
	forbid(t, "the report is read by whoever has nothing but the standard library", direct, func(p pkg, i string) bool {
		return p.in("verifier/report") && strings.Contains(i, ".")
	})
	forbid(t, "the format of drills needs keys, limits and the report only", own, func(p pkg, i string) bool {
		return p.in("verifier/drilllog") && !slices.Contains([]string{"core/store", "core/jsonbound", "verifier/report"}, i)
	})
	forbid(t, "API types need apimachinery and k8s.io/api/core/v1 only", direct, func(p pkg, i string) bool {
		return p.in("core/api") && strings.Contains(i, ".") && !anyUnder(i, "k8s.io/apimachinery", "k8s.io/api/core/v1", module+"core/api")
	})
	forbid(t, "archives and stores do not know each other", own, func(p pkg, i string) bool {
		return p.in("core/archive") && !under(i, "core/item") && !under(i, "core/archive") ||
			p.in("core/store") && !under(i, "core/store")
	})
}

func TestHeavyDependenciesHaveOneImporter(t *testing.T) {
	for heavy, importers := range map[string][]string{
		"k8s.io/client-go":                               {"core/cluster"},
		"github.com/aws":                                 {"core/store/s3"},
		"github.com/prometheus/client_golang":            {"exporter", "cmd"},
		"sigs.k8s.io/controller-runtime":                 {"core/controller", "cmd/lifeboat"},
		"sigs.k8s.io/kind":                               {"verifier/sandbox/kind"},
		"github.com/kopia/kopia":                         {"core/volume/kopia"},
		"filippo.io/age":                                 {"core/seal"},
		"github.com/spf13/cobra":                         {"cmd"},
		"github.com/kubernetes-csi/external-snapshotter": {"core/volume/csi"},
	} {
		forbid(t, fmt.Sprintf("only %s may", strings.Join(importers, " and ")), direct, func(p pkg, i string) bool {
			return under(i, heavy) && !p.in(importers...)
		})
	}
}

func TestTheRootModuleHoldsNeitherKubernetesNorEtcd(t *testing.T) {
	forbid(t, "these belong to the nested module of the control plane", func(p pkg) []string { return p.Deps }, func(_ pkg, i string) bool {
		return anyUnder(i, "k8s.io/kubernetes", "go.etcd.io/etcd", "k8s.io/apiserver") || strings.HasPrefix(i, "go.etcd.io/etcd")
	})
	forbid(t, "the root never imports the nested module", own, func(_ pkg, i string) bool { return under(i, "verifier/sandbox/controlplane") })
}

func TestArrowsPointOneWay(t *testing.T) {
	forbid(t, "core knows neither exporter nor verifier nor commands", own, func(p pkg, i string) bool {
		return p.in("core") && anyUnder(i, "exporter", "verifier", "cmd", "test")
	})
	forbid(t, "pipelines do not know controllers", own, func(p pkg, i string) bool { return !p.in("cmd") && under(i, "core/controller") })
	forbid(t, "of the verifier the exporter knows the formats only", own, func(p pkg, i string) bool {
		return p.in("exporter") && under(i, "verifier") && i != "verifier/report" && i != "verifier/drilllog"
	})
	forbid(t, "lifeboat backup verify checks integrity and starts no sandbox", func(p pkg) []string { return p.Deps }, func(p pkg, i string) bool {
		return p.in("cmd/lifeboat") && under(i, module+"verifier") && i != module+"verifier/check" && i != module+"verifier/report"
	})
	forbid(t, "the verifier does not know the exporter", own, func(p pkg, i string) bool { return p.in("verifier") && under(i, "exporter") })
	forbid(t, "nobody imports commands", own, func(p pkg, i string) bool { return under(i, "cmd") && !p.in("cmd") })
	forbid(t, "only tests use what is made for tests", own, func(p pkg, i string) bool {
		return under(i, "test") && !p.in("test") || strings.HasSuffix(i, "test") && i != "test" && !strings.HasSuffix(p.name(), "test") && !p.in("test")
	})
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
	forbid(t, "log/slog only", direct, func(_ pkg, i string) bool {
		return i == "log" || anyUnder(i, "github.com/sirupsen/logrus", "go.uber.org/zap", "github.com/go-kit/log")
	})
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
