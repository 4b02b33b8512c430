package restore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// places are where to look for the objects of a resource, for an identity that may
// not list it in the whole cluster: the namespaces, or the names of cluster-scoped
// objects, that the restore is about.
type places map[string]map[string]bool

func placesOf(entries []plan.Entry, o plan.Options) places {
	p := places{}
	add := func(groupResource, place string) {
		if p[groupResource] == nil {
			p[groupResource] = map[string]bool{}
		}
		p[groupResource][place] = true
	}
	for _, e := range entries {
		switch {
		case e.Leave != "":
		case e.Key.Namespace == "":
			add(e.Key.GroupResource(), e.Key.Name)
		default:
			add(e.Key.GroupResource(), e.Key.Namespace)
			add("namespaces", e.Key.Namespace)
		}
	}
	for _, class := range o.StorageClassMapping {
		add(storageClasses, class)
	}
	return p
}

func (p places) of(r item.Resource) []string {
	return slices.Sorted(maps.Keys(p[r.GroupResource()]))
}

// narrow looks for the objects of a resource that may not be listed in the whole
// cluster, place by place.
func (f *found) narrow(ctx context.Context, c Cluster, r item.Resource, l look) error {
	for _, place := range l.places.of(r) {
		look := f.get
		if r.Namespaced {
			look = f.listIn
		}
		err := look(ctx, c, r, place, l)
		switch {
		case apierrors.IsForbidden(err):
			f.unseen = append(f.unseen, place)
		case err != nil:
			return fmt.Errorf("look at the target: %w", err)
		}
	}
	return nil
}

func (f *found) listIn(ctx context.Context, c Cluster, r item.Resource, namespace string, l look) error {
	var info cluster.ListInfo
	for it, err := range c.List(ctx, r, cluster.ListOptions{Namespace: namespace}, &info) {
		if err != nil {
			return err
		}
		if err := f.note(it, l); err != nil {
			return err
		}
	}
	return nil
}

// get reads one cluster-scoped object. One that may not be read is taken to exist,
// unless its resource is asked for by name: who may not read it may not create it
// either, as a rule, and what the restore is about can often do without.
func (f *found) get(ctx context.Context, c Cluster, r item.Resource, name string, l look) error {
	it, err := c.Get(ctx, r, "", name)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case apierrors.IsForbidden(err) && !filter.NamesResource(l.options.Filter.IncludedResources, r):
		f.objects[item.Key{Group: r.Group, Resource: r.Name, Name: name}] = plan.Live{Hidden: true}
		if r.GroupResource() == storageClasses {
			f.names = append(f.names, name)
		}
		return err
	case err != nil:
		return err
	}
	return f.note(it, l)
}

// unseen is what of the target may not be read.
func unseen(resources []item.Resource, found []found) []string {
	var out []string
	for i, f := range found {
		if len(f.unseen) == 0 {
			continue
		}
		what := resources[i].GroupResource()
		if resources[i].Namespaced {
			what += " in"
		}
		out = append(out, what+" "+some(f.unseen))
	}
	return out
}

// some lists the first few names.
func some(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
