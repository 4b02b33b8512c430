package plan

import (
	"bytes"
	"encoding/json"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Managers are the entries of an object's metadata.managedFields: who manages
// which of its fields.
type Managers []map[string]any

// ManagersOf returns the managers of an object in a backup, if one of them uses
// server-side apply. Otherwise it returns nil: a client that does not apply on
// the server neither meets conflicts nor removes fields by what it owns.
func ManagersOf(it item.Item) (Managers, error) {
	if !bytes.Contains(it.Raw, []byte(`"Apply"`)) {
		return nil, nil // without decoding the object
	}
	u, err := it.Object()
	if err != nil {
		return nil, err
	}
	return ManagersIn(u), nil
}

// ManagersIn is ManagersOf for a decoded object.
func ManagersIn(u *unstructured.Unstructured) Managers {
	all := entriesOf(u)
	if slices.ContainsFunc(all, func(m map[string]any) bool { return m["operation"] == "Apply" && m["subresource"] != "status" }) {
		return all
	}
	return nil
}

func entriesOf(u *unstructured.Unstructured) Managers {
	return item.Maps(item.Child(u.Object, "metadata")["managedFields"])
}

// GiveBack is the JSON merge patch that gives the fields that writer manages in
// an object of the target to those who manage them in the backup, as far as the
// object has them; nil if there are none. Fields without a manager in the
// backup, such as defaults, then have no manager either; the labels of the
// restore stay with writer. The patch applies to this state of the object only.
//
// held and served are the API versions of the object in the backup and in the
// target. An entry at another version that the target does not serve is dropped
// by its API server, as is the record of a status that is not restored.
func (ms Managers) GiveBack(live *unstructured.Unstructured, writer, held, served string) ([]byte, error) {
	all := entriesOf(live)
	updates := func(m map[string]any) bool { return m["manager"] == writer && m["operation"] == "Update" }
	ours := slices.IndexFunc(all, func(m map[string]any) bool { return updates(m) && m["subresource"] == nil })
	if ours < 0 {
		return nil, nil
	}
	written := item.Child(all[ours], "fieldsV1")
	kept := intersect(restoreLabels, written)
	gave := false
	for _, m := range ms {
		owned := item.Child(m, "fieldsV1")
		gives := intersect(owned, written)
		if len(owned) == 0 || gives == nil || m["subresource"] == "status" || updates(m) {
			continue
		}
		m = shallow(m)
		if m["apiVersion"] == held {
			m["apiVersion"] = served
		}
		all, gave = all.with(m, gives), true
	}
	if !gave {
		return nil, nil
	}
	if all[ours] = shallow(all[ours]); kept != nil {
		all[ours]["fieldsV1"] = kept
	} else {
		all = slices.Delete(all, ours, ours+1)
	}
	return json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": string(live.GetUID()), "resourceVersion": live.GetResourceVersion(), "managedFields": all,
	}})
}

// restoreLabels are the fields that a restore adds to an object.
var restoreLabels = map[string]any{"f:metadata": map[string]any{"f:labels": map[string]any{
	"f:" + api.LabelBackupName: map[string]any{}, "f:" + api.LabelRestoreName: map[string]any{},
}}}

// with adds fields to the entry of a manager.
func (ms Managers) with(m, fields map[string]any) Managers {
	for i, other := range ms {
		if identity(other) == identity(m) {
			ms[i] = shallow(other)
			ms[i]["fieldsV1"] = unite(item.Child(other, "fieldsV1"), fields)
			return ms
		}
	}
	m["fieldsV1"] = fields
	return append(ms, m)
}

// identity is what distinguishes entries (apimachinery, managedfields,
// BuildManagerIdentifier).
func identity(m map[string]any) [4]any {
	return [4]any{m["manager"], m["operation"], m["apiVersion"], m["subresource"]}
}

func shallow(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// The functions below work on sets of fields in the form FieldsV1
// (structured-merge-diff, fieldpath): a tree in which an empty map is a member,
// and "." says that a map with children is one too.

// intersect returns the fields of a set that the object has, nil for none. Where
// one of both sees a value as a whole, that whole is the result.
func intersect(set, object map[string]any) map[string]any {
	if set == nil || object == nil {
		return nil
	}
	if len(set) == 0 || len(object) == 0 {
		return map[string]any{}
	}
	var out map[string]any
	for k := range set {
		if both := intersect(item.Child(set, k), item.Child(object, k)); both != nil {
			if out == nil {
				out = map[string]any{}
			}
			out[k] = both
		}
	}
	return out
}

// unite returns the fields that are in one of two sets.
func unite(a, b map[string]any) map[string]any {
	if len(a) == 0 && len(b) == 0 {
		return map[string]any{}
	}
	out := map[string]any{}
	for _, set := range []map[string]any{a, b} {
		if len(set) == 0 {
			out["."] = map[string]any{}
		}
		for k := range set {
			if have := item.Child(out, k); have != nil {
				out[k] = unite(have, item.Child(set, k))
			} else {
				out[k] = set[k]
			}
		}
	}
	return out
}
