package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lifeboat-backup/lifeboat/tools/nodeimage/bounding"
)

// What kind's configuration gives the first node of a cluster, unless it is configured
// otherwise: of the pod subnets 10.244.0.0/16 and fd00:10:244::/56 the first
// share for one node.
const (
	podsIPv4    = "10.244.0.0/24"
	podsIPv6    = "fd00:10:244::/64"
	uplink      = "eth0" // the one interface that the container engine gives
	volumes     = "/var/lib/hostpath_pv"
	volumesLink = "/tmp/hostpath_pv"
)

// boot prepares the container for systemd.
func boot(ctx context.Context) error {
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"mounts", mounts},
		{"cgroups", cgroups},
		{"machine id", machineID},
		{"pod network", func() error { return podNetwork(ctx) }},
		{"kubelet settings", kubeletSettings},
		{"volumes", keepVolumesOnDisk},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// mounts lets mounts of pods spread, and hides the devices of the host from
// systemd, which takes a writable /sys for a machine of its own.
func mounts() error {
	if err := syscall.Mount("", "/", "", syscall.MS_SHARED|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("share /: %w", err)
	}
	if err := syscall.Mount("", "/sys", "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("remount /sys read-only: %w", err)
	}
	return nil
}

// machineID gives every node an identity of its own; see machine-id(5).
func machineID() error {
	id := make([]byte, 16)
	rand.Read(id)
	return os.WriteFile("/etc/machine-id", []byte(hex.EncodeToString(id)+"\n"), 0o444)
}

// podNetwork writes the CNI configuration for the families this host has, and
// lets pods leave by the node's address. There is one node, so no daemon is
// needed to find the others.
func podNetwork(ctx context.Context) error {
	v6, err := hasGlobalIPv6(uplink)
	if err != nil {
		return err
	}
	if err := os.MkdirAll("/etc/cni/net.d", 0o755); err != nil {
		return err
	}
	if err := os.WriteFile("/etc/cni/net.d/10-lifeboat.conflist", []byte(cni(v6)), 0o644); err != nil {
		return err
	}
	if err := masquerade(ctx, "iptables", podsIPv4); err != nil || !v6 {
		return err
	}
	return masquerade(ctx, "ip6tables", podsIPv6)
}

func masquerade(ctx context.Context, program, pods string) error {
	cmd := exec.CommandContext(ctx, program, "--wait", "--table", "nat", "--append", "POSTROUTING",
		"--source", pods, "--out-interface", uplink, "--jump", "MASQUERADE")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func hasGlobalIPv6(name string) (bool, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return false, err
	}
	addrs, err := i.Addrs()
	if err != nil {
		return false, err
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() == nil && n.IP.IsGlobalUnicast() {
			return true, nil
		}
	}
	return false, nil
}

// cni is the configuration of the plugins ptp, which is one cable from each pod
// to the node, and portmap, which is what hostPort is made of.
func cni(v6 bool) string {
	ranges, routes := `[{"subnet":"`+podsIPv4+`"}]`, `{"dst":"0.0.0.0/0"}`
	if v6 {
		ranges += `,[{"subnet":"` + podsIPv6 + `"}]`
		routes += `,{"dst":"::/0"}`
	}
	return `{
  "cniVersion": "0.3.1",
  "name": "lifeboat",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": false,
      "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam-state", "ranges": [` + ranges + `], "routes": [` + routes + `]}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`
}

// kubeletSettings writes what the kubelet needs on hosts like this one, over
// what kubeadm configures.
func kubeletSettings() error {
	bounded, err := bounding.LacksSysResource()
	if err != nil {
		return err
	}
	if err := os.MkdirAll("/etc/kubernetes/kubelet.conf.d", 0o755); err != nil {
		return err
	}
	return os.WriteFile("/etc/kubernetes/kubelet.conf.d/10-lifeboat.conf", []byte(kubeletConfig(bounded)), 0o644)
}

// kubeletConfig accepts cgroup v1, and tolerates a kernel that denies it
// settings where the host lacks the capability for them.
func kubeletConfig(bounded bool) string {
	config := `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
resolvConf: /kind/resolv.conf
`
	if bounded {
		config += "featureGates:\n  KubeletInUserNamespace: true\n"
	}
	return config
}

// keepVolumesOnDisk moves the volumes of the controller-manager's host-path
// provisioner, whose place is fixed in its code, from the container's memory to
// its disk.
func keepVolumesOnDisk() error {
	if err := os.MkdirAll(volumes, 0o777); err != nil {
		return err
	}
	if err := os.Remove(volumesLink); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Symlink(volumes, filepath.Clean(volumesLink))
}
