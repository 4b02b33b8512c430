package needs

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

const (
	pod = `{serviceAccountName: runner, priorityClassName: high, runtimeClassName: gvisor, volumes: [
		{name: a, persistentVolumeClaim: {claimName: data}}, {name: b, emptyDir: {}}, {name: c, ephemeral: {volumeClaimTemplate: {spec: {storageClassName: quick}}}}]}`
	claim = `{volumeName: pv-1, storageClassName: fast, volumeAttributesClassName: gold}`
)

var (
	ofPod = []string{"persistentvolumeclaims shop/data", "storageclasses.storage.k8s.io quick", "serviceaccounts shop/runner",
		"priorityclasses.scheduling.k8s.io high", "runtimeclasses.node.k8s.io gvisor"}
	ofClaim = []string{"persistentvolumes pv-1", "storageclasses.storage.k8s.io fast", "volumeattributesclasses.storage.k8s.io gold"}
)

func TestWhatAnObjectNeeds(t *testing.T) {
	for name, c := range map[string]struct {
		resource, object string
		want             []string
	}{
		"a pod":                        {"pods", `spec: ` + pod, ofPod},
		"a pod with the least":         {"pods", `spec: {serviceAccountName: default}`, nil},
		"a pod that cannot be":         {"pods", `spec: {serviceAccountName: 7, volumes: {a: b}}`, nil},
		"a deployment":                 {"deployments.apps", `spec: {template: {spec: ` + pod + `}}`, ofPod},
		"a replica set":                {"replicasets.apps", `spec: {template: {spec: ` + pod + `}}`, ofPod},
		"a daemon set":                 {"daemonsets.apps", `spec: {template: {spec: ` + pod + `}}`, ofPod},
		"a job":                        {"jobs.batch", `spec: {template: {spec: ` + pod + `}}`, ofPod},
		"a cron job":                   {"cronjobs.batch", `spec: {jobTemplate: {spec: {template: {spec: ` + pod + `}}}}`, ofPod},
		"a replication controller":     {"replicationcontrollers", `spec: {template: {spec: ` + pod + `}}`, ofPod},
		"a pod template":               {"podtemplates", `template: {spec: ` + pod + `}`, ofPod},
		"a stateful set":               {"statefulsets.apps", `spec: {template: {spec: {}}, volumeClaimTemplates: [{spec: {storageClassName: fast}}]}`, []string{"storageclasses.storage.k8s.io fast"}},
		"a claim":                      {"persistentvolumeclaims", `spec: ` + claim, ofClaim},
		"a claim of the default class": {"persistentvolumeclaims", `spec: {}`, nil},
		"a claim of no class":          {"persistentvolumeclaims", `spec: {storageClassName: ""}`, nil},
		"a claim with the old annotation": {"persistentvolumeclaims", `metadata: {annotations: {volume.beta.kubernetes.io/storage-class: slow}}`,
			[]string{"storageclasses.storage.k8s.io slow"}},
		"a binding of a cluster role": {"rolebindings.rbac.authorization.k8s.io", `roleRef: {kind: ClusterRole, name: view}`, []string{"clusterroles.rbac.authorization.k8s.io view"}},
		"a binding of a role":         {"rolebindings.rbac.authorization.k8s.io", `roleRef: {kind: Role, name: view}`, []string{"roles.rbac.authorization.k8s.io shop/view"}},
		"a binding in the cluster":    {"clusterrolebindings.rbac.authorization.k8s.io", `roleRef: {kind: ClusterRole, name: view}`, []string{"clusterroles.rbac.authorization.k8s.io view"}},
		"a namesake of another group": {"pods.metrics.k8s.io", `spec: ` + pod, nil},
		"a config map":                {"configmaps", `data: {a: b}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			group, resource := item.SplitGroupResource(c.resource)
			k := item.Key{Group: group, Resource: resource, Namespace: "shop", Name: "x"}
			var got []string
			for _, need := range Of(object(t, c.object), k) {
				got = append(got, need.String())
			}
			assert.Equal(t, c.want, got)
			assert.True(t, len(got) == 0 || Content(c.resource), "a kind with needs is decoded")
		})
	}
}

func TestWhatAKeyShows(t *testing.T) {
	for _, c := range []struct {
		key  item.Key
		want []item.Key
	}{
		{item.Key{Resource: "configmaps", Namespace: "shop", Name: "a"}, []item.Key{{Resource: "namespaces", Name: "shop"}}},
		{item.Key{Group: "apps", Resource: "deployments", Namespace: "shop", Name: "a"}, []item.Key{{Resource: "namespaces", Name: "shop"}}},
		{item.Key{Group: "example.com", Resource: "trees", Name: "a"}, []item.Key{{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: "trees.example.com"}}},
		{item.Key{Resource: "namespaces", Name: "shop"}, nil},
	} {
		assert.Equal(t, c.want, OfKey(c.key))
	}
}

func TestABindingIsNeededByItsServiceAccounts(t *testing.T) {
	binding := object(t, `subjects: [{kind: User, name: sa}, {kind: ServiceAccount, namespace: shop, name: sa}, {kind: ServiceAccount, namespace: shop}]`)
	assert.Equal(t, []item.Key{{Resource: "serviceaccounts", Namespace: "shop", Name: "sa"}}, Accounts(binding))
	assert.Empty(t, Accounts(object(t, `subjects: {}`)))
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &u.Object))
	return u
}
