// Package web holds what the programs that serve pages have in common: headers,
// health endpoints, style, and the page of a drill's evidence.
package web

import (
	"context"
	"net/http"
	"time"
)

// stopTimeout is how long requests may continue after a program was asked to
// stop: its supervisor waits seconds, not minutes.
const stopTimeout = 500 * time.Millisecond

// Shutdown stops a server: no new requests, and half a second for those being
// served, even if ctx is done.
func Shutdown(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return server.Close()
	}
	return nil
}

// Secured sets headers that make browsers only show what is served. The content
// security policy is set by each page, which knows its style.
func Secured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("X-Frame-Options", "DENY")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-cache")
		h.ServeHTTP(w, r)
	})
}
