package restore

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

func TestAFieldIsExplainedByTheWebhookThatWasThereBefore(t *testing.T) {
	var hook unstructured.Unstructured
	require.NoError(t, hook.UnmarshalJSON([]byte(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration","metadata":{"name":"inject"},"webhooks":[{"rules":[{"operations":["CREATE"],"apiGroups":[""],"apiVersions":["v1"],"resources":["configmaps"]}]}]}`)))
	change := func(late bool) apply.Change {
		return apply.Change{Key: item.Key{Resource: "configmaps", Namespace: "shop", Name: "a"}, Outcome: apply.Created, Late: late, Altered: []plan.Alteration{{Field: "data.b", Was: "absent", Is: `"c"`, Adds: true, Cause: plan.CauseUnknown}}}
	}
	explained := func(c apply.Change, ms ...mutator) apply.Change { explain(&c, ms); return c }

	theirs := explained(change(false), mutator{"the mutating webhook configuration inject", false, &hook})
	assert.Equal(t, `configmaps shop/a: created, and changed by the cluster: data.b is "c", absent in the backup (the mutating webhook configuration inject)`, Altered(theirs))
	assert.True(t, theirs.Altered[0].Admission)

	ours := explained(change(false), mutator{"the mutating webhook configuration inject", true, &hook})
	assert.False(t, ours.Altered[0].Admission, "the restore created the webhook after the object")
	assert.Empty(t, Altered(ours), "a default of the API server")
	assert.True(t, Defaulted(ours))
	assert.True(t, explained(change(true), mutator{"x", true, &hook}).Altered[0].Admission, "the object was tried again afterwards")

	lost := change(false)
	lost.Altered[0].Adds = false
	assert.NotEmpty(t, Altered(explained(lost)), "what is lost is said whoever did it")
}
