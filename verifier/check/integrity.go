package check

import (
	"context"
	"fmt"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/seal"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// IntegrityOptions tune Integrity. The zero value is right for every backup
// within archive's default limits.
type IntegrityOptions struct {
	// Limits bound the tarball.
	Limits archive.Limits
	// Identities decrypt an encrypted backup. Without the right one its files
	// are checked and its items are not: the verdict is an error at best.
	Identities seal.Identities
	// Volumes is how the data of volumes is read.
	Volumes VolumeOptions
}

// IntegrityResult is what the integrity level shows of one backup.
type IntegrityResult struct {
	Checks   []report.Check
	Findings []report.Finding
	// InBackup is the number of items read from the tarball; when the tarball
	// is damaged, of those before the damage.
	InBackup int
	// Metadata is nil when velero-backup.json is missing or cannot be read.
	Metadata       *velerov1.Backup
	MetadataSHA256 string // of velero-backup.json, hex; "" when it was not read
	ContentsSHA256 string // of the tarball as stored, hex; "" when it was not read
	Manifest       bool   // whether Lifeboat's digests were there to go by
	// Files are all files of the backup, as listed before they were read.
	Files []report.File
}

// Verdict is failed if there are findings, error if there are none but not
// everything could be checked, and passed otherwise.
func (r IntegrityResult) Verdict() report.Verdict { return Verdict(r.Checks, r.Findings) }

// Integrity checks that a backup is whole, with the location alone: it reads
// everything of the backup once and writes nothing.
//
// A bad backup is a result with findings, not an error. It is an error if the
// backup does not exist (catalog.ErrNoBackup), its name is not valid, the location cannot
// be listed, or ctx ends. A file that cannot be read makes the checks that need
// it report.Error.
func Integrity(ctx context.Context, s store.Store, backup string, o IntegrityOptions) (IntegrityResult, error) {
	in, err := Gather(ctx, s, backup, o)
	if err != nil {
		return IntegrityResult{}, fmt.Errorf("check integrity: %w", err)
	}
	var r IntegrityResult
	r.Checks, r.Findings = Decide(in)
	r.InBackup = int(in.Archive.Stats.Items)
	r.Metadata = in.Metadata
	r.MetadataSHA256 = in.Digest(store.Metadata)
	r.ContentsSHA256 = in.Digest(in.contents())
	r.Files = in.listing()
	r.Manifest = in.Manifest != nil
	return r, nil
}
