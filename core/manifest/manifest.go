// Package manifest is Lifeboat's own file in a backup: a SHA-256 of every file
// of the backup and of every item in the archive, so that anyone can verify a
// backup with the bucket alone.
package manifest

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
)

// Schema names the form of Manifest.
const Schema = "lifeboat.dev/manifest/v1alpha1"

// MaxSize and MaxValues bound the decompressed manifest a reader accepts, in
// bytes and in values of JSON. An item takes about 200 bytes and ten values, so
// this is room for the million items an archive may hold.
const (
	MaxSize   = 512 << 20
	MaxValues = 12_000_000
)

// Manifest is written before velero-backup.json, which it covers too.
type Manifest struct {
	Schema  string    `json:"schema"`
	Backup  string    `json:"backup"`
	Created time.Time `json:"created"`
	// Files are the files of the backup by name below its folder, this one
	// excepted.
	Files map[string]Digest `json:"files"`
	// DigestKey, of an encrypted backup, is the Key of the items' digests,
	// encrypted to the recipients of the backup.
	DigestKey []byte `json:"digestKey,omitempty"`
	// Resources say what each listable resource held and what was taken.
	Resources []Resource `json:"resources"`
	// Items are in the order of the archive.
	Items []Item `json:"items"`
}

// Digest is the size in bytes and the SHA-256, hex, of some bytes.
type Digest struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Key makes digests that say nothing to whoever does not have it: by a plain
// SHA-256 anyone who can guess an item could confirm it. The zero value makes
// plain ones.
type Key []byte

// KeySize is the size of a Key in bytes.
const KeySize = sha256.Size

// Digest is the digest of an item that has this SHA-256, in hex: the same, or
// with a key the HMAC-SHA256 of its text.
func (k Key) Digest(sha256hex string) string {
	if len(k) == 0 {
		return sha256hex
	}
	h := hmac.New(sha256.New, k)
	h.Write([]byte(sha256hex))
	return hex.EncodeToString(h.Sum(nil))
}

// Item is the digest of one item's JSON as it is in the archive. In an
// encrypted backup Size is 0 and SHA256 is made by a Key.
type Item struct {
	item.Key
	Version string `json:"version"`
	Kind    string `json:"kind"`
	Digest
}

// Resource counts what became of one resource of the cluster.
type Resource struct {
	Name            string `json:"name"`    // group-resource
	Version         string `json:"version"` // API version listed
	Listed          int    `json:"listed"`
	Written         int    `json:"written"`
	ResourceVersion string `json:"resourceVersion,omitempty"` // of the list
	// LeftOut counts listed items that were not written, by reason. For a
	// resource that was not listed at all, Excluded says why.
	LeftOut  map[string]int `json:"leftOut,omitempty"`
	Excluded string         `json:"excluded,omitempty"`
	// Inconsistent says that the pages of the list are of two states of the
	// cluster: the API server had forgotten the first one meanwhile.
	Inconsistent bool   `json:"inconsistent,omitempty"`
	Error        string `json:"error,omitempty"`
}

// Encode writes the manifest as gzipped JSON, item by item: its text is never
// in memory as a whole.
func (m Manifest) Encode(w io.Writer) error {
	z := gzip.NewWriter(w)
	b := bufio.NewWriterSize(z, 64<<10)
	if err := m.encode(b); err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	if err := errors.Join(b.Flush(), z.Close()); err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	return nil
}

func (m Manifest) encode(w *bufio.Writer) error {
	items := m.Items
	m.Items = nil
	head, err := json.Marshal(m)
	if err != nil {
		return err
	}
	const none = "null}" // items are the last field
	_, _ = w.Write(bytes.TrimSuffix(head, []byte(none)))
	separator := "["
	for _, it := range items {
		text, err := json.Marshal(it)
		if err != nil {
			return err
		}
		_, _ = w.WriteString(separator)
		_, _ = w.Write(text)
		separator = ","
	}
	if len(items) == 0 {
		_, _ = w.WriteString("[")
	}
	_, err = w.WriteString("]}\n") // a writer that failed fails for good
	return err
}

// ErrSchema says that a manifest is of a form this version does not know.
var ErrSchema = errors.New("unknown manifest schema")

// Decode reads a gzipped manifest to its end, gzip's sum included. Over MaxSize
// or MaxValues the error wraps jsonbound.ErrTooLarge.
func Decode(r io.Reader) (Manifest, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return Manifest{}, fmt.Errorf("decode manifest: %w", err)
	}
	d := json.NewDecoder(jsonbound.NewReader(z, jsonbound.Limits{Bytes: MaxSize, Values: MaxValues}))
	var m Manifest
	if err := d.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("decode manifest: %w", err)
	}
	// Anything but the end is wrong, and only reading to it checks the sum.
	switch _, err := d.Token(); err {
	case io.EOF:
	case nil:
		return Manifest{}, errors.New("decode manifest: data after its end")
	default:
		return Manifest{}, fmt.Errorf("decode manifest: %w", err)
	}
	if m.Schema != Schema {
		return Manifest{}, fmt.Errorf("%w %q, want %q", ErrSchema, m.Schema, Schema)
	}
	return m, nil
}
