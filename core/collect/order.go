package collect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
)

// ordered finds which choice each name of an order means, and refuses names
// that the cluster cannot have. Velero passes over those in silence.
func ordered(o filter.Order, choices []Choice) (map[int][]string, error) {
	out := map[int][]string{}
	errs := []error{o.Check()}
	resources := make([]item.Resource, len(choices))
	for i, ch := range choices {
		resources[i] = ch.Resource
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		i := -1
		if meant := resolve(name, resources); len(meant) > 0 {
			i = choiceOf(choices, meant[0].GroupResource())
		}
		switch {
		case i < 0:
			errs = append(errs, fmt.Errorf("no resource is named %q (see: kubectl api-resources)", name))
			continue
		case out[i] != nil:
			errs = append(errs, fmt.Errorf("the order of %s is given twice", choices[i].GroupResource()))
		}
		out[i] = o[name]
		errs = append(errs, scoped(choices[i], o[name]))
	}
	return out, errors.Join(errs...)
}

func scoped(ch Choice, names []string) error {
	for _, n := range names {
		switch namespaced := strings.Contains(n, "/"); {
		case ch.Namespaced && !namespaced:
			return fmt.Errorf("%q of %s: these are namespaced, so write namespace/name", n, ch.GroupResource())
		case !ch.Namespaced && namespaced:
			return fmt.Errorf("%q of %s: these are cluster-scoped, so write the name alone", n, ch.GroupResource())
		}
	}
	return nil
}

// errNotSelected says why an object of the order is not in the backup.
var errNotSelected = errors.New("is in the order and is not selected")

// warnOfOrder names the resources whose order has no effect.
func (c *Collection) warnOfOrder() {
	for _, i := range slices.Sorted(maps.Keys(c.order)) {
		if ch := c.choices[i]; ch.Excluded != "" {
			c.warn(ch.GroupResource(), fmt.Errorf("has an order and is not in the backup: %s", ch.Excluded))
		}
	}
}

// yieldOrdered reads the objects of a resource that are to come before those of
// its list. One that does not exist or is not selected is a warning, as with
// Velero; one that cannot be read keeps its place in the list.
func (c *Collection) yieldOrdered(ctx context.Context, choice int, yield func(item.Item, error) bool) bool {
	r := c.choices[choice]
	for _, name := range c.order[choice] {
		key := item.Key{Group: r.Group, Resource: r.Name, Name: name}
		if namespace, rest, found := strings.Cut(name, "/"); found {
			key.Namespace, key.Name = namespace, rest
		}
		if key.Namespace != "" && !c.filter.HasNamespace(key.Namespace) {
			c.warn(key.String(), errNotSelected)
			continue
		}
		if !c.yieldFirst(ctx, r.Resource, key, &c.report[choice], yield) {
			return false
		}
	}
	return true
}

func (c *Collection) warn(object string, err error) {
	c.warnings = append(c.warnings, Problem{Object: object, Err: err})
}

func (c *Collection) yieldFirst(ctx context.Context, r item.Resource, key item.Key, report *manifest.Resource, yield func(item.Item, error) bool) bool {
	it, err := c.source.Get(ctx, r, key.Namespace, key.Name)
	switch {
	case ctx.Err() != nil:
		yield(item.Item{}, ctx.Err())
		return false
	case cluster.Unreachable(err):
		yield(item.Item{}, err)
		return false
	case apierrors.IsNotFound(err):
		c.warn(key.String(), errors.New("is in the order and does not exist"))
		return true
	case err != nil:
		c.warn(key.String(), fmt.Errorf("is in the order and could not be read by itself: %w", err))
		return true
	}
	selected, err := c.selects(r, it)
	switch {
	case err != nil:
		yield(item.Item{}, err)
		return false
	case !selected:
		c.warn(key.String(), errNotSelected)
		return true
	}
	c.first[key], c.matched = true, true
	return c.consider(it, report, yield)
}
