package cluster

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAServiceAnswersWhateverItsAnswerIs(t *testing.T) {
	code := http.StatusOK
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/api/v1/namespaces/shop/services/https:guard:8443/proxy/", r.URL.Path)
		if code == http.StatusServiceUnavailable {
			refuse(w, code, "ServiceUnavailable", "no endpoints available for service \"guard\"")
			return
		}
		http.Error(w, "what do you want of me", code)
	})
	for _, code = range []int{http.StatusOK, http.StatusBadRequest, http.StatusNotFound, http.StatusInternalServerError} {
		assert.NoError(t, c.CallService(t.Context(), "shop", "guard", 8443), "%d", code)
	}
	code = http.StatusServiceUnavailable
	assert.ErrorContains(t, c.CallService(t.Context(), "shop", "guard", 8443), "no endpoints available")
	assert.Error(t, connect(t, "http://127.0.0.1:1").CallService(t.Context(), "shop", "guard", 8443))
}
