package probe

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

const (
	// jobPoll is the time between two looks at a Job.
	jobPoll = 300 * time.Millisecond
	// jobRemoval bounds the removal of a Job, which happens also when the time of
	// its check is over.
	jobRemoval = 10 * time.Second
	// longestPrefix leaves room for what the API server appends to generateName,
	// and the Job controller to that.
	longestPrefix = 40
)

// job runs the Job under a name of its own and removes it afterwards.
func (r *runner) job(ctx context.Context, check string, j policy.Job, q *question) (answer, error) {
	res := resource("batch", "v1", "jobs", "Job")
	object, namespace, err := prepared(check, j)
	if err != nil {
		return answer{}, err
	}
	began := r.Now()
	raw, err := r.cluster.Create(ctx, res, namespace, object, cluster.StrictFields())
	if err != nil {
		return answer{}, fmt.Errorf("create the Job in namespace %s: %w", namespace, said(err))
	}
	var created batchv1.Job
	if err := json.Unmarshal(raw, &created); err != nil {
		return answer{}, fmt.Errorf("create the Job in namespace %s: %w", namespace, err)
	}
	q.object = "jobs.batch " + created.Namespace + "/" + created.Name
	a, err := r.await(ctx, created, q)
	a.took = r.Now().Sub(began)
	if removeErr := r.remove(ctx, res, created); removeErr != nil {
		a.note = "its Job " + created.Name + " could not be removed: " + removeErr.Error()
	}
	return a, err
}

// prepared is the Job as it is created: under a generated name, so that it
// meets neither a restored one nor that of an earlier attempt, and, unless it
// says otherwise, with one pod per attempt.
func prepared(check string, j policy.Job) (object []byte, namespace string, err error) {
	job, err := j.Object()
	if err != nil {
		return nil, "", err
	}
	prefix := cmp.Or(job.Name, strings.TrimSuffix(job.GenerateName, "-"), check)
	job.Name, job.GenerateName = "", strings.TrimRight(prefix[:min(len(prefix), longestPrefix)], "-.")+"-"
	if job.Spec.BackoffLimit == nil {
		none := int32(0)
		job.Spec.BackoffLimit = &none
	}
	text, err := json.Marshal(job)
	return text, job.Namespace, err
}

// await waits until the Job has ended, or cannot begin.
func (r *runner) await(ctx context.Context, job batchv1.Job, q *question) (answer, error) {
	q.held = "the Job has no pod"
	for {
		ended, err := r.jobEnded(ctx, job)
		if err != nil && !over(err) {
			return answer{}, err
		}
		pod, err := r.jobPod(ctx, job)
		switch {
		case err != nil && !over(err):
			return answer{}, err
		case pod != nil:
			if w := waiting(*pod); w != nil && w.Reason != "CrashLoopBackOff" {
				return answer{}, fmt.Errorf("the pod of the Job cannot start: %s: %s", w.Reason, excerpt(w.Message))
			}
			q.held = "the pod of the Job is " + state(*pod)
			q.put = q.put || started(*pod)
		}
		if ended != "" {
			return r.jobAnswer(ctx, pod, ended)
		}
		if !cluster.Sleep(ctx, jobPoll) {
			return answer{}, ctx.Err()
		}
	}
}

// jobEnded is how a Job has ended, "" while it has not.
func (r *runner) jobEnded(ctx context.Context, job batchv1.Job) (string, error) {
	it, err := r.cluster.Get(ctx, resource("batch", "v1", "jobs", "Job"), job.Namespace, job.Name)
	if err != nil {
		return "", fmt.Errorf("the Job: %w", said(err))
	}
	now, err := decode[batchv1.Job](it)
	if err != nil {
		return "", err
	}
	for _, c := range now.Status.Conditions {
		if c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			return strings.TrimSuffix(strings.TrimSpace(string(c.Type)+" "+c.Reason+": "+c.Message), ":"), nil
		}
	}
	return "", nil
}

// jobPod is the newest pod of a Job, nil while it has none.
func (r *runner) jobPod(ctx context.Context, job batchv1.Job) (*corev1.Pod, error) {
	pods, err := list[corev1.Pod](ctx, r.cluster, resource("", "v1", "pods", "Pod"), job.Namespace, batchv1.ControllerUidLabel+"="+string(job.UID))
	if err != nil || len(pods) == 0 {
		return nil, err
	}
	newest := slices.MaxFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return &newest, nil
}

// started reports whether a container of the pod has run.
func started(p corev1.Pod) bool {
	return slices.ContainsFunc(slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses), func(c corev1.ContainerStatus) bool {
		return c.State.Running != nil || c.State.Terminated != nil
	})
}

// jobAnswer is the exit code and the log of the pod's first container.
func (r *runner) jobAnswer(ctx context.Context, pod *corev1.Pod, ended string) (answer, error) {
	if pod == nil {
		return answer{}, fmt.Errorf("the Job has ended (%s) without a pod", ended)
	}
	first := pod.Spec.Containers[0].Name
	i := slices.IndexFunc(pod.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.Name == first && c.State.Terminated != nil })
	if i < 0 {
		return answer{silence: "the Job has ended before its container " + first + ": " + excerpt(ended)}, nil
	}
	log, err := r.cluster.Logs(ctx, cluster.Container{Namespace: pod.Namespace, Pod: pod.Name, Name: first}, cluster.LogOptions{Limit: maxAnswer})
	if err != nil {
		return answer{}, fmt.Errorf("the log of pod %s/%s: %w", pod.Namespace, pod.Name, said(err))
	}
	return answer{exitCode: int(pod.Status.ContainerStatuses[i].State.Terminated.ExitCode), output: string(log), cut: len(log) == maxAnswer}, nil
}

// remove deletes the Job and lets its pods go with it.
func (r *runner) remove(ctx context.Context, res item.Resource, job batchv1.Job) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), jobRemoval)
	defer cancel()
	pods := metav1.DeletePropagationBackground
	return r.cluster.Delete(ctx, res, job.Namespace, job.Name, metav1.DeleteOptions{PropagationPolicy: &pods})
}
