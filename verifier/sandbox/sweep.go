package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// newborn is the age up to which an unlocked directory may have an owner that is
// about to lock it.
const newborn = time.Minute

// Sweep removes the data directories in dir that control planes left whose
// owner was killed, and returns their paths. A directory stays when
//   - it is not this user's, or not a directory, or not named by ControlPlane;
//   - its owner holds the lock on it, which a process does as long as it lives;
//   - it is newborn and a process with its owner's PID lives;
//   - a process works in it, as a control plane that is about to end does.
//
// The PID alone is not enough: in a restarted container every verifier has the
// same.
func Sweep(dir string) (removed []string, err error) { return each(dir, removeStale) }

// Stale returns the paths that Sweep would remove.
func Stale(dir string) ([]string, error) { return each(dir, func(string) error { return nil }) }

func removeStale(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("remove data of a dead sandbox: %w", err)
	}
	return nil
}

// each calls act for the data directories of dead owners and returns those for
// which it succeeded.
func each(dir string, act func(path string) error) (done []string, err error) {
	paths, err := filepath.Glob(filepath.Join(escapeGlob(dir), controlPlaneName+"-*"))
	if err != nil {
		return nil, fmt.Errorf("look for data directories in %s: %w", dir, err)
	}
	var failed []error
	for _, path := range paths {
		stale, err := ifStale(path, act)
		if err != nil {
			failed = append(failed, err)
		} else if stale {
			done = append(done, path)
		}
	}
	return done, errors.Join(failed...)
}

// ifStale calls act if the owner of a data directory is dead, and holds the lock
// on it meanwhile.
func ifStale(path string, act func(path string) error) (bool, error) {
	pid, ok := ownerOf(path)
	if !ok {
		return false, nil
	}
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() || !ours(info) {
		return false, nil // gone, or nothing of ours
	}
	if Alive(pid) && time.Since(info.ModTime()) < newborn {
		return false, nil
	}
	lock, err := LockDir(path)
	if err != nil {
		return false, nil // its owner lives, or that is unknown
	}
	defer lock.Close()
	if inUse(path) {
		return false, nil
	}
	return true, act(path)
}

// ownerOf reads the owner's process number out of the name of a data directory:
// lifeboat-controlplane-<pid>-<random>.
func ownerOf(path string) (pid int, ok bool) {
	rest, ok := strings.CutPrefix(filepath.Base(path), controlPlaneName+"-")
	if !ok {
		return 0, false
	}
	number, random, ok := strings.Cut(rest, "-")
	if !ok || random == "" {
		return 0, false
	}
	pid, err := strconv.Atoi(number)
	return pid, err == nil && pid > 0
}

// escapeGlob makes a path stand for itself in a pattern.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
