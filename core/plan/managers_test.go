package plan

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

const writtenByUs = `
- {manager: lifeboat, operation: Update, apiVersion: v1, time: t1, fieldsType: FieldsV1, fieldsV1:
   {"f:data": {".": {}, "f:a": {}, "f:b": {}}, "f:type": {}, "f:metadata": {"f:labels": {".": {}, "f:velero.io/backup-name": {}, "f:velero.io/restore-name": {}}}}}`

func withManagers(t *testing.T, entries string) *item.Item {
	t.Helper()
	u := fromYAML(t, "{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: n, uid: u1, resourceVersion: '7'}}")
	var list []any
	require.NoError(t, yaml.Unmarshal([]byte(entries), &list))
	item.Child(u.Object, "metadata")["managedFields"] = list
	it, err := item.FromObject(u, "secrets")
	require.NoError(t, err)
	return &it
}

// TestManagersGetTheirFieldsBack names the entries of the object in the backup,
// those of the object as it was written, and those that it gets.
func TestManagersGetTheirFieldsBack(t *testing.T) {
	const labels = `
- {manager: lifeboat, operation: Update, apiVersion: v1, time: t1, fieldsType: FieldsV1, fieldsV1:
   {"f:metadata": {"f:labels": {"f:velero.io/backup-name": {}, "f:velero.io/restore-name": {}}}}}`
	for name, c := range map[string]struct{ backup, live, want string }{
		"one manager, and a field that the object does not have": {
			backup: `
- {manager: flux, operation: Apply, apiVersion: v1, time: t0, fieldsType: FieldsV1, fieldsV1: {"f:data": {"f:a": {}, "f:gone": {}}}}`,
			live: writtenByUs,
			want: labels + `
- {manager: flux, operation: Apply, apiVersion: v1, time: t0, fieldsType: FieldsV1, fieldsV1: {"f:data": {"f:a": {}}}}`,
		},
		"two share a field; clients that update are restored too; a status is not": {
			backup: `
- {manager: flux, operation: Apply, apiVersion: v1, fieldsV1: {"f:data": {"f:a": {}}}}
- {manager: argo, operation: Apply, apiVersion: v1, fieldsV1: {"f:data": {"f:a": {}, "f:b": {}}}}
- {manager: kubectl-edit, operation: Update, apiVersion: v1, fieldsV1: {"f:type": {}}}
- {manager: kubelet, operation: Update, apiVersion: v1, subresource: status, fieldsV1: {"f:data": {"f:b": {}}}}`,
			live: writtenByUs,
			want: labels + `
- {manager: flux, operation: Apply, apiVersion: v1, fieldsV1: {"f:data": {"f:a": {}}}}
- {manager: argo, operation: Apply, apiVersion: v1, fieldsV1: {"f:data": {"f:a": {}, "f:b": {}}}}
- {manager: kubectl-edit, operation: Update, apiVersion: v1, fieldsV1: {"f:type": {}}}`,
		},
		"a controller was there first, and the manager has other fields already": {
			backup: `
- {manager: flux, operation: Apply, apiVersion: v1, fieldsV1: {"f:data": {"f:a": {}}}}`,
			live: writtenByUs + `
- {manager: flux, operation: Apply, apiVersion: v1, time: t2, fieldsV1: {"f:data": {"f:z": {}}}}
- {manager: controller, operation: Update, apiVersion: v1, fieldsV1: {"f:metadata": {"f:annotations": {"f:x": {}}}}}`,
			want: labels + `
- {manager: flux, operation: Apply, apiVersion: v1, time: t2, fieldsV1: {"f:data": {"f:z": {}, "f:a": {}}}}
- {manager: controller, operation: Update, apiVersion: v1, fieldsV1: {"f:metadata": {"f:annotations": {"f:x": {}}}}}`,
		},
		"a value that the target sees as a whole": {
			backup: `
- {manager: flux, operation: Apply, apiVersion: v1, fieldsV1: {"f:type": {"f:part": {}}}}`,
			live: writtenByUs,
			want: labels + `
- {manager: flux, operation: Apply, apiVersion: v1, fieldsV1: {"f:type": {}}}`,
		},
		"the version of the backup, which the target does not serve": {
			backup: `
- {manager: flux, operation: Apply, apiVersion: v1beta1, fieldsV1: {"f:type": {}}}
- {manager: old, operation: Apply, apiVersion: v1alpha1, fieldsV1: {"f:type": {}}}`,
			live: writtenByUs,
			want: labels + `
- {manager: flux, operation: Apply, apiVersion: v1, fieldsV1: {"f:type": {}}}
- {manager: old, operation: Apply, apiVersion: v1alpha1, fieldsV1: {"f:type": {}}}`,
		},
		"a namespace, which has no labels of the restore": {
			backup: `
- {manager: flux, operation: Apply, apiVersion: v1, fieldsV1: {"f:type": {}}}`,
			live: `
- {manager: lifeboat, operation: Update, apiVersion: v1, fieldsV1: {"f:type": {}}}`,
			want: `
- {manager: flux, operation: Apply, apiVersion: v1, fieldsV1: {"f:type": {}}}`,
		},
		"nothing of theirs was written": {
			backup: `
- {manager: flux, operation: Apply, apiVersion: v1, fieldsV1: {"f:spec": {}}}
- {manager: none, operation: Apply, apiVersion: v1, fieldsV1: {}}`,
			live: writtenByUs,
		},
		"given back already": {
			backup: `
- {manager: flux, operation: Apply, apiVersion: v1, fieldsV1: {"f:type": {}}}`,
			live: labels + `
- {manager: flux, operation: Apply, apiVersion: v1, fieldsV1: {"f:type": {}}}`,
		},
		"an earlier restore wrote it": {
			backup: `
- {manager: flux, operation: Apply, apiVersion: v1, fieldsV1: {"f:type": {}}}
- {manager: lifeboat, operation: Update, apiVersion: v1, fieldsV1: {"f:data": {"f:a": {}}}}`,
			live: writtenByUs,
			want: labels + `
- {manager: flux, operation: Apply, apiVersion: v1, fieldsV1: {"f:type": {}}}`,
		},
		"an API server without field managers": {
			backup: `
- {manager: flux, operation: Apply, apiVersion: v1, fieldsV1: {"f:type": {}}}`,
			live: `[]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			managers, err := ManagersOf(*withManagers(t, c.backup))
			require.NoError(t, err)
			live, err := withManagers(t, c.live).Object()
			require.NoError(t, err)
			patch, err := managers.GiveBack(live, "lifeboat", "v1beta1", "v1")
			require.NoError(t, err)
			if c.want == "" {
				assert.Empty(t, string(patch))
				return
			}
			var want any
			require.NoError(t, yaml.Unmarshal([]byte(c.want), &want))
			text, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": "u1", "resourceVersion": "7", "managedFields": want}})
			require.NoError(t, err)
			assert.JSONEq(t, string(text), string(patch))
		})
	}
}

func TestManagersOfObjectsThatNobodyApplies(t *testing.T) {
	for name, entries := range map[string]string{
		"clients that update": `[{manager: kubectl-client-side-apply, operation: Update, apiVersion: v1, fieldsV1: {"f:data": {"f:Apply": {}}}}]`,
		"a status":            `[{manager: cert-manager, operation: Apply, apiVersion: v1, subresource: status, fieldsV1: {"f:status": {}}}]`,
		"a text":              `[{manager: Apply, operation: Update, apiVersion: v1, fieldsV1: {"f:data": {}}}]`,
	} {
		managers, err := ManagersOf(*withManagers(t, entries))
		require.NoError(t, err)
		assert.Nil(t, managers, name)
	}
}
