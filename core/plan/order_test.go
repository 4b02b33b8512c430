package plan

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

const theRest = "(everything else)"

// goldenOrder has a line for each stage. Whoever changes it changes
// docs/restore.md too.
const goldenOrder = `
customresourcedefinitions.apiextensions.k8s.io
namespaces
storageclasses.storage.k8s.io
volumesnapshotclasses.snapshot.storage.k8s.io
volumesnapshotcontents.snapshot.storage.k8s.io
volumesnapshots.snapshot.storage.k8s.io
datauploads.velero.io
persistentvolumes
persistentvolumeclaims
clusterroles.rbac.authorization.k8s.io
roles.rbac.authorization.k8s.io
serviceaccounts
clusterrolebindings.rbac.authorization.k8s.io
rolebindings.rbac.authorization.k8s.io
secrets
configmaps
priorityclasses.scheduling.k8s.io
runtimeclasses.node.k8s.io
pods
limitranges
replicasets.apps
clusterclasses.cluster.x-k8s.io
endpoints
services
(everything else)
clusterbootstraps.run.tanzu.vmware.com clusters.cluster.x-k8s.io clusterresourcesets.addons.cluster.x-k8s.io apps.kappctrl.k14s.io packageinstalls.packaging.carvel.dev
resourcequotas
apiservices.apiregistration.k8s.io
validatingadmissionpolicies.admissionregistration.k8s.io validatingadmissionpolicybindings.admissionregistration.k8s.io mutatingadmissionpolicies.admissionregistration.k8s.io mutatingadmissionpolicybindings.admissionregistration.k8s.io validatingwebhookconfigurations.admissionregistration.k8s.io mutatingwebhookconfigurations.admissionregistration.k8s.io
`

// stagesOf reads an order written as one stage per line. Resources of a stage
// have no order.
func stagesOf(text string) [][]string {
	var out [][]string
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line = strings.TrimSpace(line)
		if line == theRest {
			out = append(out, []string{theRest})
			continue
		}
		stage := strings.Fields(line)
		slices.Sort(stage)
		out = append(out, stage)
	}
	return out
}

var ordinary = []string{"deployments.apps", "trees.orchard.example.com", "ingresses.networking.k8s.io", "events.example.com"}

// stagesOfAPlan are the stages of a plan for one object of each resource, which
// come in any order.
func stagesOfAPlan(t *testing.T, resources []string) [][]string {
	t.Helper()
	rand.Shuffle(len(resources), func(i, j int) { resources[i], resources[j] = resources[j], resources[i] })
	var entries []Entry
	for _, r := range resources {
		entries = append(entries, entry(r, "", "x"))
	}
	p := Options{}.Build("b", entries, Observed{})
	require.Len(t, p.Steps, len(resources))
	var out [][]string
	last := -1
	for _, s := range p.Steps {
		name := s.GroupResource()
		if slices.Contains(ordinary, name) {
			name = theRest
		}
		if s.Stage != last {
			out, last = append(out, nil), s.Stage
		}
		if i := len(out) - 1; !slices.Contains(out[i], name) {
			out[i] = append(out[i], name)
		}
	}
	for _, stage := range out {
		slices.Sort(stage)
	}
	return out
}

// entry is an item of the resource at v1 that nothing speaks against.
func entry(resource, namespace, name string) Entry {
	group, plural := item.SplitGroupResource(resource)
	return Entry{Key: item.Key{Group: group, Resource: plural, Namespace: namespace, Name: name}, Version: "v1", Digest: Digest{1}, Size: 10}
}

func codesResources() []string {
	return slices.Concat(first, slices.Concat(last...), ordinary)
}

func TestTheOrderOfARestoreIsTheGoldenOne(t *testing.T) {
	assert.Equal(t, stagesOf(goldenOrder), stagesOfAPlan(t, codesResources()))
}

func TestTheDocumentedOrderIsTheCodes(t *testing.T) {
	doc, err := os.ReadFile("../../docs/restore.md")
	require.NoError(t, err)
	_, after, found := strings.Cut(string(doc), "```order\n")
	require.True(t, found, "docs/restore.md has no block that starts with ```order")
	documented, _, found := strings.Cut(after, "```")
	require.True(t, found)
	assert.Equal(t, stagesOf(documented), stagesOfAPlan(t, codesResources()))
}

func TestAResourceOfAnotherGroupHasNoPlaceOfItsOwn(t *testing.T) {
	for _, other := range []string{"services.serving.knative.dev", "secrets.vault.example.com", "pods.metrics.k8s.io", "namespaces.example.com"} {
		p := Options{}.Build("b", []Entry{entry(other, "", "x"), entry("deployments.apps", "", "x")}, Observed{})
		assert.Equal(t, p.Steps[0].Stage, p.Steps[1].Stage, other)
	}
}

func TestWhatCanRefuseObjectsComesAfterThem(t *testing.T) {
	refusing := []string{"resourcequotas", "validatingwebhookconfigurations.admissionregistration.k8s.io", "mutatingwebhookconfigurations.admissionregistration.k8s.io",
		"validatingadmissionpolicies.admissionregistration.k8s.io", "validatingadmissionpolicybindings.admissionregistration.k8s.io", "apiservices.apiregistration.k8s.io",
		"clusterpolicies.kyverno.io", "k8srequiredlabels.constraints.gatekeeper.sh", "assign.mutations.gatekeeper.sh"}
	for _, r := range refusing {
		for _, o := range slices.Concat(first, ordinary, last[0]) {
			assert.Greater(t, stageOf(entry(r, "", "x").Key), stageOf(entry(o, "", "x").Key), "%s after %s", r, o)
		}
	}
}

func TestOnlyDefinitionsDefine(t *testing.T) {
	for _, s := range (Options{}).Build("b", []Entry{entry("customresourcedefinitions.apiextensions.k8s.io", "", "a"), entry("namespaces", "", "b"), entry("pods", "n", "c")}, Observed{}).Steps {
		assert.Equal(t, s.Resource == "customresourcedefinitions", s.Defining(), s.Key)
	}
}
