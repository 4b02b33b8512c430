package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Limits bound what the requests of a handler cost at once, whoever sends them and
// however slowly they read the answers.
type Limits struct {
	// InFlight is how many answers are made at once. An answer is complete before it
	// is sent, so that a slow reader does not count.
	InFlight int
	// Waiting is how many requests may wait for their turn, and Wait how long. Others
	// are answered with 503.
	Waiting int
	Wait    time.Duration
	// Time ends the context of a request that is being answered.
	Time time.Duration
	// Size bounds an answer, in bytes. A larger one is replaced by an error 500.
	Size int
	// Held bounds the answers that are being sent, in bytes. If there are more, the
	// oldest are broken off: their readers are the slowest.
	Held int
	// Send is how long an answer may take to be sent.
	Send time.Duration
}

// MetricsLimits are those of /metrics. No other path counts against them, so that
// whoever asks for pages cannot keep Prometheus away.
func MetricsLimits() Limits {
	return Limits{InFlight: 4, Waiting: 256, Wait: 5 * time.Second, Time: 30 * time.Second, Size: 64 << 20, Held: 64 << 20, Send: 20 * time.Second}
}

// PageLimits are those of all pages of a program together.
func PageLimits() Limits {
	return Limits{InFlight: 2, Waiting: 64, Wait: 10 * time.Second, Time: 30 * time.Second, Size: 16 << 20, Held: 32 << 20, Send: 30 * time.Second}
}

// Bounded serves what h answers within limits.
func Bounded(h http.Handler, l Limits) http.Handler {
	return &bounded{handler: h, limits: l, slots: make(chan struct{}, l.InFlight), queue: make(chan struct{}, l.InFlight+l.Waiting)}
}

type bounded struct {
	handler http.Handler
	limits  Limits
	queue   chan struct{} // requests that wait or are being answered
	slots   chan struct{} // requests that are being answered

	mu      sync.Mutex
	sending []*answer // the oldest first
	held    int       // bytes of those
}

// ServeHTTP implements http.Handler.
func (b *bounded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, ok := b.answer(r)
	if !ok {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many requests at once: try again in a few seconds", http.StatusServiceUnavailable)
		return
	}
	b.send(w, a)
}

// answer waits for its turn and makes the answer. It is false if the turn did not
// come.
func (b *bounded) answer(r *http.Request) (*answer, bool) {
	select {
	case b.queue <- struct{}{}:
	default:
		return nil, false
	}
	defer func() { <-b.queue }()
	patience := time.NewTimer(b.limits.Wait)
	defer patience.Stop()
	select {
	case b.slots <- struct{}{}:
	case <-patience.C:
		return nil, false
	case <-r.Context().Done():
		return nil, false
	}
	defer func() { <-b.slots }()

	ctx, cancel := context.WithTimeout(r.Context(), b.limits.Time)
	defer cancel()
	a := &answer{header: http.Header{}, code: http.StatusOK, most: b.limits.Size}
	b.handler.ServeHTTP(a, r.WithContext(ctx))
	return a, true
}

// send sends an answer, and breaks off older ones if there are too many.
func (b *bounded) send(w http.ResponseWriter, a *answer) {
	if a.over {
		http.Error(w, fmt.Sprintf("the answer is larger than %d MiB", b.limits.Size>>20), http.StatusInternalServerError)
		return
	}
	a.connection = http.NewResponseController(w)
	_ = a.connection.SetWriteDeadline(time.Now().Add(b.limits.Send)) // a writer without deadlines is one of a test
	b.begin(a)
	defer b.end(a)
	header := w.Header()
	for name, values := range a.header {
		header[name] = values
	}
	header.Set("Content-Length", strconv.Itoa(a.body.Len()))
	w.WriteHeader(a.code)
	_, _ = w.Write(a.body.Bytes()) // the client has gone
}

func (b *bounded) begin(a *answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sending = append(b.sending, a)
	b.held += a.body.Len()
	for b.held > b.limits.Held && len(b.sending) > 1 {
		oldest := b.sending[0]
		b.sending = b.sending[1:]
		b.held -= oldest.body.Len()
		_ = oldest.connection.SetWriteDeadline(time.Now()) // its Write fails now
	}
}

func (b *bounded) end(a *answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, other := range b.sending {
		if other == a {
			b.sending = append(b.sending[:i:i], b.sending[i+1:]...)
			b.held -= a.body.Len()
			return
		}
	}
}

// answer is a response in memory.
type answer struct {
	header     http.Header
	code       int
	wrote      bool
	body       bytes.Buffer
	most       int
	over       bool
	connection *http.ResponseController
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(code int) {
	if !a.wrote && code >= 200 {
		a.code, a.wrote = code, true
	}
}

// errTooLarge ends what writes an answer that is not sent anyway.
var errTooLarge = fmt.Errorf("the answer is too large")

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.over || a.body.Len()+len(p) > a.most {
		a.over, a.body = true, bytes.Buffer{}
		return 0, errTooLarge
	}
	return a.body.Write(p)
}
