package filter

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// namesakes are resources of a cluster in which several groups use the same names,
// in the order of its discovery.
var namesakes = []item.Resource{
	{Name: "events", Singular: "event", Kind: "Event", ShortNames: []string{"ev"}, Version: "v1", Namespaced: true},
	{Name: "pods", Singular: "pod", Kind: "Pod", ShortNames: []string{"po"}, Version: "v1", Namespaced: true},
	{Name: "secrets", Singular: "secret", Kind: "Secret", Version: "v1", Namespaced: true},
	{Name: "services", Singular: "service", Kind: "Service", ShortNames: []string{"svc"}, Version: "v1", Namespaced: true},
	{Name: "namespaces", Singular: "namespace", Kind: "Namespace", ShortNames: []string{"ns"}, Version: "v1"},
	deployments,
	{Group: "events.k8s.io", Name: "events", Singular: "event", Kind: "Event", ShortNames: []string{"ev"}, Version: "v1", Namespaced: true, Preference: 2},
	{Group: "networking.k8s.io", Name: "ingresses", Singular: "ingress", Kind: "Ingress", ShortNames: []string{"ing"}, Version: "v1", Namespaced: true, Preference: 3},
	{Group: "cert-manager.io", Name: "secrets", Singular: "secret", Kind: "Secret", Version: "v1", Namespaced: true, Preference: 4},
	{Group: "metrics.k8s.io", Name: "pods", Singular: "", Kind: "PodMetrics", Version: "v1beta1", Namespaced: true, Preference: 9},
	{Group: "extensions", Name: "ingresses", Singular: "ingress", Kind: "Ingress", ShortNames: []string{"ing"}, Version: "v1beta1", Namespaced: true, Preference: 7},
	{Group: "serving.knative.dev", Name: "services", Singular: "service", Kind: "Service", ShortNames: []string{"kservice", "ksvc"}, Version: "v1", Namespaced: true, Preference: 6},
	{Group: "a.example.com", Name: "widgets", Singular: "widget", Kind: "Widget", ShortNames: []string{"deployment", "w"}, Version: "v1", Namespaced: true, Preference: 8},
	{Group: "b.example.com", Name: "gadgets", Singular: "gadget", Kind: "Widget", ShortNames: []string{"w"}, Version: "v1", Namespaced: true, Preference: 5},
}

func namesOf(resources []item.Resource) (out []string) {
	for _, r := range resources {
		out = append(out, r.GroupResource())
	}
	return out
}

func TestANameMeansWhatKubectlMeansByIt(t *testing.T) {
	for name, want := range map[string][]string{
		"pods": {"pods"}, "pod": {"pods"}, "po": {"pods"}, "Pod": {"pods"}, "PODS": {"pods"}, "pods.": {"pods"}, "pods.v1.": {"pods"},
		"pods.metrics.k8s.io": {"pods.metrics.k8s.io"}, "podmetrics": {"pods.metrics.k8s.io"}, "pods.v1beta1.metrics.k8s.io": {"pods.metrics.k8s.io"},
		"events": {"events"}, "ev": {"events"}, "events.events.k8s.io": {"events.events.k8s.io"}, "Event.events.k8s.io": {"events.events.k8s.io"},
		"secrets": {"secrets"}, "secrets.cert-manager.io": {"secrets.cert-manager.io"}, "secret.v1.cert-manager.io": {"secrets.cert-manager.io"},
		"services": {"services"}, "svc": {"services"}, "ksvc": {"services.serving.knative.dev"}, "service.serving.knative.dev": {"services.serving.knative.dev"},
		"ingresses": {"ingresses.networking.k8s.io"}, "ing": {"ingresses.networking.k8s.io"}, "ingresses.extensions": {"ingresses.extensions"},
		"ingresses.networking": {"ingresses.networking.k8s.io"}, // as kubectl completes groups
		"ingresses.net":        {"ingresses.networking.k8s.io"},
		"deployments":          {"deployments.apps"}, "deploy.apps": {"deployments.apps"}, "deployments.v1.apps": {"deployments.apps"}, "Deployment.apps": {"deployments.apps"},
		"deployment": {"deployments.apps"}, // a singular, before the short name of another resource
		"w":          {"gadgets.b.example.com"}, "widget": {"widgets.a.example.com"}, "widget.b.example.com": {"gadgets.b.example.com"},
		"*.apps": {"deployments.apps"}, "*.metrics.k8s.io": {"pods.metrics.k8s.io"},
		"deploy*": {"deployments.apps"}, "*spaces": {"namespaces"}, "pod?": {"pods"}, "po*": {"pods", "pods.metrics.k8s.io"}, "[gw]*s.?.example.com": {"widgets.a.example.com", "gadgets.b.example.com"},
		"": nil, "dep": nil, "pods.apps": nil, "deployments.v1": nil, "deployments.apps.v1": nil, ".apps": nil, "*.": nil, "*.example": nil, "x*": nil, "pods.v1": nil, "pods.foo.v1": nil,
	} {
		assert.Equal(t, want, namesOf(Resolve(name, namesakes)), name)
	}
	assert.Len(t, Resolve("*", namesakes), len(namesakes))
}

func TestANamesakeOfAnotherGroupIsNeitherIncludedNorExcluded(t *testing.T) {
	names := []string{"events", "pods", "secrets", "services", "ingresses"}
	for _, f := range []Filter{{IncludedResources: names}, {ExcludedResources: names}, {IncludedNamespaceScopedResources: names}, {ExcludedNamespaceScopedResources: names}} {
		resolved, unknown := f.Resolved(namesakes)
		assert.Empty(t, unknown)
		included := len(f.ExcludedResources)+len(f.ExcludedNamespaceScopedResources) == 0
		for _, meant := range []string{"events", "pods", "secrets", "services", "ingresses.networking.k8s.io"} {
			r := Resolve(meant, namesakes)[0]
			assert.Equal(t, included, resolved.Resource(r) == Selected, meant)
		}
		for _, other := range []string{"events.events.k8s.io", "pods.metrics.k8s.io", "secrets.cert-manager.io", "services.serving.knative.dev", "ingresses.extensions"} {
			r := Resolve(other, namesakes)[0]
			assert.Equal(t, !included, resolved.Resource(r) == Selected, other)
		}
	}
}

func TestUnknownNamesAreListedAndMeanNothing(t *testing.T) {
	f := Filter{IncludedResources: []string{"deploy", "gizmos", "*.apps", "deployment"}, ExcludedResources: []string{"deployment.x"}, LabelSelector: "a=b"}
	got, unknown := f.Resolved(namesakes)
	assert.Equal(t, []string{"gizmos", "deployment.x"}, unknown)
	assert.Equal(t, []string{"deployments.apps", "gizmos", "*.apps"}, got.IncludedResources)
	assert.Equal(t, []string{"deploy", "gizmos", "*.apps", "deployment"}, f.IncludedResources, "the filter itself stays as it is")
	only, _ := Filter{IncludedResources: []string{"gizmos"}}.Resolved(namesakes)
	assert.Equal(t, NotIncluded, only.Resource(deployments), "a list of unknown names is not the empty list, which means everything")
	again, unknown := got.Resolved(namesakes)
	assert.Equal(t, got, again)
	assert.Equal(t, []string{"gizmos", "deployment.x"}, unknown)
}

func TestAScopedListNamesResourcesOfItsScope(t *testing.T) {
	_, unknown := Filter{IncludedClusterScopedResources: []string{"pods", "ns"}, ExcludedNamespaceScopedResources: []string{"ns", "po"}}.Resolved(namesakes)
	assert.Equal(t, []string{"ns", "pods"}, unknown)
}
