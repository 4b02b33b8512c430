package plan

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

func TestWhatBecomesOfAnObjectThatExists(t *testing.T) {
	settings, namespace := object(t, config, `"data":{"a":"b"}`), object(t, ns, "")
	for policy, want := range map[Policy]struct{ equal, differs, namespace Action }{
		"":             {Unchanged, Skip, Unchanged},
		PolicyNone:     {Unchanged, Skip, Unchanged},
		PolicyUpdate:   {Label, Update, Unchanged},
		PolicyRecreate: {Label, Update, Unchanged},
	} {
		o := Options{ExistingResourcePolicy: policy}
		seen := everything()
		exists(t, &seen, settings, namespace)
		p := build(t, o, seen, settings, namespace)
		assert.Equal(t, want.equal, stepOf(t, p, settings.Key).Action, policy)
		assert.Equal(t, want.namespace, stepOf(t, p, namespace.Key).Action, "namespaces carry no labels of a restore")

		seen.Existing[settings.Key] = Live{Digest: Digest{7}}
		s := stepOf(t, build(t, o, seen, settings, namespace), settings.Key)
		assert.Equal(t, want.differs, s.Action, policy)
		if s.Action == Update {
			assert.Equal(t, Digest{7}, s.Live, "the object for which the update is meant")
		}
		assert.False(t, s.Merge)
	}
}

func TestAnUpdateThatWouldBeRefused(t *testing.T) {
	const namespaced, words = "configmaps", "data: Forbidden: field is immutable"
	for name, c := range map[string]struct {
		policy   Policy
		resource string
		step     Step
		live     Live
		refusal  Refusal
		action   Action
		relabel  bool
		reason   string
	}{
		"under update it fails, and the object gets the labels": {
			policy: PolicyUpdate, resource: namespaced, refusal: Refusal{words, true}, action: Fail, relabel: true, reason: "cannot be updated: " + words},
		"a namespace gets none": {
			policy: PolicyUpdate, resource: "namespaces", refusal: Refusal{words, true}, action: Fail, reason: "cannot be updated: " + words},
		"under recreate it is recreated": {
			policy: PolicyRecreate, resource: namespaced, refusal: Refusal{words, true}, action: Recreate, reason: "exists, and is deleted and recreated, since it cannot be updated: " + words},
		"but not when its creation would be refused too": {
			policy: PolicyRecreate, resource: namespaced, refusal: Refusal{"denied by a webhook", false}, action: Fail, reason: "cannot be updated: denied by a webhook (it is not deleted, since its creation could be refused too)"},
		"nor a namespace": {
			policy: PolicyRecreate, resource: "namespaces", refusal: Refusal{words, true}, action: Fail, reason: "cannot be updated: " + words + " (a namespace is never deleted, since all that is in it would go)"},
		"nor a definition": {
			policy: PolicyRecreate, resource: definitions, refusal: Refusal{words, true}, action: Fail, reason: "cannot be updated: " + words + " (a definition is never deleted, since all its objects would go)"},
		"nor what is bound": {
			policy: PolicyRecreate, resource: "persistentvolumeclaims", live: Live{Bound: true}, refusal: Refusal{words, true}, action: Fail, reason: "cannot be updated: " + words + " (what is bound is never deleted, since its data could go)"},
		"a claim that waits is": {
			policy: PolicyRecreate, resource: "persistentvolumeclaims", refusal: Refusal{words, true}, action: Recreate, reason: "exists, and is deleted and recreated, since it cannot be updated: " + words},
		"a service account is only ever completed": {
			policy: PolicyRecreate, resource: "serviceaccounts", step: Step{Merge: true}, refusal: Refusal{words, true}, action: Fail, reason: "cannot be updated: " + words},
		"and gets no labels under none": {
			policy: PolicyNone, resource: "serviceaccounts", step: Step{Merge: true}, refusal: Refusal{words, true}, action: Fail, reason: "cannot be updated: " + words},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.step
			group, resource := item.SplitGroupResource(c.resource)
			s.Key = item.Key{Group: group, Resource: resource, Name: "a"}
			s.Stage, s.Action = stageOf(s.Key), Update
			Options{ExistingResourcePolicy: c.policy}.Refused(&s, c.live, c.refusal)
			assert.Equal(t, c.action, s.Action)
			assert.Equal(t, c.reason, s.Reason)
			assert.Equal(t, c.relabel, s.Relabel)
			assert.Equal(t, c.relabel || c.action == Recreate, s.Acts())
		})
	}
}

// patchOf is the patch from live to want, as JSON.
func patchOf(t *testing.T, o Options, want, live string) string {
	t.Helper()
	patch, err := o.Patch(fromYAML(t, want), fromYAML(t, live))
	require.NoError(t, err)
	b, err := json.Marshal(patch)
	require.NoError(t, err)
	return string(b)
}

func TestAPatchMakesTheObjectThatTheBackupHolds(t *testing.T) {
	for name, c := range map[string]struct{ want, live, patch string }{
		"nothing for an equal one": {
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: "1"}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, uid: u, resourceVersion: "7", labels: {velero.io/restore-name: r}}, data: {x: "1"}}`, `null`},
		"it adds, changes and removes": {
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: "2", w: "1"}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: {mine: gone}}, immutable: false, data: {x: "1", z: "1"}}`,
			`{"data":{"x":"2","w":"1","z":null},"immutable":null,"metadata":{"annotations":null}}`},
		"labels go one by one, since those of the restore are written too": {
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {x: "1", w: "1", velero.io/restore-name: r}}}`,
			`{"metadata":{"labels":{"x":null,"w":null}}}`},
		"labels come to an object without any": {
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {x: "1"}}}`, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`,
			`{"metadata":{"labels":{"x":"1"}}}`},
		"what a cluster gave stays: addresses": {
			`{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {selector: {app: b}, ports: [{port: 80}]}}`,
			`{apiVersion: v1, kind: Service, metadata: {name: a, uid: u}, spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], selector: {app: a}, ports: [{port: 80, nodePort: 30080}]}, status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}}`,
			`{"spec":{"selector":{"app":"b"}}}`},
		"the node of a pod": {
			`{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: two}]}}`,
			`{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {nodeName: n, priority: 0, containers: [{name: c, image: one}]}}`,
			`{"spec":{"containers":[{"image":"two","name":"c"}]}}`},
		"the volume of a claim": {
			`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {resources: {requests: {storage: 2Gi}}}}`,
			`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, annotations: {pv.kubernetes.io/bind-completed: "yes"}}, spec: {volumeName: v, resources: {requests: {storage: 1Gi}}}, status: {phase: Bound}}`,
			`{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}`},
		"owners and finalisers of a namespace": {
			`{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {x: "1"}}}`,
			`{apiVersion: v1, kind: Namespace, metadata: {name: a, ownerReferences: [{name: o}]}, spec: {finalizers: [kubernetes]}}`,
			`{"metadata":{"labels":{"x":"1"}}}`},
		"the version is no difference": {
			`{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}, spec: {x: 1}}`, `{apiVersion: example.com/v2, kind: Widget, metadata: {name: a}, spec: {x: 1}}`, `null`},
	} {
		assert.JSONEq(t, c.patch, patchOf(t, Options{}, c.want, c.live), name)
	}
}

func TestAPatchLooksAtWhatNormalisingLeaves(t *testing.T) {
	const live = `{apiVersion: v1, kind: ServiceAccount, metadata: {name: a, labels: {x: "1", velero.io/restore-name: earlier}}, secrets: [{name: made-here}]}`
	assert.Equal(t, "null", patchOf(t, Options{}, `{apiVersion: v1, kind: ServiceAccount, metadata: {name: a, labels: {x: "1", velero.io/restore-name: much-earlier}}, secrets: [{name: made-there}]}`, live))

	const service = `{apiVersion: v1, kind: Service, metadata: {name: a, uid: u}, spec: {ports: [{port: 80, nodePort: 30080}]}}`
	o := Options{PreserveNodePorts: true}
	want := fromYAML(t, service)
	require.NoError(t, o.Transform(want, "services"))
	patch, err := o.Patch(want, fromYAML(t, service))
	require.NoError(t, err)
	assert.Nil(t, patch, "a node port that is there already")
}

func TestAServiceAccountGetsWhatItLacksAndKeepsWhatItHas(t *testing.T) {
	for name, c := range map[string]struct{ want, live, patch string }{
		"nothing": {`{metadata: {labels: {a: b}}, imagePullSecrets: [{name: p}], automountServiceAccountToken: true}`, `{metadata: {labels: {a: c}}, imagePullSecrets: [{name: q}, {name: p}], automountServiceAccountToken: false}`, `null`},
		"all": {`{metadata: {labels: {a: b}, annotations: {x: v}}, imagePullSecrets: [{name: p}, {name: p}], secrets: [{name: s}], automountServiceAccountToken: false}`, `{metadata: {annotations: {z: z}}, imagePullSecrets: [{name: q}]}`,
			`{"metadata":{"labels":{"a":"b"},"annotations":{"x":"v"}},"imagePullSecrets":[{"name":"q"},{"name":"p"}],"secrets":[{"name":"s"}],"automountServiceAccountToken":false}`},
		"an annotation": {`{metadata: {annotations: {x: v}}}`, `{metadata: {}}`, `{"metadata":{"annotations":{"x":"v"}}}`},
	} {
		const head = `{apiVersion: v1, kind: ServiceAccount, `
		patch, err := json.Marshal(MergePatch(fromYAML(t, head+c.want[1:]), fromYAML(t, head+c.live[1:])))
		require.NoError(t, err)
		assert.JSONEq(t, c.patch, string(patch), name)
	}
}

func TestAPatchKeepsPreservedNodePorts(t *testing.T) {
	o := Options{PreserveNodePorts: true}
	want := fromYAML(t, `{apiVersion: v1, kind: Service, metadata: {name: a, uid: u}, spec: {ports: [{port: 80, nodePort: 30080}]}}`)
	require.NoError(t, o.Transform(want, "services"))
	patch, err := o.Patch(want, fromYAML(t, `{apiVersion: v1, kind: Service, metadata: {name: a, uid: u}, spec: {ports: [{port: 80, nodePort: 30081}]}}`))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"spec": map[string]any{"ports": []any{map[string]any{"port": 80.0, "nodePort": 30080.0}}}}, patch)
}

func TestAnUpdateIsMeantForTheObjectThatWasRead(t *testing.T) {
	live := fromYAML(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, uid: u, resourceVersion: "7"}}`)
	patch := map[string]any{"data": map[string]any{"x": "1"}, "metadata": map[string]any{"labels": map[string]any{"gone": nil, "velero.io/restore-name": nil}}}
	before, err := json.Marshal(patch)
	require.NoError(t, err)
	step := Step{Key: item.Key{Resource: "configmaps", Name: "a"}}

	sealed, err := Sealed(patch, step, live, "b", "r")
	require.NoError(t, err)
	assert.JSONEq(t, `{"data":{"x":"1"},"metadata":{"uid":"u","resourceVersion":"7","labels":{"gone":null,"velero.io/backup-name":"b","velero.io/restore-name":"r"}}}`, string(sealed))
	after, err := json.Marshal(patch)
	require.NoError(t, err)
	assert.JSONEq(t, string(before), string(after), "the patch is used again when an answer is lost")

	sealed, err = Sealed(nil, step, live, "b", "r")
	require.NoError(t, err)
	assert.JSONEq(t, `{"metadata":{"uid":"u","resourceVersion":"7","labels":{"velero.io/backup-name":"b","velero.io/restore-name":"r"}}}`, string(sealed))
	sealed, err = Sealed(nil, step, nil, "b", "r")
	require.NoError(t, err)
	assert.JSONEq(t, `{"metadata":{"labels":{"velero.io/backup-name":"b","velero.io/restore-name":"r"}}}`, string(sealed))
	sealed, err = Sealed(nil, Step{Key: item.Key{Resource: "namespaces", Name: "a"}}, live, "b", "r")
	require.NoError(t, err)
	assert.JSONEq(t, `{"metadata":{"uid":"u","resourceVersion":"7"}}`, string(sealed), "namespaces carry no labels of a restore")
}

func TestAPlanThatWasReviewedHoldsOrItIsSaidWhy(t *testing.T) {
	a := Step{Key: item.Key{Resource: "configmaps", Namespace: "shop", Name: "a"}, Version: "v1", Action: Update, Reason: "words", Sum: Digest{1}, Live: Digest{2}}
	const at = "configmaps shop/a: "
	with := func(change func(*Step)) Plan {
		s := a
		change(&s)
		return Plan{Backup: "b", Steps: []Step{s}}
	}
	for name, c := range map[string]struct {
		now  Plan
		want []string
	}{
		"it is the same":               {with(func(*Step) {}), nil},
		"only the words are others":    {with(func(s *Step) { s.Reason = "others" }), nil},
		"another backup":               {Plan{Backup: "c", Steps: []Step{a}}, []string{"the plan is of backup b, not of c"}},
		"the object is gone":           {Plan{Backup: "b"}, []string{at + "the plan says update; now nothing is to be done with it"}},
		"something else is to be done": {with(func(s *Step) { s.Action = Create }), []string{at + "the plan says update; now it is create: words"}},
		"the backup is another":        {with(func(s *Step) { s.Sum = Digest{9} }), []string{at + "the backup holds another object than when the plan was made"}},
		"the cluster is another":       {with(func(s *Step) { s.Live = Digest{9} }), []string{at + "the cluster has another object than when the plan was made"}},
		"it gets another name":         {with(func(s *Step) { from := s.Key; s.From, s.Name = &from, "z" }), []string{at + "the plan makes it configmaps shop/a at v1; now it is configmaps shop/z at v1"}},
		"it gets another version":      {with(func(s *Step) { s.Version = "v2" }), []string{at + "the plan makes it configmaps shop/a at v1; now it is configmaps shop/a at v2"}},
		"it is held at another":        {with(func(s *Step) { s.Held = "v0" }), []string{at + "the plan makes it configmaps shop/a at v1; now it is configmaps shop/a at v1"}},
		"its status is restored":       {with(func(s *Step) { s.Status = true }), []string{at + "what would be done with it has changed"}},
		"it is relabelled":             {with(func(s *Step) { s.Relabel = true }), []string{at + "what would be done with it has changed"}},
		"it is completed":              {with(func(s *Step) { s.Merge = true }), []string{at + "what would be done with it has changed"}},
		"it gets an owner":             {with(func(s *Step) { s.Owners = []Owner{{Kind: "ConfigMap"}} }), []string{at + "what would be done with it has changed"}},
		"a new object": {Plan{Backup: "b", Steps: []Step{a, {Key: item.Key{Resource: "secrets", Namespace: "shop", Name: "n"}, Action: Create, Reason: "absent"}}},
			[]string{"secrets shop/n: the plan does not have it; now it is create: absent"}},
	} {
		assert.Equal(t, c.want, Drift(Plan{Backup: "b", Steps: []Step{a}}, c.now), name)
	}
}

func TestAPlanInWhichNamespacesChangePlacesHolds(t *testing.T) {
	o := Options{NamespaceMapping: map[string]string{"east": "west", "west": "far"}}
	items := []item.Item{object(t, "v1 ConfigMap configmaps east/a", ""), object(t, "v1 Namespace namespaces west", ""), object(t, "v1 ConfigMap configmaps west/a", "")}
	p := build(t, o, everything(), items...)
	assert.ElementsMatch(t, []string{
		"create namespaces far: absent in the cluster", "create namespaces west: not in the backup; restored items are in it",
		"create configmaps far/a: absent in the cluster", "create configmaps west/a: absent in the cluster",
	}, steps(p))
	assert.Empty(t, Drift(p, build(t, o, everything(), items...)))
}

func TestADigestIsReadAsItIsWritten(t *testing.T) {
	d := Digest{0: 1, 31: 255}
	text, err := d.MarshalText()
	require.NoError(t, err)
	var back Digest
	require.NoError(t, back.UnmarshalText(text))
	assert.Equal(t, d, back)
	for _, bad := range []string{"", "00", string(text[1:]), string(text) + "00", string(text[:62]) + "zz", string(text) + "0"} {
		assert.Error(t, new(Digest).UnmarshalText([]byte(bad)), bad)
	}
}

func TestOwners(t *testing.T) {
	uid := func(u string) string { return `"metadata":{"uid":"` + u + `"}` }
	ref := func(apiVersion, kind, name, uid, more string) string {
		return `"metadata":{"ownerReferences":[{"apiVersion":"` + apiVersion + `","kind":"` + kind + `","name":"` + name + `","uid":"` + uid + `"` + more + `}]}`
	}
	owner := object(t, "v1 ConfigMap configmaps shop/owner", uid("u1"))
	owned := object(t, "v1 Secret secrets shop/owned", ref("v1", "ConfigMap", "owner", "u1", `,"controller":true,"blockOwnerDeletion":true`))
	plain := object(t, "v1 Secret secrets shop/owned", ref("v1", "ConfigMap", "owner", "u1", ""))
	want := Owner{Key: owner.Key, APIVersion: "v1", Kind: "ConfigMap"}

	for name, c := range map[string]struct {
		items  []item.Item // the owned one first
		o      Options
		seen   func(*Observed)
		owners []Owner
		reason string
		uid    string // of the owner, as far as it is known beforehand
	}{
		"an owner that is restored too": {items: []item.Item{owned, owner},
			owners: []Owner{{Key: owner.Key, APIVersion: "v1", Kind: "ConfigMap", Controller: true, BlockOwnerDeletion: true}}, reason: "absent in the cluster"},
		"one that cannot be restored": {items: []item.Item{object(t, "v1 Secret secrets shop/s", ref("example.com/v1", "Widget", "w", "u1", "")), object(t, "example.com/v1 Widget widgets shop/w", uid("u1"))},
			reason: "absent in the cluster; without its owner, Widget w, which is not restored"},
		"one that is no controller": {items: []item.Item{plain, owner}, owners: []Owner{want}, reason: "absent in the cluster"},
		"one that is there already": {items: []item.Item{plain, owner}, seen: func(o *Observed) { o.Existing[owner.Key] = Live{Digest: Digest{1}, UID: "new"} },
			owners: []Owner{want}, reason: "absent in the cluster", uid: "new"},
		"one that the filter leaves out and that is there": {items: []item.Item{plain, owner}, o: Options{Filter: filter.Filter{IncludedResources: []string{"secrets"}}},
			seen:   func(o *Observed) { o.Existing[owner.Key] = Live{Digest: Digest{1}, UID: "new"} },
			owners: []Owner{want}, reason: "absent in the cluster", uid: "new"},
		"one that is there and goes with its namespace": {items: []item.Item{plain, owner},
			seen: func(o *Observed) {
				o.Existing[owner.Key] = Live{Digest: Digest{1}, UID: "old"}
				o.Terminating = map[string]bool{"shop": true}
			},
			owners: []Owner{want}, reason: "absent once namespace shop, which is being deleted, is gone"},
		"one that the filter leaves out": {items: []item.Item{plain, owner}, o: Options{Filter: filter.Filter{IncludedResources: []string{"secrets"}}},
			reason: "absent in the cluster; without its owner, ConfigMap owner, which is not restored"},
		"one that is not in the backup": {items: []item.Item{plain}, reason: "absent in the cluster; without its owner, ConfigMap owner, which is not in the backup"},
		"one without a UID": {items: []item.Item{object(t, "v1 Secret secrets shop/owned", ref("v1", "ConfigMap", "owner", "", "")), object(t, "v1 ConfigMap configmaps shop/owner", "")},
			reason: "absent in the cluster; without its owner, ConfigMap owner, which is not in the backup"},
		"one of the same name and another UID": {items: []item.Item{plain, object(t, "v1 ConfigMap configmaps shop/owner", uid("u2"))},
			reason: "absent in the cluster; without its owner, ConfigMap owner, which is not in the backup"},
		"one of the same UID and another name": {items: []item.Item{plain, object(t, "v1 ConfigMap configmaps shop/other", uid("u1"))},
			reason: "absent in the cluster; without its owner, ConfigMap owner, which is a different object in the backup"},
		"one of the same UID and another kind": {items: []item.Item{plain, object(t, "v1 Pod pods shop/owner", uid("u1"))},
			reason: "absent in the cluster; without its owner, ConfigMap owner, which is a different object in the backup"},
		"one in another namespace": {items: []item.Item{plain, object(t, "v1 ConfigMap configmaps calm/owner", uid("u1"))},
			reason: "absent in the cluster; without its owner, ConfigMap owner, which is a different object in the backup"},
		"one in no namespace": {items: []item.Item{object(t, "v1 Secret secrets shop/owned", ref("v1", "Namespace", "shop", "u1", "")), object(t, ns, uid("u1"))},
			owners: []Owner{{Key: object(t, ns, "").Key, APIVersion: "v1", Kind: "Namespace"}}, reason: "absent in the cluster"},
		"one whose namespace is mapped with it": {items: []item.Item{plain, owner}, o: Options{NamespaceMapping: map[string]string{"shop": "copy"}},
			owners: []Owner{{Key: item.Key{Resource: "configmaps", Namespace: "copy", Name: "owner"}, APIVersion: "v1", Kind: "ConfigMap"}}, reason: "absent in the cluster"},
		"a controller that adopts": {items: []item.Item{object(t, "v1 Pod pods shop/p", ref("apps/v1", "ReplicaSet", "rs", "u1", `,"controller":true`)), object(t, "apps/v1 ReplicaSet replicasets shop/rs", uid("u1"))},
			reason: "absent in the cluster; its owner, ReplicaSet rs, finds it by its labels"},
		"one that is called like it": {items: []item.Item{object(t, "v1 Pod pods shop/p", ref("example.com/v1", "Job", "j", "u1", `,"controller":true`)), object(t, "example.com/v1 Job widgets shop/j", uid("u1"))},
			seen:   func(o *Observed) { o.Served["widgets.example.com"] = []string{"v1"} },
			owners: []Owner{{Key: item.Key{Group: "example.com", Resource: "widgets", Namespace: "shop", Name: "j"}, APIVersion: "example.com/v1", Kind: "Job", Controller: true}}, reason: "absent in the cluster"},
		"a job, which makes new pods": {items: []item.Item{object(t, "v1 Pod pods shop/p", ref("batch/v1", "Job", "j", "u1", `,"controller":true`)), object(t, "batch/v1 Job jobs shop/j", uid("u1"))},
			reason: "absent in the cluster; without its owner, Job j, which makes new pods"},
		"a job that owns and does not control": {items: []item.Item{object(t, "v1 Secret secrets shop/s", ref("batch/v1", "Job", "j", "u1", "")), object(t, "batch/v1 Job jobs shop/j", uid("u1"))},
			owners: []Owner{{Key: item.Key{Group: "batch", Resource: "jobs", Namespace: "shop", Name: "j"}, APIVersion: "batch/v1", Kind: "Job"}}, reason: "absent in the cluster"},
		"a core controller that adopts": {items: []item.Item{object(t, "v1 Pod pods shop/p", ref("v1", "ReplicationController", "rc", "u1", `,"controller":true`)), object(t, "v1 ReplicationController replicationcontrollers shop/rc", uid("u1"))},
			seen:   func(o *Observed) { o.Served["replicationcontrollers"] = []string{"v1"} },
			reason: "absent in the cluster; its owner, ReplicationController rc, finds it by its labels"},
		"one that would adopt and does not control": {items: []item.Item{object(t, "v1 Secret secrets shop/s", ref("apps/v1", "Deployment", "d", "u1", "")), object(t, "apps/v1 Deployment deployments shop/d", uid("u1"))},
			owners: []Owner{{Key: item.Key{Group: "apps", Resource: "deployments", Namespace: "shop", Name: "d"}, APIVersion: "apps/v1", Kind: "Deployment"}}, reason: "absent in the cluster"},
		"one of a version that is not served": {items: []item.Item{object(t, "v1 Secret secrets shop/s", ref("example.com/v1beta1", "Widget", "w", "u1", "")), object(t, "example.com/v1beta1 Widget widgets shop/w", uid("u1"))},
			seen:   func(o *Observed) { o.Served["widgets.example.com"] = []string{"v1"} },
			owners: []Owner{{Key: item.Key{Group: "example.com", Resource: "widgets", Namespace: "shop", Name: "w"}, APIVersion: "example.com/v1", Kind: "Widget"}}, reason: "absent in the cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			seen := everything()
			if c.seen != nil {
				c.seen(&seen)
			}
			p := build(t, c.o, seen, c.items...)
			s := stepOf(t, p, c.items[0].Key)
			assert.Equal(t, c.owners, s.Owners)
			assert.Equal(t, c.reason, s.Reason)
			if len(c.owners) > 0 {
				assert.Equal(t, c.uid, p.UIDs[c.owners[0].Key])
				assert.True(t, stepOf(t, p, c.items[1].Key).Owns)
			}
			assert.False(t, s.Owns)
		})
	}
}

func TestTheOrderOfTheArchiveIsOfNoImportanceToOwners(t *testing.T) {
	owner := object(t, "v1 ConfigMap configmaps shop/owner", `"metadata":{"uid":"u1"}`)
	owned := object(t, "v1 Secret secrets shop/owned", `"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":"u1"}]}`)
	for _, items := range [][]item.Item{{owner, owned}, {owned, owner}} {
		assert.Len(t, stepOf(t, build(t, Options{}, everything(), items...), owned.Key).Owners, 1)
	}
}

func TestOwnersOfAnInterruptedRestoreAreGivenBack(t *testing.T) {
	owner := object(t, "v1 ConfigMap configmaps shop/owner", `"metadata":{"uid":"u1"}`)
	owned := object(t, "v1 Secret secrets shop/owned", `"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":"u1"}]}`)
	seen := everything()
	exists(t, &seen, owner, owned)
	live := seen.Existing[owned.Key]
	ownerLive := seen.Existing[owner.Key]
	ownerLive.UID = "new"
	seen.Existing[owner.Key] = ownerLive
	for name, c := range map[string]struct {
		policy Policy
		live   Live
		want   Action
	}{
		"one that lacks them":                    {"", Live{Digest: live.Digest, Backup: "b"}, Update},
		"one that lacks them, under update":      {PolicyUpdate, Live{Digest: live.Digest, Backup: "b"}, Update},
		"one that has them":                      {"", Live{Digest: live.Digest, Backup: "b", Owned: true}, Unchanged},
		"one that has them, under update":        {PolicyUpdate, Live{Digest: live.Digest, Backup: "b", Owned: true}, Label},
		"one that this backup did not bring":     {"", Live{Digest: live.Digest, Backup: "another"}, Unchanged},
		"one that no restore brought":            {"", Live{Digest: live.Digest}, Unchanged},
		"one that is another than in the backup": {"", Live{Digest: Digest{1}, Backup: "b"}, Skip},
	} {
		seen.Existing[owned.Key] = c.live
		p := build(t, Options{ExistingResourcePolicy: c.policy}, seen, owned, owner)
		s := stepOf(t, p, owned.Key)
		assert.Equal(t, c.want, s.Action, name)
		if c.want == Update {
			assert.Equal(t, []Owner{{Key: owner.Key, APIVersion: "v1", Kind: "ConfigMap"}}, s.Owners, name)
			assert.Equal(t, live.Digest, s.Live, name)
			assert.Equal(t, "new", p.UIDs[owner.Key], name)
			assert.Equal(t, "exists and is equal, but without its owners", s.Reason)
		} else {
			assert.Empty(t, s.Owners, name)
		}
	}

	seen.Existing[owned.Key] = Live{Digest: live.Digest, Backup: "b"}
	s := stepOf(t, build(t, Options{}, seen, owned), owned.Key)
	assert.Equal(t, Unchanged, s.Action, "an owner that is nowhere cannot be given back")
	assert.Equal(t, ReasonEqual, s.Reason)
}

func TestAReferenceSaysNoMoreThanItsOwnerIs(t *testing.T) {
	o := Owner{Key: item.Key{Resource: "configmaps", Name: "a"}, APIVersion: "v1", Kind: "ConfigMap"}
	assert.Equal(t, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "u"}, o.Reference("u"))
	o.Controller, o.BlockOwnerDeletion = true, true
	assert.Equal(t, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "u", "controller": true, "blockOwnerDeletion": true}, o.Reference("u"))
}
