package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Normalise takes off an object, in place, everything in which a backed-up
// object and its faithful restoration may differ. Two objects are equal when
// their normalised forms are. It is what is taken off for a restore (prepare), and then:
//
//   - the labels of a restore
//   - serviceaccounts: the list of secrets (controllers append to it)
//   - clusterroles with an aggregation rule: the rules, which a controller
//     computes
//   - namespaces: spec.finalizers, and the label with the name, which the API server sets
//   - services that prefer dual stack: the IP families, which the cluster picks
//   - customresourcedefinitions and webhook configurations keep everything,
//     CA bundles included
//   - persistentvolumeclaims: volumeName, which the binder sets
//   - null, which means absent; and empty maps where Go types have structs that
//     older API servers write out and newer ones leave out
func Normalise(u *unstructured.Unstructured) {
	prepare(u, false)
	dropKeys(item.Child(u.Object, "metadata"), "labels", []string{api.LabelBackupName, api.LabelRestoreName})
	switch u.GroupVersionKind().GroupKind().String() {
	case "ServiceAccount":
		delete(u.Object, "secrets")
	case "ClusterRole.rbac.authorization.k8s.io":
		if u.Object["aggregationRule"] != nil {
			delete(u.Object, "rules")
		}
	case "Namespace":
		delete(item.Child(u.Object, "spec"), "finalizers")
		// Set by each API server since 1.21, to the name.
		dropKeys(item.Child(u.Object, "metadata"), "labels", []string{namespaceNameLabel})
	case "PersistentVolumeClaim":
		delete(item.Child(u.Object, "spec"), "volumeName")
	case "Service":
		if spec := item.Child(u.Object, "spec"); spec["ipFamilyPolicy"] == "PreferDualStack" {
			delete(spec, "ipFamilies")
		}
	}
	group := u.GroupVersionKind().Group
	builtIn := !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io")
	// In a definition, "status: {}" is a subresource that it has, and
	// "template: {}" a field.
	prune(u.Object, builtIn && group != "apiextensions.k8s.io")
}

// structs are the fields that hold a struct in built-in types, where empty and
// absent are the same. Elsewhere they are not: a PodDisruptionBudget with an
// empty selector means all pods, one without means none.
var structs = map[string]bool{
	"metadata": true, "labels": true, "annotations": true, "spec": true, "status": true,
	"template": true, "resources": true, "strategy": true, "updateStrategy": true,
}

// prune removes null at any depth and, from built-in types, the empty maps of
// structs.
func prune(v any, builtIn bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			prune(e, builtIn)
			if m, isMap := e.(map[string]any); e == nil || isMap && len(m) == 0 && (builtIn && structs[k]) {
				delete(v, k)
			}
		}
	case []any:
		for _, e := range v {
			prune(e, builtIn)
		}
	}
}

// Digest identifies the normalised form of an object.
type Digest [sha256.Size]byte

// MarshalText writes the digest as lower-case hex.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Digest) UnmarshalText(text []byte) error {
	if n, err := hex.Decode(d[:], text[:min(len(text), 2*len(d))]); err != nil || n != len(d) || len(text) != 2*len(d) {
		return fmt.Errorf("%q is no SHA-256 in hex", text)
	}
	return nil
}

// DigestOf normalises the item's object and digests it.
func DigestOf(it item.Item) (Digest, error) {
	u, err := it.Object()
	if err != nil {
		return Digest{}, err
	}
	return digest(u)
}

func digest(u *unstructured.Unstructured) (Digest, error) {
	Normalise(u)
	b, err := json.Marshal(u.Object) // maps are encoded in the order of their keys
	if err != nil {
		return Digest{}, fmt.Errorf("encode %s %s: %w", u.GetKind(), u.GetName(), err)
	}
	return sha256.Sum256(b), nil
}

// maxDifferences bounds what Diff returns: enough to see what happened.
const maxDifferences = 20

// Diff lists the paths in which two objects differ after normalisation, each
// with both values cut to a readable length: "spec.replicas: 3 in the backup,
// 2 in the cluster". The values of Secrets are not shown.
func Diff(backup, live item.Item) ([]string, error) { return differences(backup, live, false) }

// DiffHidden is Diff without any values: of a backup whose content must not
// stand where the result will.
func DiffHidden(backup, live item.Item) ([]string, error) { return differences(backup, live, true) }

// OnlyAdds reports whether the live object has, after normalisation, every
// field that the backup has, as the backup has it, and more beside: what an
// API server that knows more fields fills in by default.
func OnlyAdds(backup, live item.Item) (bool, error) {
	a, b, err := normalised(backup, live)
	if err != nil {
		return false, err
	}
	only := true
	diff("", a.Object, b.Object, func(_ string, x, _ any) { only = only && x == nil })
	return only, nil
}

func normalised(backup, live item.Item) (a, b *unstructured.Unstructured, err error) {
	if a, err = backup.Object(); err != nil {
		return nil, nil, err
	}
	if b, err = live.Object(); err != nil {
		return nil, nil, err
	}
	Normalise(a)
	Normalise(b)
	return a, b, nil
}

func differences(backup, live item.Item, hidden bool) ([]string, error) {
	a, b, err := normalised(backup, live)
	if err != nil {
		return nil, err
	}
	hidden = hidden || a.GetKind() == "Secret"
	var out []string
	diff("", a.Object, b.Object, func(path string, x, y any) {
		if len(out) < maxDifferences {
			out = append(out, describe(path, x, y, hidden))
		}
	})
	return out, nil
}

func diff(path string, a, b any, report func(path string, a, b any)) {
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			for _, k := range unionKeys(x, y) {
				diff(join(path, k), x[k], y[k], report)
			}
			return
		}
	case []any:
		if y, ok := b.([]any); ok && len(x) == len(y) {
			for i := range x {
				diff(fmt.Sprintf("%s[%d]", path, i), x[i], y[i], report)
			}
			return
		}
	}
	if !equalJSON(a, b) {
		report(path, a, b)
	}
}

func equalJSON(a, b any) bool { return show(a) == show(b) }

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func unionKeys(a, b map[string]any) []string {
	var keys []string
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func describe(path string, a, b any, hidden bool) string {
	return fmt.Sprintf("%s: %s in the backup, %s in the cluster", path, shown(a, hidden), shown(b, hidden))
}

// shown is a value for people, cut to a readable length.
func shown(v any, hidden bool) string {
	switch {
	case v == nil:
		return "absent"
	case hidden:
		return "a value (not shown)"
	}
	const most = 80
	s := show(v)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
