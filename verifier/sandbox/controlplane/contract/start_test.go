package contract

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Limits of the contract, and of patience.
const (
	startLimit = time.Minute
	endLimit   = 3 * time.Second
)

var binary string

// TestMain builds the binary as a release does, by make, which does nothing
// when it is up to date.
func TestMain(m *testing.M) {
	root, err := filepath.Abs("../../../..")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	build := exec.Command("make", "--no-print-directory", "-f", filepath.Join(root, "verifier/sandbox/controlplane/controlplane.mk"), "controlplane")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "make controlplane:", err)
		os.Exit(1)
	}
	binary = filepath.Join(root, "bin/lifeboat-controlplane")
	os.Exit(m.Run())
}

// event is any line on stdout.
type event struct {
	Event, Error, Server, Kubeconfig, Version string
	PID                                       int
	Seconds                                   float64
}

// controlPlane is a started lifeboat-controlplane.
type controlPlane struct {
	event

	dir    string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr bytes.Buffer
	rest   chan string // what came on stdout after the first line, once it ended
	exited chan struct{}
}

// launch starts the binary and reads its first line.
func launch(t *testing.T, env []string, flags ...string) *controlPlane {
	t.Helper()
	c := &controlPlane{rest: make(chan string, 1), exited: make(chan struct{})}
	c.cmd = exec.Command(binary, flags...)
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.Stderr = &c.stderr
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.Stdout = write
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	go func() {
		_ = c.cmd.Wait()
		close(c.exited)
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		<-c.exited
	})

	lines := make(chan string)
	go func() {
		defer stdout.Close()
		r := bufio.NewReader(stdout)
		first, _ := r.ReadString('\n')
		lines <- first
		rest, _ := io.ReadAll(r)
		c.rest <- string(rest)
	}()
	select {
	case line := <-lines:
		if err := json.Unmarshal([]byte(line), &c.event); err != nil {
			t.Fatalf("the first line is not JSON: %q (%v)\n%s", line, err, c.stderr.String())
		}
	case <-time.After(startLimit):
		t.Fatal("no line on stdout in time")
	}
	return c
}

// start launches a control plane in a directory of its own and expects it to
// become ready.
func start(t *testing.T, flags ...string) *controlPlane {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	c := launch(t, nil, append([]string{"--data-dir", dir}, flags...)...)
	c.dir = dir
	if c.Event != "ready" {
		log, _ := os.ReadFile(filepath.Join(dir, "apiserver.log"))
		t.Fatalf("not ready: %+v\n%s", c.event, log[max(0, len(log)-4000):])
	}
	return c
}

func (c *controlPlane) client(t *testing.T) (kubernetes.Interface, *rest.Config) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client, config
}

// children are the processes the control plane has started.
func (c *controlPlane) children(t *testing.T) []int {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for line := range strings.Lines(string(out)) {
		var pid, parent int
		if _, err := fmt.Sscan(line, &pid, &parent); err == nil && parent == c.cmd.Process.Pid {
			pids = append(pids, pid)
		}
	}
	return pids
}

// waitGone fails unless the control plane and the given processes are gone
// within the limit.
func (c *controlPlane) waitGone(t *testing.T, pids ...int) {
	t.Helper()
	began := time.Now()
	select {
	case <-c.exited:
	case <-time.After(endLimit):
		t.Fatalf("still running after %v", endLimit)
	}
	eventually(t, endLimit-time.Since(began), "its child is still running", func() bool {
		return !slices.ContainsFunc(pids, alive)
	})
}

func alive(pid int) bool {
	return syscall.Kill(pid, 0) == nil
}

func eventually(t *testing.T, limit time.Duration, complaint string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %s", limit, complaint)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// launchClosed starts a control plane whose stdin has ended already, and waits
// for it.
func launchClosed(t *testing.T, dir string) *controlPlane {
	t.Helper()
	c := &controlPlane{dir: dir, cmd: exec.Command(binary, "--data-dir", dir)}
	c.cmd.Stdin = bytes.NewReader(nil)
	out, _ := c.cmd.Output()
	if len(out) > 0 {
		t.Errorf("told %q to nobody", out)
	}
	return c
}

func output(t *testing.T, flags ...string) string {
	t.Helper()
	out, err := exec.Command(binary, flags...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// linkedVersion is the version of Kubernetes in go.mod.
func linkedVersion(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "k8s.io/kubernetes" {
			return fields[1]
		}
	}
	t.Fatal("go.mod names no k8s.io/kubernetes")
	return ""
}
