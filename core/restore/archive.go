package restore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// reading is one pass over a backup's archive.
type reading struct {
	store  store.Store
	backup string
	// only says which items to read; nil reads all (archive.Reader).
	only func(item.Key) bool
	// use takes the items in the archive's order.
	use func(item.Item) error
	// bad takes the entries that cannot be used; nil passes over them.
	bad func(entry string, err error) error
}

// read hands on what the archive holds. A nil error means that the archive was
// read to its end and is whole; the digest is that of the file then.
func (r reading) read(ctx context.Context) (manifest.Digest, error) {
	file, err := r.store.Get(ctx, store.Contents(r.backup))
	if err != nil {
		return manifest.Digest{}, fmt.Errorf("read the archive of backup %s: %w", r.backup, err)
	}
	defer file.Close()
	sum := &summed{r: file, hash: sha256.New()}
	a := archive.NewReader(sum, archive.Limits{})
	a.Only = r.only
	a.OnBad = func(entry string, err error) error {
		if r.bad == nil {
			return nil
		}
		return r.bad(entry, err)
	}
	for it, err := range a.Items() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return manifest.Digest{}, fmt.Errorf("read the archive of backup %s: %w", r.backup, err)
		}
		if err := r.use(it); err != nil {
			return manifest.Digest{}, err
		}
	}
	return manifest.Digest{Size: sum.size, SHA256: hex.EncodeToString(sum.hash.Sum(nil))}, nil
}

// summed digests what is read through it.
type summed struct {
	r    io.Reader
	hash hash.Hash
	size int64
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.hash.Write(p[:n])
	s.size += int64(n)
	return n, err
}

// errEnough ends a pass over the archive that has found all it wants.
var errEnough = errors.New("enough")

// indexer makes the index of an archive.
type indexer struct {
	options plan.Options
	digests *digests
	entries []plan.Entry
	refused refusedEntries
}

func (x *indexer) use(it item.Item) error {
	e, err := plan.Examine(it, x.options)
	if err != nil {
		x.refused.add(archive.ItemPath(it.Key), err)
		return x.digests.item(it.Key, sha256.Sum256(it.Raw))
	}
	x.entries = append(x.entries, e)
	return x.digests.item(e.Source(), e.Sum)
}

func (x *indexer) bad(entry string, err error) error {
	switch {
	case errors.Is(err, archive.ErrNoVersion):
		return nil
	case x.digests.known && !errors.Is(err, archive.ErrCopy):
		return &archive.EntryError{Entry: entry, Err: err} // not what was written
	}
	x.refused.add(entry, err)
	return nil
}

// maxRefused bounds the refused entries of an archive that are named, and
// maxRefusedPath what is kept of the path of each.
const (
	maxRefused     = 1000
	maxRefusedPath = 64 << 10
)

// refusedEntries are the entries of an archive that cannot be used. Each is a step of
// the plan that fails; the other items are restored.
type refusedEntries struct {
	list  []refusedEntry
	count int
}

type refusedEntry struct {
	entry string
	err   error
}

func (r *refusedEntries) add(entry string, err error) {
	if r.count++; len(r.list) < maxRefused {
		r.list = append(r.list, refusedEntry{strings.Clone(entry[:min(len(entry), maxRefusedPath)]), err})
	}
}

// apply is the index of an archive with the refused entries. An item that is there
// twice, with no saying which is right, is refused too.
func (r *refusedEntries) apply(entries []plan.Entry, o plan.Options) []plan.Entry {
	if r.count == 0 {
		return entries
	}
	held := make(map[item.Key]int, len(entries))
	for i, e := range entries {
		held[e.Source()] = i
	}
	var more []plan.Entry
	for _, x := range r.list {
		k, known := archive.KeyOf(x.entry)
		i, twice := held[k]
		if twice && i < 0 {
			continue // refused already
		}
		switch reason := x.err.Error(); {
		case !known:
			more = append(more, plan.RefusedEntry(x.entry, reason))
		case twice && errors.Is(x.err, archive.ErrCopy):
			// The item itself is good; a verification reports the copy.
		case twice:
			entries[i], held[k] = o.RefusedItem(k, "refused in the archive: "+reason), -1
		default:
			held[k] = -1
			more = append(more, o.RefusedItem(k, "refused in the archive: "+reason))
		}
	}
	if over := r.count - len(r.list); over > 0 {
		more = append(more, plan.RefusedEntry(fmt.Sprintf("(%d more)", over), "refused in the archive (lifeboat backup verify lists some)"))
	}
	return append(entries, more...)
}
