package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Alteration is a field in which an object was made otherwise than it was sent:
// something in the target filled it in or changed it.
type Alteration struct {
	Field string `json:"field"` // path
	// Was and Is are the values in the backup and in the target, as JSON that is
	// cut to a readable length, "absent", or "a value (not shown)".
	Was string `json:"was"`
	Is  string `json:"is"`
	// Cause is what may have done it, in words.
	Cause string `json:"cause"`
	// Admission says that it is known to be the work of the target's admission:
	// the backup holds the object as it was sent.
	Admission bool `json:"admission,omitempty"`
	// Adds says that the backup has no value there, or only elements of the list.
	Adds bool `json:"adds,omitempty"`
}

func (a Alteration) String() string {
	return fmt.Sprintf("%s is %s, %s in the backup (%s)", a.Field, a.Is, a.Was, a.Cause)
}

// The causes of what no built-in admission plugin does.
const (
	CauseUnknown = "a default of the API server, or a mutating webhook or policy"
	CauseDefault = "a default of the API server"
)

// IsDefault reports whether the API server has filled in the field by itself, as
// a newer one does for fields that an older one did not have.
func (a Alteration) IsDefault() bool { return a.Cause == CauseDefault && a.Adds }

// Alterations are the fields in which the answer to a creation differs from what
// was sent, after normalisation; both are used up. Hidden leaves out all values;
// those of Secrets are left out always.
func Alterations(sent, answer *unstructured.Unstructured, groupResource string, hidden bool) []Alteration {
	Normalise(sent)
	Normalise(answer)
	hidden = hidden || groupResource == "secrets"
	var out []Alteration
	for _, path := range [][]string{{"spec"}, {"metadata", "labels"}, {"metadata", "annotations"}} {
		child(sent.Object, path...) // so that fields are named and not the map that has them
		child(answer.Object, path...)
	}
	diff("", sent.Object, answer.Object, func(path string, x, y any) {
		a := Alteration{Field: path, Was: shown(x, hidden), Is: shown(y, hidden), Cause: CauseUnknown, Adds: adds(x, y)}
		if f := fillerOf(groupResource, path); f != nil {
			a.Cause, a.Admission = f.cause, !f.unproven && (a.Adds || f.sets != nil && f.sets == y)
		}
		out = append(out, a)
	})
	return provenByMark(out)
}

// adds reports whether y has all of x and more.
func adds(x, y any) bool {
	if x == nil {
		return true
	}
	less, isList := x.([]any)
	more, areLists := y.([]any)
	if !isList || !areLists {
		return false
	}
	for _, e := range more {
		if len(less) > 0 && equalJSON(less[0], e) {
			less = less[1:]
		}
	}
	return len(less) == 0
}

// filler is a built-in admission plugin that fills in a field.
type filler struct {
	resource, field, cause string
	sets                   any  // the value that it sets in place of another, nil if it only adds
	unproven               bool // a default of the API server looks the same
}

// limitRanger is the annotation in which the plugin LimitRanger notes what it set.
const limitRanger = "metadata.annotations.kubernetes.io/limit-ranger"

// fillers are those of Kubernetes v1.34 (plugin/pkg/admission) and of OpenShift. A
// field without its own value in the API's defaults is the work of the plugin.
var fillers = []filler{
	{resource: "pods", field: "spec.priorityClassName", cause: "the default PriorityClass of the cluster"},
	{resource: "pods", field: "spec.tolerations", cause: "the admission plugin DefaultTolerationSeconds, a RuntimeClass or the namespace"},
	{resource: "pods", field: "spec.nodeSelector", cause: "the RuntimeClass or the namespace"},
	{resource: "pods", field: "spec.imagePullSecrets", cause: "the service account of the pod"},
	{resource: "pods", field: "spec.serviceAccountName", cause: "the admission plugin ServiceAccount", unproven: true},
	{resource: "pods", field: "spec.serviceAccount", cause: "the admission plugin ServiceAccount", unproven: true},
	{resource: "pods", field: "spec.containers[].imagePullPolicy", cause: "the admission plugin AlwaysPullImages", sets: "Always"},
	{resource: "pods", field: "spec.initContainers[].imagePullPolicy", cause: "the admission plugin AlwaysPullImages", sets: "Always"},
	{resource: "pods", field: "spec.containers[].resources", cause: causeLimitRange, unproven: true},
	{resource: "pods", field: "spec.initContainers[].resources", cause: causeLimitRange, unproven: true},
	{resource: "pods", field: limitRanger, cause: causeLimitRange},
	{resource: "pods", field: "metadata.annotations.openshift.io/scc", cause: "the security context constraints of the cluster"},
	{resource: "persistentvolumeclaims", field: "spec.storageClassName", cause: "the default StorageClass of the cluster"},
	{resource: "persistentvolumeclaims", field: "metadata.finalizers", cause: "the admission plugin StorageObjectInUseProtection"},
	{resource: "persistentvolumes", field: "metadata.finalizers", cause: "the admission plugin StorageObjectInUseProtection"},
	{resource: "ingresses.networking.k8s.io", field: "spec.ingressClassName", cause: "the default IngressClass of the cluster"},
}

const causeLimitRange = "a LimitRange of the namespace"

// index matches the place of an element in a path.
var index = regexp.MustCompile(`\[\d+\]`)

func fillerOf(groupResource, path string) *filler {
	path = index.ReplaceAllString(path, "[]")
	i := slices.IndexFunc(fillers, func(f filler) bool {
		rest, under := strings.CutPrefix(path, f.field)
		return f.resource == groupResource && under && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
	if i < 0 {
		return nil
	}
	return &fillers[i]
}

// provenByMark accepts resources as the work of a LimitRange where the plugin has
// noted that it set some. Without the note, requests are what the API server makes
// of limits.
func provenByMark(all []Alteration) []Alteration {
	if !slices.ContainsFunc(all, func(a Alteration) bool { return a.Field == limitRanger }) {
		return all
	}
	for i, a := range all {
		if a.Cause == causeLimitRange {
			all[i].Admission = a.Adds
		}
	}
	return all
}

// Computed is what admission computes for a pod whatever the pod says, and what
// is therefore taken off for a restore and when objects are compared.
type Computed struct {
	priority, overhead any
	token              bool
}

// ComputedOf reads it of a pod.
func ComputedOf(u *unstructured.Unstructured) Computed {
	spec := item.Child(u.Object, "spec")
	c := Computed{priority: spec["priority"], overhead: spec["overhead"], token: len(tokenVolumes(spec)) > 0}
	if c.priority == nil {
		c.priority = int64(0)
	}
	return c
}

// Alterations are the differences to what a pod got in the target. They do not
// count when objects are compared.
func (c Computed) Alterations(is Computed, hidden bool) []Alteration {
	var out []Alteration
	add := func(field string, x, y any, cause string) {
		if !equalJSON(x, y) {
			out = append(out, Alteration{Field: field, Was: shown(x, hidden), Is: shown(y, hidden), Cause: cause, Admission: true})
		}
	}
	add("spec.priority", c.priority, is.priority, "its PriorityClass, or the default one of the cluster")
	add("spec.overhead", c.overhead, is.overhead, "its RuntimeClass")
	if c.token != is.token {
		words := map[bool]string{true: "mounted", false: "not mounted"}
		out = append(out, Alteration{Field: "token of the service account", Was: words[c.token], Is: words[is.token], Cause: "automountServiceAccountToken of the service account", Admission: true})
	}
	return out
}

// Mutates reports whether a mutating webhook configuration or admission policy
// looks at creations of a resource, in any version, whatever else it asks for.
func Mutates(u *unstructured.Unstructured, r item.Resource) bool {
	var rules []map[string]any
	for _, w := range item.Maps(u.Object["webhooks"]) {
		rules = append(rules, item.Maps(w["rules"])...)
	}
	rules = append(rules, item.Maps(item.Child(u.Object, "spec", "matchConstraints")["resourceRules"])...)
	return slices.ContainsFunc(rules, func(rule map[string]any) bool {
		return names(rule["operations"], "CREATE") && names(rule["apiGroups"], r.Group) && names(rule["resources"], r.Name)
	})
}

// names reports whether a list of a rule has a name or an asterisk.
func names(list any, name string) bool {
	values, _ := list.([]any)
	return slices.ContainsFunc(values, func(v any) bool { return v == name || v == "*" || v == "*/*" })
}
