package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/verifier"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

func mappingFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mapping.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestTheFlagsOfLevelKindAreAPolicy(t *testing.T) {
	r, err := requested(t, "--latest")
	require.NoError(t, err)
	assert.Equal(t, request{spec: policy.Default(), choice: verifier.Choice{Latest: true}}, r)

	path := mappingFile(t, "docker.io/library/nginx:*: small/web:1\n")
	r, err = requested(t, "--latest", "--kubernetes-version", "1.36.2", "--node-image", "x", "--images", "substitute", "--image-mapping", path, "--image-archive", "a.tar",
		"--egress", "10.0.0.0/8:443", "--egress", "fd00::/64", "--cronjobs", "as-is", "--workloads-timeout", "90s")
	require.NoError(t, err)
	want := policy.Default()
	want.KubernetesVersion, want.NodeImage, want.CronJobs = "1.36.2", "x", policy.CronJobsAsIs
	want.Images = policy.Images{Mode: policy.ImagesSubstitute, Archive: "a.tar", Mapping: map[string]string{"docker.io/library/nginx:*": "small/web:1"}}
	want.Egress = []policy.Egress{{CIDR: "10.0.0.0/8", Port: 443}, {CIDR: "fd00::/64"}}
	want.Limits.WorkloadsReady.Duration = 90 * time.Second
	assert.Equal(t, want, r.spec)
}

func TestMistakesInTheFlagsOfADrillAreUsageErrors(t *testing.T) {
	mapping := mappingFile(t, "a: b\n")
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--images", "fetch"}, `--images "fetch": must be pull, load or substitute`},
		{[]string{"--images", "substitute"}, "--image-mapping is required with mode substitute"},
		{[]string{"--image-mapping", mapping}, "--image-mapping goes with mode substitute"},
		{[]string{"--image-archive", "a.tar"}, `--image-archive "a.tar": goes with mode load or substitute`},
		{[]string{"--cronjobs", "off"}, `--cronjobs "off": must be suspended or as-is`},
		{[]string{"--workloads-timeout", "0s"}, "--workloads-timeout 0s: must be longer than 0s and at most 1d"},
		{[]string{"--level", "kind", "--workloads-timeout", "1h"}, "--workloads-timeout 1h: is longer than the whole drill may take, 30m"},
		{[]string{"--timeout", "0s"}, "--timeout 0s: must be longer than 0s and at most 1d"},
		{[]string{"--level", "knd"}, `--level "knd": must be integrity, controlplane or kind (did you mean kind?)`},
		{[]string{"--kubernetes-version", "new"}, `--kubernetes-version "new": must be source, or a version such as v1.34`},
		{[]string{"--node-image", "A B"}, `--node-image "A B": is not an image`},
		{[]string{"--backup", "b"}, "give exactly one of --backup, --schedule and --latest"},
		{[]string{"--egress", "example.com:443"}, `--egress example.com:443: "example.com" is not a CIDR such as 10.1.2.0/24, 10.1.2.3:443 or [fd00::]/64`},
		{[]string{"--images", "substitute", "--image-mapping", mappingFile(t, "")}, "names no image"},
		{[]string{"--images", "substitute", "--image-mapping", mappingFile(t, "- a\n")}, "must hold lines such as"},
		{[]string{"--images", "substitute", "--image-mapping", "/nowhere"}, "no such file"},
	} {
		_, err := requested(t, append(tc.args, "--latest")...)
		assert.ErrorContains(t, err, tc.want)
		var usage cli.UsageError
		assert.ErrorAs(t, err, &usage, "%v", tc.args)
	}
}

func TestAWayOutIsReadFromAFlag(t *testing.T) {
	for text, want := range map[string]policy.Egress{
		"10.1.2.0/24":              {CIDR: "10.1.2.0/24"},
		"10.1.2.3/8":               {CIDR: "10.0.0.0/8"},
		"10.1.2.3":                 {CIDR: "10.1.2.3/32"},
		"10.1.2.3:443":             {CIDR: "10.1.2.3/32", Port: 443},
		"10.1.2.0/24:53/udp":       {CIDR: "10.1.2.0/24", Port: 53, Protocol: "UDP"},
		"10.1.2.0/24:5432/TCP":     {CIDR: "10.1.2.0/24", Port: 5432, Protocol: "TCP"},
		"10.1.2.3/udp":             {CIDR: "10.1.2.3/32", Protocol: "UDP"},
		"0.0.0.0/0":                {CIDR: "0.0.0.0/0"},
		"::/0":                     {CIDR: "::/0"},
		"fd00::/64":                {CIDR: "fd00::/64"},
		"fd00::1":                  {CIDR: "fd00::1/128"},
		"[fd00::1]:443":            {CIDR: "fd00::1/128", Port: 443},
		"[fd00::]/64":              {CIDR: "fd00::/64"},
		"[fd00::]/64:443/tcp":      {CIDR: "fd00::/64", Port: 443, Protocol: "TCP"},
		"[fd00::/64]:443":          {CIDR: "fd00::/64", Port: 443},
		"192.168.0.0/16:65535/Udp": {CIDR: "192.168.0.0/16", Port: 65535, Protocol: "UDP"},
	} {
		got, err := parseEgress(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "host", "10.1.2.3:0", "10.1.2.3:65536", "10.1.2.3:https", "10.1.2.3/33", "10.1.2.0/24/icmp", "[fd00::1", "[fd00::1]x:3", "10.1.2.3:", "/udp", ":443"} {
		_, err := parseEgress(text)
		assert.Error(t, err, text)
	}
}
