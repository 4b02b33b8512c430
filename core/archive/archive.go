// Package archive reads and writes Velero's archive: a gzipped tar with one
// JSON file per object, format version 1.1.0 (Velero v1.18,
// site/content/docs/main/output-file-format.md and pkg/archive).
//
// Both directions stream. Nothing is extracted to a file system, and memory
// does not grow with the archive but for 16 bytes per entry that find
// duplicates.
//
// A Reader does not trust its input: every path, size, type and JSON document
// is checked against Limits before an item is handed on. It cannot know that
// the archive is undamaged before it has seen the gzip trailer, so items are
// proven only once the sequence has ended without an error; whoever acts on
// items reads the archive to its end first.
package archive

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
)

// FormatVersion is the version of the archive's layout that a Writer makes
// (Velero v1.18.1, backup.status.formatVersion).
const FormatVersion = "1.1.0"

// VersionFile is the archive's first entry. It holds FormatVersion.
const VersionFile = "metadata/version"

// What can be wrong with an archive. Errors of this package that are about the
// archive wrap exactly one of them; other errors come from the reader or
// writer underneath and say nothing about the archive.
var (
	// ErrTooLarge says that a limit was exceeded.
	ErrTooLarge = errors.New("over the limit")
	// ErrBadPath says that an entry's path or an item's name is not one an
	// archive may hold.
	ErrBadPath = errors.New("path not allowed")
	// ErrBadEntry says that an entry is neither a regular file nor a plain
	// parent directory.
	ErrBadEntry = errors.New("entry not allowed")
	// ErrDuplicate says that an entry or an item is there twice.
	ErrDuplicate = errors.New("there twice")
	// ErrTruncated says that the archive ends too early or goes on after its end.
	ErrTruncated = errors.New("truncated")
	// ErrCorrupt says that gzip or tar cannot be decoded or that gzip's own sum
	// does not match.
	ErrCorrupt = errors.New("damaged")
	// ErrMismatch says that an object is not the one its path names.
	ErrMismatch = errors.New("object does not match its path")
	// ErrBadJSON says that a file is not one valid JSON object: wrong syntax,
	// data after its end, a name twice in one object, invalid UTF-8, nesting
	// over the limit, or no kind or apiVersion.
	ErrBadJSON = errors.New("invalid JSON")
	// ErrCopy says that the copy of an item for its preferred version is not
	// byte for byte the item, or that there is no item to the copy.
	ErrCopy = errors.New("copies differ")
	// ErrNoVersion says that metadata/version is missing.
	ErrNoVersion = errors.New("no format version")
)

// EntryError is a fault of one entry of an archive, or of one item that was to
// be written.
type EntryError struct {
	Entry string // path in the archive, or the item's key
	Err   error
}

func (e *EntryError) Error() string { return "entry " + shown(e.Entry) + ": " + e.Err.Error() }

func (e *EntryError) Unwrap() error { return e.Err }

// shown makes a name out of an archive fit for a message: one line, bounded.
func shown(name string) string {
	const most = 300
	if len(name) > most {
		return strconv.QuoteToASCII(name[:most]) + fmt.Sprintf("… (%d bytes)", len(name))
	}
	return strconv.Quote(name)
}

// pathID represents a path in the sets that find duplicates, so that they hold
// 16 bytes for each and no reference to larger buffers.
type pathID [16]byte

func idOf(path string) pathID {
	sum := sha256.Sum256([]byte(path))
	return pathID(sum[:16])
}
