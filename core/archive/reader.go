package archive

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unique"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Stats is what a Reader has seen so far. Sizes are in bytes.
type Stats struct {
	Items         int64  // yielded
	Versions      int64  // files of versions that are not the preferred one
	Entries       int64  // files and directories
	Compressed    int64  // taken from the source
	Size          int64  // decompressed
	FormatVersion string // of metadata/version, "" when there was none
}

// Reader reads an archive as a stream, once. It is not safe for concurrent use.
type Reader struct {
	// OnBad, when set, is called for every entry that is faulty by itself
	// (ErrBadPath, ErrBadEntry, ErrDuplicate, ErrMismatch, ErrBadJSON, ErrCopy,
	// ErrNoVersion, and ErrTooLarge of one entry) instead of ending the sequence;
	// the entry is left out. An error it returns ends the sequence. Faults of the
	// archive as a whole (ErrTooLarge, ErrTruncated, ErrCorrupt) always end it.
	//
	// When OnBad is nil the first faulty entry ends the sequence, with two
	// exceptions that lose no item: a copy that differs from its item, and a
	// missing format version. err is without the entry's name.
	OnBad func(entry string, err error) error

	// OnVersion, when set, is given the objects that stand in the archive at
	// versions other than the preferred one (Velero's feature
	// EnableAPIGroupVersions). They are no items of the sequence.
	OnVersion func(item.Item)

	// Only, when set, says which items to read. All other entries are passed
	// over: neither they nor the copies of the items are looked at. It is for an
	// archive that has been read to its end before.
	Only func(item.Key) bool

	src    *source
	tar    *tar.Reader
	limits Limits
	stats  Stats
	scan   scanner
	used   bool
	copied []byte // the latest copy
	// names counts the bytes of the long names of items.
	names nameBudget

	seen map[pathID]struct{}
	// last is the latest item whose copy has not come by; the copy is nearly
	// always the next entry and is compared to it without hashing.
	last lastItem
	// Items and copies that do not stand side by side wait here for each other.
	items  map[pathID][sha256.Size]byte
	copies map[pathID]waitingCopy
}

type lastItem struct {
	at  place
	id  pathID
	raw []byte // as stored; nil when no item waits
}

type waitingCopy struct {
	sum  [sha256.Size]byte
	path string // "" when too many wait already
}

// maxWaitingPaths bounds the paths kept of copies that came before their item.
const maxWaitingPaths = 1000

// NewReader makes a Reader of the gzipped archive in r.
func NewReader(r io.Reader, l Limits) *Reader {
	l = l.withDefaults()
	return &Reader{
		src:    newSource(r, l),
		limits: l,
		seen:   map[pathID]struct{}{},
		items:  map[pathID][sha256.Size]byte{},
		copies: map[pathID]waitingCopy{},
	}
}

// Stats returns what was seen so far.
func (r *Reader) Stats() Stats {
	s := r.stats
	s.Compressed, s.Size = r.src.compressed(), r.src.size
	return s
}

// Items yields the items in the archive's order, once. An error is yielded at
// most once and ends the sequence; a sequence that ends without one was read
// to the end of the source, gzip's sum included. Raw is the JSON as stored but
// for a newline at its end, and belongs to the receiver.
func (r *Reader) Items() iter.Seq2[item.Item, error] {
	return func(yield func(item.Item, error) bool) {
		if r.used {
			yield(item.Item{}, errors.New("archive was read already"))
			return
		}
		r.used = true
		r.tar = tar.NewReader(r.src)
		for {
			it, found, err := r.next()
			if err == io.EOF {
				err = r.finish()
				if err == nil {
					return
				}
			}
			if err != nil {
				yield(item.Item{}, err)
				return
			}
			if found && !yield(it, nil) {
				return
			}
		}
	}
}

// next handles one entry; found says that it is an item. io.EOF is the end of
// the tar.
func (r *Reader) next() (it item.Item, found bool, err error) {
	h, err := r.tar.Next()
	if err == io.EOF { //nolint:errorlint // an error that wraps it is no end
		return it, false, io.EOF
	}
	if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
		return it, false, r.src.fault(err)
	}
	if r.stats.Entries++; r.stats.Entries > r.limits.MaxEntries {
		return it, false, fmt.Errorf("archive has more than %d entries: %w", r.limits.MaxEntries, ErrTooLarge)
	}
	if err := r.limits.checkHeader(h); err != nil {
		return it, false, r.bad(h.Name, err)
	}
	if h.Typeflag == tar.TypeDir {
		if err := checkParent(h.Name); err != nil {
			return it, false, r.bad(h.Name, err)
		}
		return it, false, nil
	}
	if err := checkType(h); err != nil {
		return it, false, r.bad(h.Name, err)
	}
	kind, at, err := parsePath(h.Name)
	if err != nil {
		return it, false, r.bad(h.Name, err)
	}
	if r.Only != nil && (kind != plainItem || !at.escaped() && !r.Only(item.Key(at))) {
		return it, false, nil
	}
	id := idOf(h.Name)
	if _, twice := r.seen[id]; twice {
		return it, false, r.bad(h.Name, ErrDuplicate)
	}
	r.seen[id] = struct{}{}
	raw, err := r.content(h, kind)
	if err != nil {
		return it, false, err
	}
	return r.file(h.Name, kind, at, raw)
}

func (l Limits) checkHeader(h *tar.Header) error {
	switch {
	case len(h.Name) > l.MaxPath:
		return fmt.Errorf("%w: path of %d bytes, at most %d are allowed", ErrTooLarge, len(h.Name), l.MaxPath)
	case h.Size > l.MaxEntrySize:
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, h.Size, l.MaxEntrySize)
	}
	return nil
}

func checkType(h *tar.Header) error {
	if h.Typeflag != tar.TypeReg {
		return fmt.Errorf("%w: %s", ErrBadEntry, typeName(h.Typeflag))
	}
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return fmt.Errorf("%w: sparse file", ErrBadEntry)
		}
	}
	return nil
}

func typeName(flag byte) string {
	switch flag {
	case tar.TypeLink:
		return "hard link"
	case tar.TypeSymlink:
		return "symbolic link"
	case tar.TypeChar, tar.TypeBlock:
		return "device"
	case tar.TypeFifo:
		return "named pipe"
	case tar.TypeGNUSparse:
		return "sparse file"
	}
	return fmt.Sprintf("type %q", flag)
}

// content reads an entry, and all but copies into memory of its own: an item
// keeps it.
func (r *Reader) content(h *tar.Header, kind pathKind) ([]byte, error) {
	var raw []byte
	if kind == preferredCopy {
		r.copied = slices.Grow(r.copied[:0], int(h.Size))
		raw = r.copied[:h.Size]
	} else {
		raw = make([]byte, h.Size)
	}
	if _, err := io.ReadFull(r.tar, raw); err != nil {
		return nil, &EntryError{Entry: h.Name, Err: r.src.fault(unexpectedEOF(err))}
	}
	return raw, nil
}

func (r *Reader) file(path string, kind pathKind, at place, raw []byte) (it item.Item, found bool, err error) {
	switch kind {
	case metadataFile:
		if path == VersionFile {
			r.stats.FormatVersion = string(bytes.TrimSpace(raw[:min(len(raw), 64)]))
		}
		return it, false, nil
	case preferredCopy:
		return it, false, r.pairCopy(at, path, raw)
	}
	if kind == plainItem && r.Only == nil {
		if err := r.pairItem(at, path, raw); err != nil {
			return it, false, err
		}
	}
	it, err = r.item(at, raw)
	if err != nil {
		return item.Item{}, false, r.bad(path, err)
	}
	if kind == otherVersion {
		r.stats.Versions++
		if r.OnVersion != nil {
			r.OnVersion(it)
		}
		return it, false, nil
	}
	if r.Only != nil && !r.Only(it.Key) {
		return item.Item{}, false, nil
	}
	if err := r.unique(path, at, it.Key); err != nil {
		return item.Item{}, false, r.bad(path, err)
	}
	r.stats.Items++
	return it, true, nil
}

// unique finds an item that is in the archive under both of the paths it can have.
func (r *Reader) unique(path string, at place, k item.Key) error {
	other := placeOf(k)
	if other == at {
		return nil
	}
	id := idOf(other.path(""))
	if _, twice := r.seen[id]; twice {
		return fmt.Errorf("%w: the item is also at %s", ErrDuplicate, shown(other.path("")))
	}
	r.seen[id] = struct{}{}
	return nil
}

// item makes an item of a file, if the file holds the object its path names.
// The version in the path of a copy is not compared: Velero takes it before
// its plugins run, and they may change the object's version.
func (r *Reader) item(at place, raw []byte) (item.Item, error) {
	raw = bytes.TrimSuffix(raw, []byte("\n"))
	head, err := r.scan.scan(raw, r.limits.MaxDepth)
	if err != nil {
		return item.Item{}, err
	}
	group, version, found := strings.Cut(head.APIVersion, "/")
	if !found {
		group, version = "", head.APIVersion
	}
	switch {
	case group != at.Group:
		return item.Item{}, mismatch("group", group, at.Group)
	case head.Namespace != at.Namespace:
		return item.Item{}, mismatch("namespace", head.Namespace, at.Namespace)
	case !at.holds(head.Name):
		return item.Item{}, mismatch("name", head.Name, at.Name)
	case version == "" || strings.Contains(version, "/"):
		return item.Item{}, fmt.Errorf("%w: apiVersion %s", ErrBadJSON, shown(head.APIVersion))
	}
	if err := cmp.Or(checkName(head.Name), r.names.add(head.Name, r.limits)); err != nil {
		return item.Item{}, err
	}
	key := item.Key(at)
	key.Name = head.Name
	return item.Item{Key: owned(key), Version: shared(version), Kind: shared(head.Kind), Raw: raw}, nil
}

// owned is the key without the path it was cut out of: an index of items would
// keep all paths in memory, and most of each is what others have too.
func owned(k item.Key) item.Key {
	return item.Key{Group: shared(k.Group), Resource: shared(k.Resource), Namespace: shared(k.Namespace), Name: strings.Clone(k.Name)}
}

func shared(s string) string { return unique.Make(s).Value() }

func mismatch(what, inObject, inPath string) error {
	return fmt.Errorf("%w: %s is %s in the object and %s in the path", ErrMismatch, what, shown(inObject), shown(inPath))
}

// pairItem compares an item with its copy when that came first, or makes it
// wait for it.
func (r *Reader) pairItem(at place, path string, raw []byte) error {
	r.park()
	id := idOf(path)
	if c, waiting := r.copies[id]; waiting {
		delete(r.copies, id)
		return r.compare(path, c.sum == sha256.Sum256(raw))
	}
	r.last = lastItem{at: at, id: id, raw: raw}
	return nil
}

// pairCopy compares a copy with its item, or makes it wait for it.
func (r *Reader) pairCopy(at place, path string, raw []byte) error {
	if r.last.raw != nil && r.last.at == at {
		same := bytes.Equal(r.last.raw, raw)
		r.last = lastItem{}
		return r.compare(path, same)
	}
	id, sum := idOf(at.path("")), sha256.Sum256(raw)
	if want, waiting := r.items[id]; waiting {
		delete(r.items, id)
		return r.compare(path, want == sum)
	}
	c := waitingCopy{sum: sum}
	if len(r.copies) < maxWaitingPaths {
		c.path = path
	}
	r.copies[id] = c
	return nil
}

func (r *Reader) compare(path string, same bool) error {
	if same {
		return nil
	}
	return r.note(path, ErrCopy)
}

// park puts the last item where a copy that comes later finds it.
func (r *Reader) park() {
	if r.last.raw != nil {
		r.items[r.last.id] = sha256.Sum256(r.last.raw)
		r.last = lastItem{}
	}
}

// finish looks at what only the end can tell.
func (r *Reader) finish() error {
	if err := r.src.finish(); err != nil || r.Only != nil {
		return err
	}
	if r.stats.FormatVersion == "" {
		if err := r.note(VersionFile, ErrNoVersion); err != nil {
			return err
		}
	}
	return r.lostItems()
}

// lostItems reports the copies no item came to: whoever restores without the
// feature EnableAPIGroupVersions would not see these objects.
func (r *Reader) lostItems() error {
	var paths []string
	for _, c := range r.copies {
		if c.path != "" {
			paths = append(paths, c.path)
		}
	}
	slices.Sort(paths)
	for _, p := range paths {
		if err := r.bad(p, fmt.Errorf("%w: there is a copy for the preferred version, but no item", ErrCopy)); err != nil {
			return err
		}
	}
	return nil
}

// bad reports an entry that cannot be used.
func (r *Reader) bad(entry string, err error) error {
	if r.OnBad == nil {
		return &EntryError{Entry: entry, Err: err}
	}
	return r.OnBad(entry, err)
}

// note reports a fault that loses no item.
func (r *Reader) note(entry string, err error) error {
	if r.OnBad == nil {
		return nil
	}
	return r.OnBad(entry, err)
}
