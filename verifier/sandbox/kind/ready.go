package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// looks is the time between two questions to a cluster that is starting.
const looks = 100 * time.Millisecond

// need is one thing a cluster must have before a drill can use it.
type need struct {
	what            string
	resource        item.Resource
	namespace, name string
	met             func(raw []byte) bool
}

// needsOf are the things without which pods are not started, have no identity or
// find no Service.
func needsOf(node string) []need {
	return []need{
		{"the node is ready", item.Resource{Version: "v1", Name: "nodes", Kind: "Node"}, "", node, nodeReady},
		{"namespace default has its service account", item.Resource{Version: "v1", Name: "serviceaccounts", Kind: "ServiceAccount", Namespaced: true}, "default", "default", func([]byte) bool { return true }},
		{"the cluster's DNS answers", item.Resource{Version: "v1", Name: "endpoints", Kind: "Endpoints", Namespaced: true}, "kube-system", "kube-dns", hasAddress},
	}
}

func nodeReady(raw []byte) bool {
	var node corev1.Node
	if json.Unmarshal(raw, &node) != nil {
		return false
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func hasAddress(raw []byte) bool {
	var endpoints corev1.Endpoints //nolint:staticcheck // the name of an EndpointSlice is not known
	if json.Unmarshal(raw, &endpoints) != nil {
		return false
	}
	for _, s := range endpoints.Subsets {
		if len(s.Addresses) > 0 {
			return true
		}
	}
	return false
}

// waitReady waits until the cluster has everything it needs, or ctx ends; the error
// names what was missing.
func waitReady(ctx context.Context, c *cluster.Client, node string, progress func(string)) error {
	for _, n := range needsOf(node) {
		progress("waiting until " + n.what)
		var last error
		for {
			it, err := c.Get(ctx, n.resource, n.namespace, n.name)
			if err == nil && n.met(it.Raw) {
				break
			}
			if ctx.Err() == nil {
				last = err
			}
			if !cluster.Sleep(ctx, looks) {
				return fmt.Errorf("waited until %s: %w", n.what, errors.Join(context.Cause(ctx), last))
			}
		}
	}
	return nil
}
