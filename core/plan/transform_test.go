package plan

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/modifier"
)

const (
	bindings        = "rolebindings.rbac.authorization.k8s.io"
	clusterBindings = "clusterrolebindings.rbac.authorization.k8s.io"
	definitions     = "customresourcedefinitions.apiextensions.k8s.io"
	validating      = "validatingwebhookconfigurations.admissionregistration.k8s.io"
	mutating        = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
)

func TestAMappedNamespaceIsFollowedWhereverAnObjectNamesIt(t *testing.T) {
	o := Options{NamespaceMapping: map[string]string{"shop": "copy"}}
	for _, c := range []struct{ name, resource, of, want string }{
		{"the namespace of an object", "configmaps",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: shop, namespace: shop, labels: {ns: shop}}, data: {namespace: shop}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: shop, namespace: copy, labels: {ns: shop}}, data: {namespace: shop}}`},
		{"another namespace stays", "configmaps",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop-2}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop-2}}`},
		{"the namespace itself, with the label that the API server gives", "namespaces",
			`{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {kubernetes.io/metadata.name: shop, name: shop}}}`,
			`{apiVersion: v1, kind: Namespace, metadata: {name: copy, labels: {kubernetes.io/metadata.name: copy, name: shop}}}`},
		{"a namespace without the label gets none", "namespaces",
			`{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: x}}}`,
			`{apiVersion: v1, kind: Namespace, metadata: {name: copy, labels: {team: x}}}`},
		{"the subjects of a binding", bindings,
			`{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: a, namespace: shop}, roleRef: {name: shop}, subjects: [
			   {kind: ServiceAccount, name: shop, namespace: shop}, {kind: ServiceAccount, name: other, namespace: calm},
			   {kind: Group, name: "system:serviceaccounts:shop"}, {kind: Group, name: "system:serviceaccounts:calm"}, {kind: Group, name: "system:serviceaccounts"},
			   {kind: User, name: "system:serviceaccount:shop:till"}, {kind: User, name: "system:serviceaccount:calm:till"}, {kind: User, name: "system:serviceaccount:shop"},
			   {kind: User, name: "system:serviceaccounts:shop"}, {kind: Group, name: "system:serviceaccount:shop:till"}, {kind: User, name: shop}]}`,
			`{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: a, namespace: copy}, roleRef: {name: shop}, subjects: [
			   {kind: ServiceAccount, name: shop, namespace: copy}, {kind: ServiceAccount, name: other, namespace: calm},
			   {kind: Group, name: "system:serviceaccounts:copy"}, {kind: Group, name: "system:serviceaccounts:calm"}, {kind: Group, name: "system:serviceaccounts"},
			   {kind: User, name: "system:serviceaccount:copy:till"}, {kind: User, name: "system:serviceaccount:calm:till"}, {kind: User, name: "system:serviceaccount:shop"},
			   {kind: User, name: "system:serviceaccounts:shop"}, {kind: Group, name: "system:serviceaccount:shop:till"}, {kind: User, name: shop}]}`},
		{"the subjects of a cluster-wide one", clusterBindings,
			`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: shop}, subjects: [{kind: ServiceAccount, name: a, namespace: shop}, {kind: Group, name: "system:serviceaccounts:shop"}]}`,
			`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: shop}, subjects: [{kind: ServiceAccount, name: a, namespace: copy}, {kind: Group, name: "system:serviceaccounts:copy"}]}`},
		{"the claim of a volume", "persistentvolumes",
			`{apiVersion: v1, kind: PersistentVolume, metadata: {name: shop}, spec: {claimRef: {namespace: shop, name: c}}}`,
			`{apiVersion: v1, kind: PersistentVolume, metadata: {name: shop}, spec: {claimRef: {namespace: copy, name: c}}}`},
		{"the service behind an API", "apiservices.apiregistration.k8s.io",
			`{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: a}, spec: {service: {namespace: shop, name: shop}}}`,
			`{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: a}, spec: {service: {namespace: copy, name: shop}}}`},
		{"the service behind a conversion", definitions,
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}, spec: {conversion: {strategy: Webhook, webhook: {clientConfig: {service: {namespace: shop, name: c}}}}}}`,
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}, spec: {conversion: {strategy: Webhook, webhook: {clientConfig: {service: {namespace: copy, name: c}}}}}}`},
		{"the services behind validating webhooks, and not what is called by a URL", validating,
			`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: a}, webhooks: [{clientConfig: {service: {namespace: shop, name: w}}}, {clientConfig: {url: "https://shop"}}, {clientConfig: {service: {namespace: calm, name: w}}}]}`,
			`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: a}, webhooks: [{clientConfig: {service: {namespace: copy, name: w}}}, {clientConfig: {url: "https://shop"}}, {clientConfig: {service: {namespace: calm, name: w}}}]}`},
		{"the services behind mutating webhooks", mutating,
			`{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: a}, webhooks: [{clientConfig: {service: {namespace: shop, name: w}}}]}`,
			`{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: a}, webhooks: [{clientConfig: {service: {namespace: copy, name: w}}}]}`},
		{"what is only called like a binding is left alone", "rolebindings.example.com",
			`{apiVersion: example.com/v1, kind: RoleBinding, metadata: {name: a, namespace: shop}, subjects: [{kind: ServiceAccount, name: a, namespace: shop}]}`,
			`{apiVersion: example.com/v1, kind: RoleBinding, metadata: {name: a, namespace: copy}, subjects: [{kind: ServiceAccount, name: a, namespace: shop}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := fromYAML(t, c.of)
			require.NoError(t, o.Transform(u, c.resource))
			assert.Equal(t, fromYAML(t, c.want).Object, u.Object)
			as := fromYAML(t, c.of)
			require.NoError(t, Options{}.Transform(as, c.resource))
			assert.Equal(t, fromYAML(t, c.of).Object, as.Object, "without a mapping it stays")
		})
	}
}

func build(t *testing.T, o Options, seen Observed, items ...item.Item) Plan {
	t.Helper()
	var all []Entry
	for _, it := range items {
		e, err := Examine(it, o)
		require.NoError(t, err)
		all = append(all, e)
	}
	return o.Build("b", all, seen)
}

func stepOf(t *testing.T, p Plan, source item.Key) Step {
	t.Helper()
	for _, s := range p.Steps {
		if s.Source() == source && !s.Bare {
			return s
		}
	}
	require.FailNow(t, "no step", "%s in %v", source, steps(p))
	return Step{}
}

func TestAMappedItemIsPlannedUnderItsNewName(t *testing.T) {
	namespace, settings := object(t, ns, `"metadata":{"labels":{"kubernetes.io/metadata.name":"shop"}}`), object(t, config, `"data":{"a":"b"}`)
	o := Options{NamespaceMapping: map[string]string{"shop": "copy"}}
	seen := everything()
	exists(t, &seen, namespace, settings) // the originals, which are no hindrance
	p := build(t, o, seen, namespace, settings)
	assert.Equal(t, []string{"create namespaces copy: absent in the cluster", "create configmaps copy/settings: absent in the cluster"}, steps(p))
	assert.Equal(t, settings.Key, p.Steps[1].Source(), "where the archive has it")
	assert.Equal(t, &settings.Key, p.Steps[1].From)

	there := object(t, "v1 ConfigMap configmaps copy/settings", `"data":{"a":"b"}`)
	exists(t, &seen, object(t, "v1 Namespace namespaces copy", `"metadata":{"labels":{"kubernetes.io/metadata.name":"copy"}}`), there)
	p = build(t, o, seen, namespace, settings)
	assert.Equal(t, []string{"unchanged namespaces copy: " + ReasonEqual, "unchanged configmaps copy/settings: " + ReasonEqual}, steps(p), "the copy is compared with what the mapping makes")

	unmapped := build(t, Options{}, everything(), settings).Steps[1]
	assert.Nil(t, unmapped.From)
}

func TestTheFilterLooksAtTheNamesInTheBackup(t *testing.T) {
	namespace, settings := object(t, ns, ""), object(t, config, "")
	for filtered, want := range map[string]Action{"shop": Create, "copy": Skip} {
		o := Options{NamespaceMapping: map[string]string{"shop": "copy"}, Filter: filter.Filter{IncludedNamespaces: []string{filtered}}}
		p := build(t, o, everything(), namespace, settings)
		assert.Equal(t, want, stepOf(t, p, settings.Key).Action, filtered)
		assert.Equal(t, want, stepOf(t, p, namespace.Key).Action, filtered)
	}
}

func TestANamespaceThatTheFilterLeavesOutIsMadeUnderItsNewName(t *testing.T) {
	namespace, settings := object(t, ns, `"metadata":{"labels":{"team":"x"}}`), object(t, config, "")
	o := Options{NamespaceMapping: map[string]string{"shop": "copy"}, Filter: filter.Filter{IncludedResources: []string{"configmaps"}}}
	p := build(t, o, everything(), namespace, settings)
	assert.Equal(t, []string{"create namespaces copy: absent in the cluster; restored items are in it", "create configmaps copy/settings: absent in the cluster"}, steps(p))
	assert.Equal(t, namespace.Key, p.Steps[0].Source(), "with the labels of the one in the backup")

	bare := build(t, o, everything(), settings)
	assert.Equal(t, "create namespaces copy: not in the backup; restored items are in it", steps(bare)[0])
}

func TestTwoNamespacesThatBecomeOne(t *testing.T) {
	east, west := object(t, "v1 Namespace namespaces east", ""), object(t, "v1 Namespace namespaces west", "")
	a, b := object(t, "v1 ConfigMap configmaps east/a", ""), object(t, "v1 ConfigMap configmaps west/b", "")
	twin := object(t, "v1 ConfigMap configmaps west/a", "")
	o := Options{NamespaceMapping: map[string]string{"east": "one", "west": "one"}}

	p := build(t, o, everything(), east, west, a, b)
	assert.ElementsMatch(t, []string{
		"create namespaces one: absent in the cluster",
		"skip namespaces one: its items go to namespace one, which is made like east",
		"create configmaps one/a: absent in the cluster",
		"create configmaps one/b: absent in the cluster",
	}, steps(p))

	p = build(t, o, everything(), east, west, a, b, twin)
	assert.Equal(t, Create, stepOf(t, p, a.Key).Action)
	clash := stepOf(t, p, twin.Key)
	assert.Equal(t, Fail, clash.Action)
	assert.Equal(t, "configmaps east/a of the backup becomes configmaps one/a too; restore them one after the other, or map their namespaces apart", clash.Reason)

	onto := Options{NamespaceMapping: map[string]string{"east": "west"}}
	p = build(t, onto, everything(), east, west, a, twin)
	assert.Equal(t, Fail, stepOf(t, p, twin.Key).Action, "a namespace that is not mapped itself is one too")

	left := o
	left.Filter = filter.Filter{LabelSelector: "side=west"}
	west, twin = object(t, "v1 Namespace namespaces west", `"metadata":{"labels":{"side":"west"}}`), object(t, "v1 ConfigMap configmaps west/a", `"metadata":{"labels":{"side":"west"}}`)
	p = build(t, left, everything(), east, west, a, twin)
	assert.ElementsMatch(t, []string{
		"skip namespaces one: " + leaveFiltered,
		"create namespaces one: absent in the cluster",
		"skip configmaps one/a: " + leaveFiltered,
		"create configmaps one/a: absent in the cluster",
	}, steps(p), "what is left out is no collision, and the namespace is made once")
}

func TestAMappedStorageClassReplacesTheNameInVolumesClaimsAndTemplates(t *testing.T) {
	o := Options{StorageClassMapping: map[string]string{"old": "new"}}
	for resource, c := range map[string]struct{ of, want string }{
		"persistentvolumes": {
			`{apiVersion: v1, kind: PersistentVolume, metadata: {name: a, annotations: {volume.beta.kubernetes.io/storage-class: old, mine: old}}, spec: {storageClassName: old}}`,
			`{apiVersion: v1, kind: PersistentVolume, metadata: {name: a, annotations: {volume.beta.kubernetes.io/storage-class: new, mine: old}}, spec: {storageClassName: new}}`},
		"persistentvolumeclaims": {
			`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, annotations: {volume.beta.kubernetes.io/storage-class: old}}, spec: {storageClassName: old}}`,
			`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, annotations: {volume.beta.kubernetes.io/storage-class: new}}, spec: {storageClassName: new}}`},
		"statefulsets.apps": {
			`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a}, spec: {volumeClaimTemplates: [{metadata: {name: x, annotations: {volume.beta.kubernetes.io/storage-class: old}}, spec: {}}, {metadata: {name: y}, spec: {storageClassName: old}}, {metadata: {name: z}, spec: {storageClassName: other}}]}}`,
			`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a}, spec: {volumeClaimTemplates: [{metadata: {name: x, annotations: {volume.beta.kubernetes.io/storage-class: new}}, spec: {}}, {metadata: {name: y}, spec: {storageClassName: new}}, {metadata: {name: z}, spec: {storageClassName: other}}]}}`},
		"databases.example.com": {
			`{apiVersion: example.com/v1, kind: Database, metadata: {name: a}, spec: {storageClassName: old}}`,
			`{apiVersion: example.com/v1, kind: Database, metadata: {name: a}, spec: {storageClassName: old}}`},
	} {
		u := fromYAML(t, c.of)
		require.NoError(t, o.Transform(u, resource))
		assert.Equal(t, fromYAML(t, c.want).Object, u.Object, resource)
	}
	for _, of := range []string{
		`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {storageClassName: ""}}`,
		`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {}}`,
		`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {storageClassName: other}}`,
	} {
		u := fromYAML(t, of)
		require.NoError(t, o.Transform(u, "persistentvolumeclaims"))
		assert.Equal(t, fromYAML(t, of).Object, u.Object)
	}
}

func TestANewStorageClassHasToBeSomewhere(t *testing.T) {
	const class = "storage.k8s.io/v1 StorageClass storageclasses "
	seen := everything()
	seen.StorageClasses = map[string]bool{"in-cluster": true}
	o := Options{StorageClassMapping: map[string]string{"a": "in-cluster", "b": "in-backup", "c": "nowhere", "d": "nowhere", "e": "left-out", "f": "another"}}
	all := entries(t, filter.Filter{}, object(t, class+"in-backup", ""), object(t, "v1 ConfigMap configmaps shop/another", ""))
	left := entries(t, filter.Filter{ExcludedResources: []string{"storageclasses.storage.k8s.io"}}, object(t, class+"left-out", ""))
	assert.Equal(t, []string{"another", "left-out", "nowhere"}, o.MissingStorageClasses(append(all, left...), seen))
	assert.Empty(t, Options{}.MissingStorageClasses(all, seen))
}

func TestPreservedNodePortsAreAllKept(t *testing.T) {
	const service = `{apiVersion: v1, kind: Service, metadata: {name: a, uid: u}, spec: {type: LoadBalancer, clusterIP: 10.0.0.7, externalTrafficPolicy: Local, healthCheckNodePort: 32100, ports: [{port: 80, protocol: TCP, nodePort: 30080}]}}`
	u := fromYAML(t, service)
	require.NoError(t, Options{PreserveNodePorts: true}.Transform(u, "services"))
	assert.Equal(t, fromYAML(t, `{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 32100, ports: [{port: 80, protocol: TCP, nodePort: 30080}]}}`).Object, u.Object)

	u = fromYAML(t, service)
	require.NoError(t, Options{}.Transform(u, "services"))
	assert.Equal(t, fromYAML(t, `{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: LoadBalancer, externalTrafficPolicy: Local, ports: [{port: 80, protocol: TCP}]}}`).Object, u.Object)
}

func TestAHealthCheckNodePortThatSomebodyAskedForIsKept(t *testing.T) {
	for name, meta := range map[string]string{
		"by kubectl":         `annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"spec":{"healthCheckNodePort":32100}}'}`,
		"as a field manager": `managedFields: [{manager: helm, fieldsV1: {"f:spec": {"f:healthCheckNodePort": {}}}}]`,
	} {
		u := fromYAML(t, `{apiVersion: v1, kind: Service, metadata: {name: a, uid: u, `+meta+`}, spec: {healthCheckNodePort: 32100, ports: [{port: 80, nodePort: 30080}]}}`)
		require.NoError(t, Options{}.Transform(u, "services"))
		assert.EqualValues(t, 32100, item.Child(u.Object, "spec")["healthCheckNodePort"], name)
		assert.Nil(t, item.Maps(item.Child(u.Object, "spec")["ports"])[0]["nodePort"], name)
	}
}

func TestAPreservedNodePortThatDiffersIsADifference(t *testing.T) {
	service := func(port string) item.Item {
		return object(t, "v1 Service services shop/a", `"metadata":{"uid":"u"},"spec":{"type":"NodePort","ports":[{"port":80,"protocol":"TCP","nodePort":`+port+`}]}`)
	}
	for _, c := range []struct {
		preserve bool
		port     string
		want     Action
	}{{true, "30080", Unchanged}, {true, "30081", Skip}, {false, "30081", Unchanged}} {
		o := Options{PreserveNodePorts: c.preserve}
		seen := everything()
		seen.Served["services"] = []string{"v1"}
		u, err := service(c.port).Object()
		require.NoError(t, err)
		seen.Existing[service("1").Key], err = o.Live(u, "v1")
		require.NoError(t, err)
		assert.Equal(t, c.want, build(t, o, seen, service("30080")).Steps[0].Action, "%v %s", c.preserve, c.port)
	}
}

func TestWhoseStatusIsRestored(t *testing.T) {
	status := func(meta string) item.Item {
		return object(t, "example.com/v1 Widget widgets shop/w", `"metadata":{`+meta+`},"status":{"phase":"Ready"}`)
	}
	const yes, no = `"annotations":{"velero.io/restore-status":"true"}`, `"annotations":{"velero.io/restore-status":"false"}`
	for name, c := range map[string]struct {
		it   item.Item
		o    Options
		want bool
	}{
		"nobody asked":                      {status(""), Options{}, false},
		"all":                               {status(""), Options{StatusResources: []string{"*"}}, true},
		"by name":                           {status(""), Options{StatusResources: []string{"widgets.example.com"}}, true},
		"another":                           {status(""), Options{StatusResources: []string{"gadgets"}}, false},
		"all but this":                      {status(""), Options{StatusResources: []string{"*"}, ExcludedStatusResources: []string{"widgets.example.com"}}, false},
		"all but another":                   {status(""), Options{StatusResources: []string{"*"}, ExcludedStatusResources: []string{"gadgets"}}, true},
		"excluded alone":                    {status(""), Options{ExcludedStatusResources: []string{"gadgets"}}, false},
		"the annotation says so":            {status(yes), Options{}, true},
		"the annotation outranks exclusion": {status(yes), Options{ExcludedStatusResources: []string{"*"}}, true},
		"the annotation says no":            {status(no), Options{StatusResources: []string{"*"}}, false},
		"the annotation says neither":       {status(`"annotations":{"velero.io/restore-status":"maybe"}`), Options{StatusResources: []string{"*"}}, true},
		"it has none":                       {object(t, "example.com/v1 Widget widgets shop/w", `"metadata":{`+yes+`}`), Options{StatusResources: []string{"*"}}, false},
	} {
		e, err := Examine(c.it, c.o)
		require.NoError(t, err)
		assert.Equal(t, c.want, e.Status, name)
		seen := everything()
		seen.Served["widgets.example.com"] = []string{"v1"}
		assert.Equal(t, c.want, stepOf(t, c.o.Build("b", []Entry{e}, seen), c.it.Key).Status, name)
	}
}

func rules(t *testing.T, text string) modifier.Rules {
	t.Helper()
	r, err := modifier.Parse([]byte("version: v1\nresourceModifierRules:\n" + text))
	require.NoError(t, err)
	return r
}

func TestModifiersComeAfterWhatBelongsToTheKindAndBeforeTheNamespace(t *testing.T) {
	o := Options{
		NamespaceMapping: map[string]string{"shop": "copy"}, StorageClassMapping: map[string]string{"old": "new"},
		Modifiers: rules(t, `
- conditions: {groupResource: persistentvolumeclaims, namespaces: [shop]}
  patches: [{operation: test, path: /spec/storageClassName, value: new}, {operation: replace, path: /spec/storageClassName, value: by-modifier}]
- conditions: {groupResource: persistentvolumeclaims, namespaces: [copy]}
  patches: [{operation: add, path: /spec/wrong, value: "true"}]
- conditions: {groupResource: persistentvolumeclaims, matches: [{path: /status/phase, value: Bound}]}
  mergePatches: [{patchData: '{"spec":{"volumeName":"kept"}}'}]
`)}
	u := fromYAML(t, `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, namespace: shop, uid: u}, spec: {storageClassName: old, volumeName: v}, status: {phase: Bound}}`)
	require.NoError(t, o.Transform(u, "persistentvolumeclaims"))
	assert.Equal(t, fromYAML(t, `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, namespace: copy}, spec: {storageClassName: by-modifier, volumeName: kept}}`).Object, u.Object)
}

func TestAModifierThatFailsFailsItsItemAlone(t *testing.T) {
	o := Options{Modifiers: rules(t, `
- conditions: {groupResource: configmaps, resourceNameRegex: ^bad$}
  patches: [{operation: replace, path: /data/missing, value: x}]
`)}
	bad, good := object(t, "v1 ConfigMap configmaps shop/bad", ""), object(t, "v1 ConfigMap configmaps shop/good", "")
	p := build(t, o, everything(), bad, good)
	failed := stepOf(t, p, bad.Key)
	assert.Equal(t, Fail, failed.Action)
	assert.Contains(t, failed.Reason, "rule 1")
	assert.Contains(t, failed.Reason, "bad")
	assert.Equal(t, Create, stepOf(t, p, good.Key).Action)

	o.Filter = filter.Filter{IncludedResources: []string{"secrets"}}
	assert.Equal(t, Skip, stepOf(t, build(t, o, everything(), bad), bad.Key).Action, "what is left out is not spoken of")
}

func TestWhatAModifierMakesIsComparedWithTheCluster(t *testing.T) {
	o := Options{Modifiers: rules(t, `
- conditions: {groupResource: configmaps}
  mergePatches: [{patchData: '{"data":{"a":"changed"}}'}]
`)}
	seen := everything()
	exists(t, &seen, object(t, config, `"data":{"a":"changed"}`))
	assert.Equal(t, Unchanged, build(t, o, seen, object(t, config, `"data":{"a":"b"}`)).Steps[0].Action)
}

func TestABoundClaimLosesWhatItWasFilledFrom(t *testing.T) {
	claim := func(spec, phase string) string {
		return `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {` + spec + `}, status: {phase: ` + phase + `}}`
	}
	const full = `dataSource: {kind: VolumeSnapshot, name: s}, dataSourceRef: {kind: VolumeSnapshot, name: s}, selector: {matchLabels: {a: b}}, volumeName: v`
	for name, c := range map[string]struct{ of, want string }{
		"of a class":       {claim(`storageClassName: fast, `+full, "Bound"), `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {storageClassName: fast}}`},
		"of the default":   {claim(full, "Lost"), `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {}}`},
		"of no class":      {claim(`storageClassName: "", `+full, "Bound"), `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {storageClassName: "", selector: {matchLabels: {a: b}}}}`},
		"one that waits":   {claim(full, "Pending"), `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {` + full + `}}`},
		"one never served": {`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {` + full + `}}`, `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {` + full + `}}`},
	} {
		u := fromYAML(t, c.of)
		require.NoError(t, Options{}.Transform(u, "persistentvolumeclaims"))
		assert.Equal(t, fromYAML(t, c.want).Object, u.Object, name)
	}
}

func TestOptionsThatCannotBeMeantAreAllNamed(t *testing.T) {
	o := Options{
		Filter:              filter.Filter{IncludedClusterScopedResources: []string{"nodes"}, LabelSelector: "a in ("},
		NamespaceMapping:    map[string]string{"Shop": "copy", "a": "b.c"},
		StorageClassMapping: map[string]string{"": "x", "fast": "No Class"}, ExistingResourcePolicy: "replace",
	}
	var words []string
	for _, err := range o.Check() {
		words = append(words, err.Error())
	}
	require.Len(t, words, 7)
	assert.Contains(t, words[0], "label selector")
	assert.Equal(t, []string{
		"a restore names resources by includedResources and excludedResources, not by scope",
		`namespace mapping Shop:copy: "Shop" is not a valid namespace name`,
		`namespace mapping a:b.c: "b.c" is not a valid namespace name`,
		"storage class mapping :x: both must be names of storage classes",
		"storage class mapping fast:No Class: both must be names of storage classes",
		`existing resource policy "replace": must be none, update or recreate`,
	}, words[1:])
	for _, p := range []Policy{"", PolicyNone, PolicyUpdate, PolicyRecreate} {
		assert.Empty(t, Options{ExistingResourcePolicy: p, NamespaceMapping: map[string]string{"a": "b"}, StorageClassMapping: map[string]string{"a": "b.c"}}.Check())
	}
}

func TestTheVersionThatATargetGets(t *testing.T) {
	assert.Equal(t, "v1", ServedVersion("v1", []string{"v2", "v1"}), "the held one where it is served, preferred or not")
	assert.Equal(t, "v2", ServedVersion("v1", []string{"v2", "v3"}), "else the preferred one")
	assert.Equal(t, "v1", ServedVersion("v1", nil))

	old := object(t, "example.com/v1beta1 Widget widgets shop/w", "")
	seen := everything()
	seen.Served["widgets.example.com"] = []string{"v1"}
	s := stepOf(t, build(t, Options{}, seen, old), old.Key)
	assert.Equal(t, []string{"v1", "v1beta1", "example.com/v1"}, []string{s.Version, s.Held, s.APIVersion()})

	seen.Existing[old.Key] = Live{Digest: Digest{1}}
	s = stepOf(t, build(t, Options{ExistingResourcePolicy: PolicyUpdate}, seen, old), old.Key)
	assert.Equal(t, Update, s.Action)
	assert.Equal(t, []string{"v1", "v1beta1"}, []string{s.Version, s.Held}, "an update too")

	seen.Served["widgets.example.com"] = []string{"v1", "v1beta1"}
	s = stepOf(t, build(t, Options{ExistingResourcePolicy: PolicyUpdate}, seen, old), old.Key)
	assert.Equal(t, []string{"v1beta1", ""}, []string{s.Version, s.Held})
}

func TestAnObjectAtAnotherVersionIsEqualWhenAllElseIs(t *testing.T) {
	live := fromYAML(t, `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, namespace: shop, uid: u, ownerReferences: [{name: o}], labels: {velero.io/backup-name: nightly}}, spec: {a: b}}`)
	l, err := Options{}.Live(live, "example.com/v1beta1")
	require.NoError(t, err)
	want, err := DigestOf(object(t, "example.com/v1beta1 Widget widgets shop/w", `"spec":{"a":"b"}`))
	require.NoError(t, err)
	assert.Equal(t, Live{Digest: want, UID: "u", Backup: "nightly", Owned: true}, l)

	for phase, bound := range map[string]bool{"Bound": true, "Pending": false} {
		for _, kind := range []string{"PersistentVolume", "PersistentVolumeClaim"} {
			l, err := Options{}.Live(fromYAML(t, `{apiVersion: v1, kind: `+kind+`, metadata: {name: a}, status: {phase: `+phase+`}}`), "v1")
			require.NoError(t, err)
			assert.Equal(t, bound, l.Bound, "%s %s", kind, phase)
		}
	}
	l, err = Options{}.Live(fromYAML(t, `{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}, status: {phase: Bound}}`), "example.com/v1")
	require.NoError(t, err)
	assert.False(t, l.Bound, "only volumes and claims hold data")
	assert.False(t, l.Owned)
}

func TestARestoreIsFittedToATargetThatIsNotLikeTheClusterOfTheBackup(t *testing.T) {
	o := Options{
		NamespaceMapping: map[string]string{"shop": "copy"},
		Leave: func(u *unstructured.Unstructured, groupResource string) string {
			if groupResource == "secrets" && u.GetNamespace() == "shop" {
				return "the target has none"
			}
			return ""
		},
		Adapt: func(u *unstructured.Unstructured, groupResource string) {
			assert.Equal(t, "copy", u.GetNamespace(), "it sees the object of the target")
			u.Object["data"] = map[string]any{"a": "adapted"}
		},
	}
	left, adapted := object(t, "v1 Secret secrets shop/left", ""), object(t, config, `"data":{"a":"b"}`)
	seen := everything()
	exists(t, &seen, object(t, "v1 ConfigMap configmaps copy/"+adapted.Key.Name, `"data":{"a":"adapted"}`))
	p := build(t, o, seen, left, adapted)
	s := stepOf(t, p, left.Key)
	assert.Equal(t, Skip, s.Action)
	assert.Equal(t, "the target has none", s.Reason)
	assert.Equal(t, Unchanged, stepOf(t, p, adapted.Key).Action, "what is compared is the adapted object")

	o.Filter = filter.Filter{ExcludedResources: []string{"secrets"}}
	assert.Equal(t, leaveExcluded, stepOf(t, build(t, o, everything(), left), left.Key).Reason, "what the user leaves out comes first")
}

func TestAClusterIPThatItsAuthorWroteIsKept(t *testing.T) {
	service := func(more, spec string) string {
		return `{apiVersion: v1, kind: Service, metadata: {name: a, uid: u` + more + `}, spec: {` + spec + `}}`
	}
	const ips = `clusterIP: 10.0.0.7, clusterIPs: [10.0.0.7, "fd00::7"]`
	owned := func(field string) string { return `, managedFields: [{fieldsV1: {"f:spec": {"f:` + field + `": {}}}}]` }
	applied := func(spec string) string {
		return `, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"spec":` + spec + `}'}`
	}
	for name, c := range map[string]struct{ service, want string }{
		"allocated":             {service(owned("ports"), ips), ``},
		"written":               {service(owned("clusterIP"), ips), `clusterIP: 10.0.0.7`},
		"both written":          {service(owned("clusterIPs"), ips), ips},
		"applied by kubectl":    {service(applied(`{"clusterIP":"10.0.0.7"}`), ips), `clusterIP: 10.0.0.7`},
		"applied without":       {service(applied(`{"ports":[]}`), ips), ``},
		"headless":              {service(owned("clusterIP"), `clusterIP: None, clusterIPs: [None]`), `clusterIP: None, clusterIPs: [None]`},
		"a name and no address": {service(owned("clusterIP"), `type: ExternalName, externalName: a.test`), `type: ExternalName, externalName: a.test`},
	} {
		got := fromYAML(t, c.service)
		require.NoError(t, Options{}.Transform(got, "services"))
		assert.Equal(t, fromYAML(t, `{apiVersion: v1, kind: Service, spec: {`+c.want+`}}`).Object["spec"], got.Object["spec"], name)
	}
	kept, err := digest(fromYAML(t, service(owned("clusterIP"), ips)))
	require.NoError(t, err)
	other, err := digest(fromYAML(t, service(owned("clusterIP"), `clusterIP: 10.9.9.9, clusterIPs: [10.9.9.9]`)))
	require.NoError(t, err)
	assert.Equal(t, kept, other, "a target that has another range is no difference")
}
