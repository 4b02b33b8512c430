package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// readyTimeout bounds how long a server may take to answer.
	readyTimeout = 30 * time.Second
	// endTimeout bounds how long a program may take to end when it is told to.
	endTimeout = 30 * time.Second
)

// Process is a program that the rig started. The kernel ends it when this process
// ends, if nothing else did before.
type Process struct {
	cmd   *exec.Cmd
	log   tail
	ended chan struct{} // closed when it has ended and its output is read
}

// startProcess starts a program. watch, unless it is nil, is called with each line
// that the program prints.
func startProcess(cmd *exec.Cmd, watch func(line string)) (*Process, error) {
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	endWithParent(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name(), err)
	}
	go func() {
		_ = cmd.Wait() // its state is in cmd
		in.Close()
	}()
	go func() {
		defer close(p.ended)
		for lines := bufio.NewReader(out); ; {
			line, err := lines.ReadString('\n')
			if line = strings.TrimSuffix(line, "\n"); line != "" {
				p.log.add(line)
				if watch != nil {
					watch(line)
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return p, nil
}

func (p *Process) name() string { return filepath.Base(p.cmd.Path) }

// await returns when ready does not fail, and kills the program if that takes too
// long or the program ends before.
func (p *Process) await(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended with status %d before it was ready; its output:\n%s", p.name(), p.cmd.ProcessState.ExitCode(), p.Log())
		case <-ctx.Done():
			p.Kill()
			return fmt.Errorf("%s was not ready within %s: %w; its output:\n%s", p.name(), readyTimeout, err, p.Log())
		case <-tick.C:
		}
	}
}

// End sends a signal and waits until the program has ended. It returns its exit
// code, which is -1 if a signal ended it, and how long it took. A program that has
// not ended after 30 seconds is killed.
func (p *Process) End(s os.Signal) (code int, took time.Duration) {
	began := time.Now()
	_ = p.cmd.Process.Signal(s) // it may have ended by itself
	select {
	case <-p.ended:
	case <-time.After(endTimeout):
		p.Kill()
	}
	return p.cmd.ProcessState.ExitCode(), time.Since(began)
}

// Stop ends the program as a pod is ended. It is an error if the program does not
// end with status 0.
func (p *Process) Stop() error {
	if code, _ := p.End(syscall.SIGTERM); code != 0 {
		return fmt.Errorf("%s ended with status %d when it was stopped; its output:\n%s", p.name(), code, p.Log())
	}
	return nil
}

// Kill ends the program at once.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// Pause stops the program where it is: what it serves hangs.
func (p *Process) Pause() error { return pause(p.cmd.Process) }

// Continue ends a Pause.
func (p *Process) Continue() error { return resume(p.cmd.Process) }

// Log is the end of what the program printed.
func (p *Process) Log() string { return p.log.String() }

// tail keeps the last lines of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

const tailLines = 1000

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

// Server is one of Lifeboat's programs that serves pages.
type Server struct {
	*Process
	// Address is where it listens: host:port.
	Address string
}

// URL is the address of a path, which begins with a slash.
func (s *Server) URL(path string) string { return "http://" + s.Address + path }

// servesAt is what lifeboat-exporter and lifeboat-verifier print when they listen.
var servesAt = regexp.MustCompile(`(?:msg="?Listening on"? address=|status page: http://)([^\s/]+)`)

// StartServer starts a lifeboat-exporter or a lifeboat-verifier and waits until it
// prints where it listens.
func StartServer(ctx context.Context, cmd *exec.Cmd) (*Server, error) {
	address := make(chan string, 1)
	p, err := startProcess(cmd, func(line string) {
		if m := servesAt.FindStringSubmatch(line); m != nil {
			select {
			case address <- m[1]:
			default: // it listens at several
			}
		}
	})
	if err != nil {
		return nil, err
	}
	s := &Server{Process: p}
	err = p.await(ctx, func(context.Context) error {
		select {
		case s.Address = <-address:
			return nil
		default:
			return errors.New("it has not printed where it listens")
		}
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// FreeAddress is an address of the loopback interface that no program listens on
// now.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
