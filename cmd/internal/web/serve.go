// Package web holds what the programs that serve pages have in common: limits, login,
// headers, health endpoints, style, and the page of a drill's evidence.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
)

const (
	headerTimeout = 5 * time.Second
	writeTimeout  = time.Minute
	idleTimeout   = 2 * time.Minute
	// maxHeader bounds what a client that has not logged in makes the program keep,
	// in bytes.
	maxHeader = 16 << 10
)

// Config is how pages are served.
type Config struct {
	// File has TLS and authentication settings in the form of exporter-toolkit; "" is
	// neither. It applies to every path.
	File string
	// AllowedHosts are further names by which the program is reached on a loopback
	// address.
	AllowedHosts []string
}

// Add adds the flags.
func (c *Config) Add(set *pflag.FlagSet) {
	set.StringVar(&c.File, "web.config.file", "", "`file` with TLS and authentication settings for every path, in the form of Prometheus' exporter-toolkit")
	set.StringArrayVar(&c.AllowedHosts, "web.allowed-host", nil, "host `name` that requests to a loopback address may have besides localhost, such as that of a reverse proxy; repeatable")
}

// Check validates the file.
func (c *Config) Check() error {
	if err := toolkit.Validate(c.File); err != nil {
		// The parser repeats values that have the wrong type, between backticks: they
		// may be passwords or keys.
		return cli.Usage("--web.config.file %s: %s", c.File, quotedValue.ReplaceAllString(err.Error(), "`…`"))
	}
	return nil
}

var quotedValue = regexp.MustCompile("(?s)`.*`")

// Scheme is http, or https if the file has TLS settings.
func (c *Config) Scheme() string {
	var settings struct {
		TLS map[string]any `json:"tls_server_config"`
	}
	text, err := os.ReadFile(c.File)
	if err != nil || yaml.Unmarshal(text, &settings) != nil || len(settings.TLS) == 0 {
		return "http" // Check and Serve report what is wrong with the file
	}
	return "https"
}

// NewServer makes a server with the time limits and headers that all programs have.
// The requests of a handler are bounded by Bounded.
func (c *Config) NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: Secured(knownHosts(h, c.AllowedHosts)), ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Serve serves until the server is shut down.
func (c *Config) Serve(server *http.Server, listeners []net.Listener, log *slog.Logger) error {
	off, addresses := false, []string{}
	flags := &toolkit.FlagConfig{WebListenAddresses: &addresses, WebSystemdSocket: &off, WebConfigFile: &c.File}
	if err := toolkit.ServeMultiple(listeners, server, flags, log); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve pages: %w", err)
	}
	return nil
}

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
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		h.ServeHTTP(w, r)
	})
}
