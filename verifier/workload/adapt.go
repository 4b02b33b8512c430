package workload

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Why objects are not restored into a sandbox that runs pods.
const (
	LeaveVolume  = "its volume is outside of the sandbox; the claim gets an empty one"
	LeaveSystem  = "runs in kube-system, where the sandbox has its own"
	LeaveNetwork = "is a network plugin; the sandbox has its own"
	LeaveNode    = "belongs to a node of the source cluster; its DaemonSet creates one for the sandbox's node"
	LeaveServed  = "its server runs in kube-system, where the sandbox has its own"
	LeaveCalls   = "calls out of the sandbox, or kube-system, and nothing else"
)

// What is restored otherwise than it is in the backup.
const (
	ChangedCronJobs  = "CronJobs suspended"
	ChangedPull      = "image pull policy Always changed to IfNotPresent"
	ChangedPlacement = "node placement rules removed"
	ChangedWebhooks  = "webhooks removed that call out of the sandbox, or kube-system"
	ChangedAnonymous = "anonymous users removed from role bindings"
)

const (
	kubeSystem  = "kube-system"
	apiServices = "apiservices.apiregistration.k8s.io"
	cronJobs    = "cronjobs.batch"
	daemonSets  = "daemonsets.apps"
	volumes     = "persistentvolumes"
)

func isWebhook(groupResource string) bool {
	return groupResource == "validatingwebhookconfigurations.admissionregistration.k8s.io" ||
		groupResource == "mutatingwebhookconfigurations.admissionregistration.k8s.io"
}

func isBinding(groupResource string) bool {
	return groupResource == "clusterrolebindings.rbac.authorization.k8s.io" || groupResource == "rolebindings.rbac.authorization.k8s.io"
}

// ownBinding reports whether every cluster of kubeadm has a binding for anonymous
// users under this name, which a restore leaves as it is: for the version and health
// of the API server, and for the public part of a bootstrap.
func ownBinding(u *unstructured.Unstructured) bool {
	switch u.GetNamespace() + "/" + u.GetName() {
	case "/system:public-info-viewer", "kube-public/kubeadm:bootstrap-signer-clusterinfo":
		return true
	}
	return false
}

// identified reports whether a subject has to show who it is: the API server of a
// sandbox answers on a port that any user of the host can reach.
func identified(subject map[string]any) bool {
	name := text(subject, "name")
	return name != "system:unauthenticated" && name != "system:anonymous"
}

// Adapter fits the objects of a backup to a sandbox of one node from which
// nothing gets out.
type Adapter struct {
	// CronJobs leaves them as they are; otherwise they are suspended.
	CronJobs bool
}

// Touches reports whether objects of the resource may be changed, or name
// images.
func Touches(groupResource string) bool {
	return specPath(groupResource) != nil || isWebhook(groupResource) || isBinding(groupResource)
}

// specPath is where an object of the resource holds a pod's spec.
func specPath(groupResource string) []string {
	switch groupResource {
	case "pods":
		return []string{"spec"}
	case "podtemplates":
		return []string{"template", "spec"}
	case "deployments.apps", "statefulsets.apps", daemonSets, "replicasets.apps", "replicationcontrollers", "jobs.batch":
		return []string{"spec", "template", "spec"}
	case cronJobs:
		return []string{"spec", "jobTemplate", "spec", "template", "spec"}
	case "controllerrevisions.apps":
		return []string{"data", "spec", "template", "spec"}
	}
	return nil
}

func text(m map[string]any, field string) string {
	s, _ := m[field].(string)
	return s
}

// Leave reports why a sandbox cannot have an object of a backup, "" when it can
// (plan.Options.Leave). What a cluster is made of would fight with what the
// sandbox is made of: two network plugins on one node, for example.
func (Adapter) Leave(u *unstructured.Unstructured, groupResource string) string {
	if path := specPath(groupResource); path != nil {
		return leavePods(u, groupResource, item.Child(u.Object, path...))
	}
	switch {
	case groupResource == volumes:
		return LeaveVolume
	case groupResource == apiServices && text(item.Child(u.Object, "spec", "service"), "namespace") == kubeSystem:
		return LeaveServed
	case isWebhook(groupResource):
		hooks := item.Maps(u.Object["webhooks"])
		if len(hooks) > 0 && !slices.ContainsFunc(hooks, callsInside) {
			return LeaveCalls
		}
	}
	return ""
}

func leavePods(u *unstructured.Unstructured, groupResource string, spec map[string]any) string {
	switch {
	case u.GetNamespace() == kubeSystem:
		return LeaveSystem
	case installsNetwork(spec):
		return LeaveNetwork
	case groupResource == "pods" && ofDaemonSet(u):
		return LeaveNode
	}
	return ""
}

// installsNetwork reports whether a pod puts itself where the container
// runtime looks for network plugins.
func installsNetwork(spec map[string]any) bool {
	for _, v := range item.Maps(spec["volumes"]) {
		path := text(item.Child(v, "hostPath"), "path")
		for _, of := range []string{"/etc/cni", "/opt/cni"} {
			if path == of || strings.HasPrefix(path, of+"/") {
				return true
			}
		}
	}
	return false
}

func ofDaemonSet(u *unstructured.Unstructured) bool {
	for _, r := range item.Maps(item.Child(u.Object, "metadata")["ownerReferences"]) {
		if controls, _ := r["controller"].(bool); controls && r["kind"] == "DaemonSet" {
			return true
		}
	}
	return false
}

func callsInside(hook map[string]any) bool {
	service := item.Child(hook, "clientConfig", "service")
	return service != nil && text(service, "namespace") != kubeSystem
}

// Adapt changes an object for the sandbox, in place (plan.Options.Adapt).
func (a Adapter) Adapt(u *unstructured.Unstructured, groupResource string) {
	a.Changes(u, groupResource)
}

// Changes does what Adapt does and returns the rules that changed the object.
func (a Adapter) Changes(u *unstructured.Unstructured, groupResource string) []string {
	var rules []string
	note := func(changed bool, rule string) {
		if changed {
			rules = append(rules, rule)
		}
	}
	if path := specPath(groupResource); path != nil {
		spec := item.Child(u.Object, path...)
		note(pullOnce(spec), ChangedPull)
		// Where a DaemonSet runs is decided by the nodes there are: without its
		// rules a driver of graphics cards would run, and crash, on any node.
		note(groupResource != daemonSets && placeAnywhere(spec), ChangedPlacement)
	}
	if groupResource == cronJobs && !a.CronJobs {
		spec := item.Child(u.Object, "spec")
		suspended, _ := spec["suspend"].(bool)
		if spec != nil && !suspended {
			spec["suspend"] = true
			note(true, ChangedCronJobs)
		}
	}
	if isWebhook(groupResource) {
		note(keep(u.Object, "webhooks", callsInside), ChangedWebhooks)
	}
	if isBinding(groupResource) && !ownBinding(u) {
		note(keep(u.Object, "subjects", identified), ChangedAnonymous)
	}
	return rules
}

// pullOnce lets a node use the images it has: they were put there before the
// sandbox was closed.
func pullOnce(spec map[string]any) bool {
	changed := false
	for _, containers := range []string{"initContainers", "containers"} {
		for _, c := range item.Maps(spec[containers]) {
			// None would be made Always by the API server for the tag latest.
			if policy := c["imagePullPolicy"]; policy == "Always" || policy == nil {
				c["imagePullPolicy"] = "IfNotPresent"
				changed = changed || policy != nil
			}
		}
	}
	return changed
}

// platform are the node labels that describe what a node can run. The node of a
// sandbox has them too.
var platform = []string{"kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/arch"}

// placeAnywhere removes what a single node without labels of its own cannot
// satisfy: which nodes, and how pods are spread over them.
func placeAnywhere(spec map[string]any) bool {
	if spec == nil {
		return false
	}
	changed := drop(spec, "nodeName")
	if selector := item.Child(spec, "nodeSelector"); selector != nil {
		before := len(selector)
		maps.DeleteFunc(selector, func(k string, _ any) bool { return !slices.Contains(platform, k) })
		changed = changed || len(selector) < before
		dropEmpty(spec, "nodeSelector")
	}
	const required = "requiredDuringSchedulingIgnoredDuringExecution"
	affinity := item.Child(spec, "affinity")
	for _, kind := range []string{"nodeAffinity", "podAntiAffinity"} {
		changed = drop(item.Child(affinity, kind), required) || changed
		dropEmpty(affinity, kind)
	}
	dropEmpty(spec, "affinity")
	changed = keep(spec, "topologySpreadConstraints", func(c map[string]any) bool { return c["whenUnsatisfiable"] != "DoNotSchedule" }) || changed
	if s := text(spec, "schedulerName"); s != "" && s != "default-scheduler" {
		spec["schedulerName"] = "default-scheduler"
		changed = true
	}
	return changed
}

func drop(m map[string]any, field string) bool {
	_, there := m[field]
	delete(m, field)
	return there
}

func dropEmpty(m map[string]any, field string) {
	if values, ok := m[field].(map[string]any); ok && len(values) == 0 {
		delete(m, field)
	}
}

// keep keeps the elements of m[field] that wanted accepts, removes the field
// when none is left, and reports whether one went.
func keep(m map[string]any, field string, wanted func(map[string]any) bool) bool {
	elements, _ := m[field].([]any)
	kept := slices.DeleteFunc(slices.Clone(elements), func(e any) bool {
		o, _ := e.(map[string]any)
		return !wanted(o)
	})
	if len(kept) == len(elements) {
		return false
	}
	if m[field] = kept; len(kept) == 0 {
		delete(m, field)
	}
	return true
}

// Images are those that the pods of an object use, each once. Objects that run
// nothing themselves have none: pods of a suspended CronJob are never made.
func Images(u *unstructured.Unstructured, groupResource string) []string {
	if groupResource == "controllerrevisions.apps" || groupResource == "podtemplates" {
		return nil
	}
	spec := item.Child(u.Object, "spec")
	suspended, _ := spec["suspend"].(bool)
	replicas, scaled := spec["replicas"].(int64)
	if suspended || scaled && replicas == 0 && groupResource != "pods" {
		return nil
	}
	var out []string
	pod := item.Child(u.Object, specPath(groupResource)...)
	for _, containers := range []string{"initContainers", "containers"} {
		for _, c := range item.Maps(pod[containers]) {
			if image := text(c, "image"); image != "" && !slices.Contains(out, image) {
				out = append(out, image)
			}
		}
	}
	return out
}
