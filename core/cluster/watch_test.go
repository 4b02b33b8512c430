package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

const (
	watchPatience = 10 * time.Second
	watchOften    = 5 * time.Millisecond
)

// watched is an API server with ConfigMaps that a test changes. What is asked of
// it is written down.
type watched struct {
	mu      sync.Mutex
	list    func(w http.ResponseWriter)
	watches []string // the resource versions that watches began with
	lists   int
	events  chan string // lines for the watch that is open; "" ends it
}

func newWatched() *watched {
	return &watched{events: make(chan string), list: func(w http.ResponseWriter) { reply(w, http.StatusOK, "%s", listOf("7", "a", "b")) }}
}

func listOf(version string, names ...string) string {
	items := make([]string, len(names))
	for i, n := range names {
		items[i] = object(n, version)
	}
	return fmt.Sprintf(`{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":%q},"items":[%s]}`, version, strings.Join(items, ","))
}

func object(name, version string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":"n","resourceVersion":%q},"data":{"v":%q}}`, name, version, version)
}

func event(what, name, version string) string {
	return fmt.Sprintf(`{"type":%q,"object":%s}`, what, object(name, version))
}

func (s *watched) answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") == "" {
		s.mu.Lock()
		s.lists++
		list := s.list
		s.mu.Unlock()
		list(w)
		return
	}
	s.mu.Lock()
	s.watches = append(s.watches, r.URL.Query().Get("resourceVersion"))
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	for {
		select {
		case line := <-s.events:
			if line == "" {
				return
			}
			fmt.Fprintln(w, line)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func (s *watched) listing(list func(w http.ResponseWriter)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = list
}

func (s *watched) asked() (lists int, watches []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lists, slices.Clone(s.watches)
}

var errBad = errors.New("it says bad")

// follow starts a watch that keeps "name=version" of each object.
func follow(t *testing.T, s *watched) *Watch[string] {
	t.Helper()
	client := serve(t, s.answer)
	w := NewWatch(client, configMaps, "n", func(it item.Item) (string, error) {
		var o struct{ Data map[string]string }
		if err := json.Unmarshal(it.Raw, &o); err != nil {
			return "", err
		}
		if o.Data["v"] == "bad" {
			return "", errBad
		}
		return it.Key.Name + "=" + o.Data["v"], nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(watchPatience):
			t.Error("it does not end with its context")
		}
	})
	return w
}

func (s *watched) say(t *testing.T, line string) {
	t.Helper()
	select {
	case s.events <- line:
	case <-time.After(watchPatience):
		require.Fail(t, "no watch is open")
	}
}

func holds(t *testing.T, w *Watch[string], want ...string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		all, _, err := w.All()
		assert.NoError(c, err)
		assert.ElementsMatch(c, want, all)
	}, watchPatience, watchOften)
}

func fails(t *testing.T, w *Watch[string], want ...string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, _, err := w.All()
		for _, words := range want {
			assert.ErrorContains(c, err, words)
		}
	}, watchPatience, watchOften)
}

func TestAWatchFollowsWhatIsCreatedChangedAndDeleted(t *testing.T) {
	s := newWatched()
	w := follow(t, s)
	holds(t, w, "a=7", "b=7")
	_, before, err := w.All()
	require.NoError(t, err)
	_, again, err := w.All()
	require.NoError(t, err)
	assert.Equal(t, before, again, "nothing has changed")

	s.say(t, event("ADDED", "c", "8"))
	s.say(t, event("MODIFIED", "a", "9"))
	s.say(t, event("DELETED", "b", "10"))
	holds(t, w, "a=9", "c=8")
	_, after, err := w.All()
	require.NoError(t, err)
	assert.NotEqual(t, before, after)
}

func TestAWatchThatEndsGoesOnWhereItWas(t *testing.T) {
	s := newWatched()
	w := follow(t, s)
	s.say(t, event("ADDED", "c", "8"))
	s.say(t, `{"type":"BOOKMARK","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"12"}}}`)
	s.say(t, "")
	s.say(t, event("ADDED", "d", "13"))
	holds(t, w, "a=7", "b=7", "c=8", "d=13")
	lists, watches := s.asked()
	assert.Equal(t, 1, lists, "nothing is listed twice")
	assert.Equal(t, []string{"7", "12"}, watches)
}

func TestAStateThatTheServerForgotIsListedAgain(t *testing.T) {
	s := newWatched()
	w := follow(t, s)
	holds(t, w, "a=7", "b=7")
	s.listing(func(w http.ResponseWriter) { reply(w, http.StatusOK, "%s", listOf("20", "b", "z")) })
	s.say(t, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,"message":"too old resource version"}}`)
	holds(t, w, "b=20", "z=20")
	_, watches := s.asked()
	assert.Equal(t, []string{"7", "20"}, watches)
}

func TestADefinitionThatIsMissingIsNamedAndWaitedFor(t *testing.T) {
	s := newWatched()
	s.listing(func(w http.ResponseWriter) {
		refuse(w, http.StatusNotFound, "NotFound", "the server could not find the requested resource")
	})
	w := follow(t, s)
	<-w.Tried()
	fails(t, w, "watch configmaps", "is the CustomResourceDefinition configmaps installed?")
	s.listing(func(w http.ResponseWriter) { reply(w, http.StatusOK, "%s", listOf("7", "a")) })
	holds(t, w, "a=7")
}

func TestAPermissionThatIsMissingIsNamed(t *testing.T) {
	s := newWatched()
	s.listing(func(w http.ResponseWriter) { refuse(w, http.StatusForbidden, "Forbidden", "configmaps is forbidden") })
	w := follow(t, s)
	fails(t, w, "grant the verbs list and watch on configmaps", "configmaps is forbidden")
}

func TestAnObjectThatMakesNoSenseIsNamedUntilItDoes(t *testing.T) {
	s := newWatched()
	w := follow(t, s)
	holds(t, w, "a=7", "b=7")
	s.say(t, event("MODIFIED", "a", "bad"))
	fails(t, w, "configmaps n/a", errBad.Error())
	s.say(t, event("MODIFIED", "a", "9"))
	holds(t, w, "a=9", "b=7")
}

func TestAnEventThatIsNoneIsAnErrorAndTheWatchGoesOn(t *testing.T) {
	for name, line := range map[string]string{
		"no JSON":             "<html>",
		"no object":           `{"type":"ADDED"}`,
		"no resource version": `{"type":"ADDED","object":{"metadata":{"name":"x"}}}`,
		"no name":             `{"type":"ADDED","object":{"metadata":{"resourceVersion":"9"}}}`,
		"an unknown error":    `{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd is gone"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newWatched()
			w := follow(t, s)
			holds(t, w, "a=7", "b=7")
			s.say(t, line)
			fails(t, w, "watch configmaps")
			// The connection that failed may still take an event before the server
			// sees that its client has closed it.
			require.Eventually(t, func() bool {
				s.say(t, event("ADDED", "c", "8"))
				all, _, err := w.All()
				return err == nil && slices.Contains(all, "c=8")
			}, watchPatience, watchOften)
			holds(t, w, "a=7", "b=7", "c=8")
		})
	}
}

func TestNothingIsSaidBeforeTheFirstListHasEnded(t *testing.T) {
	w := NewWatch(connect(t, "http://127.0.0.1:1"), configMaps, "", func(item.Item) (string, error) { return "", nil })
	_, _, err := w.All()
	assert.ErrorIs(t, err, errNotListed)
}

func TestAWatchThatDoesNotComeBackIsAnError(t *testing.T) {
	s := newWatched()
	w := follow(t, s)
	holds(t, w, "a=7", "b=7")
	w.mu.Lock()
	w.lost = time.Now().Add(-time.Minute) // as if nothing had been open since
	w.mu.Unlock()
	_, _, err := w.All()
	assert.ErrorContains(t, err, "was lost 1m0s ago")
}

func TestAListThatWasOvertakenIsTakenAgain(t *testing.T) {
	expired := true
	s := newWatched()
	s.listing(func(w http.ResponseWriter) {
		if expired { // one list at a time
			expired = false
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusGone)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,"metadata":{"continue":"later"}}`)
			return
		}
		reply(w, http.StatusOK, "%s", listOf("9", "a"))
	})
	w := follow(t, s)
	holds(t, w, "a=9")
	lists, watches := s.asked()
	assert.Equal(t, 3, lists, "refused, gone on with, and once more from the start")
	assert.Equal(t, []string{"9"}, watches)
}

func TestWhatWasGivenAwayStaysAsItWas(t *testing.T) {
	s := newWatched()
	w := follow(t, s)
	holds(t, w, "a=7", "b=7")
	before, _, err := w.All()
	require.NoError(t, err)
	s.say(t, event("MODIFIED", "a", "9"))
	s.say(t, event("DELETED", "b", "10"))
	s.say(t, event("DELETED", "unknown", "10"))
	s.say(t, event("ADDED", "c", "11"))
	s.say(t, event("ADDED", "d", "12"))
	s.say(t, event("DELETED", "a", "13"))
	holds(t, w, "c=11", "d=12")
	assert.ElementsMatch(t, []string{"a=7", "b=7"}, before)
}
