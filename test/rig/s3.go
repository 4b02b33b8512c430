// Package rig starts the real servers that end-to-end tests, benchmarks and the
// demo use. Starting one returns an error; rigtest.go has the same for tests, where
// a server ends with its test. What it needs is built by `make tools`; when that is
// missing a test fails and names the make target, it never skips.
package rig

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

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

	versions string // the folder for older versions of objects; empty if they are not kept
	running  *running
}

// running is the process that serves, which copies of an S3Server share.
type running struct{ *Process }

// StartS3 starts an S3 server (versitygw) that keeps its objects in dir, with one
// empty bucket and random credentials, on a free port of the loopback interface. It
// serves until Stop.
func StartS3(ctx context.Context, dir string) (S3Server, error) {
	return startS3(ctx, dir, "")
}

func startS3(ctx context.Context, dir, versions string) (S3Server, error) {
	s := S3Server{
		Region: "us-east-1", Bucket: "lifeboat-test",
		AccessKey: rand.Text(), SecretKey: rand.Text(),
		Dir: dir, versions: versions, running: &running{},
	}
	if err := s.makeBucket(); err != nil {
		return S3Server{}, err
	}
	return s, s.startAnywhere(ctx)
}

// another starts a second server with the same credentials and with an empty
// bucket of the same name.
func (s S3Server) another(ctx context.Context, dir, versions string) (S3Server, error) {
	o := s
	o.Dir, o.versions, o.running = dir, versions, &running{}
	if err := o.makeBucket(); err != nil {
		return S3Server{}, err
	}
	return o, o.startAnywhere(ctx)
}

// makeBucket makes a folder below the server's, which is a bucket.
func (s S3Server) makeBucket() error {
	if err := os.Mkdir(filepath.Join(s.Dir, s.Bucket), 0o755); err != nil {
		return fmt.Errorf("make bucket: %w", err)
	}
	return nil
}

// Stop ends the server: nothing answers at its endpoint any more.
func (s S3Server) Stop() { s.running.Kill() }

// restart serves again what was served before Stop, at the same endpoint.
func (s S3Server) restart(ctx context.Context) error {
	return s.start(ctx, strings.TrimPrefix(s.Endpoint, "http://"))
}

// URL is the location of a prefix in the bucket; "" is the bucket itself.
func (s S3Server) URL(prefix string) string {
	u := url.URL{Scheme: "s3", Host: s.Bucket, Path: "/" + prefix}
	u.RawQuery = url.Values{"endpoint": {s.Endpoint}, "region": {s.Region}}.Encode()
	return u.String()
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
// its use another program may take it; then the next one is tried.
func (s *S3Server) startAnywhere(ctx context.Context) error {
	var errs []error
	for range 3 {
		address, err := FreeAddress()
		if err == nil {
			err = s.start(ctx, address)
		}
		if err == nil {
			s.Endpoint = "http://" + address
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("start the S3 server: %w", errors.Join(errs...))
}

func (s S3Server) start(ctx context.Context, address string) error {
	binary, err := toolPath("versitygw", "VERSITYGW_VERSION")
	if err != nil {
		return err
	}
	args := []string{"--port", address, "--region", s.Region, "--quiet", "--keep-alive", "--virtual-domain", S3Domain, "posix"}
	if s.versions != "" {
		args = append(args, "--versioning-dir", s.versions)
	}
	cmd := exec.Command(binary, append(args, s.Dir)...)
	cmd.Env = []string{"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey}
	p, err := startProcess(cmd, nil)
	if err != nil {
		return err
	}
	s.running.Process = p
	return p.await(ctx, func(ctx context.Context) error { return answers(ctx, "http://"+address, 0) })
}
