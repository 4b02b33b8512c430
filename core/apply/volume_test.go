package apply

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

const (
	toolsKey = "persistentvolumes /tools"
	tools    = toolsKey + ` = {"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"tools","uid":"v"},"spec":{"nfs":{"path":"/t"},"claimRef":{"apiVersion":"v1","kind":"PersistentVolumeClaim","namespace":"shed","name":"box","uid":"old","resourceVersion":"7"}}}`
	boxKey   = "persistentvolumeclaims shed/box"
)

// taking is the step of a claim that gets its volume back.
func taking(v plan.VolumeStep) Work {
	k := item.Key{Resource: "persistentvolumeclaims", Namespace: "shed", Name: "box"}
	v.Name, v.Reserve = "tools", true
	return Work{
		Step: plan.Step{Key: k, Version: "v1", Kind: "PersistentVolumeClaim", Action: plan.Create, Reason: "gets it back", Volume: &v},
		Item: item.Item{Key: k, Version: "v1", Kind: "PersistentVolumeClaim", Raw: []byte(`{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"box","namespace":"shed"},"spec":{"volumeName":"tools"},"status":{"phase":"Bound"}}`)},
	}
}

func claimRefIn(w *world) map[string]any {
	return item.Child(w.objects[toolsKey], "spec", "claimRef")
}

func TestAClaimIsMadeForItsVolumeAfterTheVolumeIsReservedForIt(t *testing.T) {
	w := newWorld(tools)
	a := Applier{Cluster: w, Backup: "b", Restore: "r"}
	work := taking(plan.VolumeStep{UID: "v", Was: plan.ClaimRef{Namespace: "shed", Name: "box", UID: "old"}})
	changes, err := a.Run(t.Context(), []Work{work})
	require.NoError(t, err)
	assert.Equal(t, Created, changes[0].Outcome, changes[0].Reason)
	assert.Equal(t, []string{"PATCH " + toolsKey, "POST " + boxKey}, w.writes())
	assert.Equal(t, map[string]any{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "shed", "name": "box"}, claimRefIn(w))
	assert.Equal(t, "tools", item.Child(w.objects[boxKey], "spec")["volumeName"])
}

func TestAVolumeThatHasChangedIsNotTaken(t *testing.T) {
	was := plan.ClaimRef{Namespace: "shed", Name: "box", UID: "older"}
	for name, v := range map[string]plan.VolumeStep{"another claim": {UID: "v", Was: was}, "another volume": {UID: "x", Was: plan.ClaimRef{Namespace: "shed", Name: "box", UID: "old"}}} {
		w := newWorld(tools)
		a := Applier{Cluster: w, Backup: "b", Restore: "r"}
		changes, err := a.Run(t.Context(), []Work{taking(v)})
		require.NoError(t, err)
		assert.Equal(t, Failed, changes[0].Outcome, name)
		assert.Equal(t, "its volume tools cannot be given back: it "+reasonChanged, changes[0].Reason)
		assert.Empty(t, w.writes())
	}
}

func TestAVolumeThatItsControllerChangesMeanwhileIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(tools)
		w.before = func(r string, n int) error {
			if r == "PATCH "+toolsKey && n == 1 {
				return apierrors.NewConflict(schema.GroupResource{Resource: "persistentvolumes"}, "tools", errors.New("modified"))
			}
			return nil
		}
		a := Applier{Cluster: w, Backup: "b", Restore: "r"}
		work := taking(plan.VolumeStep{UID: "v", Was: plan.ClaimRef{Namespace: "shed", Name: "box", UID: "old"}, ClaimUID: "mine", Only: true})
		work.Step.Action = plan.Update
		changes, err := a.Run(t.Context(), []Work{work})
		require.NoError(t, err)
		assert.Equal(t, Updated, changes[0].Outcome, changes[0].Reason)
		assert.Equal(t, "mine", claimRefIn(w)["uid"])
		assert.Equal(t, []string{"PATCH " + toolsKey, "PATCH " + toolsKey}, w.writes(), "the claim itself is not changed")
	})
}

func TestARestoredVolumeNamesTheClaimThatLostIt(t *testing.T) {
	w := newWorld()
	a := Applier{Cluster: w, Backup: "b", Restore: "r"}
	k := item.Key{Resource: "persistentvolumes", Name: "tools"}
	work := Work{
		Step: plan.Step{Key: k, Version: "v1", Kind: "PersistentVolume", Action: plan.Create, ClaimUID: "mine"},
		Item: item.Item{Key: k, Version: "v1", Kind: "PersistentVolume", Raw: []byte(`{"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"tools"},"spec":{"claimRef":{"namespace":"shed","name":"box","uid":"old"}}}`)},
	}
	_, err := a.Run(t.Context(), []Work{work})
	require.NoError(t, err)
	assert.Equal(t, "mine", claimRefIn(w)["uid"])
}
