package web

import (
	"fmt"
	"net/http"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
)

// Health adds the health endpoints, under the names that Kubernetes and Prometheus
// use. /healthz and /-/healthy answer 200 while the process serves; /readyz and
// /-/ready answer 200 if ready returns nil, and otherwise 503 with its error.
func Health(mux *http.ServeMux, ready func() error) {
	for _, path := range []string{"/healthz", "/-/healthy"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "healthy") })
	}
	for _, path := range []string{"/readyz", "/-/ready"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			if err := ready(); err != nil {
				http.Error(w, cli.Sprintf("not ready: %s", err), http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintln(w, "ready")
		})
	}
}
