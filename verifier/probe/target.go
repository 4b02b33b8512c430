package probe

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

// maxPods bounds among how many pods the ready one is looked for.
const maxPods = 500

// pick finds the container that a target means: of its first ready pod, by
// name.
func (r *runner) pick(ctx context.Context, t policy.Target, q *question) (cluster.Container, error) {
	pods, err := r.candidates(ctx, t)
	if err != nil {
		return cluster.Container{}, err
	}
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	i := slices.IndexFunc(pods, ready)
	if i < 0 {
		return cluster.Container{}, fmt.Errorf("no pod of %s is ready%s", t, states(pods))
	}
	pod := pods[i]
	q.object = "pods " + pod.Namespace + "/" + pod.Name
	name := cmp.Or(t.Container, pod.Spec.Containers[0].Name)
	if !slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == name }) {
		return cluster.Container{}, fmt.Errorf("pod %s/%s has no container %s", pod.Namespace, pod.Name, name)
	}
	return cluster.Container{Namespace: pod.Namespace, Pod: pod.Name, Name: name}, nil
}

// candidates are the pods that a target may mean.
func (r *runner) candidates(ctx context.Context, t policy.Target) ([]corev1.Pod, error) {
	if t.Pod != "" {
		it, err := r.cluster.Get(ctx, resource("", "v1", "pods", "Pod"), t.Namespace, t.Pod)
		if err != nil {
			return nil, fmt.Errorf("pod %s/%s: %w", t.Namespace, t.Pod, said(err))
		}
		pod, err := decode[corev1.Pod](it)
		return []corev1.Pod{pod}, err
	}
	selector := t.Selector
	if t.Workload != "" {
		var err error
		if selector, err = r.selectorOf(ctx, t); err != nil {
			return nil, err
		}
	}
	return list[corev1.Pod](ctx, r.cluster, resource("", "v1", "pods", "Pod"), t.Namespace, selector)
}

// selectorOf is the selector of a workload's pods.
func (r *runner) selectorOf(ctx context.Context, t policy.Target) (string, error) {
	res, name := t.Resource()
	it, err := r.cluster.Get(ctx, res, t.Namespace, name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", t, said(err))
	}
	workload, err := decode[struct {
		Spec struct {
			Selector *metav1.LabelSelector `json:"selector"`
		} `json:"spec"`
	}](it)
	if err != nil {
		return "", err
	}
	s, err := metav1.LabelSelectorAsSelector(workload.Spec.Selector)
	if err != nil || s.Empty() {
		return "", fmt.Errorf("%s has no selector that selects pods", it.Key)
	}
	return s.String(), nil
}

func ready(p corev1.Pod) bool {
	return p.DeletionTimestamp == nil && len(p.Spec.Containers) > 0 && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// mostStates is how many pods a message describes.
const mostStates = 3

// states reports why pods are not ready.
func states(pods []corev1.Pod) string {
	if len(pods) == 0 {
		return ": no pod matches"
	}
	var out []string
	for _, p := range pods[:min(len(pods), mostStates)] {
		out = append(out, p.Name+" is "+state(p))
	}
	return ": " + strings.Join(out, ", ")
}

// state is the reason why a pod does not run, or its phase.
func state(p corev1.Pod) string {
	if w := waiting(p); w != nil {
		return strings.TrimSuffix(w.Reason+": "+excerpt(w.Message), ": ")
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Reason + ": " + excerpt(c.Message)
		}
	}
	if p.DeletionTimestamp != nil {
		return "being deleted"
	}
	return cmp.Or(string(p.Status.Phase), "not started")
}

// waiting is the state of the first container that cannot start.
func waiting(p corev1.Pod) *corev1.ContainerStateWaiting {
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if w := c.State.Waiting; w != nil && w.Reason != "" && w.Reason != "PodInitializing" && w.Reason != "ContainerCreating" {
			return w
		}
	}
	return nil
}

func decode[T any](it item.Item) (T, error) {
	var v T
	if err := json.Unmarshal(it.Raw, &v); err != nil {
		return v, fmt.Errorf("%s: %w", it.Key, err)
	}
	return v, nil
}

// list reads at most maxPods objects.
func list[T any](ctx context.Context, c *cluster.Client, res item.Resource, namespace, selector string) ([]T, error) {
	var out []T
	for it, err := range c.List(ctx, res, cluster.ListOptions{Namespace: namespace, LabelSelector: selector, PageSize: maxPods}, &cluster.ListInfo{}) {
		if err != nil {
			return nil, said(err)
		}
		v, err := decode[T](it)
		if err != nil {
			return nil, err
		}
		if out = append(out, v); len(out) == maxPods {
			break
		}
	}
	return out, nil
}
