package cluster

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
)

// callTimeout bounds one call of a Service.
const callTimeout = 5 * time.Second

// CallService asks, through the API server, whether somebody answers at a port
// of a Service by HTTPS; what the answer is does not matter. The error says why
// nobody does. The server's certificate is not verified.
func (c *Client) CallService(ctx context.Context, namespace, name string, port int) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var code int
	result := c.rest.Get().AbsPath("api", "v1", "namespaces", namespace, "services", fmt.Sprintf("https:%s:%d", name, port), "proxy", "/").
		MaxRetries(0).Do(ctx)
	result.StatusCode(&code)
	if code != 0 && code != http.StatusServiceUnavailable && code != http.StatusBadGateway && code != http.StatusGatewayTimeout {
		return nil
	}
	return asked(callError(result))
}

func callError(r rest.Result) error {
	_, err := r.Raw()
	return err
}
