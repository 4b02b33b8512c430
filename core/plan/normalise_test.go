package plan

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/test/fixtures/populate"
)

func prepared(t testing.TB, it item.Item) string {
	t.Helper()
	u, err := it.Object()
	require.NoError(t, err)
	prepare(u, false)
	b, err := json.Marshal(u.Object)
	require.NoError(t, err)
	return string(b)
}

func TestPrepareTakesOffWhatTheOldClusterGave(t *testing.T) {
	const served = `"metadata":{"uid":"1","resourceVersion":"2","generation":3,"creationTimestamp":"2026-01-02T03:04:05Z","deletionTimestamp":"2026-01-02T03:04:05Z",
		"deletionGracePeriodSeconds":1,"selfLink":"x","generateName":"g-","managedFields":[{}],"ownerReferences":[{}],"finalizers":["keep.me/x"],"labels":{"l":"1"},"annotations":{"a":"2"}`
	for what, c := range map[string]struct{ in, want string }{
		"v1 ConfigMap configmaps s/all": {
			served + `},"data":{"k":"v"},"status":{"x":1}`,
			`"metadata":{"finalizers":["keep.me/x"],"labels":{"l":"1"},"annotations":{"a":"2"},"name":"all","namespace":"s"},"data":{"k":"v"}`,
		},
		"v1 Pod pods s/p": {
			`"spec":{"nodeName":"n","priority":5,"serviceAccountName":"sa","ephemeralContainers":[{"name":"debug"}],
				"volumes":[{"name":"kube-api-access-x2b4z","projected":{"sources":[{"serviceAccountToken":{}}]}},{"name":"sa-token-x2b4z","secret":{"secretName":"sa-token-x2b4z"}},{"name":"data"}],
				"containers":[{"name":"c","volumeMounts":[{"name":"kube-api-access-x2b4z","mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"},{"name":"data"}]}],
				"initContainers":[{"name":"i","volumeMounts":[{"name":"kube-api-access-x2b4z","mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}]}]}`,
			`"metadata":{"name":"p","namespace":"s"},"spec":{"serviceAccountName":"sa","volumes":[{"name":"data"}],
				"containers":[{"name":"c","volumeMounts":[{"name":"data"}]}],"initContainers":[{"name":"i"}]}`,
		},
		"v1 Service services s/headless": {
			`"spec":{"clusterIP":"None","clusterIPs":["None"],"ports":[{"port":1}]}`,
			`"metadata":{"name":"headless","namespace":"s"},"spec":{"clusterIP":"None","clusterIPs":["None"],"ports":[{"port":1}]}`,
		},
		"v1 Service services s/allocated": {
			`"metadata":{"uid":"1","managedFields":[{"fieldsV1":{"f:spec":{"f:ports":{"k:{\"port\":82,\"protocol\":\"UDP\"}":{"f:nodePort":{}},"k:{\"port\":80,\"protocol\":\"TCP\"}":{"f:port":{}}}}}}],
				"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"spec\":{\"ports\":[{\"port\":81,\"nodePort\":30081},{\"port\":80}]}}"}},
				"spec":{"clusterIP":"10.0.0.1","clusterIPs":["10.0.0.1"],"healthCheckNodePort":31000,"ports":[{"port":80,"protocol":"TCP","nodePort":30080},{"port":81,"protocol":"TCP","nodePort":30081},{"port":82,"protocol":"UDP","nodePort":30082},{"port":82,"protocol":"TCP","nodePort":30083}]}`,
			`"metadata":{"name":"allocated","namespace":"s","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"spec\":{\"ports\":[{\"port\":81,\"nodePort\":30081},{\"port\":80}]}}"}},
				"spec":{"ports":[{"port":80,"protocol":"TCP"},{"port":81,"protocol":"TCP","nodePort":30081},{"port":82,"protocol":"UDP","nodePort":30082},{"port":82,"protocol":"TCP"}]}`,
		},
		"v1 PersistentVolumeClaim persistentvolumeclaims s/bound": {
			`"metadata":{"annotations":{"pv.kubernetes.io/bind-completed":"yes","volume.kubernetes.io/selected-node":"n","mine":"x"}},"spec":{"volumeName":"v"},"status":{"phase":"Bound"}`,
			`"metadata":{"name":"bound","namespace":"s","annotations":{"mine":"x"}},"spec":{}`,
		},
		"v1 PersistentVolumeClaim persistentvolumeclaims s/waits-for-one": {
			`"spec":{"volumeName":"v"},"status":{"phase":"Pending"}`,
			`"metadata":{"name":"waits-for-one","namespace":"s"},"spec":{"volumeName":"v"}`,
		},
		"v1 PersistentVolume persistentvolumes v": {
			`"metadata":{"annotations":{"pv.kubernetes.io/bound-by-controller":"yes"}},"spec":{"claimRef":{"name":"c","namespace":"s","uid":"1","resourceVersion":"2"}}`,
			`"metadata":{"name":"v"},"spec":{"claimRef":{"name":"c","namespace":"s"}}`,
		},
		"batch/v1 Job jobs s/generated": {
			`"metadata":{"labels":{"controller-uid":"1","batch.kubernetes.io/controller-uid":"1","app":"x"}},"spec":{"selector":{"matchLabels":{"batch.kubernetes.io/controller-uid":"1"}},"template":{"metadata":{"labels":{"batch.kubernetes.io/controller-uid":"1","app":"x"}}}}`,
			`"metadata":{"name":"generated","namespace":"s","labels":{"app":"x"}},"spec":{"template":{"metadata":{"labels":{"app":"x"}}}}`,
		},
		"batch/v1 Job jobs s/manual": {
			`"spec":{"manualSelector":true,"selector":{"matchLabels":{"controller-uid":"1"}}}`,
			`"metadata":{"name":"manual","namespace":"s"},"spec":{"manualSelector":true,"selector":{"matchLabels":{"controller-uid":"1"}}}`,
		},
		"v1 ServiceAccount serviceaccounts s/sa": {
			`"secrets":[{"name":"sa-token-x2b4z"},{"name":"mine"}]`,
			`"metadata":{"name":"sa","namespace":"s"},"secrets":[{"name":"mine"}]`,
		},
		"v1 Secret secrets s/token": {
			`"type":"kubernetes.io/service-account-token","data":{"token":"x","ca.crt":"y","namespace":"z","mine":"w"},"metadata":{"annotations":{"kubernetes.io/service-account.uid":"1","kubernetes.io/service-account.name":"sa"}}`,
			`"type":"kubernetes.io/service-account-token","data":{"mine":"w"},"metadata":{"name":"token","namespace":"s","annotations":{"kubernetes.io/service-account.name":"sa"}}`,
		},
		"v1 Secret secrets s/opaque": {
			`"type":"Opaque","data":{"token":"x"}`, `"metadata":{"name":"opaque","namespace":"s"},"type":"Opaque","data":{"token":"x"}`,
		},
		"apiextensions.k8s.io/v1 CustomResourceDefinition customresourcedefinitions old": {
			`"spec":{"preserveUnknownFields":true,"versions":[{"name":"v1","schema":{"openAPIV3Schema":{"type":"object"}}},{"name":"v2"}]}`,
			`"metadata":{"name":"old"},"spec":{"versions":[{"name":"v1","schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}},{"name":"v2","schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}`,
		},
	} {
		it := object(t, what, c.in)
		assert.JSONEq(t, `{"apiVersion":"`+it.APIVersion()+`","kind":"`+it.Kind+`",`+c.want+`}`, prepared(t, it), what)
	}
}

func TestObjectsOfAnyShapeAreNormalisedWithoutHarm(t *testing.T) {
	for _, kind := range []string{"Pod", "Service", "PersistentVolumeClaim", "PersistentVolume", "ServiceAccount", "Secret", "Namespace"} {
		for _, more := range []string{
			``, `"spec":null`, `"spec":[]`, `"spec":"x"`, `"spec":{"ports":{}}`, `"spec":{"containers":[1,null,{"volumeMounts":"x"}],"volumes":[null]}`,
			`"spec":{"claimRef":[]}`, `"secrets":{}`, `"data":[]`, `"type":3`, `"status":[]`, `"metadata":{"managedFields":[{"fieldsV1":{"f:spec":{"f:ports":{"k:{":{"f:nodePort":{}}}}}}],"uid":"1"},"spec":{"ports":[{}]}`,
		} {
			it := object(t, "v1 "+kind+" things s/x", more)
			_, err := DigestOf(it)
			assert.NoError(t, err, "%s %s", kind, more)
		}
	}
}

func digestOf(t testing.TB, what, more string) Digest {
	t.Helper()
	d, err := DigestOf(object(t, what, more))
	require.NoError(t, err)
	return d
}

func TestWhatCountsAsEqual(t *testing.T) {
	for name, c := range map[string]struct{ what, a, b string }{
		"what the server fills in":             {"v1 ConfigMap configmaps s/x", `"metadata":{"uid":"1","resourceVersion":"7"},"data":{"a":"b"}`, `"data":{"a":"b"}`},
		"the labels of a restore":              {"v1 ConfigMap configmaps s/x", `"metadata":{"labels":{"velero.io/restore-name":"r","velero.io/backup-name":"b"}}`, ``},
		"null and absent":                      {"example.com/v1 Widget widgets s/x", `"spec":{"a":null}`, `"spec":{}`},
		"empty structs of built-in types":      {"apps/v1 Deployment deployments s/x", `"spec":{"strategy":{},"template":{"metadata":{"creationTimestamp":null},"spec":{"containers":[{"name":"c","resources":{}}]}}}`, `"spec":{"template":{"spec":{"containers":[{"name":"c"}]}}}`},
		"the volume a claim is bound to":       {"v1 PersistentVolumeClaim persistentvolumeclaims s/x", `"spec":{"volumeName":"a"}`, `"spec":{}`},
		"the node and address a cluster picks": {"v1 Pod pods s/x", `"spec":{"nodeName":"a"}`, `"spec":{"nodeName":"b"}`},
		"the rules of an aggregated role":      {"rbac.authorization.k8s.io/v1 ClusterRole clusterroles x", `"aggregationRule":{"a":1},"rules":[{"verbs":["get"]}]`, `"aggregationRule":{"a":1}`},
		"the finalizers of a namespace":        {"v1 Namespace namespaces x", `"spec":{"finalizers":["kubernetes"]}`, ``},
		"the families of a service":            {"v1 Service services s/x", `"spec":{"ipFamilyPolicy":"PreferDualStack","ipFamilies":["IPv4"]}`, `"spec":{"ipFamilyPolicy":"PreferDualStack","ipFamilies":["IPv4","IPv6"]}`},
	} {
		assert.Equal(t, digestOf(t, c.what, c.a), digestOf(t, c.what, c.b), name)
	}
	for name, c := range map[string]struct{ what, a, b string }{
		"data":                               {"v1 ConfigMap configmaps s/x", `"data":{"a":"b"}`, `"data":{"a":"c"}`},
		"a label":                            {"v1 ConfigMap configmaps s/x", `"metadata":{"labels":{"a":"b"}}`, ``},
		"a finalizer":                        {"v1 ConfigMap configmaps s/x", `"metadata":{"finalizers":["a/b"]}`, ``},
		"an empty selector and none":         {"policy/v1 PodDisruptionBudget poddisruptionbudgets s/x", `"spec":{"selector":{}}`, `"spec":{}`},
		"an empty peer selector and none":    {"networking.k8s.io/v1 NetworkPolicy networkpolicies s/x", `"spec":{"ingress":[{"from":[{"podSelector":{}}]}]}`, `"spec":{"ingress":[{"from":[{}]}]}`},
		"an empty list in a custom resource": {"example.com/v1 Widget widgets s/x", `"spec":{"allow":[]}`, `"spec":{}`},
		"an empty map in a custom resource":  {"example.com/v1 Widget widgets s/x", `"spec":{"template":{}}`, `"spec":{}`},
		"the order of a list":                {"example.com/v1 Widget widgets s/x", `"spec":{"a":[1,2]}`, `"spec":{"a":[2,1]}`},
		"an explicit node port":              {"v1 Service services s/x", `"spec":{"ports":[{"port":80,"nodePort":30080}]}`, `"spec":{"ports":[{"port":80}]}`},
		"the rules of a role by hand":        {"rbac.authorization.k8s.io/v1 ClusterRole clusterroles x", `"rules":[{"verbs":["get"]}]`, `"rules":[]`},
	} {
		assert.NotEqual(t, digestOf(t, c.what, c.a), digestOf(t, c.what, c.b), name)
	}
}

// samples are objects of real clusters and those that are hard to restore.
func samples(t testing.TB) []item.Item {
	t.Helper()
	var out []item.Item
	for it, err := range archive.NewReader(velerosArchive(t), archive.Limits{}).Items() {
		require.NoError(t, err)
		out = append(out, it)
	}
	manifests, err := populate.Manifests()
	require.NoError(t, err)
	for _, u := range manifests {
		it, err := item.FromObject(u, strings.ToLower(u.GetKind())+"s")
		require.NoError(t, err)
		out = append(out, it)
	}
	require.Greater(t, len(out), 60)
	return out
}

// velerosArchive is the tarball in the bucket that Velero wrote.
func velerosArchive(t testing.TB) io.Reader {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "test", "fixtures", "velero-v1.18.1", "bucket-small.tar.gz"))
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		require.NoError(t, err)
		if strings.HasSuffix(h.Name, ".tar.gz") && strings.Contains(h.Name, "/backups/") {
			content, err := io.ReadAll(r)
			require.NoError(t, err)
			return bytes.NewReader(content)
		}
	}
}

func TestPrepareAndNormaliseDoNothingTheSecondTime(t *testing.T) {
	for name, change := range map[string]func(*unstructured.Unstructured){"prepare": strip, "Normalise": Normalise} {
		for _, it := range samples(t) {
			u, err := it.Object()
			require.NoError(t, err)
			change(u)
			once, err := json.Marshal(u.Object)
			require.NoError(t, err)
			change(u)
			twice, err := json.Marshal(u.Object)
			require.NoError(t, err)
			assert.Equal(t, string(once), string(twice), "%s of %s", name, it.Key)
		}
	}
}

func TestAPreparedAndMarkedObjectEqualsTheOneItCameFrom(t *testing.T) {
	for _, it := range samples(t) {
		want, err := DigestOf(it)
		require.NoError(t, err)
		u, err := it.Object()
		require.NoError(t, err)
		prepare(u, false)
		Mark(u, "b", "r")
		got, err := digest(u)
		require.NoError(t, err)
		assert.Equal(t, want, got, it.Key)
	}
}

func TestMarkLabelsAllButNamespaces(t *testing.T) {
	u, err := object(t, config, "").Object()
	require.NoError(t, err)
	Mark(u, strings.Repeat("b", 70), "r")
	assert.Equal(t, "r", u.GetLabels()["velero.io/restore-name"])
	assert.Len(t, u.GetLabels()["velero.io/backup-name"], 63)
	u, err = object(t, ns, "").Object()
	require.NoError(t, err)
	Mark(u, "b", "r")
	assert.Empty(t, u.GetLabels())
}

func TestADifferenceIsNamedByItsPathAndSecretsKeepTheirValues(t *testing.T) {
	a := object(t, config, `"data":{"same":"x","changed":"old","gone":"x"},"list":[1,{"a":1}]`)
	b := object(t, config, `"data":{"same":"x","changed":"new","more":"x"},"list":[1,{"a":2}]`)
	got, err := Diff(a, b)
	require.NoError(t, err)
	assert.Equal(t, []string{
		`data.changed: "old" in the backup, "new" in the cluster`,
		`data.gone: "x" in the backup, absent in the cluster`,
		`data.more: absent in the backup, "x" in the cluster`,
		`list[1].a: 1 in the backup, 2 in the cluster`,
	}, got)

	got, err = Diff(object(t, "v1 Secret secrets s/x", `"data":{"a":"hush"}`), object(t, "v1 Secret secrets s/x", `"data":{"a":"silence"}`))
	require.NoError(t, err)
	assert.Equal(t, []string{"data.a: a value (not shown) in the backup, a value (not shown) in the cluster"}, got)

	got, err = DiffHidden(a, b)
	require.NoError(t, err)
	assert.Equal(t, "data.changed: a value (not shown) in the backup, a value (not shown) in the cluster", got[0])
	assert.Len(t, got, 4)

	long := strings.Repeat("日", 200)
	got, err = Diff(object(t, config, `"data":{"a":"`+long+`"}`), object(t, config, `"data":{"a":"b"}`))
	require.NoError(t, err)
	assert.Less(t, len(got[0]), 200)
	assert.True(t, json.Valid([]byte(`"`+strings.ReplaceAll(got[0], `"`, `\"`)+`"`)), "cut between characters: %s", got[0])

	var many []string
	for i := range 50 {
		many = append(many, `"k`+strings.Repeat("x", i)+`":"v"`)
	}
	got, err = Diff(object(t, config, `"data":{`+strings.Join(many, ",")+`}`), object(t, config, `"data":{}`))
	require.NoError(t, err)
	assert.Len(t, got, maxDifferences)

	got, err = Diff(a, a)
	require.NoError(t, err)
	assert.Empty(t, got)
}

// strip is what is taken off when nothing is said about node ports.
func strip(u *unstructured.Unstructured) { prepare(u, false) }
