package archive

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Head is what identifies objects: the fields every object has.
type Head struct {
	APIVersion string
	Kind       string
	Namespace  string // metadata.namespace, "" for cluster-scoped objects
	Name       string // metadata.name
}

// Meta validates raw as one JSON object within the default limits and reads
// its head. Errors wrap ErrBadJSON.
func Meta(raw []byte) (Head, error) {
	var s scanner
	return s.scan(raw, Limits{}.withDefaults().MaxDepth)
}

// scanner reads heads; it keeps its buffers from one object to the next.
type scanner struct {
	dec jsontext.Decoder
	buf bytes.Buffer
}

func (s *scanner) scan(raw []byte, maxDepth int) (Head, error) {
	if err := checkDepth(raw, maxDepth); err != nil {
		return Head{}, err
	}
	// A Decoder reads out of a *bytes.Buffer in place, without a copy.
	s.buf = *bytes.NewBuffer(raw)
	s.dec.Reset(&s.buf)
	h, err := s.object()
	if err != nil {
		return Head{}, fmt.Errorf("%w: %w", ErrBadJSON, err)
	}
	return h, nil
}

func (s *scanner) object() (Head, error) {
	var h Head
	err := s.members(func(name string) error {
		switch name {
		case "apiVersion":
			return s.text(&h.APIVersion)
		case "kind":
			return s.text(&h.Kind)
		case "metadata":
			return s.members(func(name string) error {
				switch name {
				case "name":
					return s.text(&h.Name)
				case "namespace":
					return s.text(&h.Namespace)
				}
				_, err := s.dec.ReadValue()
				return err
			})
		}
		_, err := s.dec.ReadValue()
		return err
	})
	if err != nil {
		return h, err
	}
	if _, err := s.dec.ReadToken(); err != io.EOF {
		return h, fmt.Errorf("data after the end of the object")
	}
	if h.Kind == "" || h.APIVersion == "" {
		return h, fmt.Errorf("no kind or no apiVersion")
	}
	return h, nil
}

// members calls each for every member of the object that comes next, with the
// decoder in front of its value.
func (s *scanner) members(each func(name string) error) error {
	if k := s.dec.PeekKind(); k != '{' && k != 0 {
		return fmt.Errorf("%s where an object must be", k)
	}
	if _, err := s.dec.ReadToken(); err != nil {
		return unexpectedEOF(err)
	}
	for s.dec.PeekKind() != '}' {
		t, err := s.dec.ReadToken()
		if err != nil {
			return unexpectedEOF(err)
		}
		if err := each(t.String()); err != nil {
			return unexpectedEOF(err)
		}
	}
	_, err := s.dec.ReadToken()
	return err
}

func (s *scanner) text(to *string) error {
	if k := s.dec.PeekKind(); k != '"' && k != 0 {
		return fmt.Errorf("%s where a string must be", k)
	}
	t, err := s.dec.ReadToken()
	if err != nil {
		return err
	}
	*to = strings.Clone(t.String())
	return nil
}

func unexpectedEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // an error that wraps it is no end
		return io.ErrUnexpectedEOF
	}
	return err
}

// checkDepth looks at the brackets outside strings before anything recursive
// sees the document.
func checkDepth(raw []byte, most int) error {
	if bytes.Count(raw, []byte{'{'})+bytes.Count(raw, []byte{'['}) <= most {
		return nil // nearly all documents
	}
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = stringEnd(raw, i+1)
		case '{', '[':
			if depth++; depth > most {
				return fmt.Errorf("%w: nested more than %d deep", ErrBadJSON, most)
			}
		case '}', ']':
			depth--
		}
	}
	return nil
}

// stringEnd is the index of the quote that ends the string whose first byte
// is at i, or len(raw).
func stringEnd(raw []byte, i int) int {
	for i < len(raw) {
		n := bytes.IndexByte(raw[i:], '"')
		if n < 0 {
			return len(raw)
		}
		end, escapes := i+n, 0
		for j := end - 1; j >= i && raw[j] == '\\'; j-- {
			escapes++
		}
		if escapes%2 == 0 {
			return end
		}
		i = end + 1
	}
	return len(raw)
}
