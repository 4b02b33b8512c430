package collect

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/needs"
)

// related gathers which objects the taken ones need, if a filter leaves objects
// out. The rules are those of a restore (core/needs).
type related struct {
	wanted   map[item.Key]bool // false once it was looked for
	accounts map[item.Key]bool // taken service accounts; false once their bindings were looked for
}

// comesByLabel are the namespaced resources of which a label may leave out objects
// that others need. Without a label they are in the lists of their namespaces.
var comesByLabel = map[string]bool{
	"persistentvolumeclaims":          true,
	"serviceaccounts":                 true,
	"roles.rbac.authorization.k8s.io": true,
}

// note remembers what an item needs. Only kinds that need something are decoded.
func (r *related) note(it item.Item) error {
	r.want(needs.OfKey(it.Key)...)
	gr := it.Key.GroupResource()
	if gr == "serviceaccounts" {
		if r.accounts == nil {
			r.accounts = map[item.Key]bool{}
		}
		r.accounts[it.Key] = true
	}
	if !needs.Content(gr) {
		return nil
	}
	obj, err := it.Object()
	if err == nil {
		r.want(needs.Of(obj, it.Key)...)
	}
	return err
}

func (r *related) want(keys ...item.Key) {
	if r.wanted == nil {
		r.wanted = map[item.Key]bool{}
	}
	for _, k := range keys {
		if _, known := r.wanted[k]; !known {
			r.wanted[k] = true
		}
	}
}

// next are the keys that were not returned before, in order.
func next(keys map[item.Key]bool) []item.Key {
	var out []item.Key
	for k, open := range keys {
		if open {
			out = append(out, k)
		}
	}
	for _, k := range out {
		keys[k] = false
	}
	slices.SortFunc(out, item.Compare)
	return out
}

// yieldRelated fetches the objects that the taken ones need and the lists have not
// given, then those that these need, until nothing is missing.
func (c *Collection) yieldRelated(ctx context.Context, yield func(item.Item, error) bool) {
	if !c.filter.Narrowed() {
		return
	}
	for {
		wanted := next(c.related.wanted)
		if len(wanted) == 0 {
			if err := c.wantBindings(ctx); err != nil {
				yield(item.Item{}, err)
				return
			}
			if wanted = next(c.related.wanted); len(wanted) == 0 {
				return
			}
		}
		for _, k := range wanted {
			if !c.yieldOne(ctx, k, yield) {
				return
			}
		}
	}
}

// yieldOne fetches one object, unless it was taken already, its resource is left
// out by the user, or it does not exist: a claim may name a volume that is gone,
// and most API groups have no definition.
func (c *Collection) yieldOne(ctx context.Context, key item.Key, yield func(item.Item, error) bool) bool {
	r, ok := c.mayComeAlong(key.GroupResource())
	if !ok || c.taken[key] || key.Namespace != "" && !c.filter.Labelled() {
		return true // without a label, a list has given what is in a namespace
	}
	it, err := c.source.Get(ctx, r, key.Namespace, key.Name)
	switch {
	case apierrors.IsNotFound(err):
		return true
	case ctx.Err() != nil:
		yield(item.Item{}, ctx.Err())
		return false
	case cluster.Unreachable(err):
		yield(item.Item{}, err)
		return false
	case c.outOfReach(r, key.Namespace, err):
		return true
	case err != nil:
		c.problem(key.String(), err)
		return true
	}
	return c.consider(it, &c.report[c.choice(key.GroupResource())], yield)
}

// wantBindings finds the cluster role bindings of the service accounts that were
// taken since the last time. The error is one after which nothing more can be had.
func (c *Collection) wantBindings(ctx context.Context) error {
	accounts := next(c.related.accounts)
	r, ok := c.mayComeAlong(needs.ClusterRoleBindings)
	if !ok || len(accounts) == 0 {
		return nil
	}
	var info cluster.ListInfo
	for it, err := range c.source.List(ctx, r, cluster.ListOptions{}, &info) {
		switch {
		case err != nil && (ctx.Err() != nil || cluster.Unreachable(err)):
			return err
		case c.outOfReach(r, "", err):
			return nil
		case err != nil:
			c.problem(needs.ClusterRoleBindings, err)
			return nil
		}
		obj, err := it.Object()
		if err != nil {
			return err
		}
		if slices.ContainsFunc(needs.Accounts(obj), func(k item.Key) bool { _, taken := c.related.accounts[k]; return taken }) {
			c.related.want(it.Key)
		}
	}
	return nil
}
