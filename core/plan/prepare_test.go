package plan

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

func TestPrepareKeepsWhatOnlyLooksGenerated(t *testing.T) {
	for _, c := range []struct{ name, of, want string }{
		{"a pod loses its node, its priority and the token that admission mounts, by both of its names",
			`{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop, uid: u}, spec: {
			   nodeName: node-1, priority: 100000, priorityClassName: high, serviceAccountName: checkout, serviceAccount: checkout,
			   tolerations: [{operator: Exists}],
			   volumes: [{name: kube-api-access-x2b4z, projected: {sources: [{serviceAccountToken: {}}, {configMap: {}}]}}, {name: data, emptyDir: {}}, {name: checkout-token-c6d8f, secret: {secretName: checkout-token-c6d8f}}],
			   initContainers: [{name: i, volumeMounts: [{name: kube-api-access-x2b4z, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}, {name: data}]}],
			   containers: [{name: c, volumeMounts: [{name: checkout-token-c6d8f, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}, {name: kube-api-access-x2b4z, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}, {name: data}]}, {name: d, volumeMounts: [{name: kube-api-access-x2b4z, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]}, {name: e}],
			   ephemeralContainers: [{name: debug}]}, status: {phase: Running}}`,
			`{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}, spec: {
			   priorityClassName: high, serviceAccountName: checkout, serviceAccount: checkout,
			   tolerations: [{operator: Exists}],
			   volumes: [{name: data, emptyDir: {}}],
			   initContainers: [{name: i, volumeMounts: [{name: data}]}],
			   containers: [{name: c, volumeMounts: [{name: data}]}, {name: d}, {name: e}]}}`},
		{"a pod keeps volumes that are only named a little like a token",
			`{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {serviceAccountName: checkout, nodeSelector: {zone: a}, volumes: [{name: my-kube-api-access-x}, {name: other-token-abcde}, {name: checkout-tokens}]}}`,
			`{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {serviceAccountName: checkout, nodeSelector: {zone: a}, volumes: [{name: my-kube-api-access-x}, {name: other-token-abcde}, {name: checkout-tokens}]}}`},
		{"a pod keeps volumes of its author that are named as a generated token",
			`{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {serviceAccountName: ci, volumes: [{name: ci-token-cache, emptyDir: {}}, {name: ci-token-2021, secret: {secretName: ci-token-2021}},
			   {name: ci-token-x2b4z, emptyDir: {}}, {name: ci-token-c6d8f, secret: {secretName: ci-token-c6d8f}}, {name: kube-api-access-x2b4z, emptyDir: {}}, {name: kube-api-access-mine, projected: {sources: [{serviceAccountToken: {}}]}}],
			   containers: [{name: c, volumeMounts: [{name: ci-token-c6d8f, mountPath: /etc/ci}, {name: ci-token-cache, mountPath: /cache}]}]}}`,
			`{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {serviceAccountName: ci, volumes: [{name: ci-token-cache, emptyDir: {}}, {name: ci-token-2021, secret: {secretName: ci-token-2021}},
			   {name: ci-token-x2b4z, emptyDir: {}}, {name: ci-token-c6d8f, secret: {secretName: ci-token-c6d8f}}, {name: kube-api-access-x2b4z, emptyDir: {}}, {name: kube-api-access-mine, projected: {sources: [{serviceAccountToken: {}}]}}],
			   containers: [{name: c, volumeMounts: [{name: ci-token-c6d8f, mountPath: /etc/ci}, {name: ci-token-cache, mountPath: /cache}]}]}}`},
		{"a pod without a service account keeps a volume whose name begins with -token-",
			`{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {volumes: [{name: -token-a}]}}`,
			`{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {volumes: [{name: -token-a}]}}`},

		{"a service loses the addresses that the cluster gave it",
			`{apiVersion: v1, kind: Service, metadata: {name: a, uid: u}, spec: {type: ClusterIP, clusterIP: 10.0.0.7, clusterIPs: [10.0.0.7], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack, selector: {app: a}, ports: [{port: 80, targetPort: 8080, protocol: TCP}]}, status: {loadBalancer: {}}}`,
			`{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: ClusterIP, ipFamilies: [IPv4], ipFamilyPolicy: SingleStack, selector: {app: a}, ports: [{port: 80, targetPort: 8080, protocol: TCP}]}}`},
		{"a service keeps the node ports that kubectl's annotation asks for, and no others",
			`{apiVersion: v1, kind: Service, metadata: {name: a, uid: u, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"spec":{"ports":[{"port":80,"nodePort":30080},{"port":81},{"port":53,"protocol":"UDP","nodePort":30053},{"port":82,"nodePort":0}]}}'}},
			   spec: {type: NodePort, ports: [{port: 80, protocol: TCP, nodePort: 30080}, {port: 81, protocol: TCP, nodePort: 31999}, {port: 53, protocol: UDP, nodePort: 30053}, {port: 53, protocol: TCP, nodePort: 31053}, {port: 82, protocol: TCP, nodePort: 31082}]}}`,
			`{apiVersion: v1, kind: Service, metadata: {name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"spec":{"ports":[{"port":80,"nodePort":30080},{"port":81},{"port":53,"protocol":"UDP","nodePort":30053},{"port":82,"nodePort":0}]}}'}},
			   spec: {type: NodePort, ports: [{port: 80, protocol: TCP, nodePort: 30080}, {port: 81, protocol: TCP}, {port: 53, protocol: UDP, nodePort: 30053}, {port: 53, protocol: TCP}, {port: 82, protocol: TCP}]}}`},
		{"a service keeps the node ports that a field manager owns, and no others",
			`{apiVersion: v1, kind: Service, metadata: {name: a, uid: u, managedFields: [
			   {manager: helm, fieldsV1: {"f:spec": {"f:ports": {".": {}, 'k:{"port":80,"protocol":"TCP"}': {"f:nodePort": {}, "f:port": {}}, 'k:{"port":81,"protocol":"TCP"}': {"f:port": {}}}}}},
			   {manager: kube-controller-manager, fieldsV1: {"f:status": {}}}]},
			   spec: {type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 32100, ports: [{port: 80, protocol: TCP, nodePort: 30080}, {port: 81, protocol: TCP, nodePort: 31999}]}}`,
			`{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: LoadBalancer, externalTrafficPolicy: Local, ports: [{port: 80, protocol: TCP, nodePort: 30080}, {port: 81, protocol: TCP}]}}`},
		{"a service that was in no cluster has no node port that it did not ask for",
			`{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: NodePort, ports: [{port: 80, nodePort: 30080}]}}`,
			`{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: NodePort, ports: [{port: 80, nodePort: 30080}]}}`},

		{"a bound claim may be bound anew",
			`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, annotations: {pv.kubernetes.io/bind-completed: "yes", pv.kubernetes.io/bound-by-controller: "yes", volume.kubernetes.io/storage-provisioner: p, volume.beta.kubernetes.io/storage-provisioner: p, volume.kubernetes.io/selected-node: shop, mine: stays}},
			   spec: {volumeName: pv-1, storageClassName: fast, accessModes: [ReadWriteOnce], volumeMode: Filesystem, resources: {requests: {storage: 1Gi}}}, status: {phase: Bound, capacity: {storage: 1Gi}}}`,
			`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, annotations: {mine: stays}},
			   spec: {storageClassName: fast, accessModes: [ReadWriteOnce], volumeMode: Filesystem, resources: {requests: {storage: 1Gi}}}}`},
		{"a claim whose volume was lost may be bound anew, and empty annotations go",
			`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, annotations: {pv.kubernetes.io/bind-completed: "yes"}}, spec: {volumeName: pv-1}, status: {phase: Lost}}`,
			`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {}}`},
		{"a volume waits for the claim of the same name",
			`{apiVersion: v1, kind: PersistentVolume, metadata: {name: a, finalizers: [kubernetes.io/pv-protection], annotations: {pv.kubernetes.io/bound-by-controller: "yes", pv.kubernetes.io/provisioned-by: disks.example.com}}, spec: {claimRef: {kind: PersistentVolumeClaim, namespace: shop, name: c, uid: u, resourceVersion: "7"}, csi: {volumeHandle: h}}, status: {phase: Bound}}`,
			`{apiVersion: v1, kind: PersistentVolume, metadata: {name: a, finalizers: [kubernetes.io/pv-protection], annotations: {pv.kubernetes.io/provisioned-by: disks.example.com}}, spec: {claimRef: {kind: PersistentVolumeClaim, namespace: shop, name: c}, csi: {volumeHandle: h}}}`},

		{"a job that says that its selector is generated loses it",
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {manualSelector: false, selector: {matchLabels: {batch.kubernetes.io/controller-uid: u}}, template: {metadata: {labels: {job-name: a}}}}}`,
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {manualSelector: false, template: {metadata: {labels: {job-name: a}}}}}`},
		{"a job of an older cluster loses it too, and labels that are empty go",
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a, labels: {controller-uid: u}}, spec: {selector: {matchLabels: {controller-uid: u}}, template: {metadata: {labels: {controller-uid: u}}, spec: {}}}}`,
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {template: {metadata: {}, spec: {}}}}`},
		{"a job with a selector of its author's keeps it, whatever it is",
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a, labels: {controller-uid: mine}}, spec: {manualSelector: true, selector: {matchLabels: {controller-uid: mine}}, template: {metadata: {labels: {controller-uid: mine}}}}}`,
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a, labels: {controller-uid: mine}}, spec: {manualSelector: true, selector: {matchLabels: {controller-uid: mine}}, template: {metadata: {labels: {controller-uid: mine}}}}}`},

		{"a service account loses its generated tokens",
			`{apiVersion: v1, kind: ServiceAccount, metadata: {name: checkout}, secrets: [{name: checkout-token-x2b4z}, {name: mine}, {name: checkout-dockercfg-x}], imagePullSecrets: [{name: checkout-token-like}], automountServiceAccountToken: false}`,
			`{apiVersion: v1, kind: ServiceAccount, metadata: {name: checkout}, secrets: [{name: mine}, {name: checkout-dockercfg-x}], imagePullSecrets: [{name: checkout-token-like}], automountServiceAccountToken: false}`},
		{"a service account with nothing but a token has no list of secrets then",
			`{apiVersion: v1, kind: ServiceAccount, metadata: {name: checkout}, secrets: [{name: checkout-token-x2b4z}]}`,
			`{apiVersion: v1, kind: ServiceAccount, metadata: {name: checkout}}`},

		{"a token with nothing else in it has no data then",
			`{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: t, annotations: {kubernetes.io/service-account.uid: u}}, data: {token: dA==, ca.crt: Yw==, namespace: bg==}}`,
			`{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: t}}`},
		{"a secret of another type keeps whatever its keys are called",
			`{apiVersion: v1, kind: Secret, type: Opaque, metadata: {name: t, annotations: {kubernetes.io/service-account.uid: u}}, data: {token: dA==, ca.crt: Yw==, namespace: bg==}}`,
			`{apiVersion: v1, kind: Secret, type: Opaque, metadata: {name: t, annotations: {kubernetes.io/service-account.uid: u}}, data: {token: dA==, ca.crt: Yw==, namespace: bg==}}`},

		{"a definition that does not preserve them loses the word alone",
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}, spec: {preserveUnknownFields: false, conversion: {strategy: None}, versions: [{name: v1, schema: {openAPIV3Schema: {type: object}}}]}}`,
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}, spec: {conversion: {strategy: None}, versions: [{name: v1, schema: {openAPIV3Schema: {type: object}}}]}}`},

		{"what is called like a built-in kind in another group is left alone",
			`{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a, uid: u}, spec: {clusterIP: 10.0.0.7, ports: [{port: 80, nodePort: 30080}]}}`,
			`{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a}, spec: {clusterIP: 10.0.0.7, ports: [{port: 80, nodePort: 30080}]}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := fromYAML(t, c.of)
			prepare(u, false)
			assert.Equal(t, fromYAML(t, c.want).Object, u.Object)
		})
	}
}

func TestPrepareTreatsMetadataAndStatusOfAllKindsAlike(t *testing.T) {
	kinds := []string{"v1/ConfigMap", "v1/Namespace", "v1/Pod", "v1/Service", "v1/Secret", "v1/ServiceAccount", "v1/PersistentVolume", "v1/PersistentVolumeClaim", "v1/ResourceQuota",
		"apps/v1/Deployment", "apps/v1/ReplicaSet", "batch/v1/Job", "batch/v1/CronJob", "rbac.authorization.k8s.io/v1/ClusterRole", "apiextensions.k8s.io/v1/CustomResourceDefinition",
		"admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration", "orchard.example.com/v1/Tree"}
	for _, k := range kinds {
		at := strings.LastIndex(k, "/")
		head := "apiVersion: " + k[:at] + "\nkind: " + k[at+1:] + "\n"
		u := fromYAML(t, head+`
metadata:
  name: a
  namespace: shop
  generateName: a-
  uid: u
  resourceVersion: "7"
  generation: 3
  creationTimestamp: "2026-01-02T03:04:05Z"
  deletionTimestamp: "2026-01-03T03:04:05Z"
  deletionGracePeriodSeconds: 30
  selfLink: /api/v1/a
  managedFields: [{manager: kubectl}]
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: o, uid: gone, controller: true}]
  labels: {app: a, velero.io/restore-name: earlier}
  annotations: {note: stays, kubectl.kubernetes.io/last-applied-configuration: "{}"}
  finalizers: [example.com/keeper]
spec: {something: stays}
other: [1, two, {three: null}]
status: {phase: Running}
`)
		prepare(u, false)
		assert.Equal(t, fromYAML(t, head+`
metadata:
  name: a
  namespace: shop
  labels: {app: a, velero.io/restore-name: earlier}
  annotations: {note: stays, kubectl.kubernetes.io/last-applied-configuration: "{}"}
  finalizers: [example.com/keeper]
spec: {something: stays}
other: [1, two, {three: null}]
`).Object, u.Object, k)
	}
}

func TestMarkSaysWhichRestoreOfWhichBackupMadeAnObject(t *testing.T) {
	u := fromYAML(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {app: a, velero.io/restore-name: an-earlier-one}}}`)
	Mark(u, "nightly", "nightly-1")
	assert.Equal(t, map[string]string{"app": "a", "velero.io/backup-name": "nightly", "velero.io/restore-name": "nightly-1"}, u.GetLabels())

	unlabelled := fromYAML(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`)
	Mark(unlabelled, "nightly", "nightly-1")
	assert.Equal(t, map[string]string{"velero.io/backup-name": "nightly", "velero.io/restore-name": "nightly-1"}, unlabelled.GetLabels())
}

func TestMarkLabelsWhatIsOnlyCalledANamespace(t *testing.T) {
	u := fromYAML(t, `{apiVersion: tenancy.example.com/v1, kind: Namespace, metadata: {name: a}}`)
	Mark(u, "b", "r")
	assert.Equal(t, "r", u.GetLabels()["velero.io/restore-name"])
}

func TestMarkShortensNamesThatAreNoLabels(t *testing.T) {
	long := strings.Repeat("x", 63)
	u := fromYAML(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`)
	Mark(u, long+"1", long+"2")
	backup, restore := u.GetLabels()["velero.io/backup-name"], u.GetLabels()["velero.io/restore-name"]
	assert.Len(t, backup, 63)
	assert.Len(t, restore, 63)
	assert.Equal(t, backup[:57], restore[:57])
	assert.NotEqual(t, backup, restore, "names that differ late must not become one")

	Mark(u, long, long)
	assert.Equal(t, long, u.GetLabels()["velero.io/backup-name"], "63 characters are allowed")
}

// The row TestNewAdmissionWebhookConfigurationActionExecute of Velero.
func TestSideEffectsThatV1RefusesBecomeNone(t *testing.T) {
	for _, kind := range []string{"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"} {
		u := fromYAML(t, `{apiVersion: admissionregistration.k8s.io/v1, kind: `+kind+`, metadata: {name: a}, webhooks: [
			{name: a, sideEffects: Unknown}, {name: b, sideEffects: Some}, {name: c, sideEffects: NoneOnDryRun}, {name: d, sideEffects: None}]}`)
		prepare(u, false)
		var got []any
		for _, w := range item.Maps(u.Object["webhooks"]) {
			got = append(got, w["sideEffects"])
		}
		assert.Equal(t, []any{"None", "None", "NoneOnDryRun", "None"}, got, kind)
		beta := `{apiVersion: admissionregistration.k8s.io/v1beta1, kind: ` + kind + `, metadata: {name: a}, webhooks: [{name: a, sideEffects: Unknown}]}`
		u = fromYAML(t, beta)
		prepare(u, false)
		assert.Equal(t, fromYAML(t, beta).Object, u.Object, "the old version accepts them")
	}
}

// The rows of TestCleanupStaleVeleroLabels.
func TestWhatVeleroPutIntoTheSelectorOfAClaimIsTakenOff(t *testing.T) {
	for selector, want := range map[string]string{
		`{matchLabels: {velero.io/dynamic-pv-restore: shop.data.x}}`:                         `{}`,
		`{matchLabels: {velero.io/dynamic-pv-restore: shop.data.x, disk: red}}`:              `{selector: {matchLabels: {disk: red}}}`,
		`{matchLabels: {velero.io/x: y}, matchExpressions: [{key: disk, operator: Exists}]}`: `{selector: {matchExpressions: [{key: disk, operator: Exists}]}}`,
		`{matchLabels: {disk: velero.io}}`:                                                   `{selector: {matchLabels: {disk: velero.io}}}`,
	} {
		for _, phase := range []string{"Bound", "Pending"} {
			u := fromYAML(t, `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {storageClassName: "", selector: `+selector+`}, status: {phase: `+phase+`}}`)
			prepare(u, false)
			delete(item.Child(u.Object, "spec"), "storageClassName")
			wanted := fromYAML(t, `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: `+want+`}`)
			assert.Equal(t, wanted.Object, u.Object, "%s %s", phase, selector)
		}
	}
}
