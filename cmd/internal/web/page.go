package web

import (
	"context"
	"crypto/sha256"
	_ "embed" // the style that all pages share
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/verifier/drilllog"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

//go:embed base.css
var baseCSS string

// Style is what the template of a page needs in its head.
type Style struct {
	CSS template.CSS
	// CSP is the <meta> element of a content security policy that allows this
	// style and nothing else.
	CSP template.HTML
}

// NewStyle is the style that all pages share, followed by that of one page.
func NewStyle(css string) Style {
	css = strings.TrimSpace(baseCSS) + "\n" + strings.TrimSpace(css)
	sum := sha256.Sum256([]byte(css))
	return Style{
		CSS: template.CSS(css),
		CSP: template.HTML(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-` +
			base64.StdEncoding.EncodeToString(sum[:]) + `'; base-uri 'none'; form-action 'none'">`),
	}
}

// WritePage answers with a page.
func WritePage(w http.ResponseWriter, code int, page []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(page) // the client has gone
}

// Evidence answers with the page of a drill, rendered from its JSON: the page in the
// location may have been written by anyone. drilllog.ErrNoEvidence answers 404, any
// other error of read 502.
func Evidence(w http.ResponseWriter, r *http.Request, read func(context.Context) (report.Report, error)) {
	rep, err := read(r.Context())
	if errors.Is(err, drilllog.ErrNoEvidence) {
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, cli.Sprintf("read evidence: %s", err), http.StatusBadGateway)
		return
	}
	// Written as it is made: what is too large ends at the limit of the answer.
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = rep.WriteHTML(w)
}
