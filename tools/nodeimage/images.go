package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// image is one of those that a cluster runs, as it is named there.
type image struct {
	name       string
	entrypoint []string
	layers     []string // names of layers, lowest first
}

// The names that kubeadm gives the images of this Kubernetes, and containerd's
// configuration the pause image. What they hold need not be that version, but
// etcd's: kubeadm picks its flags by the tag.
const (
	etcdTag    = "3.6.5-0"
	corednsTag = "v1.12.1"
	pauseTag   = "3.10.1"
)

func clusterImages(kubernetes string) []image {
	images := []image{
		{name: "etcd:" + etcdTag, layers: []string{"etcd"}},
		{name: "coredns/coredns:" + corednsTag, layers: []string{"coredns"}, entrypoint: []string{"/coredns"}},
		{name: "pause:" + pauseTag, layers: []string{"pause"}, entrypoint: []string{"/pause"}},
		{name: "kube-proxy:" + kubernetes, layers: []string{"kubernetes", "packetfilter"}},
	}
	for _, component := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		images = append(images, image{name: component + ":" + kubernetes, layers: []string{"kubernetes"}})
	}
	for i := range images {
		images[i].name = "registry.k8s.io/" + images[i].name
	}
	return images
}

// layerFiles are the files of each layer but packetfilter, which is made of
// Debian's.
func layerFiles(p programs) map[string][]file {
	kubernetes := []file{{name: "usr/local/bin/kubernetes", mode: 0o755, source: p.kubernetes}}
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"} {
		kubernetes = append(kubernetes, file{name: "usr/local/bin/" + name, link: "kubernetes"})
	}
	return map[string][]file{
		"kubernetes": kubernetes,
		"etcd":       {{name: "usr/local/bin/etcd", mode: 0o755, source: p.etcd}},
		"coredns":    {{name: "coredns", mode: 0o755, source: p.coredns}},
		"pause":      {{name: "pause", mode: 0o755, source: p.pause}},
	}
}

// packetFilter says whether an entry of Debian belongs to iptables or nft, which
// kube-proxy runs: the programs and the libraries they are linked to.
func packetFilter(name string) bool {
	switch dir, base := path.Split(name); {
	case dir == "usr/sbin/":
		return base == "nft" || base == "conntrack" || strings.HasPrefix(base, "xtables-nft-multi") ||
			(strings.HasPrefix(base, "iptables") || strings.HasPrefix(base, "ip6tables")) && !strings.HasSuffix(base, "apply")
	case dir == "etc/alternatives/":
		return strings.HasPrefix(base, "iptables") || strings.HasPrefix(base, "ip6tables")
	case strings.Contains(dir, "-linux-gnu/xtables/"), dir == "usr/lib64/":
		return true
	case strings.HasSuffix(dir, "-linux-gnu/"):
		library, _, shared := strings.Cut(base, ".so")
		return shared && slices.Contains([]string{
			"libc", "libm", "libxtables", "libmnl", "libnftnl", "libnftables", "libedit", "libjansson", "libgmp", "libtinfo", "libbsd", "libmd",
			"libnetfilter_conntrack", "libnfnetlink", "ld-linux-x86-64", "ld-linux-aarch64",
		}, library)
	}
	return slices.Contains([]string{"lib", "lib64", "sbin", "bin"}, name)
}

// writePacketFilter picks the layer packetfilter out of Debian.
func writePacketFilter(w io.Writer, debian io.Reader) error {
	out := tar.NewWriter(w)
	err := eachEntry(debian, func(h *tar.Header, content io.Reader) error {
		name, kept := keep(h.Name)
		if !kept || !packetFilter(name) {
			return nil
		}
		h.Name = name
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		_, err := io.Copy(out, content)
		return err
	})
	if err != nil {
		return err
	}
	return out.Close()
}

// The parts of an OCI image layout that containerd reads: OCI image format
// specification, image-layout.md, manifest.md and config.md.
type (
	descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int64             `json:"size"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	manifest struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}
	index struct {
		SchemaVersion int          `json:"schemaVersion"`
		Manifests     []descriptor `json:"manifests"`
	}
	config struct {
		Architecture string     `json:"architecture"`
		OS           string     `json:"os"`
		Config       execConfig `json:"config"`
		RootFS       rootFS     `json:"rootfs"`
	}
	execConfig struct {
		Entrypoint []string
		Env        []string
	}
	rootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
)

const (
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
	nameOfImage  = "io.containerd.image.name"
)

// layer is a layer as it is stored.
type layer struct {
	descriptor
	diffID string // digest of the archive before compression
	blob   []byte
}

// makeLayer compresses what write writes. The node keeps the compressed form
// beside the unpacked one, so a smaller one is less to copy for each cluster.
func makeLayer(write func(io.Writer) error) (layer, error) {
	var blob bytes.Buffer
	packed, err := gzip.NewWriterLevel(&blob, gzip.BestSpeed)
	if err != nil {
		return layer{}, err
	}
	plain := sha256.New()
	if err := write(io.MultiWriter(packed, plain)); err != nil {
		return layer{}, err
	}
	if err := packed.Close(); err != nil {
		return layer{}, err
	}
	return layer{
		descriptor: descriptor{MediaType: typeLayer, Digest: digestOf(blob.Bytes()), Size: int64(blob.Len())},
		diffID:     fmt.Sprintf("sha256:%x", plain.Sum(nil)), blob: blob.Bytes(),
	}, nil
}

func digestOf(blob []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(blob)) }

// writeImages writes the archive that containerd imports. Each blob is written
// once, however many images share it.
func writeImages(w io.Writer, images []image, layers map[string]layer) error {
	out := tar.NewWriter(w)
	blobs := map[string][]byte{}
	top := index{SchemaVersion: 2}
	put := func(mediaType string, content any) (descriptor, error) {
		data, err := json.Marshal(content)
		if err != nil {
			return descriptor{}, err
		}
		d := descriptor{MediaType: mediaType, Digest: digestOf(data), Size: int64(len(data))}
		blobs[d.Digest] = data
		return d, nil
	}
	for _, i := range images {
		m := manifest{SchemaVersion: 2, MediaType: typeManifest}
		c := config{
			Architecture: runtime.GOARCH, OS: "linux", RootFS: rootFS{Type: "layers"},
			Config: execConfig{Entrypoint: i.entrypoint, Env: []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}},
		}
		for _, name := range i.layers {
			l, ok := layers[name]
			if !ok {
				return fmt.Errorf("image %s: there is no layer %s", i.name, name)
			}
			m.Layers = append(m.Layers, l.descriptor)
			c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, l.diffID)
			blobs[l.Digest] = l.blob
		}
		var err error
		if m.Config, err = put(typeConfig, c); err != nil {
			return err
		}
		d, err := put(typeManifest, m)
		if err != nil {
			return err
		}
		d.Annotations = map[string]string{nameOfImage: i.name}
		top.Manifests = append(top.Manifests, d)
	}
	head, err := json.Marshal(top)
	if err != nil {
		return err
	}
	files := []file{{name: "oci-layout", mode: 0o644, text: `{"imageLayoutVersion":"1.0.0"}`}, {name: "index.json", mode: 0o644, text: string(head)}}
	for digest, blob := range blobs {
		files = append(files, file{name: "blobs/sha256/" + strings.TrimPrefix(digest, "sha256:"), mode: 0o644, text: string(blob)})
	}
	if err := addFiles(out, files); err != nil {
		return err
	}
	return out.Close()
}

func writeLayer(w io.Writer, files []file) error {
	out := tar.NewWriter(w)
	if err := addFiles(out, files); err != nil {
		return err
	}
	return out.Close()
}
