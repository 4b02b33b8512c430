package rig

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

// Breaks choose the connections that a FaultProxy breaks. They are called
// concurrently; nil breaks none.
type Breaks struct {
	// Before breaks a connection instead of passing the request on.
	Before func(r *http.Request) bool
	// After breaks a connection after the server has done what the request
	// asks: the answer is lost.
	After func(r *http.Request) bool
}

// FaultProxy is in front of the server at the URL target for the time of the
// test and breaks connections, which a real server does not do on demand. It
// returns its own URL.
func FaultProxy(t testing.TB, target string, breaks Breaks) string {
	t.Helper()
	forward := forwarder(t, target)
	forward.ModifyResponse = func(resp *http.Response) error {
		if breaks.After != nil && breaks.After(resp.Request) {
			resp.Body.Close()
			panic(http.ErrAbortHandler)
		}
		return nil
	}
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if breaks.Before != nil && breaks.Before(r) {
			panic(http.ErrAbortHandler)
		}
		forward.ServeHTTP(w, r)
	})
}

// forwarder passes requests on as they are; a connection that breaks on the one
// side is broken on the other.
func forwarder(t testing.TB, target string) *httputil.ReverseProxy {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // it is part of the signature
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler)
		},
	}
}

// AnsweringProxy is in front of the server at the URL target for the time of the
// test and passes on the requests that answer, which is called concurrently,
// has not answered itself. It returns its own URL.
func AnsweringProxy(t testing.TB, target string, answer func(w http.ResponseWriter, r *http.Request) bool) string {
	t.Helper()
	forward := forwarder(t, target)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !answer(w, r) {
			forward.ServeHTTP(w, r)
		}
	})
}

func serve(t testing.TB, h http.HandlerFunc) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}
