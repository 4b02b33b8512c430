package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

const (
	// watchTime is how long one request to watch lasts at least; up to twice as
	// long, so that not all end together.
	watchTime = 5 * time.Minute
	// firstRetry and lastRetry bound the wait before a list or a watch that failed
	// is tried again; it doubles in between.
	firstRetry = 500 * time.Millisecond
	lastRetry  = 15 * time.Second
	// lostAfter is how long a watch may be interrupted before what it keeps is no
	// longer given out as the present.
	lostAfter = 10 * time.Second
)

// Watch keeps all objects of one resource in memory, each as what a function
// makes of it, so that memory holds what is needed of an object and not the
// object. It lists in pages and follows what changes from there on. A watch that
// breaks off goes on where it ended; where the API server has forgotten that
// state, everything is listed again. It is safe for concurrent use.
//
// client-go's reflector would do that, too, but it gathers all pages of a list as
// whole objects before it hands over the first one, and distinguishes a missing verb or
// definition to its log alone.
type Watch[T any] struct {
	client    *Client
	resource  item.Resource
	namespace string
	keep      func(item.Item) (T, error)

	first   sync.Once
	tried   chan struct{} // closed when the first list has ended, be it in vain
	version string        // of the state that is known; "" before the first list. Run's alone

	mu      sync.Mutex
	kept    kept[T]
	changes uint64
	err     error     // why the present is not known
	lost    time.Time // since when no request is open; zero while one is
}

// kept are the objects by their keys. The values lie in one slice, which is
// copied only when it changes after it was given away: there may be 100,000.
type kept[T any] struct {
	values []T
	keys   []item.Key // of values
	index  map[item.Key]int
	bad    map[item.Key]error // why nothing could be made of an object
	given  bool
}

func newKept[T any]() kept[T] {
	return kept[T]{index: map[item.Key]int{}, bad: map[item.Key]error{}}
}

func (k *kept[T]) set(key item.Key, value T, err error) {
	if err != nil {
		k.remove(key)
		k.bad[key] = err
		return
	}
	delete(k.bad, key)
	k.own()
	if i, known := k.index[key]; known {
		k.values[i] = value
		return
	}
	k.index[key] = len(k.values)
	k.values, k.keys = append(k.values, value), append(k.keys, key)
}

func (k *kept[T]) remove(key item.Key) {
	delete(k.bad, key)
	i, known := k.index[key]
	if !known {
		return
	}
	k.own()
	last := len(k.values) - 1
	k.values[i], k.keys[i] = k.values[last], k.keys[last]
	k.index[k.keys[i]] = i
	delete(k.index, key)
	clear(k.values[last:])
	k.values, k.keys = k.values[:last], k.keys[:last]
}

// own makes the slice one that is not shared.
func (k *kept[T]) own() {
	if k.given {
		k.values, k.given = slices.Clone(k.values), false
	}
}

// errNotListed says that the first list has not ended.
var errNotListed = errors.New("the first listing has not ended")

// NewWatch makes a watch of a resource in a namespace, "" for all, that knows
// nothing until Run runs. keep must not hold on to the item.
func NewWatch[T any](c *Client, r item.Resource, namespace string, keep func(item.Item) (T, error)) *Watch[T] {
	return &Watch[T]{client: c, resource: r, namespace: namespace, keep: keep, tried: make(chan struct{}), err: errNotListed}
}

// All returns what is kept, in no order, and a number that differs
// whenever it has changed; the slice is shared and must not be changed. The
// error says why it is not known to be the present: the list or watch failed, and
// what to do about it, or an object could not be understood.
func (w *Watch[T]) All() (all []T, changes uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil:
		return nil, 0, fmt.Errorf("watch %s: %w", w.resource.GroupResource(), w.err)
	case !w.lost.IsZero() && time.Since(w.lost) > lostAfter:
		return nil, 0, fmt.Errorf("watch %s: the connection to the API server at %s was lost %s ago", w.resource.GroupResource(), w.client.Host(), time.Since(w.lost).Round(time.Second))
	}
	for key, err := range w.kept.bad {
		return nil, 0, fmt.Errorf("read %s: %w", key, err)
	}
	w.kept.given = true
	return w.kept.values, w.changes, nil
}

// Tried is closed when the first list has ended, with or without success.
func (w *Watch[T]) Tried() <-chan struct{} { return w.tried }

// Run lists and watches until ctx is done.
func (w *Watch[T]) Run(ctx context.Context) {
	wait := firstRetry
	for ctx.Err() == nil {
		began := time.Now()
		err := w.follow(ctx)
		w.ended(w.explain(err))
		w.first.Do(func() { close(w.tried) })
		if time.Since(began) > lastRetry {
			wait = firstRetry
		}
		if err != nil || time.Since(began) < time.Second {
			Sleep(ctx, wait/2+rand.N(wait)) //nolint:gosec // spreads load, keeps no secret
			wait = min(2*wait, lastRetry)
		}
	}
}

// ended notes that no request is open.
func (w *Watch[T]) ended(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost.IsZero() {
		w.lost = time.Now()
	}
	if err != nil {
		w.err = err
	}
}

// opened notes that everything that changes is told from now on.
func (w *Watch[T]) opened() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err, w.lost = nil, time.Time{}
}

// follow lists if it must, and then watches for as long as the API server goes
// on. That it ended, or that the connection broke off, is no error yet.
func (w *Watch[T]) follow(ctx context.Context) error {
	if w.version == "" {
		if err := w.list(ctx); err != nil {
			return err
		}
	}
	body, err := w.request(ctx)
	if expired(err) {
		w.version = ""
		return nil
	}
	if err != nil {
		return err
	}
	defer body.Close()
	w.opened()
	w.first.Do(func() { close(w.tried) })
	err = w.read(body)
	if expired(err) {
		w.version = ""
		return nil
	}
	if errors.Is(err, ErrMalformed) || isStatus(err) {
		return err
	}
	return nil
}

// list replaces everything that is kept.
func (w *Watch[T]) list(ctx context.Context) error {
	var info ListInfo
	kept := newKept[T]()
	for it, err := range w.client.List(ctx, w.resource, ListOptions{Namespace: w.namespace}, &info) {
		if err != nil {
			return err
		}
		value, err := w.keep(it)
		kept.set(it.Key, value, err)
	}
	if info.Expired {
		return errors.New("the API server forgot the state that was being listed; it is listed again")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept, w.changes, w.version = kept, w.changes+1, info.ResourceVersion
	return nil
}

func (w *Watch[T]) request(ctx context.Context) (io.ReadCloser, error) {
	limit := watchTime + rand.N(watchTime) //nolint:gosec // spreads load, keeps no secret
	body, err := w.client.rest.Get().AbsPath(path(w.resource, w.namespace)...).
		Param("watch", "1").Param("allowWatchBookmarks", "true").
		Param("resourceVersion", w.version).
		Param("timeoutSeconds", strconv.Itoa(int(limit.Seconds()))).
		Stream(ctx)
	return body, asked(err)
}

// watchEvent is one line of a watch.
type watchEvent struct {
	Type   watch.EventType `json:"type"`
	Object json.RawMessage `json:"object"`
}

// read takes over events until the body ends.
func (w *Watch[T]) read(body io.Reader) error {
	budget := &budget{r: bufio.NewReaderSize(body, readBuffer), left: maxObject}
	dec := jsontext.NewDecoder(budget)
	for {
		raw, err := dec.ReadValue()
		var syntax *jsontext.SyntacticError
		if errors.As(err, &syntax) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if err != nil {
			return err
		}
		budget.left = maxObject
		if err := w.take(raw); err != nil {
			return err
		}
	}
}

// take takes over one event.
func (w *Watch[T]) take(raw jsontext.Value) error {
	var event watchEvent
	if err := json.Unmarshal(raw, &event); err != nil {
		return fmt.Errorf("%w: an event of a watch: %w", ErrMalformed, err)
	}
	if event.Type == watch.Error {
		return statusError(event.Object)
	}
	var head struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(event.Object, &head); err != nil || head.Metadata.ResourceVersion == "" {
		return fmt.Errorf("%w: an event of a watch without a resource version", ErrMalformed)
	}
	if event.Type != watch.Bookmark {
		it, err := newItem(w.resource, jsontext.Value(event.Object))
		if err != nil {
			return err
		}
		w.change(event.Type, it)
	}
	w.version = head.Metadata.ResourceVersion
	return nil
}

func (w *Watch[T]) change(what watch.EventType, it item.Item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes++
	if what == watch.Deleted {
		w.kept.remove(it.Key)
		return
	}
	value, err := w.keep(it)
	w.kept.set(it.Key, value, err)
}

// statusError is the error that a watch ends with.
func statusError(raw []byte) error {
	var status metav1.Status
	if err := json.Unmarshal(raw, &status); err != nil {
		return fmt.Errorf("%w: the error of a watch: %w", ErrMalformed, err)
	}
	return &apierrors.StatusError{ErrStatus: status}
}

// expired reports whether the API server has forgotten the state a watch began
// with.
func expired(err error) bool { return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) }

func isStatus(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}

// explain says what to do about an error of a list or a watch.
func (w *Watch[T]) explain(err error) error {
	var status apierrors.APIStatus
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("the API server at %s refuses this (grant the verbs list and watch on %s): %w", w.client.Host(), w.resource.GroupResource(), err)
	case errors.As(err, &status) && status.Status().Code == http.StatusNotFound:
		return fmt.Errorf("the API server at %s does not serve it in version %s (is the CustomResourceDefinition %s installed?): %w", w.client.Host(), w.resource.Version, w.resource.GroupResource(), err)
	}
	return w.client.Explain(err)
}
