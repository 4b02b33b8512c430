package collect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// tenant is what is known of an identity that has rights in some namespaces and may
// not list those of the cluster. What it may not read and did not ask for by name is
// left out of the backup with a warning, since it is not the identity's to restore;
// for anyone else a refusal makes the backup incomplete.
type tenant struct {
	namespaces []item.Item // those it may read
	denied     map[string][]string
	lists      map[string]int // how many lists of each namespace succeeded
}

// clusterScope stands for no namespace in tenant.denied.
const clusterScope = ""

// beTenant finds the included namespaces one by one: the identity may not list them.
func (c *Collection) beTenant(ctx context.Context, r item.Resource, refusal error) error {
	t := &tenant{denied: map[string][]string{}, lists: map[string]int{}}
	for _, name := range c.filter.IncludedNamespaces {
		if strings.ContainsAny(name, "*?[{") {
			return fmt.Errorf("%w (without that permission, name namespaces in full: %s is a pattern)", refusal, name)
		}
		if !c.filter.HasNamespace(name) {
			continue
		}
		it, err := c.source.Get(ctx, r, "", name)
		switch {
		case err == nil:
			t.namespaces = append(t.namespaces, it)
		case apierrors.IsForbidden(err):
			// It is looked up again as what its objects need, and named then.
		case apierrors.IsNotFound(err):
			c.problem("namespace "+name, errNoNamespace)
			continue
		default:
			return err
		}
		c.namespaces = append(c.namespaces, name)
	}
	if len(c.namespaces) == 0 {
		return c.noNamespace()
	}
	c.tenant = t
	return nil
}

func (t *tenant) deny(namespace, what string) {
	if !slices.Contains(t.denied[namespace], what) {
		t.denied[namespace] = append(t.denied[namespace], what)
	}
}

// marked are the namespaces with the label that excludes them.
func (t *tenant) marked() (map[string]bool, error) {
	out := map[string]bool{}
	for _, it := range t.namespaces {
		set, err := labelsOf(it)
		if err != nil {
			return nil, err
		}
		if set[api.LabelExcludeFromBackup] == "true" {
			out[it.Key.Name] = true
		}
	}
	return out, nil
}

// outOfReach notes a refusal that a tenant is told of in a warning, and returns
// false for any other.
func (c *Collection) outOfReach(r item.Resource, namespace string, err error) bool {
	f := c.filter
	named := slices.Concat(f.IncludedResources, f.IncludedNamespaceScopedResources, f.IncludedClusterScopedResources)
	named = slices.DeleteFunc(named, func(n string) bool { return strings.Contains(n, "*") })
	if c.tenant == nil || !apierrors.IsForbidden(err) || filter.NamesResource(named, r) {
		return false
	}
	c.tenant.deny(namespace, r.GroupResource())
	return true
}

// concludeTenant says what was left out for lack of permissions. A namespace of
// which nothing could be listed is a problem: it may not exist.
func (c *Collection) concludeTenant() {
	if c.tenant == nil {
		return
	}
	for _, namespace := range slices.Sorted(maps.Keys(c.tenant.denied)) {
		denied := c.tenant.denied[namespace]
		slices.Sort(denied)
		switch list := strings.Join(denied, ", "); {
		case namespace == clusterScope:
			c.warn("cluster-scoped objects", fmt.Errorf("left out, no permission to read: %s", list))
		case c.tenant.lists[namespace] == 0:
			c.problem("namespace "+namespace, errors.New("no permission to list anything in it, if it exists"))
		default:
			c.warn("namespace "+namespace, fmt.Errorf("left out, no permission to list: %s", list))
		}
	}
}

// Listed reports whether anything of a namespace could be listed. A tenant without that right has a
// typing error in its namespaces, or no rights at all. It is complete when Items has
// ended.
func (c *Collection) Listed() bool {
	return c.tenant == nil || slices.ContainsFunc(c.namespaces, func(n string) bool { return c.tenant.lists[n] > 0 })
}

var errNoNamespace = errors.New("no such namespace in the cluster")

func (c *Collection) noNamespace() error {
	return filter.NoMatch(fmt.Errorf("no namespace of the cluster is selected by %v without %v (see: kubectl get namespaces)", c.filter.IncludedNamespaces, c.filter.ExcludedNamespaces))
}

// give hands on items that were read before.
func (u *unit) give(ctx context.Context, items []item.Item) {
	defer close(u.batches)
	if len(items) == 0 {
		return
	}
	select {
	case u.batches <- items:
	case <-ctx.Done():
		u.err = ctx.Err()
	}
}

// refused notes that a list was refused or broke off.
func (c *Collection) refused(u *unit) {
	c.report[u.choice].Error = cluster.Reason(u.err)
	if c.outOfReach(u.resource, u.namespace, u.err) {
		return
	}
	object := u.resource.GroupResource()
	if u.namespace != "" {
		object += " in " + u.namespace
	}
	c.problem(object, u.err)
}
