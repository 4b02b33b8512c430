package kopia

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"
)

// Extracted is what an extraction did.
type Extracted struct {
	Files, Directories, Links int
	Bytes                     int64
	// Refused are entries that were not written, with the reason of each.
	Refused []BadEntry
	// Unset counts entries whose owner, mode or time could not be set: an owner needs
	// root, and some file systems keep none of them.
	Unset int
}

// maxRefused bounds how many refused entries are kept by name.
const maxRefused = 1000

func (x *Extracted) refuse(b BadEntry) {
	if len(x.Refused) < maxRefused {
		x.Refused = append(x.Refused, b)
	}
}

// Find returns the entry of a path, relative to the root of the volume and with
// slashes. It returns an error that wraps os.ErrNotExist if there is none.
func (r *Repository) Find(ctx context.Context, s *Snapshot, p string) (Entry, error) {
	at := s.Root
	for name := range strings.SplitSeq(strings.Trim(path.Clean("/"+p), "/"), "/") {
		if name == "" {
			continue
		}
		if at.Type != Directory {
			return Entry{}, fmt.Errorf("%q: %w", p, os.ErrNotExist)
		}
		children, err := r.children(ctx, at, func(BadEntry) {})
		if err != nil {
			return Entry{}, fmt.Errorf("read directory %q: %w", "/"+at.Path, err)
		}
		found := false
		for _, c := range children {
			if path.Base(c.Path) == name {
				at, found = c, true
				break
			}
		}
		if !found {
			return Entry{}, fmt.Errorf("%q: %w", p, os.ErrNotExist)
		}
	}
	return at, nil
}

// Extract writes an entry and what is below it into a directory. A file appears under
// its name when it is complete. Everything stays below the directory: no symbolic link
// is followed. Entries that cannot be written because of their name or type are
// refused; a failure of the repository or of the disk ends the extraction.
func (r *Repository) Extract(ctx context.Context, s *Snapshot, from Entry, to *os.Root, progress func(Extracted)) (Extracted, error) {
	w := &extraction{repo: r, base: from.Path, to: to, progress: progress}
	if from.Type != Directory {
		w.base = strings.TrimSuffix(path.Dir("/"+from.Path), "/") // its directory
		w.base = strings.TrimPrefix(w.base, "/")
	}
	sub := *s
	sub.Root = from
	err := r.Walk(ctx, &sub, func(e Entry) error { return w.visit(ctx, e) }, w.leave, w.done.refuse)
	return w.done, err
}

type extraction struct {
	repo     *Repository
	base     string
	to       *os.Root
	progress func(Extracted)
	done     Extracted
}

func (w *extraction) name(e Entry) string {
	if e.Path == w.base {
		return "."
	}
	return strings.TrimPrefix(strings.TrimPrefix(e.Path, w.base), "/")
}

func (w *extraction) visit(ctx context.Context, e Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name := w.name(e)
	var err error
	switch e.Type {
	case Directory:
		w.done.Directories++
		if name != "." {
			err = w.to.Mkdir(name, 0o700)
		}
	case Symlink:
		err = w.link(ctx, e, name)
	default:
		err = w.file(ctx, e, name)
	}
	if err != nil {
		return fmt.Errorf("extract %q: %w", "/"+e.Path, err)
	}
	if w.progress != nil {
		w.progress(w.done)
	}
	return nil
}

// leave sets what writing into a directory would change again.
func (w *extraction) leave(e Entry) error {
	name := w.name(e)
	if name == "." {
		return nil // the directory is the user's
	}
	if err := w.attributes(e, name); err != nil {
		return fmt.Errorf("extract %q: %w", "/"+e.Path, err)
	}
	return nil
}

func (w *extraction) link(ctx context.Context, e Entry, name string) error {
	target, err := w.repo.Target(ctx, e)
	if err != nil {
		return err
	}
	if err := w.to.Symlink(target, name); err != nil {
		return err
	}
	w.done.Links++
	return w.set(func() error { return w.to.Lchown(name, int(e.UID), int(e.GID)) })
}

func (w *extraction) file(ctx context.Context, e Entry, name string) error {
	part := path.Join(path.Dir(name), ".lifeboat-"+rand.Text())
	out, err := w.to.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := w.content(ctx, e, out)
	err = errors.Join(err, out.Close())
	if err == nil {
		err = w.attributes(e, part)
	}
	if err == nil {
		err = w.to.Rename(part, name)
	}
	if err != nil {
		_ = w.to.Remove(part) // the first error is the one to know
		return err
	}
	w.done.Files++
	w.done.Bytes += n
	return nil
}

// content copies a file. Blocks of zeros become holes.
func (w *extraction) content(ctx context.Context, e Entry, out *os.File) (int64, error) {
	in, err := w.repo.Open(ctx, e)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	n, err := copySparse(ctx, out, in)
	if err == nil && n != e.Size {
		err = fmt.Errorf("the repository has %d of %d bytes", n, e.Size)
	}
	return n, err
}

// sparseBlock is the size of a hole, in bytes.
const sparseBlock = 64 << 10

func copySparse(ctx context.Context, out *os.File, in io.Reader) (n int64, err error) {
	buffer := make([]byte, sparseBlock)
	for {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		k, err := io.ReadFull(in, buffer)
		if k > 0 {
			if werr := writeBlock(out, buffer[:k]); werr != nil {
				return n, werr
			}
			n += int64(k)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return n, out.Truncate(n) // a hole at the end
		case err != nil:
			return n, err
		}
	}
}

func writeBlock(out *os.File, b []byte) error {
	for _, c := range b {
		if c != 0 {
			_, err := out.Write(b)
			return err
		}
	}
	_, err := out.Seek(int64(len(b)), io.SeekCurrent)
	return err
}

// attributes sets the owner before the mode, because a change of the owner clears
// setuid, and the time last.
func (w *extraction) attributes(e Entry, name string) error {
	return w.set(
		func() error { return w.to.Lchown(name, int(e.UID), int(e.GID)) },
		func() error { return w.to.Chmod(name, e.Mode) },
		func() error { return w.to.Chtimes(name, time.Time{}, e.Modified) },
	)
}

// set sets attributes of one entry. What the user or the file system cannot set is
// counted: the content matters more.
func (w *extraction) set(attributes ...func() error) error {
	unset := false
	for _, set := range attributes {
		switch err := set(); {
		case errors.Is(err, os.ErrPermission), errors.Is(err, errors.ErrUnsupported):
			unset = true
		case err != nil:
			return err
		}
	}
	if unset {
		w.done.Unset++
	}
	return nil
}

// Tar writes an entry and what is below it as a tar archive.
func (r *Repository) Tar(ctx context.Context, s *Snapshot, from Entry, out io.Writer) (Extracted, error) {
	w := &archiver{repo: r, out: tar.NewWriter(out)}
	sub := *s
	sub.Root = from
	err := r.Walk(ctx, &sub, func(e Entry) error { return w.visit(ctx, e) }, nil, w.done.refuse)
	if err == nil {
		err = w.out.Close()
	}
	return w.done, err
}

type archiver struct {
	repo *Repository
	out  *tar.Writer
	done Extracted
}

func (w *archiver) visit(ctx context.Context, e Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h := &tar.Header{Name: e.Path, Mode: tarMode(e.Mode), Uid: int(e.UID), Gid: int(e.GID), ModTime: e.Modified, Format: tar.FormatPAX}
	switch e.Type {
	case Directory:
		w.done.Directories++
		h.Typeflag, h.Name = tar.TypeDir, path.Clean("./"+e.Path)+"/"
		return w.out.WriteHeader(h)
	case Symlink:
		target, err := w.repo.Target(ctx, e)
		if err != nil {
			return fmt.Errorf("read %q: %w", "/"+e.Path, err)
		}
		w.done.Links++
		h.Typeflag, h.Linkname = tar.TypeSymlink, target
		return w.out.WriteHeader(h)
	}
	h.Typeflag, h.Size = tar.TypeReg, e.Size
	if err := w.out.WriteHeader(h); err != nil {
		return err
	}
	in, err := w.repo.Open(ctx, e)
	if err != nil {
		return fmt.Errorf("read %q: %w", "/"+e.Path, err)
	}
	defer in.Close()
	n, err := io.Copy(w.out, io.LimitReader(in, e.Size))
	if err == nil && n != e.Size {
		err = fmt.Errorf("the repository has %d of %d bytes", n, e.Size)
	}
	if err != nil {
		return fmt.Errorf("read %q: %w", "/"+e.Path, err)
	}
	w.done.Files++
	w.done.Bytes += n
	return nil
}

func tarMode(m os.FileMode) int64 {
	out := int64(m.Perm())
	for flag, bit := range map[os.FileMode]int64{os.ModeSetuid: 0o4000, os.ModeSetgid: 0o2000, os.ModeSticky: 0o1000} {
		if m&flag != 0 {
			out |= bit
		}
	}
	return out
}
