// Package jsonbound limits the size of untrusted JSON, before a decoder sees
// it: how many bytes, and how many values, and how much memory all documents take
// that are decoded at the same time. Bytes alone do not bound memory: a
// struct of 250 bytes can be made from the three bytes "{},".
package jsonbound

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ErrTooLarge says that a document is over one of its limits.
var ErrTooLarge = errors.New("over the limit")

// Limits of one document.
type Limits struct {
	Bytes int64
	// Values is how many values there may be, counted by the brackets that open
	// and the commas outside of strings, of which each begins at most one.
	Values int64
}

// Reader passes a document on as long as it is within its limits. It looks for
// nothing else: what is no JSON passes.
type Reader struct {
	r        io.Reader
	limits   Limits
	bytes    int64
	values   int64
	inString bool
	escaped  bool // the next byte belongs to an escape
	err      error
}

// NewReader makes a Reader of r.
func NewReader(r io.Reader, l Limits) *Reader { return &Reader{r: r, limits: l} }

// Read implements io.Reader. Over a limit its error wraps ErrTooLarge, and
// nothing of that piece is passed on.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.r.Read(p)
	r.bytes += int64(n)
	r.count(p[:n])
	switch {
	case r.bytes > r.limits.Bytes:
		r.err = fmt.Errorf("more than %d bytes of JSON: %w", r.limits.Bytes, ErrTooLarge)
	case r.values > r.limits.Values:
		r.err = fmt.Errorf("more than %d values in JSON: %w", r.limits.Values, ErrTooLarge)
	default:
		return n, err
	}
	return 0, r.err
}

// Err is the limit that was exceeded, or nil. A decoder may say of a document
// that is cut there only that it is cut.
func (r *Reader) Err() error { return r.err }

func (r *Reader) count(p []byte) {
	for i := 0; i < len(p); i++ {
		switch {
		case r.escaped:
			r.escaped = false
		case r.inString:
			n := bytes.IndexAny(p[i:], `"\`)
			if n < 0 {
				return
			}
			i += n
			r.escaped = p[i] == '\\'
			r.inString = r.escaped
		case p[i] == '"':
			r.inString = true
		case p[i] == ',' || p[i] == '{' || p[i] == '[':
			r.values++
		}
	}
}
