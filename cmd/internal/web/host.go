package web

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
)

// knownHosts answers requests that reach a loopback address with 403 unless their
// Host is one that the program knows: a page of anywhere can make the browser of
// somebody on this machine ask 127.0.0.1 for it (DNS rebinding), but only under a name
// that belongs to that page. allowed are further names, such as that of a reverse proxy.
func knownHosts(h http.Handler, allowed []string) http.Handler {
	known := append([]string{"localhost"}, allowed...)
	if name, err := os.Hostname(); err == nil { // some systems resolve it to 127.0.1.1
		known = append(known, name)
		short, _, _ := strings.Cut(name, ".")
		known = append(known, short)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if onLoopback(r) && !knows(r.Host, known) {
			http.Error(w, cli.Sprintf("host %q is not allowed on a loopback address (allow it with --web.allowed-host)", r.Host), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// onLoopback reports whether the request came to a loopback address of this machine.
func onLoopback(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	tcp, ok := local.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// knows reports whether a Host header names an address or a known name. An address
// cannot be rebound, and a browser always sends a Host.
func knows(host string, known []string) bool {
	name := host
	if bare, _, err := net.SplitHostPort(host); err == nil {
		name = bare
	}
	name = strings.TrimSuffix(strings.Trim(name, "[]"), ".")
	if _, err := netip.ParseAddr(name); err == nil || name == "" {
		return true
	}
	for _, k := range known {
		if k != "" && strings.EqualFold(name, k) {
			return true
		}
	}
	return strings.HasSuffix(strings.ToLower(name), ".localhost") // never asked of a DNS server (RFC 6761)
}
