package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are the paths of the compiled programs.
type programs struct {
	kubernetes, etcd, coredns  string // built in modules of their own
	entrypoint, runtime, pause string // the project's
}

// compile builds all programs, static and without symbols.
func (b *builder) compile(ctx context.Context) (programs, error) {
	bin := filepath.Join(b.cache, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return programs{}, err
	}
	out := func(name string) string { return filepath.Join(bin, name) }
	p := programs{
		kubernetes: out("kubernetes"), etcd: out("etcd"), coredns: out("coredns"),
		entrypoint: out("entrypoint"), runtime: out("runtime"), pause: out("pause"),
	}
	for _, own := range []string{"entrypoint", "runtime", "pause"} {
		if err := goBuild(ctx, filepath.Join(b.in.source(), own), out(own), ""); err != nil {
			return programs{}, err
		}
	}
	for _, module := range []string{"kubernetes", "etcd", "coredns"} {
		b.say("compiling %s", module)
		dir, err := b.unfold(module)
		if err != nil {
			return programs{}, err
		}
		if err := goBuild(ctx, dir, out(module), stamps(module, b.in.kubernetes)); err != nil {
			return programs{}, err
		}
	}
	return p, nil
}

// unfold makes a module of one main file, a go.mod and a go.sum. The repository
// itself holds none for them: their graphs do not fit each other, nor ours.
func (b *builder) unfold(module string) (string, error) {
	dir := filepath.Join(b.cache, "modules", module)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for from, to := range map[string]string{module + ".mod": "go.mod", module + ".sum": "go.sum", module + ".go": "main.go"} {
		data, err := os.ReadFile(filepath.Join(b.in.source(), "modules", from))
		if err != nil {
			return "", err
		}
		data = []byte(strings.TrimPrefix(string(data), "//go:build ignore\n"))
		if err := os.WriteFile(filepath.Join(dir, to), data, 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// stamps tell Kubernetes its version, as its own builds do; kubeadm refuses to
// run without.
func stamps(module, version string) string {
	if module != "kubernetes" {
		return ""
	}
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	var flags []string
	for _, p := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for name, value := range map[string]string{
			"gitVersion": version, "gitMajor": parts[0], "gitMinor": parts[1], "gitCommit": "", "gitTreeState": "clean",
		} {
			flags = append(flags, fmt.Sprintf("-X %s.%s=%s", p, name, value))
		}
	}
	return strings.Join(flags, " ")
}

func goBuild(ctx context.Context, dir, out, ldflags string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w "+ldflags, "-o", out, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build in %s: %w\n%s", dir, err, said)
	}
	return nil
}
