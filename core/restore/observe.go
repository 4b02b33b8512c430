package restore

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// observers is how many lists of the target are under way at once.
const observers = 4

// Observe looks at the target as far as the entries need it: what it serves,
// and which objects of the backup's resources exist, by digest.
func Observe(ctx context.Context, c Cluster, entries []plan.Entry) (plan.Observed, error) {
	t, err := discover(ctx, c)
	if err != nil {
		return plan.Observed{}, err
	}
	return t.observe(ctx, c, entries)
}

// target is what a cluster says that it serves.
type target struct {
	resources []item.Resource // all versions
	failures  []cluster.GroupFailure
}

func discover(ctx context.Context, c Cluster) (target, error) {
	resources, failures, err := c.AllVersions(ctx)
	return target{resources, failures}, err
}

func (t target) observe(ctx context.Context, c Cluster, entries []plan.Entry) (plan.Observed, error) {
	seen := plan.Observed{
		Served: map[string][]string{}, Existing: map[item.Key]plan.Digest{},
		Terminating: map[string]bool{}, Undiscovered: map[string]string{},
	}
	for _, f := range t.failures {
		seen.Undiscovered[f.GroupVersion] = cluster.Reason(f.Err)
	}
	wanted := plan.Resources(entries)
	var lists []item.Resource
	for _, r := range t.resources {
		gr := r.GroupResource()
		if !r.Can("create") {
			continue
		}
		seen.Served[gr] = append(seen.Served[gr], r.Version)
		if versions, ok := wanted[gr]; ok && r.Can("list") && slices.Contains(versions, r.Version) {
			lists = append(lists, r)
			delete(wanted, gr)
		}
	}
	err := t.list(ctx, c, lists, entries, seen)
	return seen, err
}

// list notes in the maps of seen which objects of the entries exist.
func (t target) list(ctx context.Context, c Cluster, lists []item.Resource, entries []plan.Entry, seen plan.Observed) error {
	keys := make(map[item.Key]bool, len(entries))
	for _, e := range entries {
		keys[e.Key] = true
	}
	found := make([]found, len(lists))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(observers)
	for i, r := range lists {
		g.Go(func() error { return found[i].list(gctx, c, r, keys) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, f := range found {
		for k, d := range f.digests {
			seen.Existing[k] = d
		}
		for _, ns := range f.terminating {
			seen.Terminating[ns] = true
		}
	}
	return nil
}

// found is what one list gave.
type found struct {
	digests     map[item.Key]plan.Digest
	terminating []string
}

func (f *found) list(ctx context.Context, c Cluster, r item.Resource, keys map[item.Key]bool) error {
	f.digests = map[item.Key]plan.Digest{}
	namespaces := r.GroupResource() == "namespaces"
	var info cluster.ListInfo
	for it, err := range c.List(ctx, r, cluster.ListOptions{}, &info) {
		if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
			return nil // gone since discovery
		}
		if err != nil {
			return fmt.Errorf("look at the target: %w", err)
		}
		if namespaces {
			if u, err := it.Object(); err == nil && u.GetDeletionTimestamp() != nil {
				f.terminating = append(f.terminating, it.Key.Name)
			}
		}
		if !keys[it.Key] && !namespaces {
			continue
		}
		if f.digests[it.Key], err = plan.DigestOf(it); err != nil {
			return err
		}
	}
	return nil
}
