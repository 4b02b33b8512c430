// Package rig is what end-to-end tests stand on: it starts real servers for
// the time of a test. What it needs is built by `make tools`; when that is
// missing a test fails and says so, it never skips.
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
	stop func()
	cmd  *exec.Cmd
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
	o.Endpoint = startS3(t, o)
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
	// A folder below the server's is a bucket.
	if err := os.Mkdir(filepath.Join(s.Dir, name), 0o755); err != nil {
		t.Fatalf("make bucket: %v", err)
	}
	return s
}

// Stop ends the server: nobody answers at its endpoint any more.
func (s S3Server) Stop() { s.process.stop() }

// Start serves again what was served before Stop, at the same endpoint.
func (s S3Server) Start(t testing.TB) {
	t.Helper()
	if err := tryS3(t, s, strings.TrimPrefix(s.Endpoint, "http://")); err != nil {
		t.Fatalf("start the S3 server again: %v", err)
	}
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

func newS3(t testing.TB, versions string) S3Server {
	t.Helper()
	s := S3Server{
		Region:    "us-east-1",
		AccessKey: rand.Text(), SecretKey: rand.Text(),
		Dir: t.TempDir(), versions: versions, process: &s3Process{},
	}
	s = s.WithBucket(t, "lifeboat-test")
	s.Endpoint = startS3(t, s)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": s.AccessKey, "AWS_SECRET_ACCESS_KEY": s.SecretKey, "AWS_SESSION_TOKEN": "",
		"AWS_REGION": "", "AWS_PROFILE": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	return s
}

// startS3 returns the endpoint. Between the choice of a free port and its use
// someone else may take it; then the next one is tried.
func startS3(t testing.TB, s S3Server) string {
	t.Helper()
	var err error
	for range 3 {
		var address string
		if address, err = freeAddress(); err != nil {
			break
		}
		if err = tryS3(t, s, address); err == nil {
			return "http://" + address
		}
	}
	t.Fatalf("start the S3 server: %v", err)
	return ""
}

func tryS3(t testing.TB, s S3Server, address string) error {
	t.Helper()
	var output bytes.Buffer // read only after the process has ended
	args := []string{"--port", address, "--region", s.Region, "--quiet", "--keep-alive", "--virtual-domain", S3Domain, "posix"}
	if s.versions != "" {
		args = append(args, "--versioning-dir", s.versions)
	}
	cmd := exec.Command(tool(t, "versitygw", "VERSITYGW_VERSION"), append(args, s.Dir)...)
	cmd.Env = []string{"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey}
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = endWithParent()
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	stop := func() { _ = cmd.Process.Kill(); <-ended }

	if err := ready(t.Context(), "http://"+address, ended); err != nil {
		stop()
		return fmt.Errorf("%w; it said: %s", err, output.String())
	}
	s.process.stop, s.process.cmd = stop, cmd
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("the S3 server said: %s", output.String())
		}
	})
	return nil
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

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// tool is the path of a program that `make tools` builds, in the version that
// tools/versions.mk names.
func tool(t testing.TB, name, versionVariable string) string {
	t.Helper()
	root := repoRoot(t)
	versions, err := os.ReadFile(filepath.Join(root, "tools", "versions.mk"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + versionVariable + `\s*:=\s*(\S+)`).FindSubmatch(versions)
	if m == nil {
		t.Fatalf("tools/versions.mk does not set %s", versionVariable)
	}
	path := filepath.Join(root, ".cache", "tools", name+"-"+string(m[1]))
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s %s is not built (%v): run `make tools`, or `make -f tools/tools.mk tools`", name, m[1], err)
	}
	return path
}

// repoRoot is found from the working directory, which for a test is its
// package's.
func repoRoot(t testing.TB) string {
	t.Helper()
	start, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "tools", "versions.mk")); err == nil {
			return dir
		}
		if strings.TrimSuffix(dir, string(filepath.Separator)) == filepath.VolumeName(dir) {
			t.Fatalf("no tools/versions.mk above %s", start)
		}
	}
}
