// Package rig starts the real servers that end-to-end tests, benchmarks and the
// demo use. What it needs is built by `make tools`; when that is missing a test
// fails and says so, it never skips.
package rig

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// readyTimeout bounds how long a server may take to answer.
const readyTimeout = 30 * time.Second

// S3Domain is the domain of which the S3 server takes a sub-domain for the name
// of a bucket. No resolver knows it.
const S3Domain = "s3.test"

// S3Server is a running S3 server with one empty bucket.
type S3Server struct {
	Endpoint  string // http://127.0.0.1:port
	Bucket    string
	Region    string
	AccessKey string
	SecretKey string
	// Dir is the folder in which the server keeps the buckets as folders and
	// the objects as files.
	Dir string

	versions string // the folder for older versions of objects, "" for none
	process  *s3Process
}

// s3Process is the process that serves, which Stop and Start change.
type s3Process struct {
	stop   func()
	cmd    *exec.Cmd
	output *bytes.Buffer // read only after the process has ended
}

// Another starts a second server with the same credentials and with an empty
// bucket of the same name.
func (s S3Server) Another(t testing.TB) S3Server {
	t.Helper()
	o := S3Server{Region: s.Region, AccessKey: s.AccessKey, SecretKey: s.SecretKey, Dir: t.TempDir(), process: &s3Process{}}
	if s.versions != "" {
		o.versions = t.TempDir()
	}
	o = o.WithBucket(t, s.Bucket)
	if err := o.startAnywhere(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.endWith(t)
	return o
}

// Pause lets the server hang: connections are taken and nothing is answered.
func (s S3Server) Pause(t testing.TB) {
	t.Helper()
	if err := pause(s.process.cmd.Process); err != nil {
		t.Fatalf("pause the S3 server: %v", err)
	}
}

// Continue ends a Pause.
func (s S3Server) Continue(t testing.TB) {
	t.Helper()
	if err := resume(s.process.cmd.Process); err != nil {
		t.Fatalf("let the S3 server go on: %v", err)
	}
}

// WithBucket is the server with another bucket, which is made empty.
func (s S3Server) WithBucket(t testing.TB, name string) S3Server {
	t.Helper()
	s.Bucket = name
	if err := s.makeBucket(); err != nil {
		t.Fatal(err)
	}
	return s
}

// makeBucket makes a folder below the server's, which is a bucket.
func (s S3Server) makeBucket() error {
	if err := os.Mkdir(filepath.Join(s.Dir, s.Bucket), 0o755); err != nil {
		return fmt.Errorf("make bucket: %w", err)
	}
	return nil
}

// Stop ends the server: nobody answers at its endpoint any more.
func (s S3Server) Stop() { s.process.stop() }

// Start serves again what was served before Stop, at the same endpoint.
func (s S3Server) Start(t testing.TB) {
	t.Helper()
	if err := s.start(t.Context(), strings.TrimPrefix(s.Endpoint, "http://")); err != nil {
		t.Fatalf("start the S3 server again: %v", err)
	}
	s.endWith(t)
}

// URL is the location of a prefix in the bucket; "" is the bucket itself.
func (s S3Server) URL(prefix string) string {
	u := url.URL{Scheme: "s3", Host: s.Bucket, Path: "/" + prefix}
	u.RawQuery = url.Values{"endpoint": {s.Endpoint}, "region": {s.Region}}.Encode()
	return u.String()
}

// S3 starts an S3 server (versitygw on a temporary folder) on a free port of
// the loopback interface, with random credentials. It sets the AWS_* variables
// of the process for the time of the test, so the test cannot be parallel, and
// ends the server with it.
func S3(t testing.TB) S3Server {
	t.Helper()
	return newS3(t, "")
}

// VersionedS3 is S3 with a server that can keep older versions of objects, in
// buckets that are told to.
func VersionedS3(t testing.TB) S3Server {
	t.Helper()
	return newS3(t, t.TempDir())
}

// StartS3 starts an S3 server that keeps its objects in dir, with one empty bucket
// and random credentials. It serves until Stop.
func StartS3(ctx context.Context, dir string) (S3Server, error) {
	return newServer(ctx, dir, "")
}

func newServer(ctx context.Context, dir, versions string) (S3Server, error) {
	s := S3Server{
		Region: "us-east-1", Bucket: "lifeboat-test",
		AccessKey: rand.Text(), SecretKey: rand.Text(),
		Dir: dir, versions: versions, process: &s3Process{},
	}
	if err := s.makeBucket(); err != nil {
		return S3Server{}, err
	}
	if err := s.startAnywhere(ctx); err != nil {
		return S3Server{}, err
	}
	return s, nil
}

func newS3(t testing.TB, versions string) S3Server {
	t.Helper()
	s, err := newServer(t.Context(), t.TempDir(), versions)
	if err != nil {
		t.Fatal(err)
	}
	s.endWith(t)
	for name, value := range s.env() {
		t.Setenv(name, value)
	}
	return s
}

// Environ is the environment of a program that uses the bucket, free of whatever
// this user has set up for others.
func (s S3Server) Environ() []string {
	var out []string
	for name, value := range s.env() {
		out = append(out, name+"="+value)
	}
	return out
}

func (s S3Server) env() map[string]string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": s.AccessKey, "AWS_SECRET_ACCESS_KEY": s.SecretKey, "AWS_SESSION_TOKEN": "",
		"AWS_REGION": "", "AWS_PROFILE": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_EC2_METADATA_DISABLED": "true",
	}
}

// startAnywhere starts the server on a free port. Between the choice of a port and
// its use someone else may take it; then the next one is tried.
func (s *S3Server) startAnywhere(ctx context.Context) error {
	var err error
	for range 3 {
		var address string
		if address, err = FreeAddress(); err != nil {
			break
		}
		if err = s.start(ctx, address); err == nil {
			s.Endpoint = "http://" + address
			return nil
		}
	}
	return fmt.Errorf("start the S3 server: %w", err)
}

func (s S3Server) start(ctx context.Context, address string) error {
	binary, err := toolPath("versitygw", "VERSITYGW_VERSION")
	if err != nil {
		return err
	}
	var output bytes.Buffer
	args := []string{"--port", address, "--region", s.Region, "--quiet", "--keep-alive", "--virtual-domain", S3Domain, "posix"}
	if s.versions != "" {
		args = append(args, "--versioning-dir", s.versions)
	}
	cmd := exec.Command(binary, append(args, s.Dir)...)
	cmd.Env = []string{"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey}
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = endWithParent()
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	stop := func() { _ = cmd.Process.Kill(); <-ended }

	if err := ready(ctx, "http://"+address, ended); err != nil {
		stop()
		return fmt.Errorf("%w; its output: %s", err, output.String())
	}
	*s.process = s3Process{stop: stop, cmd: cmd, output: &output}
	return nil
}

// endWith stops the process that serves now when the test ends.
func (s S3Server) endWith(t testing.TB) {
	p := *s.process
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("output of the S3 server: %s", p.output.String())
		}
	})
}

// ready waits until the server answers anything.
func ready(ctx context.Context, endpoint string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			return resp.Body.Close()
		}
		select {
		case <-ended:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("it did not answer at %s within %s", endpoint, readyTimeout)
		case <-tick.C:
		}
	}
}

// FreeAddress is an address of the loopback interface that nobody listens on now.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// toolPath is the path of a program that `make tools` builds, in the version that
// tools/versions.mk names.
func toolPath(name, versionVariable string) (string, error) {
	root, err := findRoot()
	if err != nil {
		return "", err
	}
	versions, err := os.ReadFile(filepath.Join(root, "tools", "versions.mk"))
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`(?m)^` + versionVariable + `\s*:=\s*(\S+)`).FindSubmatch(versions)
	if m == nil {
		return "", fmt.Errorf("tools/versions.mk does not set %s", versionVariable)
	}
	path := filepath.Join(root, ".cache", "tools", name+"-"+string(m[1]))
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s %s is not built: %w (run `make tools`, or `make -f tools/tools.mk tools`)", name, m[1], err)
	}
	return path, nil
}

// findRoot finds the repository from the working directory, which for a test is
// its package's.
func findRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "tools", "versions.mk")); err == nil {
			return dir, nil
		}
		if strings.TrimSuffix(dir, string(filepath.Separator)) == filepath.VolumeName(dir) {
			return "", fmt.Errorf("no tools/versions.mk above %s", start)
		}
	}
}

func repoRoot(t testing.TB) string {
	t.Helper()
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	return root
}
