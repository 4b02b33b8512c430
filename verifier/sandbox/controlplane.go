package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	controlPlaneName = "lifeboat-controlplane"
	controlPlaneEnv  = "LIFEBOAT_CONTROLPLANE"

	startTimeout  = time.Minute
	endPatience   = 5 * time.Second // the binary promises 3
	maxKubeconfig = 1 << 20
)

var (
	// ErrUp is returned by Up for a sandbox that is up already.
	ErrUp = errors.New("sandbox is up already")
	// ErrDied is returned by Down for a sandbox that ended before it was
	// called: what the drill saw since then means nothing for the backup.
	// Everything is removed nevertheless.
	ErrDied = errors.New("sandbox ended on its own")
	// ErrNoBinary is returned when there is no lifeboat-controlplane to start.
	ErrNoBinary = errors.New("no " + controlPlaneName + " binary")
)

// LogError is a failure of a sandbox together with the last lines of its logs,
// which are gone with it.
type LogError struct {
	Err error
	Log string
}

func (e *LogError) Error() string {
	if e.Log == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + "; last lines of its logs:\n" + e.Log
}

func (e *LogError) Unwrap() error { return e.Err }

// ControlPlane is the sandbox of level controlplane: etcd, kube-apiserver and
// the controllers a restore needs, run by lifeboat-controlplane as a child of
// this process, with its data in a temporary directory. It needs no privilege
// and no container engine. It runs no pod.
//
// The zero value is ready to use. The fields are read by Up.
type ControlPlane struct {
	// Binary is the path of lifeboat-controlplane; empty lets FindControlPlane
	// look for it.
	Binary string
	// Dir is where the data directory is made; empty means os.TempDir. It holds
	// the restored Secrets for as long as the sandbox is up, readable by this
	// user alone.
	Dir string
	// Controllers is the list for its flag --controllers; empty means those a
	// restore needs.
	Controllers string
	// AllowEgress lets the API server call webhooks and aggregated API servers,
	// at the addresses that the restored objects name.
	AllowEgress bool
	// StartTimeout bounds the start of Up besides its context; zero means one
	// minute.
	StartTimeout time.Duration

	mu      sync.Mutex
	running *runningControlPlane
}

var _ Sandbox = (*ControlPlane)(nil)

// runningControlPlane is a started child and what must go with it.
type runningControlPlane struct {
	child *child
	dir   string
	lock  *os.File // held on dir while this process lives; nil where there are no locks
}

// FindControlPlane returns the path of the lifeboat-controlplane binary: the
// explicit one, that of LIFEBOAT_CONTROLPLANE, one beside the running program,
// or one in PATH. A path that is named but holds no program is an error, not a
// reason to look further.
func FindControlPlane(explicit string) (string, error) {
	for _, named := range []struct{ by, path string }{
		{"the path given", explicit},
		{controlPlaneEnv, os.Getenv(controlPlaneEnv)},
	} {
		if named.path == "" {
			continue
		}
		path, err := exec.LookPath(named.path)
		if err != nil {
			return "", fmt.Errorf("%w at %s (%s): build it with `make controlplane`: %w", ErrNoBinary, named.path, named.by, err)
		}
		return filepath.Abs(path)
	}
	if self, err := os.Executable(); err == nil {
		if path, err := exec.LookPath(filepath.Join(filepath.Dir(self), controlPlaneName)); err == nil {
			return path, nil
		}
	}
	if path, err := exec.LookPath(controlPlaneName); err == nil {
		return filepath.Abs(path)
	}
	return "", fmt.Errorf("%w beside this program or in PATH: build it with `make controlplane`, or name it with --controlplane-binary or %s", ErrNoBinary, controlPlaneEnv)
}

// Up removes what dead owners left in Dir and starts a control plane. A
// failure is a *LogError once there are logs.
func (c *ControlPlane) Up(ctx context.Context) (Cluster, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running != nil {
		return Cluster{}, ErrUp
	}
	binary, err := FindControlPlane(c.Binary)
	if err != nil {
		return Cluster{}, err
	}
	parent := c.Dir
	if parent == "" {
		parent = os.TempDir()
	}
	if parent, err = filepath.Abs(parent); err != nil {
		return Cluster{}, fmt.Errorf("resolve directory of sandboxes: %w", err)
	}
	// What another drill left must not fail this one; Sweep reports it.
	_, _ = Sweep(parent)

	dir, lock, err := makeDataDir(parent)
	if err != nil {
		return Cluster{}, err
	}
	timeout := c.StartTimeout
	if timeout <= 0 {
		timeout = startTimeout
	}
	args := []string{"--data-dir", dir}
	if c.Controllers != "" {
		args = append(args, "--controllers", c.Controllers)
	}
	if c.AllowEgress {
		args = append(args, "--allow-egress")
	}
	run := &runningControlPlane{child: newChild(binary, dir, args), dir: dir, lock: lock}
	cluster, err := run.start(ctx, timeout)
	if err != nil {
		// The context may be what ended the start; there is nothing to wait for.
		run.child.kill()
		err = &LogError{Err: fmt.Errorf("start %s: %w", controlPlaneName, err), Log: run.log()}
		return Cluster{}, errors.Join(err, run.remove())
	}
	c.running = run
	return cluster, nil
}

// Down stops the control plane and removes its data. The error is ErrDied in a
// *LogError when it had ended before.
func (c *ControlPlane) Down(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	run := c.running
	if run == nil {
		return nil
	}
	c.running = nil
	died := run.died()
	run.child.stop(ctx, endPatience)
	return errors.Join(died, run.remove())
}

// start runs the child until it reports that it is ready.
func (r *runningControlPlane) start(ctx context.Context, timeout time.Duration) (Cluster, error) {
	if err := r.child.start(); err != nil {
		return Cluster{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not ready after %v", timeout))
	defer cancel()
	said, err := r.child.first(ctx)
	if err != nil {
		return Cluster{}, err
	}
	kubeconfig, err := readBounded(said.Kubeconfig, maxKubeconfig)
	if err != nil {
		return Cluster{}, fmt.Errorf("read its kubeconfig: %w", err)
	}
	return Cluster{Kubeconfig: kubeconfig, Server: said.Server, Version: said.Version}, nil
}

// died is the error of a child that ended before it was asked to.
func (r *runningControlPlane) died() error {
	select {
	case <-r.child.exited:
	default:
		return nil
	}
	return &LogError{Err: fmt.Errorf("%w: %w", ErrDied, r.child.failure()), Log: r.log()}
}

// remove deletes the data directory and then unlocks it. What could not be deleted
// is left to Sweep.
func (r *runningControlPlane) remove() error {
	err := os.RemoveAll(r.dir)
	if r.lock != nil {
		err = errors.Join(err, r.lock.Close())
	}
	if err != nil {
		return fmt.Errorf("remove data of the sandbox: %w", err)
	}
	return nil
}

// log is the end of everything the child wrote.
func (r *runningControlPlane) log() string {
	var b strings.Builder
	for _, name := range []string{"etcd.log", "controller-manager.log", "apiserver.log"} {
		if tail := tail(filepath.Join(r.dir, name)); tail != "" {
			fmt.Fprintf(&b, "%s:\n%s", name, tail)
		}
	}
	b.WriteString(r.child.stderr())
	return strings.TrimRight(b.String(), "\n")
}

// makeDataDir creates a directory whose name identifies its owner, and locks it:
// the kernel frees the lock when this process ends, however it ends.
func makeDataDir(parent string) (dir string, lock *os.File, err error) {
	dir, err = os.MkdirTemp(parent, fmt.Sprintf("%s-%d-", controlPlaneName, os.Getpid()))
	if err != nil {
		return "", nil, fmt.Errorf("create data directory: %w", err)
	}
	if lock, err = LockDir(dir); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return "", nil, errors.Join(fmt.Errorf("lock data directory: %w", err), os.Remove(dir))
	}
	return dir, lock, nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%s is not a file of at most %d bytes: %w", path, limit, fs.ErrInvalid)
	}
	return os.ReadFile(path)
}
