package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	remotecommandconsts "k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	utilexec "k8s.io/client-go/util/exec"
)

// Container names a container of a pod. Without a name it is the only one, or
// the one that the pod's annotation makes the default.
type Container struct{ Namespace, Pod, Name string }

// Command is what Exec runs: no shell is involved but one that Args names.
type Command struct {
	Args  []string
	Stdin string
	// Limit is how many bytes of standard output, and of standard error, are
	// kept; the rest is read and dropped.
	Limit int
}

// Exit is how a command ended.
type Exit struct {
	Code           int
	Stdout, Stderr []byte
	Cut            bool // there was more standard output than Limit
}

// Exec runs a command in a container and waits for its end. An error says that
// it could not be run, or that its end could not be learnt: that a command
// ended with another code than 0 is no error. When ctx is over, what the
// command has written so far is returned beside ctx's error, and the command
// goes on: the API has no way to stop it.
//
// WebSocket is asked for first; API servers before Kubernetes 1.30 speak SPDY.
func (c *Client) Exec(ctx context.Context, in Container, cmd Command) (Exit, error) {
	u := c.rest.Post().AbsPath("api/v1/namespaces", in.Namespace, "pods", in.Pod, "exec").
		SpecificallyVersionedParams(&corev1.PodExecOptions{
			Container: in.Name, Command: cmd.Args, Stdin: cmd.Stdin != "", Stdout: true, Stderr: true,
		}, scheme.ParameterCodec, corev1.SchemeGroupVersion).URL()
	var stdout, stderr beginning
	stdout.limit, stderr.limit = cmd.Limit, cmd.Limit
	streams := remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr}
	if cmd.Stdin != "" {
		streams.Stdin = bytes.NewReader([]byte(cmd.Stdin))
	}
	_, err := await(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.stream(ctx, u, streams) }, func(struct{}) {})
	exit := Exit{Stdout: stdout.bytes(), Stderr: stderr.bytes(), Cut: stdout.cut()}
	var code utilexec.CodeExitError
	switch {
	case errors.As(err, &code):
		exit.Code = code.Code
	case ctx.Err() != nil:
		return exit, context.Cause(ctx)
	case err != nil:
		return exit, fmt.Errorf("run %q in pod %s/%s: %w", cmd.Args[0], in.Namespace, in.Pod, asked(err))
	}
	return exit, nil
}

func (c *Client) stream(ctx context.Context, u *url.URL, streams remotecommand.StreamOptions) error {
	// The wrapper of cfg holds no state, so both may share it.
	websocket, err := remotecommand.NewWebSocketExecutor(c.config, http.MethodGet, u.String())
	if err != nil {
		return err
	}
	transport, upgrader, err := spdy.RoundTripperFor(c.config)
	if err != nil {
		return err
	}
	var told atomic.Bool
	fallback, err := remotecommand.NewSPDYExecutorForProtocols(transport, attentive{upgrader, &told}, http.MethodPost, u,
		remotecommandconsts.StreamProtocolV5Name, remotecommandconsts.StreamProtocolV4Name)
	if err != nil {
		return err
	}
	usesSPDY := false
	both, err := remotecommand.NewFallbackExecutor(websocket, fallback, func(err error) bool {
		usesSPDY = noUpgrade(err)
		return usesSPDY
	})
	if err != nil {
		return err
	}
	err = both.StreamWithContext(ctx, streams)
	if err == nil && usesSPDY && !told.Load() {
		return errors.New("the connection ended before the command did")
	}
	return err
}

// noUpgrade says that a server, or a proxy before it, does not speak WebSocket.
func noUpgrade(err error) bool {
	return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
}

// attentive notes whether the server said how the command ended. client-go
// takes a SPDY connection that breaks for a command that ended well.
type attentive struct {
	spdy.Upgrader
	told *atomic.Bool
}

// NewConnection implements spdy.Upgrader.
func (a attentive) NewConnection(r *http.Response) (httpstream.Connection, error) {
	c, err := a.Upgrader.NewConnection(r)
	if err != nil {
		return nil, err
	}
	return attentiveConnection{c, a.told}, nil
}

type attentiveConnection struct {
	httpstream.Connection
	told *atomic.Bool
}

func (c attentiveConnection) CreateStream(headers http.Header) (httpstream.Stream, error) {
	s, err := c.Connection.CreateStream(headers)
	if err != nil || headers.Get(corev1.StreamType) != corev1.StreamTypeError {
		return s, err
	}
	return attentiveStream{s, c.told}, nil
}

type attentiveStream struct {
	httpstream.Stream
	told *atomic.Bool
}

func (s attentiveStream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if n > 0 {
		s.told.Store(true)
	}
	return n, err
}

// beginning keeps the beginning of what is written to it. It may be written to
// while it is read, as an Exec that was given up still is.
type beginning struct {
	mu    sync.Mutex
	limit int
	kept  []byte
	more  bool
}

// Write implements io.Writer.
func (h *beginning) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	keep := min(len(p), h.limit-len(h.kept))
	h.kept = append(h.kept, p[:keep]...)
	h.more = h.more || keep < len(p)
	return len(p), nil
}

func (h *beginning) bytes() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return bytes.Clone(h.kept)
}

func (h *beginning) cut() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.more
}
