package sabotage

import (
	"encoding/base64"
	"math/rand/v2"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// The objects that are spoiled most.
const (
	theBoats      = "customresourcedefinitions.apiextensions.k8s.io boats.fleet.example.com"
	theGig        = "boats.fleet.example.com boatyard/gig"
	theDeployment = "deployments.apps boatyard/web"
	thePod        = "pods boatyard/lookout"
)

// versions changes each version of the definition of boats.
func versions(change func(version object)) Edit {
	return alter(theBoats, func(o map[string]any) {
		for _, v := range child(o, "spec")["versions"].([]any) {
			change(v.(map[string]any))
		}
	})
}

// property is a property of boats in a version's schema.
func boatProperties(version object) object {
	return child(version, "schema", "openAPIV3Schema", "properties", "spec", "properties")
}

// noise is text of n bytes that does not compress.
func noise(n int) string {
	r, b := rand.NewChaCha8([32]byte{}), make([]byte, n*3/4)
	_, _ = r.Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b)
}

// objects are changes by an author who covers the tracks: every record agrees
// with what is there, and only a restore can tell.
func objects() []Case {
	refused := func(object, message string) Expectation {
		return seenBy(report.LevelControlPlane, "items_restored", object, message)
	}
	differs := func(object, message string) Expectation {
		return seenBy(report.LevelControlPlane, "items_equal", object, message)
	}
	boatyard := func(group, resource, name string) item.Key {
		return item.Key{Group: group, Resource: resource, Namespace: "boatyard", Name: name}
	}
	return []Case{
		{"a definition is missing, and its objects are there", Ours, careful(remove(theBoats)), nil, refused(theGig, "does not serve")},
		{"a definition was narrowed: its objects break it", Ours, careful(versions(func(v object) { child(boatProperties(v), "length")["maximum"] = 5 })), nil, refused(theGig, "less than or equal to 5")},
		{"a definition has lost a field that objects use", Ours, careful(versions(func(v object) { delete(boatProperties(v), "berth") })), nil, differs(theGig, "spec.berth")},
		{"a definition has lost a field that objects use, and Kubernetes is a newer one", Ours, both(
			careful(versions(func(v object) { delete(boatProperties(v), "berth") })), fromKubernetes("v1.26.3")), nil, differs(theGig, "spec.berth")},
		{"a definition no longer serves any version", Ours, careful(versions(func(v object) { v["served"] = false })), nil, refused(theGig, "could not find")},
		{"a definition is of another scope than its objects", Ours, careful(set(theBoats, "Cluster", "spec", "scope")), nil, refused(theGig, "")},
		{"an object is there at a version only that Kubernetes has removed", Ours, careful(move("ingresses.networking.k8s.io boatyard/web", boatyard("extensions", "ingresses", "web"), "v1beta1")), nil,
			refused("ingresses.extensions boatyard/web", "does not serve")},
		{"an object is there at a version only that Kubernetes has removed", Veleros, careful(move("deployments.apps notes/notes", item.Key{Group: "extensions", Resource: "deployments", Namespace: "notes", Name: "notes"}, "v1beta1")), nil,
			refused("deployments.extensions notes/notes", "does not serve")},
		{"the name of an object is not valid", Ours, careful(move("configmaps boatyard/tides", boatyard("", "configmaps", "Tides_High"), "v1")), nil, refused("configmaps boatyard/Tides_High", "RFC 1123")},
		{"an object is of another kind than its resource", Ours, careful(set("secrets boatyard/token", "ConfigMap", "kind")), nil, refused("secrets boatyard/token", "")},
		{"a namespaced object lies outside of namespaces", Ours, careful(move("configmaps boatyard/tides", item.Key{Resource: "configmaps", Name: "tides"}, "v1")), nil, refused("configmaps tides", "")},
		{"an object without namespace lies in one", Ours, careful(move("priorityclasses.scheduling.k8s.io crew", boatyard("scheduling.k8s.io", "priorityclasses", "crew"), "v1")), nil,
			refused("priorityclasses.scheduling.k8s.io boatyard/crew", "")},
		{"a ConfigMap is larger than Kubernetes allows", Ours, careful(set("configmaps boatyard/tides", noise(1<<20+4096), "data", "table")), nil, refused("configmaps boatyard/tides", "Too long")},
		{"an object is larger than etcd takes", Ours, careful(set(theGig, noise(1_600_000), "spec", "log")), nil, refused(theGig, "too large")},
		{"the selector of a Deployment does not match its pods", Ours, careful(set(theDeployment, "other", "spec", "selector", "matchLabels", "app")), nil, refused(theDeployment, "selector")},
		{"the selector of a Deployment does not match its pods", Veleros, careful(set("deployments.apps notes/notes", "other", "spec", "selector", "matchLabels", "app")), nil, refused("deployments.apps notes/notes", "selector")},
		{"a Service has a port that there is not", Ours, careful(alter("services boatyard/web", func(o map[string]any) {
			child(o, "spec")["ports"].([]any)[0].(map[string]any)["port"] = 70000
		})), nil, refused("services boatyard/web", "70000")},
		{"a Secret lacks what its type asks for", Ours, careful(set("secrets boatyard/token", "kubernetes.io/tls", "type")), nil, refused("secrets boatyard/token", "tls.crt")},
		{"a field is of another type than the API has", Ours, careful(set(theDeployment, "many", "spec", "replicas")), nil, refused(theDeployment, "replicas")},
		{"a pod's ServiceAccount is missing", Ours, careful(remove("serviceaccounts boatyard/web")), nil, refused(thePod, "web")},
		{"a pod's PriorityClass is missing", Ours, careful(remove("priorityclasses.scheduling.k8s.io crew")), nil, refused(thePod, "crew")},
		{"a pod's RuntimeClass is missing", Ours, careful(podSpec(thePod, func(s object) { s["runtimeClassName"] = "gvisor" })), nil, refused(thePod, "gvisor")},
		{"a container has the name of another", Ours, careful(podSpec(theDeployment, func(s object) {
			s["containers"] = append(s["containers"].([]any), s["containers"].([]any)[0])
		})), nil, refused(theDeployment, "Duplicate value")},
		{"a binding has no role", Ours, careful(set("rolebindings.rbac.authorization.k8s.io boatyard/reader", object{}, "roleRef")), nil, refused("rolebindings.rbac.authorization.k8s.io boatyard/reader", "roleRef")},
		{"two objects own each other", Ours, careful(
			alter("configmaps boatyard/tides", func(o map[string]any) { ownedBy(o, "log", "11111111-1111-1111-1111-111111111111") }),
			alter("configmaps boatyard/log", func(o map[string]any) { ownedBy(o, "tides", "22222222-2222-2222-2222-222222222222") }),
		), nil, Expectation{Beyond: true}},
		{"a Secret has another value, and every record agrees", Ours, careful(set("secrets boatyard/token", "c2Fib3RhZ2U=", "data", "token")), nil, Expectation{Beyond: true}},
		{"a Secret has another value, and every record agrees", Veleros, careful(set("secrets notes/token", "c2Fib3RhZ2U=", "data", "token")), nil, Expectation{Beyond: true}},
		{"a ConfigMap that nothing uses is missing", Ours, careful(remove("configmaps boatyard/tides")), nil, Expectation{Beyond: true}},
		{"the namespace is missing: it is recreated without its labels", Ours, careful(remove("namespaces boatyard")), nil, Expectation{Beyond: true}},
		{"the namespace is missing: it is recreated without its labels", Veleros, careful(remove("namespaces notes")), nil, Expectation{Beyond: true}},
	}
}

func ownedBy(o object, name, uid string) {
	child(o, "metadata")["ownerReferences"] = []any{object{"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid}}
}
