package workload

import (
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// State is what the sandbox has, as of one look at it.
type State struct {
	Deployments  []appsv1.Deployment
	StatefulSets []appsv1.StatefulSet
	DaemonSets   []appsv1.DaemonSet
	ReplicaSets  []appsv1.ReplicaSet
	Controllers  []corev1.ReplicationController
	Jobs         []batchv1.Job
	Pods         []corev1.Pod
	Claims       []corev1.PersistentVolumeClaim
	Services     []corev1.Service
	Slices       []discoveryv1.EndpointSlice
	Validating   []admissionv1.ValidatingWebhookConfiguration
	Mutating     []admissionv1.MutatingWebhookConfiguration
	APIServices  []Conditioned
	Definitions  []Conditioned
	Events       []corev1.Event
	// Answers holds, per webhook's Service and port, what calling it gave: ""
	// when it answered.
	Answers map[Endpoint]string
}

// Conditioned is as much of an APIService or a custom resource definition as
// is looked at.
type Conditioned struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Service    *ServiceRef `json:"service"`
		Conversion *struct {
			Webhook *struct {
				ClientConfig *struct {
					Service *ServiceRef `json:"service"`
				} `json:"clientConfig"`
			} `json:"webhook"`
		} `json:"conversion"`
	} `json:"spec"`
	Status struct {
		Conditions []metav1.Condition `json:"conditions"`
	} `json:"status"`
}

// ServiceRef names the Service behind a webhook or an API; the port is 443 if none
// is set.
type ServiceRef struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Port      *int32 `json:"port"`
}

// Endpoint is a port of a Service.
type Endpoint struct {
	Namespace, Service string
	Port               int32
}

func (r ServiceRef) endpoint() Endpoint {
	e := Endpoint{r.Namespace, r.Name, 443}
	if r.Port != nil {
		e.Port = *r.Port
	}
	return e
}

func (c Conditioned) conversion() *ServiceRef {
	if w := c.Spec.Conversion; w != nil && w.Webhook != nil && w.Webhook.ClientConfig != nil {
		return w.Webhook.ClientConfig.Service
	}
	return nil
}

// condition is the one of a type, the zero one when it is not there.
func condition(all []metav1.Condition, kind string) metav1.Condition {
	for _, c := range all {
		if c.Type == kind {
			return c
		}
	}
	return metav1.Condition{}
}

// Input is what Decide looks at.
type Input struct {
	State
	Now time.Time // when the state was read
	// Restored are the objects that were restored, or that the sandbox already had
	// as in the backup. No others are checked.
	Restored map[item.Key]bool
	// Missing are the images that are not available, with the reasons.
	Missing map[string]string
	// Refused holds for claims why the API server rejected their volumes.
	Refused map[types.UID]string
	// StandsIn reports for an image of the backup whether a substitute runs in its
	// place: the behavior of the substitute means nothing for the backup.
	StandsIn func(image string) bool
}

// group is a set of pods that something restored wants to run.
type group struct {
	key      item.Key
	uid      types.UID
	wants    int32
	ready    bool
	labels   labels.Set // of its pods
	selector labels.Selector
	refused  string // why its controller could not create pods
	serves   bool   // it goes on running, so Services may select it
	// waits is what a group waits for that is not ready although none of its pods
	// shows why.
	waits string
}

func key(group, resource string, m metav1.ObjectMeta) item.Key {
	return item.Key{Group: group, Resource: resource, Namespace: m.Namespace, Name: m.Name}
}

func selectorOf(s *metav1.LabelSelector) labels.Selector {
	out, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return labels.Nothing() // no API server holds such a one
	}
	return out
}

func orOne(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// owned reports whether something looks after an object.
func owned(m metav1.ObjectMeta) bool { return metav1.GetControllerOf(&m) != nil }

// events are the messages of the warnings about an object with one of the
// reasons, the latest first.
func (s State) events(uid types.UID, reasons ...string) []corev1.Event {
	var out []corev1.Event
	for _, e := range s.Events {
		if e.InvolvedObject.UID != uid || e.Type != corev1.EventTypeWarning {
			continue
		}
		for _, r := range reasons {
			if e.Reason == r {
				out = append(out, e)
			}
		}
	}
	sortEvents(out)
	return out
}

// event is the message of the latest such event, "" for none.
func (s State) event(uid types.UID, reasons ...string) string {
	if all := s.events(uid, reasons...); len(all) > 0 {
		return strings.TrimSpace(all[0].Message)
	}
	return ""
}

// refusal is why a controller could not make pods, "" when it could.
func (s State) refusal(uid types.UID) string { return s.event(uid, "FailedCreate") }

// LeaveOutAnswers removes the texts in which programs of the backup, and an API server
// that rejects their pods, may repeat what the backup holds. What is missing is kept:
// it is a name.
func (s *State) LeaveOutAnswers() {
	for i := range s.Pods {
		status := &s.Pods[i].Status
		if status.Message = ""; status.Reason == "" && status.Phase == corev1.PodFailed {
			status.Reason = "has failed"
		}
		for _, containers := range [][]corev1.ContainerStatus{status.InitContainerStatuses, status.ContainerStatuses} {
			for j := range containers {
				leaveOut(&containers[j].State)
				leaveOut(&containers[j].LastTerminationState)
			}
		}
	}
	for i := range s.Events {
		e := &s.Events[i]
		switch {
		case absent(e.Message):
		case e.Reason == "Unhealthy":
			e.Message, _, _ = strings.Cut(e.Message, ":") // "Readiness probe failed"
		case e.Reason == "FailedCreate":
			e.Message = strings.TrimPrefix(passing(e.Message)+"; the rest is not shown, because the backup is encrypted", "; the rest ")
		}
	}
}

func leaveOut(s *corev1.ContainerState) {
	if s.Terminated != nil {
		s.Terminated.Message = ""
	}
	if s.Waiting != nil && !absent(s.Waiting.Message) {
		s.Waiting.Message = ""
	}
}
