package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
)

const manifests = "../../deploy/exporter"

// decoded is the object of a kind in a manifest. Fields that the type does not
// have are mistakes.
func decoded(t *testing.T, file, kind string, into any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(manifests, file))
	require.NoError(t, err)
	for document := range bytes.SplitSeq(raw, []byte("\n---\n")) {
		var head struct{ Kind string }
		require.NoError(t, yaml.Unmarshal(document, &head))
		if head.Kind == kind {
			require.NoError(t, yaml.UnmarshalStrict(document, into))
			return
		}
	}
	require.Fail(t, "no such object", "%s in %s", kind, file)
}

// monitor is what a ServiceMonitor and a PodMonitor have in common here.
type monitor struct {
	Metadata struct {
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		JobLabel string `json:"jobLabel"`
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
		Endpoints           []endpoint `json:"endpoints"`
		PodMetricsEndpoints []endpoint `json:"podMetricsEndpoints"`
		SampleLimit         int        `json:"sampleLimit"`
	} `json:"spec"`
}

type endpoint struct {
	Port        string
	Relabelings []struct{ TargetLabel, Replacement string }
}

func containerOf(t *testing.T, d appsv1.Deployment) corev1.Container {
	t.Helper()
	require.Len(t, d.Spec.Template.Spec.Containers, 1)
	c := d.Spec.Template.Spec.Containers[0]
	assert.Equal(t, "lifeboat-exporter", c.Name)
	assert.Equal(t, []string{"/usr/local/bin/lifeboat-exporter"}, c.Command)
	return c
}

func TestTheManifestsRunAnExporterThereIs(t *testing.T) {
	for _, file := range []string{"sidecar.yaml", "deployment.yaml"} {
		var d appsv1.Deployment
		decoded(t, file, "Deployment", &d)
		c := containerOf(t, d)
		code, stdout, stderr := execute(t.Context(), append(slices.Clone(c.Args), "--config.check")...)
		assert.Equal(t, cli.ExitOK, code, "%s: %s", file, stderr)
		assert.Contains(t, stdout, "location default: s3://backups/prod?region=eu-central-1", file)
		require.Len(t, c.Ports, 1)
		assert.Contains(t, stdout, "addresses: :9808")
		assert.Equal(t, int32(9808), c.Ports[0].ContainerPort)
		for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe} {
			assert.Equal(t, c.Ports[0].Name, p.HTTPGet.Port.String(), file)
		}
		assert.Equal(t, "/-/healthy", c.LivenessProbe.HTTPGet.Path)
		assert.Equal(t, "/-/ready", c.ReadinessProbe.HTTPGet.Path)
		assert.NotEmpty(t, c.Resources.Limits)
	}
}

func TestTheMonitorsFindTheJobThatTheAlertsExpect(t *testing.T) {
	const job = "lifeboat-exporter"
	var d, sidecar appsv1.Deployment
	decoded(t, "deployment.yaml", "Deployment", &d)
	decoded(t, "sidecar.yaml", "Deployment", &sidecar)
	var service corev1.Service
	decoded(t, "deployment.yaml", "Service", &service)
	var services, pods monitor
	for file, into := range map[string]*monitor{"servicemonitor.yaml": &services, "podmonitor.yaml": &pods} {
		raw, err := os.ReadFile(filepath.Join(manifests, file))
		require.NoError(t, err)
		require.NoError(t, yaml.Unmarshal(raw, into))
	}

	for _, m := range []monitor{services, pods} {
		assert.Equal(t, d.Namespace, m.Metadata.Namespace)
		assert.Equal(t, "kube-prometheus-stack", m.Metadata.Labels["release"], "by which kube-prometheus-stack selects monitors")
	}
	assert.Equal(t, d.Spec.Template.Labels, service.Spec.Selector)
	assert.Equal(t, containerOf(t, d).Ports[0].Name, service.Spec.Ports[0].TargetPort.String())
	assert.Equal(t, service.Labels, services.Spec.Selector.MatchLabels)
	require.Len(t, services.Spec.Endpoints, 1)
	assert.Equal(t, service.Spec.Ports[0].Name, services.Spec.Endpoints[0].Port)
	assert.Equal(t, job, service.Labels[services.Spec.JobLabel])

	require.Len(t, pods.Spec.PodMetricsEndpoints, 1)
	assert.Equal(t, containerOf(t, sidecar).Ports[0].Name, pods.Spec.PodMetricsEndpoints[0].Port)
	named, err := json.Marshal(pods.Spec.PodMetricsEndpoints[0].Relabelings)
	require.NoError(t, err)
	assert.JSONEq(t, `[{"TargetLabel":"job","Replacement":"`+job+`"}]`, string(named))
	assert.Equal(t, pods.Spec.SampleLimit, services.Spec.SampleLimit)
	assert.Positive(t, pods.Spec.SampleLimit)
}
