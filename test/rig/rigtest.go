package rig

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// This file is the rig for tests: what cannot be started fails the test, and what
// was started ends with it.

// must returns what a function of the rig returned, or fails the test.
func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// endWith kills a program with its test.
func (p *Process) endWith(t testing.TB) { t.Cleanup(func() { p.finish(t) }) }

// finish kills a program and shows what it printed if the test failed.
func (p *Process) finish(t testing.TB) {
	p.Kill()
	if t.Failed() {
		t.Logf("output of %s:\n%s", p.name(), p.Log())
	}
}

func repoRoot(t testing.TB) string {
	t.Helper()
	root, err := findRoot()
	return must(t, root, err)
}

// Program is FindProgram for a test.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := FindProgram(name)
	return must(t, path, err)
}

// ControlPlaneBinary is FindControlPlane for a test.
func ControlPlaneBinary(t testing.TB) string {
	t.Helper()
	path, err := FindControlPlane()
	return must(t, path, err)
}

// Promtool returns the path of promtool.
func Promtool(t testing.TB) string { return tool(t, "promtool") }

// Amtool returns the path of amtool, which checks Alertmanager's configuration.
func Amtool(t testing.TB) string { return tool(t, "amtool") }

// Kubectl returns the path of kubectl.
func Kubectl(t testing.TB) string { return tool(t, "kubectl") }

func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := Find(name)
	return must(t, path, err)
}

// BuildExporter builds lifeboat-exporter as it is now and returns its path.
func BuildExporter(t testing.TB) string {
	t.Helper()
	path, err := buildExporter(t.Context(), t.TempDir())
	return must(t, path, err)
}

// ControlPlane starts a Kubernetes control plane. By default it runs the controllers
// that a restore needs; configure may change that:
//
//	cluster := rig.ControlPlane(t, func(c *sandbox.ControlPlane) { c.Controllers = "none" })
func ControlPlane(t testing.TB, configure ...func(*sandbox.ControlPlane)) sandbox.Cluster {
	t.Helper()
	c := &sandbox.ControlPlane{Binary: ControlPlaneBinary(t)}
	for _, set := range configure {
		set(c)
	}
	cluster, err := c.Up(t.Context())
	if err != nil {
		t.Fatalf("start a control plane: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), stopLimit)
		defer cancel()
		if err := c.Down(ctx); err != nil {
			t.Errorf("stop the control plane: %v", err)
		}
	})
	return cluster
}

// stopLimit bounds the end of a control plane.
const stopLimit = 30 * time.Second

// Serve is StartServer for a test.
func Serve(t testing.TB, cmd *exec.Cmd) *Server {
	t.Helper()
	s, err := StartServer(t.Context(), cmd)
	must(t, s, err).endWith(t)
	return s
}

// Exporter starts an exporter, on a free port of the loopback interface if the
// arguments do not name an address.
func Exporter(t testing.TB, binary string, args ...string) *Server {
	t.Helper()
	if !strings.Contains(strings.Join(args, " "), "--web.listen-address=") {
		args = append([]string{"--web.listen-address=127.0.0.1:0"}, args...)
	}
	return Serve(t, exec.Command(binary, args...))
}

// Prometheus is StartPrometheus for a test. It returns the URL.
func Prometheus(t testing.TB, c PrometheusConfig) string {
	t.Helper()
	m, err := StartPrometheus(t.Context(), t.TempDir(), c)
	must(t, m, err).endWith(t)
	return m.URL
}

// Alertmanager is StartAlertmanager for a test. It returns the URL.
func Alertmanager(t testing.TB, config string) string {
	t.Helper()
	m, err := StartAlertmanager(t.Context(), t.TempDir(), config)
	must(t, m, err).endWith(t)
	return m.URL
}

// NewInbox receives messages of an Alertmanager.
func NewInbox(t testing.TB) *Inbox {
	in, server := newInbox()
	t.Cleanup(server.Close)
	return in
}

// S3 starts an S3 server with its objects in a temporary folder. It sets the AWS_*
// variables of the process for the time of the test, so the test cannot be parallel.
func S3(t testing.TB) S3Server {
	t.Helper()
	return s3(t, "")
}

// VersionedS3 is S3 with a server that can keep older versions of objects, in
// buckets that are configured for it.
func VersionedS3(t testing.TB) S3Server {
	t.Helper()
	return s3(t, t.TempDir())
}

func s3(t testing.TB, versions string) S3Server {
	t.Helper()
	s, err := startS3(t.Context(), t.TempDir(), versions)
	must(t, s, err).endWith(t)
	for name, value := range s.env() {
		t.Setenv(name, value)
	}
	return s
}

// endWith stops the process that serves at the end of the test.
func (s S3Server) endWith(t testing.TB) { t.Cleanup(func() { s.running.finish(t) }) }

// Another starts a second server with the same credentials and with an empty
// bucket of the same name.
func (s S3Server) Another(t testing.TB) S3Server {
	t.Helper()
	versions := s.versions
	if versions != "" {
		versions = t.TempDir()
	}
	o, err := s.another(t.Context(), t.TempDir(), versions)
	must(t, o, err).endWith(t)
	return o
}

// WithBucket is the server with another bucket, which is made empty.
func (s S3Server) WithBucket(t testing.TB, name string) S3Server {
	t.Helper()
	s.Bucket = name
	check(t, s.makeBucket())
	return s
}

// Start serves again what was served before Stop, at the same endpoint.
func (s S3Server) Start(t testing.TB) {
	t.Helper()
	check(t, s.restart(t.Context()))
}

// Pause lets the server hang: it takes connections and does not answer.
func (s S3Server) Pause(t testing.TB) {
	t.Helper()
	check(t, s.running.Pause())
}

// Continue ends a Pause.
func (s S3Server) Continue(t testing.TB) {
	t.Helper()
	check(t, s.running.Continue())
}
