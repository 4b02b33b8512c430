package kind

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/version"
)

// What one node takes, measured with an idle cluster and rounded up.
const (
	inotifyPerNode = 30      // instances; 26 seen
	memoryPerNode  = 2 << 30 // bytes; peak of a start 1.83 GB
	diskPerNode    = 3 << 30 // bytes; 2.1 GB for an image of 1.5 GB
)

// answerIn is how long the engine may take for a question: it holds no data and
// asks no one.
const answerIn = 20 * time.Second

// facts are what decides whether a node can run here. Zero is unknown: much of it
// can only be seen where the engine runs, and some only on Linux.
type facts struct {
	apiVersion string // of the engine
	os         string // of the engine
	rootless   bool
	cgroup2    bool

	// Of the machine, when the engine runs on this one.
	memory       uint64
	disk         uint64
	diskAt       string
	inotifyLimit int // fs.inotify.max_user_instances
	inotifyUsed  int // by root, as far as this process may look
}

// preflight finds out why no node could run here before anything is made. Each
// problem is a sentence with what fixes it.
func preflight(ctx context.Context) error {
	if _, err := exec.LookPath("docker"); err != nil {
		return errors.New("there is no docker command in PATH: install the Docker CLI and engine, or drill at level controlplane, which needs neither")
	}
	f, err := gather(ctx)
	if err != nil {
		return err
	}
	var problems []error
	for _, p := range problemsOf(f) {
		problems = append(problems, errors.New(p))
	}
	return errors.Join(problems...)
}

// problemsOf judges the facts.
func problemsOf(f facts) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if v, err := version.ParseGeneric(f.apiVersion); err != nil || !v.AtLeast(version.MajorMinor(1, 41)) {
		say("the container engine speaks API version %s, and nodes need 1.41: use Docker 20.10 or newer", f.apiVersion)
	}
	if f.os != "" && f.os != "linux" {
		say("the container engine runs %s containers, and nodes need linux: switch it over", f.os)
	}
	if f.rootless && !f.cgroup2 {
		say("a rootless container engine runs nodes only with cgroup v2: boot with systemd.unified_cgroup_hierarchy=1, or use an engine that runs as root")
	}
	if free := f.inotifyLimit - f.inotifyUsed; f.inotifyLimit > 0 && free < inotifyPerNode {
		say("a node needs %d inotify instances and %d of %d are left: sysctl fs.inotify.max_user_instances=%d", inotifyPerNode, max(free, 0), f.inotifyLimit, max(512, 2*f.inotifyLimit))
	}
	if f.memory > 0 && f.memory < memoryPerNode {
		say("a node needs %s of memory and %s are free: stop other programs", size(memoryPerNode), size(f.memory))
	}
	if f.disk > 0 && f.disk < diskPerNode {
		say("a node needs %s of disk and %s are free in %s: make room, for instance with docker system prune", size(diskPerNode), size(f.disk), f.diskAt)
	}
	return out
}

func size(bytes uint64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }

// gather asks the engine, and this machine where the engine runs on it.
func gather(ctx context.Context) (facts, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerIn, fmt.Errorf("no answer after %s", answerIn))
	defer cancel()
	var f facts
	var info struct {
		CgroupVersion, DockerRootDir string
		SecurityOptions              []string
	}
	g, asking := errgroup.WithContext(ctx)
	g.Go(func() error {
		answer, err := docker(asking, nil, "version", "--format", "{{.Server.APIVersion}} {{.Server.Os}}")
		f.apiVersion, f.os, _ = strings.Cut(answer, " ")
		return err
	})
	g.Go(func() error {
		answer, err := docker(asking, nil, "info", "--format", "{{json .}}")
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(answer), &info)
	})
	var endpoint string
	g.Go(func() (err error) {
		endpoint, err = engineEndpoint(asking)
		return err
	})
	if err := g.Wait(); err != nil {
		return facts{}, unreachable(ctx, err)
	}
	f.cgroup2 = info.CgroupVersion == "2"
	f.rootless = strings.Contains(strings.Join(info.SecurityOptions, " "), "name=rootless")
	if onThisMachine(endpoint, info.DockerRootDir) {
		f.look(info.DockerRootDir)
	}
	return f, nil
}

// unreachable explains that the engine did not answer.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("the container engine does not answer: %w", err)
	}
	return fmt.Errorf("the container engine cannot be reached; start it, look at DOCKER_HOST and `docker context ls`, and see that this user may use it: %w", err)
}

// engineEndpoint is where the docker command finds its engine.
func engineEndpoint(ctx context.Context) (string, error) {
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return host, nil
	}
	return docker(ctx, nil, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
}

// onThisMachine reports whether the engine runs on the machine that this process
// sees. A socket does not prove it: that of Docker Desktop leads into a virtual
// machine. The engine's folder does.
func onThisMachine(endpoint, root string) bool {
	if !strings.HasPrefix(endpoint, "unix://") || root == "" {
		return false
	}
	_, err := os.Stat(root)
	return err == nil
}

// look fills in the figures of this machine. What it cannot read stays unknown and
// is not checked.
func (f *facts) look(root string) {
	f.memory = availableMemory()
	f.disk, f.diskAt = freeDisk(root), root
	if raw, err := os.ReadFile("/proc/sys/fs/inotify/max_user_instances"); err == nil {
		_, _ = fmt.Sscan(string(raw), &f.inotifyLimit) // unknown stays 0
	}
	f.inotifyUsed = inotifyInstances()
}

// availableMemory is MemAvailable of /proc/meminfo in bytes.
func availableMemory() uint64 {
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer file.Close()
	for s := bufio.NewScanner(file); s.Scan(); {
		var kib uint64
		if n, _ := fmt.Sscanf(s.Text(), "MemAvailable: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}
