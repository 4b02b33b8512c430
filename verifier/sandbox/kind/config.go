package kind

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

// clusterConfig is the cluster of a drill: one node that starts fast and lives
// for minutes. homemade means that the node image is of `make node-image`, ipv6
// that the network of the node has addresses of that family: kind refuses to give
// pods any without. A new value for each call: kind writes its defaults into it.
//
// v is the version of Kubernetes, nil when it is not known: then what only some
// versions have is left out.
func clusterConfig(v *version.Version, homemade, ipv6 bool) *v1alpha4.Cluster {
	c := &v1alpha4.Cluster{
		Nodes: []v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole}},
		Networking: v1alpha4.Networking{
			// The engine picks the port: kind would pick one, let go of it and ask
			// for it again.
			APIServerPort: -1,
			// Our image has its network configuration in it, which spares the start
			// of a pod for it.
			DisableDefaultCNI: homemade,
		},
		// No apiVersion: kind writes kubeadm v1beta3 or v1beta4 by the version of
		// Kubernetes, and converts.
		KubeadmConfigPatches: []string{clusterPatch(v), initPatch(v, homemade)},
	}
	if ipv6 {
		c.Networking.IPFamily = v1alpha4.DualStackFamily
	}
	return c
}

// clusterPatch speeds up what would otherwise wait. Left alone, the controller
// manager starts its controllers at 20 requests a second, and both it and the
// scheduler ask for a lease first that no one else wants. etcd's data is gone
// with the node, so nothing has to reach a disk. ECDSA keys are made faster than
// RSA's; the gate went away with kubeadm v1beta4.
//
// A node that joins would need a bootstrap token; none does. Without them, a token of
// the source cluster that is in a backup is not valid here. Anonymous users stay: the
// probes of kubeadm's API server have no credentials, and the exception for them needs
// a file on the node. Restored bindings do not name them (workload.Adapter).
func clusterPatch(v *version.Version) string {
	var b strings.Builder
	b.WriteString("kind: ClusterConfiguration\n")
	if v != nil && v.LessThan(version.MajorMinor(1, 36)) {
		b.WriteString("featureGates: {PublicKeysECDSA: true}\n")
	}
	b.WriteString(`apiServer:
  extraArgs: {enable-bootstrap-token-auth: "false"}
controllerManager:
  extraArgs: {kube-api-qps: "200", kube-api-burst: "400", leader-elect: "false"}
scheduler:
  extraArgs: {leader-elect: "false"}
etcd:
  local:
    extraArgs: {unsafe-no-fsync: "true"}
`)
	return b.String()
}

// initPatch leaves out what only a second node or a long life would need. Lists are
// replaced, so kind's own entry (preflight) is repeated here. Our image
// holds what makes the cluster's DNS ready sooner.
func initPatch(v *version.Version, homemade bool) string {
	phases := []string{"preflight"}
	if v != nil && v.AtLeast(version.MajorMinor(1, 23)) {
		phases = append(phases, "upload-config", "kubelet-finalize")
	}
	patch := fmt.Sprintf("kind: InitConfiguration\nskipPhases: [%s]\n", strings.Join(phases, ", "))
	if homemade {
		patch += "patches: {directory: /kind/patches}\n"
	}
	return patch
}
