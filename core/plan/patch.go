package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Patch is the JSON merge patch that turns an object of the cluster into the
// one the backup holds, nil when they are equal. It sees neither what is taken
// off for a restore nor what normalising takes off; want and live are used up.
func (o Options) Patch(want, live *unstructured.Unstructured) (map[string]any, error) {
	live.SetAPIVersion(want.GetAPIVersion())
	prepare(live, o.PreserveNodePorts)
	Normalise(want)
	Normalise(live)
	if want.GetKind() == "PersistentVolume" && want.GroupVersionKind().Group == "" {
		// An update never takes a volume from a claim; VolumeStep gives it to one.
		for _, u := range []*unstructured.Unstructured{want, live} {
			delete(item.Child(u.Object, "spec"), "claimRef")
		}
	}
	for _, u := range []*unstructured.Unstructured{want, live} {
		if meta := item.Child(u.Object, "metadata"); meta["labels"] == nil {
			meta["labels"] = map[string]any{} // so that labels are taken off one by one: those of the restore are put on
		}
	}
	have, err := json.Marshal(live.Object)
	if err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", live.GetKind(), live.GetName(), err)
	}
	wish, err := json.Marshal(want.Object)
	if err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", want.GetKind(), want.GetName(), err)
	}
	patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch(have, wish, have)
	if err != nil {
		return nil, fmt.Errorf("compare %s %s: %w", want.GetKind(), want.GetName(), err)
	}
	return decodePatch(patch)
}

func decodePatch(patch []byte) (map[string]any, error) {
	if bytes.Equal(bytes.TrimSpace(patch), []byte("{}")) {
		return nil, nil
	}
	var out map[string]any
	err := json.Unmarshal(patch, &out)
	return out, err
}

// MergePatch adds the labels, annotations, secrets, image pull secrets and
// whether to mount tokens of the backup to a service account, what the cluster
// has keeping its value (after Velero v1.18,
// pkg/restore/merge_service_account.go); nil when there is nothing to add.
func MergePatch(want, live *unstructured.Unstructured) map[string]any {
	patch := map[string]any{}
	for _, field := range []string{"imagePullSecrets", "secrets"} {
		if all := union(list(live, field), list(want, field)); len(all) > len(list(live, field)) {
			patch[field] = all
		}
	}
	// Ours: without it an account that must not be mounted would be.
	const automount = "automountServiceAccountToken"
	if value, set := want.Object[automount]; set && live.Object[automount] == nil {
		patch[automount] = value
	}
	meta := map[string]any{}
	labels := want.GetLabels() // with those of an earlier restore, if it made the object of the backup
	delete(labels, api.LabelBackupName)
	delete(labels, api.LabelRestoreName)
	if more := missing(labels, live.GetLabels()); len(more) > 0 {
		meta["labels"] = more
	}
	if more := missing(want.GetAnnotations(), live.GetAnnotations()); len(more) > 0 {
		meta["annotations"] = more
	}
	if len(meta) > 0 {
		patch["metadata"] = meta
	}
	if len(patch) == 0 {
		return nil
	}
	return patch
}

func missing(want, have map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range want {
		if _, there := have[k]; !there {
			out[k] = v
		}
	}
	return out
}

func list(u *unstructured.Unstructured, field string) []any {
	l, _, _ := unstructured.NestedSlice(u.Object, field)
	return l
}

func union(a, b []any) []any {
	seen := map[string]bool{}
	out := []any{}
	for _, e := range slices.Concat(a, b) {
		if key := fmt.Sprint(e); !seen[key] {
			seen[key] = true
			out = append(out, e)
		}
	}
	return out
}

// Sealed completes a patch with what every update carries: the labels of the
// restore, unless the object is only completed, and, unless live is nil, the identity and state of the object it was
// made for, so that the API server refuses it when the object has changed since.
func Sealed(patch map[string]any, s Step, live *unstructured.Unstructured, backup, restore string) ([]byte, error) {
	out := maps.Clone(patch)
	if out == nil {
		out = map[string]any{}
	}
	meta, _ := patch["metadata"].(map[string]any)
	if meta = maps.Clone(meta); meta == nil {
		meta = map[string]any{}
	}
	out["metadata"] = meta
	if live != nil {
		meta["resourceVersion"], meta["uid"] = live.GetResourceVersion(), string(live.GetUID())
	}
	if !bareOfLabels(s.Key) && !s.Merge { // an account that was there before is not of the restore, as with Velero
		labels, _ := meta["labels"].(map[string]any)
		if labels = maps.Clone(labels); labels == nil {
			labels = map[string]any{}
		}
		for k, v := range marks(backup, restore) {
			labels[k] = v
		}
		meta["labels"] = labels
	}
	return json.Marshal(out)
}
