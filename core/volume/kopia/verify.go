package kopia

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/content"
)

// Verified is what a verification of a snapshot found.
type Verified struct {
	// Files and Bytes are all of the snapshot; ReadFiles and ReadBytes are those
	// whose content was read.
	Files, ReadFiles int64
	Bytes, ReadBytes int64
	// Problems are what is wrong, by path, at most maxProblems of them; Count is all.
	Problems []BadEntry
	Count    int
}

const maxProblems = 100

func (v *Verified) add(path, format string, args ...any) {
	if v.Count++; len(v.Problems) < maxProblems {
		v.Problems = append(v.Problems, BadEntry{"/" + path, fmt.Sprintf(format, args...)})
	}
}

// ErrUnreachable is returned when the location failed, so that nothing is known about
// the repository.
var ErrUnreachable = errors.New("the location cannot be read")

// Verify checks that everything of a snapshot is in the repository: each directory is
// read, and each part of each file must lie within a pack that exists. Of a share of
// the files, from 0 to 1 and chosen by their paths, the content is read too. Damage is
// a problem of the result; an error means that the check could not be completed.
func (r *Repository) Verify(ctx context.Context, s *Snapshot, share float64) (Verified, error) {
	packs, err := r.packs(ctx)
	if err != nil {
		return Verified{}, fmt.Errorf("list the packs: %w: %w", ErrUnreachable, err)
	}
	w := &verification{repo: r, packs: packs, share: share}
	if err := w.tree(ctx, s.Root, 0); err != nil {
		return w.found, err
	}
	return w.found, nil
}

// packs are the sizes of the blobs that hold content.
func (r *Repository) packs(ctx context.Context) (map[blob.ID]int64, error) {
	r.list.Do(func() {
		r.sizes = map[blob.ID]int64{}
		for _, prefix := range []blob.ID{content.PackBlobIDPrefixRegular, content.PackBlobIDPrefixSpecial} {
			err := r.storage.ListBlobs(ctx, prefix, func(m blob.Metadata) error {
				r.sizes[m.BlobID] = m.Length
				return nil
			})
			r.listed = errors.Join(r.listed, err)
		}
	})
	return r.sizes, r.listed
}

type verification struct {
	repo  *Repository
	packs map[blob.ID]int64
	share float64
	found Verified
}

// problem notes damage, or returns an error if the location failed.
func (w *verification) problem(ctx context.Context, path string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ErrUnreachable):
		return fmt.Errorf("read %q: %w", "/"+path, err)
	}
	w.found.add(path, "%v", err)
	return nil
}

// tree checks an entry and what is below it. Unlike Walk it goes on after damage.
func (w *verification) tree(ctx context.Context, e Entry, depth int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.Type == Directory {
		return w.directory(ctx, e, depth)
	}
	w.found.Files++
	w.found.Bytes += e.Size
	if err := w.problem(ctx, e.Path, w.parts(ctx, e)); err != nil {
		return err
	}
	if !w.chosen(e.Path) {
		return nil
	}
	return w.problem(ctx, e.Path, w.read(ctx, e))
}

func (w *verification) directory(ctx context.Context, e Entry, depth int) error {
	if depth == maxDepth {
		w.found.add(e.Path, "more than %d directories deep", maxDepth)
		return nil
	}
	children, err := w.repo.children(ctx, e, func(b BadEntry) { w.found.add(b.Path, "%s", b.Reason) })
	if err != nil {
		return w.problem(ctx, e.Path, err)
	}
	for _, child := range children {
		if err := w.tree(ctx, child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// parts checks that the packs of a file exist and are long enough.
func (w *verification) parts(ctx context.Context, e Entry) (err error) {
	defer recovered(&err)
	ids, err := w.repo.repo.VerifyObject(ctx, e.object)
	if err != nil {
		return w.repo.cause(err)
	}
	for _, id := range ids {
		info, err := w.repo.repo.ContentInfo(ctx, id)
		if err != nil {
			return w.repo.cause(err)
		}
		switch size, exists := w.packs[info.PackBlobID]; {
		case !exists:
			return fmt.Errorf("pack %s is missing", info.PackBlobID)
		case int64(info.PackOffset)+int64(info.PackedLength) > size:
			return fmt.Errorf("pack %s has %d bytes, and a part of the file ends at %d", info.PackBlobID, size, int64(info.PackOffset)+int64(info.PackedLength))
		}
	}
	return nil
}

// steps is how finely a share is divided.
const steps = 1 << 20

func (w *verification) chosen(path string) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(path)) // it never fails
	return float64(h.Sum32()%steps) < w.share*steps
}

func (w *verification) read(ctx context.Context, e Entry) error {
	in, err := w.repo.Open(ctx, e)
	if err != nil {
		return w.repo.cause(err)
	}
	defer in.Close()
	n, err := copyAll(in)
	switch {
	case err != nil:
		return w.repo.cause(err)
	case n != e.Size && e.Type == File:
		return fmt.Errorf("the repository has %d of %d bytes", n, e.Size)
	}
	w.found.ReadFiles++
	w.found.ReadBytes += n
	return nil
}

func copyAll(in io.Reader) (n int64, err error) {
	defer recovered(&err)
	return io.Copy(io.Discard, in)
}

// cause adds ErrUnreachable to an error if the location failed meanwhile.
func (r *Repository) cause(err error) error {
	if failed := r.storage.failure(); failed != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, failed)
	}
	return err
}
