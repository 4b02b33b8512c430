package restore

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// names are the options of a restore with resolved names of resources, and what
// names may refer to.
type names struct {
	options   plan.Options
	resources []item.Resource
}

// resolve finds what the names of resources in the options mean: what they mean in
// the target, as for kubectl; names that the target does not know, what they mean in
// the backup. The archive is read for this only if there are such names.
func (j Job) resolve(ctx context.Context, target []item.Resource) (names, error) {
	n, known := resolved(j.Options, target)
	if known {
		return n, nil
	}
	held, err := j.heldResources(ctx)
	if err != nil {
		return names{}, err
	}
	n, _ = resolved(j.Options, append(target[:len(target):len(target)], held...))
	return n, nil
}

func resolved(o plan.Options, resources []item.Resource) (n names, known bool) {
	var unknown [3][]string
	o.Filter, unknown[0] = o.Filter.Resolved(resources)
	o.StatusResources, unknown[1] = filter.ResolveAll(o.StatusResources, resources)
	o.ExcludedStatusResources, unknown[2] = filter.ResolveAll(o.ExcludedStatusResources, resources)
	return names{o, resources}, len(unknown[0])+len(unknown[1])+len(unknown[2]) == 0
}

// notInTarget is the preference of resources that only the backup knows: a name
// means those of the target first.
const notInTarget = 1 << 20

// heldResources are the resources of a backup: those of its items, and those that
// its definitions define, with their short names.
func (j Job) heldResources(ctx context.Context) ([]item.Resource, error) {
	var out []item.Resource
	first := map[string]item.Key{}
	wanted := func(k item.Key) bool {
		gr := k.GroupResource()
		if _, seen := first[gr]; !seen {
			first[gr] = k
		}
		return first[gr] == k || gr == definitions
	}
	use := func(it item.Item) error {
		out = append(out, item.Resource{
			Group: it.Key.Group, Version: it.Version, Name: it.Key.Resource, Kind: it.Kind, Singular: strings.ToLower(it.Kind),
			Namespaced: it.Key.Namespace != "", Preference: notInTarget,
		})
		if it.Key.GroupResource() != definitions {
			return nil
		}
		u, err := it.Object()
		if err == nil {
			out = append(out, defined(u))
		}
		return err
	}
	if _, err := (reading{store: j.Store, backup: j.Backup, only: wanted, use: use}).read(ctx); err != nil {
		return nil, fmt.Errorf("%w: nothing has been restored (lifeboat backup verify %s shows details)", err, j.Backup)
	}
	return out, nil
}

const definitions = "customresourcedefinitions.apiextensions.k8s.io"

// defined is the resource that a definition defines.
func defined(u *unstructured.Unstructured) item.Resource {
	spec := item.Child(u.Object, "spec")
	text := func(m map[string]any, field string) string { s, _ := m[field].(string); return s }
	kinds := item.Child(spec, "names")
	short, _, _ := unstructured.NestedStringSlice(kinds, "shortNames")
	return item.Resource{
		Group: text(spec, "group"), Name: text(kinds, "plural"), Singular: text(kinds, "singular"), Kind: text(kinds, "kind"),
		ShortNames: short, Namespaced: text(spec, "scope") == "Namespaced", Preference: notInTarget,
	}
}
