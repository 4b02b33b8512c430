package archive

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// level is gzip's. The copy of an item follows it at once: up to level 4 it is
// one long match and costs next to nothing, from level 5 on each of its bytes is
// looked at. Of 10,000 objects (test/bench), levels 1 to 6 take 140, 146, 160,
// 200, 224 and 245 ms of CPU time and make 7.8, 7.3, 7.2, 7.1, 6.7 and 6.6 MB.
const level = 2

// outBuffer gathers what gzip hands over in pieces of some 250 bytes.
const outBuffer = 64 << 10

// Options of a Writer.
type Options struct {
	// ModTime is the time of every entry, cut to seconds; the same
	// items with the same ModTime make the same bytes. The zero value is the
	// Unix epoch.
	ModTime time.Time
}

// Digest is the size in bytes and the SHA-256, lower-case hex, of an item's
// JSON as it is in the archive.
type Digest struct {
	Size   int64
	SHA256 string
}

// Writer writes an archive as a stream. It is not safe for concurrent use.
type Writer struct {
	out     *bufio.Writer
	packed  written // between gzip and out
	gz      *gzip.Writer
	plain   written // between tar and gzip
	entries int64
	tar     *tar.Writer
	modTime time.Time
	limits  Limits
	names   nameBudget
	seen    map[pathID]struct{}
	started bool
	err     error // of the stream: after it nothing more can be written
}

// NewWriter makes a Writer to w. Nothing is written before the first Add.
func NewWriter(w io.Writer, o Options) *Writer {
	modTime := time.Unix(0, 0)
	if !o.ModTime.IsZero() {
		modTime = o.ModTime.Truncate(time.Second)
	}
	a := &Writer{
		out:     bufio.NewWriterSize(w, outBuffer),
		modTime: modTime.UTC(),
		limits:  Limits{}.withDefaults(),
		seen:    map[pathID]struct{}{},
	}
	a.packed.w = a.out
	a.gz, a.err = gzip.NewWriterLevel(&a.packed, level)
	a.plain.w = a.gz
	a.tar = tar.NewWriter(&a.plain)
	return a
}

// Add writes an item and its copy for the preferred version. An item the
// archive cannot hold is refused with an *EntryError that wraps ErrBadPath,
// ErrTooLarge, ErrBadJSON or ErrDuplicate; nothing is written then and the
// Writer stays usable. Any other error is final: it comes from the stream, or
// says that the archive as a whole would be over a limit of its readers.
func (w *Writer) Add(it item.Item) (Digest, error) {
	if w.err != nil {
		return Digest{}, w.err
	}
	path, copyPath, err := w.paths(it)
	id := idOf(path)
	if _, twice := w.seen[id]; err == nil && twice {
		err = ErrDuplicate
	}
	if err != nil {
		return Digest{}, &EntryError{Entry: it.Key.String(), Err: err}
	}
	w.seen[id] = struct{}{}
	w.start()
	w.file(path, it.Raw)
	w.file(copyPath, it.Raw)
	w.checkWhole()
	if w.err != nil {
		return Digest{}, w.err
	}
	sum := sha256.Sum256(it.Raw)
	return Digest{Size: int64(len(it.Raw)), SHA256: hex.EncodeToString(sum[:])}, nil
}

// paths decides whether the archive can hold an item, and where. What it
// accepts, a Reader with default limits accepts too.
func (w *Writer) paths(it item.Item) (path, copyPath string, err error) {
	if err := checkName(it.Key.Name); err != nil {
		return "", "", err
	}
	path, copyPath = ItemPath(it.Key), CopyPath(it.Key, it.Version)
	_, at, err := parsePath(path)
	if err != nil {
		return "", "", err
	}
	if at != placeOf(it.Key) {
		return "", "", fmt.Errorf("%w: %s would be read as %s", ErrBadPath, shown(path), item.Key(at))
	}
	if !safeSegment(it.Version) {
		return "", "", fmt.Errorf("%w: version %s", ErrBadPath, shown(it.Version))
	}
	if len(copyPath) > w.limits.MaxPath {
		return "", "", fmt.Errorf("%w: path of %d bytes, at most %d are allowed", ErrTooLarge, len(copyPath), w.limits.MaxPath)
	}
	if int64(len(it.Raw)) > w.limits.MaxEntrySize {
		return "", "", fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, len(it.Raw), w.limits.MaxEntrySize)
	}
	if err := checkDepth(it.Raw, w.limits.MaxDepth); err != nil {
		return "", "", err
	}
	if err := w.names.add(it.Key.Name, w.limits); err != nil {
		return "", "", err
	}
	return path, copyPath, nil
}

// checkWhole makes an archive that no reader would take an error while it is
// written, in place of a backup that cannot be restored.
func (w *Writer) checkWhole() {
	over := ""
	switch l := w.limits; {
	case w.err != nil:
		return
	case w.entries > l.MaxEntries:
		over = fmt.Sprintf("more than %d entries", l.MaxEntries)
	case w.plain.n+endMarker > l.MaxSize:
		over = fmt.Sprintf("more than %d bytes", l.MaxSize)
	case w.plain.n > l.RatioFloor && w.plain.n/l.MaxRatio > w.packed.n:
		over = fmt.Sprintf("objects so much alike that they compress more than %d to 1, as those made to fill a disk do", l.MaxRatio)
	default:
		return
	}
	w.err = fmt.Errorf("archive would have %s: %w; back up fewer namespaces or resources at a time", over, ErrTooLarge)
}

// Close ends the archive. It does not close the writer underneath. An archive
// without items is valid.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	w.start()
	if w.err != nil {
		return w.err
	}
	if err := errors.Join(w.tar.Close(), w.gz.Close(), w.out.Flush()); err != nil {
		w.err = fmt.Errorf("end archive: %w", err)
		return w.err
	}
	w.err = errors.New("archive is closed")
	return nil
}

func (w *Writer) start() {
	if w.started {
		return
	}
	w.started = true
	w.file(VersionFile, []byte(FormatVersion+"\n"))
}

func (w *Writer) file(path string, content []byte) {
	if w.err != nil {
		return
	}
	w.entries++
	h := &tar.Header{Typeflag: tar.TypeReg, Name: path, Size: int64(len(content)), Mode: 0o755, ModTime: w.modTime}
	err := w.tar.WriteHeader(h)
	if err == nil {
		_, err = w.tar.Write(content)
	}
	if err != nil {
		w.err = fmt.Errorf("write %s: %w", shown(path), err)
	}
}

// written counts what is written through it.
type written struct {
	w io.Writer
	n int64
}

func (c *written) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
