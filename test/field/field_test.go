//go:build e2e

package field_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/test/rig"
)

// TestCases runs AREA/CASE/case.txtar of every folder, side by side.
func TestCases(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("*", "*", "case.txtar"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	bin := filepath.Dir(rig.Program(t, "lifeboat"))
	binary := rig.ControlPlaneBinary(t)
	path := strings.Join([]string{bin, filepath.Dir(rig.Kubectl(t)), os.Getenv("PATH")}, string(os.PathListSeparator))
	source, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	for _, file := range files {
		name := filepath.ToSlash(filepath.Dir(file))
		t.Run(strings.ReplaceAll(name, "/", "-"), func(t *testing.T) {
			t.Parallel()
			testscript.Run(t, testscript.Params{
				Files:               []string{file},
				RequireExplicitExec: true,
				RequireUniqueNames:  true,
				Setup: func(e *testscript.Env) error {
					e.Setenv("PATH", path)
					e.Setenv("HOME", e.WorkDir)
					e.Setenv("KUBECONFIG", filepath.Join(e.WorkDir, "none"))
					e.Setenv("LIFEBOAT_CONTROLPLANE", binary)
					e.Setenv("SOURCE", source)
					e.Setenv("LOCATION", "file://"+filepath.ToSlash(filepath.Join(e.WorkDir, "bucket")))
					return os.Mkdir(filepath.Join(e.WorkDir, "bucket"), 0o700)
				},
				Cmds: commands(binary),
			})
		})
	}
}
