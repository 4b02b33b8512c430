package cluster

import (
	"context"
	"fmt"
	"io"
	"strconv"
)

// LogOptions narrows Logs.
type LogOptions struct {
	Previous bool // of the container's last run instead of this one
	Tail     int  // last lines; 0 = all
	Limit    int  // bytes; the log is cut after them
}

// Logs is what a container has written to standard output and error. The error
// is the API server's: a container that has not started, for instance, has no
// log.
func (c *Client) Logs(ctx context.Context, of Container, o LogOptions) ([]byte, error) {
	req := c.rest.Get().AbsPath("api", "v1", "namespaces", of.Namespace, "pods", of.Pod, "log").Param("limitBytes", strconv.Itoa(o.Limit))
	if of.Name != "" {
		req.Param("container", of.Name)
	}
	if o.Previous {
		req.Param("previous", "true")
	}
	if o.Tail > 0 {
		req.Param("tailLines", strconv.Itoa(o.Tail))
	}
	body, err := req.Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the log of pod %s/%s: %w", of.Namespace, of.Pod, asked(err))
	}
	defer body.Close()
	out, err := io.ReadAll(io.LimitReader(body, int64(o.Limit)))
	if err != nil {
		return nil, fmt.Errorf("read the log of pod %s/%s: %w", of.Namespace, of.Pod, asked(err))
	}
	return out, nil
}
