// Package needs holds the rules for what an object cannot do without. A backup and
// a restore of a part of a cluster take it along by the same rules. It is pure.
package needs

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// The resources that the rules name.
const (
	claims              = "persistentvolumeclaims"
	clusterRoleBindings = "clusterrolebindings.rbac.authorization.k8s.io"
	rbacGroup           = "rbac.authorization.k8s.io"
	storageGroup        = "storage.k8s.io"
)

// ClusterRoleBindings is the resource of which Accounts has a rule.
const ClusterRoleBindings = clusterRoleBindings

// OfKey returns what an object needs that its key already shows: its Namespace
// and, if its group may be that of a custom resource, the definition.
func OfKey(k item.Key) []item.Key {
	var out []item.Key
	if k.Namespace != "" {
		out = append(out, item.Key{Resource: "namespaces", Name: k.Namespace})
	}
	if strings.Contains(k.Group, ".") { // a definition's group is a domain name
		out = append(out, item.Key{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: k.GroupResource()})
	}
	return out
}

// Content reports whether Of has a rule for objects of a resource.
func Content(groupResource string) bool {
	_, pod := templates[groupResource]
	return pod || groupResource == claims || groupResource == clusterRoleBindings || groupResource == "rolebindings."+rbacGroup
}

// templates is where a resource has the spec of its pods.
var templates = map[string][]string{
	"pods":                   {"spec"},
	"podtemplates":           {"template", "spec"},
	"replicationcontrollers": {"spec", "template", "spec"},
	"deployments.apps":       {"spec", "template", "spec"},
	"replicasets.apps":       {"spec", "template", "spec"},
	"statefulsets.apps":      {"spec", "template", "spec"},
	"daemonsets.apps":        {"spec", "template", "spec"},
	"jobs.batch":             {"spec", "template", "spec"},
	"cronjobs.batch":         {"spec", "jobTemplate", "spec", "template", "spec"},
}

// Of returns what an object needs according to its content, without OfKey:
//
//   - a pod, and what makes pods: the claims, the ServiceAccount (except default,
//     which each namespace has), the PriorityClass and the RuntimeClass;
//   - a claim, and what makes claims: the volume, the StorageClass and the
//     VolumeAttributesClass;
//   - a binding: its role.
func Of(u *unstructured.Unstructured, k item.Key) []item.Key {
	var out list
	gr := k.GroupResource()
	if path, ok := templates[gr]; ok {
		out.ofPod(item.Child(u.Object, path...), k.Namespace)
	}
	switch gr {
	case claims:
		out.ofClaim(u.Object)
	case "statefulsets.apps":
		for _, claim := range item.Maps(item.Child(u.Object, "spec")["volumeClaimTemplates"]) {
			out.ofClaim(claim)
		}
	case clusterRoleBindings:
		out.add(rbacGroup, "clusterroles", "", text(item.Child(u.Object, "roleRef"), "name"))
	case "rolebindings." + rbacGroup:
		out.ofBinding(item.Child(u.Object, "roleRef"), k.Namespace)
	}
	return out
}

// Accounts returns the service accounts that a ClusterRoleBinding names: those that
// need it (Velero's service account action).
func Accounts(binding *unstructured.Unstructured) []item.Key {
	var out list
	for _, s := range item.Maps(binding.Object["subjects"]) {
		if s["kind"] == "ServiceAccount" {
			out.add("", "serviceaccounts", text(s, "namespace"), text(s, "name"))
		}
	}
	return out
}

type list []item.Key

func (l *list) add(group, resource, namespace, name string) {
	if name != "" {
		*l = append(*l, item.Key{Group: group, Resource: resource, Namespace: namespace, Name: name})
	}
}

func (l *list) ofPod(spec map[string]any, namespace string) {
	for _, v := range item.Maps(spec["volumes"]) {
		l.add("", claims, namespace, text(item.Child(v, "persistentVolumeClaim"), "claimName"))
		l.ofClaim(item.Child(v, "ephemeral", "volumeClaimTemplate"))
	}
	if account := text(spec, "serviceAccountName"); account != "default" {
		l.add("", "serviceaccounts", namespace, account)
	}
	l.add("scheduling.k8s.io", "priorityclasses", "", text(spec, "priorityClassName"))
	l.add("node.k8s.io", "runtimeclasses", "", text(spec, "runtimeClassName"))
}

func (l *list) ofClaim(claim map[string]any) {
	spec := item.Child(claim, "spec")
	l.add("", "persistentvolumes", "", text(spec, "volumeName"))
	l.add(storageGroup, "storageclasses", "", text(spec, "storageClassName"))
	l.add(storageGroup, "storageclasses", "", text(item.Child(claim, "metadata", "annotations"), "volume.beta.kubernetes.io/storage-class"))
	l.add(storageGroup, "volumeattributesclasses", "", text(spec, "volumeAttributesClassName"))
}

func (l *list) ofBinding(role map[string]any, namespace string) {
	switch text(role, "kind") {
	case "ClusterRole":
		l.add(rbacGroup, "clusterroles", "", text(role, "name"))
	case "Role":
		l.add(rbacGroup, "roles", namespace, text(role, "name"))
	}
}

// text is a field of an object, "" if it is absent or not text.
func text(m map[string]any, field string) string {
	s, _ := m[field].(string)
	return s
}
