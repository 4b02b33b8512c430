package filter

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Resolve returns the resources that a name means, each once. A name means what
// kubectl means by it: a plural, singular, short name or kind, in this order,
// optionally followed by "." and the group, or by "." and version and group. Case
// does not matter. Without a group, it means the resource of the group that
// discovery lists first, and never a resource of that name in another group; an
// incomplete group means the first that begins with it.
//
// "*" means all resources, "*.group" those of one group. Any other name with a
// wildcard (*, ?, [abc]) is matched with plural and group, as Velero does.
func Resolve(name string, resources []item.Resource) []item.Resource {
	name = strings.ToLower(name)
	switch {
	case isPattern(name):
		return matching(resources, func(r item.Resource) bool { return covers(name, r) })
	case strings.Contains(name, "*"), strings.ContainsAny(name, "?["):
		return matching(resources, func(r item.Resource) bool {
			ok, err := path.Match(name, r.GroupResource())
			return ok && err == nil
		})
	}
	short, group, qualified := strings.Cut(name, ".")
	if !qualified {
		return first(named(short, resources))
	}
	if found := named(short, inGroup(group, resources)); len(found) > 0 {
		return first(found)
	}
	if version, rest, ok := strings.Cut(group, "."); ok && versionRE.MatchString(version) {
		if found := named(short, inGroup(rest, resources)); len(found) > 0 {
			return first(found)
		}
	}
	if group == "" {
		return nil
	}
	return first(named(short, matching(resources, func(r item.Resource) bool { return strings.HasPrefix(r.Group, group) })))
}

// versionRE is a version of an API.
var versionRE = regexp.MustCompile(`^v[1-9][0-9]*((alpha|beta)[1-9][0-9]*)?$`)

// isPattern reports whether a name stays as it is when it is resolved.
func isPattern(name string) bool {
	return name == "*" || strings.HasPrefix(name, "*.") && !strings.ContainsAny(name[2:], "*?[")
}

// covers reports whether a resolved name means the resource.
func covers(name string, r item.Resource) bool {
	return name == "*" || name == r.GroupResource() || r.Group != "" && name == "*."+r.Group
}

func inGroup(group string, resources []item.Resource) []item.Resource {
	return matching(resources, func(r item.Resource) bool { return r.Group == group })
}

// named are the resources with a name, those that have it as their plural before
// those that have it as their singular, short name or kind.
func named(name string, resources []item.Resource) []item.Resource {
	if name == "" {
		return nil
	}
	for _, has := range []func(item.Resource) bool{
		func(r item.Resource) bool { return r.Name == name },
		func(r item.Resource) bool { return r.Singular == name },
		func(r item.Resource) bool { return slices.Contains(r.ShortNames, name) },
		func(r item.Resource) bool { return strings.ToLower(r.Kind) == name },
	} {
		if found := matching(resources, has); len(found) > 0 {
			return found
		}
	}
	return nil
}

func matching(resources []item.Resource, match func(item.Resource) bool) []item.Resource {
	var out []item.Resource
	for _, r := range resources {
		if match(r) && !slices.ContainsFunc(out, func(o item.Resource) bool { return o.GroupResource() == r.GroupResource() }) {
			out = append(out, r)
		}
	}
	return out
}

// first is the resource of the group that discovery lists first.
func first(found []item.Resource) []item.Resource {
	if len(found) == 0 {
		return nil
	}
	return []item.Resource{slices.MinFunc(found, func(a, b item.Resource) int {
		return cmp.Or(cmp.Compare(a.Preference, b.Preference), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Name, b.Name))
	})}
}

// ResolveAll replaces names by the group-resources that they mean ("pods",
// "deployments.apps"), without duplicates. "*" and "*.group" stay as they are.
// Unknown names mean nothing and are returned as well.
func ResolveAll(names []string, resources []item.Resource) (resolved, unknown []string) {
	add := func(n string) {
		if !slices.Contains(resolved, n) {
			resolved = append(resolved, n)
		}
	}
	for _, n := range names {
		found := Resolve(n, resources)
		switch {
		case n == "*":
			add(n)
		case len(found) == 0:
			unknown = append(unknown, n)
			add(n) // so that a list of unknown names does not become the empty list, which means everything
		case isPattern(strings.ToLower(n)):
			add(strings.ToLower(n))
		default:
			for _, r := range found {
				add(r.GroupResource())
			}
		}
	}
	return resolved, unknown
}

// Resolved is the filter with resolved names (see ResolveAll). A scoped list names
// resources of its scope only.
func (f Filter) Resolved(resources []item.Resource) (resolved Filter, unknown []string) {
	namespaced := matching(resources, func(r item.Resource) bool { return r.Namespaced })
	clusterScoped := matching(resources, func(r item.Resource) bool { return !r.Namespaced })
	for _, l := range []struct {
		names     *[]string
		resources []item.Resource
	}{
		{&f.IncludedResources, resources},
		{&f.ExcludedResources, resources},
		{&f.IncludedNamespaceScopedResources, namespaced},
		{&f.ExcludedNamespaceScopedResources, namespaced},
		{&f.IncludedClusterScopedResources, clusterScoped},
		{&f.ExcludedClusterScopedResources, clusterScoped},
	} {
		var missing []string
		*l.names, missing = ResolveAll(*l.names, l.resources)
		unknown = append(unknown, missing...)
	}
	return f, unknown
}

// NamesResource reports whether one of the resolved names means the resource.
func NamesResource(names []string, r item.Resource) bool {
	return slices.ContainsFunc(names, func(n string) bool { return covers(n, r) })
}

// Quoted lists names for a message: "a", "b".
func Quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(out, ", ")
}
