package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// node is a string in an object, with the way to it.
type node struct {
	up    *node
	key   string         // of the map that it is in
	index int            // in the list that it is in, -1 in a map
	in    map[string]any // the innermost map around it
	value string
	set   func(string)
}

// path is the way to a node: "spec.rules[0].host".
func (n *node) path() string {
	return n.join(func(i int) string { return "[" + strconv.Itoa(i) + "]" })
}

// pattern is the path without numbers: "spec.rules[].host".
func (n *node) pattern() string { return n.join(func(int) string { return "[]" }) }

func (n *node) join(element func(int) string) string {
	switch {
	case n == nil:
		return ""
	case n.index >= 0:
		return n.up.join(element) + element(n.index)
	case n.up == nil:
		return n.key
	}
	return n.up.join(element) + "." + n.key
}

// field is the innermost key on the way to a node.
func (n *node) field() string {
	for ; n != nil; n = n.up {
		if n.index < 0 {
			return n.key
		}
	}
	return ""
}

// within reports whether a key is on the way to a node.
func (n *node) within(key string) bool {
	for ; n != nil; n = n.up {
		if n.index < 0 && n.key == key {
			return true
		}
	}
	return false
}

// eachString visits the strings of a value.
func eachString(v any, at *node, in map[string]any, use func(*node)) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			eachString(e, &node{up: at, key: k, index: -1, set: func(s string) { v[k] = s }}, v, use)
		}
	case []any:
		for i, e := range v {
			eachString(e, &node{up: at, index: i, set: func(s string) { v[i] = s }}, in, use)
		}
	case string:
		at.value, at.in = v, in
		use(at)
	}
}

// notReferences are parts of an object that name no namespace of another one:
// its own, what the restore takes off, and the record of kubectl apply.
func notReference(n *node, kind string) bool {
	root := n
	var second *node
	for root.up != nil {
		root, second = root.up, root
	}
	switch root.key {
	case "status":
		return true
	case "data":
		return kind == "Secret"
	case "metadata":
		return second == nil || second.key != "annotations" || n.key == lastApplied
	}
	return false
}

// eachMention visits the strings of an object that contain the name of a
// namespace that is mapped to another one.
func (o Options) eachMention(u *unstructured.Unstructured, use func(n *node)) {
	var from []string
	for old, to := range o.NamespaceMapping {
		if old != to {
			from = append(from, old)
		}
	}
	if len(from) == 0 {
		return
	}
	kind := u.GetKind()
	eachString(u.Object, nil, nil, func(n *node) {
		if slices.ContainsFunc(from, func(ns string) bool { return strings.Contains(n.value, ns) }) && !notReference(n, kind) {
			use(n)
		}
	})
}

// mapReferences follows the namespaces that objects name in other places:
// subjects of bindings and the claim of a volume, as Velero does; and what
// Kubernetes and the Gateway API define beside. It returns the old names.
func (o Options) mapReferences(u *unstructured.Unstructured, groupResource string) (old []string) {
	o.eachMention(u, func(n *node) {
		if to, from := o.follow(n, groupResource); from != "" {
			old = append(old, from)
			n.set(to)
		}
	})
	return old
}

// follow is the new value of a string that refers to a namespace that is mapped,
// and the old namespace, "" for other strings.
func (o Options) follow(n *node, groupResource string) (to, from string) {
	if !isReference(n, groupResource) {
		return "", ""
	}
	for old, mapped := range o.NamespaceMapping {
		if old == mapped {
			continue
		}
		if to := rename(n, old, mapped); to != n.value {
			return to, old
		}
	}
	return "", ""
}

// rename replaces a namespace in a reference: its name, the name of one of its
// accounts or of their group, or the host name of one of its services.
func rename(n *node, old, to string) string {
	value := n.value
	const account, group = "system:serviceaccount:", "system:serviceaccounts:"
	rest, isAccount := strings.CutPrefix(value, account+old+":")
	service, domain, isHost := strings.Cut(value, "."+old+".svc")
	switch {
	case value == old && (namesNamespace(n) || selectsNamespaces(n)):
		return to
	case value == group+old && n.in["kind"] != "User":
		return group + to
	case isAccount && n.in["kind"] != "Group":
		return account + to + ":" + rest
	case isHost && service != "" && (domain == "" || domain[0] == '.'):
		return service + "." + to + ".svc" + domain
	}
	return value
}

// namesNamespace reports whether a field is called as one that holds the name
// of a namespace, or several.
func namesNamespace(n *node) bool {
	field := strings.ToLower(n.field())
	return strings.HasSuffix(field, "namespace") || strings.HasSuffix(field, "namespaces")
}

// references are the fields that refer to a namespace, by group-resource. They
// are those of Kubernetes v1.34's API types.
var references = map[string][]string{
	"clusterrolebindings.rbac.authorization.k8s.io":                  {"subjects[].namespace", "subjects[].name"},
	"rolebindings.rbac.authorization.k8s.io":                         {"subjects[].namespace", "subjects[].name"},
	"apiservices.apiregistration.k8s.io":                             {"spec.service.namespace"},
	"customresourcedefinitions.apiextensions.k8s.io":                 {"spec.conversion.webhook.clientConfig.service.namespace"},
	"validatingwebhookconfigurations.admissionregistration.k8s.io":   {"webhooks[].clientConfig.service.namespace"},
	"mutatingwebhookconfigurations.admissionregistration.k8s.io":     {"webhooks[].clientConfig.service.namespace"},
	"validatingadmissionpolicybindings.admissionregistration.k8s.io": {"spec.paramRef.namespace"},
	"mutatingadmissionpolicybindings.admissionregistration.k8s.io":   {"spec.paramRef.namespace"},
	"flowschemas.flowcontrol.apiserver.k8s.io":                       {"spec.rules[].subjects[].serviceAccount.namespace", "spec.rules[].subjects[].user.name", "spec.rules[].subjects[].group.name", "spec.rules[].resourceRules[].namespaces[]"},
	"ingressclasses.networking.k8s.io":                               {"spec.parameters.namespace"},
	"persistentvolumeclaims":                                         {"spec.dataSourceRef.namespace"},
	"volumesnapshotcontents.snapshot.storage.k8s.io":                 {"spec.volumeSnapshotRef.namespace"},
	"services":                        {"spec.externalName"},
	"endpoints":                       {"subsets[].addresses[].targetRef.namespace", "subsets[].notReadyAddresses[].targetRef.namespace"},
	"endpointslices.discovery.k8s.io": {"endpoints[].targetRef.namespace"},
	"securitycontextconstraints.security.openshift.io": {"users[]", "groups[]"},
}

// isReference reports whether a string is known to refer to a namespace.
func isReference(n *node, groupResource string) bool {
	field := n.field()
	_, group, _ := strings.Cut(groupResource, ".")
	switch {
	case selectsNamespaces(n):
		return true
	case groupResource == "persistentvolumes":
		// The claim, and the secrets of each kind of source.
		return n.within("spec") && (field == "namespace" || field == "secretNamespace" || field == "endpointsNamespace")
	case groupResource == storageClassResource, group == "snapshot.storage.k8s.io" && n.within("parameters"):
		field = strings.ToLower(strings.ReplaceAll(field, "-", ""))
		return n.within("parameters") && strings.HasSuffix(field, "secretnamespace")
	case group == "gateway.networking.k8s.io":
		return n.within("spec") && field == "namespace"
	case (group == "" || group == "apps" || group == "batch") && field == "namespaces":
		return n.within("affinity")
	}
	known := references[groupResource]
	return len(known) > 0 && slices.Contains(known, n.pattern())
}

const namespaceNameLabel = "kubernetes.io/metadata.name"

// selectsNamespaces reports whether a string is a name in a label selector of
// namespaces.
func selectsNamespaces(n *node) bool {
	return n.index < 0 && n.key == namespaceNameLabel && n.up != nil && n.up.key == "matchLabels" ||
		n.index >= 0 && n.field() == "values" && n.in["key"] == namespaceNameLabel && n.within("matchExpressions")
}

// maxPointers bounds the fields of one object that are listed.
const maxPointers = 5

// pointers are the fields of an object that, by their name or value, seem to
// refer to a namespace that is mapped, and that mapReferences does not know.
func (o Options) pointers(u *unstructured.Unstructured, groupResource string) []string {
	var out []string
	o.eachMention(u, func(n *node) {
		for old, to := range o.NamespaceMapping {
			if old != to && !isReference(n, groupResource) && seemsToRefer(n, old, groupResource) {
				out = append(out, n.path())
				return
			}
		}
	})
	slices.Sort(out)
	if more := len(out) - maxPointers; more > 0 {
		out = append(out[:maxPointers], fmt.Sprintf("and %d more fields", more))
	}
	return out
}

func seemsToRefer(n *node, namespace, groupResource string) bool {
	if n.value != namespace {
		return strings.HasSuffix(n.value, "namespace="+namespace) ||
			containsName(n.value, "."+namespace+".svc") ||
			containsName(n.value, "system:serviceaccounts:"+namespace) ||
			strings.Contains(n.value, "system:serviceaccount:"+namespace+":")
	}
	field := strings.ToLower(n.field())
	variable, _ := n.in["name"].(string)
	resources, _ := n.in["resources"].([]any)
	return namesNamespace(n) || n.within("namespaceSelector") ||
		field == "value" && strings.Contains(strings.ToLower(variable), "namespace") ||
		field == "resourcenames" && strings.HasSuffix(groupResource, "roles.rbac.authorization.k8s.io") && slices.Contains(resources, any("namespaces"))
}

// containsName reports whether a text contains a name that ends there.
func containsName(text, name string) bool {
	for {
		_, rest, found := strings.Cut(text, name)
		if !found {
			return false
		}
		if rest == "" || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-", rune(rest[0])) {
			return true
		}
		text = rest
	}
}
