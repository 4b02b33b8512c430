package cli

import (
	"context"
	"net/http"
	"time"
)

// stopTimeout is how long requests under way may go on after a program was
// told to stop: who supervises it waits seconds, not minutes.
const stopTimeout = 500 * time.Millisecond

// Shutdown ends a server: at once for who waits, within half a second for who
// is being served. It takes that time also when ctx is done.
func Shutdown(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return server.Close()
	}
	return nil
}

// Secured says to browsers that what is served is to be shown and nothing more.
// Pages name their one style themselves.
func Secured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("X-Frame-Options", "DENY")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-cache")
		h.ServeHTTP(w, r)
	})
}
