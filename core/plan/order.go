package plan

import (
	"cmp"
	"slices"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// The order in which resources are restored is Velero v1.18's
// (pkg/cmd/server/config/config.go): these first, one after the other; all
// others together; then last. Where we add to it: whatever can refuse or
// redirect the creation of other objects comes after everything else, so that
// a restore cannot block itself.
var first = []string{
	"customresourcedefinitions.apiextensions.k8s.io",
	"namespaces",
	"storageclasses.storage.k8s.io",
	"volumesnapshotclasses.snapshot.storage.k8s.io",
	"volumesnapshotcontents.snapshot.storage.k8s.io",
	"volumesnapshots.snapshot.storage.k8s.io",
	"datauploads.velero.io",
	"persistentvolumes",
	"persistentvolumeclaims",
	"clusterroles.rbac.authorization.k8s.io",
	"roles.rbac.authorization.k8s.io",
	"serviceaccounts",
	"clusterrolebindings.rbac.authorization.k8s.io",
	"rolebindings.rbac.authorization.k8s.io",
	"secrets",
	"configmaps",
	"priorityclasses.scheduling.k8s.io",
	"runtimeclasses.node.k8s.io", // ours: admission refuses a pod whose class is not there
	"pods",
	"limitranges", // Velero: before pods, where it changes or refuses those made before it was
	"replicasets.apps",
	"clusterclasses.cluster.x-k8s.io",
	"endpoints",
	"services",
}

var last = [][]string{
	{
		"clusterbootstraps.run.tanzu.vmware.com",
		"clusters.cluster.x-k8s.io",
		"clusterresourcesets.addons.cluster.x-k8s.io",
		"apps.kappctrl.k14s.io",
		"packageinstalls.packaging.carvel.dev",
	},
	{"resourcequotas"},
	{"apiservices.apiregistration.k8s.io"},
	{
		"validatingadmissionpolicies.admissionregistration.k8s.io",
		"validatingadmissionpolicybindings.admissionregistration.k8s.io",
		"mutatingadmissionpolicies.admissionregistration.k8s.io",
		"mutatingadmissionpolicybindings.admissionregistration.k8s.io",
		"validatingwebhookconfigurations.admissionregistration.k8s.io",
		"mutatingwebhookconfigurations.admissionregistration.k8s.io",
	},
}

// stages maps a resource to its stage. Steps of one stage do not depend on
// each other; those of a later one may depend on those of an earlier one.
var stages = func() map[string]int {
	m := make(map[string]int)
	for i, r := range first {
		m[r] = i
	}
	for i, rs := range last {
		for _, r := range rs {
			m[r] = len(first) + 1 + i
		}
	}
	return m
}()

const (
	stageDefinitions = 0
	stageNamespaces  = 1
)

// stagePods is the first stage whose objects run containers or make pods.
var stagePods = stages["pods"]

// policyEngines are the groups in which the common policy engines keep what their
// webhooks change and refuse. Where an engine runs in the target, they come with
// the admission policies.
var policyEngines = []string{"constraints.gatekeeper.sh", "mutations.gatekeeper.sh", "kyverno.io", "policies.kyverno.io", "policies.kubewarden.io"}

func stageOf(k item.Key) int {
	if s, ok := stages[k.GroupResource()]; ok {
		return s
	}
	if slices.Contains(policyEngines, k.Group) {
		return stages["validatingadmissionpolicies.admissionregistration.k8s.io"]
	}
	return len(first)
}

func sortSteps(steps []Step) {
	slices.SortFunc(steps, func(a, b Step) int {
		return cmp.Or(cmp.Compare(a.Stage, b.Stage), item.Compare(a.Key, b.Key))
	})
}
