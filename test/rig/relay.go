package rig

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// Relay passes connections on to a server, and can be cut: then the server
// cannot be reached through it.
type Relay struct {
	// Address is where it listens: host:port.
	Address string

	target string
	ctx    context.Context // of the test
	mu     sync.Mutex
	open   net.Listener
	conns  map[net.Conn]bool
	tasks  sync.WaitGroup
}

// NewRelay listens on the loopback interface until the test ends.
func NewRelay(t testing.TB, target string) *Relay {
	t.Helper()
	r := &Relay{Address: "127.0.0.1:0", target: target, ctx: t.Context(), conns: map[net.Conn]bool{}}
	r.Mend(t)
	t.Cleanup(func() {
		r.Cut()
		r.tasks.Wait()
	})
	return r
}

// Mend listens again after Cut, at the same address.
func (r *Relay) Mend(t testing.TB) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(r.ctx, "tcp", r.Address)
	if err != nil {
		t.Fatalf("listen for a relay: %v", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open, r.Address = l, l.Addr().String()
	r.tasks.Go(func() { r.accept(l) })
}

// Cut closes all connections and takes no new one.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open.Close()
	for c := range r.conns {
		c.Close()
	}
}

func (r *Relay) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // it was cut
		}
		r.tasks.Go(func() { r.pass(c) })
	}
}

// pass copies both ways until one side ends.
func (r *Relay) pass(client net.Conn) {
	server, err := new(net.Dialer).DialContext(r.ctx, "tcp", r.target)
	if err != nil {
		client.Close()
		return
	}
	r.hold(client, server)
	defer r.drop(client, server)
	r.tasks.Go(func() {
		_, _ = io.Copy(server, client) // it ends with the connections
		server.Close()
	})
	_, _ = io.Copy(client, server)
}

func (r *Relay) hold(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		r.conns[c] = true
	}
}

func (r *Relay) drop(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(r.conns, c)
	}
}
