package sabotage

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/archive/archivetest"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/volume"
	"github.com/lifeboat-backup/lifeboat/test/fixtures/populate"
)

// Contents are the items of a tarball, in its order.
type Contents struct{ Items []item.Item }

// Edit changes contents.
type Edit func(*Contents) error

// careless changes the tarball and nothing else.
func careless(edits ...Edit) func(*Backup) error {
	return func(b *Backup) error {
		_, _, err := b.edit(edits)
		return err
	}
}

// careful changes the tarball and covers the tracks in every record of it.
func careful(edits ...Edit) func(*Backup) error {
	return func(b *Backup) error {
		was, is, err := b.edit(edits)
		if err != nil {
			return err
		}
		return b.cover(was, is)
	}
}

func (b *Backup) edit(edits []Edit) (was, is []item.Item, err error) {
	c, err := b.contents()
	if err != nil {
		return nil, nil, err
	}
	was = slices.Clone(c.Items)
	for _, e := range edits {
		if err := e(c); err != nil {
			return nil, nil, err
		}
	}
	return was, c.Items, b.pack(c)
}

func (b *Backup) contents() (*Contents, error) {
	content, err := b.read(store.Contents)
	if err != nil {
		return nil, err
	}
	c := &Contents{}
	for it, err := range archive.NewReader(bytes.NewReader(content), archive.Limits{}).Items() {
		if err != nil {
			return nil, err
		}
		c.Items = append(c.Items, it)
	}
	return c, nil
}

func (b *Backup) pack(c *Contents) error {
	var out bytes.Buffer
	w := archive.NewWriter(&out, archive.Options{})
	for _, it := range c.Items {
		if _, err := w.Add(it); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return b.write(store.Contents, out.Bytes())
}

// cover makes the resource list, the counts, the records of volumes and the
// manifest agree with the items.
func (b *Backup) cover(was, is []item.Item) error {
	list := map[string][]string{}
	for _, it := range is {
		kind := it.APIVersion() + "/" + it.Kind
		list[kind] = append(list[kind], strings.TrimPrefix(it.Key.Namespace+"/"+it.Key.Name, "/"))
	}
	there := map[item.Key]bool{}
	for _, it := range is {
		there[it.Key] = true
	}
	err := errors.Join(
		b.zip(store.ResourceList, list),
		rezip(b, store.VolumeInfo, func(infos []volume.Info) []volume.Info {
			return slices.DeleteFunc(infos, func(v volume.Info) bool {
				pv := item.Key{Resource: "persistentvolumes", Name: v.PVName}
				pvc := item.Key{Resource: "persistentvolumeclaims", Namespace: v.PVCNamespace, Name: v.PVCName}
				return v.PVName != "" && !there[pv] || v.PVCName != "" && !there[pvc]
			})
		}),
		b.metadata(func(m map[string]any) {
			progress := child(m, "status", "progress")
			for _, count := range []string{"totalItems", "itemsBackedUp"} {
				n, _ := progress[count].(float64)
				progress[count] = int(n) + len(is) - len(was)
			}
		}),
	)
	if err != nil {
		return err
	}
	listed := make([]manifest.Item, len(is))
	for i, it := range is {
		listed[i] = manifest.Item{Key: it.Key, Version: it.Version, Kind: it.Kind, Digest: digest(it.Raw)}
	}
	return b.reseal(listed)
}

// child is the map at a path, made when it is not there.
func child(m map[string]any, path ...string) map[string]any {
	for _, p := range path {
		next, ok := m[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[p] = next
		}
		m = next
	}
	return m
}

// index finds an item by what messages call it: "configmaps shop/settings".
func (c *Contents) index(name string) (int, error) {
	i := slices.IndexFunc(c.Items, func(it item.Item) bool { return it.Key.String() == name })
	if i < 0 {
		return 0, fmt.Errorf("the backup holds no %s", name)
	}
	return i, nil
}

// remove takes items out.
func remove(names ...string) Edit {
	return func(c *Contents) error {
		for _, name := range names {
			i, err := c.index(name)
			if err != nil {
				return err
			}
			c.Items = slices.Delete(c.Items, i, i+1)
		}
		return nil
	}
}

// alter changes the object of an item and not its place.
func alter(name string, change func(o map[string]any)) Edit {
	return func(c *Contents) error {
		i, err := c.index(name)
		if err != nil {
			return err
		}
		u, err := c.Items[i].Object()
		if err != nil {
			return err
		}
		change(u.Object)
		raw, err := json.Marshal(u.Object)
		if err != nil {
			return err
		}
		if bytes.Equal(raw, c.Items[i].Raw) {
			return fmt.Errorf("%s is as it was", name)
		}
		c.Items[i].Raw = raw
		c.Items[i].Kind, c.Items[i].Version = u.GetKind(), u.GroupVersionKind().Version
		return nil
	}
}

// set changes one field of an item; nil removes it.
func set(name string, value any, path ...string) Edit {
	return alter(name, func(o map[string]any) {
		in := child(o, path[:len(path)-1]...)
		if last := path[len(path)-1]; value == nil {
			delete(in, last)
		} else {
			in[last] = value
		}
	})
}

// swap gives each of two objects the data of the other.
func swap(one, other string) Edit {
	return func(c *Contents) error {
		i, err1 := c.index(one)
		j, err2 := c.index(other)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		a, err1 := c.Items[i].Object()
		b, err2 := c.Items[j].Object()
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		first, second := a.Object["data"], b.Object["data"]
		return errors.Join(set(one, second, "data")(c), set(other, first, "data")(c))
	}
}

// move makes an item one of another resource, API version or name.
func move(name string, to item.Key, version string) Edit {
	return func(c *Contents) error {
		i, err := c.index(name)
		if err != nil {
			return err
		}
		u, err := c.Items[i].Object()
		if err != nil {
			return err
		}
		u.SetAPIVersion(item.Item{Key: to, Version: version}.APIVersion())
		u.SetNamespace(to.Namespace)
		u.SetName(to.Name)
		raw, err := json.Marshal(u.Object)
		if err != nil {
			return err
		}
		c.Items[i] = item.Item{Key: to, Version: version, Kind: u.GetKind(), Raw: raw}
		return nil
	}
}

// add puts an object in, in the place that its resource has in the tarball.
func add(resource, yaml string) Edit {
	return func(c *Contents) error {
		objects, err := populate.Parse([]byte(yaml))
		if err != nil {
			return err
		}
		for _, u := range objects {
			it, err := item.FromObject(u, resource)
			if err != nil {
				return err
			}
			at := len(c.Items)
			for i, other := range c.Items {
				if other.Key.GroupResource() == it.Key.GroupResource() {
					at = i + 1
				}
			}
			c.Items = slices.Insert(c.Items, at, it)
		}
		return nil
	}
}

// podSpec changes the pod template of a workload, or the spec of a pod.
func podSpec(name string, change func(spec map[string]any)) Edit {
	return alter(name, func(o map[string]any) {
		if strings.HasPrefix(name, "pods ") {
			change(child(o, "spec"))
			return
		}
		change(child(o, "spec", "template", "spec"))
	})
}

// container changes the first container of a workload.
func container(name string, change func(c map[string]any)) Edit {
	return podSpec(name, func(spec map[string]any) {
		containers, _, _ := unstructured.NestedSlice(map[string]any{"containers": spec["containers"]}, "containers")
		change(containers[0].(map[string]any))
		spec["containers"] = containers
	})
}

// entries packs the entries of a tar, whatever they are.
func entries(all []archivetest.Entry) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range all {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.Path, Size: int64(len(e.Body)), Mode: 0o644}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.Body); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return pack(out.Bytes())
}
