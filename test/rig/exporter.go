package rig

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BuildExporter builds lifeboat-exporter as it is now and returns its path.
func BuildExporter(t testing.TB) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "lifeboat-exporter")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/lifeboat-exporter")
	cmd.Dir = repoRoot(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build lifeboat-exporter: %v\n%s", err, out)
	}
	return binary
}

// Exporter is a running lifeboat-exporter.
type Exporter struct {
	// Address is where it serves: host:port.
	Address string

	cmd  *exec.Cmd
	log  *tail
	read chan struct{} // closed when its log has ended
}

var exporterListens = regexp.MustCompile(`msg="?Listening on"? address=(\S+)`)

// StartExporter starts an exporter, on a free port of the loopback interface if
// the arguments do not say where, and waits until it serves. It ends with the
// test.
func StartExporter(t testing.TB, binary string, args ...string) *Exporter {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"--web.listen-address=127.0.0.1:0"}, args...)...)
	for _, arg := range args {
		if strings.HasPrefix(arg, "--web.listen-address=") {
			cmd.Args = append([]string{binary}, args...)
		}
	}
	cmd.Env = os.Environ()
	cmd.SysProcAttr = endWithParent()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start lifeboat-exporter: %v", err)
	}
	e := &Exporter{cmd: cmd, log: &tail{}, read: make(chan struct{})}
	t.Cleanup(e.kill)
	address := make(chan string, 1)
	go func() {
		defer close(e.read)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			e.log.add(lines.Text())
			if m := exporterListens.FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
			}
		}
	}()
	select {
	case e.Address = <-address:
	case <-e.read:
		t.Fatalf("lifeboat-exporter ended before it served:\n%s", e.log)
	case <-time.After(readyTimeout):
		t.Fatalf("lifeboat-exporter did not serve within %s:\n%s", readyTimeout, e.log)
	}
	return e
}

// Stop ends the exporter the way a pod is ended, which it has to do in order.
func (e *Exporter) Stop(t testing.TB) {
	t.Helper()
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("stop lifeboat-exporter: %v", err)
	}
	<-e.read
	if err := e.cmd.Wait(); err != nil {
		t.Errorf("lifeboat-exporter did not end in order: %v\n%s", err, e.log)
	}
}

// Pause lets the exporter hang: scrapes get no answer.
func (e *Exporter) Pause(t testing.TB) {
	t.Helper()
	if err := pause(e.cmd.Process); err != nil {
		t.Fatalf("pause lifeboat-exporter: %v", err)
	}
}

// Continue ends a Pause.
func (e *Exporter) Continue(t testing.TB) {
	t.Helper()
	if err := resume(e.cmd.Process); err != nil {
		t.Fatalf("let lifeboat-exporter go on: %v", err)
	}
}

// Log is the end of what it has logged.
func (e *Exporter) Log() string { return e.log.String() }

// kill ends what is still running.
func (e *Exporter) kill() {
	_ = e.cmd.Process.Kill() // it may have ended
	<-e.read
	_ = e.cmd.Wait() // it may have been waited for
}

// tail keeps the last lines of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

const tailLines = 100

func (l *tail) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines = append(l.lines, line); len(l.lines) > tailLines {
		l.lines = l.lines[1:]
	}
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}
