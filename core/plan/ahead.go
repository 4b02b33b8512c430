package plan

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// A plan asks the API server about each creation by a dry run. What needs
// something that the same restore creates cannot be asked about: the answer
// would be that it is not there.

// Ahead says which creations of a plan can be tried in advance.
type Ahead struct {
	seen    Observed
	created map[item.Key]bool // by the plan
}

// Ahead is for a plan and what was seen of its target.
func (p Plan) Ahead(seen Observed) Ahead {
	a := Ahead{seen: seen, created: map[item.Key]bool{}}
	for _, s := range p.Steps {
		if s.Action == Create || s.Action == Recreate {
			a.created[s.Key] = true
		}
	}
	return a
}

// Blocker names what has to be created or deleted before a step can be tried,
// "" if the API server can be asked now.
func (a Ahead) Blocker(s Step) string {
	namespace := item.Key{Resource: "namespaces", Name: s.Namespace}
	definition := item.Key{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: s.GroupResource()}
	live, exists := a.seen.Existing[namespace]
	switch {
	case s.Namespace != "" && (!exists || live.Deleting || a.seen.Terminating[s.Namespace]):
		return "namespace " + s.Namespace
	case a.created[definition], a.seen.Existing[definition].Deleting:
		return "definition " + definition.Name
	case a.seen.Existing[s.Key].Deleting, a.seen.Terminating[namespaceOf(s.Key)], s.Action == Recreate:
		return "the deletion of the object that exists"
	}
	return ""
}

// Needs names what the plan creates and admission looks up when it creates the
// object, "" for nothing. u is the object as the target gets it.
func (a Ahead) Needs(u *unstructured.Unstructured, k item.Key) string {
	for _, need := range lookups(u, k) {
		if a.created[need] {
			return need.String()
		}
	}
	return ""
}

// lookups are the objects without which an API server rejects an object (its
// admission plugins ServiceAccount, Priority, RuntimeClass, and the check of
// escalation of bindings).
func lookups(u *unstructured.Unstructured, k item.Key) []item.Key {
	named := func(m map[string]any, field, group, resource, namespace string) []item.Key {
		if name, _ := m[field].(string); name != "" {
			return []item.Key{{Group: group, Resource: resource, Namespace: namespace, Name: name}}
		}
		return nil
	}
	switch k.GroupResource() {
	case "pods":
		spec := item.Child(u.Object, "spec")
		out := named(spec, "serviceAccountName", "", "serviceaccounts", k.Namespace)
		out = append(out, named(spec, "priorityClassName", "scheduling.k8s.io", "priorityclasses", "")...)
		return append(out, named(spec, "runtimeClassName", "node.k8s.io", "runtimeclasses", "")...)
	case "rolebindings.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io":
		ref := item.Child(u.Object, "roleRef")
		if ref["kind"] == "Role" {
			return named(ref, "name", "rbac.authorization.k8s.io", "roles", k.Namespace)
		}
		return named(ref, "name", "rbac.authorization.k8s.io", "clusterroles", "")
	case "secrets":
		if u.Object["type"] == tokenType {
			return named(item.Child(u.Object, "metadata", "annotations"), "kubernetes.io/service-account.name", "", "serviceaccounts", k.Namespace)
		}
	}
	return nil
}

// Filtered reports whether the step is skipped because the filter of the restore
// does not select its item.
func (s Step) Filtered() bool {
	return s.Action == Skip && (s.Reason == leaveFiltered || s.Reason == leaveExcluded)
}

// RefusedCreation settles a creation that the API server would reject.
func (s *Step) RefusedCreation(words string) {
	s.Action, s.Reason, s.Refused = Fail, "cannot be created: "+words, true
}
