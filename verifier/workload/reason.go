package workload

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// reason is why a pod is not ready.
type reason struct {
	class   Class
	message string
	final   bool
	log     *Log
}

// why reports why a pod is not ready. Whoever changes it thinks as the engineer
// does who is woken by it: is something missing in the backup, or here?
func (in Input) why(p *corev1.Pod) reason {
	switch {
	case p.DeletionTimestamp != nil:
		return reason{class: Symptom, message: "is being deleted"}
	case p.Status.Phase == corev1.PodFailed:
		return in.ended(p)
	}
	if r, found := scheduling(p); found {
		return r
	}
	if r, found := in.containers(p); found {
		return r
	}
	if r, found := in.preparing(p); found {
		return r
	}
	if p.Status.Phase == corev1.PodPending && len(p.Status.Conditions) == 0 {
		return reason{class: Environment, message: fmt.Sprintf("no scheduler has handled it (schedulerName %s)", p.Spec.SchedulerName)}
	}
	return reason{class: in.soft(p.Spec.Containers), message: fmt.Sprintf("is %s and not ready", p.Status.Phase)}
}

// soft is the class of what a program does: the backup's fault unless another
// program runs in its place.
func (in Input) soft(containers []corev1.Container) Class {
	for _, c := range containers {
		if in.StandsIn != nil && in.StandsIn(c.Image) {
			return Environment
		}
	}
	return Symptom
}

// capacity is how the reasons begin with which a kubelet rejects or ends a pod
// because the node lacks a resource.
var capacity = []string{"Evicted", "OutOf", "NodeAffinity", "NodeLost", "NodeShutdown", "Terminated", "UnexpectedAdmissionError", "Preempting", "UnsupportedPodSpec"}

// ended is about a pod that has failed for good. Its controller, if it has one,
// makes another.
func (in Input) ended(p *corev1.Pod) reason {
	final := !owned(p.ObjectMeta)
	if slices.ContainsFunc(capacity, func(c string) bool { return strings.HasPrefix(p.Status.Reason, c) }) {
		return reason{class: Environment, message: p.Status.Reason + ": " + p.Status.Message, final: final}
	}
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if t := s.State.Terminated; t != nil && t.ExitCode != 0 {
			return reason{class: in.soft(p.Spec.Containers), message: crashed(s.Name, t), final: final, log: logOf(p, s.Name, false)}
		}
	}
	return reason{class: in.soft(p.Spec.Containers), message: cmp.Or(p.Status.Message, p.Status.Reason, "has failed"), final: final}
}

func crashed(container string, t *corev1.ContainerStateTerminated) string {
	why := ""
	if t.Reason != "" && t.Reason != "Error" {
		why = " (" + t.Reason + ")"
	}
	if t.Message != "" {
		why += ": " + strings.TrimSpace(t.Message)
	}
	return fmt.Sprintf("container %s ended with exit code %d%s", container, t.ExitCode, why)
}

func logOf(p *corev1.Pod, container string, previous bool) *Log {
	return &Log{Namespace: p.Namespace, Pod: p.Name, Container: container, Previous: previous}
}

// scheduling is about a pod that has no node.
func scheduling(p *corev1.Pod) (reason, bool) {
	for _, c := range p.Status.Conditions {
		if c.Type != corev1.PodScheduled || c.Status != corev1.ConditionFalse {
			continue
		}
		switch {
		case c.Reason == corev1.PodReasonSchedulingGated:
			return reason{class: Environment, message: "waits for a scheduling gate to be lifted: " + c.Message}, true
		case strings.Contains(c.Message, "persistentvolumeclaim") && strings.Contains(c.Message, "not found"):
			return reason{class: Proof, message: "cannot be scheduled: " + c.Message, final: true}, true
		case strings.Contains(c.Message, "unbound") || strings.Contains(c.Message, "persistent volume"):
			return reason{class: Consequence, message: "cannot be scheduled: " + c.Message}, true
		}
		return reason{class: Environment, message: "it does not fit on the sandbox's node: " + c.Message, final: true}, true
	}
	return reason{}, false
}

// containers is about the first container that does not run as it should.
func (in Input) containers(p *corev1.Pod) (reason, bool) {
	specs := slices.Concat(p.Spec.InitContainers, p.Spec.Containers)
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		spec := corev1.Container{Name: s.Name}
		if i := slices.IndexFunc(specs, func(c corev1.Container) bool { return c.Name == s.Name }); i >= 0 {
			spec = specs[i]
		}
		soft := in.soft([]corev1.Container{spec})
		switch {
		case s.State.Waiting != nil && s.State.Waiting.Reason != "" && !starting(s.State.Waiting.Reason):
			return in.waiting(p, s, spec), true
		case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
			return reason{class: soft, message: crashed(s.Name, s.State.Terminated), log: logOf(p, s.Name, false)}, true
		case s.State.Running != nil && !s.Ready && !initContainer(p, s.Name):
			return in.probing(p, s, soft), true
		}
	}
	return reason{}, false
}

func initContainer(p *corev1.Pod, name string) bool {
	return slices.ContainsFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == name })
}

func starting(why string) bool { return why == "ContainerCreating" || why == "PodInitializing" }

// waiting is about a container that the kubelet cannot start.
func (in Input) waiting(p *corev1.Pod, s corev1.ContainerStatus, spec corev1.Container) reason {
	w := s.State.Waiting
	soft := in.soft([]corev1.Container{spec})
	said := fmt.Sprintf("container %s: %s: %s", s.Name, w.Reason, strings.TrimSpace(w.Message))
	switch w.Reason {
	case "InvalidImageName":
		return reason{class: Proof, message: said, final: true}
	case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed":
		return reason{class: Environment, message: fmt.Sprintf("image %s: %s", spec.Image, cmp.Or(in.Missing[spec.Image], w.Reason+": "+w.Message)), final: true}
	case "CreateContainerConfigError":
		if absent(w.Message) {
			return reason{class: Proof, message: said, final: true}
		}
		return reason{class: soft, message: said, final: true}
	case "CrashLoopBackOff":
		r := reason{class: soft, message: said, log: logOf(p, s.Name, false)}
		if t := s.LastTerminationState.Terminated; t != nil {
			r.message = crashed(s.Name, t)
		}
		r.message += fmt.Sprintf(", %d times", s.RestartCount)
		return r
	}
	return reason{class: soft, message: said} // CreateContainerError, RunContainerError, PostStartHookError
}

// absent reports whether the kubelet misses an object, or a key of one, that
// the backup should have brought.
func absent(message string) bool {
	for _, of := range []string{"configmap", "secret", "ConfigMap", "Secret"} {
		if strings.Contains(message, of) && (strings.Contains(message, "not found") || strings.Contains(message, "couldn't find key") || strings.Contains(message, "non-existent config key")) {
			return true
		}
	}
	return strings.Contains(message, "references non-existent config key") || strings.Contains(message, "references non-existent secret key")
}

// probing is about a container that runs and is not ready.
func (in Input) probing(p *corev1.Pod, s corev1.ContainerStatus, soft Class) reason {
	r := reason{class: soft, message: fmt.Sprintf("container %s runs and is not ready", s.Name)}
	if said := in.event(p.UID, "Unhealthy"); said != "" {
		r.message += ": " + said
	}
	if t := s.LastTerminationState.Terminated; t != nil {
		r.message += fmt.Sprintf("; before, %s", crashed(s.Name, t))
		r.log = logOf(p, s.Name, true)
	}
	return r
}

// preparing is about a pod on a node whose containers have not been made.
func (in Input) preparing(p *corev1.Pod) (reason, bool) {
	if said := in.event(p.UID, "FailedMount", "FailedAttachVolume", "FailedMapVolume"); said != "" {
		if absent(said) {
			return reason{class: Proof, message: said, final: true}, true
		}
		return reason{class: Environment, message: said}, true
	}
	if said := in.event(p.UID, "FailedCreatePodSandBox"); said != "" {
		return reason{class: Environment, message: "the sandbox's node could not create it: " + said}, true
	}
	return reason{}, false
}

// passing is what a message says of a refusal that may be over later, "" if that is not
// to be expected.
func passing(message string) string {
	for _, of := range []string{"failed calling webhook", "Internal error", "etcdserver"} {
		if strings.Contains(message, of) {
			return of
		}
	}
	return ""
}

// refused is about pods that the API server rejected when their controller created
// them.
func refused(message string) reason {
	r := reason{class: Proof, message: "its pods are refused: " + message, final: true}
	if passing(message) != "" {
		r.class, r.final = Symptom, false // its server may be on its way
	}
	return r
}
