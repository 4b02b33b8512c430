package fs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

// tempPrefix starts the names of temporary files. They lie beside the file to
// be: Velero refuses a location with a top-level folder it does not know.
const tempPrefix = ".lifeboat-tmp-"

func isTemp(name string) bool { return strings.HasPrefix(name, tempPrefix) }

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, key string, r io.Reader) error {
	if err := check(ctx, key); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if err := s.put(ctx, key, r); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, key string, r io.Reader) (err error) {
	// Only link decides; this saves writing a file that cannot be published.
	if err := s.free(key); err != nil {
		return err
	}
	t, err := s.createTemp(path.Dir(key))
	if err != nil {
		return explain(err, s.abs(key))
	}
	defer func() {
		s.discard(t)
		if err != nil {
			s.prune(path.Dir(key))
		}
	}()
	if err := s.fill(ctx, t, r); err != nil {
		return err
	}
	return s.publish(t, key)
}

// free says why key cannot be written, or nil.
func (s *Store) free(key string) error {
	switch info, err := s.root.Lstat(key); {
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s: one of its folders is a file", s.abs(key))
	case absent(err):
		return nil
	case err != nil:
		return explain(err, s.abs(key))
	case info.IsDir():
		return fmt.Errorf("%s is a folder", s.abs(key))
	}
	return store.ErrExists
}

// fill writes r to t, durably.
func (s *Store) fill(ctx context.Context, t *temp, r io.Reader) error {
	src := &source{r: store.ContextReader(ctx, r)}
	if _, err := io.Copy(t.file, src); err != nil {
		if src.err != nil {
			return src.err
		}
		return explain(err, s.abs(path.Dir(t.name)))
	}
	if err := t.file.Sync(); err != nil {
		return explain(err, s.abs(path.Dir(t.name)))
	}
	return ctx.Err()
}

// publish gives t its name, if nothing has that name, in one step.
func (s *Store) publish(t *temp, key string) error {
	err := s.root.Link(t.name, key)
	switch {
	case errors.Is(err, iofs.ErrExist):
		if err := s.free(key); err != nil {
			return err
		}
		return store.ErrExists // and was deleted since
	case errors.Is(err, syscall.EPERM), errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.EMLINK):
		return fmt.Errorf("%s: %w; the file system needs hard links, without which an object could be overwritten", s.abs(key), cause(err))
	case err != nil:
		return explain(err, s.abs(key))
	}
	if err := s.syncDir(path.Dir(key)); err != nil {
		_ = s.root.Remove(key) // not durable, so not there
		return explain(err, s.abs(key))
	}
	return nil
}

// temp is a temporary file, locked as long as its process lives.
type temp struct {
	name string // below the root
	file *os.File
}

// createTemp makes a temporary file in dir, and dir itself when missing.
func (s *Store) createTemp(dir string) (*temp, error) {
	// Another process may remove dir while it is empty, or the new file before
	// it is locked; each round needs such a coincidence again.
	for range 100 {
		err := s.makeDirs(dir)
		var t *temp
		if err == nil {
			s.sweep(dir)
			t, err = s.tryTemp(dir)
		}
		if t != nil || err != nil && !errors.Is(err, iofs.ErrNotExist) {
			return t, err
		}
	}
	return nil, errors.New("another process keeps removing the folder")
}

// tryTemp returns neither a file nor an error when it lost the new one to
// another process's sweep.
func (s *Store) tryTemp(dir string) (*temp, error) {
	name := path.Join(dir, tempPrefix+rand.Text())
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	t := &temp{name: name, file: f}
	if !lock(f) || !s.isStill(t) {
		s.discard(t)
		return nil, nil
	}
	return t, nil
}

// isStill reports whether t has its name yet.
func (s *Store) isStill(t *temp) bool {
	there, err := s.root.Lstat(t.name)
	if err != nil {
		return false
	}
	open, err := t.file.Stat()
	return err == nil && os.SameFile(there, open)
}

// discard removes t's own name and then its lock. Nothing can be done about
// an error: what stays is invisible and swept later.
func (s *Store) discard(t *temp) {
	_ = s.root.Remove(t.name)
	_ = t.file.Close()
}

// sweep removes the temporary files in dir that no living process has locked.
// It is best effort.
func (s *Store) sweep(dir string) {
	d, err := s.root.Open(dir)
	if err != nil {
		return
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return
	}
	for _, name := range names {
		if isTemp(name) {
			s.removeDead(path.Join(dir, name))
		}
	}
}

func (s *Store) removeDead(name string) {
	if !canLock {
		return
	}
	f, err := s.root.OpenFile(name, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if lock(f) {
		_ = s.root.Remove(name)
	}
}

// makeDirs makes dir and its parents below the root, durably.
func (s *Store) makeDirs(dir string) error {
	if dir == "." {
		return nil
	}
	err := s.root.Mkdir(dir, dirMode)
	if errors.Is(err, iofs.ErrNotExist) {
		if err := s.makeDirs(path.Dir(dir)); err != nil {
			return err
		}
		err = s.root.Mkdir(dir, dirMode)
	}
	if errors.Is(err, iofs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.syncDir(path.Dir(dir))
}

func (s *Store) syncDir(dir string) error {
	d, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return syncOpen(d)
}

// syncOpen syncs an open directory. Some network file systems cannot and need
// not; they say EINVAL or "not supported".
func syncOpen(d *os.File) error {
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// makeDir makes the location's own directory with its parents, durably.
func makeDir(dir string) error {
	err := os.Mkdir(dir, dirMode)
	if errors.Is(err, iofs.ErrNotExist) && filepath.Dir(dir) != dir {
		if err := makeDir(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, dirMode)
	}
	if errors.Is(err, iofs.ErrExist) {
		return nil // a file of that name shows when it is opened
	}
	if err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return nil // not readable, so not ours to sync
	}
	defer parent.Close()
	return syncOpen(parent)
}

// source keeps the error of the reader apart from that of the disk, which
// io.Copy returns alike.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
