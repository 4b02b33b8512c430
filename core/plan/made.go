package plan

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Some objects look as if a controller had made them, and the controller of the
// target makes them again only if another object of the backup asks for them:
// Endpoints for a Service with a selector, for example. Those of a Service
// without one belong to a user and have to be restored, whatever marks an
// earlier controller left on them.

// madeOf names what makes an object in the target, "" when it is not an object
// that another one of the backup asks for. The marks are those that the
// controllers of Kubernetes write.
func madeOf(u *unstructured.Unstructured, k item.Key) string {
	annotations, labels := u.GetAnnotations(), u.GetLabels()
	switch k.GroupResource() {
	case "endpoints":
		// The annotation is the older mark.
		if labels["endpoints.kubernetes.io/managed-by"] == "endpoint-controller" || annotations["endpoints.kubernetes.io/last-change-trigger-time"] != "" {
			return selectorOf(k.Namespace, k.Name)
		}
	case "endpointslices.discovery.k8s.io":
		service := labels["kubernetes.io/service-name"]
		switch labels["endpointslice.kubernetes.io/managed-by"] {
		case "endpointslice-controller.k8s.io":
			return selectorOf(k.Namespace, service)
		case "endpointslicemirroring-controller.k8s.io":
			return endpointsOf(k.Namespace, service)
		}
	case "secrets":
		account := annotations["kubernetes.io/service-account.name"]
		if u.Object["type"] == tokenType && hasRandomSuffix(k.Name, account+"-token-") {
			return tokenOf(k.Namespace, account, k.Name)
		}
	}
	return ""
}

// makes names what controllers of the target make because of an object.
func makes(u *unstructured.Unstructured, k item.Key) []string {
	switch k.GroupResource() {
	case "services":
		if spec := item.Child(u.Object, "spec"); len(item.Child(spec, "selector")) > 0 && spec["type"] != "ExternalName" {
			return []string{selectorOf(k.Namespace, k.Name)}
		}
	case "endpoints":
		return []string{endpointsOf(k.Namespace, k.Name)}
	case "serviceaccounts":
		// Clusters before 1.24 list the tokens that they made; nothing lists those
		// that a user made.
		var tokens []string
		for _, s := range item.Maps(u.Object["secrets"]) {
			if hasRandomSuffix(nameOf(s), k.Name+"-token-") {
				tokens = append(tokens, tokenOf(k.Namespace, k.Name, nameOf(s)))
			}
		}
		return tokens
	}
	return nil
}

func selectorOf(namespace, service string) string  { return "selector " + namespace + "/" + service }
func endpointsOf(namespace, service string) string { return "endpoints " + namespace + "/" + service }
func tokenOf(namespace, account, secret string) string {
	return "token " + namespace + "/" + account + "/" + secret
}

// needMakers takes back the rule on objects that the target was expected to make
// and that nothing in the backup asks for.
func needMakers(entries []Entry) []Entry {
	made := map[string]bool{}
	for _, e := range entries {
		for _, m := range e.makes {
			made[m] = true
		}
	}
	out := slices.Clone(entries)
	for i, e := range out {
		if e.made != "" && e.Leave == leaveGenerated && !made[e.made] {
			out[i].Leave = ""
		}
	}
	return out
}
