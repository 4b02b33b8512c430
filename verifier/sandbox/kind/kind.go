// Package kind provides sandboxes that run pods: a kind cluster of one node, made
// for one drill and removed after it. It needs the docker command and an engine
// that starts privileged containers.
//
// Nothing of a sandbox is left after Down, or after an Up that failed or was
// cancelled: no container, volume, network, process or file. If the verifier itself
// is killed, its sandbox stays until the next Up or Sweep removes it.
//
// The node is a privileged container. What is restored is in a volume on
// the engine's disk while the sandbox is up, and the administrator's kubeconfig in a
// file that only this user can read.
package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	kindversion "sigs.k8s.io/kind/pkg/cmd/kind/version"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

const (
	startTimeout = 5 * time.Minute
	// hurried bounds a removal whose context is done already, and what is left to
	// do when a creation was cancelled.
	hurried   = 30 * time.Second
	userAgent = "lifeboat-verifier"
)

// Sandbox is the sandbox of level kind. The zero value with a Choice is ready to
// use. The fields are read by Up and must not change until Down.
type Sandbox struct {
	// Choice names the node image to run.
	Choice Choice
	// Images sets where Provide finds images.
	Images policy.Images
	// Egress is what Contain leaves open.
	Egress []policy.Egress
	// Dir is where the sandbox keeps its files and the lock that its owner holds; empty means os.TempDir. Sweep finds in the same Dir what was left.
	Dir string
	// Pool, if set, has sandboxes that are ready; Up takes one that runs the chosen
	// image, and creates one only if it is missing.
	Pool *Pool
	// StartTimeout bounds the creation of a cluster, besides the context of Up; zero
	// means five minutes. A pull of the node image is not part of it.
	StartTimeout time.Duration
	// Progress, if set, is called with what Up is doing. It is called by one goroutine
	// at a time.
	Progress func(detail string)

	mu sync.Mutex
	up *node
}

var _ sandbox.Runner = (*Sandbox)(nil)

// New makes the sandbox that a policy asks for. source is the version of the
// backup's cluster, "" when it is not known.
func New(spec policy.Spec, source string) *Sandbox {
	return &Sandbox{
		Choice: Choice{NodeImage: spec.NodeImage, KubernetesVersion: spec.KubernetesVersion, Source: source},
		Images: spec.Images,
		Egress: spec.Egress,
	}
}

// errDown is returned by what needs a sandbox that is up.
var errDown = errors.New("sandbox is not up")

// node is a running sandbox: one container.
type node struct {
	name    name
	image   string
	dir     string
	lock    *os.File // held on dir while this process lives; nil where there are no locks
	client  *cluster.Client
	cluster sandbox.Cluster
	closed  string // the rules that Contain has set, as the node lists them
}

// Up removes what dead verifiers left behind, chooses the node image, and makes a
// cluster. It returns when the node is ready, the default namespace usable and
// the cluster's DNS answers. A failure is a *sandbox.LogError once there are
// logs.
func (s *Sandbox) Up(ctx context.Context) (sandbox.Cluster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up != nil {
		return sandbox.Cluster{}, sandbox.ErrUp
	}
	s.progress("checking the container engine")
	if err := preflight(ctx); err != nil {
		return sandbox.Cluster{}, err
	}
	// What another drill left must not fail this one; Sweep reports it.
	_, _ = Sweep(ctx, SweepOptions{Dir: s.Dir})
	image, err := s.image(ctx)
	if err != nil {
		return sandbox.Cluster{}, err
	}
	if s.Pool != nil {
		if n := s.Pool.take(ctx, image.ref); n != nil {
			s.up = n
			return n.cluster, nil
		}
	}
	n, err := s.start(ctx, image)
	if err != nil {
		return sandbox.Cluster{}, err
	}
	s.up = n
	return n.cluster, nil
}

// Down removes the cluster. The error is sandbox.ErrDied, in a *sandbox.LogError,
// if the node had ended or restarted on its own: what was seen since then
// means nothing for the backup.
func (s *Sandbox) Down(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.up
	if n == nil {
		return nil
	}
	s.up = nil
	ctx, cancel := lasting(ctx)
	defer cancel()
	return errors.Join(n.died(ctx), n.remove(ctx))
}

// lasting is ctx, or when it is done a short time.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Err() == nil {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(context.WithoutCancel(ctx), hurried)
}

// current is the node of a sandbox that is up.
func (s *Sandbox) current() (*node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up == nil {
		return nil, errDown
	}
	return s.up, nil
}

func (s *Sandbox) progress(detail string) {
	if s.Progress != nil {
		s.Progress(detail)
	}
}

// image chooses the node image, has it pulled if it is not there, and looks
// whether it is one.
func (s *Sandbox) image(ctx context.Context) (runnable, error) {
	answer, err := docker(ctx, nil, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}",
		"--filter", "reference="+published, "--filter", "reference="+homemade)
	if err != nil {
		return runnable{}, fmt.Errorf("list the local node images: %w", err)
	}
	local := lines(answer)
	ref, err := s.Choice.pick(local)
	if err != nil {
		return runnable{}, err
	}
	found, err := inspect(ctx, ref)
	if errors.Is(err, errNoImage) {
		s.progress("pulling " + ref)
		if err = pullNode(ctx, ref, local); err == nil {
			found, err = inspect(ctx, ref)
		}
	}
	if err != nil {
		return runnable{}, err
	}
	if err := checkNodeImage(ref, kindversion.Version(), found); err != nil {
		return runnable{}, err
	}
	return runnable{ref: ref, inspected: found}, nil
}

// mostStarts bounds how often a node is created again because its network was
// removed by the last user, for example the sandbox of another drill, before the
// node joined it.
const mostStarts = 3

// start makes a node and waits until it can be used. When it fails nothing is
// left.
func (s *Sandbox) start(ctx context.Context, image runnable) (*node, error) {
	for range mostStarts - 1 {
		n, err := s.startOnce(ctx, image)
		if !networkGone(err) {
			return n, err
		}
	}
	return s.startOnce(ctx, image)
}

func (s *Sandbox) startOnce(ctx context.Context, image runnable) (*node, error) {
	timeout := s.StartTimeout
	if timeout <= 0 {
		timeout = startTimeout
	}
	ctx, cancelStart := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not ready after %s", timeout))
	defer cancelStart()
	s.progress("creating a cluster of " + image.ref)
	ipv6, err := ensureNetwork(ctx)
	if err != nil {
		return nil, err
	}
	n, err := claimDir(s.Dir, image.ref)
	if err != nil {
		return nil, err
	}
	if err := n.create(ctx, image, ipv6, s.progress); err != nil {
		// ctx may be what ended the start. What is removed now is all there will be.
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), hurried)
		defer cancel()
		err = withLog(err, n.log(cleanup))
		return nil, errors.Join(fmt.Errorf("create a kind cluster of %s: %w", image.ref, err), n.remove(cleanup))
	}
	return n, nil
}

// create fills in the node's cluster.
func (n *node) create(ctx context.Context, image runnable, ipv6 bool, progress func(string)) error {
	kubeconfig := filepath.Join(n.dir, "kubeconfig")
	c := creation{name: n.name, image: image.ref, config: clusterConfig(image.kubernetes(), image.homemade(), ipv6), kubeconfig: kubeconfig, progress: progress}
	if err := c.create(ctx); err != nil {
		return err
	}
	raw, err := os.ReadFile(kubeconfig)
	if err != nil {
		return fmt.Errorf("read the kubeconfig that kind wrote: %w", err)
	}
	if n.client, err = cluster.FromKubeconfig(raw, userAgent); err != nil {
		return err
	}
	if err := waitReady(ctx, n.client, n.name.node(), progress); err != nil {
		return err
	}
	info, err := n.client.Version(ctx)
	if err != nil {
		return err
	}
	n.cluster = sandbox.Cluster{Kubeconfig: raw, Server: n.client.Host(), Version: info.GitVersion, NodeImage: image.ref}
	return nil
}

// claimDir makes the folder of a new sandbox and locks it. It is there before the
// container and is removed after it, so a container whose folder no one has locked
// belongs to no one.
func claimDir(parent, image string) (*node, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	n := newName(sandbox.Machine(), os.Getpid(), time.Now())
	dir, err := filepath.Abs(filepath.Join(parent, n.String()))
	if err != nil {
		return nil, fmt.Errorf("resolve directory of sandboxes: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the folder of the sandbox: %w", err)
	}
	lock, err := sandbox.LockDir(dir)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, errors.Join(fmt.Errorf("lock the folder of the sandbox: %w", err), os.Remove(dir))
	}
	made := &node{name: n, image: image, dir: dir, lock: lock}
	if err := os.WriteFile(filepath.Join(dir, imageFile), []byte(image), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write into the folder of the sandbox: %w", err), made.removeFiles())
	}
	return made, nil
}

// imageFile holds the node image in the folder of a sandbox, for a Sweep before
// there is a container (see vacate).
const imageFile = "image"

// remove removes everything of the node. What could not be removed is left to
// Sweep.
func (n *node) remove(ctx context.Context) error {
	err := vacate(ctx, n.name, n.image)
	if err == nil {
		err = removeNetwork(ctx)
	}
	return errors.Join(err, n.removeFiles())
}

func (n *node) removeFiles() error {
	err := os.RemoveAll(n.dir)
	if n.lock != nil {
		err = errors.Join(err, n.lock.Close())
	}
	return err
}

// died is the error of a node that did not live from Up to Down.
func (n *node) died(ctx context.Context) error {
	state, err := docker(ctx, nil, "inspect", "--type", "container", "--format", "{{.State.Running}} {{.RestartCount}}", n.name.node())
	switch {
	case err == nil && state == "true 0":
		return nil
	case err == nil:
		return withLog(sandbox.ErrDied, n.log(ctx))
	case strings.Contains(strings.ToLower(words(err)), "no such container"):
		return fmt.Errorf("%w: its container was removed", sandbox.ErrDied)
	}
	return err
}

// exec runs a command on the node and returns its stdout, without the white space
// around it.
func (n *node) exec(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	return docker(ctx, stdin, execArgs(n.name, stdin != nil, args)...)
}

func execArgs(n name, stdin bool, args []string) []string {
	out := []string{"exec", "--privileged"}
	if stdin {
		out = append(out, "--interactive")
	}
	return append(append(out, n.node()), args...)
}

// log returns the last lines of the kubelet's log or, before it runs, of the node's;
// "" if they are no longer available.
func (n *node) log(ctx context.Context) string {
	text, err := n.exec(ctx, nil, "journalctl", "--no-pager", "--output", "cat", "--lines", "20", "--unit", "kubelet")
	if err == nil && text != "" {
		return "kubelet:\n" + end(text)
	}
	if text, err = docker(ctx, nil, "logs", "--tail", "20", n.name.node()); err == nil && text != "" {
		return "node:\n" + end(colours.ReplaceAllString(text, ""))
	}
	return ""
}

// colours are what systemd paints its lines with.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

// withLog adds logs to an error, behind those that it has.
func withLog(err error, log string) error {
	var has *sandbox.LogError
	if errors.As(err, &has) && has.Log != "" {
		log = strings.TrimSpace("kind:\n" + has.Log + "\n" + log)
		err = has.Err
	}
	return &sandbox.LogError{Err: err, Log: log}
}

// MakeVolume makes a folder on the node's disk that every user may write to, as
// the volumes of a new cluster are to their pods.
func (s *Sandbox) MakeVolume(ctx context.Context, name string) (string, error) {
	n, err := s.current()
	if err != nil {
		return "", err
	}
	path, err := volumePath(name)
	if err != nil {
		return "", err
	}
	if _, err := n.exec(ctx, nil, "mkdir", "--parents", "--mode", "0777", path); err != nil {
		return "", fmt.Errorf("create the folder of volume %s: %w", name, err)
	}
	return path, nil
}

// volumes is below /var, which is a volume of the engine and so on its disk; /tmp
// of the node is memory.
const volumes = "/var/lib/lifeboat/volumes/"

func volumePath(name string) (string, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") || len(name) > 253 {
		return "", fmt.Errorf("%q is not the name of a volume", name)
	}
	return volumes + name, nil
}
