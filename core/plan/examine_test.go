package plan

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

func examine(t *testing.T, resource, text string, o Options) Entry {
	t.Helper()
	e, err := Examine(itemOf(t, resource, text), o)
	require.NoError(t, err)
	return e
}

// Each rule has its nearest object to which it does not apply.
func TestOnlyWhatCannotBeRestoredIsLeftOut(t *testing.T) {
	for _, c := range []struct{ rule, resource, out, in, reason string }{
		{"a pod that succeeded", "pods",
			`{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Succeeded}}`,
			`{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Running}}`, "has finished"},
		{"a pod that failed", "pods",
			`{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Failed}}`,
			`{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Unknown}}`, "has finished"},
		{"a pod that the kubelet made", "pods",
			`{apiVersion: v1, kind: Pod, metadata: {name: a, annotations: {kubernetes.io/config.mirror: h}}, status: {phase: Running}}`,
			`{apiVersion: v1, kind: Pod, metadata: {name: a, annotations: {kubernetes.io/config.source: api}}, status: {phase: Running}}`, "mirror pod: the kubelet makes it from a file of its node"},
		{"a mirror pod that has finished is a mirror pod first", "pods",
			`{apiVersion: v1, kind: Pod, metadata: {name: a, annotations: {kubernetes.io/config.mirror: h}}, status: {phase: Failed}}`,
			`{apiVersion: v1, kind: Pod, metadata: {name: a}}`, "mirror pod: the kubelet makes it from a file of its node"},
		{"a job with a completion time", "jobs.batch",
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {completionTime: "2026-01-01T00:00:00Z"}}`,
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {startTime: "2026-01-01T00:00:00Z"}}`, "has finished"},
		{"a job that failed for good, which has no completion time", "jobs.batch",
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {failed: 3, conditions: [{type: FailureTarget, status: "True"}, {type: Failed, status: "True"}]}}`,
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {failed: 2, conditions: [{type: FailureTarget, status: "True"}, {type: Failed, status: "False"}]}}`, "has finished"},
		{"a job that is complete", "jobs.batch",
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {conditions: [{type: Complete, status: "True"}]}}`,
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {conditions: [{type: Suspended, status: "True"}]}}`, "has finished"},
		{"the CA of the old cluster", "configmaps",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: kube-root-ca.crt, namespace: shop}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: my-root-ca.crt, namespace: shop}}`, "generated: the target cluster makes its own"},
		{"the CA of the old cluster, and not what begins like it", "configmaps",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: kube-root-ca.crt, namespace: shop}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: kube-root-ca.crt.mine, namespace: shop}}`, "generated: the target cluster makes its own"},
		{"endpoints of a service with a selector", "endpoints",
			`{apiVersion: v1, kind: Endpoints, metadata: {name: a, labels: {endpoints.kubernetes.io/managed-by: endpoint-controller}}}`,
			`{apiVersion: v1, kind: Endpoints, metadata: {name: a, labels: {endpoints.kubernetes.io/managed-by: staff}}}`, "generated: the target cluster makes its own"},
		{"endpoints of an older cluster's service with a selector", "endpoints",
			`{apiVersion: v1, kind: Endpoints, metadata: {name: a, annotations: {endpoints.kubernetes.io/last-change-trigger-time: "2026-01-01T00:00:00Z"}}}`,
			`{apiVersion: v1, kind: Endpoints, metadata: {name: a, annotations: {endpoints.kubernetes.io/over-capacity: truncated}}}`, "generated: the target cluster makes its own"},
		{"slices of a service with a selector", "endpointslices.discovery.k8s.io",
			`{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a, labels: {endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io}}}`,
			`{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a, labels: {endpointslice.kubernetes.io/managed-by: staff.example.com}}}`, "generated: the target cluster makes its own"},
		{"slices that mirror endpoints", "endpointslices.discovery.k8s.io",
			`{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a, labels: {endpointslice.kubernetes.io/managed-by: endpointslicemirroring-controller.k8s.io}}}`,
			`{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}}`, "generated: the target cluster makes its own"},
		{"a token that a controller made for an account", "secrets",
			`{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: checkout-token-x2b4z, annotations: {kubernetes.io/service-account.name: checkout}}}`,
			`{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: checkout-token, annotations: {kubernetes.io/service-account.name: checkout}}}`, "generated: the target cluster makes its own"},
		{"a token by its type, and not by its name", "secrets",
			`{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: checkout-token-x2b4z, annotations: {kubernetes.io/service-account.name: checkout}}}`,
			`{apiVersion: v1, kind: Secret, type: Opaque, metadata: {name: checkout-token-x2b4z, annotations: {kubernetes.io/service-account.name: checkout}}}`, "generated: the target cluster makes its own"},
		{"a token of this account, and not of another", "secrets",
			`{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: checkout-token-x2b4z, annotations: {kubernetes.io/service-account.name: checkout}}}`,
			`{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: checkout-token-x2b4z, annotations: {kubernetes.io/service-account.name: other}}}`, "generated: the target cluster makes its own"},
		{"the address of a service", "ipaddresses.networking.k8s.io",
			`{apiVersion: networking.k8s.io/v1, kind: IPAddress, metadata: {name: 10.0.0.1, labels: {ipaddress.kubernetes.io/managed-by: ipallocator.k8s.io}}}`,
			`{apiVersion: networking.k8s.io/v1, kind: IPAddress, metadata: {name: 10.0.0.1}}`, "generated: the target cluster makes its own"},
		{"the heartbeat of a node", "leases.coordination.k8s.io",
			`{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: node-1, namespace: kube-node-lease}}`,
			`{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: node-1, namespace: shop}}`, "belongs to the cluster it came from"},
		{"the identity of an API server", "leases.coordination.k8s.io",
			`{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: a, namespace: kube-system, labels: {apiserver.kubernetes.io/identity: kube-apiserver}}}`,
			`{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: a, namespace: kube-system}}`, "belongs to the cluster it came from"},
		{"the registration of a built-in API", "apiservices.apiregistration.k8s.io",
			`{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1., labels: {kube-aggregator.kubernetes.io/automanaged: onstart}}}`,
			`{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1beta1.metrics.k8s.io}}`, "generated: the target cluster makes its own"},
		{"a volume that goes with its claim", "persistentvolumes",
			`{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}, spec: {persistentVolumeReclaimPolicy: Delete}}`,
			`{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}, spec: {persistentVolumeReclaimPolicy: Retain}}`, "its data is not restored, and a claim gets a new, empty volume in its place"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			assert.Equal(t, c.reason, examine(t, c.resource, c.out, Options{}).Leave)
			assert.Empty(t, examine(t, c.resource, c.in, Options{}).Leave)
		})
	}
}

func TestAVolumeWithDataInTheBackupIsProvisionedAgain(t *testing.T) {
	const volume = `{apiVersion: v1, kind: PersistentVolume, metadata: {name: pv-1}, spec: {persistentVolumeReclaimPolicy: Retain}}`
	saved := Options{VolumeData: map[string]VolumeData{"pv-1": {Method: "PodVolumeBackup"}}}
	assert.Equal(t, "its data is not restored, and a claim gets a new, empty volume in its place", examine(t, "persistentvolumes", volume, saved).Leave)
	assert.Empty(t, examine(t, "persistentvolumes", volume, Options{VolumeData: map[string]VolumeData{"pv-2": {Method: "PodVolumeBackup"}}}).Leave)
}

func TestRecordsOfTheClusterItselfAreNotRestored(t *testing.T) {
	const of = `{apiVersion: %s, kind: X, metadata: {name: a}}`
	for resource, left := range map[string]bool{
		"nodes": true, "events": true, "events.events.k8s.io": true, "certificatesigningrequests.certificates.k8s.io": true,
		"backups.velero.io": true, "restores.velero.io": true, "resticrepositories.velero.io": true, "backuprepositories.velero.io": true,
		"csinodes.storage.k8s.io": true, "volumeattachments.storage.k8s.io": true,
		"nodes.metrics.k8s.io": false, "events.example.com": false, "backups.postgresql.cnpg.io": false, "schedules.velero.io": false,
		"backupstoragelocations.velero.io": false, "csidrivers.storage.k8s.io": false, "certificates.cert-manager.io": false,
	} {
		group, _ := item.SplitGroupResource(resource)
		version := "v1"
		if group != "" {
			version = group + "/v1"
		}
		want := ""
		if left {
			want = "belongs to the cluster it came from"
		}
		assert.Equal(t, want, examine(t, resource, strings.Replace(of, "%s", version, 1), Options{}).Leave, resource)
	}
}

func TestWhatWouldStartSomethingIsSkippedAndNamed(t *testing.T) {
	for resource, want := range map[string]string{
		"volumesnapshots.snapshot.storage.k8s.io": leaveSnapshot, "volumesnapshotcontents.snapshot.storage.k8s.io": leaveSnapshot,
		"volumegroupsnapshots.groupsnapshot.storage.k8s.io": leaveSnapshot, "volumegroupsnapshotcontents.groupsnapshot.storage.k8s.io": leaveSnapshot,
		"datauploads.velero.io": leaveTransfer, "datadownloads.velero.io": leaveTransfer, "podvolumebackups.velero.io": leaveTransfer,
		"podvolumerestores.velero.io": leaveTransfer, "deletebackuprequests.velero.io": leaveTransfer,
		"volumesnapshotclasses.snapshot.storage.k8s.io": "", "volumesnapshots.example.com": "", "datauploads.example.com": "", "schedules.velero.io": "",
	} {
		group, plural := item.SplitGroupResource(resource)
		e := examine(t, resource, `{apiVersion: `+group+`/v1, kind: X, metadata: {name: a, namespace: velero}}`, Options{})
		assert.Equal(t, want, e.Leave, resource)
		assert.Equal(t, want, e.Volume, resource)
		p := Options{}.Build("b", []Entry{e}, everything())
		assert.Equal(t, want != "", len(p.Volumes) == 1 && p.Volumes[0] == Volume{Object: plural + "." + group + " velero/a", Note: want}, resource)
	}
}

func TestTheFilterOfARestoreSaysWhatItTakes(t *testing.T) {
	const (
		inShop                    = `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop, labels: {app: web}}}`
		shop                      = `{apiVersion: v1, kind: Namespace, metadata: {name: shop}}`
		role                      = `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a}}`
		filtered, excluded, taken = "left out by the filter of the restore", "excluded by the filter of the restore", ""
	)
	yes, no := true, false
	for _, c := range []struct {
		name, resource, object string
		filter                 filter.Filter
		want                   string
	}{
		{"everything, without one", "configmaps", inShop, filter.Filter{}, taken},
		{"a namespace that is included", "configmaps", inShop, filter.Filter{IncludedNamespaces: []string{"shop"}}, taken},
		{"a namespace that is included by a pattern", "configmaps", inShop, filter.Filter{IncludedNamespaces: []string{"sh*"}}, taken},
		{"not a namespace that is not included", "configmaps", inShop, filter.Filter{IncludedNamespaces: []string{"other"}}, filtered},
		{"not a namespace that is excluded", "configmaps", inShop, filter.Filter{ExcludedNamespaces: []string{"shop"}}, filtered},
		{"the namespace itself, when it is included", "namespaces", shop, filter.Filter{IncludedNamespaces: []string{"shop"}}, taken},
		{"not the namespace itself, when it is not", "namespaces", shop, filter.Filter{IncludedNamespaces: []string{"other"}}, filtered},
		{"what is in no namespace, with all namespaces", "clusterroles.rbac.authorization.k8s.io", role, filter.Filter{}, taken},
		{"what is in no namespace, with a star for all of them", "clusterroles.rbac.authorization.k8s.io", role, filter.Filter{IncludedNamespaces: []string{"*"}}, taken},
		{"not what is in no namespace, with some namespaces", "clusterroles.rbac.authorization.k8s.io", role, filter.Filter{IncludedNamespaces: []string{"shop"}}, filtered},
		{"not what is in no namespace, with some namespaces, although it is named", "clusterroles.rbac.authorization.k8s.io", role, filter.Filter{IncludedNamespaces: []string{"shop"}, IncludedResources: []string{"clusterroles"}}, filtered},
		{"what is in no namespace, with some namespaces, when all of that is asked for", "clusterroles.rbac.authorization.k8s.io", role, filter.Filter{IncludedNamespaces: []string{"shop"}, IncludeClusterResources: &yes}, taken},
		{"not what is in no namespace, when none of that is asked for", "clusterroles.rbac.authorization.k8s.io", role, filter.Filter{IncludeClusterResources: &no}, excluded},
		{"what satisfies one of two selectors", "configmaps", inShop, filter.Filter{OrLabelSelectors: []string{"app=db", "app=web"}}, taken},
		{"not what satisfies neither", "configmaps", inShop, filter.Filter{OrLabelSelectors: []string{"app=db", "team"}}, filtered},
		{"a resource that is named in full", "configmaps", inShop, filter.Filter{IncludedResources: []string{"configmaps"}}, taken},
		{"not a resource that is not named", "configmaps", inShop, filter.Filter{IncludedResources: []string{"secrets"}}, filtered},
		{"not a resource that is excluded", "configmaps", inShop, filter.Filter{ExcludedResources: []string{"configmaps"}}, excluded},
		{"not what is excluded in a namespace that is not included: the stronger word counts", "configmaps", inShop, filter.Filter{IncludedNamespaces: []string{"other"}, ExcludedResources: []string{"configmaps"}}, excluded},
		{"what bears the labels", "configmaps", inShop, filter.Filter{LabelSelector: "app=web"}, taken},
		{"not what does not", "configmaps", inShop, filter.Filter{LabelSelector: "app!=web"}, filtered},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, examine(t, c.resource, c.object, Options{Filter: c.filter}).Leave)
		})
	}
}

func TestTheFiltersReasonComesBeforeTheRules(t *testing.T) {
	const finished = `{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}, status: {phase: Failed}}`
	assert.Equal(t, "left out by the filter of the restore", examine(t, "pods", finished, Options{Filter: filter.Filter{IncludedNamespaces: []string{"other"}}}).Leave)
	assert.Equal(t, "has finished", examine(t, "pods", finished, Options{Filter: filter.Filter{IncludedNamespaces: []string{"shop"}}}).Leave)
}

func TestADefinitionSaysWhatItDefines(t *testing.T) {
	const definition = `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: trees.orchard.example.com}, spec: {group: orchard.example.com, names: {plural: trees, kind: Tree}}}`
	assert.Equal(t, "trees.orchard.example.com", examine(t, "customresourcedefinitions.apiextensions.k8s.io", definition, Options{}).Defines)
	assert.Empty(t, examine(t, "configmaps", `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, spec: {group: g, names: {plural: p}}}`, Options{}).Defines)
}

func TestAnAPIServiceSaysWhatItHandsOn(t *testing.T) {
	const remote = `{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v3.calico.example.com}, spec: {group: calico.example.com, version: v3, service: {name: api, namespace: calico}}}`
	const local = `{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1.apps}, spec: {group: apps, version: v1}}`
	assert.Equal(t, "calico.example.com/v3", examine(t, "apiservices.apiregistration.k8s.io", remote, Options{}).Aggregates)
	assert.Empty(t, examine(t, "apiservices.apiregistration.k8s.io", local, Options{}).Aggregates)
}

func TestVolumesSayWhatBecomesOfTheirData(t *testing.T) {
	saved := Options{VolumeData: map[string]VolumeData{"pv-1": {Method: "CSISnapshot"}}}
	const in, notIn = "data not restored: it is in the backup (CSISnapshot), and this version restores objects only", "data not included in the backup"
	claim := func(volume string) string {
		return `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {volumeName: "` + volume + `"}}`
	}
	assert.Equal(t, in, examine(t, "persistentvolumeclaims", claim("pv-1"), saved).Volume)
	assert.Equal(t, notIn, examine(t, "persistentvolumeclaims", claim("pv-2"), saved).Volume)
	assert.Equal(t, notIn, examine(t, "persistentvolumeclaims", claim(""), saved).Volume)
	assert.Equal(t, in, examine(t, "persistentvolumes", `{apiVersion: v1, kind: PersistentVolume, metadata: {name: pv-1}}`, saved).Volume)
	assert.Equal(t, notIn, examine(t, "persistentvolumes", `{apiVersion: v1, kind: PersistentVolume, metadata: {name: pv-3}}`, saved).Volume)
	assert.Empty(t, examine(t, "pods", `{apiVersion: v1, kind: Pod, metadata: {name: pv-1}}`, saved).Volume)
}

func TestAnEntryIdentifiesItsItem(t *testing.T) {
	it := itemOf(t, "deployments.apps", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: shop, uid: u}, spec: {replicas: 1}}`)
	raw := string(it.Raw)
	e, err := Examine(it, Options{})
	require.NoError(t, err)
	normalised, err := DigestOf(it)
	require.NoError(t, err)
	assert.Equal(t, Entry{Key: it.Key, Version: "v1", Kind: "Deployment", Size: len(raw), Sum: sha256.Sum256([]byte(raw)), Digest: normalised, uid: sumOf("u")}, e)
	assert.NotEqual(t, e.Sum, e.Digest)
	assert.Equal(t, raw, string(it.Raw), "the item itself is not changed")
}
