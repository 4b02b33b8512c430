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

// CallService asks, through the API server, whether somebody answers at a port
// of a Service by HTTPS; what the answer is does not matter. The error says why
// nobody does. The server's certificate is not verified.
func (c *Client) CallService(ctx context.Context, namespace, name string, port int) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := c.rest.Get().AbsPath("api", "v1", "namespaces", namespace, "services", fmt.Sprintf("https:%s:%d", name, port), "proxy", "/").
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
