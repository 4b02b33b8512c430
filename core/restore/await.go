package restore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// awaitPoll is how long to wait between two looks at a namespace.
const awaitPoll = 500 * time.Millisecond

// await waits until the namespaces that are being deleted are gone, all at the
// same time. What cannot be created in one that stays is refused by the API
// server; the warning says why.
func (x *executor) await(ctx context.Context, namespaces []string) error {
	if len(namespaces) == 0 {
		return nil
	}
	limit := cmp.Or(x.job.TerminatingTimeout, DefaultTerminatingTimeout)
	x.job.stage("waiting at most %s until the namespaces that are being deleted are gone: %s", limit, strings.Join(namespaces, ", "))
	held := make([]string, len(namespaces))
	g, gctx := errgroup.WithContext(ctx)
	for i, name := range namespaces {
		g.Go(func() (err error) {
			held[i], err = gone(gctx, x.job.Cluster, name, limit)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, why := range held {
		if why != "" {
			x.warnings = append(x.warnings, fmt.Sprintf("namespace %s is still being deleted after %s: %s", namespaces[i], limit, why))
		}
	}
	return nil
}

// gone waits until a namespace is gone, or says what holds it.
func gone(ctx context.Context, c Cluster, name string, limit time.Duration) (held string, err error) {
	deadline := time.Now().Add(limit)
	r := item.Resource{Version: "v1", Name: "namespaces", Kind: "Namespace"}
	for {
		it, err := c.Get(ctx, r, "", name)
		switch {
		case apierrors.IsNotFound(err):
			return "", nil
		case ctx.Err() != nil:
			return "", ctx.Err()
		case cluster.Unreachable(err):
			return "", err
		case err != nil:
			return cluster.Reason(err), nil
		}
		u, err := it.Object()
		if err != nil {
			return "", err
		}
		if u.GetDeletionTimestamp() == nil {
			return "", nil // recreated meanwhile
		}
		if time.Now().After(deadline) {
			return holders(u), nil
		}
		if !cluster.Sleep(ctx, awaitPoll) {
			return "", ctx.Err()
		}
	}
}

// holders is why a namespace stays, by the namespace controller.
func holders(u *unstructured.Unstructured) string {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	var out []string
	for _, c := range conditions {
		m, _ := c.(map[string]any)
		if message, _ := m["message"].(string); m["status"] == "True" && message != "" {
			out = append(out, message)
		}
	}
	if len(out) == 0 {
		of, _, _ := unstructured.NestedStringSlice(u.Object, "spec", "finalizers")
		return fmt.Sprintf("its finalizers: %v", slices.Concat(u.GetFinalizers(), of))
	}
	return strings.Join(out, " ")
}
