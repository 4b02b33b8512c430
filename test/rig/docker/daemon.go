package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lifeboat-backup/lifeboat/tools/nodeimage/bounding"
)

const (
	startLimit = time.Minute
	stopLimit  = time.Minute // dockerd gives each container ten seconds
)

// daemon is a dockerd of this command's own.
type daemon struct {
	data  string // folder of images and containers, in the repository's cache
	state string // folder of sockets and pid files: short, as the paths of sockets must be
	lock  *os.File
	cmd   *exec.Cmd
	ended chan error
}

func (d *daemon) host() string    { return "unix://" + filepath.Join(d.state, "docker.sock") }
func (d *daemon) pidFile() string { return filepath.Join(d.state, "docker.pid") }
func (d *daemon) log() string     { return filepath.Join(d.data, "..", "dockerd.log") }

// newDaemon takes the data folder for this process, and ends what a killed run
// has left in it.
func newDaemon(ctx context.Context) (*daemon, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	root := filepath.Join(filepath.Dir(strings.TrimSpace(string(mod))), ".cache", "docker")
	sum := sha256.Sum256([]byte(root))
	d := &daemon{data: filepath.Join(root, "data"), state: fmt.Sprintf("/run/lifeboat-docker-%x", sum[:4]), ended: make(chan error, 1)}
	for _, dir := range []string{d.data, d.state} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if d.lock, err = lock(filepath.Join(root, "lock")); err != nil {
		return nil, err
	}
	for _, pidFile := range []string{d.pidFile(), filepath.Join(d.state, "exec", "containerd", "containerd.pid")} {
		if err := endLeftover(pidFile, d.state); err != nil {
			return nil, errors.Join(err, d.lock.Close())
		}
	}
	return d, nil
}

// lock waits until no other run has the daemon.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		fmt.Fprintln(os.Stderr, "rig: waiting for another run that has a Docker daemon of this repository")
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
	}
	return f, nil
}

// start starts dockerd and waits until it answers. A dockerd whose parent is
// killed ends too, with its containers.
func (d *daemon) start(ctx context.Context) error {
	args := []string{
		"--data-root", d.data, "--exec-root", filepath.Join(d.state, "exec"), "--pidfile", d.pidFile(), "--host", d.host(),
		"--bridge", "none", "--log-level", "warn",
	}
	bounded, err := bounding.LacksSysResource()
	if err != nil {
		return err
	}
	if bounded {
		wrapper, err := buildWrapper(ctx, filepath.Join(d.data, "..", "runtime"))
		if err != nil {
			return err
		}
		args = append(args, "--add-runtime", "lifeboat="+wrapper, "--default-runtime", "lifeboat")
		fmt.Fprintln(os.Stderr, "rig: this host lacks CAP_SYS_RESOURCE; containers run without it")
	}
	log, err := os.Create(d.log())
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintln(os.Stderr, "rig: starting a Docker daemon, log in", filepath.Clean(d.log()))
	d.cmd = exec.Command("dockerd", args...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	// A group of its own: Ctrl-C is for the command first.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := d.cmd.Start(); err != nil {
		d.cmd = nil
		return err
	}
	go func() { d.ended <- d.cmd.Wait() }()
	if err := d.ready(ctx); err != nil {
		return err
	}
	return d.empty(ctx)
}

// empty removes containers, and networks with them: dockerd starts those of a
// killed run again, and leaves the bridge of a network to the host when it ends,
// where it takes packets away from the network of the same name that the daemon
// of another clone makes. Nothing else uses this daemon.
func (d *daemon) empty(ctx context.Context) error {
	ids, err := d.docker(ctx, "ps", "--all", "--quiet")
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		if _, err = d.docker(ctx, append([]string{"rm", "--force", "--volumes"}, strings.Fields(ids)...)...); err != nil {
			return err
		}
	}
	_, err = d.docker(ctx, "network", "prune", "--force")
	return err
}

func (d *daemon) docker(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.host())
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w", args[0], err)
	}
	return string(out), nil
}

func (d *daemon) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("dockerd does not answer after %s (see %s)", startLimit, filepath.Clean(d.log())))
	defer cancel()
	for !answers(ctx, append(os.Environ(), "DOCKER_HOST="+d.host())) {
		select {
		case err := <-d.ended:
			d.cmd = nil
			said, _ := os.ReadFile(d.log())
			return fmt.Errorf("dockerd ended: %w: %s", err, lastLine(said))
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// stop ends the daemon, and so its containers, and waits for it.
func (d *daemon) stop() error {
	defer d.lock.Close()
	if d.cmd == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	left := d.empty(ctx)
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return errors.Join(left, err)
	}
	select {
	case <-d.ended: //nolint:errcheck // its status says nothing that its log does not
		return errors.Join(left, os.RemoveAll(d.state))
	case <-time.After(stopLimit):
		err := d.cmd.Process.Kill()
		<-d.ended //nolint:errcheck // it was killed
		return errors.Join(left, fmt.Errorf("dockerd did not end within %s and was killed", stopLimit), err)
	}
}

// buildWrapper puts the runtime wrapper beside a link to the real runc.
func buildWrapper(ctx context.Context, dir string) (string, error) {
	real, err := exec.LookPath("runc")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	wrapper, link := filepath.Join(dir, "lifeboat-runc"), filepath.Join(dir, "runc.real")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", wrapper,
		"github.com/lifeboat-backup/lifeboat/tools/nodeimage/runtime")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the runtime wrapper: %w: %s", err, out)
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return wrapper, os.Symlink(real, link)
}

// endLeftover ends the process of a pid file if it is one of a killed run: its
// command line names our state folder. The number alone may be anybody's.
func endLeftover(pidFile, state string) error {
	raw, err := os.ReadFile(pidFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err == nil && owns(pid, state) {
		fmt.Fprintf(os.Stderr, "rig: ending what a killed run left (process %d)\n", pid)
		if err := end(pid, state); err != nil {
			return err
		}
	}
	if err := os.Remove(pidFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func owns(pid int, state string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.Contains(string(line), state)
}

func end(pid int, state string) error {
	deadline := time.Now().Add(stopLimit)
	for signal := syscall.SIGTERM; owns(pid, state); time.Sleep(100 * time.Millisecond) {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end process %d: %w", pid, err)
		}
		if time.Now().After(deadline) {
			signal = syscall.SIGKILL
		}
	}
	return nil
}
