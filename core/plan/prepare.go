package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// prepare turns an object of a backup into one that can be created, in place:
// what the API server or a controller of the old cluster gave it is
// taken off, everything a user wrote stays (Velero v1.18 resetMetadata and its
// restore item actions).
//
//   - all: status and what the server fills in of metadata (uid,
//     resourceVersion, generation, creationTimestamp, deletionTimestamp,
//     deletionGracePeriodSeconds, selfLink, generateName, managedFields, which
//     Managers gives back); owner references, since the owner's UID is gone
//     (Plan.own gives them back)
//   - pods: node, priority, preemption policy and overhead (admission computes
//     them again and refuses others), the service account
//     token volume that admission adds
//   - services: cluster IPs unless headless (Transform puts those back that a user
//     asked for); node ports that no user asked for,
//     unless preserveNodePorts says that all are kept
//   - persistentvolumeclaims: binding annotations and, once bound, volumeName,
//     the source it was filled from and, with a storage class, the selector
//     (which Velero takes off when it backs up)
//     Always, what Velero has put into the selector to provision a volume
//   - webhook configurations: sideEffects that v1 refuses become None
//   - persistentvolumes: the identity of the bound claim
//   - jobs: the generated selector and its labels
//   - serviceaccounts: generated token secrets
//   - secrets of type service-account-token: the token, its CA and the
//     account's UID, which the target issues again
//   - customresourcedefinitions: preserveUnknownFields, which v1 refuses, is
//     said in the schemas instead
func prepare(u *unstructured.Unstructured, preserveNodePorts bool) {
	kind := u.GroupVersionKind().GroupKind().String()
	if kind == "Service" {
		prepareService(u, preserveNodePorts)
	}
	if prepare, ok := preparers[kind]; ok {
		prepare(u) // first: some look at what is taken off below
	}
	delete(u.Object, "status")
	meta := item.Child(u.Object, "metadata")
	for _, f := range serverFields {
		delete(meta, f)
	}
	dropKeys(meta, "annotations", []string{api.AnnotationIncomplete})
}

// ForRecreation takes off an object of the cluster, in place, what would prevent that it
// is created again: all else, owners and addresses included, stays as it was.
func ForRecreation(u *unstructured.Unstructured) {
	meta := item.Child(u.Object, "metadata")
	for _, f := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"} {
		delete(meta, f)
	}
}

var serverFields = []string{
	"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
	"deletionGracePeriodSeconds", "selfLink", "generateName", "managedFields", "ownerReferences",
}

var preparers = map[string]func(*unstructured.Unstructured){
	"Pod":                   preparePod,
	"PersistentVolumeClaim": prepareClaim,
	"PersistentVolume":      prepareVolume,
	"Job.batch":             prepareJob,
	"ServiceAccount":        prepareServiceAccount,
	"Secret":                prepareSecret,
	"CustomResourceDefinition.apiextensions.k8s.io":               prepareDefinition,
	"ValidatingWebhookConfiguration.admissionregistration.k8s.io": prepareWebhooks,
	"MutatingWebhookConfiguration.admissionregistration.k8s.io":   prepareWebhooks,
}

// filterList keeps the elements of m[field] that keep accepts and removes the
// field when none is left.
func filterList(m map[string]any, field string, keep func(map[string]any) bool) {
	if m == nil || m[field] == nil {
		return
	}
	var kept []any
	for _, e := range item.Maps(m[field]) {
		if keep(e) {
			kept = append(kept, e)
		}
	}
	if len(kept) == 0 {
		delete(m, field)
		return
	}
	m[field] = kept
}

func nameOf(m map[string]any) string {
	s, _ := m["name"].(string)
	return s
}

// preparePod follows admission: the ServiceAccount plugin adds a volume and its
// mounts to each pod, and does so again in the target.
func preparePod(u *unstructured.Unstructured) {
	spec := item.Child(u.Object, "spec")
	delete(spec, "nodeName")
	delete(spec, "priority")
	delete(spec, "overhead")
	delete(spec, "preemptionPolicy")
	added := tokenVolumes(spec)
	generated := func(m map[string]any) bool { return added[nameOf(m)] }
	filterList(spec, "volumes", func(v map[string]any) bool { return !generated(v) })
	for _, containers := range []string{"initContainers", "containers", "ephemeralContainers"} {
		for _, c := range item.Maps(spec[containers]) {
			filterList(c, "volumeMounts", func(m map[string]any) bool { return !generated(m) })
		}
	}
	// Ephemeral containers are added through a subresource; a create with them
	// is refused.
	delete(spec, "ephemeralContainers")
}

// tokenVolumes are the names of the volumes that the ServiceAccount admission
// plugin added to a pod: kube-api-access-<random> with a projected token, and in
// clusters before 1.21 one with the Secret <account>-token-<random>. Both are
// mounted at one path only (plugin/pkg/admission/serviceaccount). A volume that
// has such a name and another content or mount is the author's.
func tokenVolumes(spec map[string]any) map[string]bool {
	const path = "/var/run/secrets/kubernetes.io/serviceaccount"
	account, _ := spec["serviceAccountName"].(string)
	out := map[string]bool{}
	for _, v := range item.Maps(spec["volumes"]) {
		name := nameOf(v)
		projects := slices.ContainsFunc(item.Maps(item.Child(v, "projected")["sources"]), func(s map[string]any) bool { return s["serviceAccountToken"] != nil })
		holds := account != "" && hasRandomSuffix(name, account+"-token-") && item.Child(v, "secret")["secretName"] == name
		if projects && hasRandomSuffix(name, "kube-api-access-") || holds {
			out[name] = true
		}
	}
	for _, containers := range []string{"initContainers", "containers"} {
		for _, c := range item.Maps(spec[containers]) {
			for _, m := range item.Maps(c["volumeMounts"]) {
				if m["mountPath"] != path {
					delete(out, nameOf(m))
				}
			}
		}
	}
	return out
}

// hasRandomSuffix reports whether a name is the prefix and what the API server
// appends for generateName: five characters that form no words
// (k8s.io/apimachinery/pkg/util/rand).
func hasRandomSuffix(name, prefix string) bool {
	suffix, found := strings.CutPrefix(name, prefix)
	return found && len(suffix) == 5 && strings.Trim(suffix, "bcdfghjklmnpqrstvwxz2456789") == ""
}

func prepareService(u *unstructured.Unstructured, preserveNodePorts bool) {
	spec := item.Child(u.Object, "spec")
	if spec["clusterIP"] != "None" {
		delete(spec, "clusterIP")
		delete(spec, "clusterIPs")
	}
	if u.GetUID() == "" || preserveNodePorts {
		return // without a UID it was in no cluster, so nothing was allocated
	}
	wanted := wantedNodePorts(u)
	if !wanted[healthCheckNodePort] {
		delete(spec, healthCheckNodePort)
	}
	for _, p := range item.Maps(spec["ports"]) {
		if !wanted[portKey(p)] {
			delete(p, "nodePort")
		}
	}
}

const healthCheckNodePort = "healthCheckNodePort"

// wantedNodePorts are the ports of a Service whose node port a user asked
// for, and healthCheckNodePort if it is one, as kubectl's annotation or the record of field managers shows; the
// others were allocated (Velero v1.18, pkg/restore/actions, service action).
func wantedNodePorts(u *unstructured.Unstructured) map[string]bool {
	wanted := map[string]bool{}
	var applied struct {
		Spec struct {
			Ports               []map[string]any
			HealthCheckNodePort int
		}
	}
	if text := u.GetAnnotations()[lastApplied]; json.Unmarshal([]byte(text), &applied) == nil {
		for _, p := range applied.Spec.Ports {
			if n, ok := p["nodePort"].(float64); ok && n > 0 {
				wanted[portKey(p)] = true
			}
		}
		wanted[healthCheckNodePort] = applied.Spec.HealthCheckNodePort > 0
	}
	for _, entry := range item.Maps(item.Child(u.Object, "metadata")["managedFields"]) {
		owned := item.Child(entry, "fieldsV1", "f:spec")
		if owned["f:"+healthCheckNodePort] != nil {
			wanted[healthCheckNodePort] = true
		}
		for key, fields := range item.Child(owned, "f:ports") {
			owned, _ := fields.(map[string]any)
			var p map[string]any
			if text, isPort := strings.CutPrefix(key, "k:"); isPort && owned["f:nodePort"] != nil && json.Unmarshal([]byte(text), &p) == nil {
				wanted[portKey(p)] = true
			}
		}
	}
	return wanted
}

// wantedClusterIPs are the fields with the cluster IPs of a Service that a user
// asked for, as wantedNodePorts finds them. A target that cannot give them gives
// others (WithoutClusterIPs), so they are not compared.
func wantedClusterIPs(u *unstructured.Unstructured, groupResource string) map[string]any {
	spec := item.Child(u.Object, "spec")
	if groupResource != "services" || spec["clusterIP"] == nil || spec["clusterIP"] == "None" {
		return nil
	}
	var applied struct{ Spec map[string]any }
	_ = json.Unmarshal([]byte(u.GetAnnotations()[lastApplied]), &applied) // without it, the field managers tell
	wanted := map[string]any{}
	for _, field := range []string{"clusterIP", "clusterIPs"} {
		asked := applied.Spec[field] != nil
		for _, entry := range item.Maps(item.Child(u.Object, "metadata")["managedFields"]) {
			asked = asked || item.Child(entry, "fieldsV1", "f:spec")["f:"+field] != nil
		}
		if asked && spec[field] != nil {
			wanted["clusterIP"] = spec["clusterIP"]
			wanted[field] = spec[field]
		}
	}
	return wanted
}

// WithoutClusterIPs takes the cluster IPs off an object that is to be created.
func WithoutClusterIPs(u *unstructured.Unstructured) {
	spec := item.Child(u.Object, "spec")
	delete(spec, "clusterIP")
	delete(spec, "clusterIPs")
}

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// portKey identifies a port of a Service: by number and protocol.
func portKey(p map[string]any) string {
	protocol, _ := p["protocol"].(string)
	return fmt.Sprint(p["port"], "/", cmp.Or(protocol, "TCP"))
}

var claimAnnotations = []string{
	"pv.kubernetes.io/bind-completed",
	"pv.kubernetes.io/bound-by-controller",
	"volume.kubernetes.io/storage-provisioner",
	"volume.beta.kubernetes.io/storage-provisioner",
	"volume.kubernetes.io/selected-node",
}

func prepareClaim(u *unstructured.Unstructured) {
	dropKeys(item.Child(u.Object, "metadata"), "annotations", claimAnnotations)
	dropVelerosSelector(item.Child(u.Object, "spec"))
	// The binder sets volumeName, and a volume that is restored finds its claim
	// by its claimRef. In a claim that waits, its author wrote it and wants that
	// volume and no other.
	if phase, _, _ := unstructured.NestedString(u.Object, "status", "phase"); phase == "Bound" || phase == "Lost" {
		spec := item.Child(u.Object, "spec")
		delete(spec, "volumeName")
		delete(spec, "dataSource")
		delete(spec, "dataSourceRef")
		if spec["storageClassName"] != "" { // a claim of no class finds its volume by the selector
			delete(spec, "selector")
		}
	}
}

// dropVelerosSelector takes off the labels by which Velero has let a claim wait for
// the volume that it restored (velero.io/dynamic-pv-restore): another claim finds
// none with them (Velero's PVC action).
func dropVelerosSelector(spec map[string]any) {
	selector := item.Child(spec, "selector")
	matched := item.Child(selector, "matchLabels")
	for k := range matched {
		if strings.HasPrefix(k, "velero.io/") {
			delete(matched, k)
			dropEmpty(selector, "matchLabels")
			dropEmpty(spec, "selector")
		}
	}
}

// prepareWebhooks follows Velero's admission webhook configuration action: one made
// through v1beta1 may have side effects that v1 serves and refuses.
func prepareWebhooks(u *unstructured.Unstructured) {
	if u.GroupVersionKind().Version != "v1" {
		return
	}
	for _, w := range item.Maps(u.Object["webhooks"]) {
		if w["sideEffects"] == "Unknown" || w["sideEffects"] == "Some" {
			w["sideEffects"] = "None"
		}
	}
}

func prepareVolume(u *unstructured.Unstructured) {
	claim := item.Child(u.Object, "spec", "claimRef")
	delete(claim, "uid")
	delete(claim, "resourceVersion")
	dropKeys(item.Child(u.Object, "metadata"), "annotations", []string{"pv.kubernetes.io/bound-by-controller"})
}

var generatedJobLabels = []string{"controller-uid", "batch.kubernetes.io/controller-uid"}

// prepareJob drops what the API server generates for a job from its UID. A job
// with a selector of its own (manualSelector) keeps it.
func prepareJob(u *unstructured.Unstructured) {
	spec := item.Child(u.Object, "spec")
	if manual, _ := spec["manualSelector"].(bool); manual {
		return
	}
	dropKeys(item.Child(spec, "selector"), "matchLabels", generatedJobLabels)
	dropEmpty(spec, "selector")
	dropKeys(item.Child(spec, "template", "metadata"), "labels", generatedJobLabels)
	dropKeys(item.Child(u.Object, "metadata"), "labels", generatedJobLabels)
}

func prepareServiceAccount(u *unstructured.Unstructured) {
	prefix := u.GetName() + "-token-"
	filterList(u.Object, "secrets", func(s map[string]any) bool { return !hasRandomSuffix(nameOf(s), prefix) })
}

func prepareSecret(u *unstructured.Unstructured) {
	if u.Object["type"] != tokenType {
		return
	}
	dropKeys(u.Object, "data", []string{"token", "ca.crt", "namespace"})
	dropKeys(item.Child(u.Object, "metadata"), "annotations", []string{"kubernetes.io/service-account.uid"})
}

// prepareDefinition follows Velero's crd-preserve-fields: a definition made
// through v1beta1 may say preserveUnknownFields, which v1 serves and refuses.
func prepareDefinition(u *unstructured.Unstructured) {
	spec := item.Child(u.Object, "spec")
	if preserve, _ := spec["preserveUnknownFields"].(bool); !preserve {
		delete(spec, "preserveUnknownFields")
		return
	}
	delete(spec, "preserveUnknownFields")
	for _, v := range item.Maps(spec["versions"]) {
		schema := item.Child(v, "schema", "openAPIV3Schema")
		if schema == nil {
			schema = map[string]any{"type": "object"}
			v["schema"] = map[string]any{"openAPIV3Schema": schema}
		}
		schema["x-kubernetes-preserve-unknown-fields"] = true
	}
}

// dropKeys removes keys of the map m[field], and the map when it is empty.
func dropKeys(m map[string]any, field string, keys []string) {
	values := item.Child(m, field)
	for _, k := range keys {
		delete(values, k)
	}
	dropEmpty(m, field)
}

func dropEmpty(m map[string]any, field string) {
	if values, ok := m[field].(map[string]any); ok && len(values) == 0 {
		delete(m, field)
	}
}

// Mark puts the labels on an object that say which restore of which backup it
// came from. Namespaces carry none, as with Velero.
func Mark(u *unstructured.Unstructured, backup, restore string) {
	if u.GetKind() == "Namespace" && u.GetAPIVersion() == "v1" {
		return
	}
	labels := u.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, marks(backup, restore))
	u.SetLabels(labels)
}

func marks(backup, restore string) map[string]string {
	return map[string]string{api.LabelBackupName: api.LabelValue(backup), api.LabelRestoreName: api.LabelValue(restore)}
}
