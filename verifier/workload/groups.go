package workload

import (
	"cmp"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

const apps = "apps"

func sortEvents(all []corev1.Event) {
	at := func(e corev1.Event) int64 {
		return max(e.LastTimestamp.UnixNano(), e.EventTime.UnixNano(), e.CreationTimestamp.UnixNano())
	}
	slices.SortStableFunc(all, func(a, b corev1.Event) int { return cmp.Compare(at(b), at(a)) })
}

// workloads are those restored, with what they want and have.
func (in Input) workloads() []group {
	var out []group
	for _, d := range in.Deployments {
		out = append(out, in.deployment(d))
	}
	for _, s := range in.StatefulSets {
		out = append(out, in.statefulSet(s))
	}
	for _, d := range in.DaemonSets {
		out = append(out, in.daemonSet(d))
	}
	for _, r := range in.ReplicaSets {
		if !owned(r.ObjectMeta) {
			wants := orOne(r.Spec.Replicas)
			out = append(out, in.controller(group{
				key: key(apps, "replicasets", r.ObjectMeta), uid: r.UID, wants: wants, labels: r.Spec.Template.Labels, selector: selectorOf(r.Spec.Selector),
				ready: r.Status.ObservedGeneration >= r.Generation && r.Status.ReadyReplicas >= wants,
			}))
		}
	}
	for _, r := range in.Controllers {
		g := group{key: key("", "replicationcontrollers", r.ObjectMeta), uid: r.UID, wants: orOne(r.Spec.Replicas), selector: labels.SelectorFromSet(r.Spec.Selector)}
		if r.Spec.Template != nil {
			g.labels = r.Spec.Template.Labels
		}
		g.ready = r.Status.ObservedGeneration >= r.Generation && r.Status.ReadyReplicas >= g.wants
		out = append(out, in.controller(g))
	}
	for _, j := range in.Jobs {
		out = append(out, in.job(j))
	}
	for _, p := range in.Pods {
		if !owned(p.ObjectMeta) {
			out = append(out, group{
				key: key("", "pods", p.ObjectMeta), uid: p.UID, wants: 1, labels: p.Labels,
				ready: podReady(&p) || p.Status.Phase == corev1.PodSucceeded, serves: p.Status.Phase != corev1.PodSucceeded,
			})
		}
	}
	return slices.DeleteFunc(out, func(g group) bool { return !in.Restored[g.key] })
}

func (in Input) controller(g group) group {
	g.serves, g.refused = true, in.refusal(g.uid)
	return g
}

func (in Input) deployment(d appsv1.Deployment) group {
	wants := orOne(d.Spec.Replicas)
	g := group{key: key(apps, "deployments", d.ObjectMeta), uid: d.UID, wants: wants, labels: d.Spec.Template.Labels, selector: selectorOf(d.Spec.Selector), serves: true}
	s := d.Status
	g.ready = s.ObservedGeneration >= d.Generation && s.AvailableReplicas >= wants && (s.UpdatedReplicas >= wants || d.Spec.Paused)
	if d.Spec.MinReadySeconds > 0 && s.ReadyReplicas >= wants {
		g.waits = fmt.Sprintf("its pods are ready, but not yet for the %d s that minReadySeconds requires", d.Spec.MinReadySeconds)
	}
	for _, r := range in.ReplicaSets {
		if owner := metav1.GetControllerOf(&r.ObjectMeta); owner != nil && owner.UID == d.UID && g.refused == "" {
			g.refused = in.refusal(r.UID)
		}
	}
	return g
}

func (in Input) statefulSet(s appsv1.StatefulSet) group {
	wants := orOne(s.Spec.Replicas)
	return in.controller(group{
		key: key(apps, "statefulsets", s.ObjectMeta), uid: s.UID, wants: wants, labels: s.Spec.Template.Labels, selector: selectorOf(s.Spec.Selector),
		ready: s.Status.ObservedGeneration >= s.Generation && s.Status.ReadyReplicas >= wants,
	})
}

func (in Input) daemonSet(d appsv1.DaemonSet) group {
	wants := d.Status.DesiredNumberScheduled
	seen := d.Status.ObservedGeneration >= d.Generation
	if !seen {
		wants = 1 // it has not been looked at
	}
	return in.controller(group{
		key: key(apps, "daemonsets", d.ObjectMeta), uid: d.UID, wants: wants, labels: d.Spec.Template.Labels, selector: selectorOf(d.Spec.Selector),
		ready: seen && d.Status.NumberReady >= wants,
	})
}

// job is ready when it is complete, or wants nothing because it is suspended.
func (in Input) job(j batchv1.Job) group {
	g := group{key: key("batch", "jobs", j.ObjectMeta), uid: j.UID, wants: 1, labels: j.Spec.Template.Labels, selector: selectorOf(j.Spec.Selector), refused: in.refusal(j.UID)}
	if j.Spec.Suspend != nil && *j.Spec.Suspend {
		g.wants, g.ready = 0, true
	}
	for _, c := range j.Status.Conditions {
		if c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue {
			g.ready = true
		}
	}
	return g
}

// failedJob reports why a Job has ended badly, "" when it has not.
func (in Input) failedJob(uid types.UID) string {
	for _, j := range in.Jobs {
		for _, c := range j.Status.Conditions {
			if j.UID == uid && c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue {
				return c.Reason + ": " + c.Message
			}
		}
	}
	return ""
}

func podReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// pods are those of a group: of a bare pod, itself.
func (in Input) pods(g group) []*corev1.Pod {
	var out []*corev1.Pod
	for i := range in.Pods {
		p := &in.Pods[i]
		switch {
		case p.Namespace != g.key.Namespace:
		case g.selector == nil && p.UID == g.uid, g.selector != nil && owned(p.ObjectMeta) && g.selector.Matches(labels.Set(p.Labels)):
			out = append(out, p)
		}
	}
	return out
}
