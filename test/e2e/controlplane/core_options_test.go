//go:build e2e

package controlplane_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/modifier"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/restore"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/fs"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// optionsRig is one cluster for all options of a restore, each tried in
// namespaces of its own.
type optionsRig struct {
	plane sandbox.Cluster
	*cluster.Client
}

func TestEachOptionOfARestoreDoesWhatItSays(t *testing.T) {
	plane := emptyPlane(t)
	r := optionsRig{plane, connect(t, plane.Kubeconfig)}
	for _, x := range []struct {
		name string
		test func(*testing.T, optionsRig)
	}{
		{"namespaces are mapped beside the original", mapsNamespaces},
		{"storage classes are mapped", mapsStorageClasses},
		{"node ports are preserved", preservesNodePorts},
		{"existing objects are updated", updatesExisting},
		{"what cannot be updated fails or is recreated", recreatesExisting},
		{"a status is restored", restoresStatus},
		{"objects are modified", modifiesObjects},
		{"owners have their real UIDs", keepsOwners},
		{"a version that is not served is replaced", replacesVersions},
		{"a reviewed plan is carried out or nothing is", carriesOutPlans},
		{"a killed restore is finished by the next", finishesAfterAKill},
	} {
		t.Run(x.name, func(t *testing.T) { x.test(t, r) })
	}
}

// object is JSON of an object in a namespace.
func object(apiVersion, kind, namespace, name, more string) string {
	labels := ""
	if rest, found := strings.CutPrefix(more, "labels:"); found {
		labels, more, _ = strings.Cut(rest, ";")
		labels = `,"labels":` + labels
	}
	if more != "" {
		more = "," + more
	}
	in := ""
	if namespace != "" {
		in = fmt.Sprintf(`"namespace":%q,`, namespace)
	}
	return fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{%s"name":%q%s}%s}`, apiVersion, kind, in, name, labels, more)
}

func namespaceNamed(name string) string { return object("v1", "Namespace", "", name, "") }

func configNamed(namespace, name, data string) string {
	return object("v1", "ConfigMap", namespace, name, `"data":`+data)
}

// saved is a backup b of namespaces.
func (r optionsRig) saved(t *testing.T, f filter.Filter) store.Store {
	t.Helper()
	s := mem.New()
	r.save(t, s, f)
	return s
}

func (r optionsRig) save(t *testing.T, s store.Store, f filter.Filter) {
	t.Helper()
	made, err := backupJob("b", s, r.Client, f).Run(t.Context())
	require.NoError(t, err)
	require.True(t, made.Complete(), "%v", made.Errors)
}

func of(namespaces ...string) filter.Filter { return filter.Filter{IncludedNamespaces: namespaces} }

// restored restores backup b; every end is logged when it is not the expected.
func (r optionsRig) restored(t *testing.T, name string, s store.Store, o plan.Options) apply.ChangeSet {
	t.Helper()
	j := restoreJob(name, "b", s, r.Client)
	j.Options = o
	done, err := j.Run(t.Context())
	require.NoError(t, err)
	return done.Changes
}

// live is an object of the cluster.
func (r optionsRig) live(t *testing.T, k item.Key, version, kind string) item.Item {
	t.Helper()
	it, err := r.Get(t.Context(), item.Resource{Group: k.Group, Version: version, Name: k.Resource, Kind: kind}, k.Namespace, k.Name)
	require.NoError(t, err, k)
	return it
}

func (r optionsRig) patch(t *testing.T, k item.Key, version, patch string) {
	t.Helper()
	require.NoError(t, r.MergePatch(t.Context(), item.Resource{Group: k.Group, Version: version, Name: k.Resource}, k.Namespace, k.Name, []byte(patch)), k)
}

func (r optionsRig) delete(t *testing.T, k item.Key, version string) {
	t.Helper()
	res := item.Resource{Group: k.Group, Version: version, Name: k.Resource}
	require.NoError(t, r.Delete(t.Context(), res, k.Namespace, k.Name, metav1.DeleteOptions{}), k)
	r.awaitGone(t, k, version)
}

func (r optionsRig) awaitGone(t *testing.T, k item.Key, version string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := r.Get(t.Context(), item.Resource{Group: k.Group, Version: version, Name: k.Resource}, k.Namespace, k.Name)
		return apierrors.IsNotFound(err)
	}, 30*time.Second, 50*time.Millisecond, k)
}

// inNamespace are the resource versions of what is in a namespace, but for what
// the control plane makes there by itself.
func (r optionsRig) inNamespace(t *testing.T, namespace string) map[item.Key]string {
	t.Helper()
	out := map[item.Key]string{}
	for k, v := range versions(t, r.Client) {
		if k.Namespace == namespace && !made[k.GroupResource()] && k.Name != "kube-root-ca.crt" && k.Name != "default" {
			out[k] = v
		}
	}
	return out
}

var made = map[string]bool{"endpoints": true, "endpointslices.discovery.k8s.io": true, "replicasets.apps": true, "pods": true, "controllerrevisions.apps": true}

func (r optionsRig) uid(t *testing.T, k item.Key, version string) string {
	t.Helper()
	return field(t, r.Client, k, version, "metadata", "uid").(string)
}

func (r optionsRig) restoreLabel(t *testing.T, k item.Key, version string) any {
	t.Helper()
	return field(t, r.Client, k, version, "metadata", "labels", "velero.io/restore-name")
}

const (
	podTemplate = `"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"example.com/web:1"}]}}`
	webSelector = `"selector":{"matchLabels":{"app":"web"}}`
)

func mapsNamespaces(t *testing.T, r optionsRig) {
	create(t, r.Client, namespaceNamed("east"), namespaceNamed("neighbour"),
		configNamed("east", "settings", `{"a":"1"}`), object("v1", "ServiceAccount", "east", "till", ""),
		object("rbac.authorization.k8s.io/v1", "Role", "east", "reader", `"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]`),
		object("rbac.authorization.k8s.io/v1", "RoleBinding", "east", "reads", `"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"reader"},"subjects":[
			{"kind":"ServiceAccount","name":"till","namespace":"east"},{"kind":"ServiceAccount","name":"x","namespace":"neighbour"},
			{"kind":"Group","apiGroup":"rbac.authorization.k8s.io","name":"system:serviceaccounts:east"},
			{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"system:serviceaccount:east:till"}]`),
		object("v1", "Service", "east", "web", `"spec":{"selector":{"app":"web"},"ports":[{"port":80}]}`),
		object("apps/v1", "Deployment", "east", "web", `"spec":{"replicas":1,`+webSelector+`,`+podTemplate+`}`))
	s := r.saved(t, of("east"))
	before := r.inNamespace(t, "east")
	require.NotEmpty(t, before)
	o := plan.Options{NamespaceMapping: map[string]string{"east": "east-copy"}}
	first := r.restored(t, "mapping", s, o)
	assert.Empty(t, outcomes(first, apply.Failed))

	assert.Equal(t, map[string]any{"a": "1"}, field(t, r.Client, in("east-copy", "configmaps", "settings"), "v1", "data"))
	assert.Equal(t, "east-copy", field(t, r.Client, in("", "namespaces", "east-copy"), "v1", "metadata", "labels", "kubernetes.io/metadata.name"))
	var subjects []string
	for _, x := range field(t, r.Client, in("east-copy", "rolebindings.rbac.authorization.k8s.io", "reads"), "v1", "subjects").([]any) {
		m := x.(map[string]any)
		subjects = append(subjects, fmt.Sprint(m["kind"], " ", m["namespace"], " ", m["name"]))
	}
	assert.Equal(t, []string{"ServiceAccount east-copy till", "ServiceAccount neighbour x", "Group <nil> system:serviceaccounts:east-copy", "User <nil> system:serviceaccount:east-copy:till"}, subjects)
	for _, k := range []item.Key{in("east-copy", "deployments.apps", "web"), in("east-copy", "services", "web"), in("east-copy", "serviceaccounts", "till")} {
		assert.Equal(t, apply.Created, changeOf(first, k).Outcome, "%s: %s", k, changeOf(first, k).Reason)
		assert.Equal(t, "mapping", r.restoreLabel(t, k, "v1"))
	}
	assert.NotEqual(t, field(t, r.Client, in("east", "services", "web"), "v1", "spec", "clusterIP"), field(t, r.Client, in("east-copy", "services", "web"), "v1", "spec", "clusterIP"))
	after := r.inNamespace(t, "east")
	for k, v := range before {
		if k.Resource != "deployments" { // its controller writes its status
			assert.Equal(t, v, after[k], "the original %s", k)
		}
	}
	second := r.restored(t, "again", s, o)
	assert.Zero(t, second.Count(apply.Created)+second.Count(apply.Updated)+second.Count(apply.Failed), "%v", second)
}

func mapsStorageClasses(t *testing.T, r optionsRig) {
	class := func(name string) string {
		return object("storage.k8s.io/v1", "StorageClass", "", name, `"provisioner":"example.com/none","volumeBindingMode":"WaitForFirstConsumer"`)
	}
	create(t, r.Client, namespaceNamed("disks"), class("slow"), class("quick"),
		object("v1", "PersistentVolumeClaim", "disks", "data", `"spec":{"storageClassName":"slow","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}`),
		object("apps/v1", "StatefulSet", "disks", "db", `"spec":{"replicas":0,"serviceName":"db",`+webSelector+`,`+podTemplate+`,"volumeClaimTemplates":[{"metadata":{"name":"d"},"spec":{"storageClassName":"slow","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}]}`))
	s := r.saved(t, of("disks"))
	o := plan.Options{NamespaceMapping: map[string]string{"disks": "disks-copy"}, StorageClassMapping: map[string]string{"slow": "missing"}}
	j := restoreJob("missing", "b", s, r.Client)
	j.Options = o
	_, err := j.Run(t.Context())
	require.ErrorContains(t, err, "storage class missing, to which others are mapped, is neither in the target cluster nor in the backup")
	assert.Empty(t, r.inNamespace(t, "disks-copy"))

	o.StorageClassMapping["slow"] = "quick"
	assert.Empty(t, outcomes(r.restored(t, "classes", s, o), apply.Failed))
	assert.Equal(t, "quick", field(t, r.Client, in("disks-copy", "persistentvolumeclaims", "data"), "v1", "spec", "storageClassName"))
	templates := field(t, r.Client, in("disks-copy", "statefulsets.apps", "db"), "v1", "spec", "volumeClaimTemplates").([]any)
	assert.Equal(t, "quick", templates[0].(map[string]any)["spec"].(map[string]any)["storageClassName"])
}

func preservesNodePorts(t *testing.T, r optionsRig) {
	create(t, r.Client, namespaceNamed("ports"), object("v1", "Service", "ports", "web", `"spec":{"type":"NodePort","ports":[{"port":80}]}`))
	k := in("ports", "services", "web")
	port := func() any {
		return field(t, r.Client, k, "v1", "spec", "ports").([]any)[0].(map[string]any)["nodePort"]
	}
	was := port()
	s := r.saved(t, of("ports"))
	r.delete(t, k, "v1")
	assert.Empty(t, outcomes(r.restored(t, "ports", s, plan.Options{PreserveNodePorts: true}), apply.Failed))
	assert.Equal(t, was, port())
}

func updatesExisting(t *testing.T, r optionsRig) {
	create(t, r.Client, namespaceNamed("mutable"), configNamed("mutable", "changed", `{"a":"1","b":"2"}`), configNamed("mutable", "equal", `{"a":"1"}`),
		object("v1", "ConfigMap", "mutable", "labelled", `labels:{"team":"x"};"data":{"a":"1"}`), configNamed("mutable", "gone", `{"a":"1"}`),
		object("v1", "Service", "mutable", "web", `"spec":{"selector":{"app":"web"},"ports":[{"name":"http","port":80}]}`),
		object("apps/v1", "Deployment", "mutable", "web", `"spec":{"replicas":0,`+webSelector+`,`+podTemplate+`}`))
	s := r.saved(t, of("mutable"))
	changed, equal, labelled := in("mutable", "configmaps", "changed"), in("mutable", "configmaps", "equal"), in("mutable", "configmaps", "labelled")
	service, deployment, gone := in("mutable", "services", "web"), in("mutable", "deployments.apps", "web"), in("mutable", "configmaps", "gone")
	all := []item.Key{changed, labelled, service, deployment}
	kinds := map[string]string{"configmaps": "ConfigMap", "services": "Service", "deployments": "Deployment"}
	was, uids := map[item.Key]item.Item{}, map[item.Key]string{}
	for _, k := range append(all, equal) {
		was[k], uids[k] = r.live(t, k, "v1", kinds[k.Resource]), r.uid(t, k, "v1")
	}
	address := field(t, r.Client, service, "v1", "spec", "clusterIP")

	r.patch(t, changed, "v1", `{"data":{"a":"other","b":null,"c":"new"},"metadata":{"annotations":{"note":"added"}}}`)
	r.patch(t, labelled, "v1", `{"metadata":{"labels":{"team":null,"by":"hand"}}}`)
	r.patch(t, service, "v1", `{"spec":{"selector":{"app":"other"},"ports":[{"name":"http","port":81}]}}`)
	r.patch(t, deployment, "v1", `{"spec":{"revisionHistoryLimit":3,"template":{"spec":{"containers":[{"name":"c","image":"example.com/web:2"}]}}}}`)
	r.delete(t, gone, "v1")
	create(t, r.Client, configNamed("mutable", "not-in-the-backup", `{}`))
	untouched := versions(t, r.Client)

	left := r.restored(t, "left-alone", s, plan.Options{})
	for _, k := range all {
		assert.Equal(t, apply.Skipped, changeOf(left, k).Outcome, k)
	}
	o := plan.Options{ExistingResourcePolicy: plan.PolicyUpdate}
	j := restoreJob("update", "b", s, r.Client)
	j.Options = o
	prepared, err := j.Prepare(t.Context())
	require.NoError(t, err)
	assert.Equal(t, len(all), prepared.Plan.Count(plan.Update), "%v", prepared.Plan.Steps)
	cs := r.restored(t, "update", s, o)
	assert.Empty(t, outcomes(cs, apply.Failed))
	for _, k := range all {
		assert.Equal(t, apply.Updated, changeOf(cs, k).Outcome, "%s: %s", k, changeOf(cs, k).Reason)
		differences, err := plan.Diff(was[k], r.live(t, k, "v1", kinds[k.Resource]))
		require.NoError(t, err)
		assert.Empty(t, differences, k)
		assert.Equal(t, "update", r.restoreLabel(t, k, "v1"), k)
	}
	assert.Equal(t, address, field(t, r.Client, service, "v1", "spec", "clusterIP"))
	assert.Equal(t, apply.Unchanged, changeOf(cs, equal).Outcome)
	assert.Equal(t, "update", r.restoreLabel(t, equal, "v1"), "equal ones get the labels of the restore")
	for k, uid := range uids {
		assert.Equal(t, uid, r.uid(t, k, "v1"), "%s is the same object", k)
	}
	touched := map[item.Key]bool{equal: true, gone: true}
	for _, k := range all {
		touched[k] = true
	}
	now := versions(t, r.Client)
	for k, v := range untouched {
		if k.Namespace == "mutable" && !touched[k] && !made[k.GroupResource()] && k.Name != "default" {
			assert.Equal(t, v, now[k], k)
		}
	}
}

func recreatesExisting(t *testing.T, r optionsRig) {
	job := func(image string) string {
		return object("batch/v1", "Job", "fixed", "import", `"spec":{"suspend":true,"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"`+image+`"}]}}}`)
	}
	sealed := func(value string) string {
		return object("v1", "ConfigMap", "fixed", "sealed", `"immutable":true,"data":{"a":"`+value+`"}`)
	}
	headless := func(ip string) string {
		return object("v1", "Service", "fixed", "web", `"spec":{"clusterIP":"`+ip+`","selector":{"app":"web"},"ports":[{"port":80}]}`)
	}
	create(t, r.Client, namespaceNamed("fixed"), job("example.com/import:1"), sealed("1"), headless("None"), configNamed("fixed", "open", `{"a":"1"}`), configNamed("fixed", "equal", `{"a":"1"}`))
	s := r.saved(t, of("fixed"))
	fixed := []item.Key{in("fixed", "configmaps", "sealed"), in("fixed", "jobs.batch", "import"), in("fixed", "services", "web")}
	open, equal := in("fixed", "configmaps", "open"), in("fixed", "configmaps", "equal")
	for _, k := range fixed {
		r.delete(t, k, "v1")
	}
	create(t, r.Client, job("example.com/import:2"), sealed("2"), object("v1", "Service", "fixed", "web", `"spec":{"selector":{"app":"web"},"ports":[{"port":80}]}`))
	r.patch(t, open, "v1", `{"data":{"a":"2"}}`)
	uids := map[item.Key]string{}
	for _, k := range append(fixed, open, equal) {
		uids[k] = r.uid(t, k, "v1")
	}

	cs := r.restored(t, "refused", s, plan.Options{ExistingResourcePolicy: plan.PolicyUpdate})
	for k, words := range map[item.Key]string{fixed[0]: "field is immutable when `immutable` is set", fixed[1]: "spec.template: Invalid value", fixed[2]: "spec.clusterIP"} {
		c := changeOf(cs, k)
		assert.Equal(t, apply.Failed, c.Outcome, k)
		assert.Contains(t, c.Reason, "cannot be updated: ", "%s", k)
		assert.Contains(t, c.Reason, words, "the API server's words about %s", k)
		assert.Equal(t, "refused", r.restoreLabel(t, k, "v1"), "it is labelled all the same")
		assert.Equal(t, uids[k], r.uid(t, k, "v1"))
	}
	assert.Equal(t, "2", field(t, r.Client, fixed[0], "v1", "data", "a"))
	assert.Equal(t, "1", field(t, r.Client, open, "v1", "data", "a"))
	r.patch(t, open, "v1", `{"data":{"a":"2"}}`)

	j := restoreJob("recreate", "b", s, r.Client)
	j.Options = plan.Options{ExistingResourcePolicy: plan.PolicyRecreate}
	prepared, err := j.Prepare(t.Context())
	require.NoError(t, err)
	var recreated []item.Key
	for _, step := range prepared.Plan.Steps {
		if step.Action == plan.Recreate {
			recreated = append(recreated, step.Key)
		}
	}
	assert.ElementsMatch(t, fixed, recreated)
	done, err := j.Execute(t.Context(), prepared)
	require.NoError(t, err)
	assert.Empty(t, outcomes(done.Changes, apply.Failed))
	assert.Equal(t, "1", field(t, r.Client, fixed[0], "v1", "data", "a"))
	assert.Equal(t, "None", field(t, r.Client, fixed[2], "v1", "spec", "clusterIP"))
	for k, uid := range uids {
		if slices.Contains(fixed, k) {
			assert.NotEqual(t, uid, r.uid(t, k, "v1"), k)
			assert.Equal(t, apply.Updated, changeOf(done.Changes, k).Outcome)
		} else {
			assert.Equal(t, uid, r.uid(t, k, "v1"), "%s is the same object", k)
		}
	}
}

// defining is a definition of fruit kinds with versions written as JSON.
func defining(plural, kind, versions string) string {
	return object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", plural+".fruit.example.com",
		fmt.Sprintf(`"spec":{"group":"fruit.example.com","scope":"Namespaced","names":{"plural":%q,"singular":%q,"kind":%q,"listKind":"%sList"},"versions":[%s]}`, plural, strings.ToLower(kind), kind, kind, versions))
}

func versionOf(name, properties, more string) string {
	return fmt.Sprintf(`{"name":%q,"served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":{%s}},"status":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}%s}`, name, properties, more)
}

// define makes a definition and waits until its objects can be made.
func (r optionsRig) define(t *testing.T, definition string) {
	t.Helper()
	create(t, r.Client, definition)
	var d struct{ Metadata struct{ Name string } }
	require.NoError(t, json.Unmarshal([]byte(definition), &d))
	a := apply.Applier{Cluster: r.Client}
	require.NoError(t, a.Established(t.Context(), in("", "customresourcedefinitions.apiextensions.k8s.io", d.Metadata.Name)))
	plural, _, _ := strings.Cut(d.Metadata.Name, ".")
	require.Eventually(t, func() bool { // discovery follows a moment later
		resources, _, err := r.AllVersions(t.Context())
		return err == nil && slices.ContainsFunc(resources, func(x item.Resource) bool { return x.Name == plural && x.Group == "fruit.example.com" })
	}, 30*time.Second, 50*time.Millisecond)
}

func restoresStatus(t *testing.T, r optionsRig) {
	r.define(t, defining("apples", "Apple", versionOf("v1", `"size":{"type":"integer"}`, `,"subresources":{"status":{}}`)))
	r.define(t, defining("pears", "Pear", versionOf("v1", `"size":{"type":"integer"}`, "")))
	create(t, r.Client, namespaceNamed("orchard"), object("fruit.example.com/v1", "Apple", "orchard", "a", `"spec":{"size":1}`), object("fruit.example.com/v1", "Pear", "orchard", "p", `"spec":{"size":1},"status":{"ripe":true}`),
		object("fruit.example.com/v1", "Apple", "orchard", "never", `"spec":{"size":1}`))
	r.patch(t, in("orchard", "apples.fruit.example.com", "a/status"), "v1", `{"status":{"ripe":true}}`)
	r.patch(t, in("orchard", "apples.fruit.example.com", "never/status"), "v1", `{"status":{"ripe":true}}`)
	r.patch(t, in("orchard", "apples.fruit.example.com", "never"), "v1", `{"metadata":{"annotations":{"velero.io/restore-status":"false"}}}`)
	s := r.saved(t, of("orchard"))

	without := r.restored(t, "without", s, plan.Options{NamespaceMapping: map[string]string{"orchard": "orchard-plain"}})
	assert.Empty(t, outcomes(without, apply.Failed))
	assert.Nil(t, field(t, r.Client, in("orchard-plain", "apples.fruit.example.com", "a"), "v1", "status"))
	assert.Nil(t, field(t, r.Client, in("orchard-plain", "pears.fruit.example.com", "p"), "v1", "status"))

	with := r.restored(t, "with", s, plan.Options{NamespaceMapping: map[string]string{"orchard": "orchard-copy"}, StatusResources: []string{"*.fruit.example.com"}})
	assert.Empty(t, outcomes(with, apply.Failed))
	for _, k := range []item.Key{in("orchard-copy", "apples.fruit.example.com", "a"), in("orchard-copy", "pears.fruit.example.com", "p")} {
		assert.Equal(t, map[string]any{"ripe": true}, field(t, r.Client, k, "v1", "status"), k)
		assert.Contains(t, changeOf(with, k).Reason, "its status is restored")
	}
	assert.Nil(t, field(t, r.Client, in("orchard-copy", "apples.fruit.example.com", "never"), "v1", "status"), "its annotation says no")
}

func modifiesObjects(t *testing.T, r optionsRig) {
	create(t, r.Client, namespaceNamed("plain"), configNamed("plain", "settings", `{"level":"debug","drop":"1"}`), configNamed("plain", "broken", `{"a":"1"}`),
		object("apps/v1", "Deployment", "plain", "web", `"spec":{"replicas":2,`+webSelector+`,"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"example.com/web:1"},{"name":"side","image":"example.com/side:1"}]}}}`))
	rules, err := modifier.Parse([]byte(`version: v1
resourceModifierRules:
- conditions: {groupResource: deployments.apps, namespaces: [plain]}
  patches: [{operation: test, path: /spec/replicas, value: "2"}, {operation: replace, path: /spec/replicas, value: "0"}]
- conditions: {groupResource: deployments.apps}
  strategicPatches: [{patchData: '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"example.com/side:2"}]}}}}'}]
- conditions: {groupResource: configmaps, resourceNameRegex: ^settings$}
  mergePatches: [{patchData: '{"data":{"level":"info","drop":null}}'}]
- conditions: {groupResource: configmaps, resourceNameRegex: ^broken$}
  patches: [{operation: replace, path: /data/missing, value: x}]
`))
	require.NoError(t, err)
	cs := r.restored(t, "modified", r.saved(t, of("plain")), plan.Options{NamespaceMapping: map[string]string{"plain": "modified"}, Modifiers: rules})
	assert.Equal(t, map[string]any{"level": "info"}, field(t, r.Client, in("modified", "configmaps", "settings"), "v1", "data"))
	web := in("modified", "deployments.apps", "web")
	assert.EqualValues(t, 0, field(t, r.Client, web, "v1", "spec", "replicas"))
	var images []any
	for _, c := range field(t, r.Client, web, "v1", "spec", "template", "spec", "containers").([]any) {
		images = append(images, c.(map[string]any)["image"])
	}
	assert.ElementsMatch(t, []any{"example.com/web:1", "example.com/side:2"}, images, "merged by name")
	broken := changeOf(cs, in("modified", "configmaps", "broken"))
	assert.Equal(t, apply.Failed, broken.Outcome)
	assert.Contains(t, broken.Reason, "rule 4")
	assert.Equal(t, 1, cs.Count(apply.Failed), "it alone")
}

func keepsOwners(t *testing.T, r optionsRig) {
	create(t, r.Client, namespaceNamed("family"), configNamed("family", "parent", `{}`))
	ref := func(uid string) string {
		return fmt.Sprintf(`"metadata":{"name":%%q,"namespace":%%q,"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"parent","uid":%q,"blockOwnerDeletion":true}]}`, uid)
	}
	child := func(namespace, name, uid string) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret",`+ref(uid)+`}`, name, namespace)
	}
	old := r.uid(t, in("family", "configmaps", "parent"), "v1")
	create(t, r.Client, child("family", "child", old))
	s := r.saved(t, of("family"))
	o := plan.Options{NamespaceMapping: map[string]string{"family": "family-copy"}}
	cs := r.restored(t, "family", s, o)
	assert.Empty(t, outcomes(cs, apply.Failed))
	parent, restored := in("family-copy", "configmaps", "parent"), in("family-copy", "secrets", "child")
	owners := func() any { return field(t, r.Client, restored, "v1", "metadata", "ownerReferences") }
	want := []any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "parent", "uid": r.uid(t, parent, "v1"), "blockOwnerDeletion": true}}
	assert.Equal(t, want, owners())

	// One with the UID of the old owner goes; what was restored before it stays.
	create(t, r.Client, child("family-copy", "stranger", old))
	r.awaitGone(t, in("family-copy", "secrets", "stranger"), "v1")
	assert.Equal(t, want, owners())

	t.Run("as after a restore that was interrupted", func(t *testing.T) {
		r.patch(t, restored, "v1", `{"metadata":{"ownerReferences":null}}`)
		again := r.restored(t, "family", s, o)
		assert.Equal(t, apply.Updated, changeOf(again, restored).Outcome, changeOf(again, restored).Reason)
		assert.Equal(t, want, owners())
		before := r.inNamespace(t, "family-copy")
		third := r.restored(t, "family", s, o)
		assert.Zero(t, third.Count(apply.Updated)+third.Count(apply.Created))
		assert.Equal(t, before, r.inNamespace(t, "family-copy"))
	})
	t.Run("of an owner that is left out", func(t *testing.T) {
		o := plan.Options{NamespaceMapping: map[string]string{"family": "family-half"}, Filter: filter.Filter{IncludedResources: []string{"secrets"}}}
		half := r.restored(t, "half", s, o)
		k := in("family-half", "secrets", "child")
		assert.Contains(t, changeOf(half, k).Reason, "without its owner")
		assert.Nil(t, field(t, r.Client, k, "v1", "metadata", "ownerReferences"))
	})
	r.delete(t, parent, "v1")
	r.awaitGone(t, restored, "v1") // the garbage collector knows them as family
}

func replacesVersions(t *testing.T, r optionsRig) {
	r.define(t, defining("plums", "Plum", versionOf("v1beta1", `"size":{"type":"integer"},"colour":{"type":"string"}`, "")))
	create(t, r.Client, namespaceNamed("versions"), object("fruit.example.com/v1beta1", "Plum", "versions", "old", `"spec":{"size":1}`), object("fruit.example.com/v1beta1", "Plum", "versions", "more", `"spec":{"size":1,"colour":"blue"}`))
	s := r.saved(t, of("versions"))
	definition := in("", "customresourcedefinitions.apiextensions.k8s.io", "plums.fruit.example.com")
	r.delete(t, definition, "v1") // with its objects
	r.define(t, defining("plums", "Plum", versionOf("v1", `"size":{"type":"integer"}`, "")))

	cs := r.restored(t, "versions", s, plan.Options{})
	old, more := in("versions", "plums.fruit.example.com", "old"), in("versions", "plums.fruit.example.com", "more")
	assert.Equal(t, apply.Created, changeOf(cs, old).Outcome)
	assert.Contains(t, changeOf(cs, old).Reason, "serves plums.fruit.example.com at v1 and not at v1beta1")
	assert.EqualValues(t, 1, field(t, r.Client, old, "v1", "spec", "size"))
	assert.Equal(t, apply.Failed, changeOf(cs, more).Outcome)
	assert.Contains(t, changeOf(cs, more).Reason, `unknown field "spec.colour"`, "nothing is lost silently")
	_, err := r.Get(t.Context(), item.Resource{Group: "fruit.example.com", Version: "v1", Name: "plums"}, "versions", "more")
	assert.True(t, apierrors.IsNotFound(err))

	again := r.restored(t, "versions-again", s, plan.Options{})
	assert.Equal(t, apply.Unchanged, changeOf(again, old).Outcome, changeOf(again, old).Reason)
	r.patch(t, old, "v1", `{"spec":{"size":2}}`)
	updated := r.restored(t, "versions-update", s, plan.Options{ExistingResourcePolicy: plan.PolicyUpdate})
	assert.Equal(t, apply.Updated, changeOf(updated, old).Outcome, changeOf(updated, old).Reason)
	assert.EqualValues(t, 1, field(t, r.Client, old, "v1", "spec", "size"))
}

// located is a backup b of namespaces in a folder, for the program.
func (r optionsRig) located(t *testing.T, namespaces ...string) (url string) {
	t.Helper()
	dir := t.TempDir()
	s, err := fs.Open(dir, true)
	require.NoError(t, err)
	r.save(t, s, of(namespaces...))
	return "file://" + dir
}

func carriesOutPlans(t *testing.T, r optionsRig) {
	create(t, r.Client, namespaceNamed("planned"), configNamed("planned", "a", `{"a":"1"}`), configNamed("planned", "b", `{"a":"1"}`), configNamed("planned", "c", `{"a":"1"}`))
	location := r.located(t, "planned")
	kubeconfig := written(t, r.plane.Kubeconfig)
	a, b, c := in("planned", "configmaps", "a"), in("planned", "configmaps", "b"), in("planned", "configmaps", "c")
	planned := func(t *testing.T, format string) string {
		out, code := program(t, "plan", "--from-backup", "b", "--location", location, "--kubeconfig", kubeconfig, "--existing-resource-policy", "update", "--output", format)
		require.Zero(t, code, out)
		file := filepath.Join(t.TempDir(), "plan."+format)
		require.NoError(t, os.WriteFile(file, []byte(out), 0o600))
		return file
	}
	carryOut := func(t *testing.T, kubeconfig, file string) (string, int) {
		return program(t, "restore", "create", "carried-out", "--plan", file, "--location", location, "--kubeconfig", kubeconfig)
	}
	for _, format := range []string{"json", "yaml"} {
		t.Run("as "+format, func(t *testing.T) {
			r.patch(t, a, "v1", `{"data":{"a":"2"}}`)
			r.delete(t, b, "v1")
			out, code := carryOut(t, kubeconfig, planned(t, format))
			require.Zero(t, code, out)
			assert.Equal(t, "1", field(t, r.Client, a, "v1", "data", "a"))
			assert.Equal(t, "carried-out", r.restoreLabel(t, b, "v1"))
		})
	}
	other := emptyPlane(t)
	for _, x := range []struct {
		name, words string
		drift       func()
		in          []byte
	}{
		{"an object was created", "configmaps planned/b: the plan says create; now it is", func() { create(t, r.Client, configNamed("planned", "b", `{"a":"1"}`)) }, r.plane.Kubeconfig},
		{"an object was changed", "configmaps planned/a: the cluster has another object", func() { r.patch(t, a, "v1", `{"data":{"a":"3"}}`) }, r.plane.Kubeconfig},
		{"an object was deleted", "configmaps planned/c: the plan says", func() { r.delete(t, c, "v1") }, r.plane.Kubeconfig},
		{"the cluster differs", "another cluster", func() {}, other.Kubeconfig},
	} {
		t.Run(x.name, func(t *testing.T) {
			r.patch(t, a, "v1", `{"data":{"a":"2"}}`)
			if _, err := r.Get(t.Context(), item.Resource{Version: "v1", Name: "configmaps"}, "planned", "b"); err == nil {
				r.delete(t, b, "v1")
			}
			file := planned(t, "json")
			x.drift()
			into := connect(t, x.in)
			before := versions(t, into)
			out, code := carryOut(t, written(t, x.in), file)
			assert.Equal(t, 1, code, out)
			assert.Contains(t, out, restore.ErrDrift.Error())
			assert.Contains(t, out, x.words)
			for k, v := range versions(t, into) {
				if k.Namespace == "planned" || k.Name == "planned" {
					assert.Equal(t, before[k], v, k)
				}
			}
			_, err := into.Get(t.Context(), item.Resource{Version: "v1", Name: "configmaps"}, "planned", "never")
			assert.True(t, apierrors.IsNotFound(err))
		})
	}
}

// finishesAfterAKill holds that a restore with owners and mappings that is
// killed at some request is finished by the next one.
func finishesAfterAKill(t *testing.T, r optionsRig) {
	create(t, r.Client, namespaceNamed("clan"))
	const children = 12
	create(t, r.Client, configNamed("clan", "parent", `{}`))
	uid := r.uid(t, in("clan", "configmaps", "parent"), "v1")
	for i := range children {
		create(t, r.Client, fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"child-%02d","namespace":"clan","ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"parent","uid":%q}]}}`, i, uid))
	}
	location := r.located(t, "clan")
	args := func(to string) []string {
		return []string{"restore", "create", "killed", "--from-backup", "b", "--location", location, "--namespace-mappings", "clan:" + to}
	}
	// Counts the requests, and is the restore that the others are compared with.
	whole := &faulty{}
	out, code := program(t, append(args("clan-whole"), "--kubeconfig", written(t, kubeconfigThrough(t, r.plane, whole)))...)
	require.Zero(t, code, out)
	first := slices.IndexFunc(whole.log, func(s string) bool { return strings.HasPrefix(s, "POST ") })
	require.Positive(t, first)
	writes := len(whole.log) - first
	require.Greater(t, writes, 2*children, "each child is made, and gets its owner afterwards")
	kubeconfig := written(t, r.plane.Kubeconfig)
	for i, at := range []int{first + 3, first + writes/3, first + writes*2/3, first + writes - 2} {
		namespace := fmt.Sprintf("clan-%d", i)
		kill(t, r.plane, fault{nth: at, place: afterRequest, death: true}, args(namespace)...)
		out, code := program(t, append(args(namespace), "--kubeconfig", kubeconfig)...)
		require.Zero(t, code, out)
		parent := r.uid(t, in(namespace, "configmaps", "parent"), "v1")
		for i := range children {
			owners := field(t, r.Client, in(namespace, "secrets", fmt.Sprintf("child-%02d", i)), "v1", "metadata", "ownerReferences")
			assert.Equal(t, []any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "parent", "uid": parent}}, owners, "child-%02d, killed at %d of %d", i, at, len(whole.log))
		}
		assert.Len(t, r.inNamespace(t, namespace), len(r.inNamespace(t, "clan-whole")))
		before := r.inNamespace(t, namespace)
		out, code = program(t, append(args(namespace), "--kubeconfig", kubeconfig)...)
		require.Zero(t, code, out)
		assert.Equal(t, before, r.inNamespace(t, namespace), "nothing is left to do")
	}
}
