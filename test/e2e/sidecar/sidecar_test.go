//go:build e2e

// Package sidecar_test holds deploy/exporter against a real API server, and runs
// the built exporter the way the sidecar's container would run.
package sidecar_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/test/rig"
)

const (
	manifests = "../../../deploy/exporter/"
	patient   = 60 * time.Second
	often     = 200 * time.Millisecond
	// mountedAt is where a pod finds the token of its service account.
	mountedAt = "/var/run/secrets/kubernetes.io/serviceaccount"
)

// server is a control plane with the definitions of velero.io, asked over HTTP
// as kubectl does.
type server struct {
	t     *testing.T
	http  *http.Client
	admin *rest.Config
	paths map[string]string // of a collection in namespace velero, by kind
}

func start(t *testing.T) *server {
	t.Helper()
	up := rig.ControlPlane(t)
	client, err := cluster.FromKubeconfig(up.Kubeconfig, "sidecar-test")
	require.NoError(t, err)
	rig.InstallCRDs(t, client)
	admin, err := clientcmd.RESTConfigFromKubeConfig(up.Kubeconfig)
	require.NoError(t, err)
	h, err := rest.HTTPClientFor(admin)
	require.NoError(t, err)
	t.Cleanup(h.CloseIdleConnections)
	s := &server{t: t, http: h, admin: admin, paths: map[string]string{}}
	resources, failures, err := client.AllVersions(t.Context())
	require.NoError(t, err)
	require.Empty(t, failures)
	for _, r := range resources {
		path := "/apis/" + r.Group + "/" + r.Version + "/"
		if r.Group == "" {
			path = "/api/" + r.Version + "/"
		}
		if r.Namespaced {
			path += "namespaces/velero/"
		}
		s.paths[r.APIVersion()+" "+r.Kind] = path + r.Name
	}
	s.create([]byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"velero"}}`))
	return s
}

// ask sends a request; unknown fields are refused.
func (s *server) ask(method, path, contentType string, body []byte) (int, []byte) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.admin.Host+path+"?fieldValidation=Strict", bytes.NewReader(body))
	require.NoError(s.t, err)
	req.Header.Set("Content-Type", contentType)
	res, err := s.http.Do(req)
	require.NoError(s.t, err)
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	return res.StatusCode, out
}

// create makes the objects of a manifest.
func (s *server) create(manifest []byte) {
	s.t.Helper()
	for document := range bytes.SplitSeq(manifest, []byte("\n---\n")) {
		var head struct{ APIVersion, Kind string }
		require.NoError(s.t, yaml.Unmarshal(document, &head))
		path, known := s.paths[head.APIVersion+" "+head.Kind]
		if head.Kind == "Namespace" {
			path, known = "/api/v1/namespaces", true
		}
		require.True(s.t, known, "%s %s", head.APIVersion, head.Kind)
		code, out := s.ask(http.MethodPost, path, "application/yaml", document)
		require.Equal(s.t, http.StatusCreated, code, "%s: %s", head.Kind, out)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	return raw
}

// patched is Velero's Deployment with the sidecar.
func (s *server) patched() appsv1.Deployment {
	s.t.Helper()
	patch, err := yaml.YAMLToJSON(read(s.t, manifests+"sidecar.yaml"))
	require.NoError(s.t, err)
	code, out := s.ask(http.MethodPatch, s.paths["apps/v1 Deployment"]+"/velero", "application/strategic-merge-patch+json", patch)
	require.Equal(s.t, http.StatusOK, code, string(out))
	var d appsv1.Deployment
	require.NoError(s.t, json.Unmarshal(out, &d))
	return d
}

// pod makes a pod of a template, as the controller of Deployments would, and
// returns what admission made of it.
func (s *server) pod(name string, template corev1.PodTemplateSpec) corev1.Pod {
	s.t.Helper()
	p := corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	p.APIVersion, p.Kind, p.Name = "v1", "Pod", name
	raw, err := json.Marshal(p)
	require.NoError(s.t, err)
	var out []byte
	require.Eventually(s.t, func() bool { // the service account may not be known yet
		var code int
		code, out = s.ask(http.MethodPost, s.paths["v1 Pod"], "application/json", raw)
		return code == http.StatusCreated
	}, patient, often, "%s", out)
	require.NoError(s.t, json.Unmarshal(out, &p))
	return p
}

func containerOf(t *testing.T, all []corev1.Container, name string) corev1.Container {
	t.Helper()
	i := slices.IndexFunc(all, func(c corev1.Container) bool { return c.Name == name })
	require.GreaterOrEqual(t, i, 0, "container %s", name)
	return all[i]
}

func mounts(c corev1.Container) map[string]string {
	out := map[string]string{}
	for _, m := range c.VolumeMounts {
		out[m.MountPath] = m.Name
	}
	return out
}

func mayNothing(t *testing.T, c corev1.Container) {
	t.Helper()
	sc := c.SecurityContext
	assert.True(t, *sc.ReadOnlyRootFilesystem)
	assert.False(t, *sc.AllowPrivilegeEscalation)
	assert.Equal(t, []corev1.Capability{"ALL"}, sc.Capabilities.Drop)
}

func TestTheExporterAloneIsAcceptedWhereOnlyRestrictedPodsAre(t *testing.T) {
	s := start(t)
	code, out := s.ask(http.MethodPatch, "/api/v1/namespaces/velero", "application/merge-patch+json", []byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`))
	require.Equal(t, http.StatusOK, code, string(out))
	s.create(read(t, manifests+"rbac.yaml"))
	s.create(read(t, manifests+"deployment.yaml"))

	code, out = s.ask(http.MethodGet, s.paths["apps/v1 Deployment"]+"/lifeboat-exporter", "", nil)
	require.Equal(t, http.StatusOK, code)
	var d appsv1.Deployment
	require.NoError(t, json.Unmarshal(out, &d))
	code, out = s.ask(http.MethodPost, s.paths["v1 Pod"], "application/json", []byte(`{"metadata":{"name":"root"},"spec":{"containers":[{"name":"c","image":"i"}]}}`))
	require.Equal(t, http.StatusForbidden, code, "the namespace refuses others: %s", out)
	p := s.pod("lifeboat-exporter-1", d.Spec.Template)
	c := containerOf(t, p.Spec.Containers, "lifeboat-exporter")
	mayNothing(t, c)
	assert.Contains(t, mounts(c), mountedAt)
	assert.Equal(t, "lifeboat-exporter", p.Spec.ServiceAccountName)
}

func TestTheSidecarWorksWithWhatItIsGivenAndNoMore(t *testing.T) {
	bucket := rig.S3(t)
	s := start(t)
	s.create(read(t, "testdata/velero.yaml"))
	s.create(read(t, manifests+"rbac.yaml"))
	s.create(read(t, manifests+"sidecar-token.yaml"))
	d := s.patched()

	velero := containerOf(t, d.Spec.Template.Spec.Containers, "velero")
	assert.Equal(t, map[string]string{"/plugins": "plugins", "/scratch": "scratch", "/credentials": "cloud-credentials"}, mounts(velero), "Velero is as it was")
	assert.Equal(t, []string{"server", "--uploader-type=kopia"}, velero.Args)
	p := s.pod("velero-1", d.Spec.Template)
	c := containerOf(t, p.Spec.Containers, "lifeboat-exporter")
	mayNothing(t, c)
	assert.Equal(t, int64(65532), *c.SecurityContext.RunAsUser)
	assert.True(t, *c.SecurityContext.RunAsNonRoot)
	assert.Equal(t, map[string]string{mountedAt: "lifeboat-exporter-token", "/credentials": "lifeboat-exporter-credentials"}, mounts(c), "not the token of Velero's service account")
	assert.NotEqual(t, "lifeboat-exporter-token", mounts(containerOf(t, p.Spec.Containers, "velero"))[mountedAt])

	volume := s.tokenVolume()
	s.create([]byte(`{"apiVersion":"velero.io/v1","kind":"Schedule","metadata":{"name":"db","namespace":"velero"},"spec":{"schedule":"0 2 * * *","template":{"storageLocation":"default"}}}`))
	s.create([]byte(`{"apiVersion":"velero.io/v1","kind":"BackupStorageLocation","metadata":{"name":"default","namespace":"velero"},"spec":{"provider":"aws","default":true,"objectStorage":{"bucket":"backups","prefix":"prod"}}}`))
	putBackup(t, filepath.Join(bucket.Dir, bucket.Bucket, "prod"))
	credentials := filepath.Join(volume, "cloud")
	require.NoError(t, os.WriteFile(credentials, []byte("[default]\naws_access_key_id="+bucket.AccessKey+"\naws_secret_access_key="+bucket.SecretKey+"\n"), 0o644))

	base, home := runAs(t, c, volume, credentials, bucket.URL("prod"), s.kubeconfig(volume))
	var body string
	for _, want := range []string{
		`lifeboat_exporter_source_up{backup_location_name="",source="kube"} 1`,
		`lifeboat_exporter_source_up{backup_location_name="default",source="bucket"} 1`,
		`lifeboat_schedule_info{backup_location_name="default",cron="0 2 * * *",schedule="db",timezone="UTC"} 1`,
		`lifeboat_schedule_recovery_point_timestamp_seconds{schedule="db"}`,
	} {
		require.Eventually(t, func() bool {
			body = get(t, base+"/metrics")
			return strings.Contains(body, want)
		}, patient, often, "%s in\n%s", want, body)
	}
	assert.NotContains(t, body, "velero_backup_total", "Velero's own metrics are scraped beside it")
	assert.Contains(t, get(t, base+c.LivenessProbe.HTTPGet.Path), "healthy")
	assert.Contains(t, get(t, base+c.ReadinessProbe.HTTPGet.Path), "ready")
	assert.Contains(t, get(t, base+"/"), "db")
	left, err := os.ReadDir(home)
	require.NoError(t, err)
	assert.Empty(t, left, "it wrote no file")
	s.mayNothingElse(volume)
}

// tokenVolume holds the files of the token's Secret, as the kubelet would mount
// them.
func (s *server) tokenVolume() string {
	s.t.Helper()
	var secret corev1.Secret
	require.Eventually(s.t, func() bool {
		_, out := s.ask(http.MethodGet, s.paths["v1 Secret"]+"/lifeboat-exporter-token", "", nil)
		return json.Unmarshal(out, &secret) == nil && len(secret.Data["token"]) > 0 && len(secret.Data["ca.crt"]) > 0
	}, patient, often, "the control plane fills the token in")
	dir := worldReadable(s.t)
	for name, content := range secret.Data {
		require.NoError(s.t, os.WriteFile(filepath.Join(dir, name), content, 0o644))
	}
	return dir
}

// worldReadable is a folder that whoever the sidecar runs as can read; those of
// t.TempDir are the user's own.
func worldReadable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lifeboat-sidecar-") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

// kubeconfig leads to the API server by the files of the token's volume. In a pod
// the exporter finds them by itself, at a path a test cannot have.
func (s *server) kubeconfig(volume string) string {
	s.t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: s.admin.Host, CertificateAuthority: filepath.Join(volume, "ca.crt")}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{TokenFile: filepath.Join(volume, "token")}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	path := filepath.Join(volume, "kubeconfig")
	require.NoError(s.t, clientcmd.WriteToFile(*config, path))
	require.NoError(s.t, os.Chmod(path, 0o644))
	return path
}

// mayNothingElse asks with the sidecar's token for what it must not see.
func (s *server) mayNothingElse(volume string) {
	s.t.Helper()
	for path, want := range map[string]int{
		s.paths["velero.io/v1 Schedule"]:                http.StatusOK,
		s.paths["v1 Secret"]:                            http.StatusForbidden,
		s.paths["v1 Pod"]:                               http.StatusForbidden,
		"/api/v1/namespaces":                            http.StatusForbidden,
		"/apis/velero.io/v1/namespaces/other/schedules": http.StatusForbidden,
	} {
		config := rest.AnonymousClientConfig(s.admin)
		config.BearerTokenFile = filepath.Join(volume, "token")
		h, err := rest.HTTPClientFor(config)
		require.NoError(s.t, err)
		res, err := h.Get(s.admin.Host + path)
		require.NoError(s.t, err)
		res.Body.Close()
		h.CloseIdleConnections()
		assert.Equal(s.t, want, res.StatusCode, path)
	}
}

func putBackup(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	l, err := fs.Open(dir, true)
	require.NoError(t, err)
	defer l.Close()
	started := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	require.NoError(t, l.Put(t.Context(), store.Contents("db-1"), strings.NewReader("archive")))
	require.NoError(t, l.Put(t.Context(), store.Metadata("db-1"), strings.NewReader(`{"apiVersion":"velero.io/v1","kind":"Backup","metadata":{"name":"db-1","labels":{"velero.io/schedule-name":"db"}},"spec":{"storageLocation":"default"},
"status":{"phase":"`+string(velerov1.BackupPhaseCompleted)+`","startTimestamp":"`+started+`","completionTimestamp":"`+started+`"}}`)))
}

// runAs runs the built exporter with the container's user, arguments and
// environment, and an empty folder to be in. Only what is the user's own is
// replaced: the location and its credentials, and the address, by a free one.
// It returns where it serves, and the folder.
func runAs(t *testing.T, c corev1.Container, volume, credentials, location, kubeconfig string) (base, home string) {
	t.Helper()
	binary := filepath.Join(volume, "lifeboat-exporter")
	require.NoError(t, os.WriteFile(binary, read(t, rig.Program(t, "lifeboat-exporter")), 0o755))
	args := []string{"--kubeconfig=" + kubeconfig}
	for _, arg := range c.Args {
		switch {
		case strings.HasPrefix(arg, "--location="):
			arg = "--location=default=" + location
		case strings.HasPrefix(arg, "--web.listen-address="):
			arg = "--web.listen-address=127.0.0.1:0"
		}
		args = append(args, arg)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, args...)
	cmd.Dir = worldReadable(t)
	cmd.Env = []string{"KUBERNETES_SERVICE_HOST=192.0.2.1", "KUBERNETES_SERVICE_PORT=443"}
	for _, e := range c.Env {
		if e.Name == "AWS_SHARED_CREDENTIALS_FILE" {
			e.Value = credentials
		}
		cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
	}
	if os.Geteuid() == 0 { // who is not root already is what the test is about
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(*c.SecurityContext.RunAsUser), Gid: uint32(*c.SecurityContext.RunAsGroup)}}
	}
	server := rig.Serve(t, cmd)
	t.Cleanup(func() { assert.NoError(t, server.Stop(), "it ends in order") })
	return server.URL(""), cmd.Dir
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(body)
}
