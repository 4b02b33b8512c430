package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// The labels of the image. kind promises that a node image fits the kind it was
// made for and no other.
const (
	labelKind       = "dev.lifeboat.node.kind"
	labelKubernetes = "dev.lifeboat.node.kubernetes"
	labelInputs     = "dev.lifeboat.node.inputs"
)

const (
	repository = "lifeboat/node"       // what users name, tagged by Kubernetes' version
	builds     = "lifeboat/node-build" // the same image, tagged by its inputs
	folder     = "tools/nodeimage"     // of this command's sources, below the root
)

// inputs are what decides about the content of the image.
type inputs struct {
	root       string // of the repository
	kind       string // version of the library, with the leading v
	kubernetes string // with the leading v
	digest     string // SHA-256 over everything that goes in, in hex
}

// reference is the name that users give; build names the image after its inputs.
func (in inputs) reference() string { return repository + ":" + in.kubernetes }
func (in inputs) build() string     { return builds + ":" + in.digest[:12] }
func (in inputs) source() string    { return filepath.Join(in.root, folder) }

func gatherInputs(ctx context.Context) (inputs, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return inputs{}, fmt.Errorf("go env: %w", err)
	}
	in := inputs{root: filepath.Dir(strings.TrimSpace(string(mod)))}
	if in.kind, err = kindVersion(ctx, in.root); err != nil {
		return inputs{}, err
	}
	modules, err := os.ReadFile(filepath.Join(in.source(), "modules", "kubernetes.mod"))
	if err != nil {
		return inputs{}, fmt.Errorf("sources of the node image (run it inside the repository): %w", err)
	}
	if in.kubernetes, err = required(string(modules), "k8s.io/kubernetes"); err != nil {
		return inputs{}, err
	}
	sources, err := digest(os.DirFS(in.source()))
	if err != nil {
		return inputs{}, err
	}
	all := fmt.Sprint(sources, runtime.Version(), runtime.GOARCH, in.kind)
	sum := sha256.Sum256([]byte(all))
	in.digest = hex.EncodeToString(sum[:])
	return in, nil
}

// kindVersion is the version of the library that the image is for.
func kindVersion(ctx context.Context, root string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-json", "sigs.k8s.io/kind")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("version of kind in go.mod: %w", withStderr(err))
	}
	var module struct{ Version string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", err
	}
	return module.Version, nil
}

// withStderr adds what a command said to its error.
func withStderr(err error) error {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(e.Stderr))
	}
	return err
}

// required is the version of a module in a go.mod.
func required(mod, path string) (string, error) {
	m := regexp.MustCompile(`(?m)^(?:require )?\t?` + regexp.QuoteMeta(path) + ` (v\S+)`).FindStringSubmatch(mod)
	if m == nil {
		return "", fmt.Errorf("go.mod requires no %s", path)
	}
	return m[1], nil
}

// digest is a SHA-256 over names and contents of a folder's files, tests left
// out, in hex.
func digest(dir fs.FS) (string, error) {
	var lines []string
	err := fs.WalkDir(dir, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := fs.ReadFile(dir, path)
		if err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("%x %s\n", sha256.Sum256(data), path))
		return nil
	})
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:]), err
}
