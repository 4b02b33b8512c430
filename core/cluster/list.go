package cluster

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

const (
	// DefaultPageSize is how many objects one LIST asks for at most, as
	// Velero's default.
	DefaultPageSize = 500
	// firstPageSize is how many objects the first LIST of a resource asks for,
	// when nothing is known of their size.
	firstPageSize = 100
	// pageBytes is what a page should hold. A page of this size fits into the
	// window of its HTTP stream and the buffers of the reader, so the API server
	// is done with it although the reader, held up by a slow store, is not; a
	// request that takes more than its time limit (60 s) is cut off.
	pageBytes = 4 << 20
	// readBuffer is what is taken from a connection at once. The decoder would
	// ask for 4 KiB at a time, and HTTP/2 answers each with a frame of its own.
	readBuffer = 64 << 10
	// maxObject bounds the JSON of one object. The API server takes requests of
	// 3 MiB; aggregated APIs have limits of their own.
	maxObject = 64 << 20
	// maxBreaks is how often a page that breaks off is asked for again.
	maxBreaks = 3
	// breakWait is the time before the first of these, then it doubles.
	breakWait = 200 * time.Millisecond
	// maxExpired is how often in succession a list may be told that its state
	// is gone.
	maxExpired = 5
)

// ErrMalformed says that the API server's answer is not a list of objects.
var ErrMalformed = errors.New("malformed answer of the API server")

// ListOptions narrows a list. The zero value is every object of all
// namespaces.
type ListOptions struct {
	Namespace     string // "" = all namespaces, or a cluster-scoped resource
	LabelSelector string
	PageSize      int // most objects in one page; 0 = DefaultPageSize
}

// ListInfo is the state of which a list was taken. It is complete when the
// sequence has ended.
type ListInfo struct {
	ResourceVersion string
	// Expired says that the server had compacted the state the list began
	// with, so later pages are of a newer one: what was created meanwhile among
	// the objects of earlier pages is missing.
	Expired bool
}

// List yields the objects of a resource in the API server's order while the
// pages arrive. The items carry apiVersion and kind. A page that breaks off is
// asked for again; when that does not help, or the API server refuses, the
// sequence ends with the error. info is filled in on the way.
func (c *Client) List(ctx context.Context, r item.Resource, o ListOptions, info *ListInfo) iter.Seq2[item.Item, error] {
	return func(yield func(item.Item, error) bool) {
		most := cmp.Or(o.PageSize, DefaultPageSize)
		l := lister{client: c, resource: r, options: o, info: info, most: most, limit: min(most, firstPageSize), buffer: bufio.NewReaderSize(nil, readBuffer)}
		for {
			more, err := l.page(ctx, yield)
			if err != nil && l.again(ctx, err) {
				continue
			}
			if err != nil {
				yield(item.Item{}, fmt.Errorf("list %s: %w", r.GroupResource(), err))
				return
			}
			if !more {
				return
			}
		}
	}
}

// lister is one list under way.
type lister struct {
	client   *Client
	resource item.Resource
	options  ListOptions
	info     *ListInfo
	most     int // objects in a page

	buffer  *bufio.Reader
	token   string
	limit   int
	begun   bool       // the API server has answered once
	given   []item.Key // yielded of the page that is being read
	breaks  int        // of this page
	expired int        // in succession
	deep    bool       // this page nests deeper than a decoder follows
}

// again decides whether the page that failed is asked for once more, and waits
// if need be.
func (l *lister) again(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if token := expiredToken(err); token != "" && l.expired < maxExpired {
		l.expired++
		l.info.Expired = true
		l.token = token
		return true
	}
	if tooDeep(err) && !l.deep {
		l.deep = true
		return true
	}
	if !l.begun || !Unreachable(err) || l.breaks == maxBreaks {
		return false
	}
	l.breaks++
	return Sleep(ctx, breakWait<<(l.breaks-1))
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

// page requests one page and yields its items, but for those it has given
// before it broke off. more is false after the last page and when the caller
// of the sequence has seen enough.
func (l *lister) page(ctx context.Context, yield func(item.Item, error) bool) (more bool, err error) {
	body, err := l.request(ctx)
	if err != nil {
		return false, err
	}
	defer body.Close()
	l.begun = true

	before := make(map[item.Key]bool, len(l.given))
	for _, k := range l.given {
		before[k] = true
	}
	l.buffer.Reset(body)
	budget := &budget{r: l.buffer, left: maxObject}
	p := pageReader{dec: jsontext.NewDecoder(budget), resource: l.resource}
	size, count := 0, 0
	take := func(it item.Item) bool {
		budget.left = maxObject
		size, count = size+len(it.Raw), count+1
		if before[it.Key] {
			return true
		}
		l.given = append(l.given, it.Key)
		return yield(it, nil)
	}
	read := p.read
	if l.deep {
		read = func(yield func(item.Item) bool) (bool, error) { return p.readWhole(l.buffer, yield) }
	}
	wanted, err := read(take)
	switch {
	case ctx.Err() != nil && err != nil:
		return false, ctx.Err()
	case err != nil:
		return false, asked(err)
	case !wanted:
		return false, nil
	case p.next != "" && p.next == l.token:
		return false, fmt.Errorf("%w: a page that continues with itself", ErrMalformed)
	}
	l.turn(p, size, count)
	return p.next != "", nil
}

// turn makes ready for the next page: as many objects as make pageBytes.
func (l *lister) turn(p pageReader, size, count int) {
	l.given, l.breaks, l.expired, l.deep = l.given[:0], 0, 0, false
	l.token = p.next
	l.info.ResourceVersion = cmp.Or(p.resourceVersion, l.info.ResourceVersion)
	if size > 0 {
		l.limit = min(max(pageBytes*count/size, 1), l.most)
	}
}

func (l *lister) request(ctx context.Context) (io.ReadCloser, error) {
	req := l.client.rest.Get().AbsPath(path(l.resource, l.options.Namespace)...).Param("limit", strconv.Itoa(l.limit))
	if l.token != "" {
		req.Param("continue", l.token)
	}
	if l.options.LabelSelector != "" {
		req.Param("labelSelector", l.options.LabelSelector)
	}
	body, err := req.Stream(ctx)
	return body, asked(err)
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

// budget ends a body that goes on and on without an object coming to its end.
type budget struct {
	r    io.Reader
	left int
}

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("%w: an object of more than %d bytes", ErrMalformed, maxObject)
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}

// pageReader cuts a list into its items while it arrives.
type pageReader struct {
	dec             *jsontext.Decoder
	resource        item.Resource
	next            string
	resourceVersion string

	kind     string
	hasItems bool
}

// read yields the items. wanted is false when yield said that it has enough.
func (p *pageReader) read(yield func(item.Item) bool) (wanted bool, err error) {
	err = members(p.dec, func(name string) error { return p.member(name, yield) })
	if err == nil && !p.hasItems && !strings.HasSuffix(p.kind, "List") {
		// Whatever it is, taking it for an empty list would lose objects.
		err = fmt.Errorf("%w: kind %q where a list should be", ErrMalformed, p.kind)
	}
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, errEnough):
		return false, nil
	case errors.As(err, &syntax) && !errors.Is(err, io.ErrUnexpectedEOF):
		return false, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return true, err
}

// errEnough ends the reading of a page whose reader has seen enough.
var errEnough = errors.New("enough")

func (p *pageReader) member(name string, yield func(item.Item) bool) (err error) {
	switch name {
	case "kind":
		p.kind, err = readString(p.dec)
		return err
	case "metadata":
		return p.readMeta()
	case "items":
		p.hasItems = true
		return p.readItems(yield)
	}
	return p.dec.SkipValue()
}

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

// readItems reads the array of objects; null is an empty one.
func (p *pageReader) readItems(yield func(item.Item) bool) error {
	open, err := p.dec.ReadToken()
	if err != nil || open.Kind() == 'n' {
		return err
	}
	if open.Kind() != '[' {
		return fmt.Errorf("%w: items is not an array", ErrMalformed)
	}
	for p.dec.PeekKind() == '{' {
		value, err := p.dec.ReadValue()
		if err != nil {
			return err
		}
		it, err := newItem(p.resource, value)
		if err != nil {
			return err
		}
		if !yield(it) {
			return errEnough
		}
	}
	end, err := p.dec.ReadToken()
	if err == nil && end.Kind() != ']' {
		err = fmt.Errorf("%w: %s where an object should be", ErrMalformed, end)
	}
	return err
}
