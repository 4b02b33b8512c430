package kind

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

const (
	// OldEnough is the age from which a sandbox counts as left behind if its owner
	// cannot be checked: no drill takes so long.
	OldEnough = 24 * time.Hour
	// newborn is the age up to which an unlocked folder may have an
	// owner that is about to lock it.
	newborn = time.Minute
)

// SweepOptions set where to look and what counts as left behind.
type SweepOptions struct {
	Dir       string        // as in Sandbox
	OlderThan time.Duration // 0 means OldEnough
	DryRun    bool          // only report what would be removed
}

// Leftover is a sandbox that was left behind, or its folder.
type Leftover struct {
	Name   string    `json:"name"`
	Made   time.Time `json:"made"`
	Reason string    `json:"reason"` // why it counts as left behind
}

// Sweep removes the sandboxes whose verifier was killed, with their folders, and
// returns what it removed. A sandbox stays when
//   - its name is not exactly of our form: it belongs to another program;
//   - its owner holds the lock on its folder, which a process does as long as it
//     lives;
//   - its folder is not in Dir, and its owner may live: its process number is in
//     use, or means nothing here because it was made on another machine, in
//     another container or before the last boot. Then age decides.
func Sweep(ctx context.Context, o SweepOptions) ([]Leftover, error) {
	if o.Dir == "" {
		o.Dir = os.TempDir()
	}
	if o.OlderThan <= 0 {
		o.OlderThan = OldEnough
	}
	found, err := candidates(ctx, o.Dir)
	if err != nil {
		return nil, err
	}
	var removed []Leftover
	var failed []error
	for _, c := range found {
		swept, err := c.sweep(ctx, o)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if swept != nil {
			removed = append(removed, *swept)
		}
	}
	if len(removed) > 0 && !o.DryRun {
		failed = append(failed, removeNetwork(ctx))
	}
	return removed, errors.Join(failed...)
}

// candidate is what there is of a sandbox.
type candidate struct {
	name   name
	image  string // of its container, or as its folder has it; may be ""
	folder string // "" if there is only a container
}

// candidates are the containers and folders with a name of ours, oldest first.
func candidates(ctx context.Context, dir string) ([]candidate, error) {
	byName := map[name]candidate{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("look for sandboxes: %w", err)
	}
	for _, e := range entries {
		if n, ok := parseName(e.Name()); ok && e.IsDir() {
			c := candidate{name: n, folder: filepath.Join(dir, e.Name())}
			image, _ := os.ReadFile(filepath.Join(c.folder, imageFile)) // may not be there yet, or be another user's
			c.image = string(image)
			byName[n] = c
		}
	}
	containers, err := docker(ctx, nil, "ps", "--all", "--filter", "label="+clusterLabel, "--format", `{{.Names}} {{.Label "`+clusterLabel+`"}} {{.Image}}`)
	switch {
	case (errors.Is(err, exec.ErrNotFound) || noDaemon(err)) && len(byName) == 0:
		return nil, nil // no folder of one either: a host that never ran one
	case err != nil:
		return nil, fmt.Errorf("look for sandboxes: %w", err)
	}
	for _, line := range lines(containers) {
		n, image, ok := parseContainer(line)
		if !ok {
			continue
		}
		c := byName[n]
		c.name, c.image = n, image
		byName[n] = c
	}
	out := make([]candidate, 0, len(byName))
	for _, c := range byName {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b candidate) int {
		return cmp.Or(a.name.made.Compare(b.name.made), cmp.Compare(a.name.String(), b.name.String()))
	})
	return out, nil
}

// parseContainer reads "name cluster image" of a container. It is ours only if
// its cluster has a name of ours and it is that cluster's one node.
func parseContainer(line string) (n name, image string, ok bool) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return name{}, "", false
	}
	n, ok = parseName(fields[1])
	return n, fields[2], ok && fields[0] == n.node()
}

// ownership is what can be known of the owner of a sandbox.
type ownership struct {
	folder      folderState
	sameMachine bool // as this process: its number means here what it meant there
	alive       bool // a process of its number lives, if sameMachine
	age         time.Duration
}

type folderState int

const (
	noFolder folderState = iota // or one that cannot be looked at
	folderLocked
	folderFree
)

// leftBehind decides, and reports why. Whoever holds the lock on its folder lives.
func (o ownership) leftBehind(pid int, olderThan time.Duration) (reason string, ok bool) {
	aboutToLock := o.sameMachine && o.alive && o.age < newborn
	switch {
	case o.folder == folderFree && !aboutToLock:
		return "its verifier has ended without removing it", true
	case o.folder == noFolder && o.sameMachine && !o.alive:
		return fmt.Sprintf("its verifier, process %d, has ended", pid), true
	case o.folder == noFolder && o.age >= olderThan:
		return fmt.Sprintf("created %s ago by a verifier that cannot be checked from here", o.age.Round(time.Minute)), true
	}
	return "", false
}

// sweep removes the candidate if it was left behind. The lock is held until its
// folder is gone, so that two sweeps do not meet.
func (c candidate) sweep(ctx context.Context, o SweepOptions) (*Leftover, error) {
	who := ownership{sameMachine: c.name.machine == sandbox.Machine(), age: time.Since(c.name.made)}
	who.alive = who.sameMachine && sandbox.Alive(c.name.pid)
	if c.folder != "" {
		lock, err := sandbox.LockDir(c.folder)
		switch {
		case err == nil:
			defer lock.Close()
			who.folder = folderFree
		case errors.Is(err, syscall.EAGAIN):
			who.folder = folderLocked
		}
	}
	reason, left := who.leftBehind(c.name.pid, o.OlderThan)
	if !left {
		return nil, nil
	}
	out := &Leftover{Name: c.name.String(), Made: c.name.made.UTC(), Reason: reason}
	if o.DryRun {
		return out, nil
	}
	if err := vacate(ctx, c.name, c.image); err != nil {
		return nil, err
	}
	if c.folder == "" {
		return out, nil
	}
	if err := os.RemoveAll(c.folder); err != nil {
		return nil, fmt.Errorf("remove the folder of a dead sandbox: %w", err)
	}
	return out, nil
}
