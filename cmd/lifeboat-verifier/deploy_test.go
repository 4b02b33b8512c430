package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

const (
	manifests = "../../deploy/drills"
	installed = "/usr/local/bin/lifeboat-verifier"
	// policyPath is where both manifests have the policy.
	policyPath = "/etc/lifeboat/drill.yaml"
)

// understood fails unless the program takes a command line, and returns the
// flags it was given.
func understood(t *testing.T, args []string) map[string]string {
	t.Helper()
	command, rest, err := newRoot().Find(args)
	require.NoError(t, err)
	require.NotEqual(t, "lifeboat-verifier", command.Name(), "%v is no command", args)
	require.NoError(t, command.ParseFlags(rest))
	require.NoError(t, command.ValidateArgs(command.Flags().Args()))
	given := map[string]string{}
	for _, name := range []string{"policy", "once"} {
		if f := command.Flags().Lookup(name); assert.NotNil(t, f, "--%s", name) && f.Changed {
			given[name] = f.Value.String()
		}
	}
	return given
}

// unit reads the settings of a unit of systemd, each as a list.
func unit(t *testing.T, name string) map[string][]string {
	t.Helper()
	f, err := os.Open(filepath.Join(manifests, name))
	require.NoError(t, err)
	defer f.Close()
	out := map[string][]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if key, value, ok := strings.Cut(s.Text(), "="); ok && !strings.HasPrefix(key, "#") {
			out[key] = append(out[key], value)
		}
	}
	return out
}

func TestTheUnitsOfSystemdRunACommandThereIs(t *testing.T) {
	service := unit(t, "lifeboat-drill.service")
	require.Len(t, service["ExecStart"], 1)
	words := strings.Fields(service["ExecStart"][0])
	assert.Equal(t, installed, words[0])
	assert.Equal(t, map[string]string{"policy": "[" + policyPath + "]", "once": "true"}, understood(t, words[1:]))
	assert.Equal(t, []string{"oneshot"}, service["Type"])
	assert.Equal(t, []string{"yes"}, service["DynamicUser"], "it is not root")
	assert.Equal(t, []string{"lifeboat-drill-failed.service"}, service["OnFailure"], "a failure reaches someone")
	assert.NotEmpty(t, service["TimeoutStartSec"], "a oneshot service has no limit by default")
	assert.NotEqual(t, []string{"infinity"}, service["TimeoutStartSec"])
	timer := unit(t, "lifeboat-drill.timer")
	assert.Equal(t, []string{"yes"}, timer["Persistent"], "what was missed is made up for")
	assert.NotEmpty(t, timer["OnCalendar"])

	// Where systemd is, it is asked, about the units with a program that is there.
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return
	}
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"lifeboat-drill.service", "lifeboat-drill.timer", "lifeboat-drill-failed.service"} {
		raw, err := os.ReadFile(filepath.Join(manifests, name))
		require.NoError(t, err)
		self, err := os.Executable()
		require.NoError(t, err)
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(raw), installed, self)), 0o600))
		files = append(files, file)
	}
	out, err := exec.CommandContext(t.Context(), analyze, append([]string{"verify", "--man=no"}, files...)...).CombinedOutput()
	require.NoError(t, err, string(out))
	for line := range strings.Lines(string(out)) {
		assert.NotContains(t, line, "lifeboat-drill", "systemd has nothing to say of them")
	}
}

// objects are those of the CronJob's manifest by kind.
func objects(t *testing.T) (cron batchv1.CronJob, config corev1.ConfigMap, account corev1.ServiceAccount) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(manifests, "cronjob.yaml"))
	require.NoError(t, err)
	into := map[string]any{"CronJob": &cron, "ConfigMap": &config, "ServiceAccount": &account}
	for document := range strings.SplitSeq(string(raw), "\n---\n") {
		var head struct {
			Kind string `json:"kind"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &head))
		require.Contains(t, into, head.Kind)
		require.NoError(t, yaml.UnmarshalStrict([]byte(document), into[head.Kind]), head.Kind)
		delete(into, head.Kind)
	}
	require.Empty(t, into)
	return cron, config, account
}

func TestTheCronJobRunsACommandThereIsAndMayNothing(t *testing.T) {
	cron, config, account := objects(t)
	pod := cron.Spec.JobTemplate.Spec.Template.Spec
	require.Len(t, pod.Containers, 1)
	c := pod.Containers[0]
	assert.Equal(t, []string{installed}, c.Command)
	assert.Equal(t, map[string]string{"policy": "[" + policyPath + "]", "once": "true"}, understood(t, c.Args))

	for _, held := range []*bool{pod.SecurityContext.RunAsNonRoot, c.SecurityContext.ReadOnlyRootFilesystem} {
		assert.True(t, held != nil && *held)
	}
	for _, kept := range []*bool{pod.AutomountServiceAccountToken, c.SecurityContext.AllowPrivilegeEscalation} {
		assert.True(t, kept != nil && !*kept)
	}
	assert.Equal(t, []corev1.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop)
	assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
	assert.Equal(t, batchv1.ForbidConcurrent, cron.Spec.ConcurrencyPolicy)
	job := cron.Spec.JobTemplate.Spec
	require.NotNil(t, job.ActiveDeadlineSeconds, "a pod that never starts must not block all later runs")
	assert.Less(t, *job.ActiveDeadlineSeconds, int64(24*3600))
	assert.Zero(t, *job.BackoffLimit)
	assert.Positive(t, *cron.Spec.StartingDeadlineSeconds)
	assert.Equal(t, account.Name, pod.ServiceAccountName)
	assert.False(t, *account.AutomountServiceAccountToken)

	mounts := map[string]string{}
	for _, m := range c.VolumeMounts {
		mounts[m.Name] = m.MountPath
	}
	assert.Equal(t, map[string]string{"policy": filepath.Dir(policyPath), "tmp": "/tmp"}, mounts, "sandboxes need a place that can be written")
	require.Len(t, c.EnvFrom, 1)
	assert.True(t, *c.EnvFrom[0].SecretRef.Optional, "there is none with IAM roles for service accounts")
	for _, v := range pod.Volumes {
		if v.ConfigMap != nil {
			assert.Equal(t, config.Name, v.ConfigMap.Name)
		}
	}
	for _, o := range []string{config.Namespace, account.Namespace} {
		assert.Equal(t, cron.Namespace, o)
	}

	p, err := policy.Parse(strings.NewReader(config.Data[filepath.Base(policyPath)]))
	require.NoError(t, err)
	due, err := schedule.Parse(p.Spec.Cron)
	require.NoError(t, err)
	starts, err := schedule.Parse(cron.Spec.Schedule)
	require.NoError(t, err)
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	assert.Equal(t, time.Minute, starts.Next(now).Sub(due.Next(now)), "the job starts when a run is due")
}

// Whoever applies a file reads its first lines.
func TestEveryManifestSaysWhatToChange(t *testing.T) {
	files := []string{"../../alerts/prometheusrule.yaml", "../../dashboards/configmaps.yaml"}
	require.NoError(t, filepath.WalkDir("../../deploy", func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	}))
	require.Greater(t, len(files), 15)
	// Examples of the syntax, which no one applies.
	examples := []string{"full.yaml", "report-job.yaml"}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		comment, _, _ := strings.Cut(string(raw), "\napiVersion:")
		if !slices.Contains(examples, filepath.Base(path)) {
			assert.Contains(t, comment, "Change first:", path)
		}
		assert.NotContains(t, string(raw), "replace-me", "%s: applied again, it would replace what is in the cluster", path)
		assert.NotContains(t, string(raw), "generateName:", path)
	}
}
