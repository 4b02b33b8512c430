package cluster

import (
	"context"
	"fmt"
	"io"
	"strconv"
)

// MaxLogs bounds what Logs returns, in bytes.
const MaxLogs = 64 << 10

// LogOptions say which log of a pod is read.
type LogOptions struct {
	Container string // "" = the only one
	Previous  bool   // of the container that ran before the one there is now
	Lines     int    // at most so many, the last ones; 0 = all
}

// Logs reads what a container of a pod wrote, at most MaxLogs bytes of it. The
// error is the API server's: a container that has not started, for instance,
// has no log.
func (c *Client) Logs(ctx context.Context, namespace, pod string, o LogOptions) (string, error) {
	// The kubelet counts the bytes from the first of the lines.
	req := c.rest.Get().AbsPath("api", "v1", "namespaces", namespace, "pods", pod, "log").Param("limitBytes", strconv.Itoa(MaxLogs))
	if o.Container != "" {
		req.Param("container", o.Container)
	}
	if o.Previous {
		req.Param("previous", "true")
	}
	if o.Lines > 0 {
		req.Param("tailLines", strconv.Itoa(o.Lines))
	}
	body, err := req.Stream(ctx)
	if err != nil {
		return "", asked(err)
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, MaxLogs))
	if err != nil {
		return "", asked(fmt.Errorf("read the log of pod %s/%s: %w", namespace, pod, err))
	}
	return string(b), nil
}
