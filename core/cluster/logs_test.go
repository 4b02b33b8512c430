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
			assert.Equal(t, "container=app&limitBytes=65536&previous=true&tailLines=5", r.URL.Query().Encode())
			_, _ = w.Write([]byte(strings.Repeat("x", 3*MaxLogs)))
		default:
			refuse(w, http.StatusBadRequest, "BadRequest", `container "app" in pod "new" is waiting to start: ContainerCreating`)
		}
	})
	log, err := c.Logs(t.Context(), "shop", "web", LogOptions{Container: "app", Previous: true, Lines: 5})
	require.NoError(t, err)
	assert.Len(t, log, MaxLogs)

	_, err = c.Logs(t.Context(), "shop", "new", LogOptions{})
	assert.True(t, apierrors.IsBadRequest(err))
	assert.Contains(t, Reason(err), "waiting to start")
}
