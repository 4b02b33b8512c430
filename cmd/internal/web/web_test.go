package web

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

func ask(h http.Handler, path string) (int, string, http.Header) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String(), w.Header()
}

func TestHealthAnswersUnderTheNamesOfKubernetesAndOfPrometheus(t *testing.T) {
	var state error
	mux := http.NewServeMux()
	Health(mux, func() error { return state })
	for _, path := range []string{"/healthz", "/-/healthy", "/readyz", "/-/ready"} {
		code, _, _ := ask(mux, path)
		assert.Equal(t, http.StatusOK, code, path)
	}
	state = errors.New("policy bad: no such bucket")
	for _, path := range []string{"/healthz", "/-/healthy"} {
		code, body, _ := ask(mux, path)
		assert.Equal(t, http.StatusOK, code, path)
		assert.Equal(t, "healthy\n", body)
	}
	for _, path := range []string{"/readyz", "/-/ready"} {
		code, body, _ := ask(mux, path)
		assert.Equal(t, http.StatusServiceUnavailable, code, path)
		assert.Equal(t, "not ready: policy bad: no such bucket\n", body)
	}
}

func TestEvidenceIsAPageOrAReason(t *testing.T) {
	missing := fmt.Errorf("read: %w", drilllog.ErrNoEvidence)
	for name, c := range map[string]struct {
		err  error
		code int
		body string
	}{
		"found":      {nil, http.StatusOK, "<!doctype html>"},
		"missing":    {missing, http.StatusNotFound, "404 page not found"},
		"unreadable": {errors.New("access denied"), http.StatusBadGateway, "read evidence: access denied"},
	} {
		t.Run(name, func(t *testing.T) {
			code, body, header := ask(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				Evidence(w, r, func(context.Context) (report.Report, error) {
					return report.Report{Backup: report.Backup{Name: "daily-1"}}, c.err
				})
			}), "/evidence")
			assert.Equal(t, c.code, code)
			assert.Contains(t, body, c.body)
			if c.err == nil {
				assert.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
				assert.Contains(t, body, "daily-1")
			}
		})
	}
}

func TestTheSecurityPolicyAllowsTheStyleOfThePageAndNoOther(t *testing.T) {
	s := NewStyle("\n.bar { width: 1px; }\n")
	assert.Contains(t, string(s.CSS), "body {")
	assert.Contains(t, string(s.CSS), "\n.bar { width: 1px; }")
	sum := sha256.Sum256([]byte(s.CSS))
	assert.Contains(t, string(s.CSP), "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	assert.NotEqual(t, s.CSP, NewStyle(".bar { width: 2px; }").CSP)
}

func TestADistanceHasTheUnitsThatMatter(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 59 * time.Second: "59 s", 90 * time.Second: "1 min", 2 * time.Hour: "2 h", 150 * time.Minute: "2 h 30 min",
		49 * time.Hour: "2 d 1 h", 7 * day: "7 d", 400 * day: "1 y 35 d",
	} {
		assert.Equal(t, want, Distance(d))
	}
}
