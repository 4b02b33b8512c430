package plan

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Some objects change or refuse what is created after them: a default class
// fills in the class of pods, claims and ingresses, the labels of a namespace
// refuse pods. What was older in the cluster of the backup was never asked. A
// whole object of this kind is created late (order.go). One that others need
// before is created without the fields that have this effect, and gets them when
// what they would change is restored.

// defaultMark begins the name, after the prefix, of an annotation that makes an
// object the default of its kind: storageclass.kubernetes.io/is-default-class and
// its beta form, ingressclass.kubernetes.io, snapshot.storage.kubernetes.io and
// those of custom classes.
const defaultMark = "is-default"

// podSecurity begins the labels by which a namespace refuses pods.
const podSecurity = "pod-security.kubernetes.io/"

// podAnnotations are those by which a namespace (admission plugins PodNodeSelector
// and PodTolerationRestriction) and a service account (ServiceAccount) change or
// refuse pods.
var podAnnotations = map[string][]string{
	"namespaces": {
		"scheduler.alpha.kubernetes.io/node-selector", "scheduler.alpha.kubernetes.io/defaultTolerations",
		"scheduler.alpha.kubernetes.io/tolerationsWhitelist",
	},
	"serviceaccounts": {"kubernetes.io/enforce-mountable-secrets"},
}

// withheldFields are fields at the top of an object that admission copies into
// others.
var withheldFields = map[string]string{
	"priorityclasses.scheduling.k8s.io": "globalDefault",
	"runtimeclasses.node.k8s.io":        "scheduling",
	"serviceaccounts":                   "imagePullSecrets",
}

// afterPods are the resources that change and refuse pods and claims alone. They
// get what was withheld before anything is created that makes pods.
var afterPods = []string{"namespaces", "storageclasses.storage.k8s.io", "serviceaccounts", "priorityclasses.scheduling.k8s.io", "runtimeclasses.node.k8s.io"}

// Round numbers the parts of a restore between which something has to happen.
type Round int

// The rounds.
const (
	RoundDefinitions Round = iota // are served when it ends
	RoundBefore                   // what pods need; claims have their data when it ends
	RoundPods
	RoundOthers
	RoundLast
)

// Round is the one that the step belongs to.
func (s Step) Round() Round {
	switch {
	case s.Defining():
		return RoundDefinitions
	case s.Stage < stagePods:
		return RoundBefore
	case s.Stage == stagePods:
		return RoundPods
	case s.Stage <= len(first):
		return RoundOthers
	}
	return RoundLast
}

// Completed is the round before which the object gets what was withheld.
func (s Step) Completed() Round {
	if slices.Contains(afterPods, s.GroupResource()) {
		return RoundOthers
	}
	return RoundLast
}

// withheld is the path of a field that is withheld.
type withheld []string

func (w withheld) String() string {
	if len(w) == 3 { // metadata.labels.<key>
		return strings.TrimSuffix(w[1], "s") + " " + w[2]
	}
	return strings.Join(w, ".")
}

// withheldIn are the fields of an object by which admission changes or refuses
// other objects.
func withheldIn(u *unstructured.Unstructured, groupResource string) []withheld {
	var out []withheld
	meta := item.Child(u.Object, "metadata")
	keys := func(field string, is func(key string, value any) bool) {
		values := item.Child(meta, field)
		for _, k := range slices.Sorted(maps.Keys(values)) {
			if is(k, values[k]) {
				out = append(out, withheld{"metadata", field, k})
			}
		}
	}
	keys("annotations", func(k string, v any) bool {
		_, name, prefixed := strings.Cut(k, "/")
		return prefixed && strings.HasPrefix(name, defaultMark) && v == "true" || slices.Contains(podAnnotations[groupResource], k)
	})
	if groupResource == "namespaces" {
		keys("labels", func(k string, _ any) bool { return strings.HasPrefix(k, podSecurity) })
	}
	if f := withheldFields[groupResource]; f != "" {
		switch v := u.Object[f].(type) {
		case nil:
		case bool:
			if v {
				out = append(out, withheld{f})
			}
		default:
			out = append(out, withheld{f})
		}
	}
	return out
}

// Withhold takes off an object, in place, the fields by which admission would
// change or refuse what is created after it, and marks it as incomplete. It
// returns the merge patch that completes it, nil when nothing was taken off.
func Withhold(u *unstructured.Unstructured, groupResource, backup string) map[string]any {
	paths := withheldIn(u, groupResource)
	if len(paths) == 0 {
		return nil
	}
	patch := map[string]any{}
	for _, p := range paths {
		parent := item.Child(u.Object, p[:len(p)-1]...)
		key := p[len(p)-1]
		child(patch, p[:len(p)-1]...)[key] = parent[key]
		delete(parent, key)
	}
	annotations := u.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[api.AnnotationIncomplete] = backupLabel(backup)
	u.SetAnnotations(annotations)
	child(patch, "metadata", "annotations")[api.AnnotationIncomplete] = nil
	return patch
}

// Postpone divides a patch into what is set now and what is withheld, nil for
// nothing. want is the object that the patch makes; incomplete says that the
// object has the mark of one, which goes with the last of the patches.
func Postpone(patch map[string]any, want *unstructured.Unstructured, groupResource string, incomplete bool) (now, later map[string]any) {
	for _, p := range withheldIn(want, groupResource) {
		parent, key := item.Child(patch, p[:len(p)-1]...), p[len(p)-1]
		value, set := parent[key]
		if !set || value == nil {
			continue
		}
		if later == nil {
			later = map[string]any{}
		}
		child(later, p[:len(p)-1]...)[key] = value
		delete(parent, key)
	}
	if pruneEmpty(patch); len(patch) == 0 {
		patch = nil
	}
	if incomplete {
		if later == nil {
			later = map[string]any{}
		}
		child(later, "metadata", "annotations")[api.AnnotationIncomplete] = nil
	}
	return patch, later
}

// Joined is one patch of two that set different fields, nil of two that set none.
func Joined(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	for k, v := range b {
		x, both := out[k].(map[string]any)
		y, isMap := v.(map[string]any)
		switch {
		case both && isMap:
			out[k] = Joined(x, y)
		case out == nil:
			out = map[string]any{k: v}
		default:
			out[k] = v
		}
	}
	return out
}

// pruneEmpty removes the maps of a patch that set nothing any more.
func pruneEmpty(m map[string]any) {
	for k, v := range m {
		if c, ok := v.(map[string]any); ok && (k == "metadata" || k == "annotations" || k == "labels") {
			if pruneEmpty(c); len(c) == 0 {
				delete(m, k)
			}
		}
	}
}

// child is the map at a path, which is made where it is missing.
func child(m map[string]any, path ...string) map[string]any {
	for _, k := range path {
		next, ok := m[k].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[k] = next
		}
		m = next
	}
	return m
}

// sayWithheld says in the reason of a step what its object is created without.
func (s *Step) sayWithheld() {
	when := "before anything else that makes pods"
	if s.Completed() == RoundLast {
		when = "when all else is restored"
	}
	s.Reason += "; created without " + strings.Join(s.Withheld, ", ") + ", set " + when
}

// withhold notes which objects are created without some of their fields.
func (p *Plan) withhold(entries []Entry) {
	for i := range entries {
		if s := &p.Steps[i]; len(entries[i].withheld) > 0 && (s.Action == Create || s.Action == Recreate) {
			s.Withheld = entries[i].withheld
			s.sayWithheld()
		}
	}
}
