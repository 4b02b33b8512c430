//go:build e2e

package controlplane_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/restore"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// mutatingServer is a webhook that answers each creation with a JSON patch.
func mutatingServer(t *testing.T, patch string) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct{ Request struct{ UID string } }
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":%q,"allowed":true,"patchType":"JSONPatch","patch":%q}}`,
			review.Request.UID, base64.StdEncoding.EncodeToString([]byte(patch)))
	}))
	t.Cleanup(s.Close)
	return s
}

// TestARestoreSaysWhatAWebhookOfTheTargetChanges restores a ConfigMap and a Secret
// where a webhook changes both, and a Service that it does not look at.
func TestARestoreSaysWhatAWebhookOfTheTargetChanges(t *testing.T) {
	source, bucket := emptyCluster(t), mem.New()
	create(t, source, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}`,
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"shop"},"data":{"color":"red"}}`,
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"token","namespace":"shop"},"stringData":{"color":"hush"}}`,
		`{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"shop"},"spec":{"ports":[{"port":80}]}}`)
	_, err := backupJob("b", bucket, source, filter.Filter{IncludedNamespaces: []string{"shop"}}).Run(t.Context())
	require.NoError(t, err)

	target := connect(t, rig.ControlPlane(t, func(c *sandbox.ControlPlane) { c.AllowEgress = true }).Kubeconfig)
	server := mutatingServer(t, `[{"op":"replace","path":"/data/color","value":"Ymx1ZQ=="}]`)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	create(t, target, fmt.Sprintf(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration","metadata":{"name":"paint"},"webhooks":[{
		"name":"paint.example.com","admissionReviewVersions":["v1"],"sideEffects":"None","failurePolicy":"Fail","clientConfig":{"url":%q,"caBundle":%q},
		"objectSelector":{"matchExpressions":[{"key":"velero.io/restore-name","operator":"Exists"}]},
		"rules":[{"operations":["CREATE"],"apiGroups":[""],"apiVersions":["v1"],"resources":["configmaps","secrets"]}]}]}`,
		server.URL, base64.StdEncoding.EncodeToString(ca)))
	require.Eventually(t, func() bool { // the API server has to notice the configuration
		probe := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"probe-","namespace":"default","labels":{"velero.io/restore-name":"x"}},"data":{"color":"red"}}`
		answer, err := target.Create(t.Context(), item.Resource{Version: "v1", Name: "configmaps", Kind: "ConfigMap", Namespaced: true}, "default", []byte(probe))
		return err == nil && strings.Contains(string(answer), "Ymx1ZQ==")
	}, 20*time.Second, 200*time.Millisecond)

	r, err := restoreJob("r", "b", bucket, target).Run(t.Context())
	require.NoError(t, err)
	said := map[string]string{}
	for _, c := range r.Changes {
		if c.Outcome == apply.Created {
			said[c.Key.String()] = restore.Altered(c)
		}
	}
	assert.Equal(t, `configmaps shop/settings: created, and changed by the cluster: data.color is "Ymx1ZQ==", "red" in the backup (the mutating webhook configuration paint)`, said["configmaps shop/settings"])
	assert.Equal(t, `secrets shop/token: created, and changed by the cluster: data.color is a value (not shown), a value (not shown) in the backup (the mutating webhook configuration paint)`, said["secrets shop/token"])
	assert.Empty(t, said["services shop/web"])
	assert.Contains(t, said, "services shop/web")
}
