package web

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func small() Limits {
	return Limits{InFlight: 2, Waiting: 3, Wait: 100 * time.Millisecond, Time: time.Minute, Size: 8 << 20, Held: 8 << 20, Send: time.Minute}
}

func TestSlowReadersDoNotKeepOthersFromAnAnswer(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 4<<20) // more than the buffers of a connection hold
	server := httptest.NewServer(Bounded(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Kept", "yes")
		_, _ = w.Write(body)
	}), small()))
	defer server.Close()
	for range 20 { // ten times the requests in flight, and ten times the bytes held
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		_, err = bufio.NewReaderSize(conn, 16).ReadString('\n') // it is being sent
		require.NoError(t, err)
	}
	for range 3 {
		res, err := http.Get(server.URL)
		require.NoError(t, err)
		got, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, http.StatusOK, res.StatusCode)
		assert.Equal(t, "yes", res.Header.Get("X-Kept"))
		assert.Equal(t, int64(len(body)), res.ContentLength)
		assert.True(t, bytes.Equal(body, got))
	}
}

func TestTheOldestAnswersAreBrokenOffWhenTooManyAreHeld(t *testing.T) {
	b := Bounded(http.NotFoundHandler(), Limits{InFlight: 1, Held: 100}).(*bounded)
	answers := make([]*answer, 5)
	for i := range answers {
		answers[i] = &answer{connection: http.NewResponseController(httptest.NewRecorder())}
		answers[i].body.WriteString(strings.Repeat("x", 40))
		b.begin(answers[i])
		assert.LessOrEqual(t, b.held, 100)
	}
	assert.Equal(t, answers[3:], b.sending)
	for _, a := range answers { // those that were broken off end, too
		b.end(a)
	}
	assert.Empty(t, b.sending)
	assert.Zero(t, b.held)
}

func TestRequestsWaitForTheirTurnAndNotForEver(t *testing.T) {
	var now, most atomic.Int32
	release := make(chan struct{})
	h := Bounded(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		<-release
	}), small())
	codes := make(chan int, 12)
	var all sync.WaitGroup
	for range cap(codes) {
		all.Go(func() {
			code, _, header := ask(h, "/")
			if code == http.StatusServiceUnavailable {
				assert.NotEmpty(t, header.Get("Retry-After"))
			}
			codes <- code
		})
	}
	require.Eventually(t, func() bool { return len(codes) == 10 }, 5*time.Second, time.Millisecond, "the others were sent away")
	close(release)
	all.Wait()
	close(codes)
	count := map[int]int{}
	for code := range codes {
		count[code]++
	}
	assert.Equal(t, map[int]int{http.StatusOK: 2, http.StatusServiceUnavailable: 10}, count)
	assert.LessOrEqual(t, most.Load(), int32(2))

	code, _, _ := ask(h, "/")
	assert.Equal(t, http.StatusOK, code, "turns are given back")
}

func TestAnAnswerIsBoundedInSizeAndTime(t *testing.T) {
	var ended error
	h := Bounded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 100 {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				ended = err
				return
			}
		}
	}), small())
	code, body, _ := ask(h, "/")
	assert.Equal(t, http.StatusInternalServerError, code)
	assert.Equal(t, "the answer is larger than 8 MiB\n", body)
	assert.ErrorIs(t, ended, errTooLarge)

	l := small()
	l.Time = time.Millisecond
	code, _, _ = ask(Bounded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		http.Error(w, context.Cause(r.Context()).Error(), http.StatusGatewayTimeout)
	}), l), "/")
	assert.Equal(t, http.StatusGatewayTimeout, code)
}

func TestAPanicGivesItsTurnBack(t *testing.T) {
	calls := 0
	h := Bounded(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if calls++; calls <= 5 {
			panic(http.ErrAbortHandler)
		}
	}), small())
	for range 5 {
		assert.Panics(t, func() { ask(h, "/") })
	}
	code, _, _ := ask(h, "/")
	assert.Equal(t, http.StatusOK, code)
}

func TestOnlyKnownHostsAreAnsweredOnLoopback(t *testing.T) {
	hostname, err := os.Hostname()
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	h := (&Config{AllowedHosts: []string{"drills.example.com"}}).NewServer(ok, log).Handler
	get := func(host string, local net.Addr) int {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local)))
		return w.Code
	}
	loopback := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:9096": 200, "localhost.:9096": 200, "a.localhost": 200, "127.0.0.1:9096": 200, "127.1.2.3": 200,
		"[::1]:9096": 200, "[::1]": 200, "10.0.0.7:9808": 200, "": 200, hostname + ":1": 200, "drills.example.com": 200, "Drills.Example.com:443": 200,
		"evil.example": 403, "evil.example:9096": 403, "evil": 403, "localhost.evil.example": 403, "127.0.0.1.nip.io:9096": 403, "127.0.0.1@evil.example": 403,
		"evil.example.": 403, "xlocalhost": 403, "sub.drills.example.com": 403,
	} {
		assert.Equal(t, want, get(host, loopback), "%q", host)
		assert.Equal(t, want, get(host, &net.TCPAddr{IP: net.IPv6loopback}), "%q", host)
	}
	assert.Equal(t, 200, get("exporter.monitoring.svc:9808", &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7)}), "a name within a cluster")
}

// A web config file asks for a login on every path, health and errors included.
func TestALoginIsAskedForOnEveryPath(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yml")
	// "secret", hashed by bcrypt with the least cost
	require.NoError(t, os.WriteFile(file, []byte("basic_auth_users:\n  ops: $2a$04$6FCl71SWNJrzYFLVQkAoZe0XqYVBnSQrgEohyNAsBMiyoDO8.JzAS\n"), 0o600))
	c := &Config{File: file}
	require.NoError(t, c.Check())
	assert.Equal(t, "http", c.Scheme())
	mux := http.NewServeMux()
	Health(mux, func() error { return nil })
	server := c.NewServer(mux, slog.New(slog.DiscardHandler))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- c.Serve(server, []net.Listener{listener}, slog.New(slog.DiscardHandler)) }()
	for _, path := range []string{"/", "/metrics", "/healthz", "/-/ready", "/evidence?x=y", "/drills/a/b.html", "/api/v1/status", "/nowhere"} {
		res, err := http.Get("http://" + listener.Addr().String() + path)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, http.StatusUnauthorized, res.StatusCode, path)
	}
	require.NoError(t, Shutdown(t.Context(), server))
	require.NoError(t, <-done)
}

func TestAWebConfigIsNotRepeated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yml")
	for _, text := range []string{"basic_auth_users: hunter2\n", "basic_auth_users: [{ops: hunter2}]\n", "hunter2\n", "tls_server_config: hunter2\n", "basic_auth_users: {ops: hunter2}\n"} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		err := (&Config{File: file}).Check()
		require.ErrorContains(t, err, "--web.config.file "+file, text)
		assert.NotContains(t, err.Error(), "hunter2", text)
	}
}

func TestALargeHeaderIsRefused(t *testing.T) {
	server := new(Config).NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String(), nil)
	require.NoError(t, err)
	req.Header.Set("X-Large", strings.Repeat("x", 64<<10))
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, res.StatusCode)
}
