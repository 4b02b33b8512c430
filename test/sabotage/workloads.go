package sabotage

import (
	"maps"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// AppImage is the image of every container of the source; the engine of the
// host must have it, under this name.
const AppImage = "registry.example.com/boatyard/app:1"

// workloads are what an API server takes and a cluster cannot run: only level
// kind sees them.
func workloads() []Case {
	// What the application answers when it has the password of the backup.
	const asksForPassword = `
  checks:
    - name: password
      timeout: 10s
      http: {namespace: boatyard, service: web, port: http, path: "/env?name=PASSWORD"}
      expect: {output: {equals: keelhaul}}
`
	const (
		theSet    = "statefulsets.apps boatyard/ledger"
		theClaim  = "persistentvolumeclaims boatyard/data-ledger-0"
		theVolume = "persistentvolumes pv-ledger"
	)
	seen := func(check, object, message string) Expectation {
		return seenBy(report.LevelKind, check, object, message)
	}
	notReady := func(object, message string) Expectation { return seen("workloads_ready", object, message) }
	kind := func(message string) Expectation { return cannotTell(report.LevelKind, message) }
	return []Case{
		{"a ConfigMap that a pod mounts is missing", Ours, careful(remove("configmaps boatyard/settings")), nil, notReady(theDeployment, "settings")},
		{"a key that a pod mounts is missing in its ConfigMap", Ours, careful(set("configmaps boatyard/settings", nil, "data", "index.html")), nil, notReady(theDeployment, "index.html")},
		{"a Secret that a container takes its environment from is missing", Ours, careful(remove("secrets boatyard/credentials")), nil, notReady(theDeployment, "credentials")},
		{"a Secret lacks the key that a container asks for", Ours, careful(alter("secrets boatyard/credentials", func(o map[string]any) { o["data"] = object{"passphrase": "a2VlbGhhdWw="} })), nil, notReady(theDeployment, "password")},
		{"the claim of a StatefulSet is gone", Ours, careful(remove(theClaim, theVolume)), nil, seen("claims_bound", theClaim, "is not in the backup")},
		{"a webhook that refuses what it cannot be asked about has no server", Ours, careful(add("validatingwebhookconfigurations", `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: harbour-master}
webhooks:
  - name: harbour-master.example.com
    failurePolicy: Fail
    sideEffects: None
    timeoutSeconds: 1
    admissionReviewVersions: [v1]
    matchPolicy: Equivalent
    namespaceSelector: {}
    objectSelector: {}
    clientConfig: {service: {namespace: boatyard, name: harbour-master, path: /, port: 443}}
    rules: [{apiGroups: ["*"], apiVersions: ["*"], operations: ["*"], resources: ["*/*"], scope: "*"}]
`)), nil, seen("webhooks_answer", "validatingwebhookconfigurations.admissionregistration.k8s.io harbour-master", "not in the backup")},
		{"a definition's conversion has no server", Ours, careful(alter(theBoats, func(o map[string]any) {
			child(o, "spec")["conversion"] = object{"strategy": "Webhook", "webhook": object{
				"conversionReviewVersions": []any{"v1"}, "clientConfig": object{"service": object{"namespace": "boatyard", "name": "shipwright", "path": "/convert", "port": 443}},
			}}
		})), nil, seen("webhooks_answer", theBoats, "not in the backup")},
		{"an aggregated API has no server", Ours, careful(add("apiservices", `
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.tides.example.com}
spec:
  group: tides.example.com
  version: v1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {namespace: boatyard, name: tides, port: 443}
`)), nil, seen("apiservices_available", "apiservices.apiregistration.k8s.io v1.tides.example.com", "not in the backup")},
		{"a readiness probe never passes", Ours, careful(container(theDeployment, func(c object) {
			child(c, "readinessProbe", "httpGet")["path"] = "/status?code=503"
		})), nil, notReady(theDeployment, "503")},
		{"a container ends at once", Ours, careful(container(theDeployment, func(c object) {
			c["command"] = []any{"/workload", "exit", "7", "the bilge is flooded"}
		})), nil, notReady(theDeployment, "the bilge is flooded")},
		{"a command is not in the image", Ours, careful(container(theSet, func(c object) { c["command"] = []any{"/postgres"} })), nil, notReady(theSet, "/postgres")},
		{"the ServiceAccount of a Deployment is missing", Ours, careful(podSpec(theDeployment, func(s object) { s["serviceAccountName"], s["serviceAccount"] = "ghost", "ghost" })), nil, notReady(theDeployment, "ghost")},
		{"a LimitRange refuses the pods", Ours, careful(add("limitranges", `
{apiVersion: v1, kind: LimitRange, metadata: {name: berths, namespace: boatyard}, spec: {limits: [{type: Pod, min: {memory: 100Gi}}]}}
`)), nil, notReady(theDeployment, "100Gi")},
		{"a quota is too small for a second replica", Ours, careful(set("resourcequotas boatyard/budget", "1", "spec", "hard", "pods"), choir), nil, notReady("statefulsets.apps boatyard/choir", "exceeded quota")},
		{"a role is cut from a workload that asks the API", Ours, careful(remove("clusterrolebindings.rbac.authorization.k8s.io boatyard-fleet"), watchesBoats), nil, notReady("deployments.apps boatyard/watch", "403")},
		{"healthy: a workload may ask the API what its role allows", Ours, careful(watchesBoats), nil, Expectation{}},
		{"a volume's data is in the backup and is not restored", Veleros, nil, nil, seen("volume_data_restored", "persistentvolumeclaims notes/notes", "not restored")},
		{"a Secret has another value, which a check of the policy asks for", Ours, careful(set("secrets boatyard/credentials", "c2Fib3RhZ2U=", "data", "password")), policy(asksForPassword),
			seen("check/password", "services boatyard/web", "")},
		{"recovery takes longer than the target allows", Ours, nil, policy("  targets: {rto: 1s}\n"), seen("rto", "", "at most 1s")},
		{"healthy: the checks and targets of a policy are kept", Ours, nil, policy("  targets: {rpo: 1h, rto: 5m}" + asksForPassword), Expectation{}},

		// No fault of the backup: an image may be had elsewhere.
		{"an image does not exist", Ours, careful(container(theDeployment, func(c object) { c["image"] = "registry.example.com/boatyard/none:1" })), nil, kind("boatyard/none:1")},
		{"healthy: a pod asks for labels that only nodes of the source cluster have", Ours, careful(podSpec(theDeployment, func(s object) { s["nodeSelector"] = object{"deck": "upper"} })), nil, Expectation{}},
		{"the node dies in the middle of the restore", Ours, nil, func(_ testing.TB, d *Drill) { d.During = d.killNode }, kind("cannot reach the API server")},
		{"there is no container engine", Ours, nil, func(_ testing.TB, d *Drill) { d.Env = append(d.Env, "DOCKER_HOST=unix:///nonexistent.sock") }, kind("docker")},
		{"there is no docker command", Ours, nil, func(_ testing.TB, d *Drill) { d.Env = append(d.Env, "PATH=/nonexistent") }, kind("docker")},
		{"there is no such node image", Ours, nil, func(_ testing.TB, d *Drill) { d.Args = append(d.Args, "--node-image", "lifeboat/none:v1.34.4") }, kind("lifeboat/none:v1.34.4")},
	}
}

// clone adds a workload that is like another one, with a name, a label and pods
// of its own.
func clone(of, resource, name string, change func(spec object)) Edit {
	return func(c *Contents) error {
		i, err := c.index(of)
		if err != nil {
			return err
		}
		u, err := c.Items[i].Object()
		if err != nil {
			return err
		}
		u.SetName(name)
		u.SetUID(types.UID("33333333-3333-3333-3333-333333333333"))
		spec, labels := child(u.Object, "spec"), object{"app": name}
		child(spec, "selector")["matchLabels"] = labels
		child(spec, "template", "metadata")["labels"] = labels
		change(spec)
		it, err := item.FromObject(u, resource)
		if err != nil {
			return err
		}
		c.Items = slices.Insert(c.Items, i, it)
		return nil
	}
}

// choir is a StatefulSet that makes its second pod when the first is ready: by
// then the quotas are there.
func choir(c *Contents) error {
	return clone("statefulsets.apps boatyard/ledger", "statefulsets", "choir", func(spec object) {
		delete(spec, "volumeClaimTemplates")
		spec["replicas"], spec["serviceName"] = int64(2), "choir"
		delete(firstContainer(spec), "volumeMounts")
	})(c)
}

// watchesBoats is a Deployment that does not start before it has asked the API
// for boats.
func watchesBoats(c *Contents) error {
	return clone(theDeployment, "deployments", "watch", func(spec object) {
		main := firstContainer(spec)
		for _, field := range []string{"ports", "readinessProbe", "env", "volumeMounts"} {
			delete(main, field)
		}
		asks := maps.Clone(main)
		asks["name"], asks["command"] = "asks", []any{"/workload", "api", "/apis/fleet.example.com/v1/namespaces/boatyard/boats"}
		main["command"] = []any{"/workload", "sleep", "100h"}
		pod := child(spec, "template", "spec")
		pod["initContainers"] = []any{asks}
		delete(pod, "volumes")
	})(c)
}

// firstContainer is that of a workload's pods.
func firstContainer(spec object) object {
	return child(spec, "template", "spec")["containers"].([]any)[0].(map[string]any)
}
