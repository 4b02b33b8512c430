package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheNodeRunsTheKubernetesOfTheControlPlaneSandbox(t *testing.T) {
	node, err := os.ReadFile("modules/kubernetes.mod")
	require.NoError(t, err)
	sandbox, err := os.ReadFile("../../verifier/sandbox/controlplane/go.mod")
	require.NoError(t, err)
	want, err := required(string(sandbox), "k8s.io/kubernetes")
	require.NoError(t, err)
	got, err := required(string(node), "k8s.io/kubernetes")
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestEtcdsTagIsItsVersion(t *testing.T) {
	mod, err := os.ReadFile("modules/etcd.mod")
	require.NoError(t, err)
	version, err := required(string(mod), "go.etcd.io/etcd/server/v3")
	require.NoError(t, err)
	assert.Equal(t, version, "v"+strings.TrimSuffix(etcdTag, "-0"))
}

func TestTheConfiguredPauseImageIsInTheNode(t *testing.T) {
	conf, err := os.ReadFile("files/etc/containerd/config.toml")
	require.NoError(t, err)
	assert.Contains(t, string(conf), `sandbox_image = "registry.k8s.io/pause:`+pauseTag+`"`)
}

func TestAnyChangeOfAnInputChangesTheName(t *testing.T) {
	base := fstest.MapFS{"a": {Data: []byte("1")}, "d/b": {Data: []byte("2")}}
	first, err := digest(base)
	require.NoError(t, err)
	for what, changed := range map[string]fstest.MapFS{
		"content":  {"a": {Data: []byte("1")}, "d/b": {Data: []byte("3")}},
		"name":     {"a": {Data: []byte("1")}, "d/c": {Data: []byte("2")}},
		"new file": {"a": {Data: []byte("1")}, "d/b": {Data: []byte("2")}, "e": {}},
	} {
		got, err := digest(changed)
		require.NoError(t, err)
		assert.NotEqual(t, first, got, what)
	}
	base["a_test.go"] = &fstest.MapFile{Data: []byte("package a")}
	same, err := digest(base)
	require.NoError(t, err)
	assert.Equal(t, first, same, "a test is no input")
}

// archive makes a tar of the names; those that end in a slash are folders.
func archive(t *testing.T, names ...string) io.Reader {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, n := range names {
		h := &tar.Header{Name: n, Mode: 0o644, Typeflag: tar.TypeReg}
		if strings.HasSuffix(n, "/") {
			h.Typeflag = tar.TypeDir
		}
		require.NoError(t, w.WriteHeader(h))
	}
	require.NoError(t, w.Close())
	return &out
}

func names(t *testing.T, in io.Reader) []string {
	t.Helper()
	var out []string
	require.NoError(t, eachEntry(in, func(h *tar.Header, _ io.Reader) error {
		out = append(out, h.Name)
		return nil
	}))
	return out
}

func TestTheNodeStartsNoUnitOfDebiansButTheJournal(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, writeRootfs(&out, archive(t,
		"./", "./usr/sbin/runc", "./usr/share/doc/", "./usr/share/doc/x", "./usr/lib/cni/ptp", "./usr/lib/cni/dhcp", "./etc/containerd/config.toml",
		"./etc/systemd/system/", "./etc/systemd/system/multi-user.target.wants/cron.service",
		"./usr/lib/systemd/system/sysinit.target.wants/systemd-journald.service", "./usr/lib/systemd/system/sysinit.target.wants/systemd-udevd.service",
	), []file{{name: "etc/containerd/config.toml", text: "ours"}, {name: "usr/sbin/runc", text: "ours"}}))
	assert.Equal(t, []string{
		"usr/sbin/runc.real", "usr/share/doc/", "usr/lib/cni/ptp", "etc/systemd/system/",
		"usr/lib/systemd/system/sysinit.target.wants/systemd-journald.service", "etc/containerd/config.toml", "usr/sbin/runc",
	}, names(t, &out))
}

func TestEveryFileOfTheNodeIsWritten(t *testing.T) {
	files, err := nodeFiles(programs{}, os.DirFS("files"), "v1.2.3")
	require.NoError(t, err)
	var got []string
	for _, f := range files {
		got = append(got, f.name)
	}
	assert.Subset(t, got, []string{
		"etc/systemd/system/kubelet.service", "etc/systemd/system/containerd.service", "etc/containerd/config.toml",
		"kind/version", "kind/manifests/default-storage.yaml", "kind/patches/corednsdeployment+strategic.yaml", "kind/resolv.conf", "usr/sbin/init",
	})
}

func TestTheArchiveHoldsEveryImageOfTheClusterAndEachLayerOnce(t *testing.T) {
	layers := map[string]layer{}
	for _, name := range []string{"kubernetes", "packetfilter", "etcd", "coredns", "pause"} {
		l, err := makeLayer(func(w io.Writer) error { return writeLayer(w, []file{{name: name, text: name}}) })
		require.NoError(t, err)
		layers[name] = l
	}
	var out bytes.Buffer
	require.NoError(t, writeImages(&out, clusterImages("v1.34.4"), layers))

	var top index
	blobs := map[string]int{}
	require.NoError(t, eachEntry(&out, func(h *tar.Header, content io.Reader) error {
		if h.Name == "index.json" {
			return json.NewDecoder(content).Decode(&top)
		}
		blobs[h.Name]++
		return nil
	}))
	var images []string
	for _, m := range top.Manifests {
		images = append(images, m.Annotations[nameOfImage])
		assert.Equal(t, 1, blobs["blobs/sha256/"+strings.TrimPrefix(m.Digest, "sha256:")])
	}
	assert.ElementsMatch(t, []string{
		"registry.k8s.io/kube-apiserver:v1.34.4", "registry.k8s.io/kube-controller-manager:v1.34.4", "registry.k8s.io/kube-scheduler:v1.34.4",
		"registry.k8s.io/kube-proxy:v1.34.4", "registry.k8s.io/etcd:3.6.5-0", "registry.k8s.io/coredns/coredns:v1.12.1", "registry.k8s.io/pause:3.10.1",
	}, images)
	for name, l := range layers {
		assert.Equal(t, 1, blobs["blobs/sha256/"+strings.TrimPrefix(l.Digest, "sha256:")], name)
	}
	assert.Error(t, writeImages(io.Discard, clusterImages("v1.34.4"), nil))
}

func TestWhatEndsOnePipeEndIsTheErrorOfBoth(t *testing.T) {
	err := piped(
		func(w io.Writer) error { _, err := w.Write(make([]byte, 1<<20)); return err },
		func(io.Reader) error { return os.ErrPermission },
	)
	assert.Equal(t, os.ErrPermission, err)
	err = piped(func(io.Writer) error { return os.ErrPermission }, func(r io.Reader) error { _, err := io.ReadAll(r); return err })
	assert.ErrorIs(t, err, os.ErrPermission)
}
