//go:build e2e

package controlplane_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/store/mem"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// admissionClusters is how many clusters are generated.
const admissionClusters = 20

// TestDrillsOfClustersFullOfAdmissionBlameNone generates clusters in which
// defaults, limits, policies and labels came into being in any order among the
// objects that they would have changed or refused. Each is healthy, so each
// drill has to pass. LIFEBOAT_SEED repeats a run.
func TestDrillsOfClustersFullOfAdmissionBlameNone(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("LIFEBOAT_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	began := time.Now()
	g := &admissionGenerator{rand: rand.New(rand.NewPCG(seed, 0)), cluster: connect(t, rig.ControlPlane(t).Kubeconfig)}
	var err error
	g.resources, _, err = g.cluster.AllVersions(t.Context())
	require.NoError(t, err)
	bucket := mem.New()
	items := 0
	for n := range admissionClusters {
		g.generate(t, n)
		all := true
		job := backupJob(name(n), bucket, g.cluster, filter.Filter{IncludedNamespaces: []string{name(n)}, IncludeClusterResources: &all})
		made, err := job.Run(t.Context())
		require.NoError(t, err)
		require.Empty(t, made.Errors)
		g.clean(t)
	}
	reports := make([]report.Report, admissionClusters)
	var drills errgroup.Group
	drills.SetLimit(2)
	for n := range reports {
		drills.Go(func() error {
			d := verifier.Drill{Store: bucket, Backup: name(n), Level: report.LevelControlPlane, Sandbox: &sandbox.ControlPlane{Binary: rig.ControlPlaneBinary(t)}, Now: time.Now}
			rep, err := d.Run(context.WithoutCancel(t.Context()))
			reports[n] = rep
			return err
		})
	}
	require.NoError(t, drills.Wait())
	blamed, altered := 0, 0
	for n, rep := range reports {
		items, altered = items+rep.Items.Expected, altered+rep.Items.Altered
		if !assert.Equal(t, report.Passed, rep.Verdict, "%s: %s %v", name(n), rep.Summary, rep.Findings) {
			blamed++
		}
	}
	t.Logf("seed %d: %d clusters, %d objects expected, %d admission objects, %d creations refused by them at the source; %d blamed, %d objects changed by admission; %s",
		seed, admissionClusters, items, g.admission, g.refused, blamed, altered, time.Since(began).Round(time.Second))
	assert.Zero(t, altered, "a new cluster has no admission of its own that changes these objects")
}

func name(n int) string { return fmt.Sprintf("mill-%d", n) }

// admissionGenerator makes clusters.
type admissionGenerator struct {
	rand      *rand.Rand
	cluster   *cluster.Client
	resources []item.Resource
	made      []item.Key // cluster-scoped, of this cluster
	versions  map[item.Key]string
	admission int
	refused   int
}

// generate makes the objects of a cluster in its namespace: each once as it is
// before any admission, then the rest and the admission objects in random order.
func (g *admissionGenerator) generate(t *testing.T, n int) {
	ns := name(n)
	g.versions = map[item.Key]string{}
	g.make(t, fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, ns))
	classes := []string{
		fmt.Sprintf(`{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"house-%d"},"value":%d%s}`, n, 1+g.rand.IntN(1000), g.one(``, `,"preemptionPolicy":"Never"`)),
		fmt.Sprintf(`{"apiVersion":"node.k8s.io/v1","kind":"RuntimeClass","metadata":{"name":"sand-%d"},"handler":"runsc"%s}`, n, g.one(``, `,"overhead":{"podFixed":{"cpu":"10m"}}`)),
		fmt.Sprintf(`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"miller","namespace":%q}}`, ns),
	}
	for _, c := range classes {
		g.make(t, c)
	}
	var later []func()
	for i := range 3 {
		g.objects(t, ns, n, fmt.Sprintf("old-%d", i))
		later = append(later, func() { g.objects(t, ns, n, fmt.Sprintf("new-%d", i)) })
	}
	later = append(later, g.admissionSteps(t, ns, n)...)
	g.rand.Shuffle(len(later), func(i, j int) { later[i], later[j] = later[j], later[i] })
	for _, step := range later {
		step()
	}
}

// objects makes some that admission looks at.
func (g *admissionGenerator) objects(t *testing.T, ns string, n int, suffix string) {
	meta := func(kind string) string {
		return fmt.Sprintf(`"metadata":{"name":"%s-%s","namespace":%q%s}`, kind, suffix, ns, g.one(``, `,"labels":{"color":"red"}`, `,"annotations":{"a":"b"}`))
	}
	pod := func() string {
		class := fmt.Sprintf(`"priorityClassName":"house-%d",`, n)
		sand := fmt.Sprintf(`"runtimeClassName":"sand-%d",`, n)
		return fmt.Sprintf(`{%s%s%s"containers":[{"name":"m","image":"registry.test/x:1"%s}]}`, g.one(``, ``, class), g.one(``, ``, sand),
			g.one(``, `"serviceAccountName":"miller",`, `"automountServiceAccountToken":false,`), g.one(``, ``, `,"resources":{"requests":{"cpu":"5m"}}`, `,"resources":{"limits":{"memory":"9Gi"}}`))
	}
	for _, o := range []string{
		`{"apiVersion":"v1","kind":"Pod",` + meta("pod") + `,"spec":` + pod() + `}`,
		`{"apiVersion":"v1","kind":"Pod",` + meta("second") + `,"spec":` + pod() + `}`,
		`{"apiVersion":"apps/v1","kind":"Deployment",` + meta("web") + `,"spec":{"replicas":0,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":` + pod() + `}}}`,
		`{"apiVersion":"batch/v1","kind":"CronJob",` + meta("cron") + `,"spec":{"suspend":true,"schedule":"0 0 * * *","jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"m","image":"x"}]}}}}}}`,
		`{"apiVersion":"v1","kind":"PersistentVolumeClaim",` + meta("grain") + `,"spec":{"accessModes":["ReadWriteOnce"],` + g.one(``, ``, `"storageClassName":"",`, fmt.Sprintf(`"storageClassName":"quick-%d",`, n)) + `"resources":{"requests":{"storage":"1Gi"}}}}`,
		`{"apiVersion":"networking.k8s.io/v1","kind":"Ingress",` + meta("front") + `,"spec":{` + g.one(``, fmt.Sprintf(`"ingressClassName":"nginx-%d",`, n)) + `"defaultBackend":{"service":{"name":"web","port":{"number":80}}}}}`,
		`{"apiVersion":"v1","kind":"Service",` + meta("web") + `,"spec":{"selector":{"a":"b"},"ports":[{"port":80}]}}`,
		`{"apiVersion":"v1","kind":"ConfigMap",` + meta("settings") + `,"data":{"a":"b"}}`,
	} {
		if g.rand.IntN(4) > 0 {
			g.make(t, o)
		}
	}
}

// admissionSteps are some of the ways in which an administrator makes a cluster
// change or refuse what comes.
func (g *admissionGenerator) admissionSteps(t *testing.T, ns string, n int) []func() {
	patch := func(apiVersion, kind, namespace, name, patch string) func() {
		return func() {
			err := g.cluster.MergePatch(t.Context(), find(t, g.resources, apiVersion, kind), namespace, name, []byte(patch))
			require.NoError(t, err, patch)
			g.admission++
		}
	}
	makes := func(object string) func() {
		return func() { g.make(t, object); g.admission++ }
	}
	storage := func(name, key string) func() {
		return makes(fmt.Sprintf(`{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"%s-%d","annotations":{%q:"true"}},"provisioner":"example.com/x"}`, name, n, key))
	}
	deny := `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicy","metadata":{"name":"no-red-%d"},"spec":{"matchConstraints":{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":%q}},"resourceRules":[{"apiGroups":["*"],"apiVersions":["*"],"operations":["CREATE"],"resources":["*"]}]},"validations":[{"expression":"!has(object.metadata.labels) || !('color' in object.metadata.labels)"}]}}`
	bind := `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicyBinding","metadata":{"name":"no-red-%d"},"spec":{"policyName":"no-red-%d","validationActions":["Deny"]}}`
	hook := `{"apiVersion":"admissionregistration.k8s.io/v1","kind":%q,"metadata":{"name":"hook-%d"},"webhooks":[{"name":"x.example.com","admissionReviewVersions":["v1"],"sideEffects":"None","timeoutSeconds":1,"failurePolicy":%q,"clientConfig":{"service":{"namespace":%q,"name":"web-old-0"}},"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":%q}},"objectSelector":{"matchLabels":{"color":"red"}},"rules":[{"operations":["CREATE"],"apiGroups":["*"],"apiVersions":["*"],"resources":["configmaps","pods"]}]}]}`
	steps := []func(){
		patch("v1", "Namespace", "", ns, fmt.Sprintf(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":%q,"pod-security.kubernetes.io/enforce-version":"latest","pod-security.kubernetes.io/warn":"restricted"}}}`, g.one("restricted", "baseline"))),
		patch("scheduling.k8s.io/v1", "PriorityClass", "", fmt.Sprintf("house-%d", n), `{"globalDefault":true}`),
		patch("node.k8s.io/v1", "RuntimeClass", "", fmt.Sprintf("sand-%d", n), g.one(`{"scheduling":{"nodeSelector":{"sandboxed":"yes"}}}`, `{"scheduling":{"tolerations":[{"key":"sand","operator":"Exists"}]}}`, `{"overhead":{"podFixed":{"cpu":"20m"}}}`)),
		patch("v1", "ServiceAccount", ns, "miller", g.one(`{"imagePullSecrets":[{"name":"registry"}]}`, `{"automountServiceAccountToken":false}`, `{"imagePullSecrets":[{"name":"registry"}],"metadata":{"annotations":{"kubernetes.io/enforce-mountable-secrets":"true"}}}`)),
		patch("v1", "ServiceAccount", ns, "default", `{"imagePullSecrets":[{"name":"registry"}]}`),
		storage("quick", "storageclass.kubernetes.io/is-default-class"),
		storage("second", "storageclass.kubernetes.io/is-default-class"),
		storage("beta", "storageclass.beta.kubernetes.io/is-default-class"),
		makes(fmt.Sprintf(`{"apiVersion":"networking.k8s.io/v1","kind":"IngressClass","metadata":{"name":"nginx-%d","annotations":{"ingressclass.kubernetes.io/is-default-class":"true"}},"spec":{"controller":"example.com/x"}}`, n)),
		makes(fmt.Sprintf(`{"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"least","namespace":%q},"spec":{"limits":[{"type":"Container","default":{"cpu":"100m","memory":"1Gi"},"max":{"memory":"2Gi"},"min":{"cpu":"10m"}},{"type":"PersistentVolumeClaim","max":{"storage":"1Mi"}}]}}`, ns)),
		makes(fmt.Sprintf(`{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"few","namespace":%q},"spec":{"hard":{"pods":"1","requests.cpu":"1m","persistentvolumeclaims":"1","services":"1","count/configmaps":"1"}}}`, ns)),
		func() {
			makes(fmt.Sprintf(deny, n, ns))()
			makes(fmt.Sprintf(bind, n, n))()
		},
		makes(fmt.Sprintf(hook, "MutatingWebhookConfiguration", n, g.one("Fail", "Ignore"), ns, ns)),
		makes(fmt.Sprintf(hook, "ValidatingWebhookConfiguration", n, g.one("Fail", "Ignore"), ns, ns)),
	}
	g.rand.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	return steps[:4+g.rand.IntN(len(steps)-3)]
}

func (g *admissionGenerator) one(of ...string) string { return of[g.rand.IntN(len(of))] }

// make makes an object, unless what is in the cluster by now refuses it.
func (g *admissionGenerator) make(t *testing.T, object string) {
	t.Helper()
	var head struct {
		APIVersion, Kind string
		Metadata         struct{ Name, Namespace string }
	}
	require.NoError(t, json.Unmarshal([]byte(object), &head), object)
	r := find(t, g.resources, head.APIVersion, head.Kind)
	_, err := g.cluster.Create(t.Context(), r, head.Metadata.Namespace, []byte(object))
	switch {
	case apierrors.IsForbidden(err), apierrors.IsInternalError(err), apierrors.IsInvalid(err) && head.Metadata.Namespace != "":
		g.refused++
		return
	}
	require.NoError(t, err, object)
	if !r.Namespaced && head.Kind != "Namespace" {
		k := item.Key{Group: r.Group, Resource: r.Name, Name: head.Metadata.Name}
		g.made = append(g.made, k)
		g.versions[k] = r.Version
	}
}

// clean deletes what the next cluster must not have.
func (g *admissionGenerator) clean(t *testing.T) {
	for _, k := range g.made {
		r := item.Resource{Group: k.Group, Version: g.versions[k], Name: k.Resource}
		require.NoError(t, g.cluster.Delete(t.Context(), r, "", k.Name, metav1.DeleteOptions{}))
	}
	g.made = nil
}
