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
