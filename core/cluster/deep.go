package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// A JSON decoder follows 10,000 levels, and API servers take objects of just as
// many. In a list such an object is two levels deeper: a page that has one is read
// in one piece, and its objects are cut out by their brackets.

// tooDeep reports whether a page nests deeper than the decoder follows.
func tooDeep(err error) bool {
	var syntax *jsontext.SyntacticError
	return errors.As(err, &syntax) && strings.Contains(err.Error(), "max depth")
}

// readWhole is read for such a page.
func (p *pageReader) readWhole(r io.Reader, yield func(item.Item) bool) (wanted bool, err error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxObject+1))
	if err != nil {
		return true, err
	}
	if len(raw) > maxObject {
		return true, fmt.Errorf("%w: a page of more than %d bytes", ErrMalformed, maxObject)
	}
	items, err := p.cut(raw)
	if err != nil {
		return true, err
	}
	for _, value := range items {
		it, err := newItem(p.resource, value)
		if err != nil {
			return true, err
		}
		if !yield(it) {
			return false, nil
		}
	}
	return true, nil
}

// cut divides a list into its objects.
func (p *pageReader) cut(raw []byte) (items []jsontext.Value, err error) {
	c := cutter{raw: raw}
	err = c.members(func(name string, value []byte) error {
		switch name {
		case "metadata":
			var m struct{ Continue, ResourceVersion string }
			err := json.Unmarshal(value, &m)
			p.next, p.resourceVersion = m.Continue, m.ResourceVersion
			return err
		case "items":
			p.hasItems = true
			return (&cutter{raw: value}).elements(func(v []byte) error {
				if !jsontext.Value(v).IsValid() {
					return errors.New("an object that is not valid JSON")
				}
				items = append(items, v)
				return nil
			})
		}
		return nil
	})
	if err == nil && !p.hasItems {
		err = errors.New("no items")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return items, nil
}

// cutter finds where values end, and checks nothing else.
type cutter struct {
	raw []byte
	at  int
}

var errCut = errors.New("the JSON is cut short")

// next is the next byte that is no space.
func (c *cutter) next() byte {
	for c.at < len(c.raw) && strings.IndexByte(" \t\r\n", c.raw[c.at]) >= 0 {
		c.at++
	}
	if c.at == len(c.raw) {
		return 0
	}
	return c.raw[c.at]
}

func (c *cutter) members(use func(name string, value []byte) error) error {
	return c.list('{', '}', func() error {
		quoted := c.value()
		name, err := jsontext.AppendUnquote(nil, quoted)
		if err != nil || c.next() != ':' {
			return errCut
		}
		c.at++
		return use(string(name), c.value())
	})
}

// elements are those of an array; null is an empty one.
func (c *cutter) elements(use func([]byte) error) error {
	if c.next() == 'n' {
		return nil
	}
	return c.list('[', ']', func() error { return use(c.value()) })
}

func (c *cutter) list(open, end byte, one func() error) error {
	if c.next() != open {
		return errCut
	}
	c.at++
	for c.next() != end {
		if err := one(); err != nil {
			return err
		}
		switch c.next() {
		case ',':
			c.at++
		case end:
		default:
			return errCut
		}
	}
	c.at++
	return nil
}

// value is the value that comes next, whole as far as its brackets tell.
func (c *cutter) value() []byte {
	c.next()
	start, depth := c.at, 0
	for c.at < len(c.raw) {
		switch b := c.raw[c.at]; {
		case b == '"':
			c.at = stringEnd(c.raw, c.at+1)
		case b == '{' || b == '[':
			depth++
			c.at++
		case depth == 0 && (b == '}' || b == ']' || b == ',' || b == ':' || strings.IndexByte(" \t\r\n", b) >= 0):
			return c.raw[start:c.at]
		case b == '}' || b == ']':
			depth--
			c.at++
		default:
			c.at++
		}
		if depth == 0 && c.at > start && strings.IndexByte(`"}]`, c.raw[min(c.at, len(c.raw))-1]) >= 0 {
			return c.raw[start:min(c.at, len(c.raw))]
		}
	}
	c.at = len(c.raw)
	return c.raw[start:]
}

// stringEnd is the index after the string whose first byte is at i.
func stringEnd(raw []byte, i int) int {
	for i < len(raw) {
		n := bytes.IndexAny(raw[i:], `"\`)
		switch {
		case n < 0:
			return len(raw)
		case raw[i+n] == '"':
			return i + n + 1
		}
		i += n + 2
	}
	return len(raw)
}
