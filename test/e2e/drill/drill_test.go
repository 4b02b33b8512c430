//go:build e2e

// Package drill runs the verifier as users do: the built program, on buckets of
// real Velero and of our own, in real control planes.
package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/test/fixtures/populate"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

type outcome struct {
	code           int
	stdout, stderr string
	temp           string // folder for the program's temporary files
}

// run runs a program with a folder for temporary files of its own.
func run(t *testing.T, ctx context.Context, program string, args ...string) outcome {
	t.Helper()
	o := outcome{temp: t.TempDir()}
	cmd := command(t, ctx, o.temp, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	o.code, o.stdout, o.stderr = cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
	return o
}

func command(t *testing.T, ctx context.Context, temp, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, rig.Program(t, program), args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, "LIFEBOAT_CONTROLPLANE="+rig.ControlPlaneBinary(t))
	return cmd
}

func drill(t *testing.T, dir string, args ...string) (outcome, report.Report) {
	t.Helper()
	o := run(t, t.Context(), "lifeboat-verifier", append([]string{"drill", "--location", "file://" + dir, "-o", "json"}, args...)...)
	var rep report.Report
	if o.stdout != "" {
		require.NoError(t, json.Unmarshal([]byte(o.stdout), &rep), o.stdout)
	}
	assert.Empty(t, entries(t, o.temp), "nothing of a sandbox is left")
	return o, rep
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if path != dir {
			out = append(out, path)
		}
		return err
	}))
	return out
}

func evidenceOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, store.DrillsPrefix, "*", "*.json"))
	require.NoError(t, err)
	return files
}

func TestBackupsOfRealVeleroPassAtEveryLevel(t *testing.T) {
	locations := map[string][]string{rig.SmallBucket(t): {rig.VelerosBackup}}
	// A larger one, of which every backup must be a good one, may be named.
	if large := os.Getenv("LIFEBOAT_VELERO_BUCKET"); large != "" {
		dir := rig.UnpackBucket(t, large)
		names, err := os.ReadDir(filepath.Join(dir, "backups"))
		require.NoError(t, err)
		for _, n := range names {
			locations[dir] = append(locations[dir], n.Name())
		}
	}
	for dir, backups := range locations {
		for _, backup := range backups {
			for _, level := range []string{"integrity", "controlplane"} {
				t.Run(backup+" "+level, func(t *testing.T) {
					o, rep := drill(t, dir, "--backup", backup, "--level", level)
					assert.Zero(t, o.code, o.stdout+o.stderr)
					assert.Equal(t, report.Passed, rep.Verdict)
					assert.Empty(t, rep.Findings)
					if level == "controlplane" {
						assert.Positive(t, rep.Items.Expected)
						assert.Equal(t, rep.Items.Expected, rep.Items.Equal)
						assert.Equal(t, rep.Items.InBackup, rep.Items.Expected+rep.Items.Skipped, "every item is accounted for")
						assert.Contains(t, rep.NotProven, "the data of volumes")
					}
				})
			}
		}
		assert.Len(t, evidenceOf(t, dir), 2*len(backups), "one report per drill")
	}
}

func replace(t *testing.T, dir, key string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.FromSlash(key)), content, 0o600))
}

func contents(t *testing.T, dir, key string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(key)))
	require.NoError(t, err)
	return b
}

// populated makes a backup of a filled cluster.
func populated(t *testing.T, objects int, args ...string) (dir string) {
	t.Helper()
	source := rig.ControlPlane(t)
	_, err := populate.Apply(t.Context(), source.Kubeconfig, populate.Options{Objects: objects})
	require.NoError(t, err)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, source.Kubeconfig, 0o600))
	dir = t.TempDir()
	o := run(t, t.Context(), "lifeboat", append([]string{"backup", "create", "b", "--location", "file://" + dir, "--kubeconfig", kubeconfig}, args...)...)
	require.Zero(t, o.code, o.stdout+o.stderr)
	return dir
}

func TestObjectsThatAnAPIServerCannotTakeRefuteTheBackup(t *testing.T) {
	dir := populated(t, 0, "--exclude-resources", "customresourcedefinitions")
	o, rep := drill(t, dir, "--latest", "--level", "integrity")
	assert.Zero(t, o.code, "every byte is there")
	assert.Equal(t, report.Passed, rep.Verdict)

	o, rep = drill(t, dir, "--latest")
	assert.Equal(t, 4, o.code, o.stdout+o.stderr)
	require.NotEmpty(t, rep.Findings)
	for _, f := range rep.Findings {
		assert.Equal(t, "items_restored", f.Check)
		assert.Contains(t, f.Message, "does not serve")
	}
}

func TestAClusterFullOfHardObjectsIsProven(t *testing.T) {
	dir := populated(t, 2000)
	o, rep := drill(t, dir, "--latest")
	assert.Zero(t, o.code, o.stdout+o.stderr)
	assert.Equal(t, report.Passed, rep.Verdict)
	assert.GreaterOrEqual(t, rep.Items.Expected, 1900)
	assert.True(t, rep.Backup.Manifest)
}

// start starts a drill and waits until its sandbox is there.
func start(t *testing.T, dir, temp string) *exec.Cmd {
	t.Helper()
	cmd := command(t, context.WithoutCancel(t.Context()), temp, "lifeboat-verifier", "drill", "--location", "file://"+dir, "--latest")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // ended long ago, unless the test failed
		_, _ = cmd.Process.Wait()
	})
	require.Eventually(t, func() bool { return len(entries(t, temp)) > 0 }, 20*time.Second, 20*time.Millisecond)
	return cmd
}

func TestAnInterruptedDrillEndsWithinSecondsAndLeavesNothing(t *testing.T) {
	dir, temp := rig.SmallBucket(t), t.TempDir()
	cmd := start(t, dir, temp)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	began := time.Now()
	state, err := cmd.Process.Wait()
	require.NoError(t, err)
	assert.Equal(t, 130, state.ExitCode())
	assert.Less(t, time.Since(began), 5*time.Second)
	assert.Empty(t, entries(t, temp))
	assert.Empty(t, evidenceOf(t, dir))
}

func TestAKilledDrillLeavesNoProcessAndTheNextOneCleansUp(t *testing.T) {
	dir, temp := rig.SmallBucket(t), t.TempDir()
	cmd := start(t, dir, temp)
	require.NoError(t, cmd.Process.Kill())
	_, err := cmd.Process.Wait()
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(processesIn(t, temp)) == 0 }, 10*time.Second, 50*time.Millisecond,
		"the control plane dies with its verifier")
	assert.Empty(t, evidenceOf(t, dir), "a killed drill says nothing")

	next := command(t, t.Context(), temp, "lifeboat-verifier", "drill", "--location", "file://"+dir, "--latest")
	out, err := next.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Empty(t, entries(t, temp), "the next drill removed what the killed one left")
}

// processesIn lists the processes whose command line or working directory is in
// dir.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	procs, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	for _, p := range procs {
		cmdline, _ := os.ReadFile(filepath.Join(p, "cmdline")) // the process may have ended
		cwd, _ := os.Readlink(filepath.Join(p, "cwd"))
		if strings.Contains(string(cmdline), dir) || strings.HasPrefix(cwd, dir) {
			out = append(out, p)
		}
	}
	return out
}

func TestADrillThatCannotRunIsAnErrorAndNotABadBackup(t *testing.T) {
	dir := rig.SmallBucket(t)
	o, rep := drill(t, dir, "--latest", "--controlplane-binary", "/nonexistent/lifeboat-controlplane")
	assert.Equal(t, 1, o.code)
	assert.Equal(t, report.Error, rep.Verdict)
	assert.Contains(t, rep.Summary, "/nonexistent/lifeboat-controlplane")
	assert.Len(t, evidenceOf(t, dir), 1)

	for name, args := range map[string][]string{
		"no such backup":   {"--backup", "nope"},
		"no such schedule": {"--schedule", "nope"},
	} {
		t.Run(name, func(t *testing.T) {
			o, _ := drill(t, dir, args...)
			assert.Equal(t, 1, o.code)
			assert.Empty(t, o.stdout)
			assert.Contains(t, o.stderr, "nope")
		})
	}
	for name, args := range map[string][]string{
		"nothing chosen": {}, "two chosen": {"--latest", "--backup", "b"}, "unknown level": {"--latest", "--level", "moon"},
		"hostile name": {"--backup", "../../etc"}, "no time": {"--latest", "--timeout", "0s"},
	} {
		t.Run(name, func(t *testing.T) {
			o, _ := drill(t, dir, args...)
			assert.Equal(t, 2, o.code, o.stderr)
			assert.Equal(t, 1, strings.Count(o.stderr, "\n"), "one error: %s", o.stderr)
		})
	}
}
