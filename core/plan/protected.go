package plan

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// ReasonProtected is why an object of the target stays as it is under every
// policy for existing resources.
const ReasonProtected = "exists and differs; the control plane of the target depends on it, so it is not changed (name its resource in the filter to change it)"

// clusterConfigs are the objects in which kubeadm, the add-ons that it installs
// and EKS keep what is true for one cluster only: its endpoints, its CA, its nodes
// and its version (cmd/kubeadm/app/constants).
var clusterConfigs = map[item.Key]bool{
	{Resource: "configmaps", Namespace: "kube-public", Name: "cluster-info"}:   true,
	{Resource: "configmaps", Namespace: "kube-system", Name: "kubeadm-config"}: true,
	{Resource: "configmaps", Namespace: "kube-system", Name: "kube-proxy"}:     true,
	{Resource: "configmaps", Namespace: "kube-system", Name: "coredns"}:        true,
	// Amazon EKS: which IAM roles are nodes and administrators.
	{Resource: "configmaps", Namespace: "kube-system", Name: "aws-auth"}: true,
	// The keys of the CA, for further control plane nodes.
	{Resource: "secrets", Namespace: "kube-system", Name: "kubeadm-certs"}: true,
}

// reconciled reports whether the API server writes an object at its start and
// keeps it as its version wants it: bootstrap roles and bindings, and its own
// priorities of requests. It marks both.
func reconciled(u *unstructured.Unstructured) bool {
	switch u.GroupVersionKind().Group {
	case "rbac.authorization.k8s.io":
		return u.GetLabels()["kubernetes.io/bootstrapping"] == "rbac-defaults"
	case "flowcontrol.apiserver.k8s.io":
		return u.GetAnnotations()["apf.kubernetes.io/autoupdate-spec"] == "true"
	}
	return false
}

// protected reports whether the control plane of a cluster depends on an object.
// An older cluster's copy would take rights from the components of a newer one,
// or send its nodes to another API server.
func protected(u *unstructured.Unstructured, k item.Key) bool {
	switch {
	case clusterConfigs[k], reconciled(u):
		return true
	case k.GroupResource() == "configmaps":
		// kubelet-config, and kubelet-config-1.x before Kubernetes 1.24.
		return k.Namespace == "kube-system" && (k.Name == "kubelet-config" || strings.HasPrefix(k.Name, "kubelet-config-1."))
	case k.Group == "rbac.authorization.k8s.io":
		return strings.HasPrefix(k.Name, "kubeadm:")
	}
	return false
}

// asksFor reports whether the filter names the resource of an item and, if the
// item has a namespace, that namespace.
func (o Options) asksFor(it item.Item) bool {
	return filter.NamesResource(o.Filter.IncludedResources, resourceOf(it)) &&
		!slices.Contains(o.Filter.IncludedResources, "*") &&
		(it.Key.Namespace == "" || slices.Contains(o.Filter.IncludedNamespaces, it.Key.Namespace))
}
