package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// DefaultPageSize is how many objects one LIST asks for, as Velero's default.
const DefaultPageSize = 500

// ErrMalformed says that the API server's answer is not a list of objects.
var ErrMalformed = errors.New("malformed answer of the API server")

// ListOptions narrows a list. The zero value is every object of all
// namespaces.
type ListOptions struct {
	Namespace     string // "" = all namespaces, or a cluster-scoped resource
	LabelSelector string
	PageSize      int // 0 = DefaultPageSize
}

// ListInfo says of which state a list was taken. It is complete when the
// sequence has ended.
type ListInfo struct {
	ResourceVersion string
	// Expired says that the server had compacted the state the list began
	// with, so later pages are of a newer one: an object that changed in
	// between may be missing or old.
	Expired bool
}

// List yields the objects of a resource in the API server's order while the
// pages arrive. The items are of the resource's version and carry apiVersion
// and kind. The sequence ends after the first error. info is filled in on the
// way.
func (c *Client) List(ctx context.Context, r item.Resource, o ListOptions, info *ListInfo) iter.Seq2[item.Item, error] {
	return func(yield func(item.Item, error) bool) {
		token := ""
		for {
			next, more, err := c.page(ctx, r, o, token, info, yield)
			if expired := expiredToken(err); expired != "" {
				info.Expired = true
				token = expired
				continue
			}
			if err != nil {
				yield(item.Item{}, fmt.Errorf("list %s: %w", r.GroupResource(), err))
				return
			}
			if !more || next == "" {
				return
			}
			token = next
		}
	}
}

// expiredToken is the token with which the server offers to go on after 410
// Gone, "" for any other error.
func expiredToken(err error) string {
	var status apierrors.APIStatus
	if !apierrors.IsResourceExpired(err) || !errors.As(err, &status) {
		return ""
	}
	return status.Status().Continue
}

// page requests one page and yields its items. more is false when the caller
// of the sequence has seen enough.
func (c *Client) page(ctx context.Context, r item.Resource, o ListOptions, token string, info *ListInfo, yield func(item.Item, error) bool) (next string, more bool, err error) {
	req := c.rest.Get().AbsPath(path(r, o.Namespace)...)
	size := o.PageSize
	if size == 0 {
		size = DefaultPageSize
	}
	req.Param("limit", strconv.Itoa(size))
	if token != "" {
		req.Param("continue", token)
	}
	if o.LabelSelector != "" {
		req.Param("labelSelector", o.LabelSelector)
	}
	body, err := req.Stream(ctx)
	if err != nil {
		return "", false, err
	}
	defer body.Close()
	p := pageReader{dec: jsontext.NewDecoder(body), resource: r}
	more, err = p.read(func(it item.Item) bool { return yield(it, nil) })
	if err != nil {
		if ctx.Err() != nil {
			return "", false, ctx.Err()
		}
		return "", false, err
	}
	if p.resourceVersion != "" {
		info.ResourceVersion = p.resourceVersion
	}
	return p.next, more, nil
}

func path(r item.Resource, namespace string) []string {
	p := []string{"api", r.Version}
	if r.Group != "" {
		p = []string{"apis", r.Group, r.Version}
	}
	if namespace != "" {
		p = append(p, "namespaces", namespace)
	}
	return append(p, r.Name)
}

// pageReader cuts a list into its items while it arrives.
type pageReader struct {
	dec             *jsontext.Decoder
	resource        item.Resource
	next            string
	resourceVersion string
}

func (p *pageReader) read(yield func(item.Item) bool) (more bool, err error) {
	more = true
	err = members(p.dec, func(name string) error {
		switch {
		case name == "metadata":
			return p.readMeta()
		case name == "items" && p.dec.PeekKind() == '[':
			more, err = p.readItems(yield)
			if err == nil && !more {
				return errEnough
			}
			return err
		}
		return p.dec.SkipValue()
	})
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, errEnough):
		return false, nil
	case errors.As(err, &syntax) && !errors.Is(err, io.ErrUnexpectedEOF):
		return false, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return more, err
}

// errEnough ends the reading of a page whose reader has seen enough.
var errEnough = errors.New("enough")

func (p *pageReader) readMeta() error {
	return members(p.dec, func(name string) error {
		var err error
		switch name {
		case "continue":
			p.next, err = readString(p.dec)
		case "resourceVersion":
			p.resourceVersion, err = readString(p.dec)
		default:
			err = p.dec.SkipValue()
		}
		return err
	})
}

func (p *pageReader) readItems(yield func(item.Item) bool) (more bool, err error) {
	if _, err := p.dec.ReadToken(); err != nil { // '['
		return false, err
	}
	for p.dec.PeekKind() == '{' {
		value, err := p.dec.ReadValue()
		if err != nil {
			return false, err
		}
		it, err := newItem(p.resource, value)
		if err != nil {
			return false, err
		}
		if !yield(it) {
			return false, nil
		}
	}
	_, err = p.dec.ReadToken()
	return true, err
}
