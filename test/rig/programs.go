package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// buildDigest is set by make to a digest of what the programs are built from. The
// go command sees that tests read it: when a program changes they run again. The
// time of the file, which each build changes, then does not matter.
const buildDigest = "LIFEBOAT_BUILD"

// madeBy is the make target that provides each program that others wrote.
var madeBy = map[string]string{
	"prometheus": "prometheus", "promtool": "prometheus", "alertmanager": "prometheus", "amtool": "prometheus", "kubectl": "kubectl",
}

// Find returns the path of a program of others: make puts their folders into PATH.
func Find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is not in PATH: run `make %s`, which installs it, through make", name, madeBy[name])
	}
	return path, nil
}

// FindProgram returns the path of one of Lifeboat's programs, as `make build` left
// it.
func FindProgram(name string) (string, error) {
	root, err := findRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", name)
	if os.Getenv(buildDigest) != "" {
		return path, nil
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not built: %w (run `make build`)", name, err)
	}
	return path, nil
}

// FindControlPlane returns the lifeboat-controlplane of LIFEBOAT_CONTROLPLANE, or
// the one that `make controlplane` builds.
func FindControlPlane() (string, error) {
	root, err := findRoot()
	if err != nil {
		return "", err
	}
	explicit := filepath.Join(root, "bin", "lifeboat-controlplane")
	if os.Getenv("LIFEBOAT_CONTROLPLANE") != "" {
		explicit = ""
	}
	return sandbox.FindControlPlane(explicit)
}

// buildExporter builds lifeboat-exporter as it is now into dir and returns its path.
func buildExporter(ctx context.Context, dir string) (string, error) {
	root, err := findRoot()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "lifeboat-exporter")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/lifeboat-exporter")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build lifeboat-exporter: %w\n%s", err, out)
	}
	return binary, nil
}

// toolPath is the path of a program that `make tools` builds, in the version that
// tools/versions.mk names.
func toolPath(name, versionVariable string) (string, error) {
	root, err := findRoot()
	if err != nil {
		return "", err
	}
	versions, err := os.ReadFile(filepath.Join(root, "tools", "versions.mk"))
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`(?m)^` + versionVariable + `\s*:=\s*(\S+)`).FindSubmatch(versions)
	if m == nil {
		return "", fmt.Errorf("tools/versions.mk does not set %s", versionVariable)
	}
	path := filepath.Join(root, ".cache", "tools", name+"-"+string(m[1]))
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s %s is not built: %w (run `make tools`, or `make -f tools/tools.mk tools`)", name, m[1], err)
	}
	return path, nil
}

// findRoot finds the repository from the working directory, which for a test is
// its package's.
func findRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "tools", "versions.mk")); err == nil {
			return dir, nil
		}
		if strings.TrimSuffix(dir, string(filepath.Separator)) == filepath.VolumeName(dir) {
			return "", fmt.Errorf("no tools/versions.mk above %s", start)
		}
	}
}
