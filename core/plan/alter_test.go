package plan

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

func objectOf(t *testing.T, groupResource, text string) *unstructured.Unstructured {
	t.Helper()
	u, err := rawItem(t, groupResource, text).Object()
	require.NoError(t, err)
	return u
}

func TestWhatAdmissionMadeOfAnObjectIsToldFromDamage(t *testing.T) {
	type is struct {
		field     string
		admission bool
	}
	for name, c := range map[string]struct {
		resource, sent, answer string
		want                   []is
	}{
		"nothing": {"pods", `{"kind":"Pod","spec":{"containers":[{"name":"a"}]}}`, `{"kind":"Pod","spec":{"containers":[{"name":"a"}]},"status":{"phase":"Pending"}}`, nil},
		"the default PriorityClass": {
			"pods", `{"kind":"Pod","spec":{"containers":[]}}`, `{"kind":"Pod","spec":{"containers":[],"priorityClassName":"house","priority":5}}`,
			[]is{{"spec.priorityClassName", true}},
		},
		"another class than was sent": {
			"pods", `{"kind":"Pod","spec":{"priorityClassName":"mine"}}`, `{"kind":"Pod","spec":{"priorityClassName":"house"}}`,
			[]is{{"spec.priorityClassName", false}},
		},
		"tolerations beside those that were sent": {
			"pods", `{"kind":"Pod","spec":{"tolerations":[{"key":"a"}]}}`, `{"kind":"Pod","spec":{"tolerations":[{"key":"a"},{"key":"node.kubernetes.io/not-ready"}]}}`,
			[]is{{"spec.tolerations", true}},
		},
		"a toleration is lost": {
			"pods", `{"kind":"Pod","spec":{"tolerations":[{"key":"a"},{"key":"b"}]}}`, `{"kind":"Pod","spec":{"tolerations":[{"key":"b"},{"key":"c"},{"key":"d"}]}}`,
			[]is{{"spec.tolerations", false}},
		},
		"a LimitRange, which leaves a note": {
			"pods", `{"kind":"Pod","metadata":{"name":"x"},"spec":{"containers":[{"name":"a"}]}}`,
			`{"kind":"Pod","metadata":{"name":"x","annotations":{"kubernetes.io/limit-ranger":"LimitRanger plugin set: cpu"}},"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":"1"}}}]}}`,
			[]is{{"metadata.annotations.kubernetes.io/limit-ranger", true}, {"spec.containers[0].resources", true}},
		},
		"requests that the API server makes of limits": {
			"pods", `{"kind":"Pod","spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":"1"}}}]}}`,
			`{"kind":"Pod","spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":"1"},"requests":{"cpu":"1"}}}]}}`,
			[]is{{"spec.containers[0].resources.requests", false}},
		},
		"the same field of another kind": {
			"things.example.com", `{"kind":"Thing","spec":{}}`, `{"kind":"Thing","spec":{"priorityClassName":"house"}}`,
			[]is{{"spec.priorityClassName", false}},
		},
		"a default of the schema": {
			"deployments.apps", `{"kind":"Deployment","spec":{}}`, `{"kind":"Deployment","spec":{"replicas":1}}`,
			[]is{{"spec.replicas", false}},
		},
		"images are always pulled": {
			"pods", `{"kind":"Pod","spec":{"containers":[{"name":"a","imagePullPolicy":"IfNotPresent"}]}}`,
			`{"kind":"Pod","spec":{"containers":[{"name":"a","imagePullPolicy":"Always"}]}}`,
			[]is{{"spec.containers[0].imagePullPolicy", true}},
		},
	} {
		var got []is
		for _, a := range Alterations(objectOf(t, c.resource, c.sent), objectOf(t, c.resource, c.answer), c.resource, false) {
			got = append(got, is{a.Field, a.Admission})
		}
		assert.Equal(t, c.want, got, name)
	}
}

func TestAlterationsKeepSecrets(t *testing.T) {
	const sent, answer = `{"kind":"Secret","data":{"a":"c2VjcmV0"}}`, `{"kind":"Secret","data":{"a":"b3RoZXI="}}`
	for resource, hidden := range map[string]bool{"secrets": false, "configmaps": true} {
		all := Alterations(objectOf(t, resource, sent), objectOf(t, resource, answer), resource, hidden)
		require.Len(t, all, 1)
		assert.Equal(t, "data.a is a value (not shown), a value (not shown) in the backup ("+CauseUnknown+")", all[0].String())
	}
}

func TestWhatAdmissionComputesForAPodIsSaid(t *testing.T) {
	const token = `"serviceAccountName":"s","volumes":[{"name":"kube-api-access-x2b4z","projected":{"sources":[{"serviceAccountToken":{}}]}}],"containers":[{"name":"a","volumeMounts":[{"name":"kube-api-access-x2b4z","mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}]}]`
	computed := func(spec string) Computed { return ComputedOf(objectOf(t, "pods", `{"kind":"Pod","spec":{`+spec+`}}`)) }
	assert.Empty(t, computed(`"priority":0`).Alterations(computed(``), false), "0 is what pods without a class have")
	assert.Empty(t, computed(token).Alterations(computed(token), false))
	all := computed(token+`,"priority":7,"overhead":{"cpu":"1"}`).Alterations(computed(``), false)
	require.Len(t, all, 3)
	assert.Equal(t, `spec.priority is 0, 7 in the backup (its PriorityClass, or the default one of the cluster)`, all[0].String())
	assert.Equal(t, `spec.overhead is absent, {"cpu":"1"} in the backup (its RuntimeClass)`, all[1].String())
	assert.Equal(t, `token of the service account is not mounted, mounted in the backup (automountServiceAccountToken of the service account)`, all[2].String())
}

func TestMutatesReadsTheRulesOfWebhooksAndPolicies(t *testing.T) {
	pods := item.Resource{Version: "v1", Name: "pods"}
	for text, want := range map[string]bool{
		`{"webhooks":[{"rules":[{"operations":["CREATE"],"apiGroups":[""],"apiVersions":["v1"],"resources":["pods"]}]}]}`:                             true,
		`{"webhooks":[{"rules":[{"operations":["*"],"apiGroups":["*"],"apiVersions":["*"],"resources":["*/*"]}]}]}`:                                   true,
		`{"webhooks":[{"rules":[{"operations":["UPDATE"],"apiGroups":[""],"apiVersions":["v1"],"resources":["pods"]}]}]}`:                             false,
		`{"webhooks":[{"rules":[{"operations":["CREATE"],"apiGroups":["apps"],"apiVersions":["v1"],"resources":["deployments"]}]}]}`:                  false,
		`{"spec":{"matchConstraints":{"resourceRules":[{"operations":["CREATE"],"apiGroups":[""],"apiVersions":["v1"],"resources":["pods"]}]}}}`:      true,
		`{"spec":{"matchConstraints":{"resourceRules":[{"operations":["CREATE"],"apiGroups":["batch"],"apiVersions":["v1"],"resources":["jobs"]}]}}}`: false,
		`{"webhooks":[]}`: false,
	} {
		assert.Equal(t, want, Mutates(objectOf(t, "x", text), pods), text)
	}
}
