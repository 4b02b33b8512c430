package apply

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

func TestADefaultClassGetsItsMarkWhenTheObjectsWithoutAClassAreThere(t *testing.T) {
	key := item.Key{Group: "storage.k8s.io", Resource: "storageclasses", Name: "quick"}
	it := item.Item{Key: key, Version: "v1", Kind: "StorageClass", Raw: []byte(`{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"quick","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"p"}`)}
	f := newFake()
	a := applier(f)
	step := plan.Step{Key: key, Version: "v1", Kind: "StorageClass", Action: plan.Create}
	changes, err := a.Run(t.Context(), []Work{{Step: step, Item: it}})
	require.NoError(t, err)
	assert.Equal(t, Created, changes[0].Outcome)
	assert.NotContains(t, string(f.objects[key]), "is-default-class")
	assert.Contains(t, string(f.objects[key]), `"lifeboat.dev/incomplete":"b"`)

	never := func(s plan.Step, reason string) { t.Error(s.Key, reason) }
	require.NoError(t, a.Complete(t.Context(), plan.RoundPods, never))
	assert.Empty(t, f.patches, "not before the pods")
	require.NoError(t, a.Complete(t.Context(), plan.RoundOthers, never))
	assert.Contains(t, f.patches[key], `"storageclass.kubernetes.io/is-default-class":"true"`)
	assert.Contains(t, f.patches[key], `"lifeboat.dev/incomplete":null`)

	delete(f.patches, key)
	require.NoError(t, a.Complete(t.Context(), plan.RoundLast, never))
	assert.Empty(t, f.patches, "once")
}

func TestWhatAnInterruptedRestoreHasNotSetIsKnown(t *testing.T) {
	key := item.Key{Resource: "namespaces", Name: "shop"}
	it := item.Item{Key: key, Version: "v1", Kind: "Namespace", Raw: []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop","labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`)}
	a := applier(newFake())
	_, err := a.Run(t.Context(), []Work{{Step: plan.Step{Key: key, Version: "v1", Kind: "Namespace", Action: plan.Create}, Item: it}})
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, a.Complete(ended, plan.RoundLast, func(plan.Step, string) {}))
	require.Len(t, a.Incomplete(), 1)
	assert.Equal(t, key, a.Incomplete()[0].Key)
	require.NoError(t, a.Complete(t.Context(), plan.RoundLast, func(plan.Step, string) {}))
	assert.Empty(t, a.Incomplete())
}
