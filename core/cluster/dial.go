package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// ForwardError is what the node answered about a port of a pod that it should have
// connected to.
type ForwardError struct{ Message string }

func (e *ForwardError) Error() string { return e.Message }

// Dial connects to a TCP port of a pod, as kubectl port-forward does but
// without a port on this machine. That nothing listens in the pod is seen by the
// first Read, as a *ForwardError. ctx bounds the connecting only. The connection
// has no deadlines: close it instead.
func (c *Client) Dial(ctx context.Context, namespace, pod string, port int) (net.Conn, error) {
	connect := func(ctx context.Context) (*forwarded, error) { return c.forward(ctx, namespace, pod, port) }
	f, err := await(ctx, connect, func(f *forwarded) { _ = f.Close() })
	if err != nil {
		return nil, fmt.Errorf("forward to pod %s/%s: %w", namespace, pod, asked(err))
	}
	return f, nil
}

// await is connect, given up when ctx is over: neither of the two handshakes can
// be. What comes too late is dropped. The goroutine then ends with the
// connection that it waits for.
func await[T any](ctx context.Context, connect func(context.Context) (T, error), drop func(T)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result)
	go func() {
		v, err := connect(ctx)
		select {
		case done <- result{v, err}:
		case <-ctx.Done():
			if err == nil {
				drop(v)
			}
		}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

func (c *Client) forward(ctx context.Context, namespace, pod string, port int) (*forwarded, error) {
	conn, err := c.upgrade(ctx, namespace, pod)
	if err != nil {
		return nil, err
	}
	f, err := newForwarded(conn, pod, port)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return f, nil
}

// upgrade opens the connection that carries the streams.
func (c *Client) upgrade(ctx context.Context, namespace, pod string) (httpstream.Connection, error) {
	u := c.rest.Post().AbsPath("api/v1/namespaces", namespace, "pods", pod, "portforward").URL()
	cfg := rest.CopyConfig(c.config)
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return bound{ctx, rt} })
	websocket, err := portforward.NewSPDYOverWebsocketDialer(u, cfg)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(cfg)
	if err != nil {
		return nil, err
	}
	d := portforward.NewFallbackDialer(websocket, spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, u), noUpgrade)
	conn, protocol, err := d.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err
	}
	if protocol != portforward.PortForwardProtocolV1Name {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: it forwards by the protocol %q", ErrMalformed, protocol)
	}
	return conn, nil
}

// forwarded is one connection to a port of a pod: a stream of data, and one on
// which the node says what went wrong.
type forwarded struct {
	conn    httpstream.Connection
	data    httpstream.Stream
	address podAddress
	// complaint is closed when the node has said what it had to say.
	complaint chan struct{}
	said      string
}

// complaintLimit bounds what is read of the node's complaint, in bytes;
// complaintWait how long it is waited for after the data has ended.
const (
	complaintLimit = 4 << 10
	complaintWait  = time.Second
)

func newForwarded(conn httpstream.Connection, pod string, port int) (*forwarded, error) {
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	errs, err := conn.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	_ = errs.Close() // nothing is written to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := conn.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	f := &forwarded{conn: conn, data: data, address: podAddress(fmt.Sprintf("%s:%d", pod, port)), complaint: make(chan struct{})}
	go func() { // ends with the connection, which Close waits for
		defer close(f.complaint)
		said, _ := io.ReadAll(io.LimitReader(errs, complaintLimit))
		f.said = string(said)
	}()
	return f, nil
}

// Read implements net.Conn.
func (f *forwarded) Read(p []byte) (int, error) {
	n, err := f.data.Read(p)
	if err == nil || n > 0 {
		return n, nil
	}
	select {
	case <-f.complaint:
		if f.said != "" {
			return 0, &ForwardError{f.said}
		}
	case <-time.After(complaintWait):
	}
	return 0, err
}

// Write implements net.Conn.
func (f *forwarded) Write(p []byte) (int, error) { return f.data.Write(p) }

// Close implements net.Conn.
func (f *forwarded) Close() error {
	_ = f.data.Reset() // what was not sent is of no interest
	err := f.conn.Close()
	<-f.complaint
	return err
}

// LocalAddr implements net.Conn.
func (f *forwarded) LocalAddr() net.Addr { return podAddress("") }

// RemoteAddr implements net.Conn.
func (f *forwarded) RemoteAddr() net.Addr { return f.address }

// SetDeadline implements net.Conn; there are none.
func (f *forwarded) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline implements net.Conn; there are none.
func (f *forwarded) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline implements net.Conn; there are none.
func (f *forwarded) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// podAddress is a pod and its port.
type podAddress string

// Network implements net.Addr.
func (podAddress) Network() string { return "pod" }

func (a podAddress) String() string { return string(a) }
