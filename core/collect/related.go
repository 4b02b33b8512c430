package collect

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// related gathers which cluster-scoped objects the taken ones need, when a
// filter leaves cluster-scoped objects out: the namespaces they are in, the
// volume of a claim, the priority class of a pod, the definition of a custom
// resource, and the cluster roles bound to a service account (Velero's item
// block actions and backupCRD).
type related struct {
	namespaces, volumes, priorityClasses, definitions, serviceAccounts names
}

type names map[string]bool

func (n *names) add(name string) {
	if name == "" {
		return
	}
	if *n == nil {
		*n = names{}
	}
	(*n)[name] = true
}

func (n names) sorted() []string {
	out := make([]string, 0, len(n))
	for name := range n {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// note remembers what an item needs. Only kinds that need something are
// decoded.
func (r *related) note(it item.Item) error {
	r.namespaces.add(it.Key.Namespace)
	if it.Key.Group != "" {
		r.definitions.add(it.Key.GroupResource())
		return nil
	}
	switch it.Key.Resource {
	case "serviceaccounts":
		r.serviceAccounts.add(it.Key.Namespace + "/" + it.Key.Name)
	case "persistentvolumeclaims", "pods":
		obj, err := it.Object()
		if err != nil {
			return err
		}
		if it.Key.Resource == "pods" {
			r.priorityClasses.add(text(obj, "spec", "priorityClassName"))
		} else {
			r.volumes.add(text(obj, "spec", "volumeName"))
		}
	}
	return nil
}

func text(obj *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(obj.Object, path...) // another type is as good as absent
	return s
}

// yieldRelated fetches the related objects that the lists have not given.
func (c *Collection) yieldRelated(ctx context.Context, yield func(item.Item, error) bool) {
	if !c.filter.Narrowed() {
		return
	}
	wanted := []struct {
		resource string
		names    []string
	}{
		{"namespaces", c.related.namespaces.sorted()},
		{"persistentvolumes", c.related.volumes.sorted()},
		{"priorityclasses.scheduling.k8s.io", c.related.priorityClasses.sorted()},
		{"customresourcedefinitions.apiextensions.k8s.io", c.related.definitions.sorted()},
	}
	for _, w := range wanted {
		for _, name := range w.names {
			if !c.yieldOne(ctx, w.resource, name, yield) {
				return
			}
		}
	}
	c.yieldRoles(ctx, yield)
}

// yieldOne fetches one cluster-scoped object, unless it was taken already, its
// resource is excluded by the user, or it does not exist: a claim may name a
// volume that is gone, and most API groups have no definition.
func (c *Collection) yieldOne(ctx context.Context, resource, name string, yield func(item.Item, error) bool) bool {
	i := slices.IndexFunc(c.choices, func(ch Choice) bool { return ch.GroupResource() == resource })
	if i < 0 || c.choices[i].Excluded == isExcluded {
		return true
	}
	r := c.choices[i].Resource
	if c.taken[item.Key{Group: r.Group, Resource: r.Name, Name: name}] {
		return true
	}
	it, err := c.source.Get(ctx, r, "", name)
	switch {
	case apierrors.IsNotFound(err):
		return true
	case ctx.Err() != nil:
		yield(item.Item{}, ctx.Err())
		return false
	case cluster.Unreachable(err):
		yield(item.Item{}, err)
		return false
	case err != nil:
		c.problems = append(c.problems, Problem{Object: resource + " " + name, Err: err})
		return true
	}
	report := &c.report[i]
	report.Listed++
	if reason, err := c.leftOut(it); err != nil || reason != "" {
		return true
	}
	return c.take(it, report, yield)
}

// yieldRoles fetches the cluster role bindings that name a taken service
// account, and their cluster roles.
func (c *Collection) yieldRoles(ctx context.Context, yield func(item.Item, error) bool) {
	const bindings, roles = "clusterrolebindings.rbac.authorization.k8s.io", "clusterroles.rbac.authorization.k8s.io"
	r, ok := c.resource(bindings)
	if !ok || len(c.related.serviceAccounts) == 0 {
		return
	}
	var boundTo, bindingNames names
	var info cluster.ListInfo
	for it, err := range c.source.List(ctx, r, cluster.ListOptions{}, &info) {
		if err != nil {
			if ctx.Err() != nil || cluster.Unreachable(err) {
				yield(item.Item{}, err)
				return
			}
			c.problems = append(c.problems, Problem{Object: bindings, Err: err})
			return
		}
		obj, err := it.Object()
		if err != nil {
			yield(item.Item{}, err)
			return
		}
		if bindsAny(obj, c.related.serviceAccounts) {
			bindingNames.add(it.Key.Name)
			boundTo.add(text(obj, "roleRef", "name"))
		}
	}
	for _, name := range bindingNames.sorted() {
		if !c.yieldOne(ctx, bindings, name, yield) {
			return
		}
	}
	for _, name := range boundTo.sorted() {
		if !c.yieldOne(ctx, roles, name, yield) {
			return
		}
	}
}

func bindsAny(binding *unstructured.Unstructured, accounts names) bool {
	subjects, _, _ := unstructured.NestedSlice(binding.Object, "subjects")
	return slices.ContainsFunc(subjects, func(s any) bool {
		m, ok := s.(map[string]any)
		if !ok || m["kind"] != "ServiceAccount" {
			return false
		}
		ns, _ := m["namespace"].(string)
		name, _ := m["name"].(string)
		return accounts[ns+"/"+name]
	})
}
