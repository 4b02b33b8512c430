package workload

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	u := &unstructured.Unstructured{}
	require.NoError(t, u.UnmarshalJSON(raw))
	return u
}

func TestWhatASandboxCannotHave(t *testing.T) {
	for _, c := range []struct{ name, resource, of, want string }{
		{"a volume", volumes, `{apiVersion: v1, kind: PersistentVolume, metadata: {name: v}, spec: {nfs: {server: x}}}`, LeaveVolume},
		{"a workload of kube-system", "deployments.apps", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: coredns, namespace: kube-system}, spec: {template: {spec: {}}}}`, LeaveSystem},
		{"a pod of kube-system", "pods", `{apiVersion: v1, kind: Pod, metadata: {name: coredns-1, namespace: kube-system}, spec: {}}`, LeaveSystem},
		{"other objects of kube-system are restored", "configmaps", `{apiVersion: v1, kind: ConfigMap, metadata: {name: own, namespace: kube-system}}`, ""},
		{"a network plugin, wherever it is", daemonSets, `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: calico-node, namespace: calico-system}, spec: {template: {spec: {volumes: [{name: a, emptyDir: {}}, {name: cni, hostPath: {path: /etc/cni/net.d}}]}}}}`, LeaveNetwork},
		{"a path that only begins alike", daemonSets, `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: a, namespace: shop}, spec: {template: {spec: {volumes: [{name: a, hostPath: {path: /etc/cnidocs}}]}}}}`, ""},
		{"a pod of a DaemonSet", "pods", `{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: a, uid: u, controller: true}]}, spec: {}}`, LeaveNode},
		{"a pod of a ReplicaSet", "pods", `{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: a, uid: u, controller: true}]}, spec: {}}`, ""},
		{"an API whose server is in kube-system", apiServices, `{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1beta1.metrics.k8s.io}, spec: {service: {namespace: kube-system, name: metrics-server}}}`, LeaveServed},
		{"an API whose server is in the backup", apiServices, `{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1.a.example}, spec: {service: {namespace: shop, name: a}}}`, ""},
		{"webhooks that all call out", "mutatingwebhookconfigurations." + admission, `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: a}, webhooks: [{name: a, clientConfig: {url: "https://x"}}, {name: b, clientConfig: {service: {namespace: kube-system, name: s}}}]}`, LeaveCalls},
		{"webhooks of which one stays inside", "mutatingwebhookconfigurations." + admission, `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: a}, webhooks: [{name: a, clientConfig: {url: "https://x"}}, {name: b, clientConfig: {service: {namespace: shop, name: s}}}]}`, ""},
		{"a configuration without webhooks", "mutatingwebhookconfigurations." + admission, `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: a}}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := object(t, c.of)
			before := u.DeepCopy()
			assert.Equal(t, c.want, Adapter{}.Leave(u, c.resource))
			assert.Equal(t, before, u, "to ask changes nothing")
		})
	}
}

const demanding = `
  nodeSelector: {disk: ssd, kubernetes.io/os: linux}
  schedulerName: bin-packer
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [a]}]}]}
      preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {}}]
    podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname}]}
    podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone}]}
  topologySpreadConstraints: [{topologyKey: zone, whenUnsatisfiable: DoNotSchedule}, {topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]
  initContainers: [{name: i, image: a, imagePullPolicy: Always}]
  containers: [{name: c, image: a, imagePullPolicy: Never}]`

const modest = `
  nodeSelector: {kubernetes.io/os: linux}
  schedulerName: default-scheduler
  affinity:
    nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {}}]}
    podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone}]}
  topologySpreadConstraints: [{topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]
  initContainers: [{name: i, image: a, imagePullPolicy: IfNotPresent}]
  containers: [{name: c, image: a, imagePullPolicy: Never}]`

func pod(spec string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop}\nspec:" + spec
}

func TestAPodIsFittedToANodeWithoutLabelsAndWithoutAWayOut(t *testing.T) {
	u := object(t, pod(demanding))
	assert.Equal(t, []string{ChangedPull, ChangedPlacement}, Adapter{}.Changes(u, "pods"))
	assert.Equal(t, object(t, pod(modest)), u)
	assert.Empty(t, Adapter{}.Changes(u, "pods"), "what fits is left alone")
	assert.Equal(t, object(t, pod(modest)), u)
}

func TestATemplateIsFittedWhereverAnObjectHoldsOne(t *testing.T) {
	for resource, path := range map[string][]string{
		"deployments.apps": {"spec", "template"}, "jobs.batch": {"spec", "template"}, "replicationcontrollers": {"spec", "template"},
		cronJobs: {"spec", "jobTemplate", "spec", "template"}, "podtemplates": {"template"}, "controllerrevisions.apps": {"data", "spec", "template"},
	} {
		u := &unstructured.Unstructured{Object: map[string]any{}}
		require.NoError(t, unstructured.SetNestedMap(u.Object, object(t, pod(demanding)).Object, path...))
		assert.Contains(t, Adapter{CronJobs: true}.Changes(u, resource), ChangedPlacement, resource)
		got, _, _ := unstructured.NestedMap(u.Object, path...)
		assert.Equal(t, object(t, pod(modest)).Object, got, resource)
		assert.True(t, Touches(resource), resource)
	}
	assert.False(t, Touches("configmaps"))
}

func TestWhereADaemonSetRunsIsNotChanged(t *testing.T) {
	u := object(t, `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: gpu, namespace: shop}, spec: {template: {spec: {nodeSelector: {gpu: "true"}, containers: [{name: c, image: a, imagePullPolicy: Always}]}}}}`)
	assert.Equal(t, []string{ChangedPull}, Adapter{}.Changes(u, daemonSets))
	assert.Equal(t, "true", item.Child(u.Object, "spec", "template", "spec", "nodeSelector")["gpu"])
}

func TestCronJobsAreSuspendedUnlessAskedFor(t *testing.T) {
	const running = `{apiVersion: batch/v1, kind: CronJob, metadata: {name: a, namespace: shop}, spec: {schedule: "* * * * *", jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: a, imagePullPolicy: IfNotPresent}]}}}}}}`
	u := object(t, running)
	assert.Equal(t, []string{"a"}, Images(u, cronJobs))
	assert.Equal(t, []string{ChangedCronJobs}, Adapter{}.Changes(u, cronJobs))
	assert.Equal(t, true, item.Child(u.Object, "spec")["suspend"])
	assert.Empty(t, Images(u, cronJobs), "it runs nothing then")
	assert.Empty(t, Adapter{}.Changes(u, cronJobs))
	u = object(t, running)
	assert.Empty(t, Adapter{CronJobs: true}.Changes(u, cronJobs))
	assert.Equal(t, object(t, running), u)
}

func TestWebhooksThatCallOutAreTakenOff(t *testing.T) {
	const r = "validatingwebhookconfigurations." + admission
	u := object(t, `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: a}, webhooks: [{name: a, clientConfig: {url: "https://x"}}, {name: b, clientConfig: {service: {namespace: shop, name: s}}}]}`)
	assert.Equal(t, []string{ChangedWebhooks}, Adapter{}.Changes(u, r))
	assert.Equal(t, []any{map[string]any{"name": "b", "clientConfig": map[string]any{"service": map[string]any{"namespace": "shop", "name": "s"}}}}, u.Object["webhooks"])
}

func TestImagesAreThoseThatPodsWillAskFor(t *testing.T) {
	for replicas, want := range map[string][]string{"1": {"b", "a"}, "0": nil} {
		u := object(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: shop}, spec: {replicas: `+replicas+`, template: {spec: {initContainers: [{name: i, image: b}], containers: [{name: c, image: a}, {name: d, image: b}]}}}}`)
		assert.Equal(t, want, Images(u, "deployments.apps"), replicas)
	}
	u := object(t, `{apiVersion: apps/v1, kind: ControllerRevision, metadata: {name: a, namespace: shop}, data: {spec: {template: {spec: {containers: [{name: c, image: old}]}}}}}`)
	assert.Empty(t, Images(u, "controllerrevisions.apps"), "history runs nothing")
}

func TestNoRestoredBindingIsForAnonymousUsers(t *testing.T) {
	const of = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n"
	const group = "{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "
	for _, c := range []struct {
		name, object, resource string
		want                   []any // names of subjects
		changed                bool
	}{
		{"for them alone", of + "metadata: {name: a}\nsubjects: [" + group + "'system:unauthenticated'}, {kind: User, name: 'system:anonymous'}]", "clusterrolebindings", nil, true},
		{"for others too", of + "metadata: {name: a}\nsubjects: [" + group + "'system:unauthenticated'}, " + group + "'system:authenticated'}]", "clusterrolebindings", []any{"system:authenticated"}, true},
		{"in a namespace", of + "metadata: {name: a, namespace: kube-public}\nsubjects: [" + group + "'system:unauthenticated'}]", "rolebindings", nil, true},
		{"in disguise", of + "metadata: {name: 'system:public-info-viewer', namespace: shop}\nsubjects: [" + group + "'system:unauthenticated'}]", "rolebindings", nil, true},
		{"for others", of + "metadata: {name: a}\nsubjects: [{kind: ServiceAccount, name: a, namespace: b}]", "clusterrolebindings", []any{"a"}, false},
		{"for no one", of + "metadata: {name: a}", "clusterrolebindings", nil, false},
		{"that every cluster has", of + "metadata: {name: 'system:public-info-viewer'}\nsubjects: [" + group + "'system:unauthenticated'}]", "clusterrolebindings", []any{"system:unauthenticated"}, false},
	} {
		resource := c.resource + ".rbac.authorization.k8s.io"
		assert.True(t, Touches(resource))
		u := object(t, c.object)
		rules := Adapter{}.Changes(u, resource)
		if c.changed {
			assert.Equal(t, []string{ChangedAnonymous}, rules, c.name)
		} else {
			assert.Empty(t, rules, c.name)
		}
		var names []any
		for _, s := range item.Maps(u.Object["subjects"]) {
			names = append(names, s["name"])
		}
		assert.Equal(t, c.want, names, c.name)
	}
}
