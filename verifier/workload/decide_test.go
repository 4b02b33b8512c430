package workload

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// see makes the input of objects in YAML. All of them are restored but those
// that have an owner, events and slices.
func see(t *testing.T, objects ...string) Input {
	t.Helper()
	in := Input{Restored: map[item.Key]bool{}}
	s := &in.State
	into := map[string]struct {
		resource string
		add      func([]byte) error
	}{
		"Deployment":                     {"deployments.apps", to(&s.Deployments)},
		"StatefulSet":                    {"statefulsets.apps", to(&s.StatefulSets)},
		"DaemonSet":                      {"daemonsets.apps", to(&s.DaemonSets)},
		"ReplicaSet":                     {"replicasets.apps", to(&s.ReplicaSets)},
		"ReplicationController":          {"replicationcontrollers", to(&s.Controllers)},
		"Job":                            {"jobs.batch", to(&s.Jobs)},
		"Pod":                            {"pods", to(&s.Pods)},
		"PersistentVolumeClaim":          {"persistentvolumeclaims", to(&s.Claims)},
		"Service":                        {"services", to(&s.Services)},
		"EndpointSlice":                  {"", to(&s.Slices)},
		"Event":                          {"", to(&s.Events)},
		"ValidatingWebhookConfiguration": {"validatingwebhookconfigurations." + admission, to(&s.Validating)},
		"MutatingWebhookConfiguration":   {"mutatingwebhookconfigurations." + admission, to(&s.Mutating)},
		"APIService":                     {apiServices, to(&s.APIServices)},
		"CustomResourceDefinition":       {"customresourcedefinitions.apiextensions.k8s.io", to(&s.Definitions)},
	}
	for _, o := range objects {
		u := object(t, o)
		kind, known := into[u.GetKind()]
		require.True(t, known, u.GetKind())
		raw, err := yaml.YAMLToJSON([]byte(o))
		require.NoError(t, err)
		require.NoError(t, kind.add(raw))
		if kind.resource != "" && len(u.GetOwnerReferences()) == 0 {
			group, resource := item.SplitGroupResource(kind.resource)
			in.Restored[item.Key{Group: group, Resource: resource, Namespace: u.GetNamespace(), Name: u.GetName()}] = true
		}
	}
	return in
}

// problems are said in one line each.
func problems(d Decision) []string {
	classes := map[Class]string{Running: "running", Consequence: "consequence", Environment: "environment", Symptom: "symptom", Proof: "proof"}
	var out []string
	for _, p := range d.Problems {
		final := "waits"
		if p.Final {
			final = "final"
		}
		out = append(out, fmt.Sprintf("%s %s: %s, %s: %s", p.Check, p.Object, classes[p.Class], final, p.Message))
	}
	return out
}

const (
	web    = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop, uid: d, generation: 1}, spec: {replicas: 2, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}}}, status: {observedGeneration: 1, replicas: 2, readyReplicas: %[1]d, availableReplicas: %[1]d, updatedReplicas: 2}}`
	webRS  = `{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-1, namespace: shop, uid: r, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: d, controller: true}]}, spec: {replicas: 2, selector: {matchLabels: {app: web}}}, status: {replicas: %d}}`
	webPod = `{apiVersion: v1, kind: Pod, metadata: {name: web-1-%s, namespace: shop, uid: p%[1]s, labels: {app: web}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-1, uid: r, controller: true}]}, spec: {containers: [{name: c, image: shop/web:1}]}, status: {%s}}`
	ready  = `phase: Running, conditions: [{type: Ready, status: "True"}]`
	event  = `{apiVersion: v1, kind: Event, metadata: {name: %[1]s-%[2]s, namespace: shop}, involvedObject: {uid: %[1]s}, type: Warning, reason: %[2]s, message: %[3]q, lastTimestamp: "2026-01-01T00:00:%02[4]dZ"}`
)

func pods(status string) []string {
	return []string{fmt.Sprintf(web, 1), fmt.Sprintf(webRS, 2), fmt.Sprintf(webPod, "a", ready), fmt.Sprintf(webPod, "b", status)}
}

func waiting(why, message string) string {
	return fmt.Sprintf(`phase: Pending, conditions: [{type: PodScheduled, status: "True"}, {type: Ready, status: "False"}], containerStatuses: [{name: c, restartCount: 4, state: {waiting: {reason: %s, message: %q}}, lastState: {terminated: {exitCode: 3, reason: Error}}}]`, why, message)
}

func unschedulable(message string) string {
	return fmt.Sprintf(`phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: %q}]`, message)
}

func TestWhyAWorkloadIsNotReadyAndWhoseFaultThatIs(t *testing.T) {
	const is, creating = "workloads_ready deployments.apps shop/web: ", `phase: Pending, conditions: [{type: PodScheduled, status: "True"}], containerStatuses: [{name: c, state: {waiting: {reason: ContainerCreating}}}]`
	for _, c := range []struct {
		name, status string
		events       []string
		want         string
	}{
		{"a ConfigMap that is not there", waiting("CreateContainerConfigError", `configmap "settings" not found`), nil, `proof, final: pod web-1-b: container c: CreateContainerConfigError: configmap "settings" not found`},
		{"a key that a Secret lacks", waiting("CreateContainerConfigError", `couldn't find key password in Secret shop/db`), nil, `proof, final: pod web-1-b: container c: CreateContainerConfigError: couldn't find key password in Secret shop/db`},
		{"another configuration error", waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"), nil, "symptom, final: pod web-1-b: container c: CreateContainerConfigError: container has runAsNonRoot and image will run as root"},
		{"no reference of an image", waiting("InvalidImageName", "couldn't parse image"), nil, "proof, final: pod web-1-b: container c: InvalidImageName: couldn't parse image"},
		{"an image that the node has not", waiting("ErrImageNeverPull", "not present"), nil, "environment, final: pod web-1-b: image shop/web:1: ErrImageNeverPull: not present"},
		{"an image that nobody could have", waiting("ImagePullBackOff", "Back-off"), nil, "environment, final: pod web-1-b: image shop/web:1: ImagePullBackOff: Back-off"},
		{"a crash", waiting("CrashLoopBackOff", "back-off 40s"), nil, "symptom, waits: pod web-1-b: container c ended with exit code 3, 4 times"},
		{"a program that is not in the image", waiting("RunContainerError", `exec: "serve": executable file not found in $PATH`), nil, `symptom, waits: pod web-1-b: container c: RunContainerError: exec: "serve": executable file not found in $PATH`},
		{"a crash a moment ago", `phase: Running, containerStatuses: [{name: c, state: {terminated: {exitCode: 137, reason: OOMKilled}}}]`, nil, "symptom, waits: pod web-1-b: container c ended with exit code 137 (OOMKilled)"},
		{"a probe that says no", `phase: Running, conditions: [{type: PodScheduled, status: "True"}], containerStatuses: [{name: c, ready: false, state: {running: {}}}]`,
			[]string{fmt.Sprintf(event, "pb", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404", 1)}, "symptom, waits: pod web-1-b: container c runs and is not ready: Readiness probe failed: HTTP probe failed with statuscode: 404"},
		{"an init container that fails", `phase: Pending, initContainerStatuses: [{name: i, state: {terminated: {exitCode: 1}}}], containerStatuses: [{name: c, state: {waiting: {reason: PodInitializing}}}]`, nil, "symptom, waits: pod web-1-b: container i ended with exit code 1"},
		{"a claim that is not there", unschedulable(`0/1 nodes are available: persistentvolumeclaim "data" not found.`), nil, `proof, final: pod web-1-b: cannot be scheduled: 0/1 nodes are available: persistentvolumeclaim "data" not found.`},
		{"a claim without a volume", unschedulable("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."), nil, "consequence, waits: pod web-1-b: cannot be scheduled: 0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."},
		{"more memory than the node has", unschedulable("0/1 nodes are available: 1 Insufficient memory."), nil, "environment, final: pod web-1-b: it does not fit on the sandbox's node: 0/1 nodes are available: 1 Insufficient memory."},
		{"nodes that are not there", unschedulable("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."), nil, "environment, final: pod web-1-b: it does not fit on the sandbox's node: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."},
		{"a gate", `phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: SchedulingGated, message: gated}]`, nil, "environment, waits: pod web-1-b: waits for a scheduling gate to be lifted: gated"},
		{"a mounted ConfigMap that is not there", creating, []string{fmt.Sprintf(event, "pb", "FailedMount", `MountVolume.SetUp failed for volume "conf" : configmap "settings" not found`, 1)}, `proof, final: pod web-1-b: MountVolume.SetUp failed for volume "conf" : configmap "settings" not found`},
		{"a mounted key that is not there", creating, []string{fmt.Sprintf(event, "pb", "FailedMount", `MountVolume.SetUp failed for volume "conf" : references non-existent config key: a.conf`, 1)}, `proof, final: pod web-1-b: MountVolume.SetUp failed for volume "conf" : references non-existent config key: a.conf`},
		{"a driver that the node has not", creating, []string{fmt.Sprintf(event, "pb", "FailedMount", `driver name efs.csi.aws.com not found in the list of registered CSI drivers`, 1)}, "environment, waits: pod web-1-b: driver name efs.csi.aws.com not found in the list of registered CSI drivers"},
		{"a runtime that the node has not", creating, []string{fmt.Sprintf(event, "pb", "FailedCreatePodSandBox", `no runtime for "gvisor" is configured`, 1)}, `environment, waits: pod web-1-b: the sandbox's node could not create it: no runtime for "gvisor" is configured`},
		{"the latest event counts", creating, []string{fmt.Sprintf(event, "pb", "FailedMount", "timed out", 2), fmt.Sprintf(event, "pb", "FailedAttachVolume", "older", 1)}, "environment, waits: pod web-1-b: timed out"},
		{"an eviction", `phase: Failed, reason: Evicted, message: The node was low on resource`, nil, "environment, waits: pod web-1-b: Evicted: The node was low on resource"},
		{"no scheduler", `phase: Pending`, nil, "environment, waits: pod web-1-b: no scheduler has handled it (schedulerName )"},
		{"nothing to say yet", creating, nil, "symptom, waits: pod web-1-b: is Pending and not ready"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Decide(see(t, append(pods(c.status), c.events...)...))
			assert.Equal(t, []string{is + c.want}, problems(d))
			assert.Equal(t, strings.Contains(c.want, "final"), d.Settled())
		})
	}
}

func TestAPodThatGoesIsWaitedFor(t *testing.T) {
	going := strings.Replace(fmt.Sprintf(webPod, "b", waiting("CrashLoopBackOff", "")), "labels:", `deletionTimestamp: "2026-01-01T00:00:00Z", labels:`, 1)
	in := see(t, fmt.Sprintf(web, 1), fmt.Sprintf(webRS, 2), fmt.Sprintf(webPod, "a", ready), going)
	assert.Equal(t, []string{"workloads_ready deployments.apps shop/web: symptom, waits: pod web-1-b: is being deleted"}, problems(Decide(in)))
}

func TestASidecarThatRunsBeforeTheOthersIsNoProblemOfProbes(t *testing.T) {
	status := `phase: Pending, conditions: [{type: PodScheduled, status: "True"}], initContainerStatuses: [{name: i, ready: false, state: {running: {}}}], containerStatuses: [{name: c, state: {waiting: {reason: PodInitializing}}}]`
	withInit := strings.Replace(fmt.Sprintf(webPod, "b", status), "spec: {", "spec: {initContainers: [{name: i, image: a}], ", 1)
	in := see(t, fmt.Sprintf(web, 1), fmt.Sprintf(webRS, 2), fmt.Sprintf(webPod, "a", ready), withInit)
	assert.Equal(t, []string{"workloads_ready deployments.apps shop/web: symptom, waits: pod web-1-b: is Pending and not ready"}, problems(Decide(in)))
}

func TestWhatAStandInDoesSaysNothingAboutTheBackup(t *testing.T) {
	for _, status := range []string{waiting("CrashLoopBackOff", ""), waiting("RunContainerError", "no such file"), waiting("CreateContainerConfigError", "container has runAsNonRoot"),
		`phase: Running, containerStatuses: [{name: c, state: {running: {}}}]`} {
		in := see(t, pods(status)...)
		in.StandsIn = func(image string) bool { return image == "shop/web:1" }
		require.Len(t, Decide(in).Problems, 1)
		assert.Equal(t, Environment, Decide(in).Problems[0].Class, status)
	}
	in := see(t, pods(waiting("CreateContainerConfigError", `secret "db" not found`))...)
	in.StandsIn = func(string) bool { return true }
	assert.Equal(t, Proof, Decide(in).Problems[0].Class, "what is missing is missing")
}

func TestAnImageThatCouldNotBeHadIsNamedWithTheReason(t *testing.T) {
	in := see(t, pods(waiting("ImagePullBackOff", "Back-off pulling"))...)
	in.Missing = map[string]string{"shop/web:1": "the registry does not know it"}
	assert.Equal(t, []string{"workloads_ready deployments.apps shop/web: environment, final: pod web-1-b: image shop/web:1: the registry does not know it"}, problems(Decide(in)))
}

func TestBetweenTwoCrashesAWorkloadIsNotReady(t *testing.T) {
	ended := ready + `, containerStatuses: [{name: c, ready: true, restartCount: 2, state: {running: {}}, lastState: {terminated: {exitCode: 1, finishedAt: "2026-01-01T00:00:00Z"}}}]`
	in := see(t, fmt.Sprintf(web, 2), fmt.Sprintf(webRS, 2), fmt.Sprintf(webPod, "a", ready), fmt.Sprintf(webPod, "b", ended))
	in.Now = time.Date(2026, 1, 1, 0, 0, 9, 0, time.UTC)
	assert.Equal(t, []string{"workloads_ready deployments.apps shop/web: symptom, waits: pod web-1-b: container c ended with exit code 1, and runs again; 2 restarts"}, problems(Decide(in)))
	assert.Equal(t, Log{Namespace: "shop", Pod: "web-1-b", Container: "c", Previous: true}, *Decide(in).Problems[0].Log)
	// A container that is not running is told by its state.
	stopped := see(t, fmt.Sprintf(web, 2), fmt.Sprintf(webPod, "b", strings.Replace(ended, "state: {running: {}}", "state: {}", 1)))
	stopped.Now = in.Now
	assert.Empty(t, problems(Decide(stopped)))
	in.Now = in.Now.Add(time.Second)
	assert.Empty(t, problems(Decide(in)), "it has come to rest")
}

func TestADaemonSetThatNoNodeAsksForIsCounted(t *testing.T) {
	const set = `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: gpu, namespace: shop, generation: 1}, spec: {selector: {matchLabels: {a: b}}}, status: {observedGeneration: 1, desiredNumberScheduled: %d, numberReady: %[1]d}}`
	assert.Equal(t, 1, Decide(see(t, fmt.Sprintf(set, 0))).Idle)
	assert.Equal(t, 0, Decide(see(t, fmt.Sprintf(set, 1))).Idle)
}

func TestPodsThatTheAPIServerRefuses(t *testing.T) {
	for message, want := range map[string]string{
		`pods "web-1-x" is forbidden: exceeded quota: small, requested: pods=1`:                               "proof, final",
		`pods "web-1-x" is forbidden: violates PodSecurity "restricted"`:                                      "proof, final",
		`error looking up service account shop/web: serviceaccount "web" not found`:                           "proof, final",
		`Internal error occurred: failed calling webhook "w.example": no endpoints available for service "w"`: "symptom, waits",
	} {
		in := see(t, fmt.Sprintf(web, 1), fmt.Sprintf(webRS, 1), fmt.Sprintf(webPod, "a", ready), fmt.Sprintf(event, "r", "FailedCreate", message, 1))
		assert.Equal(t, []string{"workloads_ready deployments.apps shop/web: " + want + ": its pods are refused: " + message}, problems(Decide(in)))
	}
	in := see(t, fmt.Sprintf(web, 2), fmt.Sprintf(webRS, 2), fmt.Sprintf(webPod, "a", ready), fmt.Sprintf(webPod, "b", ready), fmt.Sprintf(event, "r", "FailedCreate", "exceeded quota", 1))
	assert.Empty(t, problems(Decide(in)), "what was refused once and is there by now is no problem")

	in = see(t, fmt.Sprintf(web, 1), fmt.Sprintf(webRS, 2), fmt.Sprintf(webPod, "a", ready), fmt.Sprintf(webPod, "b", waiting("ErrImagePull", "no")), fmt.Sprintf(event, "r", "FailedCreate", "exceeded quota", 1))
	assert.Equal(t, []string{"workloads_ready deployments.apps shop/web: environment, final: pod web-1-b: image shop/web:1: ErrImagePull: no"}, problems(Decide(in)), "nor is it why the pods that are there are not ready")

	const set = `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, namespace: shop, uid: s}, spec: {replicas: %d, selector: {matchLabels: {app: db}}}}`
	const its = `{apiVersion: v1, kind: Pod, metadata: {name: db-0, namespace: shop, labels: {app: db}, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: s, controller: true}]}, spec: {containers: [{name: c, image: shop/db:1}]}, status: {%s}}`
	refusal := fmt.Sprintf(event, "s", "FailedCreate", "exceeded quota", 1)
	assert.Equal(t, []string{"workloads_ready statefulsets.apps shop/db: proof, final: its pods are refused: exceeded quota"}, problems(Decide(see(t, fmt.Sprintf(set, 2), fmt.Sprintf(its, ready), refusal))))
	assert.Equal(t, []string{"workloads_ready statefulsets.apps shop/db: environment, final: pod db-0: image shop/db:1: ErrImagePull: no"},
		problems(Decide(see(t, fmt.Sprintf(set, 1), fmt.Sprintf(its, waiting("ErrImagePull", "no")), refusal))), "all that it wants are there")
	normal := strings.Replace(refusal, "type: Warning", "type: Normal", 1)
	assert.Equal(t, []string{"workloads_ready statefulsets.apps shop/db: symptom, waits: 0 of the 1 desired pods exist, and not all are ready"}, problems(Decide(see(t, fmt.Sprintf(set, 1), normal))), "only warnings are reasons")
}

func TestWhatWeighsMostIsSaidAndAWorkloadWaitsForAllOfItsPods(t *testing.T) {
	in := see(t, fmt.Sprintf(web, 0), fmt.Sprintf(webRS, 2), fmt.Sprintf(webPod, "a", waiting("ImagePullBackOff", "")), fmt.Sprintf(webPod, "b", waiting("CrashLoopBackOff", "")))
	assert.Equal(t, []string{"workloads_ready deployments.apps shop/web: symptom, waits: pod web-1-b: container c ended with exit code 3, 4 times"}, problems(Decide(in)))
	require.NotNil(t, Decide(in).Problems[0].Log)
	assert.Equal(t, Log{Namespace: "shop", Pod: "web-1-b", Container: "c"}, *Decide(in).Problems[0].Log)
}

func TestWhenWorkloadsAreReady(t *testing.T) {
	for _, c := range []struct {
		name    string
		objects []string
		want    []string
	}{
		{"a Deployment with all its replicas", []string{fmt.Sprintf(web, 2)}, nil},
		{"a Deployment whose pods are of another revision", []string{strings.Replace(fmt.Sprintf(web, 2), "updatedReplicas: 2", "updatedReplicas: 1", 1)}, []string{"deployments.apps shop/web: symptom, waits: 0 of the 2 desired pods exist, and not all are ready"}},
		{"a Deployment that is paused with such", []string{strings.Replace(strings.Replace(fmt.Sprintf(web, 2), "updatedReplicas: 2", "updatedReplicas: 1", 1), "replicas: 2,", "replicas: 2, paused: true,", 1)}, nil},
		{"a pod that only looks like one of the Deployment", []string{fmt.Sprintf(web, 0), strings.NewReplacer("web-1-z", "stray", "ownerReferences", "ignored").Replace(fmt.Sprintf(webPod, "z", ready))}, []string{"deployments.apps shop/web: symptom, waits: 0 of the 2 desired pods exist, and not all are ready"}},
		{"a Deployment that nobody has looked at", []string{strings.Replace(fmt.Sprintf(web, 2), "generation: 1}", "generation: 2}", 1)}, []string{"deployments.apps shop/web: symptom, waits: 0 of the 2 desired pods exist, and not all are ready"}},
		{"a Deployment of none", []string{`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: shop}, spec: {replicas: 0, selector: {}}}`}, nil},
		{"a StatefulSet", []string{`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a, namespace: shop}, spec: {selector: {matchLabels: {a: b}}}, status: {readyReplicas: 1}}`}, nil},
		{"a StatefulSet without its pod", []string{`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a, namespace: shop}, spec: {selector: {matchLabels: {a: b}}}}`}, []string{"statefulsets.apps shop/a: symptom, waits: 0 of the 1 desired pods exist, and not all are ready"}},
		{"a DaemonSet that no node asks for", []string{`{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: a, namespace: shop, generation: 1}, spec: {selector: {matchLabels: {a: b}}}, status: {observedGeneration: 1}}`}, nil},
		{"a DaemonSet that nobody has looked at", []string{`{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: a, namespace: shop, generation: 1}, spec: {selector: {matchLabels: {a: b}}}}`}, []string{"daemonsets.apps shop/a: symptom, waits: 0 of the 1 desired pods exist, and not all are ready"}},
		{"a DaemonSet that is ready as of an older look", []string{`{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: a, namespace: shop, generation: 2}, spec: {selector: {matchLabels: {a: b}}}, status: {observedGeneration: 1, desiredNumberScheduled: 1, numberReady: 1}}`}, []string{"daemonsets.apps shop/a: symptom, waits: 0 of the 1 desired pods exist, and not all are ready"}},
		{"a ReplicaSet of its own", []string{`{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: a, namespace: shop}, spec: {selector: {matchLabels: {a: b}}}}`}, []string{"replicasets.apps shop/a: symptom, waits: 0 of the 1 desired pods exist, and not all are ready"}},
		{"a ReplicationController", []string{`{apiVersion: v1, kind: ReplicationController, metadata: {name: a, namespace: shop}, spec: {selector: {a: b}}}`}, []string{"replicationcontrollers shop/a: symptom, waits: 0 of the 1 desired pods exist, and not all are ready"}},
		{"a pod of its own that has done its work", []string{`{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop, uid: a}, status: {phase: Succeeded}}`}, nil},
		{"a pod of its own that has failed", []string{`{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop, uid: a}, status: {phase: Failed, containerStatuses: [{name: c, state: {terminated: {exitCode: 7}}}]}}`}, []string{"pods shop/a: symptom, final: container c ended with exit code 7"}},
		{"a complete Job", []string{job(`conditions: [{type: Complete, status: "True"}]`)}, nil},
		{"a suspended Job", []string{`{apiVersion: batch/v1, kind: Job, metadata: {name: a, namespace: shop}, spec: {suspend: true, selector: {matchLabels: {a: b}}}}`}, nil},
		{"a Job that runs", []string{job("active: 1"), jobPod(ready)}, []string{"jobs.batch shop/a: running, waits: still runs"}},
		{"a Job that has failed", []string{job(`conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded, message: too often}]`), jobPod(`phase: Failed, containerStatuses: [{name: c, state: {terminated: {exitCode: 2}}}]`)},
			[]string{"jobs.batch shop/a: symptom, final: has failed: BackoffLimitExceeded: too often; pod a-x: container c ended with exit code 2"}},
		{"a Job whose image is missing", []string{job("active: 1"), jobPod(waiting("ErrImagePull", "no"))}, []string{"jobs.batch shop/a: environment, final: pod a-x: image shop/job:1: ErrImagePull: no"}},
		{"a Job without pods", []string{job("active: 0")}, []string{"jobs.batch shop/a: symptom, waits: has created no pod"}},
		{"what something else looks after", []string{fmt.Sprintf(webRS, 0), fmt.Sprintf(webPod, "a", waiting("ErrImagePull", ""))}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want []string
			for _, w := range c.want {
				want = append(want, "workloads_ready "+w)
			}
			assert.Equal(t, want, problems(Decide(see(t, c.objects...))))
		})
	}
	assert.Equal(t, 1, Decide(see(t, fmt.Sprintf(web, 2))).Asked[CheckWorkloads])
	notRestored := see(t, fmt.Sprintf(web, 0))
	clear(notRestored.Restored)
	assert.Empty(t, Decide(notRestored).Problems, "what the sandbox brought is not asked after")
}

func job(status string) string {
	return `{apiVersion: batch/v1, kind: Job, metadata: {name: a, namespace: shop, uid: j}, spec: {selector: {matchLabels: {job: a}}}, status: {` + status + `}}`
}

func jobPod(status string) string {
	return `{apiVersion: v1, kind: Pod, metadata: {name: a-x, namespace: shop, labels: {job: a}, ownerReferences: [{apiVersion: batch/v1, kind: Job, name: a, uid: j, controller: true}]}, spec: {containers: [{name: c, image: shop/job:1}]}, status: {` + status + `}}`
}

const (
	service = `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {selector: {app: web}}}`
	slice   = `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}, endpoints: [{addresses: [10.0.0.1], conditions: {ready: %t}}]}`
)

func TestServicesHaveEndpointsWhenWhatTheySelectIsReady(t *testing.T) {
	up, down := fmt.Sprintf(web, 2), fmt.Sprintf(web, 0)
	assert.Empty(t, problems(Decide(see(t, up, service, fmt.Sprintf(slice, true)))))
	assert.Equal(t, []string{"services_have_endpoints services shop/web: symptom, waits: has no ready endpoint, although deployments.apps shop/web is ready"},
		problems(Decide(see(t, up, service, fmt.Sprintf(slice, false)))))
	assert.Contains(t, problems(Decide(see(t, down, service))), "services_have_endpoints services shop/web: consequence, final: has no ready endpoint, because deployments.apps shop/web is not ready")
	assert.Empty(t, problems(Decide(see(t, service))), "nothing of the backup is behind it")
	scaledDown := `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}, spec: {replicas: 0, selector: {}, template: {metadata: {labels: {app: web}}}}}`
	assert.Empty(t, problems(Decide(see(t, service, scaledDown))), "what it selects was scaled down in the backup")
	assert.Equal(t, 0, Decide(see(t, service, strings.Replace(job("active: 1"), "selector: {matchLabels: {job: a}}", "template: {metadata: {labels: {app: web}}}", 1))).Asked[CheckServices], "a Job comes to its end")
	assert.Empty(t, problems(Decide(see(t, strings.Replace(service, "{selector: {app: web}}", "{}", 1)))), "its endpoints are somebody else's")
}

const claim = `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data-db-%d, namespace: shop, uid: c}, spec: {%s}, status: {phase: %s}}`

func TestClaimsAreBoundAndThoseOfAStatefulSetAreInTheBackup(t *testing.T) {
	assert.Empty(t, problems(Decide(see(t, fmt.Sprintf(claim, 0, "", "Bound")))))
	assert.Equal(t, []string{"claims_bound persistentvolumeclaims shop/data-db-0: environment, waits: no volume was bound to it: too small"},
		problems(Decide(see(t, fmt.Sprintf(claim, 0, "", "Pending"), fmt.Sprintf(event, "c", "ProvisioningFailed", "too small", 1)))))
	assert.Equal(t, []string{"claims_bound persistentvolumeclaims shop/data-db-0: environment, final: asks for a raw block device, which this level cannot hold"},
		problems(Decide(see(t, fmt.Sprintf(claim, 0, "volumeMode: Block", "Pending")))))

	refused := see(t, fmt.Sprintf(claim, 0, "", "Pending"))
	refused.Refused = map[types.UID]string{"c": "a webhook does not answer"}
	assert.Equal(t, []string{"claims_bound persistentvolumeclaims shop/data-db-0: environment, waits: no volume was bound to it: a webhook does not answer"}, problems(Decide(refused)))

	const set = `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, namespace: shop}, spec: {replicas: 2, selector: {matchLabels: {a: b}}, volumeClaimTemplates: [{metadata: {name: data}}]}, status: {readyReplicas: 2}}`
	assert.Equal(t, []string{"claims_bound persistentvolumeclaims shop/data-db-1: proof, final: is not in the backup; StatefulSet db got a new, empty one"},
		problems(Decide(see(t, set, fmt.Sprintf(claim, 0, "", "Bound")))))
}

func TestWebhooksAreAnsweredByAWorkloadOfTheBackup(t *testing.T) {
	const hook = `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: guard}, webhooks: [{name: g.example, clientConfig: {service: {namespace: shop, name: web}}}, {name: out, clientConfig: {url: "https://x"}}]}`
	const is = "webhooks_answer validatingwebhookconfigurations.admissionregistration.k8s.io guard: "
	up := fmt.Sprintf(web, 2)
	good := see(t, hook, up, service, fmt.Sprintf(slice, true))
	assert.Equal(t, []Endpoint{{"shop", "web", 443}}, good.Servers())
	assert.Empty(t, problems(Decide(good)))
	assert.Equal(t, 1, Decide(good).Asked[CheckWebhooks])
	good.Answers = map[Endpoint]string{{"shop", "web", 443}: "connection refused"}
	assert.Equal(t, []string{is + "symptom, waits: g.example: its Service shop/web does not answer: connection refused"}, problems(Decide(good)))

	assert.Equal(t, []string{is + "proof, final: g.example: its Service shop/web is not in the backup"}, problems(Decide(see(t, hook))))
	sandboxes := see(t, hook)
	clear(sandboxes.Restored)
	assert.Empty(t, problems(Decide(sandboxes)), "what the sandbox brought is not asked after")
	assert.Equal(t, []string{is + "proof, final: g.example: no workload of the backup is behind its Service shop/web"}, problems(Decide(see(t, hook, service))))
	assert.Contains(t, problems(Decide(see(t, hook, fmt.Sprintf(web, 0), service))), is+"consequence, final: g.example: its Service shop/web has no ready endpoint, because deployments.apps shop/web is not ready")
}

func TestAPIsAreAvailableAndDefinitionsEstablished(t *testing.T) {
	const api = `{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1.a.example}, spec: {service: {namespace: shop, name: web}}, status: {conditions: [{type: Available, status: "%s", reason: R, message: m}]}}`
	behind := []string{fmt.Sprintf(web, 2), service, fmt.Sprintf(slice, true)}
	assert.Empty(t, problems(Decide(see(t, append(behind, fmt.Sprintf(api, "True"))...))))
	assert.Equal(t, []string{"apiservices_available apiservices.apiregistration.k8s.io v1.a.example: symptom, waits: is not available: R: m"}, problems(Decide(see(t, append(behind, fmt.Sprintf(api, "False"))...))))
	assert.Equal(t, []string{"apiservices_available apiservices.apiregistration.k8s.io v1.a.example: proof, final: its Service shop/web is not in the backup"}, problems(Decide(see(t, fmt.Sprintf(api, "False")))))

	const crd = `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a.example}, spec: {%s}, status: {conditions: [%s]}}`
	const is = "crds_established customresourcedefinitions.apiextensions.k8s.io a.example: "
	assert.Empty(t, problems(Decide(see(t, fmt.Sprintf(crd, "", `{type: Established, status: "True"}`)))))
	assert.Equal(t, []string{is + "symptom, waits: is not established: it has no status yet"}, problems(Decide(see(t, fmt.Sprintf(crd, "", "")))))
	assert.Equal(t, []string{is + "proof, final: its names are taken: by b"}, problems(Decide(see(t, fmt.Sprintf(crd, "", `{type: NamesAccepted, status: "False", message: by b}`)))))
	converting := see(t, fmt.Sprintf(crd, "conversion: {webhook: {clientConfig: {service: {namespace: shop, name: web, port: 9443}}}}", `{type: Established, status: "True"}`))
	assert.Equal(t, []string{"webhooks_answer customresourcedefinitions.apiextensions.k8s.io a.example: proof, final: its conversion webhook: its Service shop/web is not in the backup"}, problems(Decide(converting)))
}

func TestASymptomIsTheBackupsFaultOnlyWhereTheEnvironmentIsWhole(t *testing.T) {
	k := func(name string) item.Key { return item.Key{Resource: "pods", Namespace: "shop", Name: name} }
	symptom := Problem{Check: CheckWorkloads, Object: k("b"), Class: Symptom, Message: "crashes"}
	proof := Problem{Check: CheckWorkloads, Object: k("a"), Class: Proof, Message: "no ConfigMap"}
	environment := Problem{Check: CheckClaims, Object: k("c"), Class: Environment, Message: "no volume"}
	follows := Problem{Check: CheckServices, Object: k("d"), Class: Consequence, Message: "no endpoint"}
	runs := Problem{Check: CheckWorkloads, Object: k("e"), Class: Running, Message: "still runs"}

	findings, left := Settle([]Problem{symptom, follows, proof, runs})
	assert.Equal(t, []report.Finding{{Check: CheckWorkloads, Object: "pods shop/a", Message: "no ConfigMap"}, {Check: CheckWorkloads, Object: "pods shop/b", Message: "crashes"}}, findings)
	assert.Equal(t, []report.Finding{{Check: CheckServices, Object: "pods shop/d", Message: "no endpoint"}}, left)

	findings, left = Settle([]Problem{symptom, environment, proof})
	assert.Equal(t, []report.Finding{{Check: CheckWorkloads, Object: "pods shop/a", Message: "no ConfigMap"}}, findings, "proof stays proof")
	assert.Equal(t, []report.Finding{
		{Check: CheckWorkloads, Object: "pods shop/b", Message: "crashes (possibly because the sandbox lacks something)"}, {Check: CheckClaims, Object: "pods shop/c", Message: "no volume"},
	}, left)

	findings, left = Settle([]Problem{runs})
	assert.Empty(t, findings)
	assert.Empty(t, left)
}

func TestAnswersOfProgramsAreLeftOut(t *testing.T) {
	s := State{
		Pods: []corev1.Pod{{Status: corev1.PodStatus{Phase: corev1.PodFailed, Message: "CANARY", ContainerStatuses: []corev1.ContainerStatus{
			{Name: "a", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: "CANARY"}}},
			{Name: "b", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError", Message: `secret "db" not found`}},
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: "CANARY"}}},
			{Name: "c", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "RunContainerError", Message: "exec CANARY"}}},
		}}}},
		Events: []corev1.Event{
			{Reason: "Unhealthy", Message: "Readiness probe failed: got CANARY"},
			{Reason: "FailedCreate", Message: `Pod "a" is invalid: spec.x: Invalid value: "CANARY"`},
			{Reason: "FailedCreate", Message: `Internal error occurred: failed calling webhook "w": CANARY`},
			{Reason: "FailedMount", Message: `MountVolume.SetUp failed for volume "v" : secret "db" not found`},
		},
	}
	s.LeaveOutAnswers()
	raw, err := json.Marshal([]any{s.Pods, s.Events})
	require.NoError(t, err)
	assert.NotContains(t, string(raw), "CANARY")
	assert.Equal(t, `secret "db" not found`, s.Pods[0].Status.ContainerStatuses[1].State.Waiting.Message)
	assert.Equal(t, "has failed", s.Pods[0].Status.Reason)
	assert.Equal(t, "Readiness probe failed", s.Events[0].Message)
	assert.Equal(t, "is not shown, because the backup is encrypted", s.Events[1].Message)
	assert.Equal(t, "failed calling webhook; the rest is not shown, because the backup is encrypted", s.Events[2].Message)
	assert.Equal(t, Symptom, refused(s.Events[2].Message).class)
	assert.Contains(t, s.Events[3].Message, "not found")
}
