package plan

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// rawItem is an item of what is written, which needs no apiVersion and kind.
func rawItem(t *testing.T, groupResource, text string) item.Item {
	t.Helper()
	o := map[string]any{"apiVersion": "v1", "kind": "Any"}
	require.NoError(t, json.Unmarshal([]byte(text), &o))
	raw, err := json.Marshal(o)
	require.NoError(t, err)
	group, resource := item.SplitGroupResource(groupResource)
	return item.Item{Key: item.Key{Group: group, Resource: resource, Name: "x"}, Version: "v1", Kind: "Any", Raw: raw}
}

func TestWhatFillsInOrRefusesOthersIsWithheld(t *testing.T) {
	const mark = `"lifeboat.dev/incomplete":"b"`
	for name, c := range map[string]struct {
		resource, object string
		created, patch   string // "" for nothing withheld
		before           Round
	}{
		"the default PriorityClass": {
			"priorityclasses.scheduling.k8s.io", `{"metadata":{"name":"x"},"value":7,"globalDefault":true}`,
			`{"metadata":{"name":"x","annotations":{` + mark + `}},"value":7}`,
			`{"metadata":{"annotations":{"lifeboat.dev/incomplete":null}},"globalDefault":true}`, RoundOthers,
		},
		"a PriorityClass that is no default": {"priorityclasses.scheduling.k8s.io", `{"metadata":{"name":"x"},"value":7,"globalDefault":false}`, "", "", 0},
		"both marks of a StorageClass": {
			"storageclasses.storage.k8s.io", `{"metadata":{"name":"x","annotations":{"storageclass.kubernetes.io/is-default-class":"true","storageclass.beta.kubernetes.io/is-default-class":"true","mine":"1"}}}`,
			`{"metadata":{"name":"x","annotations":{"mine":"1",` + mark + `}}}`,
			`{"metadata":{"annotations":{"storageclass.kubernetes.io/is-default-class":"true","storageclass.beta.kubernetes.io/is-default-class":"true","lifeboat.dev/incomplete":null}}}`, RoundOthers,
		},
		"a StorageClass that says that it is no default": {"storageclasses.storage.k8s.io", `{"metadata":{"name":"x","annotations":{"storageclass.kubernetes.io/is-default-class":"false"}}}`, "", "", 0},
		"the default class of a custom kind": {
			"waterclasses.orchard.example.com", `{"metadata":{"name":"x","annotations":{"waterclass.orchard.example.com/is-default-class":"true"}}}`,
			`{"metadata":{"name":"x","annotations":{` + mark + `}}}`,
			`{"metadata":{"annotations":{"waterclass.orchard.example.com/is-default-class":"true","lifeboat.dev/incomplete":null}}}`, RoundLast,
		},
		"the default IngressClass": {
			"ingressclasses.networking.k8s.io", `{"metadata":{"name":"x","annotations":{"ingressclass.kubernetes.io/is-default-class":"true"}}}`,
			`{"metadata":{"name":"x","annotations":{` + mark + `}}}`,
			`{"metadata":{"annotations":{"ingressclass.kubernetes.io/is-default-class":"true","lifeboat.dev/incomplete":null}}}`, RoundLast,
		},
		"what a namespace demands of pods": {
			"namespaces", `{"metadata":{"name":"x","labels":{"pod-security.kubernetes.io/enforce":"restricted","team":"a"},"annotations":{"scheduler.alpha.kubernetes.io/node-selector":"a=b"}}}`,
			`{"metadata":{"name":"x","labels":{"team":"a"},"annotations":{` + mark + `}}}`,
			`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"},"annotations":{"scheduler.alpha.kubernetes.io/node-selector":"a=b","lifeboat.dev/incomplete":null}}}`, RoundOthers,
		},
		"such a label of another object": {"configmaps", `{"metadata":{"name":"x","labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`, "", "", 0},
		"pull secrets of a service account": {
			"serviceaccounts", `{"metadata":{"name":"x"},"imagePullSecrets":[{"name":"p"}],"automountServiceAccountToken":false}`,
			`{"metadata":{"name":"x","annotations":{` + mark + `}},"automountServiceAccountToken":false}`,
			`{"metadata":{"annotations":{"lifeboat.dev/incomplete":null}},"imagePullSecrets":[{"name":"p"}]}`, RoundOthers,
		},
		"where a RuntimeClass sends pods": {
			"runtimeclasses.node.k8s.io", `{"metadata":{"name":"x"},"handler":"h","scheduling":{"nodeSelector":{"a":"b"}}}`,
			`{"metadata":{"name":"x","annotations":{` + mark + `}},"handler":"h"}`,
			`{"metadata":{"annotations":{"lifeboat.dev/incomplete":null}},"scheduling":{"nodeSelector":{"a":"b"}}}`, RoundOthers,
		},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := rawItem(t, c.resource, c.object).Object()
			require.NoError(t, err)
			patch := Withhold(u, c.resource, "b")
			delete(u.Object, "apiVersion")
			delete(u.Object, "kind")
			if c.patch == "" {
				assert.Nil(t, patch)
				return
			}
			got, err := json.Marshal(u.Object)
			require.NoError(t, err)
			assert.JSONEq(t, c.created, string(got))
			got, err = json.Marshal(patch)
			require.NoError(t, err)
			assert.JSONEq(t, c.patch, string(got))
			group, resource := item.SplitGroupResource(c.resource)
			assert.Equal(t, c.before, Step{Key: item.Key{Group: group, Resource: resource}}.Completed())
		})
	}
}

func TestThePlanSaysWhatIsWithheldAndFinishesWhatWasInterrupted(t *testing.T) {
	const class = `{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"quick","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"p"}`
	e, err := Examine(rawItem(t, "storageclasses.storage.k8s.io", class), Options{})
	require.NoError(t, err)
	served := map[string][]string{"storageclasses.storage.k8s.io": {"v1"}}
	build := func(o Options, live *Live) Step {
		seen := Observed{Served: served, Existing: map[item.Key]Live{}}
		if live != nil {
			seen.Existing[e.Key] = *live
		}
		p := o.Build("b", []Entry{e}, seen)
		require.Len(t, p.Steps, 1)
		return p.Steps[0]
	}
	s := build(Options{}, nil)
	assert.Equal(t, Create, s.Action)
	assert.Equal(t, "absent in the cluster; created without annotation storageclass.kubernetes.io/is-default-class, set before anything else that makes pods", s.Reason)
	assert.Equal(t, []string{"annotation storageclass.kubernetes.io/is-default-class"}, s.Withheld)

	without := Live{Digest: Digest{1}}
	s = build(Options{}, &without)
	assert.Equal(t, Skip, s.Action, "somebody took the mark off; policy none leaves the class alone")
	without.Incomplete = "another-backup"
	assert.Equal(t, Skip, build(Options{}, &without).Action)

	without.Incomplete = "b"
	s = build(Options{}, &without)
	assert.Equal(t, Update, s.Action)
	assert.True(t, s.Completes)
	assert.Equal(t, Digest{1}, s.Live)
	assert.Contains(t, s.Reason, "interrupted restore")
	assert.False(t, build(Options{ExistingResourcePolicy: PolicyUpdate}, &without).Completes, "an update sets all")
}

func TestThatAnObjectIsIncompleteIsNoDifference(t *testing.T) {
	digest := func(annotations string) Digest {
		d, err := DigestOf(rawItem(t, "namespaces", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"x"`+annotations+`}}`))
		require.NoError(t, err)
		return d
	}
	assert.Equal(t, digest(""), digest(`,"annotations":{"lifeboat.dev/incomplete":"b"}`))
	assert.NotEqual(t, digest(""), digest(`,"annotations":{"other":"b"}`))
}

func TestAnUpdateSetsWhatIsWithheldLater(t *testing.T) {
	want, err := rawItem(t, "namespaces", `{"metadata":{"name":"x","labels":{"pod-security.kubernetes.io/enforce":"restricted","team":"a"}}}`).Object()
	require.NoError(t, err)
	patch := func() map[string]any {
		return map[string]any{"metadata": map[string]any{"labels": map[string]any{"pod-security.kubernetes.io/enforce": "restricted", "team": "a"}}}
	}
	now, later := Postpone(patch(), want, "namespaces", false)
	assert.Equal(t, map[string]any{"metadata": map[string]any{"labels": map[string]any{"team": "a"}}}, now)
	assert.Equal(t, map[string]any{"metadata": map[string]any{"labels": map[string]any{"pod-security.kubernetes.io/enforce": "restricted"}}}, later)
	assert.Equal(t, patch(), Joined(now, later))

	taken := map[string]any{"metadata": map[string]any{"labels": map[string]any{"pod-security.kubernetes.io/enforce": nil}}}
	now, later = Postpone(taken, want, "namespaces", false)
	assert.Nil(t, later, "what is removed is removed at once")
	assert.NotNil(t, now)

	now, later = Postpone(nil, want, "namespaces", true)
	assert.Nil(t, now)
	assert.Equal(t, map[string]any{"metadata": map[string]any{"annotations": map[string]any{"lifeboat.dev/incomplete": nil}}}, later, "the mark of an interrupted restore goes")
}
