package item

import "slices"

// Resource is one kind of object that a cluster serves, as discovery reports it.
type Resource struct {
	Group, Version string
	Name           string // plural, lower case
	Singular, Kind string
	ShortNames     []string
	Namespaced     bool
	Verbs          []string
	// Preference is the position of the group in discovery. Of several resources
	// with one name, kubectl means the one with the lowest.
	Preference int
}

// GroupResource is "deployments.apps", or "pods" for the core group.
func (r Resource) GroupResource() string {
	return Key{Group: r.Group, Resource: r.Name}.GroupResource()
}

// APIVersion is "apps/v1", or "v1" for the core group.
func (r Resource) APIVersion() string {
	if r.Group == "" {
		return r.Version
	}
	return r.Group + "/" + r.Version
}

// Can reports whether the resource supports all the verbs.
func (r Resource) Can(verbs ...string) bool {
	for _, v := range verbs {
		if !slices.Contains(r.Verbs, v) {
			return false
		}
	}
	return true
}
