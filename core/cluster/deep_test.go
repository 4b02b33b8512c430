package cluster

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// An API server takes objects that nest 10,000 deep; in a list they are two levels
// deeper than a decoder follows.
func TestAnObjectAsDeepAsAPIServersTakeDoesNotEndAList(t *testing.T) {
	object := func(name string, depth int) string {
		return fmt.Sprintf(`{"metadata":{"name":%q,"namespace":"n"},"x":%s"]}\\\""%s}`, name, strings.Repeat("[", depth-1), strings.Repeat("]", depth-1))
	}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("continue") == "" {
			reply(w, 200, `{"kind":"ConfigMapList","metadata":{"continue":"2"},"items":[%s,%s,%s]}`, object("a", 3), object("b", 10_000), object("c", 9_999))
			return
		}
		reply(w, 200, `{"kind":"ConfigMapList","metadata":{},"items":[%s]}`, object("d", 3))
	})
	names, err := list(t, c, ListOptions{}, &ListInfo{})
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b", "c", "d"}, names, "each once")
}

func TestAPageInOnePieceThatIsNoListIsRefused(t *testing.T) {
	for _, page := range []string{
		``, `{`, `[]`, `null`, `{}`, `{"items"}`, `{"items":`, `{"items":[`, `{"items":[{]}`, `{"items":[{}`, `{"items":{}}`, `{"items":[1]}`, `{"items":[{"a":1,"a":2}]}`,
		`{"items":[{} {}]}`, `{"items":["]`, `{"metadata":[],"items":[]}`, `{"a" 1,"items":[]}`, `{"items":[{"metadata":{"name":""}}]}`,
	} {
		p := pageReader{resource: configMaps}
		_, err := p.readWhole(strings.NewReader(page), func(item.Item) bool { return true })
		assert.ErrorIs(t, err, ErrMalformed, page)
	}
}
