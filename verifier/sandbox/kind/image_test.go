package kind

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/version"
)

func TestWhichNodeImageIsRun(t *testing.T) {
	local := []string{"lifeboat/node:v1.34.4", "lifeboat/node:v1.34.9", "kindest/node:v1.34.4", "kindest/node:v1.33.1", "lifeboat/node:v1.35.0", "kindest/node:latest"}
	for _, tc := range []struct {
		name   string
		choice Choice
		want   string
		err    string
	}{
		{"one that is named outranks all", Choice{NodeImage: "registry.local/node:mine", KubernetesVersion: "1.36.0", Source: "v1.34.4"}, "registry.local/node:mine", ""},
		{"kind's own before ours", Choice{Source: "v1.34.4"}, "kindest/node:v1.34.4", ""},
		{"ours before a pull", Choice{Source: "v1.34.9"}, "lifeboat/node:v1.34.9", ""},
		{"a pull when there is none", Choice{Source: "v1.32.0"}, "kindest/node:v1.32.0", ""},
		{"a version that is asked for outranks the backup's", Choice{KubernetesVersion: "1.35.0", Source: "v1.34.4"}, "lifeboat/node:v1.35.0", ""},
		{"with the v too", Choice{KubernetesVersion: "v1.36.2", Source: "v1.34.4"}, "kindest/node:v1.36.2", ""},
		{"the word source is the backup's", Choice{KubernetesVersion: "source", Source: "v1.33.1"}, "kindest/node:v1.33.1", ""},
		{"a minor version is the newest at hand", Choice{KubernetesVersion: "1.34"}, "lifeboat/node:v1.34.9", ""},
		{"of two as new, kind's own", Choice{KubernetesVersion: "1.33"}, "kindest/node:v1.33.1", ""},
		{"a minor version of which none is at hand", Choice{KubernetesVersion: "1.36"}, "", "no node image of Kubernetes 1.36 is available locally: name a patch that kind publishes (https://hub.docker.com/r/kindest/node/tags), such as --kubernetes-version 1.36.0"},
		{"GKE", Choice{Source: "v1.34.4-gke.1092000"}, "kindest/node:v1.34.4", ""},
		{"EKS", Choice{Source: "v1.34.4-eks-5e0fdde"}, "kindest/node:v1.34.4", ""},
		{"k3s", Choice{Source: "v1.34.4+k3s1"}, "kindest/node:v1.34.4", ""},
		{"RKE2", Choice{Source: "v1.34.4+rke2r1"}, "kindest/node:v1.34.4", ""},
		{"a development build", Choice{Source: "v1.34.4-3+1a2b3c4d5e6f7a"}, "kindest/node:v1.34.4", ""},
		{"a backup that does not say", Choice{}, "", "the backup does not say which Kubernetes version its cluster had: name one with --kubernetes-version, or an image with --node-image"},
		{"no version at all", Choice{KubernetesVersion: "latest"}, "", `--kubernetes-version "latest" is not a version of Kubernetes: write it as 1.36.2, or name an image with --node-image`},
		{"a major version alone", Choice{KubernetesVersion: "1"}, "", `--kubernetes-version "1" is not a version of Kubernetes: write it as 1.36.2, or name an image with --node-image`},
		{"a backup that says nonsense", Choice{Source: "one"}, "", `the version of the backup's cluster "one" is not a version of Kubernetes: write it as 1.36.2, or name an image with --node-image`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.choice.pick(local)
			if tc.err != "" {
				assert.EqualError(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
		})
	}
}

func imageWith(entrypoint []string, labels map[string]string) inspected {
	var i inspected
	i.Config.Entrypoint, i.Config.Labels = entrypoint, labels
	return i
}

func TestAnImageThatCannotBeANodeIsRefusedBeforeItIsStarted(t *testing.T) {
	boots := []string{"/usr/local/bin/entrypoint", "/sbin/init"}
	assert.NoError(t, checkNodeImage("kindest/node:v1.34.4", "0.33.0", imageWith(boots, nil)))
	assert.NoError(t, checkNodeImage("lifeboat/node:v1.34.4", "0.33.0", imageWith(boots, map[string]string{homemadeLabel: "v0.33.0"})))
	assert.EqualError(t, checkNodeImage("lifeboat/node:v1.34.4", "0.33.0", imageWith(boots, map[string]string{homemadeLabel: "v0.32.0"})),
		"lifeboat/node:v1.34.4 was made for kind v0.32.0, and this program has kind 0.33.0: rebuild it with `make node-image`")
	assert.EqualError(t, checkNodeImage("nginx:1.27", "0.33.0", imageWith([]string{"/docker-entrypoint.sh"}, nil)),
		"nginx:1.27 is not a kind node image (its entrypoint is \"/docker-entrypoint.sh\"): name one of kindest/node, or make one with `make node-image`")
	assert.ErrorContains(t, checkNodeImage("busybox", "0.33.0", imageWith(nil, nil)), "busybox is not a kind node image")
}

func TestTheVersionOfANodeImageIsOnItsLabelOrInItsTag(t *testing.T) {
	for _, tc := range []struct{ ref, label, want string }{
		{"lifeboat/node:mine", "v1.34.4", "1.34.4"},
		{"kindest/node:v1.36.2", "", "1.36.2"},
		{"registry:5000/node:v1.36.2", "", "1.36.2"},
		{"kindest/node:latest", "", ""},
		{"kindest/node@sha256:" + digest, "", ""},
	} {
		r := runnable{ref: tc.ref}
		if tc.label != "" {
			r.Config.Labels = map[string]string{kubernetesLabel: tc.label}
		}
		got := ""
		if v := r.kubernetes(); v != nil {
			got = v.String()
		}
		assert.Equal(t, tc.want, got, tc.ref)
	}
}

func TestAClusterIsConfiguredForItsVersionAndImage(t *testing.T) {
	c := clusterConfig(version.MustParseGeneric("1.34.4"), true, true)
	assert.True(t, c.Networking.DisableDefaultCNI, "our image has its own")
	assert.EqualValues(t, "dual", c.Networking.IPFamily)
	assert.EqualValues(t, -1, c.Networking.APIServerPort)
	assert.Contains(t, c.KubeadmConfigPatches[0], "PublicKeysECDSA")
	assert.Contains(t, c.KubeadmConfigPatches[1], "skipPhases: [preflight, ")

	c = clusterConfig(version.MustParseGeneric("1.36.0"), false, false)
	assert.False(t, c.Networking.DisableDefaultCNI, "kind installs its own")
	assert.Empty(t, c.Networking.IPFamily)
	assert.NotContains(t, c.KubeadmConfigPatches[0], "PublicKeysECDSA", "kubeadm v1beta4 knows no such gate")

	c = clusterConfig(nil, false, false)
	assert.Contains(t, c.KubeadmConfigPatches[0], `apiServer:
  extraArgs: {enable-bootstrap-token-auth: "false"}`)
	assert.NotContains(t, c.KubeadmConfigPatches[0], "PublicKeysECDSA")
	assert.Equal(t, "kind: InitConfiguration\nskipPhases: [preflight]\n", c.KubeadmConfigPatches[1], "what not every version knows is left out")
}
