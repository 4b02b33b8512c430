//go:build e2e

// Package exporter_test lets the built exporter watch the custom resources of a
// real API server, with the permissions of deploy/exporter/rbac.yaml and no more.
package exporter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

const (
	namespace = "velero"
	// soon is how long a change may take to be seen: the exporter looks every 5 s.
	soon    = 20 * time.Second
	patient = 90 * time.Second
	often   = 200 * time.Millisecond
)

func velero(name, kind string) item.Resource {
	return item.Resource{Group: "velero.io", Version: "v1", Name: name, Kind: kind, Namespaced: true}
}

var (
	schedules = velero("schedules", "Schedule")
	backups   = velero("backups", "Backup")
	locations = velero("backupstoragelocations", "BackupStorageLocation")
)

// server is a control plane, its administrator and the exporter's account.
type server struct {
	*cluster.Client
	t     *testing.T
	admin *rest.Config
	// kubeconfig of the exporter leads through relay.
	kubeconfig string
	relay      *relay
}

// start gives a control plane with a namespace velero and the exporter's account.
func start(t *testing.T) *server {
	t.Helper()
	up := rig.ControlPlane(t, func(c *sandbox.ControlPlane) { c.Controllers = "none" })
	client, err := cluster.FromKubeconfig(up.Kubeconfig, "exporter-test")
	require.NoError(t, err)
	admin, err := clientcmd.RESTConfigFromKubeConfig(up.Kubeconfig)
	require.NoError(t, err)
	s := &server{Client: client, t: t, admin: admin}
	s.create(item.Resource{Version: "v1", Name: "namespaces"}, "", map[string]any{"metadata": map[string]any{"name": namespace}})
	s.grant("../../../deploy/exporter/rbac.yaml")

	target, err := url.Parse(up.Server)
	require.NoError(t, err)
	s.relay = newRelay(t, target.Host)
	s.kubeconfig = s.exporterKubeconfig("https://" + s.relay.address)
	return s
}

func (s *server) create(r item.Resource, namespace string, object any) []byte {
	s.t.Helper()
	raw, err := json.Marshal(object)
	require.NoError(s.t, err)
	out, err := s.Create(s.t.Context(), r, namespace, raw)
	require.NoError(s.t, err)
	return out
}

// grant creates what a manifest holds.
func (s *server) grant(manifest string) {
	s.t.Helper()
	content, err := os.ReadFile(manifest)
	require.NoError(s.t, err)
	kinds := map[string]item.Resource{
		"ServiceAccount": {Version: "v1", Name: "serviceaccounts"},
		"Role":           {Group: "rbac.authorization.k8s.io", Version: "v1", Name: "roles"},
		"RoleBinding":    {Group: "rbac.authorization.k8s.io", Version: "v1", Name: "rolebindings"},
	}
	for _, document := range bytes.Split(content, []byte("\n---\n")) {
		var o map[string]any
		require.NoError(s.t, yaml.Unmarshal(document, &o))
		r, known := kinds[o["kind"].(string)]
		require.True(s.t, known, o["kind"])
		s.create(r, namespace, o)
	}
}

// exporterKubeconfig is a file with a token of the exporter's ServiceAccount.
func (s *server) exporterKubeconfig(address string) string {
	s.t.Helper()
	h, err := rest.HTTPClientFor(s.admin)
	require.NoError(s.t, err)
	defer h.CloseIdleConnections()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost,
		s.admin.Host+"/api/v1/namespaces/"+namespace+"/serviceaccounts/lifeboat-exporter/token",
		strings.NewReader(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":3600}}`))
	require.NoError(s.t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := h.Do(req)
	require.NoError(s.t, err)
	defer res.Body.Close()
	var token struct{ Status struct{ Token string } }
	require.NoError(s.t, json.NewDecoder(res.Body).Decode(&token))
	require.NotEmpty(s.t, token.Status.Token)

	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: address, CertificateAuthorityData: s.admin.CAData}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	path := filepath.Join(s.t.TempDir(), "kubeconfig")
	require.NoError(s.t, clientcmd.WriteToFile(*config, path))
	return path
}

// relay passes on connections to the API server until it is cut: then those that
// are open break off and new ones are refused, as while an API server restarts.
type relay struct {
	address, target string

	mu    sync.Mutex
	l     net.Listener
	conns map[net.Conn]bool
	wait  sync.WaitGroup
}

func newRelay(t *testing.T, target string) *relay {
	r := &relay{address: "127.0.0.1:0", target: target, conns: map[net.Conn]bool{}}
	r.mend(t)
	t.Cleanup(func() {
		r.cut()
		r.wait.Wait()
	})
	return r
}

func (r *relay) mend(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", r.address)
	require.NoError(t, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.l, r.address = l, l.Addr().String()
	r.wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.wait.Go(func() { r.pass(c) })
		}
	})
}

func (r *relay) pass(c net.Conn) {
	defer c.Close()
	up, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	defer up.Close()
	r.mu.Lock()
	r.conns[c], r.conns[up] = true, true
	r.mu.Unlock()
	r.wait.Go(func() {
		_, _ = io.Copy(up, c)
		_ = up.Close()
	})
	_, _ = io.Copy(c, up)
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.l.Close()
	for c := range r.conns {
		_ = c.Close()
		delete(r.conns, c)
	}
}

// exporter is a running one.
type exporter struct {
	*rig.Server
	t *testing.T
}

// watch starts the built exporter.
func (s *server) watch(args ...string) *exporter {
	t := s.t
	t.Helper()
	args = append([]string{"--kubeconfig", s.kubeconfig, "--refresh-interval=2s", "--refresh-timeout=5s"}, args...)
	e := &exporter{t: t, Server: rig.Exporter(t, rig.Program(t, "lifeboat-exporter"), args...)}
	t.Cleanup(func() { assert.NoError(t, e.Stop(), "it ends in order") })
	return e
}

func (e *exporter) metrics() map[string]float64 {
	req, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, e.URL("/metrics"), nil)
	require.NoError(e.t, err)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(e.t, err)
	out := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		if series, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok && !strings.HasPrefix(line, "#") {
			out[series+"}"], _ = strconv.ParseFloat(value, 64)
		} else if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(line, "#") {
			out[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	return out
}

// sees waits until a series has a value.
func (e *exporter) sees(within time.Duration, series string, want float64) {
	e.t.Helper()
	began := time.Now()
	require.EventuallyWithT(e.t, func(c *assert.CollectT) {
		got := e.metrics()
		assert.Contains(c, got, series)
		assert.Equal(c, want, got[series], series)
	}, within, often)
	e.t.Logf("%s = %v after %s", series, want, time.Since(began).Round(time.Millisecond))
}

// misses waits until a series is gone.
func (e *exporter) misses(within time.Duration, series string) {
	e.t.Helper()
	require.EventuallyWithT(e.t, func(c *assert.CollectT) {
		assert.NotContains(c, e.metrics(), series)
	}, within, often)
}

const kubeUp = `lifeboat_exporter_source_up{backup_location_name="",source="kube"}`

func schedule(name, cron string) velerov1.Schedule {
	s := velerov1.Schedule{}
	s.APIVersion, s.Kind, s.Name, s.Namespace = velerov1.APIVersion, "Schedule", name, namespace
	s.Spec.Schedule = cron
	s.Spec.Template.StorageLocation = "default"
	return s
}

func backup(name, schedule string) velerov1.Backup {
	b := velerov1.Backup{}
	b.APIVersion, b.Kind, b.Name, b.Namespace = velerov1.APIVersion, "Backup", name, namespace
	b.Labels = map[string]string{api.LabelScheduleName: schedule, api.LabelStorageLocation: "default"}
	b.Spec.StorageLocation = "default"
	return b
}

func bsl() velerov1.BackupStorageLocation {
	l := velerov1.BackupStorageLocation{}
	l.APIVersion, l.Kind, l.Name, l.Namespace = velerov1.APIVersion, "BackupStorageLocation", "default", namespace
	l.Spec.Provider, l.Spec.Default = "aws", true
	l.Spec.ObjectStorage = &velerov1.ObjectStorageLocation{Bucket: "b"}
	l.Status.Phase = velerov1.BackupStorageLocationPhaseAvailable
	l.Status.LastValidationTime = &metav1.Time{Time: time.Now()}
	return l
}

// runs makes a run of a schedule as Velero does: an object, then its states, then
// the files, and the phase last.
func (s *server) runs(dir, name, of string, phase velerov1.BackupPhase) {
	s.t.Helper()
	var made velerov1.Backup
	require.NoError(s.t, json.Unmarshal(s.create(backups, namespace, backup(name, of)), &made))
	started := metav1.Now().Rfc3339Copy()
	s.patch(backups, name, map[string]any{"status": map[string]any{"phase": velerov1.BackupPhaseInProgress, "startTimestamp": started}})
	made.Status = velerov1.BackupStatus{Phase: phase, StartTimestamp: &started, CompletionTimestamp: &started}
	if dir != "" && phase.Restorable() {
		location, err := fs.Open(dir, true)
		require.NoError(s.t, err)
		defer location.Close()
		raw, err := json.Marshal(made)
		require.NoError(s.t, err)
		require.NoError(s.t, location.Put(s.t.Context(), store.Contents(name), strings.NewReader("archive")))
		require.NoError(s.t, location.Put(s.t.Context(), store.Metadata(name), bytes.NewReader(raw)))
	}
	s.patch(backups, name, map[string]any{"status": map[string]any{"phase": phase, "completionTimestamp": started}})
}

func (s *server) patch(r item.Resource, name string, patch any) {
	s.t.Helper()
	raw, err := json.Marshal(patch)
	require.NoError(s.t, err)
	require.NoError(s.t, s.MergePatch(s.t.Context(), r, namespace, name, raw))
}

func (s *server) remove(r item.Resource, name string) {
	s.t.Helper()
	require.NoError(s.t, s.Delete(s.t.Context(), r, namespace, name, metav1.DeleteOptions{}))
}

func phaseOf(schedule, phase string) string {
	return fmt.Sprintf(`lifeboat_schedule_last_backup_phase{phase=%q,schedule=%q}`, phase, schedule)
}

func TestTheExporterWatchesACluster(t *testing.T) {
	s := start(t)
	rig.InstallCRDs(t, s.Client)
	dir := t.TempDir()
	s.create(locations, namespace, bsl())
	s.create(schedules, namespace, schedule("db", "0 2 * * *"))
	e := s.watch("--location", "default=file://"+dir)

	e.sees(patient, kubeUp, 1)
	e.sees(soon, phaseOf("db", "None"), 1)
	e.sees(soon, `lifeboat_location_access_mode{access_mode="ReadWrite",backup_location_name="default"}`, 1)
	e.sees(soon, `velero_backup_location_status_gauge{backup_location_name="default"}`, 1)
	e.sees(soon, `lifeboat_schedule_ttl_defaulted{schedule="db"}`, 1)

	t.Run("created, changed and deleted objects are seen", func(t *testing.T) {
		s.create(schedules, namespace, schedule("files", "@every 1h"))
		e.sees(soon, `lifeboat_schedule_info{backup_location_name="default",cron="@every 1h",schedule="files",timezone="UTC"}`, 1)
		s.runs(dir, "db-1", "db", velerov1.BackupPhaseCompleted)
		e.sees(soon, phaseOf("db", "Completed"), 1)
		e.sees(soon, `lifeboat_schedule_backups{phase="Completed",schedule="db"}`, 1)
		e.sees(soon, `lifeboat_schedule_last_success_size_bytes{schedule="db"}`, 7)
		s.runs(dir, "db-2", "db", velerov1.BackupPhaseFailed)
		e.sees(soon, phaseOf("db", "Failed"), 1)
		s.patch(schedules, "files", map[string]any{"spec": map[string]any{"paused": true}})
		e.sees(soon, `lifeboat_schedule_paused{schedule="files"}`, 1)
		e.misses(soon, `lifeboat_schedule_next_run_timestamp_seconds{schedule="files"}`)
		s.remove(schedules, "files")
		e.misses(soon, `lifeboat_schedule_created_timestamp_seconds{schedule="files"}`)
		e.sees(soon, `lifeboat_location_missing_backups{backup_location_name="default"}`, 0)
	})

	t.Run("data that is gone is missed", func(t *testing.T) {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "backups", "db-1")))
		e.sees(soon, `lifeboat_location_missing_backups{backup_location_name="default"}`, 1)
		e.misses(soon, `lifeboat_schedule_recovery_point_timestamp_seconds{schedule="db"}`)
	})

	t.Run("an API server that restarts is followed on", func(t *testing.T) {
		s.relay.cut()
		e.sees(patient, kubeUp, 0)
		assert.Contains(t, e.Log(), "cannot reach the API server")
		assert.Contains(t, e.metrics(), `lifeboat_schedule_created_timestamp_seconds{schedule="db"}`, "what was known stays")
		s.runs(dir, "db-3", "db", velerov1.BackupPhaseCompleted)
		s.create(schedules, namespace, schedule("late", "@daily"))
		s.relay.mend(t)
		e.sees(patient, kubeUp, 1)
		e.sees(soon, phaseOf("db", "Completed"), 1)
		e.sees(soon, phaseOf("late", "None"), 1)
	})
}

func TestADefinitionThatIsMissingIsNamedAndAwaited(t *testing.T) {
	s := start(t)
	e := s.watch()
	e.sees(patient, kubeUp, 0)
	require.Eventually(t, func() bool {
		return strings.Contains(e.Log(), "is the CustomResourceDefinition schedules.velero.io installed?")
	}, patient, often)
	assert.NotContains(t, e.metrics(), "velero_backup_total")
	rig.InstallCRDs(t, s.Client)
	s.create(schedules, namespace, schedule("db", "@daily"))
	e.sees(patient, kubeUp, 1)
	e.sees(soon, phaseOf("db", "None"), 1)
}

func TestTheAccountOfTheExporterReadsAndDoesNothingElse(t *testing.T) {
	s := start(t)
	rig.InstallCRDs(t, s.Client)
	s.create(schedules, namespace, schedule("db", "@daily"))
	account, err := cluster.Open(cluster.Options{Kubeconfig: s.kubeconfig, UserAgent: "exporter-test"})
	require.NoError(t, err)
	forbidden := func(err error) {
		t.Helper()
		assert.True(t, apierrors.IsForbidden(err), "%v", err)
	}
	raw, err := json.Marshal(schedule("evil", "@daily"))
	require.NoError(t, err)
	_, err = account.Create(t.Context(), schedules, namespace, raw)
	forbidden(err)
	forbidden(account.MergePatch(t.Context(), schedules, namespace, "db", []byte(`{"spec":{"paused":true}}`)))
	forbidden(account.Delete(t.Context(), schedules, namespace, "db", metav1.DeleteOptions{}))
	for _, err := range account.List(context.Background(), item.Resource{Version: "v1", Name: "secrets", Kind: "Secret", Namespaced: true}, cluster.ListOptions{Namespace: namespace}, &cluster.ListInfo{}) {
		forbidden(err)
	}
	for _, err := range account.List(context.Background(), schedules, cluster.ListOptions{}, &cluster.ListInfo{}) {
		forbidden(err)
	}

	t.Run("without a permission the error names the verbs", func(t *testing.T) {
		roles := item.Resource{Group: "rbac.authorization.k8s.io", Version: "v1", Name: "roles"}
		require.NoError(t, s.MergePatch(t.Context(), roles, namespace, "lifeboat-exporter",
			[]byte(`{"rules":[{"apiGroups":["velero.io"],"resources":["schedules","backups"],"verbs":["list","watch"]}]}`)))
		e := s.watch()
		require.Eventually(t, func() bool {
			return strings.Contains(e.Log(), "grant the verbs list and watch on restores.velero.io")
		}, patient, often)
		e.sees(patient, kubeUp, 0)
		s.patch(roles, "lifeboat-exporter", map[string]any{"rules": []map[string]any{{"apiGroups": []string{"velero.io"}, "resources": []string{"*"}, "verbs": []string{"list", "watch"}}}})
		e.sees(patient, kubeUp, 1)
	})
}
