package apply

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

func TestTheAnswerToACreationIsComparedWithWhatWasSent(t *testing.T) {
	key := item.Key{Resource: "pods", Namespace: "shop", Name: "a"}
	it := item.Item{Key: key, Version: "v1", Kind: "Pod", Raw: []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"shop"},"spec":{"priority":0,"containers":[{"name":"a"}]}}`)}
	digest, err := plan.DigestOf(it)
	require.NoError(t, err)
	w := Work{Step: plan.Step{Key: key, Version: "v1", Kind: "Pod", Action: plan.Create, Digest: digest}, Item: it}
	inspect := func(a *Applier, answer string) Change {
		var c Change
		require.NoError(t, a.inspect(&c, w, []byte(answer)))
		return c
	}
	const as = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"shop","uid":"u"},"spec":{"priority":0,"containers":[{"name":"a"}]}}`
	const other = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"shop"},"spec":{"priority":5,"priorityClassName":"house","containers":[{"name":"a"}]}}`

	c := inspect(&Applier{}, as)
	assert.Empty(t, c.Altered)
	assert.Empty(t, c.Computed)
	assert.Nil(t, c.Made)
	assert.Equal(t, &digest, inspect(&Applier{Digests: true}, as).Made)

	c = inspect(&Applier{}, other)
	require.Len(t, c.Altered, 1)
	assert.Equal(t, `spec.priorityClassName is "house", absent in the backup (the default PriorityClass of the cluster)`, c.Altered[0].String())
	require.Len(t, c.Computed, 1)
	assert.Equal(t, "spec.priority", c.Computed[0].Field)
	require.NotNil(t, c.Made)
	assert.NotEqual(t, digest, *c.Made)
	assert.Equal(t, "a value (not shown)", inspect(&Applier{Hide: true}, other).Altered[0].Is)
}
