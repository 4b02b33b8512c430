package kopia

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/kopia/kopia/repo/object"
	"github.com/kopia/kopia/snapshot"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
)

// Type is what an entry is.
type Type string

// The types of entries that kopia keeps.
const (
	File      Type = "f"
	Directory Type = "d"
	Symlink   Type = "s"
)

// Entry is a file, a directory or a symbolic link of a snapshot.
type Entry struct {
	// Path is relative to the root of the volume, with slashes. It is empty for the
	// root itself.
	Path     string
	Type     Type
	Mode     os.FileMode // permissions, setuid, setgid and sticky
	UID, GID uint32
	Size     int64 // of a file, in bytes
	Modified time.Time

	object object.ID
}

// Limits of a directory: 200,000 entries take about 40 MiB of JSON.
const (
	maxDirectory       = 1 << 30 // bytes of JSON
	maxDirectoryValues = 50_000_000
	maxDepth           = 2000 // directories in directories
	maxLink            = 1 << 16
)

// BadEntry is an entry that is not part of a file system: it is refused, and the rest
// is read.
type BadEntry struct {
	Path   string // of the directory, and the name as it was given
	Reason string
}

func (e BadEntry) Error() string { return fmt.Sprintf("%q: %s", e.Path, e.Reason) }

// Walk calls visit with the root and with each entry below it, a directory before what
// it contains, in the order of the repository. leave, unless it is nil, is called with
// each directory after its contents. bad is called with entries that are refused.
// Walk ends at the first error, which may be a callback's.
//
// It reads the entries as they were written: kopia's own reader shows other times of
// directories and drops duplicate names.
func (r *Repository) Walk(ctx context.Context, s *Snapshot, visit, leave func(Entry) error, bad func(BadEntry)) error {
	if leave == nil {
		leave = func(Entry) error { return nil }
	}
	return r.walk(ctx, s.Root, 0, walker{visit, leave, bad})
}

type walker struct {
	visit, leave func(Entry) error
	bad          func(BadEntry)
}

func (r *Repository) walk(ctx context.Context, e Entry, depth int, w walker) error {
	if err := w.visit(e); err != nil {
		return err
	}
	if e.Type != Directory {
		return nil
	}
	if depth == maxDepth {
		w.bad(BadEntry{e.Path, fmt.Sprintf("more than %d directories deep", maxDepth)})
		return nil
	}
	children, err := r.children(ctx, e, w.bad)
	if err != nil {
		return fmt.Errorf("read directory %q: %w", "/"+e.Path, err)
	}
	for _, child := range children {
		if err := r.walk(ctx, child, depth+1, w); err != nil {
			return err
		}
	}
	return w.leave(e)
}

// children reads a directory.
func (r *Repository) children(ctx context.Context, dir Entry, bad func(BadEntry)) (_ []Entry, err error) {
	defer recovered(&err)
	in, err := r.repo.OpenObject(ctx, dir.object)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var m snapshot.DirManifest
	if err := json.NewDecoder(jsonbound.NewReader(in, jsonbound.Limits{Bytes: maxDirectory, Values: maxDirectoryValues})).Decode(&m); err != nil {
		return nil, err
	}
	if m.StreamType != "kopia:directory" {
		return nil, fmt.Errorf("it is not a directory but %q", m.StreamType)
	}
	out := make([]Entry, 0, len(m.Entries))
	seen := make(map[string]bool, len(m.Entries))
	for _, raw := range m.Entries {
		if raw == nil {
			bad(BadEntry{dir.Path, "an entry is null"})
			continue
		}
		e, err := entryOf(raw, dir.Path)
		switch {
		case err != nil:
			bad(BadEntry{path.Join(dir.Path, raw.Name), err.Error()})
		case seen[raw.Name]:
			bad(BadEntry{e.Path, "the name appears twice in its directory"})
		default:
			seen[raw.Name] = true
			out = append(out, e)
		}
	}
	return out, nil
}

// entryOf checks an entry of the directory dir.
func entryOf(raw *snapshot.DirEntry, dir string) (Entry, error) {
	if err := checkName(raw.Name); err != nil {
		return Entry{}, err
	}
	e := newEntry(raw)
	e.Path = path.Join(dir, raw.Name)
	switch {
	case e.Type != File && e.Type != Directory && e.Type != Symlink:
		return Entry{}, fmt.Errorf("type %q is unknown", raw.Type)
	case e.Size < 0:
		return Entry{}, fmt.Errorf("size %d is negative", e.Size)
	}
	return e, nil
}

func newEntry(raw *snapshot.DirEntry) Entry {
	return Entry{
		Type: Type(raw.Type), Mode: mode(raw.Permissions), UID: raw.UserID, GID: raw.GroupID,
		Size: raw.FileSize, Modified: raw.ModTime.ToTime(), object: raw.ObjectID,
	}
}

// mode converts the permissions of Unix.
func mode(p snapshot.Permissions) os.FileMode {
	m := os.FileMode(p) & os.ModePerm
	for bit, flag := range map[snapshot.Permissions]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if p&bit != 0 {
			m |= flag
		}
	}
	return m
}

// checkName refuses what cannot be the name of a file.
func checkName(name string) error {
	switch {
	case name == "", name == ".", name == "..":
		return errors.New("the name is not that of a file")
	case strings.ContainsAny(name, "/\x00"):
		return errors.New("the name contains a slash or a zero byte")
	case len(name) > 255:
		return errors.New("the name has more than 255 bytes")
	}
	return nil
}

// Open opens the content of a file.
func (r *Repository) Open(ctx context.Context, e Entry) (_ io.ReadSeekCloser, err error) {
	defer recovered(&err)
	return r.repo.OpenObject(ctx, e.object)
}

// Target reads where a symbolic link points.
func (r *Repository) Target(ctx context.Context, e Entry) (_ string, err error) {
	defer recovered(&err)
	in, err := r.repo.OpenObject(ctx, e.object)
	if err != nil {
		return "", err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxLink+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxLink {
		return "", fmt.Errorf("the target has more than %d bytes", maxLink)
	}
	return string(b), nil
}
