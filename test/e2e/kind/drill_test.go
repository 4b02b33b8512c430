//go:build e2e && kind

package kind_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/test/fixtures/populate"
	"github.com/lifeboat-backup/lifeboat/test/part"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox/kind"
)

const workloadImage = "lifeboat-e2e.example/workload:1"

// drillOf drills a backup at level kind.
func drillOf(t *testing.T, dir, backup string, change func(*policy.Spec)) report.Report {
	t.Helper()
	s, err := location.Open(t.Context(), "file://"+dir, location.Options{})
	require.NoError(t, err)
	spec := policy.Spec{Level: report.LevelKind, KubernetesVersion: nodeVersion, Images: policy.Images{Mode: policy.ImagesLoad}}
	if change != nil {
		change(&spec)
	}
	box := kind.New(spec, "")
	box.Dir = t.TempDir()
	stage := ""
	d := verifier.Drill{
		Store: s, Backup: backup, Level: report.LevelKind, Sandbox: box, Spec: spec, Now: time.Now, Version: "test",
		Progress: func(now, detail string) {
			if now != stage {
				stage = now
				t.Log(now, detail)
			}
		},
	}
	rep, err := d.Run(t.Context())
	require.NoError(t, err)
	assertNothingLeft(t, box.Dir)
	return rep
}

// backUp makes a backup of what a cluster has.
func backUp(t *testing.T, kubeconfig []byte, dir, name string, args ...string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, kubeconfig, 0o600))
	out, err := exec.CommandContext(t.Context(), rig.Program(t, "lifeboat"),
		append([]string{"backup", "create", name, "--location", "file://" + dir, "--kubeconfig", path}, args...)...).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 {
		err = nil // it cannot know what an aggregated API held that is not served
	}
	require.NoError(t, err, string(out))
}

// fill creates the objects of a YAML file.
func fill(t *testing.T, kubeconfig []byte, file string, replace ...string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	all, err := populate.Parse([]byte(strings.NewReplacer(append([]string{"WORKLOAD", workloadImage}, replace...)...).Replace(string(text))))
	require.NoError(t, err)
	_, err = populate.Create(t.Context(), kubeconfig, all)
	require.NoError(t, err)
}

// said is what a drill found of an object, "" for nothing.
func said(findings []report.Finding, check, object string) string {
	for _, f := range findings {
		if f.Check == check && f.Object == object {
			return f.Message
		}
	}
	return ""
}

func show(t *testing.T, rep report.Report) string {
	t.Helper()
	raw, err := json.MarshalIndent(rep, "", " ")
	require.NoError(t, err)
	return string(raw)
}

func checkOf(rep report.Report, name string) report.Check {
	for _, c := range rep.Checks {
		if c.Name == name {
			return c
		}
	}
	return report.Check{}
}

// TestAHealthyApplicationIsProven backs up a whole kind cluster in which an
// application runs, the cluster's own workloads and all, and drills that.
func TestAHealthyApplicationIsProven(t *testing.T) {
	rig.WorkloadImage(t, workloadImage)
	dir := t.TempDir()
	t.Run("back up", func(t *testing.T) {
		s := newSandbox(t)
		s.Images = policy.Images{Mode: policy.ImagesLoad}
		c := up(t, s)
		missing, err := s.Provide(t.Context(), []string{workloadImage})
		require.NoError(t, err)
		require.Empty(t, missing)
		ca, cert, key := certificate(t, "guard.shop.svc")
		fill(t, c.Kubeconfig, "testdata/shop.yaml", "CA_BUNDLE", ca, "CERTIFICATE", cert, "PRIVATE_KEY", key)
		node := nodeOf(t, s.Dir)
		for _, w := range []string{"deployment/web", "deployment/guard", "statefulset/db", "daemonset/agent"} {
			docker(t, "exec", node, "kubectl", "-n", "shop", "rollout", "status", w, "--timeout=2m")
		}
		backUp(t, c.Kubeconfig, dir, "all")
		require.NoError(t, s.Down(context.WithoutCancel(t.Context())))
	})
	rep := drillOf(t, dir, "all", func(s *policy.Spec) { s.Targets.RPO.Duration, s.Targets.RTO.Duration = time.Hour, 5*time.Minute })
	require.Equal(t, report.Passed, rep.Verdict, show(t, rep))
	assert.Equal(t, rep.Items.InBackup, rep.Items.Expected+rep.Items.Skipped, "every item is accounted for")
	assert.Equal(t, rep.Items.Expected, rep.Items.Equal)
	assert.Positive(t, rep.Items.SkippedBy["runs in kube-system, where the sandbox has its own"])
	assert.Equal(t, 1, rep.Changed["CronJobs suspended"])
	// Web, guard, db, agent and the pod of its own; Jobs that were under way when
	// the backup was made come on top.
	for check, least := range map[string]int{"images_provided": 1, "workloads_ready": 5, "services_have_endpoints": 3, "claims_bound": 3, "webhooks_answer": 1, "crds_established": 1} {
		var good, all int
		_, err := fmt.Sscanf(checkOf(rep, check).Message, "%d of %d", &good, &all)
		require.NoError(t, err, check)
		assert.Equal(t, all, good, check)
		assert.GreaterOrEqual(t, all, least, check)
	}
	require.NotNil(t, rep.Recovery)
	assert.Positive(t, rep.Recovery.TimeSeconds)
	assert.Equal(t, report.Passed, checkOf(rep, "rto").Verdict)
	assert.Equal(t, report.Passed, checkOf(rep, "rpo").Verdict)
}

// source is a location with a backup of what a YAML file holds, which nothing
// has run yet.
func source(t *testing.T, file string) (dir string) {
	t.Helper()
	c := rig.ControlPlane(t)
	fill(t, c.Kubeconfig, file)
	dir = t.TempDir()
	backUp(t, c.Kubeconfig, dir, "b")
	return dir
}

func TestEachReasonForWhichABackupDoesNotRunIsNamed(t *testing.T) {
	rig.WorkloadImage(t, workloadImage)
	rep := drillOf(t, source(t, "testdata/broken.yaml"), "b", func(s *policy.Spec) {
		s.Limits.WorkloadsReady.Duration = 40 * time.Second
		s.Waivers = []policy.Waiver{{Check: "workloads_ready", Object: "deployments.apps waived/*", Reason: "known since May"}}
	})
	require.Equal(t, report.Failed, rep.Verdict, show(t, rep))
	for object, message := range map[string]string{
		"deployments.apps missing-configmap/app": `configmap "settings" not found`,
		"deployments.apps missing-key/app":       `couldn't find key password in Secret missing-key/db`,
		"deployments.apps missing-mount/app":     `configmap "settings" not found`,
		"deployments.apps crash/app":             "ended with exit code 3",
		"deployments.apps probe/app":             "Readiness probe failed: HTTP probe failed with statuscode: 503",
		"deployments.apps refused/app":           `violates PodSecurity "restricted:latest"`,
		"deployments.apps missing-claim/app":     `persistentvolumeclaim "data" not found`,
		"deployments.apps no-account/app":        `serviceaccount "app" not found`,
		"deployments.apps image-name/app":        "InvalidImageName",
		"jobs.batch failing-job/app":             "BackoffLimitExceeded",
		"pods failing-pod/app":                   "ended with exit code 4",
		"statefulsets.apps crash/set":            "ended with exit code 5",
		"daemonsets.apps crash/everywhere":       "ended with exit code 6",
		"replicasets.apps crash/alone":           "ended with exit code 7",
		"replicationcontrollers crash/old":       "ended with exit code 8",
		"deployments.apps crash/init":            "container prepare ended with exit code 9",
	} {
		assert.Contains(t, said(rep.Findings, "workloads_ready", object), message, object)
	}
	assert.Contains(t, said(rep.Findings, "workloads_ready", "deployments.apps crash/app"), "its last lines: cannot open the ledger")
	assert.Contains(t, said(rep.Findings, "claims_bound", "persistentvolumeclaims lost-claim/data-db-0"), "is not in the backup; StatefulSet db got a new, empty one")
	assert.Contains(t, said(rep.Findings, "webhooks_answer", "validatingwebhookconfigurations.admissionregistration.k8s.io lonely"), "its Service nowhere/guard is not in the backup")
	assert.Contains(t, said(rep.Findings, "apiservices_available", "apiservices.apiregistration.k8s.io v1.lonely.example"), "its Service nowhere/api is not in the backup")
	assert.Contains(t, said(rep.Environment, "services_have_endpoints", "services crash/app"), "because deployments.apps crash/app is not ready")
	require.Len(t, rep.Waived, 1)
	assert.Equal(t, "known since May", rep.Waived[0].Reason)
	for _, f := range rep.Findings {
		assert.NotContains(t, f.Object, "healthy/", "no false alarm: %s", f.Message)
	}
}

func TestWhatTheEnvironmentLacksIsAnErrorAndNotABadBackup(t *testing.T) {
	rig.WorkloadImage(t, workloadImage)
	rep := drillOf(t, source(t, "testdata/environment.yaml"), "b", func(s *policy.Spec) { s.Limits.WorkloadsReady.Duration = 30 * time.Second })
	require.Equal(t, report.Error, rep.Verdict, show(t, rep))
	assert.Empty(t, rep.Findings)
	for object, message := range map[string]string{
		"deployments.apps no-image/app":  "image registry.invalid/app:1: ",
		"deployments.apps too-large/app": "Insufficient cpu",
		"deployments.apps crash/app":     "possibly because the sandbox lacks something",
		"deployments.apps runtime/app":   `no runtime for "gvisor" is configured`,
	} {
		assert.Contains(t, said(rep.Environment, "workloads_ready", object), message, object)
	}
	image := said(rep.Environment, "images_provided", "deployments.apps no-image/app")
	assert.Contains(t, image, "image registry.invalid/app:1 is not available")
	assert.Contains(t, image, "used by deployments.apps no-image/app, deployments.apps no-image/other")
	assert.Contains(t, said(rep.Environment, "claims_bound", "persistentvolumeclaims block/disk"), "raw block device")
}

// Ten drills, or three in a run that takes a part.
func TestDrillsOfAVeleroBackupInARowLeaveNothing(t *testing.T) {
	rig.WorkloadImage(t, workloadImage)
	dir := rig.SmallBucket(t)
	before, volumes := networks(t), docker(t, "volume", "ls", "--quiet")
	drills := 10
	if !part.Of(t).Whole() {
		drills = 3
	}
	for i := range drills {
		rep := drillOf(t, dir, rig.VelerosBackup, ofVelero)
		require.Equal(t, report.Passed, rep.Verdict, show(t, rep))
		total := 0.0
		for _, s := range rep.Stages {
			t.Logf("%d %-10s %6.2f s", i+1, s.Name, s.Seconds)
			total += s.Seconds
		}
		t.Logf("%d %-10s %6.2f s", i+1, "all", total)
		assert.Less(t, total, 60.0)
	}
	assert.Equal(t, before, networks(t))
	assert.Equal(t, volumes, docker(t, "volume", "ls", "--quiet"))
}

// doomedDrillEnv makes this test binary a drill that kills itself: a folder for
// its sandbox, a location and a stage, with commas between them.
const doomedDrillEnv = "LIFEBOAT_TEST_DOOMED_KIND_DRILL"

// ofVelero drills the backup that Velero wrote. What it runs is a shell, for
// which the test image stands in.
func ofVelero(s *policy.Spec) {
	s.Images = policy.Images{Mode: policy.ImagesSubstitute, Mapping: map[string]string{"local/*": workloadImage}}
	s.Waivers = []policy.Waiver{{Check: "volume_data_restored", Reason: "volumes are not restored yet"}}
}

func doomedDrill(what string) {
	dir, rest, _ := strings.Cut(what, ",")
	url, at, _ := strings.Cut(rest, ",")
	s, err := location.Open(context.Background(), url, location.Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	spec := policy.Spec{Level: report.LevelKind, KubernetesVersion: nodeVersion}
	ofVelero(&spec)
	box := kind.New(spec, "")
	box.Dir = dir
	d := verifier.Drill{Store: s, Backup: rig.VelerosBackup, Level: report.LevelKind, Sandbox: box, Spec: spec, Now: time.Now, Version: "test", Progress: func(stage, _ string) {
		if stage == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // it does not fail for oneself
			select {}
		}
	}}
	rep, err := d.Run(context.Background())
	fmt.Println("never came to", at, rep.Verdict, rep.Summary, err)
	os.Exit(1)
}

func TestADrillThatIsKilledInAnyStageLeavesNothingAfterTheNextStart(t *testing.T) {
	rig.WorkloadImage(t, workloadImage)
	for _, stage := range part.Some(t, []string{"plan", "images", "contain", "restore", "compare", "workloads", "checks", "contained", "teardown"}) {
		t.Run(stage, func(t *testing.T) {
			dir, bucket := t.TempDir(), rig.SmallBucket(t)
			self, err := os.Executable()
			require.NoError(t, err)
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s,file://%s,%s", doomedDrillEnv, dir, bucket, stage))
			out, err := cmd.CombinedOutput()
			require.ErrorContains(t, err, "signal: killed", string(out))
			traces := tracesOf(t, nodeOf(t, dir))
			evidence, err := filepath.Glob(filepath.Join(bucket, "metadata", "lifeboat", "drills", "*", "*"))
			require.NoError(t, err)
			assert.Empty(t, evidence, "a killed drill says nothing")

			_, err = kind.Sweep(t.Context(), kind.SweepOptions{Dir: dir}) // as each start begins
			require.NoError(t, err)
			traces.assertGone(t)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, entries)
		})
	}
}

// certificate makes one for a server: itself in base64, as a CA bundle, and in
// the form of PEM that a YAML string in double quotes holds, with its key.
func certificate(t *testing.T, host string) (bundle, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	quoted := func(b []byte) string { return strings.ReplaceAll(string(b), "\n", `\n`) }
	return base64.StdEncoding.EncodeToString(public), quoted(public), quoted(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}
