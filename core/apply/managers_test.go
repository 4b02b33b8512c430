package apply

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// applied is a ConfigMap that flux applied on the server, in a world whose API
// server records the fields that a write adds.
func applied(t *testing.T) (*world, Work) {
	t.Helper()
	w := newWorld()
	w.created = func(m map[string]any) {
		meta := m["metadata"].(map[string]any)
		meta["managedFields"] = []any{map[string]any{
			"manager": "lifeboat", "operation": "Update", "apiVersion": "v1", "fieldsV1": map[string]any{"f:data": map[string]any{"f:a": map[string]any{}}},
		}}
	}
	step := configMap(t, "a")
	step.Item.Raw = fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop","managedFields":[%s]},"data":{"a":"b"}}`, flux)
	return w, step
}

const flux = `{"manager":"flux","operation":"Apply","apiVersion":"v1","fieldsV1":{"f:data":{"f:a":{}}}}`

func TestManagersGetTheFieldsOfACreatedObject(t *testing.T) {
	w, step := applied(t)
	changes, err := (&Applier{Cluster: w, Backup: "b", Restore: "r"}).Run(t.Context(), []Work{step})
	require.NoError(t, err)
	assert.Equal(t, "absent", changes[0].Reason)
	assert.Equal(t, []string{"POST " + cmA, "PATCH " + cmA}, w.asked)
	assert.JSONEq(t, `{"metadata":{"uid":"uid-1","resourceVersion":"1","managedFields":[`+flux+`]}}`, w.bodies[cmA])
}

func TestManagersCostNothingForOtherObjects(t *testing.T) {
	w, step := applied(t)
	step.Item.Raw = []byte(strings.ReplaceAll(string(step.Item.Raw), "Apply", "Update"))
	_, err := (&Applier{Cluster: w, Backup: "b", Restore: "r"}).Run(t.Context(), []Work{step})
	require.NoError(t, err)
	assert.Equal(t, []string{"POST " + cmA}, w.asked)
}

// TestManagersAfterAnotherWrite is a controller that writes between the creation
// and the patch.
func TestManagersAfterAnotherWrite(t *testing.T) {
	w, step := applied(t)
	w.before = func(r string, n int) error {
		if r == "PATCH "+cmA && n == 1 {
			return apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, "a", errors.New("modified"))
		}
		return nil
	}
	changes, err := (&Applier{Cluster: w, Backup: "b", Restore: "r"}).Run(t.Context(), []Work{step})
	require.NoError(t, err)
	assert.Equal(t, "absent", changes[0].Reason)
	assert.Equal(t, []string{"POST " + cmA, "PATCH " + cmA, "GET " + cmA, "PATCH " + cmA}, w.asked)
}

func TestManagersThatAreRefused(t *testing.T) {
	w, step := applied(t)
	w.before = func(r string, _ int) error {
		if r == "PATCH "+cmA {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "a", errors.New("no patches"))
		}
		return nil
	}
	changes, err := (&Applier{Cluster: w, Backup: "b", Restore: "r"}).Run(t.Context(), []Work{step})
	require.NoError(t, err)
	assert.Equal(t, Created, changes[0].Outcome)
	assert.Equal(t, `absent; its field managers could not be restored: configmaps "a" is forbidden: no patches`, changes[0].Reason)
}

func TestManagersOfAnUpdatedObject(t *testing.T) {
	w, step := applied(t)
	w.created = nil
	w.put(cmA, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop","managedFields":[
		{"manager":"lifeboat","operation":"Update","apiVersion":"v1","fieldsV1":{"f:data":{"f:a":{}}}}]},"data":{"a":"old"}}`)
	raw := step.Item.Raw
	step = changing(t, w, plan.Update)
	step.Item.Raw = raw
	changes, err := (&Applier{Cluster: w, Backup: "b", Restore: "r"}).Run(t.Context(), []Work{step})
	require.NoError(t, err)
	assert.Equal(t, Updated, changes[0].Outcome)
	assert.Equal(t, "differs", changes[0].Reason)
	assert.Equal(t, []string{"GET " + cmA, "PATCH " + cmA, "GET " + cmA, "PATCH " + cmA}, w.asked)
	assert.Contains(t, w.bodies[cmA], `"managedFields":[`)
	assert.Contains(t, w.bodies[cmA], `"flux"`)
}

// TestManagersOfAnObjectThatIsPutBack is an object of the target that flux
// applied there, whose replacement is refused.
func TestManagersOfAnObjectThatIsPutBack(t *testing.T) {
	w, _ := applied(t)
	was := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop","managedFields":[` + flux + `]},"data":{"a":"old"}}`
	w.put(cmA, was)
	step := changing(t, w, plan.Recreate)
	w.before = func(r string, n int) error {
		if r == "POST "+cmA && n == 1 {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "a", errors.New("quota"))
		}
		return nil
	}
	changes, err := (&Applier{Cluster: w, Backup: "b", Restore: "r"}).Run(t.Context(), []Work{step})
	require.NoError(t, err)
	assert.Equal(t, Failed, changes[0].Outcome)
	assert.True(t, strings.HasSuffix(changes[0].Reason, "the one that was there has been put back"), changes[0].Reason)
	assert.JSONEq(t, `{"metadata":{"uid":"uid-2","resourceVersion":"2","managedFields":[`+flux+`]}}`, w.bodies[cmA])
}
