package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/verifier"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

const kindPolicy = `
apiVersion: lifeboat.dev/v1alpha1
kind: DrillPolicy
metadata: {name: nightly}
spec:
  location: file:///backups
  select: {schedules: [nightly]}
  level: kind
  kubernetesVersion: v1.36
  nodeImage: registry.example.com/node:1
  limits: {timeout: 20m, workloadsReady: 2m}
  targets: {rpo: 26h}
  images: {mode: substitute, archive: /images.tar, mapping: {"nginx:*": "small:1"}}
  egress: [{cidr: 10.0.0.0/8}]
  cronJobs: AsIs
  checks:
  - {name: web, http: {namespace: shop, service: web, port: 80}}
`

func writePolicy(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// runVerifier runs the program.
func runVerifier(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = cli.Run(t.Context(), newRoot(), args, &out, &err)
	return status, out.String(), err.String()
}

// requested is the drill that flags ask for.
func requested(t *testing.T, args ...string) (request, error) {
	t.Helper()
	f, c := drillFlags{}, &cobra.Command{}
	f.add(c)
	require.NoError(t, c.ParseFlags(args))
	return f.request(c.Flags().Changed)
}

func TestADrillTakesFromThePolicyWhatNoFlagSays(t *testing.T) {
	path := writePolicy(t, kindPolicy)
	got, err := requested(t, "--policy", path)
	require.NoError(t, err)
	want, err := policy.Load(path)
	require.NoError(t, err)
	assert.Equal(t, request{policy: "nightly", spec: want.Spec, choice: verifier.Choice{Schedule: "nightly"}}, got)
}

func TestFlagsOutrankThePolicy(t *testing.T) {
	path := writePolicy(t, kindPolicy)
	got, err := requested(t, "--policy", path, "--location", "file:///other", "--backup", "b", "--level", "controlplane", "--timeout", "1m",
		"--kubernetes-version", "1.34", "--images", "pull", "--egress", "10.1.0.0/16:53/udp", "--cronjobs", "suspended", "--workloads-timeout", "30s")
	require.NoError(t, err)
	spec := got.spec
	assert.Equal(t, "file:///other", spec.Location)
	assert.Equal(t, verifier.Choice{Backup: "b"}, got.choice)
	assert.Equal(t, report.LevelControlPlane, spec.Level)
	assert.Equal(t, time.Minute, spec.Limits.Timeout.Duration)
	assert.Equal(t, "1.34", spec.KubernetesVersion)
	assert.Empty(t, spec.NodeImage, "the policy's image would outrank the version that was asked for")
	assert.Equal(t, policy.Images{Mode: policy.ImagesPull}, spec.Images)
	assert.Equal(t, []policy.Egress{{CIDR: "10.1.0.0/16", Port: 53, Protocol: "UDP"}}, spec.Egress)
	assert.Equal(t, policy.CronJobsSuspended, spec.CronJobs)
	assert.Equal(t, 30*time.Second, spec.Limits.WorkloadsReady.Duration)
	assert.Len(t, spec.Checks, 1)

	got, err = requested(t, "--policy", path, "--images", "substitute", "--image-archive", "mine.tar")
	require.NoError(t, err)
	assert.Equal(t, policy.Images{Mode: policy.ImagesSubstitute, Archive: "mine.tar", Mapping: map[string]string{"nginx:*": "small:1"}}, got.spec.Images)

	got, err = requested(t, "--policy", path, "--timeout", "30s")
	require.NoError(t, err)
	assert.Equal(t, 30*time.Second, got.spec.Limits.WorkloadsReady.Duration, "workloads have no longer than the drill")
}

func TestAPolicyThatSelectsMoreThanOneBackupNeedsAFlagForADrill(t *testing.T) {
	for _, selects := range []string{"{schedules: [a, b]}", "{schedules: [nightly-*]}", "{backups: [a, b]}", "{schedules: [a], backups: [b]}"} {
		text := "apiVersion: lifeboat.dev/v1alpha1\nkind: DrillPolicy\nmetadata: {name: p}\nspec: {select: " + selects + "}\n"
		path := writePolicy(t, text)
		_, err := requested(t, "--policy", path)
		var usage cli.UsageError
		require.ErrorAs(t, err, &usage, selects)
		require.ErrorContains(t, err, "give --backup, --schedule or --latest")
		_, err = requested(t, "--policy", path, "--latest")
		assert.NoError(t, err, selects)
	}
}

func TestADrillByABadPolicyIsWrongUsage(t *testing.T) {
	path := writePolicy(t, "apiVersion: lifeboat.dev/v1alpha1\nkind: DrillPolicy\nspec: {select: {schedules: [a]}, levle: kind}\n")
	status, _, stderr := runVerifier(t, "drill", "--policy", path)
	assert.Equal(t, cli.ExitUsage, status)
	assert.Contains(t, stderr, "spec.levle: unknown field (did you mean level?)")
	assert.Contains(t, stderr, "metadata.name: is required")
	status, _, stderr = runVerifier(t, "drill", "--policy", "no-such.yaml")
	assert.Equal(t, cli.ExitError, status)
	assert.Contains(t, stderr, "no-such.yaml: no such file")
}

func TestPolicyCheckNamesEveryMistakeOfEveryFile(t *testing.T) {
	good, bad := writePolicy(t, kindPolicy), writePolicy(t, "apiVersion: lifeboat.dev/v1alpha1\nkind: DrillPolicy\nmetadata: {name: p}\nspec: {select: {}, level: knd}\n")
	status, stdout, _ := runVerifier(t, "policy", "check", good)
	assert.Equal(t, cli.ExitOK, status)
	assert.Equal(t, good+": policy nightly is valid\n", stdout)

	status, stdout, stderr := runVerifier(t, "policy", "check", bad, good)
	assert.Equal(t, cli.ExitUsage, status)
	assert.Empty(t, stderr)
	assert.Equal(t, bad+": spec.select: selects nothing: name schedules (patterns such as nightly-*) or backups\n"+
		bad+`: spec.level: "knd": must be integrity, controlplane or kind (did you mean kind?)`+"\n"+good+": policy nightly is valid\n", stdout)

	status, stdout, _ = runVerifier(t, "policy", "check", bad, "-o", "json")
	assert.Equal(t, cli.ExitUsage, status)
	var got []checked
	require.NoError(t, json.Unmarshal([]byte(stdout), &got))
	require.Len(t, got, 1)
	assert.False(t, got[0].Valid)
	assert.Equal(t, "spec.select", got[0].Mistakes[0].Field)

	status, _, stderr = runVerifier(t, "policy", "check", "no-such.yaml")
	assert.Equal(t, cli.ExitError, status)
	assert.Contains(t, stderr, "no such file")
	status, _, stderr = runVerifier(t, "policy", "check")
	assert.Equal(t, cli.ExitUsage, status)
	assert.Contains(t, stderr, "name at least one file")
}

func TestTheEffectivePolicyCanBeReadAgain(t *testing.T) {
	path := writePolicy(t, "apiVersion: lifeboat.dev/v1alpha1\nkind: DrillPolicy\nmetadata: {name: p}\nspec: {select: {schedules: [a]}}\n")
	_, stdout, _ := runVerifier(t, "policy", "check", "--effective", path)
	assert.Contains(t, stdout, "timeout: 30m\n")
	assert.Contains(t, stdout, "level: controlplane\n")
	status, again, _ := runVerifier(t, "policy", "check", "--effective", writePolicy(t, stdout))
	assert.Equal(t, cli.ExitOK, status)
	_, once, _ := strings.Cut(stdout, "\n")
	_, twice, _ := strings.Cut(again, "\n")
	assert.Equal(t, once, twice)
}
