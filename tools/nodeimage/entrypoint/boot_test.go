package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPodsGetAddressesOfTheFamiliesTheHostHas(t *testing.T) {
	for v6, want := range map[bool][]string{false: {podsIPv4}, true: {podsIPv4, podsIPv6}} {
		var conf struct {
			Plugins []struct {
				Type string
				IPAM struct{ Ranges [][]struct{ Subnet string } }
			}
		}
		require.NoError(t, json.Unmarshal([]byte(cni(v6)), &conf))
		var got []string
		for _, r := range conf.Plugins[0].IPAM.Ranges {
			got = append(got, r[0].Subnet)
		}
		assert.Equal(t, want, got)
	}
}

func TestTheKubeletIsToldOfAMissingCapabilityOnlyWhereItIsMissing(t *testing.T) {
	assert.Contains(t, kubeletConfig(true), "KubeletInUserNamespace: true")
	assert.NotContains(t, kubeletConfig(false), "KubeletInUserNamespace")
	assert.Contains(t, kubeletConfig(false), "failCgroupV1: false")
}

// kind takes either text in a node's log for the sign that systemd is up.
func TestNoMessageOfTheEntrypointLooksLikeSystemdsToKind(t *testing.T) {
	ready := regexp.MustCompile(`Reached target .*Multi-User System.*|detected cgroup v1`)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, f := range files {
		source, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, line := range strings.Split(string(source), "\n") {
			if strings.Contains(line, "Print") {
				assert.False(t, ready.MatchString(line), "%s: %s", f, line)
			}
		}
	}
}

func TestCgroupHierarchiesAreFoundAmongTheMounts(t *testing.T) {
	got, err := cgroupMounts(strings.NewReader(`1 2 0:3 / /proc rw - proc proc rw
4 2 0:5 / /sys/fs/cgroup ro - tmpfs tmpfs ro
6 4 0:7 / /sys/fs/cgroup/cpu rw,nosuid shared:1 master:2 - cgroup cgroup rw,cpu
8 4 0:9 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
`))
	require.NoError(t, err)
	assert.Equal(t, []string{"/sys/fs/cgroup/cpu"}, got)
}

func TestOnCgroupV2EveryControllerIsHandedDownToTheKubelet(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"", "kubelet", "kubelet.slice"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, dir, "cgroup.controllers"), []byte("cpu memory pids\n"), 0o644))
	}
	require.NoError(t, delegate(root))
	for _, dir := range []string{"", "kubelet", "kubelet.slice"} {
		last, err := os.ReadFile(filepath.Join(root, dir, "cgroup.subtree_control"))
		require.NoError(t, err)
		assert.Equal(t, "+pids", string(last), "the kernel takes one write after the other")
	}
	require.NoError(t, delegate(t.TempDir()), "a v1 host has nothing to hand down")
}
