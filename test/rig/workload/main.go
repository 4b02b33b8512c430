// Command workload is the one program in the image that tests run as pods:
//
//	workload serve [ADDRESS]     HTTP, and UDP that echoes, on ADDRESS (default :8080)
//	workload webhook CERT KEY    HTTPS on :8443 that allows whatever it is asked
//	workload notes               makes a note in /data/a and serves /data on :8080
//	workload dial TARGET...      one line of JSON for each; status 1 if one was not reached
//	workload cat FILE...         as cat
//	workload api PATH...         asks the API server as the pod's ServiceAccount; status 1 unless it answers 200
//	workload exit STATUS [LINE]  says LINE and ends
//	workload sleep DURATION      ends after it, or on SIGTERM
//
// Called as sh it is notes, whatever its other arguments are: so it replaces the
// shell of the application in the bucket that Velero wrote.
//
// The server answers / with "ok", /file?path=P with the file, /env?name=N with
// the variable, /status?code=N with that status, /request with what it was
// asked, and /dial?to=TARGET&to=... with a list of what came of them. A TARGET
// is tcp://HOST:PORT (a connection), udp://HOST:PORT (an
// echo), dns://NAME (addresses), or frame://HOST:PORT, which is a UDP packet
// for an IPv4 neighbour written straight to the wire of eth0, past the packet
// filter of this network namespace.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// dialLimit is short: what is refused answers at once.
const dialLimit = 2 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	args := os.Args[1:]
	if filepath.Base(os.Args[0]) == "sh" {
		args = []string{"notes"}
	}
	status, err := run(ctx, args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		status = 1
	}
	os.Exit(status)
}

func run(ctx context.Context, args []string) (status int, err error) {
	if len(args) == 0 {
		args = []string{"serve"}
	}
	switch verb, rest := args[0], args[1:]; verb {
	case "serve":
		return 0, serve(ctx, append(rest, ":8080")[0])
	case "notes":
		if err := os.MkdirAll("/data/a", 0o755); err != nil {
			return 0, err
		}
		if err := os.WriteFile("/data/a/n1.txt", []byte("note 1\n"), 0o644); err != nil {
			return 0, err
		}
		server := &http.Server{Addr: ":8080", Handler: http.FileServer(http.Dir("/data")), ReadHeaderTimeout: 5 * time.Second}
		return 0, until(ctx, server, server.ListenAndServe)
	case "webhook":
		if len(rest) != 2 {
			return 0, errors.New("webhook wants the files of a certificate and its key")
		}
		return 0, webhook(ctx, rest[0], rest[1])
	case "dial":
		for _, r := range dialAll(ctx, rest) {
			if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
				return 0, err
			}
			if r.Error != "" {
				status = 1
			}
		}
		return status, nil
	case "cat":
		for _, path := range rest {
			if err := cat(os.Stdout, path); err != nil {
				return 0, err
			}
		}
		return 0, nil
	case "api":
		for _, path := range rest {
			if err := askAPI(ctx, path); err != nil {
				return 0, err
			}
		}
		return 0, nil
	case "exit":
		if len(rest) > 1 {
			fmt.Println(rest[1])
		}
		return strconv.Atoi(append(rest, "0")[0])
	case "sleep":
		d, err := time.ParseDuration(append(rest, "1h")[0])
		if err != nil {
			return 0, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
		return 0, nil
	}
	return 0, fmt.Errorf("unknown verb %q", args[0])
}

func cat(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

func serve(ctx context.Context, address string) (err error) {
	sockets, err := listenUDP(address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /env", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, os.Getenv(r.FormValue("name"))) })
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.FormValue("code"))
		if err != nil || code < 200 || code > 599 {
			code = http.StatusBadRequest
		}
		w.WriteHeader(code)
	})
	mux.HandleFunc("/request", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 64<<10))
		_ = json.NewEncoder(w).Encode(map[string]any{"method": r.Method, "host": r.Host, "headers": r.Header, "body": string(body)}) // the client has gone
	})
	mux.HandleFunc("GET /file", func(w http.ResponseWriter, r *http.Request) {
		if err := cat(w, r.FormValue("path")); err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
		}
	})
	mux.HandleFunc("GET /dial", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(dialAll(r.Context(), r.Form["to"])) // or the client has gone
	})
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, len(sockets)+1)
	for _, s := range sockets {
		go func() { ended <- echo(s) }()
	}
	go func() { ended <- server.ListenAndServe() }()
	fmt.Println("serving", address)
	select {
	case <-ctx.Done():
	case err = <-ended:
	}
	for _, s := range sockets {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, server.Close())
}

// listenUDP listens on each address this machine has now: a socket for all of
// them would answer from another one than was asked.
func listenUDP(address string) ([]net.PacketConn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var sockets []net.PacketConn
	seen := map[string]bool{} // a node has the same address on the cable of each pod
	for _, a := range own {
		ip, _, err := net.ParseCIDR(a.String())
		if err != nil || seen[ip.String()] || ip.IsLinkLocalUnicast() && ip.To4() == nil { // those need a zone
			continue
		}
		seen[ip.String()] = true
		s, err := net.ListenPacket("udp", net.JoinHostPort(ip.String(), port))
		if errors.Is(err, syscall.EADDRNOTAVAIL) { // IPv6 still looks whether another has it
			continue
		}
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, s)
	}
	return sockets, nil
}

// webhook admits every object (admission.k8s.io/v1).
func webhook(ctx context.Context, cert, key string) error {
	allow := func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			APIVersion, Kind string
			Request          struct{ UID string }
		}
		if err := json.NewDecoder(io.LimitReader(r.Body, 4<<20)).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Println("asked", review.Request.UID)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{ // the API server has gone
			"apiVersion": review.APIVersion, "kind": review.Kind,
			"response": map[string]any{"uid": review.Request.UID, "allowed": true},
		})
	}
	server := &http.Server{Addr: ":8443", Handler: http.HandlerFunc(allow), ReadHeaderTimeout: 5 * time.Second}
	return until(ctx, server, func() error { return server.ListenAndServeTLS(cert, key) })
}

// until serves until ctx is over.
func until(ctx context.Context, server *http.Server, serve func() error) (err error) {
	ended := make(chan error, 1)
	go func() { ended <- serve() }()
	select {
	case <-ctx.Done():
	case err = <-ended:
	}
	return errors.Join(err, server.Close())
}

// echo answers every packet with itself until the socket is closed.
func echo(packets net.PacketConn) error {
	buffer := make([]byte, 1500)
	for {
		n, from, err := packets.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if _, err := packets.WriteTo(buffer[:n], from); err != nil {
			continue // the one who asked cannot be answered
		}
	}
}

// result is what came of an attempt to reach something. Error is empty when it
// was reached.
type result struct {
	To      string  `json:"to"`
	Error   string  `json:"error,omitempty"`
	Got     string  `json:"got,omitempty"`
	Seconds float64 `json:"seconds"`
}

// dialAll dials all at the same time.
func dialAll(ctx context.Context, targets []string) []result {
	results := make([]result, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() { results[i] = dial(ctx, t) })
	}
	all.Wait()
	return results
}

func dial(ctx context.Context, target string) result {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	began := time.Now()
	got, err := reach(ctx, target)
	r := result{To: target, Got: got, Seconds: time.Since(began).Seconds()}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

func reach(ctx context.Context, target string) (string, error) {
	u, err := url.Parse(target)
	if err != nil {
		return "", err
	}
	switch u.Scheme {
	case "tcp", "udp":
		conn, err := (&net.Dialer{}).DialContext(ctx, u.Scheme, u.Host)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		if u.Scheme == "tcp" {
			return conn.RemoteAddr().String(), nil
		}
		return ping(ctx, conn)
	case "dns":
		addresses, err := (&net.Resolver{PreferGo: true}).LookupHost(ctx, u.Host)
		return fmt.Sprint(addresses), err
	case "frame":
		return "", sendFrame(u.Hostname(), u.Port())
	}
	return "", fmt.Errorf("unknown scheme %q", u.Scheme)
}

func ping(ctx context.Context, conn net.Conn) (string, error) {
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte("ping")); err != nil {
		return "", err
	}
	buffer := make([]byte, 16)
	n, err := conn.Read(buffer)
	return string(buffer[:n]), err
}
