// Package fs is a store in a directory: file:///dir/prefix.
//
// Every access goes through an os.Root, so that neither a key nor a symbolic
// link inside the directory leads out of it. Objects are regular files; an
// object is written to a temporary file beside its place, synced, and linked
// to its name, which fails when the name is taken: it appears whole, once, and
// survives a power cut. The temporary files of a killed process are never
// listed and go with the next Put or Delete in the same folder. Files are
// readable by their owner only, since backups hold Secrets.
//
// Limits that a bucket does not have: a key cannot be both an object and the
// folder of others ("a" and "a/b"), and the file system must have hard links.
// Symbolic links are not listed; one that stays inside is followed by Get.
package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// Store implements store.Store in one directory.
type Store struct {
	dir  string // absolute
	root *os.Root
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Ranger = (*Store)(nil)
)

// Open opens the directory dir. With create it is made when missing, with its
// parents; otherwise a missing directory is an error, since a mistyped path
// must not look like a location without backups.
func Open(dir string, create bool) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open location %s: %w", dir, err)
	}
	s := &Store{dir: abs}
	if create {
		if err := makeDir(abs); err != nil {
			return nil, fmt.Errorf("make location %s: %w", s, explainOpen(err, abs))
		}
	}
	if s.root, err = os.OpenRoot(abs); err != nil {
		return nil, fmt.Errorf("open location %s: %w", s, explainOpen(err, abs))
	}
	if err := s.readable(); err != nil {
		s.root.Close()
		return nil, fmt.Errorf("open location %s: %w", s, explain(err, abs))
	}
	return s, nil
}

// String is the location's URL.
func (s *Store) String() string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(s.dir)}).String()
}

// Close gives the directory back. A store that is used until the process ends
// needs none.
func (s *Store) Close() error { return s.root.Close() }

// readable opens the directory for listing, which os.OpenRoot does not need.
func (s *Store) readable() error {
	d, err := s.root.Open(".")
	if err != nil {
		return err
	}
	return d.Close()
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := check(ctx, key); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	f, err := s.open(key)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return reader{Reader: store.ContextReader(ctx, f), Closer: f}, nil
}

// GetRange implements store.Ranger.
func (s *Store) GetRange(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := check(ctx, key); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	f, err := s.open(key)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return reader{Reader: store.ContextReader(ctx, io.NewSectionReader(f, offset, length)), Closer: f}, nil
}

func (s *Store) open(key string) (*os.File, error) {
	// O_NONBLOCK: someone's named pipe must not hold up the opening.
	f, err := s.root.OpenFile(key, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if absent(err) {
		return nil, store.ErrNotFound
	}
	if err != nil {
		return nil, explain(err, s.abs(key))
	}
	switch info, err := f.Stat(); {
	case err != nil:
		_ = f.Close()
		return nil, explain(err, s.abs(key))
	case !info.Mode().IsRegular():
		_ = f.Close()
		return nil, store.ErrNotFound
	}
	return f, nil
}

// Delete implements store.Store. Folders that it leaves empty are removed.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := check(ctx, key); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if err := s.remove(key); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

func (s *Store) remove(key string) error {
	switch info, err := s.root.Lstat(key); {
	case absent(err) || err == nil && info.IsDir(): // Remove would remove an empty folder too
		return store.ErrNotFound
	case err != nil:
		return explain(err, s.abs(key))
	}
	if err := s.root.Remove(key); absent(err) {
		return store.ErrNotFound
	} else if err != nil {
		return explain(err, s.abs(key))
	}
	// The deletion is durable before the next one begins: the order in which a
	// backup's files go away must survive a power cut.
	if err := s.syncDir(path.Dir(key)); err != nil && !absent(err) {
		return explain(err, s.abs(key))
	}
	s.prune(path.Dir(key))
	return nil
}

// prune removes dir and its parents as long as they are empty, dead temporary
// files aside. Whatever fails only leaves an empty folder behind.
func (s *Store) prune(dir string) {
	for ; dir != "."; dir = path.Dir(dir) {
		s.sweep(dir)
		if s.root.Remove(dir) != nil {
			return
		}
	}
}

func (s *Store) abs(key string) string { return filepath.Join(s.dir, filepath.FromSlash(key)) }

// check refuses what is no key, and the names of temporary files.
func check(ctx context.Context, key string) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	for segment := range strings.SplitSeq(key, "/") {
		if isTemp(segment) {
			return fmt.Errorf("%w %q: names that start with %s are reserved", store.ErrInvalidKey, key, tempPrefix)
		}
	}
	return ctx.Err()
}

// absent reports whether err says that nothing has that name; ENOTDIR does,
// when one of the folders in the key is a file.
func absent(err error) bool {
	return errors.Is(err, iofs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// explain names the path as the user knows it, and the next step where there
// is one. The errors of os.Root name paths relative to the root, and those of
// temporary files names that no reader has seen.
func explain(err error, name string) error {
	hint := ""
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		hint = "; free space there or choose another location"
	case errors.Is(err, syscall.EFBIG):
		hint = "; raise the limit of the process (ulimit -f) or choose another file system"
	case errors.Is(err, syscall.EROFS):
		hint = "; remount it writable or choose another location"
	case errors.Is(err, iofs.ErrPermission):
		hint = "; check owner and mode of the folder and the user this runs as"
	}
	return fmt.Errorf("%s: %w%s", name, cause(err), hint)
}

func explainOpen(err error, dir string) error {
	info, statErr := os.Stat(dir) // os.OpenRoot has no error of its own for a file
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		return fmt.Errorf("%w: check the path and that the disk is mounted; the first backup into a location makes its folder", cause(err))
	case errors.Is(err, syscall.ENOTDIR), statErr == nil && !info.IsDir():
		return fmt.Errorf("%s is a file or lies below one: name a folder", dir)
	}
	return explain(err, dir)
}

// cause is err without the paths that package os put before it.
func cause(err error) error {
	if pe, ok := errors.AsType[*iofs.PathError](err); ok {
		return pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err
	}
	return err
}

type reader struct {
	io.Reader
	io.Closer
}
