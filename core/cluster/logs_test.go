package cluster

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestLogsAreTheLastLinesOfAContainerAndBounded(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/namespaces/shop/pods/web/log":
			assert.Equal(t, "container=app&limitBytes=1000&previous=true&tailLines=5", r.URL.Query().Encode())
			_, _ = w.Write([]byte(strings.Repeat("x", 3000)))
		default:
			refuse(w, http.StatusBadRequest, "BadRequest", `container "app" in pod "new" is waiting to start: ContainerCreating`)
		}
	})
	log, err := c.Logs(t.Context(), Container{"shop", "web", "app"}, LogOptions{Previous: true, Tail: 5, Limit: 1000})
	require.NoError(t, err)
	assert.Len(t, log, 1000)

	_, err = c.Logs(t.Context(), Container{"shop", "new", ""}, LogOptions{Limit: 1000})
	assert.True(t, apierrors.IsBadRequest(err))
	assert.Contains(t, Reason(err), "waiting to start")
}
