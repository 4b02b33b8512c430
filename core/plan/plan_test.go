package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// object makes an item of "apiVersion Kind resource namespace/name" and the
// rest of its JSON.
func object(t testing.TB, what, more string) item.Item {
	t.Helper()
	f := strings.Fields(what)
	require.Len(t, f, 4, what)
	namespace, name, found := strings.Cut(f[3], "/")
	if !found {
		namespace, name = "", f[3]
	}
	obj := map[string]any{}
	require.NoError(t, json.Unmarshal([]byte("{"+more+"}"), &obj), more)
	meta, _ := obj["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		obj["metadata"] = meta
	}
	meta["name"] = name
	if namespace != "" {
		meta["namespace"] = namespace
	}
	obj["apiVersion"], obj["kind"] = f[0], f[1]
	raw, err := json.Marshal(obj)
	require.NoError(t, err)
	group, version, found := strings.Cut(f[0], "/")
	if !found {
		group, version = "", f[0]
	}
	return item.Item{Key: item.Key{Group: group, Resource: f[2], Namespace: namespace, Name: name}, Version: version, Kind: f[1], Raw: raw}
}

func entries(t testing.TB, f filter.Filter, items ...item.Item) []Entry {
	t.Helper()
	var out []Entry
	for _, it := range items {
		e, err := Examine(it, Options{Filter: f})
		require.NoError(t, err)
		out = append(out, e)
	}
	return ComeAlong(out)
}

// everything is a cluster that serves what the tests use and holds nothing.
func everything() Observed {
	served := map[string][]string{}
	for _, r := range append(append([]string{}, first...), "jobs.batch", "deployments.apps", "resourcequotas", "validatingwebhookconfigurations.admissionregistration.k8s.io") {
		served[r] = []string{"v1"}
	}
	return Observed{Served: served, Existing: map[item.Key]Live{}}
}

func steps(p Plan) []string {
	var out []string
	for _, s := range p.Steps {
		out = append(out, fmt.Sprintf("%s %s: %s", s.Action, s.Key, s.Reason))
	}
	return out
}

const (
	crd     = "apiextensions.k8s.io/v1 CustomResourceDefinition customresourcedefinitions widgets.example.com"
	crdSpec = `"spec":{"group":"example.com","names":{"plural":"widgets"}}`
	widget  = "example.com/v1 Widget widgets shop/w"
	ns      = "v1 Namespace namespaces shop"
	config  = "v1 ConfigMap configmaps shop/settings"
)

func TestAStepIsDecidedByTheBackupAndTheTarget(t *testing.T) {
	settings := object(t, config, `"data":{"a":"b"}`)
	digest, err := DigestOf(settings)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		items  []item.Item
		filter filter.Filter
		seen   func(*Observed)
		want   []string
	}{
		"an object that is not there is created, after its namespace": {
			items: []item.Item{settings, object(t, ns, "")},
			want:  []string{"create namespaces shop: absent in the cluster", "create configmaps shop/settings: absent in the cluster"},
		},
		"an equal object is unchanged": {
			items: []item.Item{settings},
			seen:  func(o *Observed) { o.Existing[settings.Key] = Live{Digest: digest} },
			want:  []string{"unchanged configmaps shop/settings: exists and is equal"},
		},
		"another one is left alone": {
			items: []item.Item{settings},
			seen:  func(o *Observed) { o.Existing[settings.Key] = Live{Digest: Digest{1}} },
			want:  []string{"skip configmaps shop/settings: " + ReasonDiffers},
		},
		"a namespace the backup does not hold is made": {
			items: []item.Item{settings},
			want:  []string{"create namespaces shop: not in the backup; restored items are in it", "create configmaps shop/settings: absent in the cluster"},
		},
		"a namespace that is there is not": {
			items: []item.Item{settings},
			seen: func(o *Observed) {
				o.Existing[item.Key{Resource: "namespaces", Name: "shop"}] = Live{Digest: Digest{1}}
			},
			want: []string{"create configmaps shop/settings: absent in the cluster"},
		},
		"a namespace for nothing but skipped items is not made": {
			items: []item.Item{object(t, "v1 Event events shop/e", "")},
			want:  []string{"skip events shop/e: belongs to the cluster it came from"},
		},
		"a namespace the filter leaves out is made when items are in it": {
			items: []item.Item{object(t, ns, ""), settings}, filter: filter.Filter{IncludedResources: []string{"configmaps"}},
			want: []string{"create namespaces shop: absent in the cluster; restored items are in it", "create configmaps shop/settings: absent in the cluster"},
		},
		"a namespace the filter leaves out stays out otherwise": {
			items: []item.Item{object(t, ns, ""), settings}, filter: filter.Filter{IncludedNamespaces: []string{"other"}},
			want: []string{"skip namespaces shop: " + leaveFiltered, "skip configmaps shop/settings: " + leaveFiltered},
		},
		"a namespace that is being deleted is recreated": {
			items: []item.Item{settings},
			seen: func(o *Observed) {
				o.Terminating = map[string]bool{"shop": true}
				o.Existing[item.Key{Resource: "namespaces", Name: "shop"}] = Live{Digest: Digest{1}}
			},
			want: []string{"create namespaces shop: not in the backup; restored items are in it", "create configmaps shop/settings: absent once namespace shop, which is being deleted, is gone"},
		},
		"an object that is being deleted is created when it is gone": {
			items: []item.Item{object(t, ns, ""), settings},
			seen: func(o *Observed) {
				o.Existing[item.Key{Resource: "namespaces", Name: "shop"}] = Live{Digest: Digest{1}}
				o.Existing[settings.Key] = Live{Digest: Digest{1}, Deleting: true}
			},
			want: []string{"skip namespaces shop: " + ReasonDiffers, "create configmaps shop/settings: absent once the object, which is being deleted, is gone"},
		},
		"objects of a definition that is being deleted go with it": {
			items: []item.Item{object(t, ns, ""), object(t, widget, ""), object(t, crd, crdSpec)},
			seen: func(o *Observed) {
				o.Served["widgets.example.com"] = []string{"v1"}
				o.Existing[object(t, crd, crdSpec).Key] = Live{Digest: Digest{1}, Deleting: true}
				o.Existing[object(t, widget, "").Key] = Live{Digest: Digest{1}}
			},
			want: []string{
				"create customresourcedefinitions.apiextensions.k8s.io widgets.example.com: absent once the object, which is being deleted, is gone",
				"create namespaces shop: absent in the cluster",
				"create widgets.example.com shop/w: absent once definition widgets.example.com, which is being deleted, is gone",
			},
		},
		"a definition that is being deleted and is not restored": {
			items: []item.Item{object(t, ns, ""), object(t, widget, ""), object(t, crd, crdSpec)}, filter: filter.Filter{ExcludedResources: []string{"customresourcedefinitions.apiextensions.k8s.io"}},
			seen: func(o *Observed) {
				o.Served["widgets.example.com"] = []string{"v1"}
				o.Existing[object(t, crd, crdSpec).Key] = Live{Digest: Digest{1}, Deleting: true}
			},
			want: []string{
				"skip customresourcedefinitions.apiextensions.k8s.io widgets.example.com: " + leaveExcluded,
				"create namespaces shop: absent in the cluster",
				"fail widgets.example.com shop/w: definition widgets.example.com is being deleted, and the restore does not create it",
			},
		},
		"custom resources wait for their definition": {
			items: []item.Item{object(t, widget, ""), object(t, crd, crdSpec), object(t, ns, "")},
			want: []string{
				"create customresourcedefinitions.apiextensions.k8s.io widgets.example.com: absent in the cluster",
				"create namespaces shop: absent in the cluster",
				"create widgets.example.com shop/w: absent in the cluster; defined by widgets.example.com",
			},
		},
		"without a definition they fail": {
			items: []item.Item{object(t, widget, "")},
			want:  []string{"fail widgets.example.com shop/w: the target cluster does not serve widgets.example.com, and the backup does not define it"},
		},
		"at another version they are created at the one the target prefers": {
			items: []item.Item{object(t, widget, "")},
			seen:  func(o *Observed) { o.Served["widgets.example.com"] = []string{"v2", "v3"} },
			want:  []string{"create namespaces shop: not in the backup; restored items are in it", "create widgets.example.com shop/w: absent in the cluster, which serves widgets.example.com at v2, v3 and not at v1"},
		},
		"of a group that could not be discovered they fail with that reason": {
			items: []item.Item{object(t, widget, "")},
			seen:  func(o *Observed) { o.Undiscovered = map[string]string{"example.com/v1": "its server is down"} },
			want:  []string{"fail widgets.example.com shop/w: the target cluster cannot say what it serves of example.com/v1: its server is down"},
		},
		"a filter by namespace brings the definition that is needed": {
			items: []item.Item{object(t, widget, ""), object(t, crd, crdSpec), object(t, ns, "")}, filter: filter.Filter{IncludedNamespaces: []string{"shop"}},
			want: []string{
				"create customresourcedefinitions.apiextensions.k8s.io widgets.example.com: absent in the cluster; widgets.example.com shop/w needs it",
				"create namespaces shop: absent in the cluster",
				"create widgets.example.com shop/w: absent in the cluster; defined by widgets.example.com",
			},
		},
		"and does not change one that is there": {
			items: []item.Item{object(t, widget, ""), object(t, crd, crdSpec), object(t, ns, "")}, filter: filter.Filter{IncludedNamespaces: []string{"shop"}},
			seen: func(o *Observed) {
				o.Served["widgets.example.com"] = []string{"v1"}
				o.Existing[object(t, crd, crdSpec).Key] = Live{Digest: Digest{1}}
			},
			want: []string{
				"skip customresourcedefinitions.apiextensions.k8s.io widgets.example.com: " + ReasonDiffers + " (the filter does not select it; widgets.example.com shop/w needs it)",
				"create namespaces shop: absent in the cluster",
				"create widgets.example.com shop/w: absent in the cluster",
			},
		},
		"nor one that the user excluded": {
			items: []item.Item{object(t, widget, ""), object(t, crd, crdSpec)}, filter: filter.Filter{ExcludedResources: []string{"customresourcedefinitions.apiextensions.k8s.io"}},
			want: []string{
				"skip customresourcedefinitions.apiextensions.k8s.io widgets.example.com: " + leaveExcluded,
				"fail widgets.example.com shop/w: the target cluster does not serve widgets.example.com, and the backup does not define it",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			seen := everything()
			if c.seen != nil {
				c.seen(&seen)
			}
			p := Options{}.Build("b", entries(t, c.filter, c.items...), seen)
			assert.Equal(t, c.want, steps(p))
		})
	}
}

func TestEveryItemBecomesExactlyOneStepInOrderOfStages(t *testing.T) {
	var items []item.Item
	for i, r := range allResources() {
		group, plural := item.SplitGroupResource(r)
		apiVersion := item.Resource{Group: group, Version: "v1"}.APIVersion()
		items = append(items, object(t, fmt.Sprintf("%s K%d %s x", apiVersion, i, plural), ""))
	}
	seen := everything()
	for _, r := range allResources() {
		seen.Served[r] = []string{"v1"}
	}
	p := Options{}.Build("b", entries(t, filter.Filter{}, items...), seen)
	require.Len(t, p.Steps, len(items))
	var order []string
	for i, s := range p.Steps {
		order = append(order, s.GroupResource())
		if i > 0 {
			assert.LessOrEqual(t, p.Steps[i-1].Stage, s.Stage)
		}
	}
	before := func(a, b string) {
		t.Helper()
		ia, ib := indexOf(order, a), indexOf(order, b)
		require.True(t, ia >= 0 && ib >= 0, "%s %s", a, b)
		assert.Less(t, ia, ib, "%s before %s", a, b)
	}
	for _, pair := range [][2]string{
		{"customresourcedefinitions.apiextensions.k8s.io", "namespaces"},
		{"namespaces", "persistentvolumes"},
		{"persistentvolumes", "persistentvolumeclaims"},
		{"serviceaccounts", "secrets"}, // a token is made for an account
		{"secrets", "pods"}, {"configmaps", "pods"}, {"priorityclasses.scheduling.k8s.io", "pods"}, {"runtimeclasses.node.k8s.io", "pods"},
		{"pods", "limitranges"}, {"limitranges", "replicasets.apps"},
		{"pods", "replicasets.apps"}, {"replicasets.apps", "deployments.apps"},
		{"deployments.apps", "resourcequotas"},
		{"resourcequotas", "validatingwebhookconfigurations.admissionregistration.k8s.io"},
		{"widgets.example.com", "mutatingwebhookconfigurations.admissionregistration.k8s.io"},
		{"widgets.example.com", "apiservices.apiregistration.k8s.io"},
	} {
		before(pair[0], pair[1])
	}
}

func allResources() []string {
	out := append([]string{}, first...)
	for _, l := range last {
		out = append(out, l...)
	}
	return append(out, "deployments.apps", "widgets.example.com")
}

func indexOf(list []string, s string) int {
	for i, x := range list {
		if x == s {
			return i
		}
	}
	return -1
}

func TestWhatIsNotRestoredByRule(t *testing.T) {
	data := map[string]VolumeData{"snapshotted": {Method: "CSISnapshot", Handle: "snap-1"}}
	for what, c := range map[string]struct{ more, want string }{
		"v1 Node nodes n":                                                               {"", leaveNotRestorable},
		"v1 Event events s/e":                                                           {"", leaveNotRestorable},
		"velero.io/v1 Backup backups velero/b":                                          {"", leaveNotRestorable},
		"coordination.k8s.io/v1 Lease leases kube-node-lease/n":                         {"", leaveNotRestorable},
		"coordination.k8s.io/v1 Lease leases shop/leader":                               {"", ""},
		"v1 Pod pods s/running":                                                         {`"status":{"phase":"Running"}`, ""},
		"v1 Pod pods s/done":                                                            {`"status":{"phase":"Succeeded"}`, leaveFinished},
		"v1 Pod pods s/failed":                                                          {`"status":{"phase":"Failed"}`, leaveFinished},
		"v1 Pod pods s/static":                                                          {`"metadata":{"annotations":{"kubernetes.io/config.mirror":"x"}}`, leaveMirror},
		"batch/v1 Job jobs s/running":                                                   {`"status":{"active":1,"conditions":[{"type":"Suspended","status":"True"}]}`, ""},
		"batch/v1 Job jobs s/done":                                                      {`"status":{"completionTime":"2026-01-02T03:04:05Z"}`, leaveFinished},
		"batch/v1 Job jobs s/failed":                                                    {`"status":{"conditions":[{"type":"Failed","status":"True"}]}`, leaveFinished},
		"batch/v1 Job jobs s/not-failed":                                                {`"status":{"conditions":[{"type":"Failed","status":"False"}]}`, ""},
		"v1 ConfigMap configmaps s/kube-root-ca.crt":                                    {`"data":{"ca.crt":"x"}`, leaveGenerated},
		"v1 ConfigMap configmaps t/kube-root-ca.crt":                                    {`"data":{"ca.crt":"x","mine":"y"}`, ""},
		"v1 Service services default/kubernetes":                                        {"", leaveGenerated},
		"v1 Service services shop/kubernetes":                                           {"", ""},
		"v1 Endpoints endpoints default/kubernetes":                                     {"", leaveGenerated},
		"discovery.k8s.io/v1 EndpointSlice endpointslices default/kubernetes":           {"", leaveGenerated},
		"v1 ConfigMap configmaps kube-system/extension-apiserver-authentication":        {"", leaveGenerated},
		"v1 ConfigMap configmaps shop/extension-apiserver-authentication":               {"", ""},
		"v1 Secret secrets s/sa-token-x2b4z":                                            {`"type":"kubernetes.io/service-account-token","metadata":{"annotations":{"kubernetes.io/service-account.name":"sa"}}`, leaveGenerated},
		"v1 Secret secrets s/by-hand":                                                   {`"type":"kubernetes.io/service-account-token","metadata":{"annotations":{"kubernetes.io/service-account.name":"sa"}}`, ""},
		"v1 Secret secrets s/sa-token-x2":                                               {`"type":"Opaque"`, ""},
		"apiregistration.k8s.io/v1 APIService apiservices v1.apps":                      {`"metadata":{"labels":{"kube-aggregator.kubernetes.io/automanaged":"onstart"}}`, leaveGenerated},
		"apiregistration.k8s.io/v1 APIService apiservices v1.metrics":                   {"", ""},
		"v1 Endpoints endpoints s/made":                                                 {`"metadata":{"labels":{"endpoints.kubernetes.io/managed-by":"endpoint-controller"}}`, leaveGenerated},
		"v1 Endpoints endpoints s/made-before-1.33":                                     {`"metadata":{"annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"x"}}`, leaveGenerated},
		"discovery.k8s.io/v1 EndpointSlice endpointslices s/of-a-tool":                  {`"metadata":{"labels":{"endpointslice.kubernetes.io/managed-by":"mesh-controller.k8s.io"}}`, ""},
		"v1 Endpoints endpoints s/by-hand":                                              {"", ""},
		"discovery.k8s.io/v1 EndpointSlice endpointslices s/made":                       {`"metadata":{"labels":{"endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io"}}`, leaveGenerated},
		"discovery.k8s.io/v1 EndpointSlice endpointslices s/by-hand":                    {`"metadata":{"labels":{"endpointslice.kubernetes.io/managed-by":"staff.example.com"}}`, ""},
		"networking.k8s.io/v1 IPAddress ipaddresses 10.0.0.1":                           {`"metadata":{"labels":{"ipaddress.kubernetes.io/managed-by":"ipallocator"}}`, leaveGenerated},
		"v1 PersistentVolume persistentvolumes kept":                                    {`"spec":{"persistentVolumeReclaimPolicy":"Retain"}`, ""},
		"v1 PersistentVolume persistentvolumes deleted":                                 {`"spec":{"persistentVolumeReclaimPolicy":"Delete"}`, leaveProvisioned},
		"v1 PersistentVolume persistentvolumes snapshotted":                             {`"spec":{"persistentVolumeReclaimPolicy":"Retain"}`, leaveProvisioned},
		"certificates.k8s.io/v1 CertificateSigningRequest certificatesigningrequests x": {"", leaveNotRestorable},
	} {
		e, err := Examine(object(t, what, c.more), Options{VolumeData: data})
		require.NoError(t, err)
		assert.Equal(t, c.want, e.Leave, what)
	}
}

func TestGeneratedObjectsAreRestoredWhenNothingMakesThem(t *testing.T) {
	endpoints := object(t, "v1 Endpoints endpoints shop/web", `"metadata":{"labels":{"endpoints.kubernetes.io/managed-by":"endpoint-controller"}}`)
	slice := object(t, "discovery.k8s.io/v1 EndpointSlice endpointslices shop/web-x2b4z",
		`"metadata":{"labels":{"kubernetes.io/service-name":"web","endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io"}}`)
	mirrored := object(t, "discovery.k8s.io/v1 EndpointSlice endpointslices shop/web-c6d8f",
		`"metadata":{"labels":{"kubernetes.io/service-name":"web","endpointslice.kubernetes.io/managed-by":"endpointslicemirroring-controller.k8s.io"}}`)
	service := func(spec string) item.Item { return object(t, "v1 Service services shop/web", `"spec":`+spec) }
	token := object(t, "v1 Secret secrets shop/ci-token-x2b4z", `"type":"kubernetes.io/service-account-token","metadata":{"annotations":{"kubernetes.io/service-account.name":"ci"}}`)
	account := func(secrets string) item.Item {
		return object(t, "v1 ServiceAccount serviceaccounts shop/ci", `"secrets":`+secrets)
	}
	for name, c := range map[string]struct {
		object, maker item.Item
		made          bool
	}{
		"endpoints of a service with a selector":               {endpoints, service(`{"selector":{"app":"web"}}`), true},
		"endpoints of a service that lost its selector":        {endpoints, service(`{}`), false},
		"endpoints of an external name":                        {endpoints, service(`{"type":"ExternalName","selector":{"app":"web"}}`), false},
		"endpoints of no service":                              {endpoints, account(`[]`), false},
		"a slice of a service with a selector":                 {slice, service(`{"selector":{"app":"web"}}`), true},
		"a slice of a service that lost its selector":          {slice, service(`{"selector":{}}`), false},
		"a slice that mirrors endpoints":                       {mirrored, endpoints, true},
		"a slice that mirrors endpoints that are not there":    {mirrored, service(`{}`), false},
		"a token that the account lists":                       {token, account(`[{"name":"ci-token-x2b4z"}]`), true},
		"a token that somebody made, named as a generated one": {token, account(`[{"name":"ci-token-c6d8f"}]`), false},
		"a token whose account is not in the backup":           {token, endpoints, false},
	} {
		t.Run(name, func(t *testing.T) {
			seen := everything()
			seen.Served["endpointslices.discovery.k8s.io"] = []string{"v1"}
			p := Options{}.Build("b", entries(t, filter.Filter{}, c.object, c.maker), seen)
			i := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Key == c.object.Key })
			require.NotEqual(t, -1, i)
			want := Create
			if c.made {
				want = Skip
			}
			assert.Equal(t, want, p.Steps[i].Action, p.Steps[i].Reason)
		})
	}
}

func TestTheDataOfVolumesIsSpokenOf(t *testing.T) {
	claim := object(t, "v1 PersistentVolumeClaim persistentvolumeclaims shop/data", `"spec":{"volumeName":"vol"}`)
	volume := object(t, "v1 PersistentVolume persistentvolumes vol", `"spec":{"persistentVolumeReclaimPolicy":"Retain"}`)
	none := Options{}.Build("b", entries(t, filter.Filter{}, claim, volume), everything())
	require.Len(t, none.Volumes, 2)
	assert.Equal(t, "data not included in the backup", none.Volumes[0].Note)

	var with []Entry
	for _, it := range []item.Item{claim, volume} {
		e, err := Examine(it, Options{VolumeData: map[string]VolumeData{"vol": {Method: "PodVolumeBackup"}}})
		require.NoError(t, err)
		with = append(with, e)
	}
	for _, v := range (Options{}).Build("b", with, everything()).Volumes {
		assert.Contains(t, v.Note, "it is in the backup (PodVolumeBackup)", v.Object)
	}
	left := Options{}.Build("b", entries(t, filter.Filter{IncludedNamespaces: []string{"other"}}, claim, volume), everything())
	assert.Empty(t, left.Volumes, "what the user does not restore is not spoken of")
}

func TestAnItemThatCannotBeReadIsAnError(t *testing.T) {
	_, err := Examine(item.Item{Key: item.Key{Resource: "configmaps", Name: "x"}, Raw: []byte("{")}, Options{})
	assert.ErrorContains(t, err, "configmaps x")
}

func TestTheStatusOfWhatExistsIsNotRestoredAndThePlanSaysSo(t *testing.T) {
	o := Options{StatusResources: []string{"pods"}}
	here, absent, other := object(t, "v1 Pod pods shop/here", `"status":{"phase":"Running"}`), object(t, "v1 Pod pods shop/absent", `"status":{"phase":"Running"}`), object(t, "v1 Secret secrets shop/s", `"status":{}`)
	seen := everything()
	exists(t, &seen, here, other)
	p := build(t, o, seen, here, absent, other)
	assert.Equal(t, []string{"the status of objects that exist is not restored: pods shop/here (only objects that are created get the status of the backup)"}, p.Warnings)
}
