package s3

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAConnectionThatStandsStillIsGivenUp(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		body  io.Reader
	}{
		"in the middle of an answer": {serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "the first of a hundred bytes")
			_ = http.NewResponseController(w).Flush()
			<-over
		}},
		"in the middle of a body": {serve: func(http.ResponseWriter, *http.Request) {
			<-over // and reads nothing of it
		}, body: endless{}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.serve) // which cannot be closed before over is
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, c.body)
			require.NoError(t, err)
			began := time.Now()
			resp, err := httpClient(200 * time.Millisecond).Do(req)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			var timeout net.Error
			require.ErrorAs(t, err, &timeout)
			assert.True(t, timeout.Timeout(), "which the SDK takes for worth another try: %v", err)
			assert.Less(t, time.Since(began), 4*time.Second)
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestAConnectionThatIsOnlySlowIsKept(t *testing.T) {
	const stall = 200 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		assert.NoError(t, err)
	}))
	t.Cleanup(server.Close)
	tick := time.NewTicker(stall / 2)
	defer tick.Stop()
	body := make(chan []byte)
	go func() { // a piece at a time, for five times as long as it may stand still
		defer close(body)
		for range 10 {
			<-tick.C
			body <- make([]byte, 64<<10)
		}
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, pieces(body))
	require.NoError(t, err)
	resp, err := httpClient(stall).Do(req)
	require.NoError(t, err)
	resp.Body.Close()
}

type pieces chan []byte

func (p pieces) Read(to []byte) (int, error) {
	piece, more := <-p
	if !more {
		return 0, io.EOF
	}
	return copy(to, piece), nil
}
