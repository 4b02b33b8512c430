package fs

import (
	"cmp"
	"context"
	"fmt"
	iofs "io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// List implements store.Store. It holds the names of one folder per level of
// depth in memory. A folder with no object in it is not shown.
func (s *Store) List(ctx context.Context, prefix string, recursive bool) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		l := lister{store: s, ctx: ctx, recursive: recursive, yield: yield}
		if err := store.CheckPrefix(prefix); err != nil {
			l.fail(fmt.Errorf("list: %w", err))
			return
		}
		// "a/b/c" asks for what starts with "c" in the folder "a/b".
		dir, start := path.Split(prefix)
		if _, err := l.folder(dir, start); err != nil {
			l.fail(fmt.Errorf("list %q: %w", prefix, err))
		}
	}
}

// lister is one run of List. It holds a context because it is no longer than
// the call.
type lister struct {
	store     *Store
	ctx       context.Context //nolint:containedctx // see above
	recursive bool
	yield     func(store.Info, error) bool
}

func (l *lister) fail(err error) { l.yield(store.Info{}, err) }

// folder yields what starts with start in dir, which is "" or ends in "/". It
// reports whether to go on.
func (l *lister) folder(dir, start string) (bool, error) {
	entries, err := l.store.entries(dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if err := l.ctx.Err(); err != nil {
			return false, err
		}
		if !strings.HasPrefix(e.Name(), start) {
			continue
		}
		more, err := l.entry(dir, e)
		if !more || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (l *lister) entry(dir string, e iofs.DirEntry) (bool, error) {
	key := dir + e.Name()
	switch {
	case e.IsDir() && l.recursive:
		return l.folder(key+"/", "")
	case e.IsDir():
		holds, err := l.store.holdsObject(l.ctx, key+"/")
		if err != nil || !holds {
			return err == nil, err
		}
		return l.yield(store.Info{Key: key + "/"}, nil), nil
	}
	info, err := l.store.root.Lstat(key) // e.Info would go by path, not through the root
	if absent(err) {
		return true, nil // deleted since the folder was read
	}
	if err != nil {
		return false, explain(err, l.store.abs(key))
	}
	return l.yield(store.Info{Key: key, Size: info.Size(), Modified: info.ModTime()}, nil), nil
}

// holdsObject reports whether there is an object anywhere below dir.
func (s *Store) holdsObject(ctx context.Context, dir string) (bool, error) {
	entries, err := s.entries(dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if !e.IsDir() {
			return true, nil
		}
		if holds, err := s.holdsObject(ctx, dir+e.Name()+"/"); holds || err != nil {
			return holds, err
		}
	}
	return false, nil
}

// entries is what a folder holds of objects and folders, in the order of the
// keys they stand for: "a-b" comes before "a/b", so a folder counts with its
// "/". A folder that is gone, or is a file, holds nothing.
func (s *Store) entries(dir string) ([]iofs.DirEntry, error) {
	name := path.Clean(dir) // "" is "."
	d, err := s.root.Open(name)
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(err, s.abs(name))
	}
	defer d.Close()
	entries, err := d.ReadDir(-1)
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(err, s.abs(name))
	}
	entries = slices.DeleteFunc(entries, func(e iofs.DirEntry) bool {
		return !e.IsDir() && !e.Type().IsRegular() || isTemp(e.Name())
	})
	slices.SortFunc(entries, func(a, b iofs.DirEntry) int { return cmp.Compare(sortKey(a), sortKey(b)) })
	return entries, nil
}

func sortKey(e iofs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}
