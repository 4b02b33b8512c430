package collect

import (
	"context"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// related gathers which objects the taken ones need, when a filter leaves
// objects out: the claims of a pod, the namespaces they are in, the volume of a
// claim, the priority class of a pod, the definition of a custom resource, and
// the cluster roles bound to a service account (Velero's item block actions and
// backupCRD); besides, the cluster role of a role binding, without which the
// binding grants nothing.
type related struct {
	claims, namespaces, volumes, priorityClasses, definitions, serviceAccounts, roles names
}

const claims = "persistentvolumeclaims"

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
// decoded. The claims of a pod are wanted when labels may have left them out.
func (r *related) note(it item.Item, wantClaims bool) error {
	r.namespaces.add(it.Key.Namespace)
	if strings.Contains(it.Key.Group, ".") { // a definition's group is a domain name
		r.definitions.add(it.Key.GroupResource())
	}
	switch it.Key.GroupResource() {
	case "serviceaccounts":
		r.serviceAccounts.add(it.Key.Namespace + "/" + it.Key.Name)
	case claims:
		return read(it, func(obj *unstructured.Unstructured) { r.volumes.add(text(obj, "spec", "volumeName")) })
	case "pods":
		return read(it, func(obj *unstructured.Unstructured) {
			r.priorityClasses.add(text(obj, "spec", "priorityClassName"))
			if wantClaims {
				r.addClaims(obj)
			}
		})
	case "rolebindings.rbac.authorization.k8s.io":
		return read(it, func(obj *unstructured.Unstructured) {
			if text(obj, "roleRef", "kind") == "ClusterRole" {
				r.roles.add(text(obj, "roleRef", "name"))
			}
		})
	}
	return nil
}

func (r *related) addClaims(pod *unstructured.Unstructured) {
	volumes, _, _ := unstructured.NestedSlice(pod.Object, "spec", "volumes")
	for _, v := range volumes {
		if m, ok := v.(map[string]any); ok {
			if name := text(&unstructured.Unstructured{Object: m}, "persistentVolumeClaim", "claimName"); name != "" {
				r.claims.add(pod.GetNamespace() + "/" + name)
			}
		}
	}
}

func read(it item.Item, use func(*unstructured.Unstructured)) error {
	obj, err := it.Object()
	if err == nil {
		use(obj)
	}
	return err
}

func text(obj *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(obj.Object, path...) // another type is as good as absent
	return s
}

// yieldRelated fetches the related objects that the lists have not given:
// claims first, since they need volumes.
func (c *Collection) yieldRelated(ctx context.Context, yield func(item.Item, error) bool) {
	if !c.filter.Narrowed() {
		return
	}
	wanted := []struct {
		resource string
		names    *names
	}{
		{claims, &c.related.claims},
		{"namespaces", &c.related.namespaces},
		{"persistentvolumes", &c.related.volumes},
		{"priorityclasses.scheduling.k8s.io", &c.related.priorityClasses},
		{"customresourcedefinitions.apiextensions.k8s.io", &c.related.definitions},
	}
	for _, w := range wanted {
		for _, name := range w.names.sorted() {
			if !c.yieldOne(ctx, w.resource, name, yield) {
				return
			}
		}
	}
	c.yieldRoles(ctx, yield)
}

// yieldOne fetches one object, "name" or "namespace/name", unless it was taken
// already, its resource is left out by the user, or it does not exist: a claim
// may name a volume that is gone, and most API groups have no definition.
func (c *Collection) yieldOne(ctx context.Context, resource, name string, yield func(item.Item, error) bool) bool {
	r, ok := c.resource(resource)
	if !ok {
		return true
	}
	key := item.Key{Group: r.Group, Resource: r.Name, Name: name}
	if r.Namespaced {
		key.Namespace, key.Name, _ = strings.Cut(name, "/")
	}
	if c.taken[key] {
		return true
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
	case err != nil:
		c.problem(resource+" "+name, err)
		return true
	}
	return c.consider(it, &c.report[c.choice(resource)], yield)
}

const (
	clusterRoleBindings = "clusterrolebindings.rbac.authorization.k8s.io"
	clusterRoles        = "clusterroles.rbac.authorization.k8s.io"
)

// yieldRoles fetches the cluster role bindings that name a taken service
// account, their cluster roles, and those of role bindings.
func (c *Collection) yieldRoles(ctx context.Context, yield func(item.Item, error) bool) {
	bindings, err := c.findBindings(ctx)
	if err != nil {
		yield(item.Item{}, err)
		return
	}
	for _, name := range bindings.sorted() {
		if !c.yieldOne(ctx, clusterRoleBindings, name, yield) {
			return
		}
	}
	for _, name := range c.related.roles.sorted() {
		if !c.yieldOne(ctx, clusterRoles, name, yield) {
			return
		}
	}
}

// findBindings finds the cluster role bindings of the taken service accounts
// and notes their roles. The error is one after which nothing more can be had.
func (c *Collection) findBindings(ctx context.Context) (names, error) {
	r, ok := c.resource(clusterRoleBindings)
	if !ok || len(c.related.serviceAccounts) == 0 {
		return nil, nil
	}
	var found names
	var info cluster.ListInfo
	for it, err := range c.source.List(ctx, r, cluster.ListOptions{}, &info) {
		switch {
		case err != nil && (ctx.Err() != nil || cluster.Unreachable(err)):
			return nil, err
		case err != nil:
			c.problem(clusterRoleBindings, err)
			return found, nil
		}
		err := read(it, func(obj *unstructured.Unstructured) {
			if bindsAny(obj, c.related.serviceAccounts) {
				found.add(it.Key.Name)
				c.related.roles.add(text(obj, "roleRef", "name"))
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
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
