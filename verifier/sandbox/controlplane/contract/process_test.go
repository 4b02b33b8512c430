package contract

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestItEndsAndLeavesNoProcess(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(*controlPlane) error
		code int
	}{
		{"when stdin ends", func(c *controlPlane) error { return c.stdin.Close() }, 0},
		{"on SIGTERM", func(c *controlPlane) error { return c.cmd.Process.Signal(syscall.SIGTERM) }, 0},
		{"on SIGINT", func(c *controlPlane) error { return c.cmd.Process.Signal(syscall.SIGINT) }, 0},
		{"on SIGKILL", func(c *controlPlane) error { return c.cmd.Process.Kill() }, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := start(t)
			children := c.children(t)
			if len(children) != 1 {
				t.Fatalf("want one child, the controller manager, have %v", children)
			}
			if err := tc.end(c); err != nil {
				t.Fatal(err)
			}
			c.waitGone(t, children...)
			if code := c.cmd.ProcessState.ExitCode(); code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if rest := <-c.rest; rest != "" {
				t.Errorf("more than one line on stdout: %q", rest)
			}
		})
	}
}

func TestItEndsBeforeItIsReady(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	c := &controlPlane{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c = launchClosed(t, dir)
	}()
	select {
	case <-done:
	case <-time.After(endLimit + 2*time.Second):
		t.Fatal("a control plane whose parent left while it started did not end")
	}
	if c.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("exit code %d, want 0: it was asked to end", c.cmd.ProcessState.ExitCode())
	}
}

func TestItEndsWithAnErrorWhenItLosesItsControllers(t *testing.T) {
	c := start(t)
	children := c.children(t)
	if err := syscall.Kill(children[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.waitGone(t, children...)
	if code := c.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if rest := <-c.rest; !strings.Contains(rest, `{"event":"error","error":"kube-controller-manager ended: signal: killed`) {
		t.Errorf("the parent was told %q", rest)
	}
}

func TestTwoRunSideBySide(t *testing.T) {
	one, two := start(t), start(t)
	if one.Server == two.Server {
		t.Fatalf("both at %s", one.Server)
	}
	for _, c := range []*controlPlane{one, two} {
		client, _ := c.client(t)
		if _, err := client.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	}
	if err := one.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	one.waitGone(t)
	client, _ := two.client(t)
	if _, err := client.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
		t.Errorf("the end of one took the other with it: %v", err)
	}
}

func TestWhatCannotStartSaysSoInOneLine(t *testing.T) {
	used := filepath.Join(t.TempDir(), "used")
	if err := os.MkdirAll(filepath.Join(used, "etcd"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()

	for _, tc := range []struct {
		name  string
		flags []string
		code  int
		want  string
	}{
		{"no data dir", nil, 2, "--data-dir is required"},
		{"an unknown flag", []string{"--datadir=x"}, 2, "flag provided but not defined: -datadir"},
		{"an argument", []string{"--data-dir", "NEW", "up"}, 2, `unexpected argument "up"`},
		{"a host name as address", []string{"--data-dir", "NEW", "--listen-address", "localhost:0"}, 2, `--listen-address "localhost:0" is not IP:PORT`},
		{"an unknown controller", []string{"--data-dir", "NEW", "--controllers", "default,deploymnet"}, 2, `--controllers: there is no controller "deploymnet"; use default, *, none or names out of: `},
		{"a data dir used before", []string{"--data-dir", used}, 1, "data directory " + used + " was used before; give every run one of its own"},
		{"a file for a data dir", []string{"--data-dir", file}, 1, "create data directory: mkdir " + file + ": not a directory"},
		{"a port in use", []string{"--data-dir", "NEW", "--listen-address", taken.Addr().String()}, 1, "listen for the API server: listen tcp " + taken.Addr().String() + ": bind: address already in use"},
		{"a kubeconfig that cannot be written", []string{"--data-dir", "NEW", "--kubeconfig", file + "/kubeconfig"}, 1, "write kubeconfig: open " + file},
	} {
		t.Run(tc.name, func(t *testing.T) {
			flags := slices.Clone(tc.flags)
			if i := slices.Index(flags, "NEW"); i >= 0 {
				flags[i] = filepath.Join(t.TempDir(), "new")
			}
			c := launch(t, nil, flags...)
			if c.Event != "error" || !strings.HasPrefix(c.Error, tc.want) {
				t.Errorf("told %q, want %q", c.Error, tc.want)
			}
			c.waitGone(t)
			if code := c.cmd.ProcessState.ExitCode(); code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if rest := <-c.rest; rest != "" {
				t.Errorf("more than one line on stdout: %q", rest)
			}
			if tc.code == 2 && !strings.Contains(c.stderr.String(), "hint: lifeboat-controlplane --help") {
				t.Errorf("a person reads %q", c.stderr.String())
			}
		})
	}
}

func TestItWorksInADirectoryWithALongName(t *testing.T) {
	// A socket's address holds 108 bytes; its directory's name may be longer.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 30), "data")
	c := launch(t, nil, "--data-dir", dir)
	if c.Event != "ready" {
		t.Fatal(c.Error)
	}
}

func TestHelpAndVersionAreForPeople(t *testing.T) {
	if out := output(t, "--help"); !strings.Contains(out, "lifeboat-controlplane --data-dir DIR") || !strings.Contains(out, "-controllers") {
		t.Errorf("help is %q", out)
	}
	if out := output(t, "--version"); !strings.HasPrefix(out, "lifeboat-controlplane Kubernetes "+linkedVersion(t)+" etcd 3.") {
		t.Errorf("version is %q", out)
	}
}
