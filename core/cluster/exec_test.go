package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/apimachinery/pkg/util/httpstream/spdy"
	"k8s.io/apimachinery/pkg/util/httpstream/wsstream"
	"k8s.io/apimachinery/pkg/util/remotecommand"
)

// process is a command on the far side of an exec.
type process struct {
	*http.Request
	stdin                 io.Reader
	stdout, stderr, error io.Writer
	// cut ends the connection as a machine does that loses its power.
	cut func()
}

func (p process) exits(code int) {
	if code == 0 {
		fmt.Fprint(p.error, `{"status":"Success"}`)
		return
	}
	fmt.Fprintf(p.error, `{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"%d"}]}}`, code)
}

type connKey struct{}

// serveExec is an API server that speaks one protocol of exec and runs each
// command by run.
func serveExec(t *testing.T, protocol string, run func(process)) *Client {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := process{Request: r, cut: func() { _ = r.Context().Value(connKey{}).(net.Conn).Close() }}
		switch {
		case wsstream.IsWebSocketRequest(r) && protocol == "websocket":
			channels := []wsstream.ChannelType{wsstream.ReadChannel, wsstream.WriteChannel, wsstream.WriteChannel, wsstream.WriteChannel}
			c := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{remotecommand.StreamProtocolV5Name: {Binary: true, Channels: channels}})
			_, streams, err := c.Open(w, r)
			if err != nil {
				return
			}
			defer c.Close()
			p.stdin, p.stdout, p.stderr, p.error = streams[0], streams[1], streams[2], streams[3]
			run(p)
		case wsstream.IsWebSocketRequest(r):
			refuse(w, 400, "BadRequest", "no WebSocket here")
		default:
			runSPDY(w, r, p, run)
		}
	}))
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	s.Start()
	t.Cleanup(s.Close)
	return connect(t, s.URL)
}

func runSPDY(w http.ResponseWriter, r *http.Request, p process, run func(process)) {
	if _, err := httpstream.Handshake(r, w, []string{remotecommand.StreamProtocolV4Name}); err != nil {
		return
	}
	want := 3
	if r.URL.Query().Get("stdin") == "true" {
		want++
	}
	streams := make(chan httpstream.Stream, want)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	defer conn.Close()
	for range want {
		s := <-streams
		switch s.Headers().Get(corev1.StreamType) {
		case corev1.StreamTypeStdin:
			p.stdin = s
		case corev1.StreamTypeStdout:
			p.stdout = s
		case corev1.StreamTypeStderr:
			p.stderr = s
		case corev1.StreamTypeError:
			p.error = s
		}
	}
	run(p)
}

var inWeb = Container{Namespace: "shop", Pod: "web", Name: "app"}

func TestExecSaysHowACommandEnded(t *testing.T) {
	for _, protocol := range []string{"websocket", "spdy"} {
		t.Run(protocol, func(t *testing.T) {
			c := serveExec(t, protocol, func(p process) {
				assert.Equal(t, "/api/v1/namespaces/shop/pods/web/exec", p.URL.Path)
				assert.Equal(t, []string{"grep", "a b"}, p.URL.Query()["command"])
				assert.Equal(t, "app", p.URL.Query().Get("container"))
				line := make([]byte, 5)
				_, _ = io.ReadFull(p.stdin, line)
				fmt.Fprintf(p.stdout, "read %s", line)
				fmt.Fprint(p.stderr, "careful")
				p.exits(3)
			})
			got, err := c.Exec(t.Context(), inWeb, Command{Args: []string{"grep", "a b"}, Stdin: "hello", Limit: 100})
			require.NoError(t, err)
			assert.Equal(t, Exit{Code: 3, Stdout: []byte("read hello"), Stderr: []byte("careful")}, got)
		})
	}
}

func TestExecKeepsNoMoreOutputThanItsLimit(t *testing.T) {
	c := serveExec(t, "websocket", func(p process) {
		for range 100 {
			fmt.Fprint(p.stdout, strings.Repeat("x", 1000))
		}
		p.exits(0)
	})
	got, err := c.Exec(t.Context(), inWeb, Command{Args: []string{"yes"}, Limit: 1500})
	require.NoError(t, err)
	assert.Len(t, got.Stdout, 1500)
	assert.True(t, got.Cut)
	assert.Zero(t, got.Code)
}

func TestAnExecWhoseEndIsNotKnownIsAnError(t *testing.T) {
	for _, protocol := range []string{"websocket", "spdy"} {
		t.Run(protocol, func(t *testing.T) {
			c := serveExec(t, protocol, func(p process) {
				fmt.Fprint(p.stdout, "half an ans")
				p.cut()
			})
			_, err := c.Exec(t.Context(), inWeb, Command{Args: []string{"true"}, Limit: 100})
			assert.ErrorContains(t, err, `run "true" in pod shop/web: `)
		})
	}
}

func TestAConnectionThatIsClosedBeforeTheCommandEndsIsNoSuccess(t *testing.T) {
	c := serveExec(t, "spdy", func(p process) { fmt.Fprint(p.stdout, "half an ans") })
	_, err := c.Exec(t.Context(), inWeb, Command{Args: []string{"true"}, Limit: 100})
	require.Error(t, err)
	// client-go either takes the end for success, which Exec corrects, or sees the
	// reset of a stream first.
	assert.Regexp(t, `^run "true" in pod shop/web: (the connection ended before the command did|Stream reset)$`, err.Error())
}

func TestAnExecEndsWithItsContext(t *testing.T) {
	for _, protocol := range []string{"websocket", "spdy"} {
		t.Run(protocol, func(t *testing.T) {
			hang := make(chan struct{})
			ctx, cancel := context.WithCancelCause(t.Context())
			c := serveExec(t, protocol, func(p process) {
				cancel(fmt.Errorf("enough"))
				<-hang
			})
			t.Cleanup(func() { close(hang) })
			_, err := c.Exec(ctx, inWeb, Command{Args: []string{"sleep"}, Limit: 100})
			assert.EqualError(t, err, "enough")
		})
	}
}

func TestAnExecThatIsRefusedKeepsTheAPIServersWords(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { refuse(w, 404, "NotFound", `pods "web" not found`) })
	_, err := c.Exec(t.Context(), inWeb, Command{Args: []string{"true"}, Limit: 100})
	assert.EqualError(t, err, `run "true" in pod shop/web: pods "web" not found`)
	_, err = c.Dial(t.Context(), "shop", "web", 80)
	assert.ErrorContains(t, err, `pods "web" not found`)
}

// serveForward is an API server whose pods answer on every port by answer; it
// speaks SPDY.
func serveForward(t *testing.T, answer func(port string, data, complaint io.ReadWriteCloser)) *Client {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if wsstream.IsWebSocketRequest(r) {
			refuse(w, 400, "BadRequest", "no WebSocket here")
			return
		}
		if _, err := httpstream.Handshake(r, w, []string{"portforward.k8s.io"}); err != nil {
			return
		}
		streams := make(chan httpstream.Stream, 2)
		conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
			streams <- s
			return nil
		})
		defer conn.Close()
		complaint, data := <-streams, <-streams
		answer(data.Headers().Get(corev1.PortHeader), data, complaint)
		_ = complaint.Close()
		_ = data.Close()
		<-conn.CloseChan()
	})
}

func TestADialedPortCarriesBytesBothWays(t *testing.T) {
	c := serveForward(t, func(port string, data, _ io.ReadWriteCloser) {
		line := make([]byte, 4)
		_, _ = io.ReadFull(data, line)
		fmt.Fprintf(data, "%s said %s", port, line)
	})
	conn, err := c.Dial(t.Context(), "shop", "web", 8080)
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprint(conn, "ping")
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Equal(t, "8080 said ping", string(got))
}

func TestAPortOnWhichNothingListensIsToldByTheNodesWords(t *testing.T) {
	c := serveForward(t, func(_ string, _, complaint io.ReadWriteCloser) { fmt.Fprint(complaint, "connection refused") })
	conn, err := c.Dial(t.Context(), "shop", "web", 8080)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.ReadAll(conn)
	var said *ForwardError
	require.ErrorAs(t, err, &said)
	assert.Equal(t, "connection refused", said.Message)
}

func TestADialAndAnExecEndWithTheirContextWhileTheServerIsSilent(t *testing.T) {
	for name, use := range map[string]func(context.Context, *Client) error{
		"dial": func(ctx context.Context, c *Client) error { _, err := c.Dial(ctx, "shop", "web", 80); return err },
		"exec": func(ctx context.Context, c *Client) error {
			_, err := c.Exec(ctx, inWeb, Command{Args: []string{"true"}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			served := make(chan struct{})
			c := serve(t, func(http.ResponseWriter, *http.Request) {
				cancel() // the request is read, so the client waits for the answer
				<-served
			})
			t.Cleanup(func() { close(served) })
			assert.ErrorIs(t, use(ctx, c), context.Canceled)
		})
	}
}

func TestAJSONPathFindsWhatKubectlPrints(t *testing.T) {
	const doc = `{"status":{"phase":"Ready","replicas":3,"big":123456789012},"items":[{"name":"a","ok":true},{"name":"b","ok":false}],"x.y":null}`
	for expr, want := range map[string]string{
		"status.phase": "Ready", ".status.replicas": "3", "{.status.big}": "123456789012", "$.status.phase": "Ready",
		"{.items[*].name}": "a b", "{.items[?(@.ok==true)].name}": "a", "{.items[1].name}": "b", "{range .items[*]}{.name};{end}": "a;b;",
	} {
		p, err := ParseJSONPath(expr)
		require.NoError(t, err, expr)
		got, err := p.Find([]byte(doc))
		require.NoError(t, err, expr)
		assert.Equal(t, want, got, expr)
	}
	p, err := ParseJSONPath("{.status.missing}")
	require.NoError(t, err)
	_, err = p.Find([]byte(doc))
	assert.ErrorContains(t, err, "missing is not found")
	_, err = p.Find([]byte(`{"a":`))
	assert.ErrorContains(t, err, "the answer is no JSON")
	for _, bad := range []string{"", "{}", "{.a[}", "{", "{.a[?(@.b==]}"} {
		_, err := ParseJSONPath(bad)
		assert.Error(t, err, bad)
	}
}

func FuzzJSONPath(f *testing.F) {
	f.Add("{.a[0].b}", `{"a":[{"b":1}]}`)
	f.Add("a.b", `{"a":{"b":null}}`)
	f.Add("{.a[?(@.b>1)].c}", `{"a":[{"b":2,"c":"x"}]}`)
	f.Add("{..a}", `[]`)
	f.Add("{.a[-1:]}{range .b[*]}{.c}{end}", `{"a":[1,2],"b":[{"c":1}]}`)
	f.Fuzz(func(t *testing.T, expr, document string) {
		p, err := ParseJSONPath(expr)
		if err != nil {
			return
		}
		_, _ = p.Find([]byte(document)) // must end, without a panic
	})
}
