//go:build e2e

package field_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
)

type object = map[string]any

// generator makes the objects of a small cluster, each legal for an API server, by
// chance: names, depths, sizes, owners, references, and objects whose admission
// fills in or refuses what is created after them.
type generator struct {
	rand  *rand.Rand
	seq   int
	names map[string]bool
}

func newGenerator(seed uint64) *generator {
	return &generator{rand: rand.New(rand.NewPCG(seed, 1)), names: map[string]bool{}}
}

func (g *generator) chance(percent int) bool { return g.rand.IntN(100) < percent }

func pick[T any](g *generator, from ...T) T { return from[g.rand.IntN(len(from))] }

// plain is a name that every resource takes: a DNS label.
func (g *generator) plain(prefix string) string {
	g.seq++
	name := fmt.Sprintf("%s-%d", prefix, g.seq)
	if g.chance(10) {
		name += strings.Repeat("x", 63-len(name))
	}
	return name
}

// odd is a name that RBAC objects take: any path segment.
func (g *generator) odd() string {
	g.seq++
	parts := []string{":", `\`, " ", "*", "?", "#", "ä", "⛵", "..", "'", `"`, "<b>", "|", "\t", "\n", "\x1b[2J", "\u202e", "A", "a", "$(x)", "&", ".json", "CORP\\user"}
	name := fmt.Sprintf("odd%d", g.seq)
	for range 1 + g.rand.IntN(5) {
		if part := pick(g, parts...); g.chance(50) {
			name += part
		} else {
			name = part + name
		}
	}
	if g.chance(5) {
		name += strings.Repeat("long", 60+g.rand.IntN(1000))
	}
	return name
}

func (g *generator) meta(namespace, name string) object {
	m := object{"name": name}
	if namespace != "" {
		m["namespace"] = namespace
	}
	if g.chance(30) {
		m["labels"] = object{"app": pick(g, "web", "db"), "example.com/tier": ""}
	}
	if g.chance(30) {
		m["annotations"] = object{"example.com/note": pick(g, "", "a\nb", `{"json":true}`, "⛵\x1b[31m", strings.Repeat("n", g.rand.IntN(100_000)))}
	}
	if g.chance(10) {
		m["finalizers"] = []any{"example.com/hold"}
	}
	return m
}

func of(apiVersion, kind string, meta object, rest ...object) object {
	o := object{"apiVersion": apiVersion, "kind": kind, "metadata": meta}
	for _, r := range rest {
		for k, v := range r {
			o[k] = v
		}
	}
	return o
}

// cluster returns objects in the order in which they are to be created.
func (g *generator) cluster() []object {
	var first, then []object
	first = append(first, g.classes()...)
	for range 1 + g.rand.IntN(3) {
		first = append(first, g.definition())
	}
	var namespaces []string
	for range 1 + g.rand.IntN(3) {
		name := g.plain("ns")
		namespaces = append(namespaces, name)
		first = append(first, of("v1", "Namespace", g.meta("", name)))
	}
	for _, ns := range namespaces {
		for _, o := range first {
			if o["kind"] == "CustomResourceDefinition" {
				for range g.rand.IntN(4) {
					then = append(then, g.custom(o, ns))
				}
			}
		}
		for range 5 + g.rand.IntN(15) {
			then = append(then, g.namespaced(ns)...)
		}
	}
	for range g.rand.IntN(4) {
		then = append(then, g.rbac("")...)
	}
	g.rand.Shuffle(len(then), func(i, j int) { then[i], then[j] = then[j], then[i] })
	return append(append(first, inOrder(then)...), g.admission(namespaces)...)
}

// inOrder moves what others refer to before them.
func inOrder(objects []object) []object {
	var first, second, rest []object
	for _, o := range objects {
		switch o["kind"] {
		case "ServiceAccount", "Role", "ClusterRole", "PersistentVolume":
			first = append(first, o)
		case "ConfigMap", "Secret":
			second = append(second, o)
		default:
			rest = append(rest, o)
		}
	}
	return append(append(first, second...), rest...)
}

// classes are those that objects name; admission adds the defaults, later.
func (g *generator) classes() []object {
	return []object{
		of("scheduling.k8s.io/v1", "PriorityClass", object{"name": "named"}, object{"value": 1000}),
		of("storage.k8s.io/v1", "StorageClass", object{"name": "named"}, object{"provisioner": "example.com/none"}),
		of("networking.k8s.io/v1", "IngressClass", object{"name": "named"}, object{"spec": object{"controller": "example.com/none"}}),
		of("node.k8s.io/v1", "RuntimeClass", object{"name": "named"}, object{"handler": "runc", "overhead": object{"podFixed": object{"memory": "8Mi"}}}),
	}
}

func mark(key string) object {
	return object{"name": "default-by-mark", "annotations": object{key: "true"}}
}

// admission are objects that fill in or refuse what is created after them. They are
// created last, so everything else in the cluster is older.
func (g *generator) admission(namespaces []string) []object {
	all := []object{
		of("scheduling.k8s.io/v1", "PriorityClass", object{"name": "default-by-mark"}, object{"value": 7, "globalDefault": true}),
		of("storage.k8s.io/v1", "StorageClass", mark("storageclass.kubernetes.io/is-default-class"), object{"provisioner": "example.com/none"}),
		of("networking.k8s.io/v1", "IngressClass", mark("ingressclass.kubernetes.io/is-default-class"), object{"spec": object{"controller": "example.com/none"}}),
		of("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", object{"name": "refuse-notes"}, object{"spec": object{
			"failurePolicy":    "Fail",
			"matchConstraints": object{"resourceRules": []any{object{"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE"}, "resources": []any{"configmaps"}}}},
			"validations":      []any{object{"expression": "!has(object.data) || !('key' in object.data)"}},
		}}),
		of("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", object{"name": "refuse-notes"}, object{"spec": object{"policyName": "refuse-notes", "validationActions": []any{"Deny"}}}),
	}
	for _, ns := range namespaces {
		all = append(all,
			of("v1", "LimitRange", object{"name": "defaults", "namespace": ns}, object{"spec": object{"limits": []any{object{
				"type": "Container", "default": object{"memory": "64Mi"}, "defaultRequest": object{"memory": "32Mi"}, "max": object{"memory": "96Mi"},
			}}}}),
			of("v1", "ResourceQuota", object{"name": "few", "namespace": ns}, object{"spec": object{"hard": object{"count/configmaps": "2", "pods": "1"}}}))
	}
	var some []object
	binding := false
	for _, o := range all {
		if o["kind"] == "ValidatingAdmissionPolicyBinding" && !binding {
			continue
		}
		if g.chance(60) {
			binding = binding || o["kind"] == "ValidatingAdmissionPolicy"
			some = append(some, o)
		}
	}
	return some
}

// namespaced is an object of a built-in kind, with what it needs.
func (g *generator) namespaced(ns string) []object {
	switch g.rand.IntN(10) {
	case 0, 1:
		return []object{g.configMap(ns)}
	case 2:
		return g.secret(ns)
	case 3:
		return g.service(ns)
	case 4:
		return []object{g.pod(ns)}
	case 5:
		return g.rbac(ns)
	case 6:
		return g.claim(ns)
	case 7:
		return []object{of("networking.k8s.io/v1", "Ingress", g.meta(ns, g.plain("ingress")), object{"spec": g.ingress()})}
	case 8:
		name := g.plain("cron")
		return []object{of("batch/v1", "CronJob", g.meta(ns, name[:min(len(name), 52)]), object{"spec": object{
			"schedule": "0 2 * * *", "suspend": g.chance(50), "jobTemplate": object{"spec": object{"template": object{"spec": g.podSpec("OnFailure")}}},
		}})}
	default:
		return []object{of("coordination.k8s.io/v1", "Lease", g.meta(ns, g.plain("lease")), object{"spec": object{"holderIdentity": "x"}})}
	}
}

func (g *generator) configMap(ns string) object {
	name := g.plain("config")
	if g.chance(10) {
		name = pick(g, "kube-root-ca.crt.bak", "kubeadm-config", "default-token-abcde")
		name += fmt.Sprintf("-%d", g.seq)
	}
	o := of("v1", "ConfigMap", g.meta(ns, name), object{"data": object{"key": strings.Repeat("v", g.rand.IntN(2000)), ".odd": "\x00\u2028"}})
	if g.chance(10) {
		o["binaryData"] = object{"blob": base64.StdEncoding.EncodeToString(make([]byte, g.rand.IntN(500_000)))}
	}
	if g.chance(20) {
		o["immutable"] = true
	}
	if g.chance(20) {
		delete(o, "data")
	}
	return o
}

func (g *generator) secret(ns string) []object {
	account := of("v1", "ServiceAccount", g.meta(ns, g.plain("account")))
	name := account["metadata"].(object)["name"].(string)
	switch g.rand.IntN(3) {
	case 0: // a token that was made by hand, with a name of the old kind
		m := g.meta(ns, name+"-token-abc12")
		m["annotations"] = object{"kubernetes.io/service-account.name": name}
		return []object{account, of("v1", "Secret", m, object{"type": "kubernetes.io/service-account-token"})}
	case 1:
		return []object{of("v1", "Secret", g.meta(ns, g.plain("docker")), object{"type": "kubernetes.io/dockerconfigjson", "stringData": object{".dockerconfigjson": `{"auths":{}}`}})}
	default:
		return []object{of("v1", "Secret", g.meta(ns, g.plain("secret")), object{"stringData": object{"password": "p\x00w"}, "immutable": g.chance(20)})}
	}
}

func (g *generator) service(ns string) []object {
	name := g.plain("svc")
	ports := []any{object{"name": "http", "port": 80, "protocol": "TCP"}}
	spec := object{"ports": ports, "selector": object{"app": "web"}}
	switch g.rand.IntN(5) {
	case 0:
		spec["clusterIP"] = "None"
	case 1:
		spec = object{"type": "ExternalName", "externalName": "example.com"}
	case 2:
		spec["type"] = "NodePort"
	case 3: // endpoints by hand
		delete(spec, "selector")
		address := object{"addresses": []any{object{"ip": "192.0.2.7"}}, "ports": ports}
		slice := of("discovery.k8s.io/v1", "EndpointSlice", object{"name": name + "-hand", "namespace": ns, "labels": object{"kubernetes.io/service-name": name}},
			object{"addressType": "IPv4", "endpoints": []any{object{"addresses": []any{"192.0.2.8"}}}, "ports": ports})
		return []object{of("v1", "Service", g.meta(ns, name), object{"spec": spec}), of("v1", "Endpoints", object{"name": name, "namespace": ns}, object{"subsets": []any{address}}), slice}
	}
	return []object{of("v1", "Service", g.meta(ns, name), object{"spec": spec})}
}

func (g *generator) podSpec(restart string) object {
	container := object{"name": "c", "image": "example.com/none"}
	if g.chance(30) {
		container["resources"] = object{"limits": object{"memory": "256Mi"}}
	}
	spec := object{"restartPolicy": restart, "containers": []any{container}}
	if g.chance(30) {
		spec["priorityClassName"] = "named"
	}
	if g.chance(20) {
		spec["runtimeClassName"] = "named"
	}
	if g.chance(20) {
		spec["volumes"] = []any{object{"name": "x-token-cache", "emptyDir": object{}}}
		container["volumeMounts"] = []any{object{"name": "x-token-cache", "mountPath": "/cache"}}
	}
	if g.chance(20) {
		spec["automountServiceAccountToken"] = false
	}
	if g.chance(20) {
		container["securityContext"] = object{"privileged": true}
	}
	return spec
}

func (g *generator) pod(ns string) object {
	return of("v1", "Pod", g.meta(ns, g.plain("pod")), object{"spec": g.podSpec("Always")})
}

func (g *generator) ingress() object {
	spec := object{"defaultBackend": object{"service": object{"name": "none", "port": object{"number": 80}}}}
	if g.chance(30) {
		spec["ingressClassName"] = "named"
	}
	return spec
}

// claim is a claim without a class or with one, alone or with a static volume.
func (g *generator) claim(ns string) []object {
	name := g.plain("claim")
	size := object{"storage": "1Gi"}
	spec := object{"accessModes": []any{"ReadWriteOnce"}, "resources": object{"requests": size}}
	switch g.rand.IntN(3) {
	case 0:
		spec["storageClassName"] = "named"
	case 1:
		volume := "pv-" + name
		spec["storageClassName"], spec["volumeName"] = "", volume
		return []object{
			of("v1", "PersistentVolume", g.meta("", volume), object{"spec": object{
				"capacity": size, "accessModes": spec["accessModes"], "persistentVolumeReclaimPolicy": "Retain",
				"nfs": object{"server": "192.0.2.1", "path": "/x"}, "claimRef": object{"namespace": ns, "name": name},
			}}),
			of("v1", "PersistentVolumeClaim", g.meta(ns, name), object{"spec": spec}),
		}
	}
	return []object{of("v1", "PersistentVolumeClaim", g.meta(ns, name), object{"spec": spec})}
}

// rbac is a role with an odd name and a binding of it.
func (g *generator) rbac(ns string) []object {
	role, binding := "Role", "RoleBinding"
	if ns == "" {
		role, binding = "ClusterRole", "ClusterRoleBinding"
	}
	name := g.odd()
	const group = "rbac.authorization.k8s.io"
	return []object{
		of(group+"/v1", role, g.meta(ns, name), object{"rules": []any{object{"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"get"}}}}),
		of(group+"/v1", binding, g.meta(ns, g.odd()), object{
			"roleRef":  object{"apiGroup": group, "kind": role, "name": name},
			"subjects": []any{object{"kind": "User", "apiGroup": group, "name": "CORP\\ann"}},
		}),
	}
}

// definition is a custom resource definition: with and without a status
// subresource, with required fields, with defaults, with a schema that takes all.
func (g *generator) definition() object {
	plural := strings.ReplaceAll(g.plain("boats"), "-", "")
	plural = strings.TrimRight(plural, "x")
	group := pick(g, "gen.example.com", "apps.example.com")
	schema := object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	if g.chance(40) {
		schema = object{"type": "object", "properties": object{
			"spec":   object{"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": object{"depth": object{"type": "integer", "default": 3}}},
			"status": object{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
		}}
	}
	version := object{"name": "v1", "served": true, "storage": true, "schema": object{"openAPIV3Schema": schema}}
	if g.chance(50) {
		version["subresources"] = object{"status": object{}}
	}
	return of("apiextensions.k8s.io/v1", "CustomResourceDefinition", object{"name": plural + "." + group}, object{"spec": object{
		"group": group, "scope": "Namespaced", "versions": []any{version},
		"names": object{"plural": plural, "singular": strings.TrimSuffix(plural, "s"), "kind": strings.ToUpper(plural[:1]) + plural[1:], "listKind": strings.ToUpper(plural[:1]) + plural[1:] + "List"},
	}})
}

// custom is an object of a definition, now and then nested deeply.
func (g *generator) custom(definition object, ns string) object {
	spec := definition["spec"].(object)
	value := object{"leaf": pick[any](g, 1, 1.5, "x", nil, true, []any{}, object{})}
	for range pick(g, 1, 3, 50, 900) {
		value = object{"n": value}
	}
	return of(spec["group"].(string)+"/v1", spec["names"].(object)["kind"].(string), g.meta(ns, g.plain("boat")), object{"spec": object{"value": value}})
}
