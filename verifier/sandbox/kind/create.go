package kind

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"
	kindexec "sigs.k8s.io/kind/pkg/exec"
	"sigs.k8s.io/kind/pkg/log"

	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

const (
	// giveUp is how long kind gets to notice that its node is gone. It notices
	// within a second; more is needed only where the engine hangs.
	giveUp = 30 * time.Second
	again  = 200 * time.Millisecond // between two looks
	// maxLog bounds each log in an error, in bytes.
	maxLog = 4 << 10
)

// creation is one call of kind's Create.
type creation struct {
	name       name
	image      string
	config     *v1alpha4.Cluster
	kubeconfig string // path; kind always writes one
	progress   func(string)
}

// create runs kind's Create and removes its node if ctx ends first.
//
// Create takes no context, and a `docker` process it has started cannot be
// distinguished from others. But it needs its node: if the node is removed, the
// command that runs in it fails, and so does Create. So a cancelled creation
// is a loop that removes the node until Create has returned; the only wait that
// does not depend on a node, the pull of its image, is over before Create is
// called. A child process that runs kind would have to be this program or this
// test binary again, and killing it would be no better: the engine goes on with
// what it was asked for (see vacate).
//
// The goroutine outlives this call only if the engine hangs for longer than
// giveUp; then it still removes what it made as soon as the engine answers.
func (c creation) create(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- c.callKind() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUp)
	defer cancel()
	for {
		_ = removeNodes(patience, c.name) // the caller removes it again and reports errors
		select {
		case <-done: //nolint:errcheck // what was cancelled has failed
			return context.Cause(ctx)
		case <-time.After(again):
		case <-patience.Done():
			go func() {
				<-done //nolint:errcheck // nothing waits for it any more
				late, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUp)
				defer cancel()
				_ = vacate(late, c.name, c.image)
			}()
			return errors.Join(context.Cause(ctx), fmt.Errorf("the container engine hangs: when it answers again, `lifeboat-verifier cleanup` removes sandbox %s", c.name))
		}
	}
}

func (c creation) callKind() error {
	// One provider for each call: it caches without a lock.
	provider := cluster.NewProvider(cluster.ProviderWithDocker(), cluster.ProviderWithLogger(phases{tell: c.progress}))
	err := provider.Create(c.name.String(),
		cluster.CreateWithV1Alpha4Config(c.config),
		cluster.CreateWithNodeImage(c.image),
		cluster.CreateWithKubeconfigPath(c.kubeconfig), // never the user's
		cluster.CreateWithRetain(true),                 // its logs say why; removing it is up to us in any case
		cluster.CreateWithWaitForReady(0),              // kind's wait spins, and takes a timeout for success
	)
	if err == nil {
		return nil
	}
	var output string
	if failed := kindexec.RunErrorForError(err); failed != nil {
		output = string(failed.Output)
	}
	return &sandbox.LogError{Err: explain(err, output), Log: end(output)}
}

// explain adds to failures that are known what fixes them.
func explain(err error, output string) error {
	switch {
	case strings.Contains(output, "unable to apply caps"):
		return fmt.Errorf("the container engine cannot start privileged containers, because this host grants CAP_SYS_RESOURCE to no process: run the engine with an OCI runtime that leaves this capability out: %w", err)
	case strings.Contains(err.Error(), "could not find a log line"):
		return fmt.Errorf("the node image does not boot on this host: %w", err)
	case strings.Contains(output, "too many open files"):
		return fmt.Errorf("the host is out of inotify instances: sysctl fs.inotify.max_user_instances=1024: %w", err)
	case strings.Contains(output, "no space left on device"):
		return fmt.Errorf("the disk of the container engine is full: make room, for instance with docker system prune: %w", err)
	}
	return err
}

// end is the end of a log: whole lines, at most maxLog bytes.
func end(log string) string {
	log = strings.TrimSpace(log)
	if len(log) <= maxLog {
		return log
	}
	log = log[len(log)-maxLog:]
	if _, whole, found := strings.Cut(log, "\n"); found {
		return whole
	}
	return log
}

// phases is a kind logger that hands on the lines by which kind reports what it is
// doing (" • Preparing nodes 📦  ...") and drops the rest.
type phases struct {
	log.NoopLogger
	tell func(string)
}

func (p phases) V(level log.Level) log.InfoLogger {
	if level > 0 || p.tell == nil {
		return log.NoopInfoLogger{}
	}
	return phase{tell: p.tell}
}

type phase struct {
	log.NoopInfoLogger
	tell func(string)
}

func (p phase) Info(message string) {
	if what, ok := strings.CutPrefix(message, " • "); ok {
		p.tell(plain(what))
	}
}

func (p phase) Infof(format string, args ...any) { p.Info(fmt.Sprintf(format, args...)) }

func (p phase) Enabled() bool { return true }

// plain leaves out the dots and pictures at the end.
func plain(s string) string {
	return strings.TrimRightFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == ')')
	})
}
