package cluster

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxRetryAfter is the longest time the API server may ask us to wait before a
// request is repeated; its own priority and fairness asks for seconds.
const maxRetryAfter = 30 * time.Second

const retryAfterHeader = "Retry-After"

// impatient turns an answer that asks to come back much later into a final
// one. Shorter waits are left to client-go, which waits and tries again.
type impatient struct{ next http.RoundTripper }

func (i impatient) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := i.next.RoundTrip(r)
	if err == nil && retryAfter(resp) > maxRetryAfter {
		resp.Header.Del(retryAfterHeader)
	}
	return resp, err
}

// retryAfter is how long the server asks us to wait before it is asked again,
// 0 when it does not.
func retryAfter(resp *http.Response) time.Duration {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode < http.StatusInternalServerError {
		return 0
	}
	seconds, err := strconv.Atoi(resp.Header.Get(retryAfterHeader))
	if err != nil || seconds < 0 {
		return 0
	}
	return max(time.Duration(seconds)*time.Second, time.Millisecond)
}

// bound is a transport for requests that have to end with a context of which
// the client that makes them knows nothing: client-go's discovery client takes
// none, neither for the request nor for its waits between tries.
type bound struct {
	ctx  context.Context //nolint:containedctx // see above
	next http.RoundTripper
}

const discoveryTries = 10

func (b bound) RoundTrip(r *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		resp, err := b.next.RoundTrip(r.WithContext(b.ctx))
		if err != nil {
			return nil, err
		}
		wait := retryAfter(resp)
		if wait == 0 || try == discoveryTries {
			resp.Header.Del(retryAfterHeader)
			return resp, nil
		}
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
		_ = resp.Body.Close()
		if !Sleep(b.ctx, wait) {
			return nil, b.ctx.Err()
		}
	}
}

// Sleep waits, and reports whether ctx lasted as long.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil // both may be so
	case <-ctx.Done():
		return false
	}
}
