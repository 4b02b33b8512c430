// Package item holds the one noun that flows through Lifeboat: a Kubernetes
// object as the API server served it, with the key that names it in a backup.
//
// It does no IO and imports no client.
package item

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Key names an item within a backup. The API version is no part of it: the
// same object served at two versions is one item.
type Key struct {
	Group     string `json:"group,omitempty"`
	Resource  string `json:"resource"` // plural, lower case, as discovery names it
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// GroupResource is "resource" for the core group and "resource.group"
// otherwise: the directory name in Velero's archive.
func (k Key) GroupResource() string {
	if k.Group == "" {
		return k.Resource
	}
	return k.Resource + "." + k.Group
}

// String is "deployments.apps shop/web" or "namespaces shop": what messages,
// findings and evidence call the object.
func (k Key) String() string {
	if k.Namespace == "" {
		return k.GroupResource() + " " + k.Name
	}
	return k.GroupResource() + " " + k.Namespace + "/" + k.Name
}

// Compare orders keys by group and resource, then namespace, then name.
func Compare(a, b Key) int {
	return cmp.Or(
		cmp.Compare(a.Group, b.Group),
		cmp.Compare(a.Resource, b.Resource),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
	)
}

// SplitGroupResource is the inverse of Key.GroupResource. Resource names hold
// no dot, so the first dot separates.
func SplitGroupResource(s string) (group, resource string) {
	resource, group, _ = strings.Cut(s, ".")
	return group, resource
}

// Item is one object. Raw is compact JSON of the complete object, apiVersion
// and kind included, nothing stripped; it must not be changed once the item
// has been handed on.
type Item struct {
	Key     Key
	Version string // version within the group: "v1", "v1beta1"
	Kind    string
	Raw     []byte
}

// APIVersion is "v1" for the core group and "group/version" otherwise.
func (i Item) APIVersion() string {
	if i.Key.Group == "" {
		return i.Version
	}
	return i.Key.Group + "/" + i.Version
}

// Object decodes the item. Each call returns a fresh object that the caller
// may change.
func (i Item) Object() (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(i.Raw); err != nil {
		return nil, fmt.Errorf("decode %s: %w", i.Key, err)
	}
	return u, nil
}

// FromObject makes an item of an object whose resource name is known.
func FromObject(u *unstructured.Unstructured, resource string) (Item, error) {
	raw, err := json.Marshal(u.Object)
	if err != nil {
		return Item{}, fmt.Errorf("encode %s %s: %w", resource, u.GetName(), err)
	}
	gvk := u.GroupVersionKind()
	return Item{
		Key:     Key{Group: gvk.Group, Resource: resource, Namespace: u.GetNamespace(), Name: u.GetName()},
		Version: gvk.Version,
		Kind:    gvk.Kind,
		Raw:     raw,
	}, nil
}
