package workload

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// steady is how long a container has to run after its last end to be believed.
const steady = 10 * time.Second

// Decide reports what is wrong, or not ready yet.
func Decide(in Input) Decision {
	d := decider{Input: in, asked: map[string]int{}}
	d.groups = in.workloads()
	d.ready()
	d.services()
	d.claims()
	d.webhooks()
	d.apiServices()
	d.definitions()
	return Decision{Problems: d.problems, Asked: d.asked, Idle: d.idle}
}

type decider struct {
	Input
	groups   []group // the restored workloads
	problems []Problem
	asked    map[string]int
	called   []Endpoint // by restored webhooks
	idle     int
}

func (d *decider) add(check string, object item.Key, r reason) {
	d.problems = append(d.problems, Problem{Check: check, Object: object, Class: r.class, Message: r.message, Final: r.final, Log: r.log})
}

func (d *decider) ready() {
	for _, g := range d.groups {
		d.asked[CheckWorkloads]++
		if g.wants == 0 && g.key.Resource == "daemonsets" {
			d.idle++
		}
		if !g.ready {
			d.add(CheckWorkloads, g.key, d.whyGroup(g))
		} else if r, did := d.restarted(g); did {
			d.add(CheckWorkloads, g.key, r)
		}
	}
}

// restarted finds a container that ended a moment ago: what counts as ready
// between two crashes is not.
func (d *decider) restarted(g group) (reason, bool) {
	for _, p := range d.pods(g) {
		for _, s := range p.Status.ContainerStatuses {
			t := s.LastTerminationState.Terminated
			if s.State.Running == nil || t == nil || d.Now.Sub(t.FinishedAt.Time) >= steady {
				continue
			}
			message := fmt.Sprintf("%s, and runs again; %d restarts", crashed(s.Name, t), s.RestartCount)
			return named(g, p, reason{class: d.soft(p.Spec.Containers), message: message, log: logOf(p, s.Name, true)}), true
		}
	}
	return reason{}, false
}

// whyGroup returns why a workload is not ready: the heaviest reason of its pods, or
// why it has no pods.
func (d *decider) whyGroup(g group) reason {
	if g.key.Resource == "jobs" {
		return d.whyJob(g)
	}
	var all []reason
	pods := d.pods(g)
	for _, p := range pods {
		if p.Status.Phase != corev1.PodSucceeded && !podReady(p) {
			all = append(all, named(g, p, d.why(p)))
		}
	}
	if g.refused != "" && int32(len(pods)) < g.wants {
		all = append(all, refused(g.refused))
	}
	if len(all) > 0 {
		return heaviest(all)
	}
	if g.waits != "" {
		return reason{class: Symptom, message: g.waits}
	}
	return reason{class: Symptom, message: fmt.Sprintf("%d of the %d desired pods exist, and not all are ready", len(pods), g.wants)}
}

// named reports which pod of a workload it is about.
func named(g group, p *corev1.Pod, r reason) reason {
	if g.selector != nil {
		r.message = "pod " + p.Name + ": " + r.message
	}
	return r
}

// heaviest returns the reason that explains most. A workload is settled when all
// of its reasons are.
func heaviest(all []reason) reason {
	top := slices.MaxFunc(all, func(a, b reason) int { return int(a.class) - int(b.class) })
	top.final = !slices.ContainsFunc(all, func(r reason) bool { return !r.final })
	return top
}

// whyJob returns why a Job is not complete; a running Job is in progress.
func (d *decider) whyJob(g group) reason {
	pods := d.pods(g)
	if said := d.failedJob(g.uid); said != "" {
		r := reason{class: Symptom, message: "has failed: " + said, final: true}
		for _, p := range pods {
			if p.Status.Phase != corev1.PodFailed {
				continue
			}
			why := d.why(p)
			r.class, r.log, r.message = why.class, why.log, r.message+"; pod "+p.Name+": "+why.message
			break
		}
		return r
	}
	var all []reason
	for _, p := range pods {
		if p.Status.Phase != corev1.PodSucceeded && !podReady(p) {
			all = append(all, named(g, p, d.why(p)))
		}
	}
	switch {
	case len(all) > 0:
		return heaviest(all)
	case g.refused != "" && len(pods) == 0:
		return refused(g.refused)
	case len(pods) == 0:
		return reason{class: Symptom, message: "has created no pod"}
	}
	return reason{class: Running, message: "still runs"}
}

// behind are the restored workloads whose pods a Service selects.
func (d *decider) behind(namespace string, selector map[string]string) []group {
	if len(selector) == 0 {
		return nil
	}
	match := labels.SelectorFromSet(selector)
	var out []group
	for _, g := range d.groups {
		if g.key.Namespace == namespace && g.serves && g.wants > 0 && match.Matches(g.labels) {
			out = append(out, g)
		}
	}
	return out
}

func (d *decider) services() {
	for _, s := range d.Services {
		k := key("", "services", s.ObjectMeta)
		if !d.Restored[k] || s.Spec.Type == corev1.ServiceTypeExternalName {
			continue
		}
		groups := d.behind(s.Namespace, s.Spec.Selector)
		if len(groups) == 0 {
			continue // whoever it is for was not running, or is outside of the backup
		}
		d.asked[CheckServices]++
		if !d.hasEndpoint(s.Namespace, s.Name) {
			d.add(CheckServices, k, noEndpoint(groups))
		}
	}
}

// noEndpoint is why a Service has no endpoint although it selects pods of
// these workloads.
func noEndpoint(groups []group) reason {
	for _, g := range groups {
		if g.ready {
			return reason{class: Symptom, message: fmt.Sprintf("has no ready endpoint, although %s is ready", g.key)}
		}
	}
	return reason{class: Consequence, message: fmt.Sprintf("has no ready endpoint, because %s is not ready", groups[0].key), final: true}
}

func (d *decider) hasEndpoint(namespace, service string) bool {
	for _, s := range d.Slices {
		if s.Namespace != namespace || s.Labels["kubernetes.io/service-name"] != service {
			continue
		}
		for _, e := range s.Endpoints {
			if len(e.Addresses) > 0 && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
				return true
			}
		}
	}
	return false
}

func (d *decider) claims() {
	for _, c := range d.Claims {
		k := key("", "persistentvolumeclaims", c.ObjectMeta)
		if !d.Restored[k] {
			continue
		}
		d.asked[CheckClaims]++
		switch {
		case c.Status.Phase == corev1.ClaimBound:
		case IsBlock(c):
			d.add(CheckClaims, k, reason{class: Environment, message: "asks for a raw block device, which this level cannot hold", final: true})
		default:
			said := "no volume was bound to it"
			if why := cmp.Or(d.Refused[c.UID], d.event(c.UID, "ProvisioningFailed", "FailedBinding", "VolumeMismatch")); why != "" {
				said += ": " + why
			}
			d.add(CheckClaims, k, reason{class: Environment, message: said})
		}
	}
	d.claimsOfSets()
}

// IsBlock reports whether a claim asks for a raw block device.
func IsBlock(c corev1.PersistentVolumeClaim) bool {
	return c.Spec.VolumeMode != nil && *c.Spec.VolumeMode == corev1.PersistentVolumeBlock
}

// claimsOfSets finds claims that a StatefulSet should have brought from the
// backup: without them its controller makes new ones, and no one notices that
// the data is gone.
func (d *decider) claimsOfSets() {
	for _, s := range d.StatefulSets {
		if !d.Restored[key(apps, "statefulsets", s.ObjectMeta)] {
			continue
		}
		first := int32(0)
		if s.Spec.Ordinals != nil {
			first = s.Spec.Ordinals.Start
		}
		for _, t := range s.Spec.VolumeClaimTemplates {
			for i := range orOne(s.Spec.Replicas) {
				k := item.Key{Resource: "persistentvolumeclaims", Namespace: s.Namespace, Name: fmt.Sprintf("%s-%s-%d", t.Name, s.Name, first+i)}
				if !d.Restored[k] {
					d.add(CheckClaims, k, reason{class: Proof, message: "is not in the backup; StatefulSet " + s.Name + " got a new, empty one", final: true})
				}
			}
		}
	}
}

const admission = "admissionregistration.k8s.io"

func (d *decider) webhooks() {
	for _, c := range d.Validating {
		for _, w := range c.Webhooks {
			if s := w.ClientConfig.Service; s != nil {
				d.webhook(key(admission, "validatingwebhookconfigurations", c.ObjectMeta), w.Name, ServiceRef{s.Namespace, s.Name, s.Port})
			}
		}
	}
	for _, c := range d.Mutating {
		for _, w := range c.Webhooks {
			if s := w.ClientConfig.Service; s != nil {
				d.webhook(key(admission, "mutatingwebhookconfigurations", c.ObjectMeta), w.Name, ServiceRef{s.Namespace, s.Name, s.Port})
			}
		}
	}
	for _, c := range d.Definitions {
		if s := c.conversion(); s != nil {
			d.webhook(key("apiextensions.k8s.io", "customresourcedefinitions", c.ObjectMeta), "its conversion webhook", *s)
		}
	}
}

// webhook checks whether a webhook has a server.
func (d *decider) webhook(k item.Key, name string, s ServiceRef) {
	if !d.Restored[k] {
		return
	}
	d.asked[CheckWebhooks]++
	d.called = append(d.called, s.endpoint())
	if r, bad := d.server(s); bad {
		r.message = name + ": " + r.message
		d.add(CheckWebhooks, k, r)
	}
}

// server reports why there is no server behind a reference to a Service.
func (d *decider) server(ref ServiceRef) (reason, bool) {
	i := slices.IndexFunc(d.Services, func(s corev1.Service) bool { return s.Namespace == ref.Namespace && s.Name == ref.Name })
	name := ref.Namespace + "/" + ref.Name
	if i < 0 {
		return reason{class: Proof, message: "its Service " + name + " is not in the backup", final: true}, true
	}
	groups := d.behind(ref.Namespace, d.Services[i].Spec.Selector)
	switch answer := d.Answers[ref.endpoint()]; {
	case len(groups) == 0:
		return reason{class: Proof, message: "no workload of the backup is behind its Service " + name, final: true}, true
	case !d.hasEndpoint(ref.Namespace, ref.Name):
		r := noEndpoint(groups)
		r.message = "its Service " + name + " " + r.message
		return r, true
	case answer != "":
		return reason{class: Symptom, message: "its Service " + name + " does not answer: " + answer}, true
	}
	return reason{}, false
}

func (d *decider) apiServices() {
	for _, a := range d.APIServices {
		k := key("apiregistration.k8s.io", "apiservices", a.ObjectMeta)
		if !d.Restored[k] || a.Spec.Service == nil {
			continue
		}
		d.asked[CheckAPIServices]++
		available := condition(a.Status.Conditions, "Available")
		if available.Status == metav1.ConditionTrue {
			continue
		}
		r, bad := d.server(*a.Spec.Service)
		if !bad {
			r = reason{class: Symptom, message: "is not available: " + said(available)}
		}
		d.add(CheckAPIServices, k, r)
	}
}

func said(c metav1.Condition) string {
	if c.Type == "" {
		return "it has no status yet"
	}
	return strings.TrimSpace(c.Reason + ": " + c.Message)
}

func (d *decider) definitions() {
	for _, c := range d.Definitions {
		k := key("apiextensions.k8s.io", "customresourcedefinitions", c.ObjectMeta)
		if !d.Restored[k] {
			continue
		}
		d.asked[CheckDefinitions]++
		established, names := condition(c.Status.Conditions, "Established"), condition(c.Status.Conditions, "NamesAccepted")
		switch {
		case established.Status == metav1.ConditionTrue:
		case names.Status == metav1.ConditionFalse:
			d.add(CheckDefinitions, k, reason{class: Proof, message: "its names are taken: " + names.Message, final: true})
		default:
			d.add(CheckDefinitions, k, reason{class: Symptom, message: "is not established: " + said(established)})
		}
	}
}
