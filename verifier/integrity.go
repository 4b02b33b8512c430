package verifier

import (
	"context"
	"fmt"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/seal"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/check"
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
}

// IntegrityResult is what the integrity level found out about one backup.
type IntegrityResult struct {
	Checks   []report.Check
	Findings []report.Finding
	// InBackup is the number of items read from the tarball; when the tarball
	// is damaged, of those before the damage.
	InBackup int
	// Metadata is nil when velero-backup.json is missing or cannot be read.
	Metadata       *velerov1.Backup
	MetadataSHA256 string // of velero-backup.json, hex; "" when it was not read
	ContentsSHA256 string // of the tarball, hex; "" when it was not read
	Manifest       bool   // whether Lifeboat's digests were there to go by
}

// Verdict is failed when anything is wrong with the backup, error when nothing
// is known to be wrong but not everything could be looked at, else passed.
func (r IntegrityResult) Verdict() report.Verdict { return check.Verdict(r.Checks, r.Findings) }

// Integrity proves or refutes that a backup is whole, with the bucket alone.
// Everything of the backup is read once; nothing is written.
//
// A bad backup is a result with findings, not an error. Errors are: a backup
// that is not there (check.ErrNoBackup), a name no backup can have, a location
// that cannot be listed, and the end of ctx. A file that the location cannot
// deliver makes the checks that need it report.Error.
func Integrity(ctx context.Context, s store.Store, backup string, o IntegrityOptions) (IntegrityResult, error) {
	in, err := check.Gather(ctx, s, backup, o.Limits, o.Identities)
	if err != nil {
		return IntegrityResult{}, fmt.Errorf("check integrity: %w", err)
	}
	var r IntegrityResult
	r.Checks, r.Findings = check.Decide(in)
	r.InBackup = int(in.Archive.Stats.Items)
	r.Metadata = in.Metadata
	r.MetadataSHA256 = in.Digest(store.Metadata)
	r.ContentsSHA256 = in.Digest(store.Contents)
	r.Manifest = in.Manifest != nil
	return r, nil
}
