package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// callTimeout bounds one call of a Service.
const callTimeout = 5 * time.Second

// CallService asks, through the API server, whether a server answers at a port
// of a Service by HTTPS; what the answer is does not matter. The error says why
// none does. The server's certificate is not verified.
func (c *Client) CallService(ctx context.Context, namespace, name string, port int) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	// In one piece: of several client-go drops the slash at the end, without which
	// the API server answers by itself, with a redirection.
	err := c.rest.Get().AbsPath(fmt.Sprintf("/api/v1/namespaces/%s/services/https:%s:%d/proxy/", namespace, name, port)).
		MaxRetries(0).Do(ctx).Error()
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		switch status.Status().Code {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout: // of the API server, which could not reach it
		default:
			return nil
		}
	}
	return asked(err)
}
