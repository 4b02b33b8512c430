package main

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
	"time"
)

const (
	s3Bucket = "lifeboat-bench"
	s3Region = "us-east-1"
	s3Wait   = 30 * time.Second
)

// s3Server is a running versitygw with one empty bucket. Package rig starts one
// too, but for tests only.
type s3Server struct {
	cmd              *exec.Cmd
	ended            chan struct{} // closed when the process is gone
	endpoint         string
	access, password string
}

func startS3(ctx context.Context, dir string) (s3Server, error) {
	binary, err := s3Binary()
	if err != nil {
		return s3Server{}, err
	}
	dir = filepath.Join(dir, "s3")
	if err := os.MkdirAll(filepath.Join(dir, s3Bucket), 0o755); err != nil { // a folder below the server's is a bucket
		return s3Server{}, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return s3Server{}, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return s3Server{}, err
	}
	s := s3Server{endpoint: "http://" + address, access: rand.Text(), password: rand.Text(), ended: make(chan struct{})}
	s.cmd = exec.CommandContext(ctx, binary, "--port", address, "--region", s3Region, "--quiet", "--keep-alive", "posix", dir)
	s.cmd.Env = []string{"ROOT_ACCESS_KEY=" + s.access, "ROOT_SECRET_KEY=" + s.password}
	var output bytes.Buffer // read only after the process has ended
	s.cmd.Stdout, s.cmd.Stderr = &output, &output
	if err := s.cmd.Start(); err != nil {
		return s3Server{}, err
	}
	go func() { _ = s.cmd.Wait(); close(s.ended) }()
	if err := s.answers(ctx); err != nil {
		s.stop()
		return s3Server{}, fmt.Errorf("start the S3 server: %w; it said: %s", err, output.String())
	}
	return s, nil
}

// s3Binary is the program of `make tools`, in the version that
// tools/versions.mk names, both looked for from the working directory.
func s3Binary() (string, error) {
	versions, err := os.ReadFile(filepath.Join("tools", "versions.mk"))
	if err != nil {
		return "", fmt.Errorf("run this from the root of the repository: %w", err)
	}
	m := regexp.MustCompile(`(?m)^VERSITYGW_VERSION\s*:=\s*(\S+)`).FindSubmatch(versions)
	if m == nil {
		return "", errors.New("tools/versions.mk does not set VERSITYGW_VERSION")
	}
	path, err := filepath.Abs(filepath.Join(".cache", "tools", "versitygw-"+string(m[1])))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the S3 server is not built (run `make tools`, or give -no-s3): %w", err)
	}
	return path, nil
}

func (s s3Server) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s3Wait)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			return resp.Body.Close()
		}
		select {
		case <-s.ended:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("it did not answer within %s", s3Wait)
		case <-tick.C:
		}
	}
}

func (s s3Server) stop() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

func (s s3Server) url() string {
	u := url.URL{Scheme: "s3", Host: s3Bucket, Path: "/bench"}
	u.RawQuery = url.Values{"endpoint": {s.endpoint}, "region": {s3Region}}.Encode()
	return u.String()
}

// env is the environment of a program that uses the bucket, free of whatever
// this user has set up for others.
func (s s3Server) env() []string {
	return []string{
		"AWS_ACCESS_KEY_ID=" + s.access, "AWS_SECRET_ACCESS_KEY=" + s.password, "AWS_SESSION_TOKEN=", "AWS_REGION=", "AWS_PROFILE=",
		"AWS_ENDPOINT_URL=", "AWS_ENDPOINT_URL_S3=", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}
