package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// pair is two forms of an object: the backup's and the cluster's.
func pair(t *testing.T, backup, live string) (a, b item.Item) {
	t.Helper()
	u, v := fromYAML(t, backup), fromYAML(t, live)
	a, err := item.FromObject(u, "things")
	require.NoError(t, err)
	b, err = item.FromObject(v, "things")
	require.NoError(t, err)
	return a, b
}

// equal asks both of the functions that know, which must not contradict each
// other.
func equal(t testing.TB, a, b item.Item) (bool, []string) {
	t.Helper()
	x, err := DigestOf(a)
	require.NoError(t, err)
	y, err := DigestOf(b)
	require.NoError(t, err)
	paths, err := Diff(a, b)
	require.NoError(t, err)
	require.Equal(t, x == y, len(paths) == 0, "digests and differences contradict each other: %v\n%s\n%s", paths, a.Raw, b.Raw)
	return x == y, paths
}

func TestAFaithfulRestorationIsEqualToItsBackup(t *testing.T) {
	for _, c := range []struct{ name, backup, live string }{
		{"what the API server fills in of metadata",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop, uid: old, resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z", managedFields: [{manager: kubectl}], ownerReferences: [{kind: Tree, name: t, uid: gone}]}, data: {k: v}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop, uid: new, resourceVersion: "999", creationTimestamp: "2026-02-02T00:00:00Z", managedFields: [{manager: lifeboat}], labels: {velero.io/backup-name: b, velero.io/restore-name: r}}, data: {k: v}}`},
		{"the labels of another restore",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {app: a, velero.io/backup-name: b0, velero.io/restore-name: r0}}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {app: a, velero.io/backup-name: b, velero.io/restore-name: r}}}`},
		{"a status", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 7}, spec: {replicas: 2}, status: {readyReplicas: 2}}`,
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 1}, spec: {replicas: 2}}`},
		{"a pod on another node with another token",
			`{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {nodeName: n1, priority: 0, serviceAccountName: default, volumes: [{name: kube-api-access-x2b4z, projected: {sources: [{serviceAccountToken: {}}]}}], containers: [{name: c, volumeMounts: [{name: kube-api-access-x2b4z, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]}]}, status: {phase: Running}}`,
			`{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {nodeName: n2, priority: 100, serviceAccountName: default, volumes: [{name: kube-api-access-c6d8f, projected: {sources: [{serviceAccountToken: {}}]}}], containers: [{name: c, volumeMounts: [{name: kube-api-access-c6d8f, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]}]}, status: {phase: Pending}}`},
		{"a service with other addresses and another allocated node port",
			`{apiVersion: v1, kind: Service, metadata: {name: a, uid: old}, spec: {type: NodePort, clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], healthCheckNodePort: 31000, ports: [{port: 80, protocol: TCP, nodePort: 30001}]}}`,
			`{apiVersion: v1, kind: Service, metadata: {name: a, uid: new}, spec: {type: NodePort, clusterIP: 10.9.9.9, clusterIPs: [10.9.9.9], healthCheckNodePort: 32000, ports: [{port: 80, protocol: TCP, nodePort: 32222}]}}`},
		{"a service that prefers dual stack, in a cluster of one stack",
			`{apiVersion: v1, kind: Service, metadata: {name: a, uid: old}, spec: {clusterIP: 10.0.0.1, ipFamilyPolicy: PreferDualStack, ipFamilies: [IPv4, IPv6]}}`,
			`{apiVersion: v1, kind: Service, metadata: {name: a, uid: new}, spec: {clusterIP: 10.0.0.2, ipFamilyPolicy: PreferDualStack, ipFamilies: [IPv4]}}`},
		{"a claim that is bound by now, or to another volume",
			`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, annotations: {pv.kubernetes.io/bind-completed: "yes"}}, spec: {storageClassName: fast, volumeName: pv-1}, status: {phase: Bound}}`,
			`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, annotations: {volume.kubernetes.io/selected-node: shop}}, spec: {storageClassName: fast, volumeName: pv-2}, status: {phase: Pending}}`},
		{"a volume whose claim has another identity",
			`{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}, spec: {claimRef: {namespace: shop, name: c, uid: old, resourceVersion: "1"}}}`,
			`{apiVersion: v1, kind: PersistentVolume, metadata: {name: a, annotations: {pv.kubernetes.io/bound-by-controller: "yes"}}, spec: {claimRef: {namespace: shop, name: c, uid: new, resourceVersion: "2"}}}`},
		{"a job with a selector made of another UID",
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a, labels: {batch.kubernetes.io/controller-uid: old}}, spec: {selector: {matchLabels: {batch.kubernetes.io/controller-uid: old}}, template: {metadata: {labels: {batch.kubernetes.io/controller-uid: old, job-name: a}}}}}`,
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a, labels: {batch.kubernetes.io/controller-uid: new}}, spec: {selector: {matchLabels: {batch.kubernetes.io/controller-uid: new}}, template: {metadata: {labels: {batch.kubernetes.io/controller-uid: new, job-name: a}}}}}`},
		{"a service account to which controllers added secrets",
			`{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}, secrets: [{name: a-token-x2b4z}, {name: mine}], imagePullSecrets: [{name: p}]}`,
			`{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}, secrets: [{name: a-dockercfg-new}], imagePullSecrets: [{name: p}]}`},
		{"a token that was issued anew",
			`{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: t, annotations: {kubernetes.io/service-account.name: a, kubernetes.io/service-account.uid: old}}, data: {token: b2xk, ca.crt: b2xk, namespace: bg==}}`,
			`{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: t, annotations: {kubernetes.io/service-account.name: a, kubernetes.io/service-account.uid: new}}, data: {token: bmV3, ca.crt: bmV3, namespace: bg==}}`},
		{"a cluster role whose rules a controller computes",
			`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a}, aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}, rules: [{verbs: [get]}]}`,
			`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a}, aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}}`},
		{"a namespace with the finalizer that the API server sets",
			`{apiVersion: v1, kind: Namespace, metadata: {name: a}, spec: {finalizers: [kubernetes]}, status: {phase: Active}}`,
			`{apiVersion: v1, kind: Namespace, metadata: {name: a}}`},
		{"a definition at which v1beta1 left its word",
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}, spec: {preserveUnknownFields: true, versions: [{name: v1, schema: {openAPIV3Schema: {type: object}}}]}}`,
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}, spec: {versions: [{name: v1, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}, status: {storedVersions: [v1]}}`},
		{"structs that one version of the API server writes out and another leaves out",
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, creationTimestamp: null}, spec: {strategy: {}, template: {metadata: {creationTimestamp: null}, spec: {containers: [{name: c, resources: {}}]}}}, status: {}}`,
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: [{name: c}]}}}}`},
		{"structs of the groups that Kubernetes names k8s.io",
			`{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: a}, spec: {}}`,
			`{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: a}}`},
		{"null, at any depth, which means absent",
			`{apiVersion: orchard.example.com/v1, kind: Tree, metadata: {name: a}, spec: {notes: {rootstock: null, list: [{x: 1, y: null}]}}}`,
			`{apiVersion: orchard.example.com/v1, kind: Tree, metadata: {name: a}, spec: {notes: {list: [{x: 1}]}}}`},
		{"numbers that are written in another way",
			`{"apiVersion":"orchard.example.com/v1","kind":"Tree","metadata":{"name":"a"},"spec":{"yield":41.50,"count":3}}`,
			`{"apiVersion":"orchard.example.com/v1","kind":"Tree","metadata":{"name":"a"},"spec":{"count":3,"yield":4.15e1}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := pair(t, c.backup, c.live)
			same, paths := equal(t, a, b)
			assert.True(t, same, "%v", paths)
		})
	}
}

func TestWhatAUserWouldMissIsADifference(t *testing.T) {
	for _, c := range []struct{ name, backup, live, path string }{
		{"a value that is empty and not gone", `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: ""}}`, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {}}`, "data.k"},
		{"a label of Velero's that no restore sets", `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {velero.io/exclude-from-backup: "true"}}}`, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`, "metadata.labels"},
		{"an annotation more", `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: {x: yy}}}`, "metadata.annotations"},
		{"a number that is a string", `{apiVersion: orchard.example.com/v1, kind: Tree, metadata: {name: a}, spec: {offset: 7}}`, `{apiVersion: orchard.example.com/v1, kind: Tree, metadata: {name: a}, spec: {offset: "7"}}`, "spec.offset"},
		{"an element of a list less", `{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c}, {name: d}]}}`, `{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c}]}}`, "spec.containers"},
		{"an element of a list more", `{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c}]}}`, `{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c}, {name: d}]}}`, "spec.containers"},
		{"a list where an object was", `{apiVersion: orchard.example.com/v1, kind: Tree, metadata: {name: a}, spec: {x: {}}}`, `{apiVersion: orchard.example.com/v1, kind: Tree, metadata: {name: a}, spec: {x: []}}`, "spec.x"},
		{"the class of a pod", `{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {priorityClassName: high}}`, `{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {}}`, "spec"},
		{"a volume of a pod", `{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {volumes: [{name: v, emptyDir: {}}]}}`, `{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {volumes: [{name: v}]}}`, "spec.volumes[0].emptyDir"},
		{"a headless service that got an address", `{apiVersion: v1, kind: Service, metadata: {name: a, uid: u}, spec: {clusterIP: None, ports: []}}`, `{apiVersion: v1, kind: Service, metadata: {name: a, uid: u}, spec: {clusterIP: 10.0.0.1, ports: []}}`, "spec.clusterIP"},
		{"a node port that was asked for",
			`{apiVersion: v1, kind: Service, metadata: {name: a, uid: u, managedFields: [{fieldsV1: {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {"f:nodePort": {}}}}}}]}, spec: {ports: [{port: 80, nodePort: 30080}]}}`,
			`{apiVersion: v1, kind: Service, metadata: {name: a, uid: u, managedFields: [{fieldsV1: {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {"f:nodePort": {}}}}}}]}, spec: {ports: [{port: 80, nodePort: 30081}]}}`, "spec.ports[0].nodePort"},
		{"the family of a service of one stack", `{apiVersion: v1, kind: Service, metadata: {name: a, uid: u}, spec: {ipFamilyPolicy: SingleStack, ipFamilies: [IPv4]}}`, `{apiVersion: v1, kind: Service, metadata: {name: a, uid: u}, spec: {ipFamilyPolicy: SingleStack, ipFamilies: [IPv6]}}`, "spec.ipFamilies[0]"},
		{"the size of a claim", `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {resources: {requests: {storage: 1Gi}}}}`, `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {resources: {requests: {storage: 2Gi}}}}`, "spec.resources.requests.storage"},
		{"the claim of a volume", `{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}, spec: {claimRef: {name: c, uid: u}}}`, `{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}, spec: {claimRef: {name: d, uid: u}}}`, "spec.claimRef.name"},
		{"the selector of a job that its author wrote", `{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {manualSelector: true, selector: {matchLabels: {controller-uid: x}}}}`, `{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {manualSelector: true, selector: {matchLabels: {controller-uid: yy}}}}`, "spec.selector.matchLabels.controller-uid"},
		{"whether an account's token is mounted", `{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}, automountServiceAccountToken: false}`, `{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}}`, "automountServiceAccountToken"},
		{"the pull secrets of an account", `{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}, imagePullSecrets: [{name: p}]}`, `{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}}`, "imagePullSecrets"},
		{"a token of another account", `{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: t, annotations: {kubernetes.io/service-account.name: a}}}`, `{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: t, annotations: {kubernetes.io/service-account.name: b}}}`, "metadata.annotations.kubernetes.io/service-account.name"},
		{"the rules of a cluster role that nobody aggregates", `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a}, rules: [{verbs: [get]}]}`, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a}, rules: [{verbs: ["*"]}]}`, "rules[0].verbs[0]"},
		{"the rules of a role", `{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: a}, aggregationRule: {}, rules: [{verbs: [get]}]}`, `{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: a}, aggregationRule: {}}`, "rules"},
		{"the CA of a webhook", `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: a}, webhooks: [{clientConfig: {caBundle: eA==}}]}`, `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: a}, webhooks: [{clientConfig: {caBundle: eQ==}}]}`, "webhooks[0].clientConfig.caBundle"},
		{"the finalizers of a custom resource's spec", `{apiVersion: orchard.example.com/v1, kind: Namespace, metadata: {name: a}, spec: {finalizers: [x]}}`, `{apiVersion: orchard.example.com/v1, kind: Namespace, metadata: {name: a}, spec: {}}`, "spec.finalizers"},
		{"a subresource that a definition has lost",
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}, spec: {versions: [{name: v1, subresources: {scale: {specReplicasPath: .spec.n}, status: {}}}]}}`,
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}, spec: {versions: [{name: v1, subresources: {scale: {specReplicasPath: .spec.n}}}]}}`, "spec.versions[0].subresources.status"},
		{"a field of a definition's schema that says nothing but its name",
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}, spec: {versions: [{name: v1, schema: {openAPIV3Schema: {properties: {template: {}}}}}]}}`,
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}, spec: {versions: [{name: v1, schema: {openAPIV3Schema: {properties: {}}}}]}}`, "spec.versions[0].schema.openAPIV3Schema.properties.template"},
		{"a null in a list, which has a place", `{apiVersion: orchard.example.com/v1, kind: Tree, metadata: {name: a}, spec: {x: [1, null]}}`, `{apiVersion: orchard.example.com/v1, kind: Tree, metadata: {name: a}, spec: {x: [1]}}`, "spec.x"},
		{"another version of the API", `{apiVersion: orchard.example.com/v1, kind: Tree, metadata: {name: a}}`, `{apiVersion: orchard.example.com/v1beta1, kind: Tree, metadata: {name: a}}`, "apiVersion"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := pair(t, c.backup, c.live)
			same, paths := equal(t, a, b)
			require.False(t, same)
			require.Len(t, paths, 1)
			assert.True(t, strings.HasPrefix(paths[0], c.path+": "), "%s", paths[0])
		})
	}
}

// After normalisation nothing is left that may change unnoticed: each value of
// each object is changed, and then removed, and must be missed.
func TestEveryValueThatIsComparedIsMissed(t *testing.T) {
	values := 0
	for _, it := range samples(t) {
		u, err := it.Object()
		require.NoError(t, err)
		Normalise(u)
		whole, err := digest(u.DeepCopy())
		require.NoError(t, err)
		leaves(u.Object, "", func(path string, change func()) {
			values++
			change()
			changed, err := digest(u.DeepCopy())
			require.NoError(t, err)
			assert.NotEqual(t, whole, changed, "%s: %s", it.Key, path)
		})
	}
	require.Greater(t, values, 1000)
}

// leaves hands each value below m to visit, with a function that changes it;
// it is put back afterwards.
func leaves(v any, path string, visit func(path string, change func())) {
	each := func(path string, e any, set func(any)) {
		switch e := e.(type) {
		case string:
			visit(path, func() { set(e + "x") })
		case bool:
			visit(path, func() { set(!e) })
		case int64:
			visit(path, func() { set(e + 1) })
		case float64:
			visit(path, func() { set(e + 1) })
		case nil:
			return
		default:
			leaves(e, path, visit)
			return
		}
		set(e)
		if path != "kind" && path != "apiVersion" { // without them it is no object
			visit(path+" removed", func() { set(nil) })
			set(e)
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			each(join(path, k), e, func(n any) { v[k] = n })
		}
	case []any:
		for i, e := range v {
			each(fmt.Sprintf("%s[%d]", path, i), e, func(n any) { v[i] = n })
		}
	}
}

func TestDifferencesAreCutToAReadableLength(t *testing.T) {
	a, b := pair(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: `+strings.Repeat("ä", 500)+`}}`, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: `+strings.Repeat("b", 500)+`}}`)
	paths, err := Diff(a, b)
	require.NoError(t, err)
	require.Len(t, paths, 1)
	assert.Less(t, len(paths[0]), 250)
	assert.Contains(t, paths[0], strings.Repeat("ä", 39)+"… in the backup", "cut between two characters")
	assert.Contains(t, paths[0], strings.Repeat("b", 79)+"… in the cluster")

	a, b = pair(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: `+strings.Repeat("b", 78)+`}}`, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: c}}`)
	paths, err = Diff(a, b)
	require.NoError(t, err)
	assert.Equal(t, []string{`data.k: "` + strings.Repeat("b", 78) + `" in the backup, "c" in the cluster`}, paths, "what fits is shown whole")
}

func TestAtMostTwentyDifferencesAreListed(t *testing.T) {
	u := fromYAML(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {}}`)
	empty, err := item.FromObject(u, "configmaps")
	require.NoError(t, err)
	data := map[string]any{}
	for i := range 50 {
		data[fmt.Sprintf("k%02d", i)] = "v"
	}
	u.Object["data"] = data
	full, err := item.FromObject(u, "configmaps")
	require.NoError(t, err)
	paths, err := Diff(full, empty)
	require.NoError(t, err)
	require.Len(t, paths, 20)
	for i, p := range paths {
		assert.Equal(t, fmt.Sprintf(`data.k%02d: "v" in the backup, absent in the cluster`, i), p)
	}
}

func TestDifferencesNeverShowWhatASecretHolds(t *testing.T) {
	a, b := pair(t,
		`{apiVersion: v1, kind: Secret, metadata: {name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"stringData":{"p":"hunter2"}}'}, finalizers: [hunter2]}, data: {password: aHVudGVyMg==, gone: aHVudGVyMg==}, stringData: {p: hunter2}, type: Opaque}`,
		`{apiVersion: v1, kind: Secret, metadata: {name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"stringData":{"p":"swordfish"}}'}}, data: {password: c3dvcmRmaXNo, new: c3dvcmRmaXNo}, type: Opaque}`)
	paths, err := Diff(a, b)
	require.NoError(t, err)
	assert.Contains(t, paths, "data.password: a value (not shown) in the backup, a value (not shown) in the cluster")
	assert.Contains(t, paths, "data.gone: a value (not shown) in the backup, absent in the cluster")
	assert.Contains(t, paths, "data.new: absent in the backup, a value (not shown) in the cluster")
	all := strings.Join(paths, "\n")
	for _, secret := range []string{"hunter2", "swordfish", "aHVudGVyMg", "c3dvcmRmaXNo"} {
		assert.NotContains(t, all, secret)
	}
}

func TestDiffNamesTheItemItCannotRead(t *testing.T) {
	good, _ := pair(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`)
	bad := item.Item{Key: item.Key{Resource: "configmaps", Namespace: "shop", Name: "bad"}, Raw: []byte(`{"kind"`)}
	for _, of := range [][2]item.Item{{bad, good}, {good, bad}} {
		_, err := Diff(of[0], of[1])
		assert.ErrorContains(t, err, "configmaps shop/bad")
	}
	_, err := DigestOf(bad)
	assert.ErrorContains(t, err, "configmaps shop/bad")
}

func FuzzNormalise(f *testing.F) {
	kinds := []string{"v1 ConfigMap"}
	for _, k := range slices.Sorted(maps.Keys(preparers)) { // the same in all of the fuzzer's processes
		name, group, _ := strings.Cut(k, ".")
		kinds = append(kinds, strings.TrimPrefix(group+"/v1 ", "/")+name)
	}
	kinds = append(kinds, "v1 Namespace", "rbac.authorization.k8s.io/v1 ClusterRole", "orchard.example.com/v1 Tree")
	for i, it := range samples(f) {
		if len(it.Raw) < 400 { // larger ones make fuzzing slow
			f.Add(byte(i), it.Raw, []byte{byte(i), 1, 2, 3, 4, 5, 6, 7, 8, 9})
		}
	}
	f.Add(byte(0), []byte(`{}`), []byte(`{"metadata":[],"spec":"x","status":{"conditions":[1]},"data":null}`))
	f.Fuzz(func(t *testing.T, kind byte, first, second []byte) {
		version, name, _ := strings.Cut(kinds[int(kind)%len(kinds)], " ")
		a, ok := arbitrary(first, version, name)
		b, alsoOK := arbitrary(second, version, name)
		if !ok || !alsoOK {
			return
		}
		equal(t, a, b)
		same, paths := equal(t, a, a)
		require.True(t, same, "%v", paths)
		for _, change := range []func(*unstructured.Unstructured){strip, Normalise} {
			u, err := a.Object()
			require.NoError(t, err)
			change(u)
			once := u.DeepCopy()
			change(u)
			require.Equal(t, once.Object, u.Object)
		}
		u, err := a.Object()
		require.NoError(t, err)
		Mark(u, "b", "r")
		for _, resource := range []string{"pods", "jobs", "secrets", "persistentvolumes", "customresourcedefinitions"} {
			a.Key.Resource = resource
			_, err := Examine(a, Options{})
			require.NoError(t, err)
		}
	})
}

// words are keys and values that the code under test looks at.
var words = []string{
	"metadata", "labels", "annotations", "uid", "name", "managedFields", "fieldsV1", "f:spec", "f:ports", `k:{"port":80}`, "f:nodePort",
	"spec", "status", "phase", "Bound", "conditions", "type", "Complete", "True", "volumes", "containers", "initContainers", "volumeMounts", "kube-api-access-x",
	"serviceAccountName", "sa", "sa-token-x", "clusterIP", "None", "ports", "port", "nodePort", "protocol", "claimRef", "selector", "matchLabels", "controller-uid",
	"manualSelector", "template", "secrets", "data", "token", "preserveUnknownFields", "versions", "schema", "openAPIV3Schema", "aggregationRule", "rules",
	"finalizers", "ipFamilyPolicy", "PreferDualStack", "ipFamilies", "volumeName", "velero.io/restore-name", "kubernetes.io/service-account-token",
	"kubectl.kubernetes.io/last-applied-configuration", `{"spec":{"ports":[{"port":80,"nodePort":1},null]}}`, "pv.kubernetes.io/bind-completed", "resources",
}

// grow makes a JSON value of any bytes, of words that matter.
func grow(seed *[]byte, depth int) any {
	next := func() int {
		if len(*seed) == 0 {
			return 0
		}
		b := (*seed)[0]
		*seed = (*seed)[1:]
		return int(b)
	}
	kind := next()
	switch {
	case depth == 0 || depth < 6 && kind%4 == 1:
		m := map[string]any{}
		for range kind % 7 {
			m[words[next()%len(words)]] = grow(seed, depth+1)
		}
		return m
	case depth < 6 && kind%4 == 2:
		var l []any
		for range kind % 5 {
			l = append(l, grow(seed, depth+1))
		}
		return l
	}
	return []any{nil, true, false, 80, 0.5, "", words[next()%len(words)], words[next()%len(words)]}[kind/4%8]
}

// arbitrary makes an item of any bytes.
func arbitrary(raw []byte, version, kind string) (item.Item, bool) {
	var m map[string]any
	if json.Unmarshal(raw, &m) != nil || m == nil {
		m = grow(&raw, 0).(map[string]any)
	}
	m["apiVersion"], m["kind"] = version, kind
	raw, err := json.Marshal(m)
	if err != nil {
		return item.Item{}, false
	}
	group, v, found := strings.Cut(version, "/")
	if !found {
		group, v = "", version
	}
	it := item.Item{Key: item.Key{Group: group, Resource: "things", Name: "x"}, Version: v, Kind: kind, Raw: raw}
	_, err = it.Object()
	return it, err == nil
}

// fromYAML decodes YAML the way an item's JSON is decoded.
func fromYAML(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	u := &unstructured.Unstructured{}
	require.NoError(t, u.UnmarshalJSON(raw), text)
	return u
}

// itemOf is the item of an object of the resource, given as "plural" or
// "plural.group".
func itemOf(t testing.TB, resource, text string) item.Item {
	t.Helper()
	_, plural := item.SplitGroupResource(resource)
	it, err := item.FromObject(fromYAML(t, text), plural)
	require.NoError(t, err)
	require.Equal(t, resource, it.Key.GroupResource(), "the test's resource is of another group than its object")
	return it
}

// What any cluster adds to an object makes no difference.
func TestLivingInAClusterMakesNoDifference(t *testing.T) {
	for _, it := range samples(t) {
		u, err := it.Object()
		require.NoError(t, err)
		if u.GetKind() == "Service" || u.GetKind() == "PersistentVolumeClaim" {
			continue // what they are given depends on what they were
		}
		meta := u.Object["metadata"].(map[string]any)
		for field, value := range map[string]any{
			"uid": "0f0e0d0c", "resourceVersion": "4711", "generation": int64(3), "creationTimestamp": "2026-01-02T03:04:05Z",
			"managedFields":   []any{map[string]any{"manager": "kubectl", "operation": "Apply"}},
			"ownerReferences": []any{map[string]any{"kind": "ReplicaSet", "name": "old", "uid": "1"}},
		} {
			meta[field] = value
		}
		u.Object["status"] = map[string]any{"observedGeneration": int64(3)}
		living, err := item.FromObject(u, it.Key.Resource)
		require.NoError(t, err)
		same, paths := equal(t, it, living)
		assert.True(t, same, "%s: %v", it.Key, paths)
	}
}

func TestFieldsThatAreOnlyInTheClusterAreToldFromThoseThatDiffer(t *testing.T) {
	const backup = "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a}, spec: {replicas: 1, template: {spec: {containers: [{name: c}]}}}}"
	for live, want := range map[string]bool{
		backup: true,
		"{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a}, spec: {replicas: 1, more: {x: 1}, template: {spec: {containers: [{name: c, more: x}]}}}}": true,
		"{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a}, spec: {replicas: 2, more: {x: 1}, template: {spec: {containers: [{name: c}]}}}}":          false,
		"{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a}, spec: {more: {x: 1}, template: {spec: {containers: [{name: c}]}}}}":                       false,
		"{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a}, spec: {replicas: 1, template: {spec: {containers: [{name: c}, {name: d}]}}}}":             false,
	} {
		a, b := pair(t, backup, live)
		only, err := OnlyAdds(a, b)
		require.NoError(t, err)
		assert.Equal(t, want, only, live)
	}
}
