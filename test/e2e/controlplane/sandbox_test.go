//go:build e2e

package controlplane_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// doomedEnv makes TestDoomedVerifier the verifier that gets killed, and names
// the directory of its sandbox.
const doomedEnv = "LIFEBOAT_TEST_DOOMED_VERIFIER"

func TestASandboxIsAClusterWhileItIsUpAndNothingAfter(t *testing.T) {
	dir := t.TempDir()
	c := &sandbox.ControlPlane{Binary: rig.ControlPlaneBinary(t), Dir: dir}
	cluster, err := c.Up(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Down(context.WithoutCancel(t.Context())) })

	client := clientOf(t, cluster)
	var version struct{ GitVersion string }
	get(t, client, cluster.Server+"/version", &version)
	assert.Equal(t, cluster.Version, version.GitVersion)
	var secrets struct{ Kind string }
	get(t, client, cluster.Server+"/api/v1/secrets", &secrets)
	assert.Equal(t, "SecretList", secrets.Kind)

	processes := workingIn(t, dir)
	require.Len(t, processes, 2, "the API server and the controller manager")
	require.NoError(t, c.Down(t.Context()))
	assertGone(t, processes)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
	_, err = client.Get(cluster.Server + "/version")
	assert.Error(t, err, "something still answers")
}

// A backup may grant anonymous users or those with a bootstrap token anything.
func TestASandboxAnswersNoOneWithoutItsCertificate(t *testing.T) {
	c := &sandbox.ControlPlane{Binary: rig.ControlPlaneBinary(t), Dir: t.TempDir(), Controllers: "none"}
	cluster, err := c.Up(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Down(context.WithoutCancel(t.Context())) })
	admin := clientOf(t, cluster)
	for path, object := range map[string]string{
		"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings": `{"metadata":{"name":"all"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"},
			"subjects":[{"kind":"Group","apiGroup":"rbac.authorization.k8s.io","name":"system:unauthenticated"},{"kind":"Group","apiGroup":"rbac.authorization.k8s.io","name":"system:authenticated"}]}`,
		"/api/v1/namespaces/kube-system/secrets": `{"metadata":{"name":"bootstrap-token-abcdef"},"type":"bootstrap.kubernetes.io/token",
			"stringData":{"token-id":"abcdef","token-secret":"0123456789abcdef","usage-bootstrap-authentication":"true"}}`,
	} {
		answer, err := admin.Post(cluster.Server+path, "application/json", strings.NewReader(object))
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusCreated, answer.StatusCode, path)
	}
	stranger := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // it is asked who it answers
	defer stranger.CloseIdleConnections()
	for _, path := range []string{"/api/v1/secrets", "/version", "/livez", "/openapi/v2", "/"} {
		for _, token := range []string{"", "Bearer abcdef.0123456789abcdef", "Basic YWRtaW46YWRtaW4="} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, cluster.Server+path, nil)
			require.NoError(t, err)
			req.Header.Set("Authorization", token)
			answer, err := stranger.Do(req)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			assert.Equal(t, http.StatusUnauthorized, answer.StatusCode, "%s %q", path, token)
		}
	}
}

func TestAKilledVerifierLeavesNoProcessAndTheNextOneCleansUp(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	doomed := exec.Command(self, "-test.run=^TestDoomedVerifier$")
	doomed.Env = append(os.Environ(), doomedEnv+"="+dir)
	out, err := doomed.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, doomed.Start())
	t.Cleanup(func() { _ = doomed.Process.Kill(); _ = doomed.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "up\n", line)

	processes := workingIn(t, dir)
	require.Len(t, processes, 2)
	removed, err := sandbox.Sweep(dir)
	require.NoError(t, err)
	require.Empty(t, removed, "the sandbox of a living verifier was swept")

	require.NoError(t, doomed.Process.Kill())
	_ = doomed.Wait()
	assertGone(t, processes)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "there is nothing to sweep")
	removed, err = sandbox.Sweep(dir)
	require.NoError(t, err)
	assert.Equal(t, []string{filepath.Join(dir, left[0].Name())}, removed)
	assert.NoDirExists(t, removed[0])
}

// TestDoomedVerifier is no test of its own: it is the process that
// TestAKilledVerifierLeavesNoProcessAndTheNextOneCleansUp starts and kills.
func TestDoomedVerifier(t *testing.T) {
	dir := os.Getenv(doomedEnv)
	if dir == "" {
		return
	}
	c := &sandbox.ControlPlane{Binary: rig.ControlPlaneBinary(t), Dir: dir}
	_, err := c.Up(t.Context())
	require.NoError(t, err)
	fmt.Println("up")
	select {}
}

func TestTheRigGivesAControlPlaneToAnyTest(t *testing.T) {
	var cluster sandbox.Cluster
	t.Run("while it runs", func(t *testing.T) {
		cluster = rig.ControlPlane(t, func(c *sandbox.ControlPlane) { c.Controllers = "none" })
		var list struct{ Items []any }
		get(t, clientOf(t, cluster), cluster.Server+"/api/v1/serviceaccounts", &list)
		assert.Empty(t, list.Items, "no controllers, no service accounts")
	})
	_, err := clientOf(t, cluster).Get(cluster.Server + "/version")
	assert.Error(t, err, "something still answers")
}

// clientOf opens a cluster the plain way, out of its kubeconfig.
func clientOf(t *testing.T, cluster sandbox.Cluster) *http.Client {
	t.Helper()
	var config struct {
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
				CA     []byte `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Cert []byte `json:"client-certificate-data"`
				Key  []byte `json:"client-key-data"`
			} `json:"user"`
		} `json:"users"`
	}
	require.NoError(t, yaml.Unmarshal(cluster.Kubeconfig, &config))
	require.Len(t, config.Clusters, 1)
	require.Len(t, config.Users, 1)
	assert.Equal(t, cluster.Server, config.Clusters[0].Cluster.Server)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(config.Clusters[0].Cluster.CA))
	cert, err := tls.X509KeyPair(config.Users[0].User.Cert, config.Users[0].User.Key)
	require.NoError(t, err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func get(t *testing.T, client *http.Client, url string, into any) {
	t.Helper()
	answer, err := client.Get(url)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode, url)
	require.NoError(t, json.NewDecoder(answer.Body).Decode(into))
}

// workingIn are the processes whose working directory is below dir, as that of
// every process of a control plane is.
func workingIn(t *testing.T, dir string) []int {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	var pids []int
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, dir+"/") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
			require.NoError(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// assertGone waits for the processes to end. A zombie has ended: it waits for
// its reaper, which may be nobody's in a container.
func assertGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		assert.Eventually(t, func() bool {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return err != nil || strings.Contains(string(stat), ") Z ")
		}, 3*time.Second, 10*time.Millisecond, "process %d is still running", pid)
	}
}
