package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// file is one entry of an archive that we add.
type file struct {
	name   string // without a leading slash
	mode   int64
	link   string // target of a symbolic link
	source string // path on this machine
	text   string // content, when there is no source
	dir    bool
}

// dropped are what a node does not need of Debian: documentation, and every
// unit that Debian would start. Those of the node are added afterwards.
var dropped = [...]string{
	"usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/info/", "usr/share/perl5/", "usr/share/bash-completion/",
	"var/cache/", "var/lib/apt/", "var/log/", "usr/lib/udev/", "usr/bin/containerd-stress",
	"etc/machine-id", "etc/resolv.conf", "etc/hostname", "etc/systemd/system/", "etc/containerd/config.toml", "etc/cni/",
}

// plugins are the CNI programs that are kept; Debian's package has many.
var plugins = [...]string{"ptp", "host-local", "loopback", "portmap"}

// journal are the only units of Debian's that start.
var journal = [...]string{"systemd-journald.socket", "systemd-journald-dev-log.socket", "systemd-journald.service"}

// keep says whether an entry of Debian stays, and under which name.
func keep(name string) (string, bool) {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "."), "/")
	for _, d := range dropped {
		folder := strings.HasSuffix(d, "/") && name == d
		if strings.HasPrefix(name, d) && !folder {
			return "", false
		}
	}
	if rest, ok := strings.CutPrefix(name, "usr/lib/cni/"); ok && rest != "" {
		return name, oneOf(rest, plugins[:])
	}
	if dir := path.Dir(name); strings.HasPrefix(dir, "usr/lib/systemd/system/") && strings.HasSuffix(dir, ".wants") {
		return name, oneOf(path.Base(name), journal[:])
	}
	if name == "usr/sbin/runc" {
		return "usr/sbin/runc.real", true
	}
	return name, name != ""
}

func oneOf(s string, all []string) bool {
	for _, a := range all {
		if s == a {
			return true
		}
	}
	return false
}

// nodeFiles are what is added to Debian.
func nodeFiles(p programs, units fs.FS, kubernetes string) ([]file, error) {
	files := []file{
		{name: "usr/sbin/runc", mode: 0o755, source: p.runtime},
		{name: "kind/bin/entrypoint", mode: 0o755, source: p.entrypoint},
		{name: "usr/bin/kubelet", mode: 0o755, source: p.kubernetes},
		{name: "usr/bin/kubeadm", link: "kubelet"},
		{name: "usr/bin/kubectl", link: "kubelet"},
		{name: "usr/sbin/init", link: "/lib/systemd/systemd"},
		{name: "kind/version", mode: 0o644, text: kubernetes},
		{name: "etc/kubernetes/manifests/", mode: 0o755, dir: true},
		{name: "opt/cni/", mode: 0o755, dir: true},
		{name: "opt/cni/bin", link: "/usr/lib/cni"},
		{name: "etc/systemd/system/default.target", link: "/lib/systemd/system/multi-user.target"},
		{name: "etc/systemd/system/multi-user.target.wants/containerd.service", link: "../containerd.service"},
		{name: "etc/systemd/system/multi-user.target.wants/kubelet.service", link: "../kubelet.service"},
	}
	err := fs.WalkDir(units, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(units, name)
		files = append(files, file{name: name, mode: 0o644, text: string(data)})
		return err
	})
	return files, err
}

// writeRootfs copies Debian, less what is dropped, and adds files.
func writeRootfs(w io.Writer, debian io.Reader, files []file) error {
	out := tar.NewWriter(w)
	err := eachEntry(debian, func(h *tar.Header, content io.Reader) error {
		name, kept := keep(h.Name)
		if !kept {
			return nil
		}
		h.Name = name
		if h.Typeflag == tar.TypeLink {
			h.Linkname = strings.TrimPrefix(h.Linkname, "./")
		}
		if err := out.WriteHeader(h); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		_, err := io.Copy(out, content)
		return err
	})
	if err != nil {
		return err
	}
	if err := addFiles(out, files); err != nil {
		return err
	}
	return out.Close()
}

// eachEntry calls use for each entry of an archive.
func eachEntry(archive io.Reader, use func(h *tar.Header, content io.Reader) error) error {
	for in := tar.NewReader(archive); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = use(h, in)
		}
		if err != nil {
			return err
		}
	}
}

func addFiles(out *tar.Writer, files []file) error {
	for _, f := range files {
		if err := addFile(out, f); err != nil {
			return fmt.Errorf("add %s: %w", f.name, err)
		}
	}
	return nil
}

func addFile(out *tar.Writer, f file) error {
	h := &tar.Header{Name: f.name, Mode: f.mode, Typeflag: tar.TypeReg, Size: int64(len(f.text))}
	content := io.Reader(strings.NewReader(f.text))
	switch {
	case f.dir:
		h.Typeflag = tar.TypeDir
	case f.link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.link, 0o777
	case f.source != "":
		opened, err := os.Open(f.source)
		if err != nil {
			return err
		}
		defer opened.Close()
		info, err := opened.Stat()
		if err != nil {
			return err
		}
		h.Size, content = info.Size(), opened
	}
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(out, content)
	return err
}
