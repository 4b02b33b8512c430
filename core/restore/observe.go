package restore

import (
	"context"
	"fmt"
	"maps"
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
// and which objects of the backup's resources exist.
func Observe(ctx context.Context, c Cluster, entries []plan.Entry, o plan.Options) (plan.Observed, error) {
	t, err := discover(ctx, c)
	if err != nil {
		return plan.Observed{}, err
	}
	return t.observe(ctx, c, entries, o)
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

func (t target) observe(ctx context.Context, c Cluster, entries []plan.Entry, o plan.Options) (plan.Observed, error) {
	seen := plan.Observed{
		Served: map[string][]string{}, Existing: map[item.Key]plan.Live{},
		Terminating: map[string]bool{}, Undiscovered: map[string]string{}, StorageClasses: map[string]bool{},
	}
	for _, f := range t.failures {
		seen.Undiscovered[f.GroupVersion] = cluster.Reason(f.Err)
	}
	for _, r := range t.resources {
		if gr := r.GroupResource(); r.Can("create") && !slices.Contains(seen.Served[gr], r.Version) {
			seen.Served[gr] = append(seen.Served[gr], r.Version)
		}
	}
	lists := t.lists(entries, o, seen.Served)
	l := look{options: o, held: heldVersions(entries), places: placesOf(entries, o)}
	if slices.ContainsFunc(lists, func(r item.Resource) bool { return r.Group == "" && (r.Name == claims || r.Name == volumes) }) {
		l.storage = t.storageLists(lists)
		seen.Storage = &plan.Storage{Volumes: map[string]plan.LiveVolume{}, Claims: map[item.Key]plan.LiveClaim{}, Classes: map[string]plan.Class{}}
	}
	return seen, t.list(ctx, c, lists, l, &seen)
}

// storageLists are what has to be listed beside, to see which volumes and claims
// belong together. Whoever may not list it can restore all the same.
func (t target) storageLists(lists []item.Resource) []item.Resource {
	var out []item.Resource
	for _, gr := range []string{volumes, claims, storageClasses} {
		is := func(r item.Resource) bool { return r.GroupResource() == gr && r.Version == "v1" && r.Can("list") }
		if i := slices.IndexFunc(t.resources, is); i >= 0 && !slices.ContainsFunc(lists, is) {
			out = append(out, t.resources[i])
		}
	}
	return out
}

// lists are the resources to be listed, each at the version at which the backup
// holds most of it or, where that is not served, at the one a restore would
// use.
func (t target) lists(entries []plan.Entry, o plan.Options, served map[string][]string) []item.Resource {
	wanted := plan.Resources(entries)
	if len(o.StorageClassMapping) > 0 {
		wanted[storageClasses] = append(wanted[storageClasses], "v1")
	}
	var out []item.Resource
	for _, r := range t.resources {
		gr := r.GroupResource()
		if versions, ok := wanted[gr]; ok && r.Can("list", "create") && r.Version == plan.ServedVersion(versions[0], served[gr]) {
			out = append(out, r)
			delete(wanted, gr)
		}
	}
	return out
}

const (
	storageClasses = "storageclasses.storage.k8s.io"
	claims         = "persistentvolumeclaims"
	volumes        = "persistentvolumes"
)

// heldVersions are the versions at which the backup holds the items, by their
// keys in the target.
func heldVersions(entries []plan.Entry) map[item.Key]string {
	out := make(map[item.Key]string, len(entries))
	for _, e := range entries {
		out[e.Key] = e.Version
	}
	return out
}

// list notes in the maps of seen which objects of the entries exist.
func (t target) list(ctx context.Context, c Cluster, lists []item.Resource, l look, seen *plan.Observed) error {
	all := slices.Concat(lists, l.storage)
	found := make([]found, len(all))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(observers)
	for i, r := range all {
		g.Go(func() error {
			err := found[i].list(gctx, c, r, l)
			if i < len(lists) && apierrors.IsForbidden(err) {
				err = found[i].narrow(gctx, c, r, l)
			}
			if i >= len(lists) && apierrors.IsForbidden(err) {
				found[i].denied, err = true, nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	seen.Unseen = unseen(all, found)
	for _, f := range found {
		for k, live := range f.objects {
			seen.Existing[k] = live
		}
		for _, name := range f.terminating {
			seen.Terminating[name] = true
		}
		for _, name := range f.names {
			seen.StorageClasses[name] = true
		}
	}
	if seen.Storage != nil {
		noteStorage(all, found, seen)
	}
	return nil
}

// noteStorage notes the volumes, claims and storage classes.
func noteStorage(lists []item.Resource, found []found, seen *plan.Observed) {
	for i, f := range found {
		switch {
		case f.denied && lists[i].GroupResource() == storageClasses:
			seen.Storage.Classes = nil
		case f.denied:
			seen.Storage = nil
			return
		}
	}
	for _, f := range found {
		maps.Copy(seen.Storage.Volumes, f.storage.Volumes)
		maps.Copy(seen.Storage.Claims, f.storage.Claims)
		if seen.Storage.Classes != nil {
			maps.Copy(seen.Storage.Classes, f.storage.Classes)
		}
	}
}

// look says how to look at objects of the target.
type look struct {
	options plan.Options
	held    map[item.Key]string // versions
	places  places
	storage []item.Resource // listed only to see which volumes and claims belong together
}

// found is what one list gave.
type found struct {
	objects     map[item.Key]plan.Live
	terminating []string
	names       []string // of storage classes
	storage     plan.Storage
	denied      bool     // it may not be listed
	unseen      []string // where its objects may not be read
}

func (f *found) list(ctx context.Context, c Cluster, r item.Resource, l look) error {
	f.objects = map[item.Key]plan.Live{}
	f.storage = plan.Storage{Volumes: map[string]plan.LiveVolume{}, Claims: map[item.Key]plan.LiveClaim{}, Classes: map[string]plan.Class{}}
	var info cluster.ListInfo
	for it, err := range c.List(ctx, r, cluster.ListOptions{}, &info) {
		if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
			return nil // gone since discovery
		}
		if err != nil {
			return fmt.Errorf("look at the target: %w", err)
		}
		if err := f.note(it, l); err != nil {
			return err
		}
	}
	return nil
}

func isStorage(k item.Key) bool {
	switch k.GroupResource() {
	case storageClasses, claims, volumes:
		return true
	}
	return false
}

func (f *found) note(it item.Item, l look) error {
	version, wanted := l.held[it.Key]
	namespace := it.Key.GroupResource() == "namespaces"
	if it.Key.GroupResource() == storageClasses {
		f.names = append(f.names, it.Key.Name)
	}
	storage := isStorage(it.Key)
	if !wanted && !namespace && !storage {
		return nil
	}
	u, err := it.Object()
	if err != nil {
		return err
	}
	if storage {
		f.storage.Note(u, it.Key)
		if !wanted {
			return nil
		}
	}
	if !wanted {
		version = it.Version
	}
	if namespace && u.GetDeletionTimestamp() != nil {
		f.terminating = append(f.terminating, it.Key.Name)
	}
	f.objects[it.Key], err = l.options.Live(u, item.Resource{Group: it.Key.Group, Version: version}.APIVersion())
	return err
}
