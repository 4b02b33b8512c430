package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

var quayToPier = map[string]string{"quay": "pier"}

// loose reads a part of an object.
func loose(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	var u unstructured.Unstructured
	require.NoError(t, yaml.Unmarshal([]byte(text), &u.Object), text)
	return &u
}

func TestReferencesToAMappedNamespaceFollowItInEveryKind(t *testing.T) {
	for name, c := range map[string]struct{ resource, object, want string }{
		"admission policy binding": {"validatingadmissionpolicybindings.admissionregistration.k8s.io",
			`{spec: {paramRef: {name: quay, namespace: quay}, matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: quay, team: quay}}}}}`,
			`{spec: {paramRef: {name: quay, namespace: pier}, matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: pier, team: quay}}}}}`},
		"namespaces by expression": {"networkpolicies.networking.k8s.io",
			`{spec: {ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [quay, dock]}, {key: team, operator: In, values: [quay]}]}}]}]}}`,
			`{spec: {ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [pier, dock]}, {key: team, operator: In, values: [quay]}]}}]}]}}`},
		"external name":                       {"services", `{spec: {externalName: db.quay.svc.cluster.local}}`, `{spec: {externalName: db.pier.svc.cluster.local}}`},
		"another host":                        {"services", `{spec: {externalName: db.quay.svcs.example.com}}`, `{spec: {externalName: db.quay.svcs.example.com}}`},
		"storage class":                       {"storageclasses.storage.k8s.io", `{parameters: {csi.storage.k8s.io/node-stage-secret-namespace: quay, userSecretNamespace: quay, pool: quay}}`, `{parameters: {csi.storage.k8s.io/node-stage-secret-namespace: pier, userSecretNamespace: pier, pool: quay}}`},
		"snapshot class":                      {"volumesnapshotclasses.snapshot.storage.k8s.io", `{parameters: {csi.storage.k8s.io/snapshotter-secret-namespace: quay}}`, `{parameters: {csi.storage.k8s.io/snapshotter-secret-namespace: pier}}`},
		"volume secrets":                      {"persistentvolumes", `{spec: {csi: {volumeHandle: quay, nodeStageSecretRef: {name: quay, namespace: quay}}}}`, `{spec: {csi: {volumeHandle: quay, nodeStageSecretRef: {name: quay, namespace: pier}}}}`},
		"route":                               {"httproutes.gateway.networking.k8s.io", `{spec: {parentRefs: [{name: quay, namespace: quay}], rules: [{backendRefs: [{name: a, namespace: quay}]}]}}`, `{spec: {parentRefs: [{name: quay, namespace: pier}], rules: [{backendRefs: [{name: a, namespace: pier}]}]}}`},
		"reference grant":                     {"referencegrants.gateway.networking.k8s.io", `{spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: quay}]}}`, `{spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: pier}]}}`},
		"flow schema":                         {"flowschemas.flowcontrol.apiserver.k8s.io", `{spec: {rules: [{subjects: [{kind: ServiceAccount, serviceAccount: {name: quay, namespace: quay}}, {kind: Group, group: {name: "system:serviceaccounts:quay"}}], resourceRules: [{namespaces: [quay, dock]}]}]}}`, `{spec: {rules: [{subjects: [{kind: ServiceAccount, serviceAccount: {name: quay, namespace: pier}}, {kind: Group, group: {name: "system:serviceaccounts:pier"}}], resourceRules: [{namespaces: [pier, dock]}]}]}}`},
		"affinity":                            {"deployments.apps", `{spec: {template: {spec: {affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{namespaces: [quay], topologyKey: quay}]}}}}}}`, `{spec: {template: {spec: {affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{namespaces: [pier], topologyKey: quay}]}}}}}}`},
		"a custom resource is not guessed at": {"apps.example.com", `{spec: {destination: {namespace: quay}}}`, `{spec: {destination: {namespace: quay}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, want := loose(t, c.object), loose(t, c.want)
			Options{NamespaceMapping: quayToPier}.mapReferences(got, c.resource)
			assert.Equal(t, want.Object, got.Object)
			back := loose(t, c.object)
			Options{NamespaceMapping: map[string]string{"quay": "quay"}}.mapReferences(back, c.resource)
			assert.Equal(t, loose(t, c.object).Object, back.Object, "mapped onto itself")
		})
	}
	swapped := loose(t, `{subjects: [{kind: ServiceAccount, name: x, namespace: quay}, {kind: ServiceAccount, name: x, namespace: pier}]}`)
	Options{NamespaceMapping: map[string]string{"quay": "pier", "pier": "quay"}}.mapReferences(swapped, "clusterrolebindings.rbac.authorization.k8s.io")
	assert.Equal(t, loose(t, `{subjects: [{kind: ServiceAccount, name: x, namespace: pier}, {kind: ServiceAccount, name: x, namespace: quay}]}`).Object, swapped.Object)
}

func TestFieldsThatMayStillNameTheOldNamespaceAreListed(t *testing.T) {
	o := Options{NamespaceMapping: quayToPier}
	for name, c := range map[string]struct {
		resource, object string
		want             []string
	}{
		"custom resource": {"applications.argoproj.io", `{metadata: {name: a, namespace: quay}, spec: {destination: {namespace: quay}, namespaces: [dock, quay], project: quay}}`, []string{"spec.destination.namespace", "spec.namespaces[1]"}},
		"monitor":         {"servicemonitors.monitoring.coreos.com", `{spec: {namespaceSelector: {matchNames: [quay]}}}`, []string{"spec.namespaceSelector.matchNames[0]"}},
		"host names":      {"configmaps", `{data: {a: "postgres://db.quay.svc:5432", b: "db.quay.svcx", c: quay, d: "url: http://web.quay.svc.cluster.local/x"}}`, []string{"data.a", "data.d"}},
		"arguments":       {"deployments.apps", `{spec: {template: {spec: {containers: [{args: ["--namespace=quay", "-x"], env: [{name: WATCH_NAMESPACE, value: quay}, {name: COLOR, value: quay}]}]}}}}`, []string{"spec.template.spec.containers[0].args[0]", "spec.template.spec.containers[0].env[0].value"}},
		"Helm":            {"services", `{metadata: {annotations: {meta.helm.sh/release-namespace: quay, kubectl.kubernetes.io/last-applied-configuration: '{"metadata":{"namespace":"quay"}} .quay.svc'}}}`, []string{"metadata.annotations.meta.helm.sh/release-namespace"}},
		"resource names":  {"clusterroles.rbac.authorization.k8s.io", `{rules: [{resources: [namespaces], resourceNames: [quay]}, {resources: [configmaps], resourceNames: [quay]}]}`, []string{"rules[0].resourceNames[0]"}},
		"secrets":         {"secrets", `{kind: Secret, data: {namespace: quay}}`, nil},
		"what follows":    {"services", `{spec: {externalName: db.quay.svc}}`, nil},
		"many":            {"configmaps", `{data: {a: .quay.svc, b: .quay.svc, c: .quay.svc, d: .quay.svc, e: .quay.svc, f: .quay.svc, g: .quay.svc}}`, []string{"data.a", "data.b", "data.c", "data.d", "data.e", "and 2 more fields"}},
	} {
		assert.Equal(t, c.want, o.pointers(loose(t, c.object), c.resource), name)
	}

	var items []item.Item
	for i := range maxWarnings + 3 {
		items = append(items, object(t, fmt.Sprintf("v1 ConfigMap configmaps quay/c%02d", i), `"data":{"namespace":"quay"}`))
	}
	p := build(t, o, everything(), items...)
	require.Len(t, p.Warnings, maxWarnings+1)
	assert.Equal(t, "3 more objects still point at the old namespace", p.Warnings[0])
	assert.Equal(t, "configmaps pier/c00: still points at the old namespace: data.namespace", p.Warnings[1])
}

func keeper(t *testing.T, role string, subjects ...string) item.Item {
	var list []string
	for _, s := range subjects {
		namespace, name, _ := strings.Cut(s, "/")
		list = append(list, fmt.Sprintf(`{"kind":"ServiceAccount","namespace":%q,"name":%q}`, namespace, name))
	}
	return object(t, "rbac.authorization.k8s.io/v1 ClusterRoleBinding clusterrolebindings keeper", fmt.Sprintf(`"roleRef":{"kind":"ClusterRole","name":%q},"subjects":[%s]`, role, strings.Join(list, ",")))
}

func TestACopyTakesNothingFromTheOriginal(t *testing.T) {
	held := keeper(t, "keeper", "quay/a")
	hook := func(namespace string) item.Item {
		return object(t, "admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration validatingwebhookconfigurations hooks", fmt.Sprintf(`"webhooks":[{"name":"h","clientConfig":{"service":{"namespace":%q,"name":"s"}}}]`, namespace))
	}
	const leftHook = "exists and differs from the backup; left alone, since it refers to namespace quay, which is in the cluster"
	for name, c := range map[string]struct {
		held, live item.Item
		policy     Policy
		gone       bool // the original is not in the target
		want       string
		warns      string
	}{
		"update adds the subject": {held, keeper(t, "keeper", "quay/a"), PolicyUpdate, false,
			"update: exists, and namespace quay uses it: gets ServiceAccount pier/a as well, and keeps its subjects", ""},
		"recreate adds it too": {held, keeper(t, "keeper", "quay/a", "dock/x"), PolicyRecreate, false,
			"update: exists, and namespace quay uses it: gets ServiceAccount pier/a as well, and keeps its subjects", ""},
		"none says who has no rights": {held, keeper(t, "keeper", "quay/a"), PolicyNone, false,
			"skip: exists and differs from the backup; left alone; without ServiceAccount pier/a among its subjects",
			"left alone, so ServiceAccount pier/a does not get ClusterRole keeper (restore with --existing-resource-policy update to add it)"},
		"the copy is there already": {held, keeper(t, "keeper", "quay/a", "pier/a"), PolicyUpdate, false, "unchanged: exists and has all subjects of the backup", ""},
		"another role": {held, keeper(t, "admin", "quay/a"), PolicyRecreate, false,
			"skip: exists and grants ClusterRole admin, not ClusterRole keeper; left alone, since namespace quay uses it",
			"grants ClusterRole admin in the cluster and ClusterRole keeper in the backup, so ServiceAccount pier/a is not added to it (create a binding with another name)"},
		"a move replaces": {held, keeper(t, "keeper", "quay/a"), PolicyUpdate, true, "update: exists and differs from the backup", ""},
		"a webhook stays": {hook("quay"), hook("quay"), PolicyUpdate, false, "skip: " + leftHook,
			"left alone, since it refers to namespace quay, which is in the cluster: pier has none of its own (create one with another name if the copy needs it)"},
		"a webhook that is moved": {hook("quay"), hook("quay"), PolicyUpdate, true, "update: exists and differs from the backup", ""},
		"a webhook that is equal": {hook("quay"), hook("pier"), PolicyNone, false, "unchanged: exists and is equal", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{NamespaceMapping: quayToPier, ExistingResourcePolicy: c.policy}
			seen := everything()
			u, err := c.live.Object()
			require.NoError(t, err)
			seen.Existing[c.held.Key], err = o.Live(u, c.held.APIVersion())
			require.NoError(t, err)
			if !c.gone {
				seen.Existing[item.Key{Resource: "namespaces", Name: "quay"}] = Live{}
			}
			p := build(t, o, seen, c.held)
			s := stepOf(t, p, c.held.Key)
			assert.Equal(t, c.want, string(s.Action)+": "+s.Reason)
			if c.warns == "" {
				assert.Empty(t, p.Warnings)
			} else {
				assert.Equal(t, []string{c.held.Key.String() + ": " + c.warns}, p.Warnings)
			}
		})
	}
}

func TestAnAddedSubjectIsAllThatChanges(t *testing.T) {
	want, err := keeper(t, "keeper", "pier/a", "quay/a").Object()
	require.NoError(t, err)
	want.SetLabels(map[string]string{"a": "b"})
	live, err := keeper(t, "keeper", "dock/z", "quay/a").Object()
	require.NoError(t, err)
	patch := SubjectsPatch(want, live)
	assert.Equal(t, map[string]any{"subjects": []any{
		map[string]any{"kind": "ServiceAccount", "namespace": "dock", "name": "z"},
		map[string]any{"kind": "ServiceAccount", "namespace": "quay", "name": "a"},
		map[string]any{"kind": "ServiceAccount", "namespace": "pier", "name": "a"},
	}}, patch)
	assert.Nil(t, SubjectsPatch(live, live))

	s := Step{Add: true, Key: item.Key{Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings", Name: "keeper"}}
	Options{ExistingResourcePolicy: PolicyRecreate}.Refused(&s, Live{}, Refusal{Words: "no", Invalid: true})
	assert.Equal(t, Fail, s.Action, "it is not recreated")
}
