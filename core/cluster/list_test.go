package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

var configMaps0 = schema.GroupResource{Resource: "configmaps"}

func list(t *testing.T, c *Client, o ListOptions, info *ListInfo) (names []string, err error) {
	t.Helper()
	for it, err := range c.List(t.Context(), configMaps, o, info) {
		if err != nil {
			return names, err
		}
		names = append(names, it.Key.Name)
	}
	return names, nil
}

func TestAPageIsCutIntoItems(t *testing.T) {
	const meta = `"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"7","continue":"next","remainingItemCount":3}`
	for name, c := range map[string]struct {
		page string
		want []string // raw
	}{
		"items get the kind and version the API server leaves out": {
			`{` + meta + `,"items":[{"metadata":{"name":"a","namespace":"n"},"data":{"k":"v"}}]}`,
			[]string{`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"n"},"data":{"k":"v"}}`},
		},
		"items of custom resources keep theirs": {
			`{` + meta + `,"items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}]}`,
			[]string{`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`},
		},
		"only what is missing is added": {
			`{` + meta + `,"items":[{"kind":"ConfigMap","metadata":{"name":"a"}},{"apiVersion":"v1","metadata":{"name":"b"}}]}`,
			[]string{`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"b"}}`},
		},
		"no items":            {`{` + meta + `,"items":[]}`, nil},
		"items are null":      {`{` + meta + `,"items":null}`, nil},
		"items are not there": {`{` + meta + `}`, nil},
		"items come before the metadata": {
			`{"items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}],` + meta + `}`,
			[]string{`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`},
		},
		"members nobody knows": {`{"x":[{"items":[1]}],` + meta + `,"items":[],"y":{"metadata":{"continue":"no"}}}`, nil},
		"names in an unusual form": {
			`{` + meta + `,"items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":null,"name":"\u0061.b:c"}}]}`,
			[]string{`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":null,"name":"\u0061.b:c"}}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := pageReader{dec: jsontext.NewDecoder(strings.NewReader(c.page)), resource: configMaps}
			var raw []string
			wanted, err := p.read(func(it item.Item) bool { raw = append(raw, string(it.Raw)); return true })
			require.NoError(t, err)
			assert.True(t, wanted)
			assert.Equal(t, c.want, raw)
			assert.Equal(t, "next", p.next)
			assert.Equal(t, "7", p.resourceVersion)

			if name == "items are not there" {
				return
			}
			whole := pageReader{resource: configMaps}
			raw = nil
			wanted, err = whole.readWhole(strings.NewReader(c.page), func(it item.Item) bool { raw = append(raw, string(it.Raw)); return true })
			require.NoError(t, err)
			assert.True(t, wanted)
			assert.Equal(t, c.want, raw, "read in one piece")
			assert.Equal(t, "next", whole.next)
			assert.Equal(t, "7", whole.resourceVersion)
		})
	}
}

func TestWhatIsNoListIsRefusedAndNeverTakenForAnEmptyOne(t *testing.T) {
	const whole = `{"kind":"ConfigMapList","metadata":{},"items":[`
	for name, page := range map[string]string{
		"a web page":                   "<html>login</html>",
		"another object":               `{"kind":"ConfigMap","metadata":{"name":"a"}}`,
		"a status":                     `{"kind":"Status","status":"Success"}`,
		"an array":                     `[{"metadata":{"name":"a"}}]`,
		"null":                         `null`,
		"items that are an object":     `{"kind":"ConfigMapList","items":{"a":1}}`,
		"items that are a string":      `{"kind":"ConfigMapList","items":"none"}`,
		"an item that is null":         whole + `null]}`,
		"an item that is a number":     whole + `{"metadata":{"name":"a"}},3,{"metadata":{"name":"b"}}]}`,
		"an item without a name":       whole + `{"metadata":{}}]}`,
		"an item without metadata":     whole + `{"data":{}}]}`,
		"metadata that is a list":      whole + `{"metadata":[]}]}`,
		"an item of another API group": whole + `{"apiVersion":"apps/v1","kind":"X","metadata":{"name":"a"}}]}`,
		"an API version of three":      whole + `{"apiVersion":"a/b/c","kind":"X","metadata":{"name":"a"}}]}`,
		"an empty kind":                whole + `{"kind":"","metadata":{"name":"a"}}]}`,
		"an apiVersion of null":        whole + `{"apiVersion":null,"kind":"X","metadata":{"name":"a"}}]}`,
		"a name twice in one object":   whole + `{"metadata":{"name":"a","name":"b"}}]}`,
		"bytes that are not UTF-8":     whole + "{\"metadata\":{\"name\":\"a\xff\"}}]}",
		"a missing comma":              whole + `{"metadata":{"name":"a"}}{"metadata":{"name":"b"}}]}`,
	} {
		p := pageReader{dec: jsontext.NewDecoder(strings.NewReader(page)), resource: configMaps}
		_, err := p.read(func(item.Item) bool { return true })
		assert.ErrorIs(t, err, ErrMalformed, name)
		assert.False(t, Unreachable(asked(err)), name)
	}
}

func TestAListThatEndsEarlyMeansThatTheServerWentAway(t *testing.T) {
	page := `{"kind":"ConfigMapList","metadata":{"continue":"x"},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}`
	for n := range len(page) {
		p := pageReader{dec: jsontext.NewDecoder(strings.NewReader(page[:n])), resource: configMaps}
		_, err := p.read(func(item.Item) bool { return true })
		assert.Error(t, err, "cut after %d bytes", n)
		assert.True(t, Unreachable(asked(err)), "cut after %d bytes: %v", n, err)
	}
}

// pages serves total config maps, limit by limit.
func pages(t *testing.T, total int, data string, before func(w http.ResponseWriter, r *http.Request, from int) bool) (*Client, *atomic.Int32) {
	var asked atomic.Int32
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil || limit < 1 {
			refuse(w, 400, "BadRequest", "no limit")
			return
		}
		if before != nil && !before(w, r, from) {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		next := ""
		if from+limit < total {
			next = strconv.Itoa(from + limit)
		}
		fmt.Fprintf(w, `{"kind":"ConfigMapList","metadata":{"resourceVersion":"5","continue":%q},"items":[`, next)
		for i := from; i < min(from+limit, total); i++ {
			if i > from {
				fmt.Fprint(w, ",")
			}
			fmt.Fprintf(w, `{"metadata":{"name":"c%05d","namespace":"n"},"data":{"k":%q}}`, i, data)
		}
		fmt.Fprint(w, `]}`)
	}), &asked
}

func numbered(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("c%05d", i))
	}
	return out
}

func TestPagesAreReadToTheEndWhateverTheirBoundary(t *testing.T) {
	for _, total := range []int{0, 1, 99, 100, 101, 599, 600, 601, 1100} {
		c, _ := pages(t, total, "x", nil)
		var info ListInfo
		names, err := list(t, c, ListOptions{}, &info)
		require.NoError(t, err)
		assert.Equal(t, numbered(total), names, "%d objects", total)
		assert.Equal(t, "5", info.ResourceVersion)
		assert.False(t, info.Expired)
	}
}

func TestNamespaceAndSelectorReachTheServer(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/api/v1/namespaces/shop/configmaps", r.URL.Path)
		assert.Equal(t, "a=b,c", r.URL.Query().Get("labelSelector"))
		reply(w, 200, `{"kind":"ConfigMapList","items":null}`)
	})
	_, err := list(t, c, ListOptions{Namespace: "shop", LabelSelector: "a=b,c"}, &ListInfo{})
	require.NoError(t, err)
}

func TestAReaderThatHasEnoughAsksForNothingMore(t *testing.T) {
	c, asked := pages(t, 1000, "x", nil)
	for _, err := range c.List(t.Context(), configMaps, ListOptions{}, &ListInfo{}) {
		require.NoError(t, err)
		break
	}
	assert.EqualValues(t, 1, asked.Load())
}

func TestLargeObjectsMakeSmallPages(t *testing.T) {
	most := 0
	c, _ := pages(t, 150, strings.Repeat("x", 1<<20), func(_ http.ResponseWriter, r *http.Request, from int) bool {
		if from > 0 {
			limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
			most = max(most, limit)
		}
		return true
	})
	var before, peak runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n, held := 0, uint64(0)
	for _, err := range c.List(t.Context(), configMaps, ListOptions{}, &ListInfo{}) {
		require.NoError(t, err)
		if n++; n%25 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&peak)
			held = max(held, peak.HeapAlloc-min(peak.HeapAlloc, before.HeapAlloc))
		}
	}
	assert.Equal(t, 150, n)
	assert.LessOrEqual(t, most, 4, "objects in a page after the first")
	assert.Less(t, held, uint64(32<<20), "bytes held while 150 MiB go by")
}

func TestAnExpiredListGoesOnWhereItWasAndSaysSo(t *testing.T) {
	expired := false
	c, _ := pages(t, 900, "x", func(w http.ResponseWriter, r *http.Request, from int) bool {
		if from == 0 || expired {
			return true
		}
		expired = true
		reply(w, 410, `{"kind":"Status","apiVersion":"v1","metadata":{"continue":%q},"status":"Failure","reason":"Expired","message":"too old","code":410}`, strconv.Itoa(from))
		return false
	})
	var info ListInfo
	names, err := list(t, c, ListOptions{}, &info)
	require.NoError(t, err)
	assert.Equal(t, numbered(900), names)
	assert.True(t, info.Expired)
}

func TestAnExpiredListThatCannotGoOnIsAnError(t *testing.T) {
	for name, token := range map[string]string{"without a token": "", "again and again": "1"} {
		c, asked := pages(t, 900, "x", func(w http.ResponseWriter, r *http.Request, from int) bool {
			if from == 0 {
				return true
			}
			reply(w, 410, `{"kind":"Status","apiVersion":"v1","metadata":{"continue":%q},"status":"Failure","reason":"Expired","message":"too old","code":410}`, token)
			return false
		})
		_, err := list(t, c, ListOptions{}, &ListInfo{})
		assert.ErrorContains(t, err, "list configmaps: too old", name)
		assert.LessOrEqual(t, asked.Load(), int32(2+maxExpired), name)
	}
}

func TestAPageThatContinuesWithItselfIsRefused(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		reply(w, 200, `{"kind":"ConfigMapList","metadata":{"continue":"same"},"items":[]}`)
	})
	_, err := list(t, c, ListOptions{}, &ListInfo{})
	assert.ErrorIs(t, err, ErrMalformed)
}

func TestAPageThatBreaksOffIsAskedForAgainAndNoItemComesTwice(t *testing.T) {
	for _, page := range []int{0, 100} {
		broken := false
		c, _ := pages(t, 700, "x", func(w http.ResponseWriter, r *http.Request, from int) bool {
			if from < page || broken {
				return true
			}
			broken = true
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"kind":"ConfigMapList","metadata":{"continue":"7"},"items":[{"metadata":{"name":"c%05d","namespace":"n"}},{"metadata":{"name":"c%05d","namespace":"n"}},{"met`, from, from+1)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		names, err := list(t, c, ListOptions{}, &ListInfo{})
		require.NoError(t, err)
		assert.Equal(t, numbered(700), names, "broken at %d", page)
	}
}

func TestAServerThatKeepsBreakingOffIsGivenUp(t *testing.T) {
	c, asked := pages(t, 700, "x", func(w http.ResponseWriter, r *http.Request, from int) bool {
		fmt.Fprint(w, `{"kind":"ConfigMapList","items":[{"metadata":{"name":"a"}},`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	names, err := list(t, c, ListOptions{}, &ListInfo{})
	assert.True(t, Unreachable(err), "%v", err)
	assert.Equal(t, []string{"a"}, names)
	assert.EqualValues(t, 1+maxBreaks, asked.Load())
}

func TestAServerThatWasNeverThereIsAskedOnce(t *testing.T) {
	c, asked := pages(t, 1, "x", func(w http.ResponseWriter, r *http.Request, from int) bool { panic(http.ErrAbortHandler) })
	_, err := list(t, c, ListOptions{}, &ListInfo{})
	assert.True(t, Unreachable(err), "%v", err)
	assert.EqualValues(t, 1, asked.Load())
}

func TestAnObjectWithoutEndIsRefused(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"kind":"ConfigMapList","items":[{"metadata":{"name":"a"},"data":{"k":"`)
		piece := []byte(strings.Repeat("x", 1<<20))
		for range 2 * maxObject >> 20 {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	_, err := list(t, c, ListOptions{}, &ListInfo{})
	assert.ErrorIs(t, err, ErrMalformed)
	assert.ErrorContains(t, err, "more than")
}

func FuzzPage(f *testing.F) {
	for _, s := range []string{
		`{"kind":"ConfigMapList","metadata":{"continue":"x"},"items":[{"metadata":{"name":"a","namespace":"b"}}]}`,
		`{"items":null}`, `{"items":[{"apiVersion":"v1","kind":"K","metadata":{"name":"\u0061"}}],"kind":3}`, `{"items":[null]}`, `[]`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		p := pageReader{dec: jsontext.NewDecoder(bytes.NewReader(page)), resource: configMaps}
		n := 0
		_, err := p.read(func(it item.Item) bool {
			n++
			// What is handed on can be read as what it is said to be.
			require.True(t, jsontext.Value(it.Raw).IsValid(), "%s", it.Raw)
			if u, err := it.Object(); err == nil {
				assert.Equal(t, it.Key.Name, u.GetName())
				assert.Equal(t, it.Key.Namespace, u.GetNamespace())
				assert.Equal(t, it.APIVersion(), u.GetAPIVersion())
				assert.Equal(t, it.Kind, u.GetKind())
			}
			return true
		})
		// No object of a list that was read to its end is passed over.
		if u := (&unstructured.UnstructuredList{}); err == nil && json.Unmarshal(page, &u.Object) == nil {
			items, _ := u.Object["items"].([]any)
			assert.Len(t, items, n)
		}
	})
}
