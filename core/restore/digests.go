package restore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"github.com/lifeboat-backup/lifeboat/core/catalog"

	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// ErrDigestMismatch says that a backup does not hold what was written when it was
// made, by the digests of its manifest.
var ErrDigestMismatch = errors.New("the archive does not match its manifest")

// digests are those of a backup's manifest, compared while the archive goes
// by. The zero value compares nothing.
type digests struct {
	items []manifest.Item
	file  manifest.Digest
	known bool
	key   manifest.Key
	next  int // of items: manifest and archive have the same order
}

// digests reads the manifest. A backup made by Velero has none; one of ours
// that has lost it can be restored, with a warning.
func (j Job) digests(ctx context.Context, metadata velerov1.Backup) (*digests, []string, error) {
	m, err := catalog.ReadManifest(ctx, j.Store, j.Backup)
	switch {
	case errors.Is(err, store.ErrNotFound) && metadata.Annotations[api.AnnotationManifest] == "":
		return &digests{}, nil, nil
	case errors.Is(err, store.ErrNotFound):
		return &digests{}, []string{"the manifest of backup " + j.Backup + " is lost: its items could not be compared with their digests"}, nil
	case err != nil:
		return nil, nil, fmt.Errorf("%w: nothing has been restored", err)
	}
	key, err := catalog.DigestKey(m, j.Identities)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: nothing has been restored", err)
	}
	return &digests{items: m.Items, file: m.Files[j.Backup+".tar.gz"], key: key, known: true}, nil, nil
}

// item compares the next item of the archive.
func (d *digests) item(k item.Key, sum plan.Digest) error {
	if !d.known {
		return nil
	}
	if d.next == len(d.items) {
		return fmt.Errorf("%w: %s is not in the manifest", ErrDigestMismatch, k)
	}
	want := d.items[d.next]
	d.next++
	switch {
	case want.Key != k:
		return fmt.Errorf("%w: found %s where the manifest lists %s", ErrDigestMismatch, k, want.Key)
	case want.SHA256 != d.key.Digest(hex.EncodeToString(sum[:])):
		return fmt.Errorf("%w: digest of %s differs", ErrDigestMismatch, k)
	}
	return nil
}

// end compares what only the end of the archive can tell.
func (d *digests) end(file manifest.Digest) error {
	switch {
	case !d.known:
		return nil
	case d.next < len(d.items):
		return fmt.Errorf("%w: %d items are missing, the first is %s", ErrDigestMismatch, len(d.items)-d.next, d.items[d.next].Key)
	case d.key == nil && d.file != file: // of an encrypted file, file is of what is in it
		return fmt.Errorf("%w: digest of the file differs", ErrDigestMismatch)
	}
	return nil
}
