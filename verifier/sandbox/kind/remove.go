package kind

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// clusterLabel is how kind marks the containers of a cluster. Its value is the
// cluster's name.
const clusterLabel = "io.x-k8s.kind.cluster"

// removeNodes removes the containers of a sandbox and their volumes. kind's own
// Delete does no more, but takes no context. Those that are being removed by
// another process, kind for example, are not there any more for this purpose.
func removeNodes(ctx context.Context, n name) error {
	answer, err := docker(ctx, nil, "ps", "--all", "--quiet", "--no-trunc", "--filter", "label="+clusterLabel+"="+n.String())
	if err != nil {
		return err
	}
	ids := lines(answer)
	if len(ids) == 0 {
		return nil
	}
	_, err = docker(ctx, nil, append([]string{"rm", "--force", "--volumes"}, ids...)...)
	if said := words(err); strings.Contains(said, "is already in progress") || strings.Contains(strings.ToLower(said), "no such container") {
		return errBusy
	}
	return err
}

// errBusy means that another process removes the same container.
var errBusy = errors.New("its container is being removed already")

// vacate removes the containers of a sandbox and makes sure that none can still
// come. A docker command that was killed, by Ctrl-C for example, leaves the
// engine at work: the container appears seconds later. The engine reserves its
// name as the first step and frees it with the last, so a process that gets the
// name knows that no other creates the container. Without image it claims nothing.
func vacate(ctx context.Context, n name, image string) error {
	for {
		err := removeNodes(ctx, n)
		if err == nil && image != "" {
			err = claim(ctx, n, image)
		}
		if err == nil {
			return nil
		}
		if !errors.Is(err, errBusy) {
			return fmt.Errorf("remove sandbox %s: %w", n, err)
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return fmt.Errorf("remove sandbox %s: %w", n, errors.Join(context.Cause(ctx), err))
		}
	}
}

// claim takes the name of the node for a moment, or fails with errBusy.
func claim(ctx context.Context, n name, image string) error {
	id, err := docker(ctx, nil, "create", "--pull", "never", "--name", n.node(), "--label", clusterLabel+"="+n.String(), "--network", "none", image)
	switch said := words(err); {
	case err == nil:
		_, err = docker(ctx, nil, "rm", "--force", "--volumes", id)
		return err
	case strings.Contains(said, "is already in use"):
		return errBusy
	case strings.Contains(strings.ToLower(said), "no such image"), strings.Contains(said, "not found"):
		return nil // without the image nothing can have begun
	}
	return err
}
