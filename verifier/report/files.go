package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"
)

// File is one file of a backup.
type File struct {
	Name string `json:"name"` // below the folder of the backup
	Size int64  `json:"size"` // bytes
	// Modified and ETag are as the location lists them. Not every kind of location
	// has an ETag.
	Modified time.Time `json:"modified,omitzero"`
	ETag     string    `json:"etag,omitempty"`
	SHA256   string    `json:"sha256,omitempty"` // of what the drill read, hex; "" if it could not read the file
}

// maxETag bounds what is kept of an ETag, in bytes.
const maxETag = 128

// NewFile is a file as a listing shows it. A time that JSON cannot hold is left
// out.
func NewFile(name string, size int64, modified time.Time, etag string) File {
	f := File{Name: name, Size: size, Modified: modified.UTC(), ETag: etag[:min(len(etag), maxETag)]}
	if y := f.Modified.Year(); y < 1 || y > 9999 {
		f.Modified = time.Time{}
	}
	return f
}

// Fingerprint identifies the files of a backup as a location lists them: it
// changes when a file is written again, replaced, cut, added or deleted. The zero
// value means that the files are not known. A file that is replaced by one of the
// same size, modification time and ETag does not change it: only reading the file
// would show that.
type Fingerprint [16]byte

// MaxFiles is how many files a backup can have. Velero writes a dozen. A backup
// with more has no Fingerprint.
const MaxFiles = 1000

// FingerprintOf is that of a complete listing of a backup.
func FingerprintOf(files []File) Fingerprint {
	if len(files) == 0 || len(files) > MaxFiles {
		return Fingerprint{}
	}
	files = slices.SortedFunc(slices.Values(files), func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	h := sha256.New()
	var buf []byte
	for _, f := range files {
		buf = binary.AppendVarint(buf[:0], int64(len(f.Name)))
		buf = append(buf, f.Name...)
		buf = binary.AppendVarint(buf, f.Size)
		buf = binary.AppendVarint(buf, f.Modified.Unix())
		buf = binary.AppendVarint(buf, int64(f.Modified.Nanosecond()))
		buf = binary.AppendVarint(buf, int64(len(f.ETag)))
		buf = append(buf, f.ETag...)
		h.Write(buf)
	}
	return Fingerprint(h.Sum(nil)[:len(Fingerprint{})])
}

// SameFiles reports whether the files that a location holds now are those that a
// drill read. drilled is of the evidence and stored of the location. Evidence of
// earlier versions has no files: then none may have been modified after the drill
// had ended. modified is the newest modification time in the location.
func SameFiles(drilled, stored Fingerprint, finished, modified time.Time) bool {
	if drilled == (Fingerprint{}) {
		return !modified.After(finished)
	}
	return drilled == stored
}
