package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	maxLine    = 64 << 10 // of a line that the child writes to stdout
	maxStderr  = 4 << 10
	maxTail    = 4 << 10 // of each log in an error
	killWait   = 2 * time.Second
	waitOutput = time.Second
)

// event is a line that the child writes to stdout.
type event struct {
	Event      string `json:"event"` // "ready" or "error"
	Error      string `json:"error"`
	Server     string `json:"server"`
	Kubeconfig string `json:"kubeconfig"`
	Version    string `json:"version"`
}

// child is a lifeboat-controlplane process. It is in a process group of its
// own, has a stdin that ends with this process, and on Linux is killed by the
// kernel when this process dies.
type child struct {
	cmd    *exec.Cmd
	stdin  *os.File // our end of its pipe
	out    events
	errOut prefix
	exited chan struct{} // closed when the process is gone and waited for
	err    error         // of the process; valid once exited is closed
}

func newChild(binary, dir string, args []string) *child {
	c := &child{exited: make(chan struct{})}
	c.out.first = make(chan event, 1)
	c.cmd = exec.Command(binary, args...) //nolint:noctx // it outlives the call that starts it, and stop ends it
	c.cmd.Env = childEnv(dir)
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.errOut
	c.cmd.WaitDelay = waitOutput
	c.cmd.SysProcAttr = ownGroup()
	return c
}

// childEnv is what the child needs of our environment. Credentials for buckets
// and clusters are not among it.
func childEnv(dir string) []string {
	env := []string{"HOME=" + dir, "TMPDIR=" + dir}
	for _, name := range []string{"PATH", "GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// start runs the process. A goroutine owns it until it is gone.
func (c *child) start() error {
	read, write, err := os.Pipe()
	if err != nil {
		close(c.exited)
		return err
	}
	c.cmd.Stdin, c.stdin = read, write
	started := make(chan error, 1)
	go func() {
		defer close(c.exited)
		// The kernel sends the death signal when the thread that forked ends,
		// so this goroutine keeps its thread for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		_ = read.Close() // the child has its own
		started <- err
		if err == nil {
			c.err = c.cmd.Wait()
		}
	}()
	return <-started
}

// first waits for the first line of the child, which must report that it is ready.
func (c *child) first(ctx context.Context) (event, error) {
	var said event
	select {
	case said = <-c.out.first:
	case <-c.exited:
		select {
		case said = <-c.out.first: // it wrote the line and exited
		default:
			return event{}, c.failure()
		}
	case <-ctx.Done():
		return event{}, context.Cause(ctx)
	}
	switch said.Event {
	case "ready":
		return said, nil
	case "error":
		return event{}, errors.New(said.Error)
	default:
		return event{}, fmt.Errorf("unexpected output %q", said.Error)
	}
}

// failure reports why the process, which has exited, ended.
func (c *child) failure() error {
	if said := c.out.lastError(); said != "" {
		return errors.New(said)
	}
	if c.err != nil {
		return c.err
	}
	return errors.New("it ended without an error")
}

// stop asks the process to end, and kills it when it does not in time or when
// ctx is done.
func (c *child) stop(ctx context.Context, patience time.Duration) {
	_ = c.stdin.Close()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.exited:
	case <-timer.C:
	case <-ctx.Done():
	}
	c.kill()
}

// kill ends the process and its group, at once, and returns when they are gone.
func (c *child) kill() {
	if c.stdin != nil {
		_ = c.stdin.Close()
	}
	if c.cmd.Process == nil {
		return
	}
	killGroup(c.cmd.Process)
	<-c.exited
	// The process has exited and was waited for. Its own children may still run in
	// its group; they write into a directory that is about to be removed.
	for deadline := time.Now().Add(killWait); groupAlive(c.cmd.Process.Pid) && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
}

func (c *child) stderr() string { return c.errOut.String() }

// events splits stdout into lines and keeps the first and the last error.
type events struct {
	first chan event // takes one

	mu      sync.Mutex
	partial []byte
	told    bool
	failed  string
}

// Write never fails: an error would kill the child.
func (e *events) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for rest := p; len(rest) > 0; {
		line, after, complete := bytes.Cut(rest, []byte("\n"))
		if room := maxLine - len(e.partial); len(line) > room {
			line, complete = line[:room], true
			after = nil
		}
		e.partial = append(e.partial, line...)
		if complete {
			e.line(e.partial)
			e.partial = e.partial[:0]
		}
		rest = after
	}
	return len(p), nil
}

func (e *events) line(line []byte) {
	var said event
	if err := json.Unmarshal(line, &said); err != nil || said.Event == "" {
		said = event{Error: string(line[:min(len(line), 200)])}
	}
	if said.Event == "error" {
		e.failed = said.Error
	}
	if !e.told {
		e.told = true
		e.first <- said
	}
}

func (e *events) lastError() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failed
}

// prefix keeps the beginning of stderr: the binary writes there only until it
// has a log.
type prefix struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *prefix) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p[:min(len(p), maxStderr-w.buf.Len())])
	return len(p), nil
}

func (w *prefix) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// tail is the end of a log: whole lines, a few KiB at most. A log that cannot
// be read has none; the error it would explain is reported without it.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	from := max(0, info.Size()-maxTail)
	data, err := io.ReadAll(io.NewSectionReader(f, from, maxTail))
	if err != nil {
		return ""
	}
	text := string(data)
	if _, whole, found := strings.Cut(text, "\n"); from > 0 && found {
		text = whole
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}
